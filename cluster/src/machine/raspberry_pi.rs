//! A Raspberry Pi 3 in QEMU, which has no firmware for it: what that would take from the card is handed to QEMU.

use std::fs::{self, File};
use std::io::{ErrorKind, Read, Seek, SeekFrom};

use anyhow::{Context, Result};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use super::{ADAPTER, Accelerator, SITE, console_log, disk, mac};
use crate::folder::Folder;
use crate::plan::Node;

/// What the firmware would take from the card.
#[derive(Clone, Copy, Debug)]
pub struct Boot<'a> {
    /// The kernel.
    pub kernel: &'a [u8],
    /// The initramfs.
    pub initramfs: &'a [u8],
    /// The kernel's command line.
    pub command_line: &'a str,
}

/// What is kept from the kernel: the watchdog, for QEMU's model of it has no timer: arming it resets the machine at once
/// (`hw/misc/bcm2835_powermgt.c`); and `cdc_subset`, which claims QEMU's network adapter whenever it is loaded before the
/// right driver, and gives it a random address.
pub const WITHOUT_MODULES: &str = "bcm2835_wdt,cdc_subset";
/// The longest command line that the kernel takes, with its end (`COMMAND_LINE_SIZE`, arch/arm64/include/uapi/asm/setup.h).
const COMMAND_LINE_SIZE: usize = 2048;
/// The kernel's words when QEMU's network adapter is there, and when the port it hangs on was lost.
pub const ADAPTER_FOUND: &str = "New USB device found, idVendor=0525, idProduct=a4a2";
/// See [`ADAPTER_FOUND`].
pub const PORT_LOST: &str = "dwc2 3f980000.usb: Not connected";
/// The first words of a boot.
const BOOTING: &str = "Booting Linux";

const KERNEL: &str = "kernel";
const INITRAMFS: &str = "initramfs";
const COMMAND_LINE: &str = "cmdline.txt";

fn device_tree(name: &str) -> String {
    format!("{name}.dtb")
}

/// Keeps what all nodes boot.
///
/// # Errors
/// It cannot be written.
pub fn hand_over(folder: &Folder, boot: Boot<'_>) -> Result<()> {
    for (name, content) in [
        (KERNEL, boot.kernel),
        (INITRAMFS, boot.initramfs),
        (COMMAND_LINE, boot.command_line.as_bytes()),
    ] {
        write(folder, name, content)?;
    }
    Ok(())
}

/// Keeps the device tree of a node: a board's has its own serial number in it.
///
/// # Errors
/// It cannot be written.
pub fn hand_over_device_tree(folder: &Folder, node: &Node, content: &[u8]) -> Result<()> {
    write(folder, &device_tree(&node.name), content)
}

fn write(folder: &Folder, name: &str, content: &[u8]) -> Result<()> {
    let path = folder.file(name);
    fs::write(&path, content).with_context(|| format!("writing {}", path.display()))
}

/// A node's serial number: 16 digits, as a board's.
pub fn serial(node: &Node) -> String {
    node.uuid.chars().filter(char::is_ascii_hexdigit).take(16).collect()
}

/// The kernel's command line for a node: the image's, and what the node is to be, which there is no SMBIOS to say in.
///
/// # Errors
/// It is longer than the kernel takes.
pub fn command_line(of_image: &str, node: &Node) -> Result<String, String> {
    const BLACKLIST: &str = "module_blacklist=";
    // Of several the kernel takes the last alone.
    let (mut blacklist, mut words) = (WITHOUT_MODULES.to_owned(), Vec::new());
    for word in of_image.split_whitespace() {
        match word.strip_prefix(BLACKLIST) {
            Some(more) => blacklist.extend([",", more]),
            None => words.push(word),
        }
    }
    let site = BASE64_STANDARD.encode(node.site.to_string());
    // Emulated as it always is.
    let told = Accelerator::Tcg.words();
    words.extend(told.as_deref());
    // The level of messages by which a port that is lost is seen; then systemd(1), "Kernel Command Line".
    let line = format!(
        "{} {BLACKLIST}{blacklist} loglevel=7 systemd.set_credential_binary={SITE}:{site}",
        words.join(" ")
    );
    if line.len() >= COMMAND_LINE_SIZE {
        return Err(format!(
            "what {} is to be makes its kernel's command line {} bytes long, and {} are the most: take fewer nodes or site \
             settings for a cluster of Raspberry Pis",
            node.name,
            line.len(),
            COMMAND_LINE_SIZE - 1
        ));
    }
    Ok(line)
}

/// QEMU's arguments beside those of all machines.
pub(super) fn arguments(folder: &Folder, node: &Node) -> Result<Vec<String>> {
    let name = &node.name;
    let path = folder.file(COMMAND_LINE);
    let of_image = fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
    let line = command_line(&of_image, node).map_err(anyhow::Error::msg)?;
    let adapter = format!("usb-net,id={ADAPTER},netdev=lan,mac={}", mac(node.mac));
    let words = [
        ("-kernel", KERNEL.to_owned()),
        ("-initrd", INITRAMFS.to_owned()),
        ("-dtb", device_tree(name)),
        ("-append", line),
        ("-drive", format!("if=sd,format=qcow2,file={}", disk(name))),
        ("-device", adapter),
        // Its console is the second serial port.
        ("-serial", "null".to_owned()),
        ("-serial", "chardev:console".to_owned()),
    ];
    Ok(words
        .into_iter()
        .flat_map(|(option, value)| [option.to_owned(), value])
        .collect())
}

/// Keeps where the boot that is to come begins on the console, which has those before, too.
pub(super) fn begin_boot(folder: &Folder, name: &str) -> Result<()> {
    let before = fs::metadata(console_log(folder, name)).map_or(0, |metadata| metadata.len());
    write(folder, &beginning(name), before.to_string().as_bytes())
}

fn beginning(name: &str) -> String {
    format!("{name}.boot")
}

/// Whether QEMU has lost the port of a node's network adapter in its last boot: it does at times, and nothing brings that back but
/// another boot. (One that is lost after the adapter was found comes back by itself.)
///
/// # Errors
/// The console cannot be read.
pub fn has_lost_its_port(folder: &Folder, name: &str) -> Result<bool> {
    let begun = fs::read_to_string(folder.file(&beginning(name))).unwrap_or_default();
    let path = console_log(folder, name);
    let mut text = Vec::new();
    let read = File::open(&path).and_then(|mut file| {
        file.seek(SeekFrom::Start(begun.parse().unwrap_or_default()))?;
        file.read_to_end(&mut text)
    });
    match read {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
        read => read.with_context(|| format!("reading {}", path.display()))?,
    };
    let text = String::from_utf8_lossy(&text);
    let boot = text.rsplit(BOOTING).next().unwrap_or_default();
    Ok(boot.contains(PORT_LOST) && !boot.contains(ADAPTER_FOUND))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::plan::Plan;

    #[test]
    fn a_port_is_lost_in_one_boot_and_may_be_there_in_the_next() {
        let folder = tempfile::tempdir().unwrap();
        let folder = Folder::at(folder.path().to_owned());
        let is_lost = |text: &str| {
            fs::write(console_log(&folder, "a"), text).unwrap();
            has_lost_its_port(&folder, "a").unwrap()
        };
        let lost = format!("{BOOTING}\n{PORT_LOST}\n");
        let well = format!("{BOOTING}\n{ADAPTER_FOUND}\n{PORT_LOST}\n");
        assert!(!has_lost_its_port(&folder, "a").unwrap(), "it has shown nothing yet");
        assert!(is_lost(&lost));
        assert!(!is_lost(&format!("{lost}{well}")));
        assert!(is_lost(&format!("{well}{lost}")));
        // Off and on: what it has shown before is of another boot.
        begin_boot(&folder, "a").unwrap();
        assert!(!is_lost(&format!("{well}{lost}")));
        assert!(is_lost(&format!("{well}{lost}{lost}")));
    }

    #[test]
    fn a_command_line_has_an_end() {
        let topology = json!({"nodes": [{"name": "core-1", "roles": ["server"]}]});
        let plan = Plan::new("test", &serde_json::from_value(topology).unwrap()).unwrap();
        let [node] = plan.nodes.as_slice() else {
            panic!("one node")
        };
        let line = command_line("quiet module_blacklist=a,b root=x", node).unwrap();
        assert!(
            line.starts_with(
                "quiet root=x computatom.timerslack_ns=1000000 module_blacklist=bcm2835_wdt,cdc_subset,a,b loglevel=7 "
            ),
            "{line}"
        );
        let rest = COMMAND_LINE_SIZE - 1 - (line.len() - "quiet root=x".len() - ",a,b".len());
        assert_eq!(command_line(&"x".repeat(rest), node).unwrap().len(), 2047);
        let error = command_line(&"x".repeat(rest + 1), node).unwrap_err();
        assert!(error.contains("core-1") && error.contains("2048 bytes"), "{error}");
    }
}
