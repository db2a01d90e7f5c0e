//! A squashfs 4.0 writer: a [`Tree`] straight into a disk image, on all cores, the same bytes for every core count.
//!
//! The format is `Documentation/filesystems/squashfs.rst` and `fs/squashfs/squashfs_fs.h` of Linux. On disk, in this order:
//!
//! ```text
//! superblock, compressor options | data blocks | fragment blocks | inodes | directories
//! | fragment table | id table | extended attributes
//! ```
//!
//! Contents are cut into blocks of [`BLOCK_SIZE`]. Short files and short ends of others are fragments: they share a block
//! with their neighbours. Where a fragment block ends depends on content (see [`blocks`]), so that one changed file does not
//! shift, and thereby recompress, all that follow. Equal files are stored once, blocks of zeros not at all.
//! Left out because nothing here needs them: the export table (NFS), directory indexes, compressors other than zstd.

mod blocks;
mod cache;
mod inodes;
mod metadata;
mod output;
mod packing;
mod tables;

use std::sync::Arc;

use anyhow::{Context, Result};
use computatom_compose::tree::{Kind, Tree};

use super::medium::Medium;
use crate::compose::Rootfs;

use output::Output;

pub use cache::BlockCache;

/// Bytes of a data block: squashfs' own default. Larger blocks save two percent and cost a Pi more per small read.
pub const BLOCK_SIZE: usize = crate::compose::BLOCK;
/// zstd level by default: measured in `docs/benchmarks.md`.
pub const LEVEL: i32 = 9;

const SUPERBLOCK_SIZE: usize = 96;
const MAGIC: u32 = 0x7371_7368;
const COMPRESSION_ZSTD: u16 = 6;
/// Marks a table that is not there.
const NO_TABLE: u64 = u64::MAX;
/// Set in the size of a data or fragment block that is stored as it is.
const STORED: u32 = 1 << 24;

const FLAG_NO_FRAGMENTS: u16 = 0x10;
const FLAG_DUPLICATES: u16 = 0x40;
const FLAG_NO_XATTRS: u16 = 0x200;
const FLAG_COMPRESSOR_OPTIONS: u16 = 0x400;

/// How a file system is written.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// zstd level, 1 to 22.
    pub level: i32,
    /// Time of creation in the superblock, seconds since 1970.
    pub epoch: i64,
}

/// What was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written {
    /// Length of the file system in bytes.
    pub bytes: u64,
    /// Number of inodes.
    pub inodes: u32,
    /// Blocks that came out of the cache, of all blocks.
    pub cached: usize,
    /// Data and fragment blocks.
    pub blocks: usize,
}

/// Writes `rootfs` into `image` from `offset` on; `cache` has blocks of earlier ones, and `progress` is told how many bytes
/// of content were done.
///
/// # Errors
///
/// Fails if the image cannot be written, a name or number does not fit the format, or the person interrupts.
pub fn write(
    rootfs: &Rootfs,
    image: &dyn Medium,
    offset: u64,
    options: Options,
    cache: Option<&Arc<BlockCache>>,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<Written> {
    std::thread::scope(|scope| {
        let mut out = Output::new(scope, image, offset);
        let (superblock, written) = write_front_to_back(rootfs, &mut out, options, cache, progress)?;
        out.finish()?;
        image
            .write_all_at(&superblock, offset)
            .context("writing the superblock of the root file system")?;
        Ok(written)
    })
}

/// Writes all but the superblock, for which it leaves room, and gives that.
fn write_front_to_back(
    rootfs: &Rootfs,
    out: &mut Output<'_>,
    options: Options,
    cache: Option<&Arc<BlockCache>>,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<(Vec<u8>, Written)> {
    // The superblock is written when all is known.
    out.write(&[0; SUPERBLOCK_SIZE])?;
    out.write(&compressor_options(options.level))?;
    let data = blocks::write(rootfs, out, options.level, cache, progress)?;

    let inodes = inodes::encode(&rootfs.tree, &data, options.level)?;
    let inode_table = out.position;
    out.write(&inodes.inode_table)?;
    let directory_table = out.position;
    out.write(&inodes.directory_table)?;
    let fragment_table = tables::write_fragments(out, &data.fragments, options.level)?;
    let id_table = tables::write_ids(out, &inodes.ids, options.level)?;
    let xattr_table = tables::write_xattrs(out, &inodes.xattrs, options.level)?;

    let mut flags = FLAG_DUPLICATES | FLAG_COMPRESSOR_OPTIONS;
    if data.fragments.is_empty() {
        flags |= FLAG_NO_FRAGMENTS;
    }
    if xattr_table == NO_TABLE {
        flags |= FLAG_NO_XATTRS;
    }
    let mut superblock = Vec::with_capacity(SUPERBLOCK_SIZE);
    superblock.extend(MAGIC.to_le_bytes());
    superblock.extend(inodes.count.to_le_bytes());
    superblock.extend(time(options.epoch).to_le_bytes());
    superblock.extend(u32::try_from(BLOCK_SIZE).expect("128 KiB").to_le_bytes());
    superblock.extend(u32::try_from(data.fragments.len())?.to_le_bytes());
    superblock.extend(COMPRESSION_ZSTD.to_le_bytes());
    superblock.extend(u16::try_from(BLOCK_SIZE.ilog2()).expect("17").to_le_bytes());
    superblock.extend(flags.to_le_bytes());
    superblock.extend(
        u16::try_from(inodes.ids.len())
            .context("more than 65535 owners")?
            .to_le_bytes(),
    );
    superblock.extend(4_u16.to_le_bytes());
    superblock.extend(0_u16.to_le_bytes());
    for position in [
        inodes.root,
        out.position,
        id_table,
        xattr_table,
        inode_table,
        directory_table,
        fragment_table,
        NO_TABLE,
    ] {
        superblock.extend(position.to_le_bytes());
    }
    let written = Written {
        bytes: out.position,
        inodes: inodes.count,
        cached: data.cached,
        blocks: data.blocks,
    };
    Ok((superblock, written))
}

/// Bytes of content that [`write`] will tell its `progress` of: every distinct inode counts.
///
/// # Errors
///
/// Does not fail for a sound tree.
pub fn content_size(tree: &Tree) -> Result<u64> {
    let mut seen = std::collections::HashSet::new();
    let sizes = tree
        .walk("/")?
        .into_iter()
        .filter_map(|(_, id)| match &tree.inode(id).kind {
            Kind::File(content) if seen.insert(id) => Some(content.len() as u64),
            _ => None,
        });
    Ok(sizes.sum())
}

/// The zstd level, in a metadata block stored as it is, after the superblock.
fn compressor_options(level: i32) -> Vec<u8> {
    let mut block = (4_u16 | metadata::STORED).to_le_bytes().to_vec();
    block.extend(level.to_le_bytes());
    block
}

/// Seconds since 1970 as squashfs has them: unsigned, 32 bits.
fn time(seconds: i64) -> u32 {
    u32::try_from(seconds.clamp(0, i64::from(u32::MAX))).expect("clamped")
}

#[cfg(test)]
mod tests;
