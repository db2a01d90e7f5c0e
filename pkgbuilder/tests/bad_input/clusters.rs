use std::fs;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use computatom_cluster::folder::Folder;
use computatom_cluster::process::Process;

use crate::child::Guarded;
use crate::outputs::in_namespace;
use crate::{World, assert_says, board};

/// QEMU without a machine: of what a node's is told it takes the control socket alone, so that nothing boots.
const WITHOUT_MACHINE: &str = r#"#!/bin/sh
for word; do
  case $before in -qmp) socket=$word ;; -name) name=$word ;; esac
  before=$word
done
PATH=${PATH#*:}
case $name in '' | _host) exec qemu-system-aarch64 "$@" ;; esac
echo "not a machine" >&2
exec qemu-system-aarch64 -machine none -nodefaults -display none -qmp "$socket" -name "$name"
"#;

/// A world with an image for Raspberry Pis, which need no firmware of this machine, and clusters of its own.
struct Clusters {
    world: World,
    /// What `up` is told of free ports.
    ports: Vec<String>,
}

impl Clusters {
    fn new() -> Self {
        let world = board::world(0, 0);
        world.succeeds(world.command("image", &[]));
        let topology = "{ nodes: [{ name: 'core-1', roles: ['server'] }], target: 'raspberrypi-arm64', image: 'tiny' }";
        fs::write(world.checkout().join("one.jsonnet"), topology).unwrap();
        let listeners =
            ["consul", "nomad", "prometheus", "dns"].map(|name| (name, TcpListener::bind("127.0.0.1:0").unwrap()));
        // Held together, so that no two are the same.
        let ports = listeners
            .iter()
            .map(|(name, listener)| format!("--port={name}={}", listener.local_addr().unwrap().port()))
            .collect();
        let clusters = Self { world, ports };
        clusters.program("qemu-system-aarch64", WITHOUT_MACHINE);
        clusters
    }

    /// Lets the program find another one of that name first.
    fn program(&self, name: &str, script: &str) {
        let path = self.world.folder.path().join("bin").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, script).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let path = format!(
            "{}:{}",
            self.world.folder.path().join("bin").display(),
            std::env::var("PATH").unwrap()
        );
        let mut command = self.world.pkgbuilder();
        command
            .arg("cluster")
            .args(arguments)
            .env("PATH", path)
            .env("XDG_STATE_HOME", self.world.folder.path().join("state"));
        command
    }

    fn up(&self, arguments: &[&str]) -> Command {
        let mut command = self.command(&["up", "one.jsonnet"]);
        command.args(&self.ports).args(arguments);
        command
    }

    fn refuses(&self, command: Command, code: i32) -> String {
        self.world.refuses(command, code)
    }

    fn folder(&self) -> Folder {
        Folder::at(self.world.folder.path().join("state/computatom/clusters/one"))
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder().file(name)
    }
}

impl Drop for Clusters {
    fn drop(&mut self) {
        let _ = self.command(&["down", "--all"]).output();
    }
}

/// What a program says until it says `last`; it goes on saying what nobody hears.
fn until(child: &mut Child, last: &str) -> BufReader<std::process::ChildStderr> {
    let mut said = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    while !line.contains(last) {
        line.clear();
        assert_ne!(
            said.read_line(&mut line).unwrap(),
            0,
            "it ended without saying `{last}`"
        );
    }
    said
}

#[test]
fn a_node_that_never_gets_ready() {
    let clusters = Clusters::new();
    let said = clusters.refuses(clusters.up(&["--timeout", "1"]), 1);
    let log = clusters.file("core-1.console.log").display().to_string();
    assert_says(
        &said,
        &[
            "not ready after 1 s",
            "core-1 waits for its agent to answer: it boots, or is cut off; its console: ",
            &log,
        ],
    );
    // It is there to be looked at.
    let names = |processes: Vec<Process>| -> Vec<String> { processes.into_iter().map(|one| one.name).collect() };
    assert_eq!(
        names(Process::all(&clusters.folder()).unwrap()),
        ["_host", "core-1", "switch"]
    );
}

#[test]
fn a_node_whose_qemu_dies() {
    let clusters = Clusters::new();
    let mut up = Guarded::spawn(clusters.up(&[]).stderr(Stdio::piped()).stdout(Stdio::null())).unwrap();
    let mut rest = until(&mut up, "core-1 is on");
    Process::find(&clusters.folder(), "core-1")
        .unwrap()
        .unwrap()
        .kill()
        .unwrap();
    let mut said = String::new();
    std::io::Read::read_to_string(&mut rest, &mut said).unwrap();
    assert_eq!(up.wait().unwrap().code(), Some(1), "{said}");
    let log = clusters.file("core-1.log");
    assert_says(
        &said,
        &["core-1 has ended: QEMU's words are in", &log.display().to_string()],
    );
    assert_eq!(
        fs::read_to_string(log).unwrap(),
        "not a machine\n",
        "what is named is there"
    );
}

#[test]
fn another_image_than_the_cluster_was_made_from() {
    let clusters = Clusters::new();
    let image = clusters.world.out().join(format!("{}.img.zst", board::STEM));
    clusters.world.succeeds(clusters.up(&["--no-wait"]));
    let same = image.with_file_name("same.img.zst");
    fs::copy(&image, &same).unwrap();
    for arguments in [&[][..], &["--image", same.to_str().unwrap()]] {
        let said = clusters
            .world
            .succeeds(clusters.up(&[&["--no-wait"], arguments].concat()));
        assert!(!said.contains("warning"), "{said}");
    }
    fs::write(&same, "another").unwrap();
    let said = clusters.refuses(clusters.up(&["--image", same.to_str().unwrap()]), 2);
    let both = format!("made from another file ({}) than {}", image.display(), same.display());
    assert_says(&said, &[&both, "`pkgbuilder cluster down --name one` first"]);
    fs::rename(&same, &image).unwrap();
    let said = clusters.world.succeeds(clusters.up(&["--no-wait"]));
    assert_says(
        &said,
        &[
            "is no longer the image that the cluster `one` was made from",
            "`pkgbuilder cluster down --name one` and `up`",
        ],
    );
    // Nobody can read the beginning of this file, not even root.
    fs::remove_file(&image).unwrap();
    symlink("/proc/self/mem", &image).unwrap();
    clusters.world.succeeds(clusters.up(&["--no-wait"]));
}

#[test]
fn a_node_that_stands_still_while_it_is_waited_for() {
    let clusters = Clusters::new();
    clusters.world.succeeds(clusters.up(&["--no-wait"]));
    clusters.world.succeeds(clusters.command(&["pause", "core-1"]));
    let said = clusters.refuses(clusters.up(&["--timeout", "1"]), 1);
    assert_says(&said, &["core-1 stands still: `pkgbuilder cluster resume core-1`"]);
    assert!(!said.contains("core-1.console.log"), "{said}");
}

/// Whoever watches is told of the end, and nobody goes on for a reader that has gone away.
#[test]
fn what_is_watched_ends() {
    let clusters = Clusters::new();
    clusters.world.succeeds(clusters.up(&["--no-wait"]));
    let watch = |words: &[&str]| {
        let mut command = clusters.command(words);
        Guarded::spawn(command.stdout(Stdio::piped()).stderr(Stdio::piped())).unwrap()
    };
    let limit = Duration::from_mins(1);
    let mut unread = watch(&["status", "--watch"]);
    drop(unread.stdout.take());
    let output = unread.ends_within(limit).unwrap().expect("nobody reads it");
    assert!(output.status.success(), "{output:?}");
    for (words, says) in [
        (["status", "--watch"].as_slice(), "core-1"),
        (&["logs", "--follow", "core-1"], "its last words\n"),
    ] {
        clusters.world.succeeds(clusters.up(&["--no-wait"]));
        fs::write(clusters.file("core-1.console.log"), "its last words\n").unwrap();
        let mut child = watch(words);
        let mut shown = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        while !line.contains(says) {
            line.clear();
            assert_ne!(shown.read_line(&mut line).unwrap(), 0, "{words:?} showed nothing");
        }
        clusters.world.succeeds(clusters.command(&["down"]));
        let output = child.ends_within(limit).unwrap().expect("there is nothing to watch");
        assert!(output.status.success(), "{output:?}");
        assert_says(&String::from_utf8_lossy(&output.stderr), &["one is gone\n"]);
    }
}

#[test]
fn a_qemu_that_is_too_old() {
    let clusters = Clusters::new();
    clusters.program("qemu-system-aarch64", "#!/bin/sh\necho QEMU emulator version 6.2.0\n");
    let said = clusters.refuses(clusters.up(&[]), 1);
    assert_says(&said, &["qemu-system-aarch64 is of QEMU 6.2", "7.2 or newer"]);
    assert!(!clusters.folder().path().exists(), "nothing was begun");
}

#[test]
fn no_firmware_for_machines_with_uefi() {
    let clusters = Clusters::new();
    let topology = "{ nodes: [{ name: 'core-1', roles: ['server'] }], target: 'uefi-arm64', image: 'tiny' }";
    fs::write(clusters.world.checkout().join("one.jsonnet"), topology).unwrap();
    let empty = "for folder in /etc/qemu/firmware /usr/share/qemu/firmware; do \
                 [ ! -d $folder ] || mount -t tmpfs none $folder || exit 99; done; shift; exec \"$@\"";
    let said = clusters.refuses(in_namespace(empty, clusters.world.folder.path(), &clusters.up(&[])), 1);
    assert_says(
        &said,
        &["no UEFI firmware for uefi-arm64", "install it", "qemu-efi-aarch64"],
    );
    assert!(!clusters.folder().path().exists(), "nothing was begun");
}
