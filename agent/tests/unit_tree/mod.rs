//! A root with this machine's own units, stand-ins for the packages that our drop-ins extend, and `dist/`.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use tempfile::TempDir;

/// The root, and the units to look at.
#[derive(Debug)]
pub(crate) struct UnitTree {
    pub(crate) root: TempDir,
    pub(crate) units: Vec<String>,
}

pub(crate) fn build() -> UnitTree {
    let root = tempfile::tempdir().unwrap();
    let system = root.path().join("usr/lib/systemd/system");
    copy(Path::new("/usr/lib/systemd/system"), &system);
    for (folder, link) in [("usr/bin", "bin"), ("usr/sbin", "sbin"), ("usr/lib", "lib")] {
        fs::create_dir_all(root.path().join(folder)).unwrap();
        symlink(folder, root.path().join(link)).unwrap();
    }
    for program in [
        "bin/computatom-agent",
        "bin/consul",
        "bin/mv",
        "bin/networkctl",
        "bin/nomad",
        "bin/rm",
        "bin/ssh-keygen",
        "bin/stand-in",
        "bin/sync",
        "bin/systemd-tmpfiles",
        "bin/udevadm",
        "lib/systemd/systemd-networkd",
        "sbin/dockerd",
        "sbin/modprobe",
    ] {
        let path = root.path().join("usr").join(program);
        fs::write(&path, "").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let dist = Path::new(env!("CARGO_MANIFEST_DIR")).join("dist/usr/lib/systemd/system");
    let mut units = Vec::new();
    for entry in fs::read_dir(&dist).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let unit = name.strip_suffix(".d").unwrap_or(&name).to_owned();
        let place = system.join(&unit);
        // systemd's own are here as they are, but for udev's; a package's may or may not be installed on this machine.
        if unit != name && !(unit.starts_with("systemd-") && place.exists()) {
            let _ = fs::remove_file(&place);
            let kind = if unit.ends_with(".socket") {
                "[Socket]\nListenStream=/run/stand-in.sock\n"
            } else {
                "[Service]\nExecStart=/usr/bin/stand-in\n"
            };
            fs::write(place, format!("[Unit]\nDescription=x\n{kind}")).unwrap();
        }
        units.push(unit);
    }
    copy(&dist, &system);
    units.sort();
    UnitTree { root, units }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let (kind, target) = (entry.file_type().unwrap(), to.join(entry.file_name()));
        if kind.is_dir() {
            copy(&entry.path(), &target);
        } else if kind.is_symlink() {
            let _ = symlink(fs::read_link(entry.path()).unwrap(), target);
        } else {
            fs::copy(entry.path(), &target).unwrap();
        }
    }
}
