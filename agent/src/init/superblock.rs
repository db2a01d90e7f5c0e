//! What the head of DATA says: nothing yet, an ext4 file system, or one that is damaged.
//!
//! Offsets are those of `Documentation/filesystems/ext4/super.rst`.

use anyhow::{Context, Result};

use super::disk::BlockDevice;

/// So much is looked at: the superblock is in it, and mke2fs leaves no file system without one.
const HEAD: usize = 4096;
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

/// What was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Head {
    /// Only zeros, as a new DATA begins.
    Empty,
    /// A superblock whose checksum is right.
    Ext4(Superblock),
    /// Something else: a superblock with a torn sector, or no file system of ours.
    Damaged,
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
pub fn read(device: &impl BlockDevice) -> Result<Head> {
    let mut head = [0; HEAD];
    device.read_at(&mut head, 0).context("reading the superblock of DATA")?;
    if head.iter().all(|byte| *byte == 0) {
        return Ok(Head::Empty);
    }
    let superblock: &[u8; LENGTH] = head[OFFSET..OFFSET + LENGTH]
        .try_into()
        .expect("the head is longer than the superblock");
    Ok(parse(superblock).map_or(Head::Damaged, Head::Ext4))
}

fn parse(bytes: &[u8; LENGTH]) -> Option<Superblock> {
    let number = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"));
    let magic = u16::from_le_bytes([bytes[0x38], bytes[0x39]]);
    // Always there: it is the default of Debian's mke2fs, and a torn sector is not to set the clock.
    let summed = number(0x64) & RO_COMPAT_METADATA_CSUM != 0 && number(0x3fc) == crc32c(&bytes[..0x3fc]);
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

/// CRC-32C (RFC 3720, appendix B.4) as ext4 uses it: begun with ones, not inverted at the end.
fn crc32c(bytes: &[u8]) -> u32 {
    /// The polynomial, its bits reversed.
    const POLYNOMIAL: u32 = 0x82f6_3b78;
    bytes.iter().fold(u32::MAX, |sum, byte| {
        (0..8).fold(sum ^ u32::from(*byte), |sum, _| {
            (sum >> 1) ^ (POLYNOMIAL & (sum & 1).wrapping_neg())
        })
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::disk::memory::Memory;
    use super::*;

    #[test]
    fn the_checksum_of_the_rfc() {
        // RFC 3720, B.4: 32 bytes of zeros give aa 36 91 8a, inverted at the end.
        assert_eq!(!crc32c(&[0; 32]), 0x8a91_36aa);
    }

    #[test]
    fn zeros_are_empty_and_anything_else_is_not() {
        let mut disk = Memory::new(HEAD);
        assert_eq!(read(&disk).unwrap(), Head::Empty);
        disk.bytes[HEAD - 1] = 1;
        assert_eq!(read(&disk).unwrap(), Head::Damaged);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(bytes in proptest::collection::vec(any::<u8>(), LENGTH)) {
            let mut bytes: [u8; LENGTH] = bytes.try_into().unwrap();
            bytes[0x38..0x3a].copy_from_slice(&MAGIC.to_le_bytes());
            bytes[0x64..0x68].copy_from_slice(&RO_COMPAT_METADATA_CSUM.to_le_bytes());
            let sum = crc32c(&bytes[..0x3fc]);
            bytes[0x3fc..].copy_from_slice(&sum.to_le_bytes());
            let _ = parse(&bytes);
        }
    }
}
