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
    let said = agent(&root, &["--version"]);
    assert!(said.starts_with("computatom-agent "), "{said}");
    // It finds the settings and the roles of the image, and decides.
    let said = agent(&root, &["identify", "--help"]);
    assert!(said.contains("Derive name and roles"), "{said}");
}

/// Runs the agent in an unpacked root, in name spaces of its own, emulated where this machine is another.
fn agent(root: &Path, arguments: &[&str]) -> String {
    let emulator = "/usr/bin/qemu-aarch64-static";
    let inside = root.join("usr/bin/computatom-agent");
    let mut command = if cfg!(target_arch = "aarch64") {
        let mut command = command("unshare --map-root-user --mount --uts --pid --fork --root", root);
        command.arg("/usr/bin/computatom-agent");
        command
    } else {
        let mut command = Command::new(emulator);
        command.arg("-L").arg(root).arg(inside);
        command
    };
    judge(command.args(arguments))
}
