//! systemd judges the units and drop-ins of `dist/`, laid over the units that they extend.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod unit_tree;

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

/// systemd's own judge. A test that cannot ask fails.
fn analyze() -> Command {
    let program = "systemd-analyze";
    assert!(
        Command::new(program).arg("--version").output().is_ok(),
        "systemd-analyze is missing: apt-get install systemd (scripts/tools.sh has all that tests need)"
    );
    Command::new(program)
}

#[test]
fn systemd_accepts_every_unit_and_drop_in() {
    let tree = unit_tree::build();
    let output = analyze()
        .arg(format!("--root={}", tree.root.path().display()))
        .args(["--man=no", "--recursive-errors=no", "verify"])
        .args(&tree.units)
        .output()
        .expect("systemd-analyze is the judge here: install it (package systemd)");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.trim().is_empty(), "{said}");
}

#[test]
fn a_wrong_unit_is_seen() {
    let tree = unit_tree::build();
    let drop_in = tree
        .root
        .path()
        .join("usr/lib/systemd/system/consul.service.d/99-wrong.conf");
    std::fs::write(drop_in, "[Service]\nNoSuchSetting=yes\n").unwrap();
    let output = analyze()
        .arg(format!("--root={}", tree.root.path().display()))
        .args(["--man=no", "--recursive-errors=no", "verify", "consul.service"])
        .output()
        .expect("systemd-analyze is the judge here: install it (package systemd)");
    assert!(String::from_utf8_lossy(&output.stderr).contains("NoSuchSetting"));
}

/// The commands and conditions of `computatom-ssh-keys.service`, in a folder instead of on DATA.
#[test]
fn an_ssh_key_that_a_power_cut_left_empty_is_made_again() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().to_str().unwrap();
    let unit = Path::new(env!("CARGO_MANIFEST_DIR")).join("dist/usr/lib/systemd/system/computatom-ssh-keys.service");
    let unit = std::fs::read_to_string(unit)
        .unwrap()
        .replace("/var/lib/computatom/ssh", place);
    let key = folder.path().join("ssh_host_ed25519_key");
    let condition = unit.lines().find(|line| line.starts_with("ConditionFile")).unwrap();
    let wanted = || {
        analyze()
            .args(["condition", condition])
            .output()
            .unwrap()
            .status
            .success()
    };
    let commands = || {
        for line in unit.lines().filter_map(|line| line.strip_prefix("ExecStart=")) {
            let status = Command::new("sh").args(["-c", line]).status().unwrap();
            assert!(status.success(), "{line} (apt-get install openssh-client)");
        }
    };
    assert!(wanted(), "no key");
    std::fs::write(&key, "").unwrap();
    std::fs::write(folder.path().join("new"), "half a k").unwrap();
    assert!(wanted(), "an empty key");
    commands();
    assert!(!wanted(), "a key");
    let shown = Command::new("ssh-keygen")
        .arg("-l")
        .arg("-f")
        .arg(&key)
        .output()
        .unwrap();
    assert!(String::from_utf8_lossy(&shown.stdout).contains("(ED25519)"));
    assert_eq!(std::fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2);
}

/// Subsystems without events at boot; what else the first trigger of udev leaves out must be in the second.
const WITHOUT_EVENTS: [&str; 13] = [
    "memory",
    "memory_tiering",
    "node",
    "bdi",
    "workqueue",
    "wakeup",
    "event_source",
    "clockevents",
    "clocksource",
    "serial-base",
    "vtconsole",
    "mem",
    "vc",
];

#[test]
fn no_device_is_forgotten_between_the_two_triggers() {
    let named = |unit: &str, option: &str| -> Vec<String> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("dist/usr/lib/systemd/system");
        let text = std::fs::read_to_string(folder.join(unit)).unwrap();
        text.split_ascii_whitespace()
            .filter_map(|word| word.strip_prefix(option).map(str::to_owned))
            .collect()
    };
    let first = named(
        "systemd-udev-trigger.service.d/10-computatom.conf",
        "--subsystem-nomatch=",
    );
    let second = named("computatom-devices.service", "--subsystem-match=");
    let (never, later) = first.split_at(WITHOUT_EVENTS.len());
    assert_eq!(never, WITHOUT_EVENTS);
    assert_eq!(later, second);
}
