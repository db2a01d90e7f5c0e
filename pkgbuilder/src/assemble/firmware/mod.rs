//! What a Raspberry Pi's firmware would start from an image: the decisions between power-on and the kernel's first
//! instruction, made from the bytes of the finished image and nothing else.
//!
//! After raspberrypi.com/documentation/computers/config_txt.html and the decisions measured on a Pi 4 (the golden table
//! in the tests). Every image is checked with it at the end of its build; the end-to-end test takes kernel, device tree,
//! initramfs and command line from it, as QEMU has no Pi firmware.

mod config;

/// systemd-boot and the kernel that it starts.
pub mod uefi;

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

use anyhow::{Context, Result, bail};
use computatom_spec::boot;

use self::config::{Config, State};
use super::fat::Volume;
use super::partitions::{Kind, Table};
use super::verity;

/// Longest `autoboot.txt` the firmware reads.
const AUTOBOOT_LIMIT: usize = 512;
/// `s_magic`, and the superblock up to `bytes_used` (`fs/squashfs/squashfs_fs.h`).
const SQUASHFS_MAGIC: &[u8] = b"hsqs";
const SQUASHFS_HEAD: usize = BYTES_USED_AT + 8;
const BYTES_USED_AT: usize = 40;
/// `arch/arm64/include/asm/image.h`
const ARM64_MAGIC: (usize, &[u8]) = (56, b"ARM\x64");
/// A zImage (`arch/arm/boot/compressed/head.S`).
const ARM_MAGIC: (usize, &[u8]) = (36, b"\x18\x28\x6f\x01");
const DEVICE_TREE_MAGIC: &[u8] = b"\xd0\x0d\xfe\xed";
const NEWC_MAGIC: &[u8] = b"070701";

/// A model whose firmware is modelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Board {
    /// Raspberry Pi Zero: as the Pi 3, with a 32-bit kernel.
    Pi0,
    /// Raspberry Pi 3 Model B: the ROM loads `bootcode.bin` from the first FAT.
    Pi3,
    /// Raspberry Pi 4 Model B: the boot loader is in an EEPROM on the board.
    Pi4,
}

impl Board {
    /// The name of its section in config.txt.
    fn filter(self) -> &'static str {
        match self {
            Self::Pi0 => "pi0",
            Self::Pi3 => "pi3",
            Self::Pi4 => "pi4",
        }
    }

    /// The file that is the firmware.
    pub fn start_file(self) -> &'static str {
        match self {
            Self::Pi0 | Self::Pi3 => "start.elf",
            Self::Pi4 => "start4.elf",
        }
    }

    /// The kernel that is looked for unless config.txt names one.
    fn kernel(self) -> &'static str {
        match self {
            Self::Pi0 => "kernel.img",
            Self::Pi3 | Self::Pi4 => "kernel8.img",
        }
    }

    /// Device trees in the order they are looked for, with `upstream_kernel=1` or without.
    fn device_trees(self, upstream: bool) -> &'static [&'static str] {
        match (self, upstream) {
            (Self::Pi0, true) => &["bcm2835-rpi-zero.dtb", "bcm2708-rpi-zero.dtb"],
            (Self::Pi0, false) => &["bcm2708-rpi-zero.dtb"],
            (Self::Pi3, true) => &["bcm2837-rpi-3-b.dtb", "bcm2710-rpi-3-b.dtb"],
            (Self::Pi3, false) => &["bcm2710-rpi-3-b.dtb"],
            (Self::Pi4, _) => &["bcm2711-rpi-4-b.dtb"],
        }
    }
}

/// What the firmware knows besides the card.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// The one-shot flag for a trial boot is set.
    pub tryboot: bool,
    /// A boot EEPROM from before 2022, which takes no notice of sections in autoboot.txt: the last line wins.
    pub old_eeprom: bool,
}

/// What is started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Boot {
    /// Number of the boot partition.
    pub partition: u8,
    /// Name of the kernel on it.
    pub kernel_name: String,
    /// The kernel.
    pub kernel: Vec<u8>,
    /// The initramfs; empty if config.txt names none.
    pub initramfs: Vec<u8>,
    /// Name of the device tree.
    pub device_tree_name: String,
    /// The device tree.
    pub device_tree: Vec<u8>,
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
    let table = Table::read_primary(&file)?;
    let (partition, ab) = select_partition(&file, &table, board, options)?;
    let volume = Volume::open(&file, table.get(partition)?)?;
    let must = |name: &str| -> Result<Vec<u8>> {
        let content = volume.read(name)?;
        content.with_context(|| format!("boot partition {partition} has no {name}: a {board:?} stays dark"))
    };
    must(board.start_file())?;
    let settings = if options.tryboot && !ab {
        "tryboot.txt"
    } else {
        "config.txt"
    };
    let state = State {
        model: board.filter(),
        tryboot: options.tryboot,
        partition: Some(partition),
    };
    let text = volume.read(settings)?.unwrap_or_default();
    let config = Config::parse(&String::from_utf8_lossy(&text), &state);
    if config.flag("auto_initramfs") {
        bail!("{settings} sets auto_initramfs, which the firmware model does not know: name the file with `initramfs`");
    }
    if !config.flag("arm_64bit") && board == Board::Pi3 {
        bail!("{settings} does not set arm_64bit=1: a {board:?} would look for a 32-bit kernel");
    }
    if config.flag("arm_64bit") && board == Board::Pi0 {
        bail!("{settings} sets arm_64bit=1, and a {board:?} has a 32-bit processor");
    }
    let prefix = os_prefix(&volume, &config, board)?;
    let kernel_name = kernel_name(&volume, &config, &prefix, board)?;
    let kernel = must(&kernel_name)?;
    let upstream = config.flag("upstream_kernel");
    let device_tree_name = match config.get("device_tree") {
        Some(name) => format!("{prefix}{name}"),
        None => find_device_tree(&volume, board, upstream, &prefix)?
            .with_context(|| format!("boot partition {partition} has no device tree for a {board:?}"))?,
    };
    let initramfs = match config.initramfs() {
        Some(name) => must(&format!("{prefix}{name}"))?,
        None => Vec::new(),
    };
    let command_line_file = format!("{prefix}{}", config.get("cmdline").unwrap_or("cmdline.txt"));
    let cmdline = String::from_utf8_lossy(&must(&command_line_file)?)
        .lines()
        .next()
        .unwrap_or_default()
        .trim()
        .to_owned();
    Ok(Boot {
        partition,
        kernel,
        kernel_name,
        initramfs,
        device_tree: must(&device_tree_name)?,
        device_tree_name,
        cmdline,
    })
}

/// The partition to boot, and whether autoboot.txt makes a trial choose a partition rather than `tryboot.txt`.
fn select_partition(file: &File, table: &Table, board: Board, options: &Options) -> Result<(u8, bool)> {
    let mut volumes = table.partitions.iter().filter(|partition| partition.kind == Kind::Fat);
    let first = *volumes.clone().next().context("the image has no FAT partition")?;
    let volume = Volume::open(file, first)?;
    if board != Board::Pi4 && volume.read("bootcode.bin")?.is_none() {
        bail!(
            "the first FAT partition has no bootcode.bin: the ROM of a {board:?} looks for it there and nowhere else"
        );
    }
    let mut text = volume.read("autoboot.txt")?.unwrap_or_default();
    text.truncate(AUTOBOOT_LIMIT);
    let text = String::from_utf8_lossy(&text).into_owned();
    let state = State {
        model: "",
        tryboot: options.tryboot,
        partition: None,
    };
    let config = if options.old_eeprom {
        Config::without_sections(&text)
    } else {
        Config::parse(&text, &state)
    };
    let ab = config.flag("tryboot_a_b");
    if let Some(number) = config
        .get("boot_partition")
        .and_then(|number| number.parse::<u8>().ok())
    {
        let partition = table.get(number).context("following boot_partition of autoboot.txt")?;
        if partition.kind != Kind::Fat {
            bail!("autoboot.txt names partition {number}, which is no FAT partition");
        }
        return Ok((number, ab));
    }
    // Without a choice: the first FAT with firmware.
    let with_firmware = volumes.find_map(|partition| {
        let found = Volume::open(file, *partition).and_then(|volume| volume.read(board.start_file()));
        matches!(found, Ok(Some(_))).then_some(partition.number)
    });
    let number = with_firmware
        .with_context(|| format!("no FAT partition holds {}: a {board:?} stays dark", board.start_file()))?;
    Ok((number, ab))
}

/// `os_prefix`, or `upstream/` for an upstream kernel; dropped where kernel and device tree are not found behind it.
fn os_prefix(volume: &Volume<'_>, config: &Config, board: Board) -> Result<String> {
    let upstream = config.flag("upstream_kernel");
    let default = if upstream { "upstream/" } else { "" };
    let prefix = config.get("os_prefix").unwrap_or(default).to_owned();
    let kernel = volume.read(&format!("{prefix}{}", config.get("kernel").unwrap_or(board.kernel())))?;
    if kernel.is_some() && find_device_tree(volume, board, upstream, &prefix)?.is_some() {
        Ok(prefix)
    } else {
        Ok(String::new())
    }
}

fn find_device_tree(volume: &Volume<'_>, board: Board, upstream: bool, prefix: &str) -> Result<Option<String>> {
    for name in board.device_trees(upstream) {
        let path = format!("{prefix}{name}");
        if volume.read(&path)?.is_some() {
            return Ok(Some(path));
        }
    }
    Ok(None)
}

/// The kernel config.txt names; the firmware falls back to its own name for one without a word if it is not there.
fn kernel_name(volume: &Volume<'_>, config: &Config, prefix: &str, board: Board) -> Result<String> {
    let fallback = format!("{prefix}{}", board.kernel());
    let Some(name) = config.get("kernel") else {
        return Ok(fallback);
    };
    let named = format!("{prefix}{name}");
    Ok(if volume.read(&named)?.is_some() {
        named
    } else {
        fallback
    })
}

/// Boots `board` from the image in every way a fresh card can be asked to, and looks at what would be started.
///
/// # Errors
///
/// Fails if one of them does not end in a kernel, an initramfs, a device tree and an existing squashfs root.
pub fn check(image: &Path, board: Board) -> Result<()> {
    let ways = [
        ("a normal boot", Options::default()),
        (
            "a trial boot",
            Options {
                tryboot: true,
                ..Options::default()
            },
        ),
        (
            "a boot with an old EEPROM",
            Options {
                old_eeprom: true,
                ..Options::default()
            },
        ),
    ];
    for (way, options) in ways {
        boot(image, board, &options)
            .and_then(|boot| check_boot(image, board, &boot))
            .with_context(|| format!("checking that {way} of a {board:?} finds its way"))?;
    }
    Ok(())
}

fn check_boot(image: &Path, board: Board, boot: &Boot) -> Result<()> {
    let ((at, magic), arch) = match board {
        Board::Pi0 => (ARM_MAGIC, "arm"),
        Board::Pi3 | Board::Pi4 => (ARM64_MAGIC, "arm64"),
    };
    if boot.kernel.get(at..at + magic.len()) != Some(magic) {
        bail!("{} is not a kernel image for {arch}", boot.kernel_name);
    }
    if !boot.device_tree.starts_with(DEVICE_TREE_MAGIC) {
        bail!("{} is not a device tree", boot.device_tree_name);
    }
    if !boot.initramfs.starts_with(NEWC_MAGIC) {
        bail!("the initramfs is not a newc archive");
    }
    let file = File::open(image)?;
    check_root(&file, &Table::read(&file)?, &boot.cmdline)
}

/// Fails if there is no squashfs where the command line says that the root is, or its hash tree comes to something else.
fn check_root(file: &File, table: &Table, cmdline: &str) -> Result<()> {
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
    let mut head = [0; SQUASHFS_HEAD];
    file.read_exact_at(&mut head, partition.start)?;
    if !head.starts_with(SQUASHFS_MAGIC) {
        bail!("partition {}, the root, does not hold a squashfs", partition.number);
    }
    let used = u64::from_le_bytes(head[BYTES_USED_AT..].try_into().context("reading the squashfs")?);
    let hash = verity::root_hash(file, partition.start, used)
        .with_context(|| format!("reading the hash tree of partition {}", partition.number))?;
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
mod tests;
