use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
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
            .env("XDG_STATE_HOME", self.0.path().join("state"))
            .env_remove("SUDO_USER");
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
    // Nothing is there that a resolver could not have read.
    for words in ["remove", "remove --yes"] {
        let (data, _) = machine.says(words, 0);
        assert_eq!(data, format!("{} is not there\n", file.display()));
    }
}

#[test]
fn what_is_for_root_is_told_with_the_port() {
    let machine = Machine::new();
    machine.cluster("small", 48611);
    // Not even root can write there.
    fs::remove_dir(machine.file().parent().unwrap()).unwrap();
    symlink("/proc/self/none", machine.file().parent().unwrap()).unwrap();
    let by_sudo =
        "is for root: `sudo pkgbuilder dns install --server 127.0.0.1:48611 --resolver dnsmasq --yes` does it";
    assert_says(&machine.says("install --resolver dnsmasq --yes", 1).1, &[by_sudo]);
}

#[test]
fn root_does_not_guess_the_port_of_who_called_sudo() {
    let machine = Machine::new();
    let by_sudo = |words: &str, code| {
        let mut command = machine.command(&machine.0.path().join("root"), words);
        said(command.env("SUDO_USER", "ada").output().unwrap(), code).1
    };
    assert_says(
        &by_sudo("install --yes", 2),
        &["does not know the port of yours: `pkgbuilder dns install` without sudo"],
    );
    assert!(!machine.file().exists());
    by_sudo("install --server 127.0.0.1:48600 --yes", 0);
    by_sudo("remove --yes", 0);
    // Root's own.
    machine.cluster("small", 48611);
    by_sudo("install --yes", 0);
    assert_says(&fs::read_to_string(machine.file()).unwrap(), &["#48611\n"]);
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

/// What is said where /etc is empty, and goes with the name space, and a resolver does not start again at
/// first; the command is `"$@"` of `script`. What `systemctl` was told comes last.
fn with_resolver(words: &str, script: &str) -> (String, String, String) {
    let machine = Machine::new();
    let systemctl = machine.0.path().join("bin/systemctl");
    fs::create_dir(systemctl.parent().unwrap()).unwrap();
    fs::write(
        &systemctl,
        "#!/bin/sh\necho \"$*\" >>told\n[ \"$(wc -l <told)\" -gt 1 ]\n",
    )
    .unwrap();
    fs::set_permissions(&systemctl, fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!(
        "{}:{}",
        systemctl.parent().unwrap().display(),
        std::env::var("PATH").unwrap()
    );
    let mut command = machine.command(Path::new("/"), words);
    command.env("PATH", path);
    let script = format!("mount -t tmpfs tmpfs /etc && mkdir /etc/dnsmasq.d && cd \"$1\" && shift && {script}");
    let (data, talk) = said(in_namespace(&script, machine.0.path(), &command).output().unwrap(), 0);
    let told = fs::read_to_string(machine.0.path().join("told")).unwrap_or_default();
    (data, talk, told)
}

#[test]
fn a_resolver_that_did_not_read_it_is_told_again() {
    let (data, talk, told) = with_resolver(
        "install --server 127.0.0.1:48600 --resolver dnsmasq --yes",
        "\"$@\" || echo ended with $? && exec \"$@\"",
    );
    assert_says(
        &data,
        &[
            "write /etc/dnsmasq.d/computatom-consul.conf",
            "ended with 1\n",
            "is as it should be\nrun `systemctl restart dnsmasq` by --yes",
        ],
    );
    assert_says(
        &talk,
        &["is as it should be now, but dnsmasq has not been told: `systemctl restart dnsmasq` does it"],
    );
    assert_eq!(told, "restart dnsmasq\nrestart dnsmasq\n");
}

#[test]
fn a_resolver_is_left_alone_where_there_is_nothing_to_remove() {
    let file = "/etc/dnsmasq.d/computatom-consul.conf";
    let ours = "# Written by `pkgbuilder dns install`; `pkgbuilder dns remove` takes it away.";
    let script = format!("echo '{ours}' >{file} && {{ \"$@\" || echo ended with $?; }} && exec \"$@\"");
    let (data, talk, told) = with_resolver("remove --resolver dnsmasq --yes", &script);
    assert_says(
        &data,
        &[
            &format!("remove {file}\n"),
            "ended with 1\n",
            &format!("{file} is not there\n"),
        ],
    );
    assert_says(
        &talk,
        &[&format!(
            "{file} is gone, but dnsmasq has not been told: `systemctl restart dnsmasq` does it"
        )],
    );
    assert_eq!(told, "restart dnsmasq\n");
}
