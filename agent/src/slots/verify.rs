//! Whether a root is the one that a command line asks for: all of it, data and tree, without the kernel's help.
//!
//! The kernel looks at a block when it is read; before a slot is given a second chance, or a trial, every block is looked
//! at here (`Documentation/admin-guide/device-mapper/verity.rst`).

use std::io;

use anyhow::{Context, Result};
use computatom_spec::verity::{BLOCK, FAN_OUT, Layout};
use sha2::{Digest, Sha256};

use crate::disk::table::Extent;
use crate::disk::{BlockDevice, SECTOR};
use crate::init::verity::layout;

/// Blocks read at once: a megabyte.
const AT_ONCE: u64 = 256;

type Hash = [u8; 32];

/// What a look at a root found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Every block has its digest.
    Sound,
    /// The reason why it is not that root.
    Unsound(String),
}

/// Reads the whole root in a partition.
///
/// # Errors
///
/// Fails if there is no memory to; a block that cannot be read is an unsound one.
pub fn verify(disk: &impl BlockDevice, extent: Extent, root_hash: &Hash) -> Result<Verdict> {
    let window = Window { disk, extent };
    let layout = match layout(&window) {
        Ok(layout) => layout,
        Err(reason) => return Ok(Verdict::Unsound(reason)),
    };
    let blocks = layout.superblock.data_blocks;
    if blocks > extent.sectors * SECTOR / BLOCK {
        return Ok(Verdict::Unsound("its squashfs is larger than the partition".to_owned()));
    }
    Ok(match compare(&window, &layout, root_hash)? {
        None => Verdict::Sound,
        Some(reason) => Verdict::Unsound(reason),
    })
}

/// The first thing that is wrong.
fn compare(window: &impl BlockDevice, layout: &Layout, root_hash: &Hash) -> Result<Option<String>> {
    let mut digests = Vec::new();
    let mut at = 0;
    while at < layout.superblock.data_blocks {
        let count = AT_ONCE.min(layout.superblock.data_blocks - at);
        let mut bytes = vec![0; usize::try_from(count * BLOCK).context("verifying a root")?];
        if let Err(error) = window.read_at(&mut bytes, at * BLOCK) {
            return Ok(Some(format!(
                "block {at} of it or one of the next cannot be read ({error})"
            )));
        }
        let chunks = bytes.chunks_exact(usize::try_from(BLOCK).context("verifying a root")?);
        digests.extend(chunks.map(|block| digest(layout, block)));
        at += count;
    }
    // The tree's lowest level is its last.
    let mut levels = Vec::new();
    while digests.len() > 1 {
        let blocks: Vec<Vec<u8>> = digests.chunks(FAN_OUT).map(tree_block).collect();
        digests = blocks.iter().map(|block| digest(layout, block)).collect();
        levels.push(blocks);
    }
    if digests.first() != Some(root_hash) {
        return Ok(Some("it has not the root hash on the command line".to_owned()));
    }
    for (at, expected) in (layout.tree..).zip(levels.iter().rev().flatten()) {
        let mut block = vec![0; expected.len()];
        if window.read_at(&mut block, at * BLOCK).is_err() || block != *expected {
            return Ok(Some(format!("block {at} of it, in its hash tree, has rotted")));
        }
    }
    Ok(None)
}

fn tree_block(digests: &[Hash]) -> Vec<u8> {
    let mut block = digests.concat();
    block.resize(FAN_OUT * 32, 0);
    block
}

fn digest(layout: &Layout, block: &[u8]) -> Hash {
    Sha256::new()
        .chain_update(layout.superblock.salt)
        .chain_update(block)
        .finalize()
        .into()
}

/// A partition of a disk, to be read.
struct Window<'d, D> {
    disk: &'d D,
    extent: Extent,
}

impl<D: BlockDevice> BlockDevice for Window<'_, D> {
    fn size(&self) -> io::Result<u64> {
        Ok(self.extent.sectors * SECTOR)
    }

    fn read_only(&self) -> io::Result<bool> {
        Ok(true)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let end = offset.checked_add(buffer.len() as u64);
        if end.is_none_or(|end| end > self.extent.sectors * SECTOR) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.disk.read_at(buffer, self.extent.start * SECTOR + offset)
    }

    fn write_at(&mut self, _: &[u8], _: u64) -> io::Result<()> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;
    use crate::disk::memory::Memory;

    const EXTENT: Extent = Extent {
        start: 8,
        sectors: 4096,
    };

    /// A root of so many bytes with the tree that veritysetup makes, and its root hash.
    fn root(used: u64) -> (Memory, Hash) {
        let file = tempfile::NamedTempFile::new().unwrap();
        let mut bytes: Vec<u8> = (0..used).map(|at| u8::try_from(at % 251).unwrap()).collect();
        bytes[..4].copy_from_slice(b"hsqs");
        bytes[40..48].copy_from_slice(&used.to_le_bytes());
        std::fs::write(file.path(), &bytes).unwrap();
        let data = used.next_multiple_of(BLOCK);
        file.as_file().set_len(EXTENT.sectors * SECTOR).unwrap();
        let salt = "5a".repeat(32);
        let output = Command::new("veritysetup")
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .args(["format", "--hash", "sha256", "--salt", &salt])
            .args([
                "--data-blocks",
                &(data / BLOCK).to_string(),
                "--hash-offset",
                &data.to_string(),
            ])
            .args([file.path(), file.path()])
            .output()
            .expect("veritysetup (package cryptsetup-bin) is installed");
        let said = String::from_utf8_lossy(&output.stdout);
        let line = said.lines().find_map(|line| line.strip_prefix("Root hash:")).unwrap();
        let mut disk = Memory::new((EXTENT.start + EXTENT.sectors) * SECTOR);
        disk.write_at(&std::fs::read(file.path()).unwrap(), EXTENT.start * SECTOR)
            .unwrap();
        (disk, hex::decode(line.trim()).unwrap().try_into().unwrap())
    }

    #[test]
    fn a_root_of_veritysetups_is_sound_until_any_of_its_blocks_changes() {
        // One block, a tree of one level, one of two.
        for used in [4000, 100_000, 700_000] {
            let (disk, hash) = root(used);
            assert_eq!(verify(&disk, EXTENT, &hash).unwrap(), Verdict::Sound);
            assert!(matches!(verify(&disk, EXTENT, &[0; 32]).unwrap(), Verdict::Unsound(_)));
            let data = used.div_ceil(BLOCK);
            let tree = match data {
                1 => 0,
                2..=128 => 1,
                _ => 1 + data.div_ceil(128),
            };
            for block in (0..data).chain(data + 1..data + 1 + tree) {
                let mut rotten = disk.clone();
                let at = EXTENT.start * SECTOR + block * BLOCK + 77;
                let mut byte = [0];
                rotten.read_at(&mut byte, at).unwrap();
                rotten.write_at(&[byte[0] ^ 4], at).unwrap();
                let verdict = verify(&rotten, EXTENT, &hash).unwrap();
                assert!(matches!(verdict, Verdict::Unsound(_)), "block {block} of {used} bytes");
            }
        }
    }

    #[test]
    fn a_slot_that_was_never_written_says_so() {
        let disk = Memory::new(4 << 20);
        let Verdict::Unsound(reason) = verify(&disk, EXTENT, &[0; 32]).unwrap() else {
            panic!("zeros are no root")
        };
        assert!(reason.contains("squashfs"), "{reason}");
    }
}
