//! A root partition: a squashfs and the dm-verity hash tree behind it, as `veritysetup format` writes it and `/init` reads it.
//!
//! A root partition holds the squashfs, filled up with zeros to a whole block, then one block with this superblock, then
//! the hash tree, its root first (cryptsetup, `lib/verity/verity.c`; Linux,
//! `Documentation/admin-guide/device-mapper/verity.rst`). The root hash is not in it: that is on the kernel command line.

use std::fmt;

use crate::uuid::Uuid;

/// Bytes of a block, of data and of hashes.
pub const BLOCK: u64 = 4096;
/// Bytes of a salt.
pub const SALT: usize = 32;
/// Bytes of the superblock; the rest of its block is zeros.
pub const LENGTH: usize = 512;
/// Digests in a block of the tree; what is left of a block is zeros.
pub const FAN_OUT: usize = 128;

/// `s_magic` of a squashfs and the position of `bytes_used` in its superblock (`fs/squashfs/squashfs_fs.h`).
const SQUASHFS_MAGIC: &[u8] = b"hsqs";
const BYTES_USED_AT: usize = 40;
/// So much of it is looked at.
const SQUASHFS_HEAD: usize = BYTES_USED_AT + 8;

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
    pub uuid: Uuid,
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
        put(UUID_AT, &self.uuid.0);
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
            uuid: Uuid(uuid),
            data_blocks: u64::from_le_bytes(data_blocks),
            salt,
        };
        (read.to_bytes() == *bytes).then_some(read)
    }
}

/// What the head of a root partition says of its tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// The superblock behind the squashfs.
    pub superblock: Superblock,
    /// Block at which the tree begins, counted from the partition's start.
    pub tree: u64,
}

impl Layout {
    /// Finds the tree behind the squashfs; `read` fills a buffer from a byte of the partition.
    ///
    /// # Errors
    ///
    /// Says what is wrong with the partition, which "it" stands for.
    pub fn find<E: fmt::Display>(read: impl Fn(&mut [u8], u64) -> Result<(), E>) -> Result<Self, String> {
        let read = |buffer: &mut [u8], at: u64| {
            read(buffer, at).map_err(|error| format!("byte {at} of it cannot be read ({error})"))
        };
        let mut head = [0; SQUASHFS_HEAD];
        read(&mut head, 0)?;
        if !head.starts_with(SQUASHFS_MAGIC) {
            return Err("it does not begin with a squashfs".to_owned());
        }
        let mut used = [0; 8];
        used.copy_from_slice(&head[BYTES_USED_AT..]);
        let data_blocks = u64::from_le_bytes(used).div_ceil(BLOCK);
        let at = data_blocks
            .checked_mul(BLOCK)
            .filter(|at| *at > 0)
            .ok_or_else(|| "its squashfs has an impossible length".to_owned())?;
        let mut bytes = [0; LENGTH];
        read(&mut bytes, at)?;
        let superblock = Superblock::parse(&bytes)
            .filter(|superblock| superblock.data_blocks == data_blocks)
            .ok_or_else(|| format!("it has no hash tree of its squashfs at byte {at}"))?;
        Ok(Self {
            superblock,
            tree: data_blocks + 1,
        })
    }

    /// The block whose digest is the root hash: the tree's first; a single block of data has no tree, and is it itself.
    pub fn top(&self) -> u64 {
        if self.superblock.data_blocks == 1 { 0 } else { self.tree }
    }
}

impl fmt::Debug for Superblock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "verity {} over {} blocks", self.uuid, self.data_blocks)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAMPLE: Superblock = Superblock {
        uuid: Uuid([0xab; 16]),
        data_blocks: 70_000,
        salt: [7; SALT],
    };

    #[test]
    fn what_was_written_is_read_and_nothing_else() {
        let bytes = SAMPLE.to_bytes();
        assert_eq!(Superblock::parse(&bytes), Some(SAMPLE));
        for at in [0, 8, 12, ALGORITHM_AT, DATA_BLOCK_AT, SALT_SIZE_AT, LENGTH - 1] {
            let mut other = bytes;
            other[at] ^= 1;
            assert_eq!(Superblock::parse(&other), None, "byte {at}");
        }
    }

    /// A partition with the head of a squashfs of so many bytes, and a superblock behind three blocks.
    fn partition(used: u64, superblock: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0; 4 << 12];
        bytes[..4].copy_from_slice(SQUASHFS_MAGIC);
        bytes[BYTES_USED_AT..SQUASHFS_HEAD].copy_from_slice(&used.to_le_bytes());
        bytes[3 << 12..][..superblock.len()].copy_from_slice(superblock);
        bytes
    }

    fn find(partition: &[u8]) -> Result<Layout, String> {
        Layout::find(|buffer, at| {
            let from = usize::try_from(at).unwrap_or(usize::MAX);
            let bytes = partition.get(from..).and_then(|rest| rest.get(..buffer.len()));
            buffer.copy_from_slice(bytes.ok_or("the end")?);
            Ok::<(), &str>(())
        })
    }

    #[test]
    fn the_tree_is_found_behind_the_squashfs() {
        let superblock = Superblock {
            data_blocks: 3,
            ..SAMPLE
        };
        let found = find(&partition(2 * BLOCK + 1, &superblock.to_bytes())).unwrap();
        assert_eq!(found, Layout { superblock, tree: 4 });
        assert_eq!(found.top(), 4);
    }

    #[test]
    fn what_is_wrong_with_a_partition_is_said() {
        let wrong = |partition: &[u8]| find(partition).unwrap_err();
        assert_eq!(wrong(&[]), "byte 0 of it cannot be read (the end)");
        assert_eq!(wrong(&[0; 4096]), "it does not begin with a squashfs");
        assert_eq!(
            wrong(&partition(3 * BLOCK, &[0; 512])),
            "it has no hash tree of its squashfs at byte 12288"
        );
        assert!(wrong(&partition(3 * BLOCK, &SAMPLE.to_bytes())).contains("no hash tree"));
        for used in [0, u64::MAX] {
            assert!(wrong(&partition(used, &[])).contains("impossible"));
        }
    }
}
