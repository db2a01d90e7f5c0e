//! A Raspberry Pi 3 in QEMU, which has no firmware for it: what that would take from the card is handed to QEMU.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};

use super::{ADAPTER, SITE, disk, mac};
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

/// Kept from the kernel: the watchdog, for QEMU's model of it has no timer: arming it resets the machine at once
/// (`hw/misc/bcm2835_powermgt.c`); and `cdc_subset`, which claims QEMU's network adapter whenever it is loaded before the
/// right driver, and gives it a random address.
pub const LACKING: &str = "module_blacklist=bcm2835_wdt,cdc_subset";
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

/// QEMU's arguments beside those of all machines; `site` is what the node is to be, in Base64.
pub(super) fn arguments(folder: &Folder, node: &Node, site: &str) -> Result<Vec<String>> {
    let name = &node.name;
    let path = folder.file(COMMAND_LINE);
    let own = fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
    // There is no SMBIOS to say it in (systemd(1), "Kernel Command Line").
    let line = format!("{} {LACKING} systemd.set_credential_binary={SITE}:{site}", own.trim());
    ensure!(
        line.len() < COMMAND_LINE_SIZE,
        "what {name} is to be makes its kernel's command line {} bytes long, and {} are the most: take fewer nodes or site \
         settings for a cluster of Raspberry Pis",
        line.len(),
        COMMAND_LINE_SIZE - 1
    );
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

/// Whether QEMU has lost the port of the network adapter in the boot that began after so many bytes of a console: it does at
/// times, and nothing brings that back but another boot.
///
/// # Errors
/// The console cannot be read.
pub fn has_lost_its_port(console: &Path, from: u64) -> Result<bool> {
    let text = fs::read(console).with_context(|| format!("reading {}", console.display()))?;
    let text = String::from_utf8_lossy(text.get(usize::try_from(from)?..).unwrap_or_default());
    let boot = text.rsplit(BOOTING).next().unwrap_or_default();
    Ok(boot.contains(PORT_LOST) && !boot.contains(ADAPTER_FOUND))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_lost_in_one_boot_and_may_be_there_in_the_next() {
        let folder = tempfile::tempdir().unwrap();
        let console = folder.path().join("a.console.log");
        let lost = format!("{BOOTING}\n{PORT_LOST}\n");
        let well = format!("{BOOTING}\n{ADAPTER_FOUND}\n{PORT_LOST}\n");
        let is_lost = |text: &str, from: usize| {
            fs::write(&console, text).unwrap();
            has_lost_its_port(&console, from as u64).unwrap()
        };
        assert!(is_lost(&lost, 0));
        assert!(!is_lost(&lost, lost.len()));
        assert!(!is_lost(&format!("{lost}{well}"), 0));
        assert!(is_lost(&format!("{well}{lost}"), 0));
    }
}
