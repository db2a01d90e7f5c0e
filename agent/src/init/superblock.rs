//! What the head of DATA says: nothing yet, an ext4 file system, a damaged one, or somebody else's.
//!
//! Offsets are those of `Documentation/filesystems/ext4/super.rst`.

use anyhow::{Context, Result};

use crate::disk::BlockDevice;
use crate::disk::crc::{crc32, crc32c_of_ext4};
use crate::disk::table::EMPTIED;

/// Where the superblock begins, and how long it is.
const OFFSET: usize = 1024;
const LENGTH: usize = 1024;
/// `s_magic`.
const MAGIC: u16 = 0xef53;
/// `INCOMPAT_64BIT`: the number of blocks has a high half.
const INCOMPAT_64BIT: u32 = 0x80;
/// `RO_COMPAT_METADATA_CSUM`: the superblock has a checksum.
const RO_COMPAT_METADATA_CSUM: u32 = 0x400;
/// Largest `s_log_block_size`: 64 KiB.
const LARGEST_LOG_BLOCK: u32 = 6;

/// What other file systems and containers write at the beginning (util-linux, `libblkid/src/superblocks`).
const FOREIGN: [(usize, &[u8], &str); 16] = [
    (0, b"XFSB", "XFS"),
    (0, b"hsqs", "squashfs"),
    (0, b"LUKS\xba\xbe", "LUKS"),
    (3, b"NTFS    ", "NTFS"),
    (3, b"EXFAT   ", "exFAT"),
    (54, b"FAT12   ", "FAT"),
    (54, b"FAT16   ", "FAT"),
    (82, b"FAT32   ", "FAT"),
    (512, b"LABELONE", "LVM"),
    (512, b"EFI PART", "a partition table"),
    (1024, b"\x10\x20\xf5\xf2", "F2FS"),
    (1024, b"\xe2\xe1\xf5\xe0", "EROFS"),
    (4086, b"SWAPSPACE2", "swap"),
    (4096, b"\xfc\x4e\x2b\xa9", "RAID"),
    (32769, b"CD001", "ISO 9660"),
    (65600, b"_BHRfS_M", "Btrfs"),
];

/// What was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Head {
    /// Only zeros, as a new DATA begins.
    Empty,
    /// A superblock whose checksum is right.
    Ext4(Superblock),
    /// Another file system or container, by name.
    Foreign(&'static str),
    /// Something else: a superblock with a torn sector, or nothing that we know.
    Damaged,
}

/// What lies at the beginning of DATA, and the digits that stand for just these bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// What it is.
    pub head: Head,
    /// CRC-32 of it, 8 hexadecimal digits: a consent to format names it, and holds for nothing else.
    pub fingerprint: String,
}

/// A copy of the superblock: what e2fsck(8) takes with `-b` and `-B`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backup {
    /// Number of its block.
    pub block: u64,
    /// Size of a block in bytes.
    pub block_size: u64,
}

/// Fields of the superblock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Superblock {
    /// Size of the file system in bytes.
    pub size: u64,
    /// When it was last mounted or written, in seconds since 1970.
    pub last_use: i64,
}

/// Reads the head of a partition.
pub fn read(device: &impl BlockDevice) -> Result<Found> {
    let length = EMPTIED.min(device.size().context("reading the size of DATA")?);
    let mut bytes = vec![0; usize::try_from(length).context("reading the beginning of DATA")?];
    device.read_at(&mut bytes, 0).context("reading the beginning of DATA")?;
    Ok(Found {
        head: head(&bytes),
        fingerprint: format!("{:08x}", crc32(&bytes)),
    })
}

/// The first copy whose checksum is right: that of the second group, whose bitmap is a block of bits (`s_blocks_per_group`).
///
/// Where the superblock is torn e2fsck may take it for whole: without the bits of its features it has no checksum either.
///
/// # Errors
///
/// Fails if the disk does.
pub fn backup(device: &impl BlockDevice) -> Result<Option<Backup>> {
    let size = device.size().context("reading the size of DATA")?;
    for block_size in [4096, 2048, 1024] {
        // `s_first_data_block` is 1 where a block is no larger than what lies before the superblock.
        let block = 8 * block_size + u64::from(block_size == 1024);
        let mut bytes = [0; LENGTH];
        if (block + 1) * block_size > size {
            continue;
        }
        device
            .read_at(&mut bytes, block * block_size)
            .context("reading a copy of DATA's superblock")?;
        if parse(&bytes).is_some() {
            return Ok(Some(Backup { block, block_size }));
        }
    }
    Ok(None)
}

fn head(bytes: &[u8]) -> Head {
    if bytes.iter().all(|byte| *byte == 0) {
        return Head::Empty;
    }
    let superblock = bytes.get(OFFSET..OFFSET + LENGTH);
    if let Some(superblock) = superblock.and_then(|bytes| parse(bytes.try_into().ok()?)) {
        return Head::Ext4(superblock);
    }
    let foreign = FOREIGN
        .iter()
        .find(|(at, magic, _)| bytes.get(*at..).is_some_and(|bytes| bytes.starts_with(magic)));
    foreign.map_or(Head::Damaged, |(_, _, name)| Head::Foreign(name))
}

fn parse(bytes: &[u8; LENGTH]) -> Option<Superblock> {
    let number = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"));
    let magic = u16::from_le_bytes([bytes[0x38], bytes[0x39]]);
    // Always there: it is the default of Debian's mke2fs, and a torn sector is not to set the clock.
    let summed = number(0x64) & RO_COMPAT_METADATA_CSUM != 0 && number(0x3fc) == crc32c_of_ext4(&bytes[..0x3fc]);
    let log_block = number(0x18);
    if magic != MAGIC || !summed || log_block > LARGEST_LOG_BLOCK {
        return None;
    }
    let high = if number(0x60) & INCOMPAT_64BIT == 0 {
        0
    } else {
        u64::from(number(0x150))
    };
    let blocks = (high << 32) | u64::from(number(0x4));
    Some(Superblock {
        size: blocks.checked_mul(1024 << log_block)?,
        last_use: i64::from(number(0x2c).max(number(0x30))),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::disk::memory::Memory;

    #[test]
    fn zeros_are_empty_and_anything_else_is_not() {
        let mut disk = Memory::new(1 << 20);
        let empty = read(&disk).unwrap();
        assert_eq!(empty.head, Head::Empty);
        disk.write_at(&[1], EMPTIED - 1).unwrap();
        let other = read(&disk).unwrap();
        assert_eq!(other.head, Head::Damaged);
        assert_ne!(other.fingerprint, empty.fingerprint);
    }

    #[test]
    fn what_other_tools_make_is_foreign() {
        // Those that this machine is sure to have.
        for (tool, arguments, name) in [
            ("mkfs.vfat", &["-F", "32"][..], "FAT"),
            ("mkfs.vfat", &["-F", "16"], "FAT"),
            ("mkswap", &["-q"], "swap"),
        ] {
            let file = tempfile::NamedTempFile::new().unwrap();
            file.as_file().set_len(64 << 20).unwrap();
            let status = std::process::Command::new(tool)
                .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
                .args(arguments)
                .arg(file.path())
                .stdout(std::process::Stdio::null())
                .status();
            assert!(status.expect("dosfstools and util-linux are installed").success());
            assert_eq!(read(file.as_file()).unwrap().head, Head::Foreign(name));
        }
    }

    #[test]
    fn the_first_copy_is_found_for_each_size_of_blocks() {
        for block_size in [1024, 2048, 4096] {
            let file = tempfile::NamedTempFile::new().unwrap();
            file.as_file().set_len(160 << 20).unwrap();
            assert_eq!(backup(file.as_file()).unwrap(), None);
            let status = std::process::Command::new("mke2fs")
                .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
                .args(["-q", "-F", "-t", "ext4", "-b", &block_size.to_string()])
                .arg(file.path())
                .status();
            assert!(status.expect("e2fsprogs is installed").success());
            let found = backup(file.as_file()).unwrap().unwrap();
            let output = std::process::Command::new("dumpe2fs")
                .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
                .arg(file.path())
                .output();
            let said = String::from_utf8(output.unwrap().stdout).unwrap();
            let line = said.lines().find(|line| line.contains("Backup superblock at")).unwrap();
            assert!(
                line.contains(&format!("Backup superblock at {},", found.block)),
                "{line}"
            );
            assert_eq!(found.block_size, block_size);
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(bytes in proptest::collection::vec(any::<u8>(), LENGTH)) {
            let _ = head(&bytes);
            let mut bytes: [u8; LENGTH] = bytes.try_into().unwrap();
            bytes[0x38..0x3a].copy_from_slice(&MAGIC.to_le_bytes());
            bytes[0x64..0x68].copy_from_slice(&RO_COMPAT_METADATA_CSUM.to_le_bytes());
            let sum = crc32c_of_ext4(&bytes[..0x3fc]);
            bytes[0x3fc..].copy_from_slice(&sum.to_le_bytes());
            let _ = parse(&bytes);
        }
    }
}
