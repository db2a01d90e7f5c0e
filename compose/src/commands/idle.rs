//! Commands about the running machine: a root that is being composed has no processes, kernel, devices or network.

use super::arguments::Arguments;
use super::ending::{Done, settle};
use crate::shell::process::{Command, Process, Status};

/// Each command and what it answers. Nothing is lost here: the node does these things when it boots.
pub(crate) const COMMANDS: &[(&str, Command)] = &[
    // services: policy-rc.d of a build says "not now"
    ("service", |process| Ok(service(process))),
    ("invoke-rc.d", |process| Ok(service(process))),
    ("start-stop-daemon", |_| Ok(0)),
    ("policy-rc.d", |_| Ok(101)),
    ("runlevel", |process| {
        process.say("unknown");
        Ok(0)
    }),
    ("telinit", |_| Ok(0)),
    ("init", |_| Ok(0)),
    ("initctl", |_| Ok(1)),
    ("pidof", |_| Ok(1)),
    ("pgrep", |_| Ok(1)),
    ("pkill", |_| Ok(1)),
    ("killall", |_| Ok(1)),
    ("who", |_| Ok(0)),
    ("/usr/lib/runit-helper/runit-helper", |_| Ok(0)),
    ("runit-helper", |_| Ok(0)),
    // kernel
    ("lsmod", |process| {
        process.say("Module                  Size  Used by");
        Ok(0)
    }),
    ("modprobe", |_| Ok(0)),
    ("rmmod", |_| Ok(0)),
    ("sysctl", |_| Ok(0)),
    ("/usr/lib/systemd/systemd-sysctl", |_| Ok(0)),
    ("/usr/lib/systemd/systemd-binfmt", |_| Ok(0)),
    ("update-binfmts", |process| {
        process.note("binary formats are registered on the node");
        Ok(0)
    }),
    ("setupcon", |_| Ok(0)),
    ("iptables", |_| Ok(0)),
    ("iptables-save", |_| Ok(0)),
    ("ip6tables", |_| Ok(0)),
    ("ip6tables-save", |_| Ok(0)),
    ("nft", |_| Ok(0)),
    ("losetup", |_| Ok(1)),
    ("swapon", |_| Ok(0)),
    ("swapoff", |_| Ok(0)),
    // servers' own tools: none answers, and what they would check they check when they start
    ("auditctl", |_| Ok(0)),
    ("lpstat", |process| {
        process.say("scheduler is not running");
        Ok(0)
    }),
    ("named-checkconf", |process| Ok(unchecked(process))),
    ("proftpd", |process| match process.args.get(1).map(String::as_str) {
        Some("-t") => Ok(unchecked(process)),
        _ => Err(process.unsupported("anything but -t")),
    }),
    ("munin-node-configure", |process| {
        process.note("the plugins for a machine are chosen on it: `munin-node-configure --shell | sh`");
        Ok(0)
    }),
    // security modules: none is active while an image is built
    ("apparmor_parser", |_| Ok(0)),
    ("aa-enabled", |_| Ok(1)),
    ("aa-status", |_| Ok(1)),
    ("aa-remove-unknown", |_| Ok(0)),
    ("selinuxenabled", |_| Ok(1)),
    ("restorecon", |_| Ok(0)),
    ("/sbin/restorecon", |_| Ok(0)),
    // sockets: none is open
    ("ss", |_| Ok(0)),
    ("netstat", |_| Ok(0)),
    // volumes: none is active
    ("vgcfgbackup", |_| Ok(0)),
    ("findmnt", |_| Ok(1)),
    // mounts and places
    ("df", |process| settle(process, df)),
    ("mountpoint", |process| settle(process, mountpoint)),
    ("ischroot", |_| Ok(0)),
    ("nscd", |_| Ok(0)),
    ("notify-reboot-required", |_| Ok(0)),
    ("/usr/share/update-notifier/notify-reboot-required", |_| Ok(0)),
    ("update-grub", |_| Ok(0)),
    ("update-menus", |_| Ok(0)),
    ("vipw", |process| Err(process.unsupported("an editor"))),
    ("vigr", |process| Err(process.unsupported("an editor"))),
];

fn unchecked(process: &mut Process<'_>) -> Status {
    process.note("its configuration is not checked before it starts on the node");
    0
}

/// The only file system that a build mounts for scripts is /proc.
fn mountpoint(process: &mut Process<'_>) -> Done {
    let given = Arguments::of(process, &["-q --quiet", "-d --fs-devno"])?;
    Ok(u8::from(given.operands() != ["/proc"]))
}

/// Free space in blocks of 1 KiB: an image is as large as it becomes. Eight exbibytes are what a file may have.
fn df(process: &mut Process<'_>) -> Done {
    let given = Arguments::of(process, &["--output =", "-k", "-P --portability"])?;
    match given.value("--output") {
        Some("avail") => {
            process.say("    Avail");
            for _ in 0..given.operands.len().max(1) {
                process.say("9007199254740991");
            }
            Ok(0)
        }
        _ => Err(process.unsupported("anything but --output=avail").into()),
    }
}

/// invoke-rc.d and service: nothing runs, so a status is 3 (not running) and any other action is fine.
fn service(process: &Process<'_>) -> Status {
    if process.args.iter().any(|arg| arg == "status") {
        3
    } else {
        0
    }
}
