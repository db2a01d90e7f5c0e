//! Containers: what skopeo and podman take, and whether the agent starts in what they unpack.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::{Made, command, judge};

#[test]
fn skopeo_copies_it_and_its_agent_starts() {
    let archive = Made::of().file("oci-arm64", "oci");
    let archive = archive.display();
    let folder = tempfile::tempdir().unwrap();
    let skopeo = |words: &[&str]| judge(Command::new("skopeo").arg("--insecure-policy").args(words));
    for transport in ["oci-archive", "docker-archive"] {
        let about: Value = serde_json::from_str(&skopeo(&["inspect", &format!("{transport}:{archive}")])).unwrap();
        assert_eq!(about["Architecture"], "arm64");
        assert_eq!(about["Os"], "linux");
        assert_eq!(about["Layers"].as_array().unwrap().len(), 1);
    }
    let copied = folder.path().join("copied");
    skopeo(&[
        "copy",
        &format!("oci-archive:{archive}"),
        &format!("oci:{}:x", copied.display()),
    ]);
    // Once more into another compression: the digests of the content have to be right for that.
    let again = folder.path().join("again");
    skopeo(&[
        "copy",
        "--dest-compress-format=zstd",
        &format!("oci:{}:x", copied.display()),
        &format!("dir:{}", again.display()),
    ]);

    let bundle = folder.path().join("bundle");
    let mut unpack = Command::new("umoci");
    unpack.args(["unpack", "--rootless", "--image", &format!("{}:x", copied.display())]);
    judge(unpack.arg(&bundle));
    let root = bundle.join("rootfs");
    assert!(
        !root.join("boot").read_dir().unwrap().any(|_| true),
        "there is a kernel"
    );
    // As an engine leaves it: the name, which the site settings know for a server's.
    std::fs::write(root.join("etc/hostname"), "core-1\n").unwrap();
    let said = started(&root);
    let (decided, status) = said.split_once('\n').unwrap();
    assert!(decided.starts_with("core-1 (member): "), "{decided}");
    // Its settings, the roles that the image can have, and what follows from both.
    assert!(
        decided.contains("`core-1` is in `servers`") && decided.contains("image outputs is for members without a role"),
        "{decided}"
    );
    let status: Value = serde_json::from_str(status.lines().last().unwrap()).unwrap();
    assert_eq!(status["identity"]["hostname"], "core-1");
    assert_eq!(status["image"], "outputs for oci-arm64");
    assert_eq!(status["cluster"], "home");
    assert_eq!(status["assignment"]["roles"], Value::Array(Vec::new()));
    // Without an engine there is no network but its own; without systemd, no unit to look after.
    let waits = status["waits_for"].to_string();
    assert!(waits.contains("an address on the LAN"), "{waits}");
    assert!(status["fault"].is_null(), "{status}");
}

/// What the image's units would run, without the systemd for which it takes an engine: `identify` decides and renders, and the
/// agent itself runs until it answers. Both in an unpacked root and in name spaces of their own, emulated where this machine
/// is another.
fn started(root: &Path) -> String {
    const SCRIPT: &str = "set -e
        ip link set lo up
        mount -t proc proc \"$0/proc\"
        in_root() { chroot \"$0\" $EMULATOR /usr/bin/computatom-agent \"$@\"; }
        in_root identify --render
        in_root run &
        curl --silent --fail --retry 120 --retry-delay 1 --retry-connrefused http://127.0.0.1:4690/status.json";
    let emulator = if cfg!(target_arch = "aarch64") {
        ""
    } else {
        std::fs::copy("/usr/bin/qemu-aarch64-static", root.join("run/emulator")).unwrap();
        "/run/emulator"
    };
    // When the script ends, so does all in its process name space.
    let mut command = command(
        "unshare --map-root-user --mount --net --uts --pid --fork --kill-child sh -c",
        Path::new(SCRIPT),
    );
    judge(command.arg(root).env("EMULATOR", emulator))
}
