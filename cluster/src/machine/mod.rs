//! A virtual machine: QEMU's command line for a node, its disk, its variables, its console.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::json;

use crate::folder::{Folder, State};
use crate::plan::Node;
use crate::process::Process;
use crate::segment::Mac;

/// What QEMU computes with.
mod accelerator;

/// UEFI firmware.
mod firmware;

/// Which machines there are.
mod kind;

/// A Raspberry Pi, which has no firmware in QEMU.
pub mod raspberry_pi;

/// QEMU's control socket.
mod qmp;

pub use accelerator::Accelerator;
pub use firmware::Firmware;
pub use kind::{Fixed, Kind};
pub use qmp::Qmp;

/// The first QEMU with `-netdev dgram` (qemu-doc, "Network options"; its change log of 7.2), which Debian 12 has.
const OLDEST: (u32, u32) = (7, 2);

/// Checks that QEMU, new enough, and, for machines that have one, its firmware are installed.
///
/// # Errors
/// How to get them.
pub fn check_programs(kind: Kind) -> Result<()> {
    let said = says_version(kind.program()).with_context(|| kind.missing())?;
    // Of another form than all so far: QEMU itself says what it does not know.
    if let Some((major, minor)) = version(&said)
        && (major, minor) < OLDEST
    {
        bail!(
            "{} is of QEMU {major}.{minor}, and the nodes' network takes {}.{} or newer: install a newer one",
            kind.program(),
            OLDEST.0,
            OLDEST.1
        );
    }
    says_version("qemu-img").context("qemu-img is not there: install it (Debian's package qemu-utils)")?;
    Firmware::find(kind).map(drop)
}

/// What a program answers to `--version`; none, where it does not run.
fn says_version(program: &str) -> Option<String> {
    let output = Command::new(program).arg("--version").output().ok()?;
    (output.status.success()).then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The first two numbers of `QEMU emulator version 7.2.22 (Debian 1:7.2+dfsg-7+deb12u18)`.
fn version(said: &str) -> Option<(u32, u32)> {
    let (_, rest) = said.split_once("version ")?;
    let mut numbers = rest.split(|c: char| !c.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

/// Makes the node's disk, empty but for what the image has; what was on it is gone.
///
/// # Errors
/// qemu-img says why.
pub fn make_disk(folder: &Folder, state: &State, node: &Node) -> Result<()> {
    let _ = fs::remove_file(folder.file(&variables(&node.name)));
    let output = Command::new("qemu-img")
        .current_dir(folder.path())
        .args(["create", "-q", "-f", "qcow2", "-F", "raw", "-b"])
        .arg(&state.base)
        .arg(disk(&node.name))
        .arg(format!("{}G", node.disk_gib))
        .output()
        .context("running qemu-img (Debian's package qemu-utils)")?;
    ensure!(
        output.status.success(),
        "making the disk of {}: {}",
        node.name,
        String::from_utf8_lossy(&output.stderr).trim()
    );
    Ok(())
}

/// Powers a node on.
///
/// # Errors
/// QEMU ends at once, in its own words; or it is on already.
pub fn start(folder: &Folder, state: &State, node: &Node) -> Result<()> {
    if Process::find(folder, &node.name)?.is_some() {
        bail!("{} is on already", node.name);
    }
    let kind = state.plan.kind().map_err(anyhow::Error::msg)?;
    if !folder.file(&disk(&node.name)).exists() {
        make_disk(folder, state, node)?;
    }
    let mut arguments = arguments(state, node, kind);
    if let Some(firmware) = Firmware::find(kind)? {
        firmware.give_variables(&folder.file(&variables(&node.name)))?;
        let told = folder.file(&credential(&node.name));
        let site = BASE64_STANDARD.encode(serde_json::to_vec(&node.site)?);
        fs::write(&told, format!("io.systemd.credential.binary:{SITE}={site}"))
            .with_context(|| format!("writing {}", told.display()))?;
        arguments.extend(of_uefi(state, node, kind, &firmware));
    } else {
        raspberry_pi::begin_boot(folder, &node.name)?;
        arguments.extend(raspberry_pi::arguments(folder, node)?);
    }
    let mut child = Process::start(folder, &node.name, Path::new(kind.program()), &arguments)?;
    answers(folder, &node.name, &mut child)?;
    if folder.faults()?.unplugged.contains(&node.name) {
        plug(folder, node, false)?;
    }
    Ok(())
}

/// Pulls the cable of a node that is on, or puts it in.
///
/// # Errors
/// QEMU does not answer.
pub fn plug(folder: &Folder, node: &Node, up: bool) -> Result<()> {
    Qmp::connect(folder, &node.name)?.execute("set_link", &json!({"name": ADAPTER, "up": up}))?;
    Ok(())
}

/// Waits until QEMU answers; what is wrong with its arguments it says before.
pub(crate) fn answers(folder: &Folder, name: &str, child: &mut Child) -> Result<()> {
    let began = Instant::now();
    loop {
        if let Ok(mut qmp) = Qmp::connect(folder, name)
            && qmp.execute("query-status", &json!({})).is_ok()
        {
            return Ok(());
        }
        if let Some(status) = child.try_wait()? {
            let log = folder.file(&format!("{name}.log"));
            let said = fs::read_to_string(&log).unwrap_or_default();
            bail!("QEMU ended ({status}) while starting {name}: {}", said.trim());
        }
        if began.elapsed() > Duration::from_secs(30) {
            child.kill()?;
            bail!("QEMU did not answer for 30 s while starting {name}");
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

const ADAPTER: &str = "net0";
/// The system credential that says what a node is to be.
const SITE: &str = "computatom.site";

fn disk(name: &str) -> String {
    format!("{name}.qcow2")
}

fn variables(name: &str) -> String {
    format!("{name}.vars.fd")
}

fn credential(name: &str) -> String {
    format!("{name}.credential")
}

/// The socket of a node's console.
pub fn console(name: &str) -> String {
    format!("{name}.console.sock")
}

/// All that a node's console has shown.
pub fn console_log(folder: &Folder, name: &str) -> PathBuf {
    folder.file(&format!("{name}.console.log"))
}

/// What machines of all kinds have.
fn arguments(state: &State, node: &Node, kind: Kind) -> Vec<String> {
    let name = &node.name;
    let mut words: Vec<String> = kind
        .arguments(state.accelerator)
        .into_iter()
        .map(str::to_owned)
        .collect();
    let mut pair = |option: &str, value: String| words.extend([option.to_owned(), value]);
    pair("-accel", state.accelerator.arguments().to_owned());
    pair("-smp", node.cpus.to_string());
    pair("-m", node.memory_mib.to_string());
    pair("-netdev", wire("lan", name));
    pair(
        "-chardev",
        format!(
            "socket,id=console,path={},server=on,wait=off,logfile={name}.console.log,logappend=on",
            console(name)
        ),
    );
    pair("-qmp", format!("unix:{},server=on,wait=off", Qmp::socket(name)));
    words.extend(["-nodefaults", "-display", "none"].map(str::to_owned));
    words
}

/// What those with UEFI have besides.
fn of_uefi(state: &State, node: &Node, kind: Kind, firmware: &Firmware) -> Vec<String> {
    let name = &node.name;
    let mut words = Vec::new();
    let mut pair = |option: &str, value: String| words.extend([option.to_owned(), value]);
    pair("-uuid", node.uuid.clone());
    for drive in firmware.drives(&variables(name)) {
        pair("-drive", drive);
    }
    pair(
        "-drive",
        format!("if=none,id=disk,format=qcow2,discard=unmap,file={}", disk(name)),
    );
    // Told what to boot from, the firmware need not make everything ready that it could.
    pair("-device", "virtio-blk-pci,drive=disk,bootindex=1".to_owned());
    // No firmware of its own: it would try to boot from the network.
    let mac = mac(node.mac);
    pair(
        "-device",
        format!("virtio-net-pci,id={ADAPTER},netdev=lan,mac={mac},romfile="),
    );
    // What the machine is told (systemd.exec(5), "CREDENTIALS"); from a file, as commas would have to be doubled.
    pair("-smbios", format!("type=11,path={}", credential(name)));
    if let Some(words) = kind.command_line(state.accelerator) {
        pair("-smbios", more_words(&words));
    }
    pair("-serial", "chardev:console".to_owned());
    words
}

/// A port of the segment as QEMU's `-netdev`.
pub(crate) fn wire(id: &str, name: &str) -> String {
    let (switch, own) = Folder::wire(name);
    format!("dgram,id={id},local.type=unix,local.path={own},remote.type=unix,remote.path={switch}")
}

/// QEMU's `-smbios` for what systemd's stub appends to the kernel's command line (systemd-stub(7), "SMBIOS").
pub fn more_words(words: &str) -> String {
    format!("type=11,value=io.systemd.stub.kernel-cmdline-extra={words}")
}

/// QEMU takes a comma for the end of a value, two for one.
fn escaped(value: &str) -> String {
    value.replace(',', ",,")
}

/// An adapter's address as people write it.
pub fn mac(mac: Mac) -> String {
    mac.map(|byte| format!("{byte:02x}")).join(":")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_read_from_what_qemu_says() {
        let debian =
            "QEMU emulator version 7.2.22 (Debian 1:7.2+dfsg-7+deb12u18)\nCopyright (c) 2003-2022 Fabrice Bellard\n";
        assert_eq!(version(debian), Some((7, 2)));
        assert_eq!(version("QEMU emulator version 10.0.2\n"), Some((10, 0)));
        assert_eq!(version("QEMU emulator version 10.1-rc0"), Some((10, 1)));
        assert_eq!(version("QEMU emulator version x"), None);
        assert_eq!(version(""), None);
    }
}
