//! The superblock of a dm-verity hash tree, as `veritysetup format` writes it and `/init` reads it.
//!
//! A root partition holds the squashfs, filled up with zeros to a whole block, then one block with this superblock, then
//! the hash tree, its root first (cryptsetup, `lib/verity/verity.c`; Linux,
//! `Documentation/admin-guide/device-mapper/verity.rst`). The root hash is not in it: that is on the kernel command line.

use std::fmt;

/// Bytes of a block, of data and of hashes.
pub const BLOCK: u64 = 4096;
/// Bytes of a salt.
pub const SALT: usize = 32;
/// Bytes of the superblock; the rest of its block is zeros.
pub const LENGTH: usize = 512;

const SIGNATURE: &[u8; 8] = b"verity\0\0";
const VERSION: u32 = 1;
/// Salt before the data, digests in hash blocks padded to powers of two: what is not ChromeOS' older format.
const HASH_TYPE: u32 = 1;
/// The only algorithm of ours.
const ALGORITHM: &[u8] = b"sha256";

const UUID_AT: usize = 16;
const ALGORITHM_AT: usize = 32;
const DATA_BLOCK_AT: usize = 64;
const HASH_BLOCK_AT: usize = 68;
const DATA_BLOCKS_AT: usize = 72;
const SALT_SIZE_AT: usize = 80;
const SALT_AT: usize = 88;

/// What a superblock says.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Superblock {
    /// Names the tree; without meaning to the kernel.
    pub uuid: [u8; 16],
    /// Blocks of data that it covers.
    pub data_blocks: u64,
    /// Hashed before each block.
    pub salt: [u8; SALT],
}

impl Superblock {
    /// The superblock on disk.
    pub fn to_bytes(self) -> [u8; LENGTH] {
        let mut bytes = [0; LENGTH];
        let mut put = |at: usize, value: &[u8]| bytes[at..at + value.len()].copy_from_slice(value);
        let block = u32::try_from(BLOCK).unwrap_or(u32::MAX).to_le_bytes();
        put(0, SIGNATURE);
        put(8, &VERSION.to_le_bytes());
        put(12, &HASH_TYPE.to_le_bytes());
        put(UUID_AT, &self.uuid);
        put(ALGORITHM_AT, ALGORITHM);
        put(DATA_BLOCK_AT, &block);
        put(HASH_BLOCK_AT, &block);
        put(DATA_BLOCKS_AT, &self.data_blocks.to_le_bytes());
        put(SALT_SIZE_AT, &u16::try_from(SALT).unwrap_or(u16::MAX).to_le_bytes());
        put(SALT_AT, &self.salt);
        bytes
    }

    /// Reads a superblock; nothing if it is none, or not of the form that [`Superblock::to_bytes`] writes.
    pub fn parse(bytes: &[u8; LENGTH]) -> Option<Self> {
        let mut uuid = [0; 16];
        uuid.copy_from_slice(&bytes[UUID_AT..UUID_AT + 16]);
        let mut data_blocks = [0; 8];
        data_blocks.copy_from_slice(&bytes[DATA_BLOCKS_AT..DATA_BLOCKS_AT + 8]);
        let mut salt = [0; SALT];
        salt.copy_from_slice(&bytes[SALT_AT..SALT_AT + SALT]);
        let read = Self {
            uuid,
            data_blocks: u64::from_le_bytes(data_blocks),
            salt,
        };
        (read.to_bytes() == *bytes).then_some(read)
    }

    /// The UUID in its usual form (RFC 9562, section 4).
    pub fn uuid_text(&self) -> String {
        let number = u128::from_be_bytes(self.uuid);
        let group = |shift: u32, digits: usize| format!("{:0digits$x}", (number >> shift) & ((1 << (4 * digits)) - 1));
        [group(96, 8), group(80, 4), group(64, 4), group(48, 4), group(0, 12)].join("-")
    }
}

impl fmt::Debug for Superblock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "verity {} over {} blocks", self.uuid_text(), self.data_blocks)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAMPLE: Superblock = Superblock {
        uuid: [0xab; 16],
        data_blocks: 70_000,
        salt: [7; SALT],
    };

    #[test]
    fn what_was_written_is_read_and_nothing_else() {
        let bytes = SAMPLE.to_bytes();
        assert_eq!(Superblock::parse(&bytes), Some(SAMPLE));
        assert_eq!(SAMPLE.uuid_text(), "abababab-abab-abab-abab-abababababab");
        for at in [0, 8, 12, ALGORITHM_AT, DATA_BLOCK_AT, SALT_SIZE_AT, LENGTH - 1] {
            let mut other = bytes;
            other[at] ^= 1;
            assert_eq!(Superblock::parse(&other), None, "byte {at}");
        }
    }
}
