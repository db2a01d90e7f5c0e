//! systemd's other tools: what they would do waits for the end of the build or for the node.

use crate::commands::arguments::Arguments;
use crate::commands::ending::{Done, settle};
use crate::shell::process::{Command, Process, Status};

/// The tools that need a machine, or make an index at the end of the build.
pub(crate) const COMMANDS: &[(&str, Command)] = &[
    ("systemd-machine-id-setup", |process| settle(process, machine_id_setup)),
    ("dbus-uuidgen", |process| settle(process, dbus_uuidgen)),
    ("systemd-hwdb", |process| settle(process, hwdb)),
    ("journalctl", |process| settle(process, journalctl)),
    ("udevadm", |process| settle(process, udevadm)),
    ("systemd-detect-virt", |process| settle(process, detect_virt)),
    ("systemd-firstboot", |process| Ok(firstboot(process))),
    ("systemd-notify", |_| Ok(0)),
    // Without a bus there is nobody to talk to; scripts guard these calls.
    ("busctl", |_| Ok(1)),
    ("dbus-send", |_| Ok(1)),
    ("loginctl", |_| Ok(1)),
    ("hostnamectl", |_| Ok(1)),
    ("timedatectl", |_| Ok(1)),
    ("localectl", |_| Ok(1)),
    ("bootctl", |_| Ok(1)),
];

/// Leaves the file empty: the node's own init writes the id before systemd starts. (`uninitialized` would make its
/// first boot a systemd "first boot", with all presets applied anew.)
fn machine_id_setup(process: &mut Process<'_>) -> Done {
    let tree = &mut process.system.tree;
    if !tree.exists("/etc/machine-id") {
        tree.mkdir_all("/etc", 0o755)?;
        tree.write("/etc/machine-id", "", 0o444)?;
        process.note("/etc/machine-id is empty: every node makes its own");
    }
    Ok(0)
}

/// `dbus-uuidgen --ensure`: D-Bus' id is the machine's.
fn dbus_uuidgen(process: &mut Process<'_>) -> Done {
    let tree = &mut process.system.tree;
    if !tree.lexists("/var/lib/dbus/machine-id") {
        tree.mkdir_all("/var/lib/dbus", 0o755)?;
        tree.symlink("/etc/machine-id", "/var/lib/dbus/machine-id")?;
    }
    Ok(0)
}

fn hwdb(process: &mut Process<'_>) -> Done {
    let given = Arguments::of(process, &["--usr", "--strict -s", "--root -r ="])?;
    match given.operands()[..] {
        ["update"] => {
            process.system.pending.insert("hwdb".to_owned());
            Ok(0)
        }
        _ => Err(process.unsupported(given.operands.join(" ")).into()),
    }
}

fn journalctl(process: &mut Process<'_>) -> Done {
    let given = Arguments::of(
        process,
        &["--update-catalog", "--root =", "--flush", "--sync", "--rotate"],
    )?;
    if given.has("--update-catalog") {
        process.system.pending.insert("catalog".to_owned());
    }
    Ok(0)
}

fn udevadm(process: &mut Process<'_>) -> Done {
    match process.args.get(1).map(String::as_str) {
        Some("hwdb") => {
            process.system.pending.insert("hwdb".to_owned());
            Ok(0)
        }
        // There is no udevd whose rules or devices could be reloaded.
        Some("control" | "trigger" | "settle") => Ok(0),
        other => Err(process
            .unsupported(other.unwrap_or("being called without a command"))
            .into()),
    }
}

/// No virtualisation: what is built is for any machine.
fn detect_virt(process: &mut Process<'_>) -> Done {
    let given = Arguments::of(process, &["-q --quiet", "-c --container", "-v --vm", "-r --chroot"])?;
    if given.has("-r") {
        return Ok(0);
    }
    if !given.has("-q") {
        process.say("none");
    }
    Ok(1)
}

fn firstboot(process: &mut Process<'_>) -> Status {
    process.note("systemd-firstboot was not run: the node sets itself up from its site settings");
    0
}
