use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use computatom_cluster::folder::{Folder, Source, State, VERSION};
use computatom_cluster::machine::Accelerator;
use computatom_cluster::plan::Plan;
use computatom_cluster::topology::Topology;
use serde_json::json;

use crate::assert_says;
use crate::outputs::in_namespace;

/// The files of a machine that resolves names by dnsmasq, and a person without clusters.
struct Machine(tempfile::TempDir);

impl Machine {
    fn new() -> Self {
        let machine = Self(tempfile::tempdir().unwrap());
        for folder in ["root/etc/dnsmasq.d", "root/usr/sbin/dnsmasq", "state"] {
            fs::create_dir_all(machine.0.path().join(folder)).unwrap();
        }
        machine
    }

    fn file(&self) -> PathBuf {
        self.0.path().join("root/etc/dnsmasq.d/computatom-consul.conf")
    }

    fn command(&self, root: &Path, words: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pkgbuilder"));
        command
            .arg("dns")
            .args(words.split(' '))
            .arg("--root")
            .arg(root)
            .current_dir(self.0.path())
            .env("XDG_STATE_HOME", self.0.path().join("state"));
        command
    }

    /// What it says: data, then talk.
    fn says(&self, words: &str, code: i32) -> (String, String) {
        said(self.command(&self.0.path().join("root"), words).output().unwrap(), code)
    }

    /// A cluster whose DNS is at that port.
    fn cluster(&self, name: &str, port: u16) {
        let topology = json!({"nodes": [{"name": "core-1", "roles": ["server"]}], "ports": {"dns": port}});
        let topology: Topology = serde_json::from_value(topology).unwrap();
        let folder = Folder::new(&self.0.path().join("state/computatom/clusters"), name);
        fs::create_dir_all(folder.path()).unwrap();
        folder
            .set_state(&State {
                version: VERSION,
                plan: Plan::new(name, &topology).unwrap(),
                base: PathBuf::new(),
                source: Source {
                    path: PathBuf::new(),
                    digest: String::new(),
                },
                accelerator: Accelerator::Tcg,
                pages: vec![1],
            })
            .unwrap();
    }
}

#[track_caller]
fn said(output: Output, code: i32) -> (String, String) {
    let talk = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(code), "{talk}");
    (String::from_utf8(output.stdout).unwrap(), talk)
}

#[test]
fn shown_said_installed_and_removed() {
    let machine = Machine::new();
    let file = machine.file();
    let (data, _) = machine.says("show", 0);
    assert_says(&data, &["dnsmasq\n", &format!("{} is not there", file.display())]);
    let (data, talk) = machine.says("install", 0);
    assert_says(
        &data,
        &[
            &format!("write {}:\n", file.display()),
            "    server=/consul/127.0.0.1#48600\n",
        ],
    );
    assert_says(&data, &["run `systemctl restart dnsmasq`"]);
    assert_says(
        &talk,
        &[
            "you have no virtual cluster",
            "`sudo pkgbuilder dns install --server 127.0.0.1:48600 --yes` does it",
        ],
    );
    assert!(!file.exists(), "it was only to be said");

    machine.says("install --server 192.168.1.20:8600 --yes", 0);
    assert_says(
        &fs::read_to_string(&file).unwrap(),
        &["server=/consul/192.168.1.20#8600\n"],
    );
    assert_says(
        &machine.says("show", 0).0,
        &["says:\n", "server=/consul/192.168.1.20#8600\n"],
    );
    assert_says(
        &machine.says("install --server 192.168.1.20:8600", 0).0,
        &["is as it should be"],
    );

    let (data, talk) = machine.says("remove --resolver dnsmasq", 0);
    assert_says(&data, &[&format!("remove {}\n", file.display())]);
    assert_says(
        &talk,
        &["`sudo pkgbuilder dns remove --resolver dnsmasq --yes` does it"],
    );
    assert!(file.exists(), "it was only to be said");
    machine.says("remove --yes", 0);
    assert!(!file.exists());
}

#[test]
fn the_port_of_the_cluster_that_is_up() {
    let machine = Machine::new();
    machine.cluster("small", 48611);
    let (data, talk) = machine.says("install", 0);
    assert_says(&data, &["server=/consul/127.0.0.1#48611\n"]);
    assert_says(&talk, &["--server 127.0.0.1:48611 --yes"]);
    machine.cluster("other", 48622);
    assert_says(
        &machine.says("install", 2).1,
        &["there are several clusters", "`--name small`"],
    );
    assert_says(&machine.says("install --name other", 0).0, &["#48622\n"]);
    assert_says(
        &machine.says("install --name third", 2).1,
        &["there is no cluster `third`"],
    );
}

#[test]
fn what_cannot_be_installed() {
    let machine = Machine::new();
    assert_says(
        &machine.says("install --server consul", 2).1,
        &["`--server consul` is no address with port"],
    );
    assert_says(
        &machine.says("show --resolver bind", 2).1,
        &["`bind` is no resolver that is known here"],
    );
    fs::write(machine.file(), "server=/consul/192.168.1.1\n").unwrap();
    assert_says(
        &machine.says("install --yes", 1).1,
        &["is not one that this tool wrote"],
    );
    fs::remove_dir_all(machine.0.path().join("root/usr")).unwrap();
    assert_says(
        &machine.says("show", 1).1,
        &["this machine resolves names by none of", "--resolver"],
    );
}

/// A resolver that does not start again at first; /etc is empty, and goes with the name space.
#[test]
fn a_resolver_that_did_not_read_it_is_told_again() {
    let machine = Machine::new();
    let systemctl = machine.0.path().join("bin/systemctl");
    fs::create_dir(systemctl.parent().unwrap()).unwrap();
    let script = "#!/bin/sh\necho \"$*\" >>told\n[ \"$(wc -l <told)\" -gt 1 ]\n";
    fs::write(&systemctl, script).unwrap();
    fs::set_permissions(&systemctl, fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!(
        "{}:{}",
        systemctl.parent().unwrap().display(),
        std::env::var("PATH").unwrap()
    );
    let mut command = machine.command(
        Path::new("/"),
        "install --server 127.0.0.1:48600 --resolver dnsmasq --yes",
    );
    command.env("PATH", path);
    let script = "mount -t tmpfs tmpfs /etc && mkdir /etc/dnsmasq.d && cd \"$1\" && shift && \"$@\" || echo ended with $? && exec \"$@\"";
    let (data, talk) = said(in_namespace(script, machine.0.path(), &command).output().unwrap(), 0);
    assert_says(
        &data,
        &[
            "write /etc/dnsmasq.d/computatom-consul.conf",
            "ended with 1\n",
            "is as it should be\n",
        ],
    );
    assert_says(
        &talk,
        &["but dnsmasq has not read it: this command again, or `systemctl restart dnsmasq`, lets it"],
    );
    let told = fs::read_to_string(machine.0.path().join("told")).unwrap();
    assert_eq!(told, "restart dnsmasq\nrestart dnsmasq\n");
}
