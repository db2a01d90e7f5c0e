//! What a Raspberry Pi's firmware would start from an image: the decisions between power-on and the kernel's first
//! instruction, made from the bytes of the finished image and nothing else.
//!
//! After raspberrypi.com/documentation/computers/config_txt.html and the decisions measured on a Pi 4 (the golden table
//! in the tests). Every image is checked with it at the end of its build; the end-to-end test takes kernel, device tree,
//! initramfs and command line from it, as QEMU has no Pi firmware.

/// A card as firmware sees it.
pub mod card;

mod config;

/// Boot EEPROMs by their date.
pub mod eeprom;

/// The boards.
pub mod models;

/// What a boot partition comes to.
pub mod os;

/// From power-on to the kernel.
pub mod start;

/// U-Boot and the kernel that it starts.
pub mod u_boot;

/// systemd-boot and the kernel that it starts.
pub mod uefi;

use std::fs::File;
use std::path::Path;

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use computatom_spec::boot;

use self::card::ImageCard;
use self::eeprom::Eeprom;
pub use self::models::Board;
use self::start::Firmware;
use super::medium::Medium;
use super::partitions::Table;
use super::verity;

/// `arch/arm64/include/asm/image.h`
const ARM64_MAGIC: (usize, &[u8]) = (56, b"ARM\x64");
/// `arch/arm/boot/compressed/head.S`
const ZIMAGE_MAGIC: (usize, &[u8]) = (0x24, b"\x18\x28\x6f\x01");
const DEVICE_TREE_MAGIC: &[u8] = b"\xd0\x0d\xfe\xed";
const NEWC_MAGIC: &[u8] = b"070701";

/// A boot EEPROM that does not see the sections of autoboot.txt.
const OLD_EEPROM: &str = "2021-04-29";

/// What is asked of the model.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// The one-shot flag for a trial boot is set.
    pub tryboot: bool,
    /// The boot EEPROM, on boards that have one.
    pub eeprom: Eeprom,
}

/// What is started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Boot {
    /// Number of the boot partition.
    pub partition: u8,
    /// Name of the kernel on it.
    pub kernel_name: String,
    /// The kernel.
    pub kernel: Bytes,
    /// It is started in 64-bit mode.
    pub sixty_four: bool,
    /// The initramfs; empty if config.txt names none.
    pub initramfs: Bytes,
    /// Name of the device tree.
    pub device_tree_name: String,
    /// The device tree.
    pub device_tree: Bytes,
    /// The command line, without what the firmware adds of its own.
    pub cmdline: String,
}

/// Follows the firmware of `board` through the image at `image`.
///
/// # Errors
///
/// Fails where the board would stay dark, and says why.
pub fn boot(image: &Path, board: Board, options: &Options) -> Result<Boot> {
    let file = File::open(image).with_context(|| format!("opening image {}", image.display()))?;
    boot_from(&ImageCard::open(&file)?, board, options)
}

fn boot_from(card: &ImageCard<'_>, board: Board, options: &Options) -> Result<Boot> {
    let mut firmware = Firmware::new(card, board, options.eeprom.clone());
    firmware.flags.tryboot = options.tryboot;
    let outcome = firmware.start();
    let title = board.model().title;
    let Some(taken) = outcome.selection() else {
        bail!("a {title} would not start: {}", outcome.reason());
    };
    let must = |path: &str| card::must(card, taken.partition, path, title);
    Ok(Boot {
        partition: taken.partition,
        kernel: must(&taken.kernel)?,
        kernel_name: taken.kernel.clone(),
        sixty_four: taken.sixty_four,
        initramfs: if taken.initramfs.is_empty() {
            Bytes::new()
        } else {
            must(&taken.initramfs)?
        },
        device_tree: must(&taken.device_tree)?,
        device_tree_name: taken.device_tree.clone(),
        cmdline: taken.cmdline.clone(),
    })
}

/// Boots each of `boards` from an image in every way a fresh card can be asked to, and looks at what would be started.
///
/// # Errors
///
/// Fails if one of them does not end in a kernel, an initramfs, a device tree and an existing squashfs root.
pub fn check(image: &dyn Medium, boards: &[Board]) -> Result<()> {
    let card = ImageCard::open(image)?;
    let old = Eeprom::of(OLD_EEPROM.parse()?);
    let ways = [
        ("a normal boot", false, Eeprom::default()),
        ("a trial boot", true, Eeprom::default()),
        ("a boot with an old EEPROM", false, old),
    ];
    // What several boards start is looked at once.
    let mut seen: Vec<(u8, String, String)> = Vec::new();
    for board in boards {
        let ways = &ways[..if board.existed(OLD_EEPROM) {
            ways.len()
        } else {
            ways.len() - 1
        }];
        for (way, tryboot, eeprom) in ways {
            let options = Options {
                tryboot: *tryboot,
                eeprom: eeprom.clone(),
            };
            let context = || format!("checking that {way} of a {} finds its way", board.model().title);
            let boot = boot_from(&card, *board, &options).with_context(context)?;
            let key = (boot.partition, boot.kernel_name.clone(), boot.device_tree_name.clone());
            if !seen.contains(&key) {
                check_boot(image, card.table(), &boot).with_context(context)?;
                seen.push(key);
            }
        }
    }
    Ok(())
}

fn check_boot(image: &dyn Medium, table: &Table, boot: &Boot) -> Result<()> {
    let ((at, magic), kind) = if boot.sixty_four {
        (ARM64_MAGIC, "an arm64")
    } else {
        (ZIMAGE_MAGIC, "a 32-bit Arm")
    };
    if boot.kernel.get(at..at + magic.len()) != Some(magic) {
        bail!("{} is not {kind} kernel image", boot.kernel_name);
    }
    if !boot.device_tree.starts_with(DEVICE_TREE_MAGIC) {
        bail!("{} is not a device tree", boot.device_tree_name);
    }
    if !boot.initramfs.starts_with(NEWC_MAGIC) {
        bail!("the initramfs is not a newc archive");
    }
    if boot.cmdline.is_empty() {
        bail!("partition {} has no cmdline.txt, or an empty one", boot.partition);
    }
    check_root(image, table, &boot.cmdline)
}

/// Fails if there is no squashfs where the command line says that the root is, or its hash tree comes to something else.
fn check_root(image: &dyn Medium, table: &Table, cmdline: &str) -> Result<()> {
    let value = |name: &str| {
        cmdline
            .split_whitespace()
            .find_map(|word| word.strip_prefix(name)?.strip_prefix('='))
    };
    let root = value(boot::ROOT).and_then(|root| root.strip_prefix("PARTUUID="));
    let root = root.context("the command line names no root by PARTUUID")?;
    let partition = table
        .partitions
        .iter()
        .find(|partition| table.partuuid(partition.number).is_ok_and(|id| id == root))
        .with_context(|| format!("the command line's root {root} is not in the partition table"))?;
    let hash = verity::root_hash(image, partition.start)
        .with_context(|| format!("reading partition {}, the root", partition.number))?;
    let asked = value(boot::ROOT_HASH).context("the command line has no root hash")?;
    if hash.hex() != asked {
        bail!(
            "the command line's root hash is {asked}, and that of partition {} {hash}",
            partition.number
        );
    }
    Ok(())
}

#[cfg(test)]
mod documented;
#[cfg(test)]
mod measured;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
