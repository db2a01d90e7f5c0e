//! The hash tree behind the root, byte for byte as `veritysetup format` makes it.
//!
//! ```text
//! squashfs, zeros up to a whole block | superblock, one block | the tree: its root's block first, the leaves last
//! ```
//!
//! A leaf is the SHA-256 of the salt and a block of data; 128 of them fill a hash block, whose own digest is one of the
//! level above, until there is one block: its digest is the root hash (cryptsetup, `lib/verity/verity_hash.c`). What is
//! left of a hash block is zeros.

use anyhow::{Context, Result};
use computatom_spec::verity::{BLOCK, FAN_OUT, Layout, SALT, Superblock};
use rayon::prelude::*;

use super::guid::{derived, uuid};
use super::medium::Medium;
use crate::interrupt;
use crate::verify::Sha256;
use crate::verify::digest::Hasher;

/// Data blocks read at once: 4 MiB.
const CHUNK: usize = 8 * FAN_OUT;

/// Bytes that a root with a file system of `data` bytes takes.
pub fn needed(data: u64) -> u64 {
    let mut blocks = data.div_ceil(BLOCK);
    let mut all = blocks + 1;
    while blocks > 1 {
        blocks = blocks.div_ceil(FAN_OUT as u64);
        all += blocks;
    }
    all * BLOCK
}

/// Writes the hash tree of the `data` bytes at `start` behind them, and returns the root hash.
///
/// Salt and UUID are made of the disk `signature`, so that a block that two releases of an image share has one digest.
///
/// # Errors
///
/// Fails if the file cannot be read or written, or the person interrupts.
pub fn write(file: &dyn Medium, start: u64, data: u64, signature: u32) -> Result<Sha256> {
    let salt: [u8; SALT] = derived("verity salt", signature);
    let superblock = Superblock {
        uuid: uuid("verity", signature),
        data_blocks: data.div_ceil(BLOCK),
        salt,
    };
    let levels = levels(leaves(file, start, superblock.data_blocks, &salt)?, &salt);
    let (root, levels) = levels.split_last().context("a tree has a root")?;
    let mut tree = superblock.to_bytes().to_vec();
    tree.resize(usize::try_from(BLOCK)?, 0);
    for level in levels.iter().rev() {
        for hashes in level.chunks(FAN_OUT) {
            tree.extend(block(hashes));
        }
    }
    file.write_all_at(&tree, start + superblock.data_blocks * BLOCK)
        .context("writing the hash tree of the root")?;
    root.first().copied().context("a root has no data")
}

/// What the first block of the hash tree of the root at `start` comes to. Nothing below it is looked at.
///
/// # Errors
///
/// Fails if there is no squashfs with such a tree.
pub fn root_hash(file: &dyn Medium, start: u64) -> Result<Sha256> {
    let layout = Layout::find(|buffer, at| file.read_exact_at(buffer, start + at)).map_err(anyhow::Error::msg)?;
    let mut block = vec![0; usize::try_from(BLOCK)?];
    file.read_exact_at(&mut block, start + layout.top() * BLOCK)
        .context("reading the root of the hash tree")?;
    Ok(digest(&layout.superblock.salt, &block))
}

/// The digest of each block of data.
fn leaves(file: &dyn Medium, start: u64, blocks: u64, salt: &[u8; SALT]) -> Result<Vec<Sha256>> {
    let chunks: Vec<u64> = (0..blocks).step_by(CHUNK).collect();
    let leaves: Vec<Vec<Sha256>> = chunks
        .into_par_iter()
        .map_init(Vec::new, |chunk, first| {
            interrupt::check()?;
            let count = (blocks - first).min(CHUNK as u64);
            chunk.resize(usize::try_from(count * BLOCK)?, 0);
            file.read_exact_at(chunk, start + first * BLOCK)
                .context("reading the root back")?;
            Ok(chunk
                .chunks(usize::try_from(BLOCK)?)
                .map(|block| digest(salt, block))
                .collect())
        })
        .collect::<Result<_>>()?;
    Ok(leaves.concat())
}

/// The levels of the tree: the leaves first, the root hash alone in the last.
fn levels(leaves: Vec<Sha256>, salt: &[u8; SALT]) -> Vec<Vec<Sha256>> {
    let mut levels = vec![leaves];
    while let Some(below) = levels.last().filter(|level| level.len() > 1) {
        let next = below
            .chunks(FAN_OUT)
            .map(|hashes| digest(salt, &block(hashes)))
            .collect();
        levels.push(next);
    }
    levels
}

/// A hash block.
fn block(hashes: &[Sha256]) -> Vec<u8> {
    let mut block = hashes.iter().flat_map(|hash| *hash.as_bytes()).collect::<Vec<u8>>();
    block.resize(FAN_OUT * 32, 0);
    block
}

fn digest(salt: &[u8; SALT], block: &[u8]) -> Sha256 {
    let mut hasher = Hasher::default();
    hasher.update(salt);
    hasher.update(block);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::super::testing::oracle;
    use super::*;

    /// Where the data begin in the file: a partition's start.
    const START: u64 = 3 * BLOCK;

    fn data(blocks: u64) -> Vec<u8> {
        (0..blocks * BLOCK)
            .map(|at| u8::try_from((at / 7 + at / BLOCK) % 251).unwrap())
            .collect()
    }

    #[test]
    fn veritysetup_makes_the_same_tree_and_the_same_root_hash() {
        // One block, a hash block that is just full, one more, and three levels.
        for blocks in [1, 2, 128, 129, 16_384, 16_385] {
            let mut content = data(blocks);
            // The last block is not quite full.
            let used = content.len() as u64 - 100;
            content[..4].copy_from_slice(b"hsqs");
            content[40..48].copy_from_slice(&used.to_le_bytes());
            let file = tempfile::NamedTempFile::new().unwrap();
            file.as_file().write_all_at(&content, START).unwrap();
            let root = write(file.as_file(), START, used, 0xc0de_0042).unwrap();
            assert_eq!(root_hash(file.as_file(), START).unwrap(), root);
            let mut ours = vec![0; usize::try_from(needed(content.len() as u64)).unwrap()];
            file.as_file().read_exact_at(&mut ours, START).unwrap();
            assert_eq!(file.as_file().metadata().unwrap().len(), START + ours.len() as u64);

            let head: &[u8; 512] = ours[content.len()..][..512].try_into().unwrap();
            let superblock = Superblock::parse(head).unwrap();
            let theirs = tempfile::NamedTempFile::new().unwrap();
            theirs.as_file().write_all_at(&content, 0).unwrap();
            let said = oracle(
                Command::new("veritysetup")
                    .arg("format")
                    .args([theirs.path(), theirs.path()])
                    .arg(format!("--hash-offset={}", content.len()))
                    .arg(format!("--data-blocks={blocks}"))
                    .arg(format!("--salt={}", hex::encode(superblock.salt)))
                    .arg(format!("--uuid={}", superblock.uuid)),
            );
            assert!(
                said.contains(&format!("Root hash:      \t{root}")),
                "{blocks} blocks\n{said}"
            );
            assert!(std::fs::read(theirs.path()).unwrap() == ours, "{blocks} blocks");
        }
    }
}
