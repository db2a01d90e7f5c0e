//! A squashfs reader for what `assemble::squashfs` writes: zstd, read whole into a tree of names, contents on demand.
//!
//! The format is `Documentation/filesystems/squashfs.rst` of Linux. Every byte is foreign: positions, lengths and counts
//! are bounded before anything is allocated by them, and a directory that is reached twice is damage.

/// Inodes and directories to a tree.
mod inodes;

/// Blocks of metadata.
mod metadata;

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::os::unix::fs::FileExt;

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use computatom_compose::tree::{InodeId, Tree};

use self::metadata::Metadata;
use crate::provenance::Root;

const MAGIC: &[u8] = b"hsqs";
const SUPERBLOCK: usize = 96;
const ZSTD: u16 = 6;
/// Set in the size of a block that is stored as it is.
const STORED: u32 = 1 << 24;
/// Number of a fragment that there is none of.
const NO_FRAGMENT: u32 = u32::MAX;
/// Bytes of an entry of the fragment table.
const FRAGMENT: usize = 16;
/// The largest file that is read: anything beyond is an attack or an accident.
const LARGEST: u64 = 4 << 30;

/// Where the content of a file lies.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Blocks {
    start: u64,
    /// Bytes of the file.
    size: u64,
    /// Each block as stored.
    sizes: Vec<u32>,
    fragment: u32,
    offset: u32,
}

/// A block that holds the ends of files.
#[derive(Clone, Copy, Debug)]
struct Fragment {
    start: u64,
    size: u32,
}

/// A squashfs in a part of a file.
#[derive(Debug)]
pub struct FileSystem {
    file: File,
    start: u64,
    block_size: u64,
    tree: Tree,
    files: HashMap<InodeId, Blocks>,
    fragments: Vec<Fragment>,
    used: u64,
}

impl FileSystem {
    /// Whether a squashfs begins at `start`.
    pub fn is_at(file: &File, start: u64) -> bool {
        let mut magic = [0; 4];
        file.read_exact_at(&mut magic, start).is_ok() && magic == MAGIC
    }

    /// Reads the names and metadata of the squashfs that begins at `start`.
    ///
    /// # Errors
    ///
    /// Fails if there is none, it is compressed otherwise than by zstd, or it is damaged.
    pub fn open(file: File, start: u64) -> Result<Self> {
        Self::read(file, start).context("reading the squashfs of the root")
    }

    fn read(file: File, start: u64) -> Result<Self> {
        let mut block = [0; SUPERBLOCK];
        file.read_exact_at(&mut block, start)
            .context("it ends in its superblock")?;
        if !block.starts_with(MAGIC) {
            bail!("there is none");
        }
        let compression = u16_at(&block, 20);
        if compression != ZSTD {
            bail!("it is compressed by method {compression}, and what `pkgbuilder build` writes by {ZSTD} (zstd)");
        }
        let block_size = u64::from(u32_at(&block, 12));
        if !block_size.is_power_of_two() || !(4096..=1 << 20).contains(&block_size) {
            bail!("its blocks of {block_size} bytes are none that a squashfs can have");
        }
        let used = u64_at(&block, 40);
        let mut metadata = Metadata::new(&file, start, used);
        let fragments = fragments(&mut metadata, u64_at(&block, 80), u32_at(&block, 16))?;
        let ids = ids(&mut metadata, u64_at(&block, 48), u16_at(&block, 26))?;
        let layout = inodes::Layout {
            root: u64_at(&block, 32),
            inode_table: u64_at(&block, 64),
            directory_table: u64_at(&block, 72),
            block_size,
            epoch: i64::from(u32_at(&block, 8)),
        };
        let (tree, files) = inodes::read(&mut metadata, &layout, &ids)?;
        Ok(Self {
            file,
            start,
            block_size,
            tree,
            files,
            fragments,
            used,
        })
    }

    /// Bytes of the whole file system.
    pub fn used(&self) -> u64 {
        self.used
    }

    /// Bytes that the content of each file takes as stored. What several files share (equal contents) counts for the first
    /// of them by path; the block that holds the ends of files is divided by their lengths.
    pub fn stored(&self) -> HashMap<InodeId, u64> {
        let mut order: Vec<InodeId> = Vec::new();
        let mut known = HashSet::new();
        for (_, id) in self.tree.walk("/").unwrap_or_default() {
            if self.files.contains_key(&id) && known.insert(id) {
                order.push(id);
            }
        }
        let mut seen_runs = HashSet::new();
        let mut seen_ends = HashSet::new();
        let mut totals: HashMap<u32, u64> = HashMap::new();
        let mut ends: Vec<(InodeId, u32, u64)> = Vec::new();
        let mut stored: HashMap<InodeId, u64> = HashMap::new();
        for id in order {
            let blocks = &self.files[&id];
            let run: u64 = blocks.sizes.iter().map(|size| u64::from(size & !STORED)).sum();
            let counts = run > 0 && seen_runs.insert(blocks.start);
            stored.insert(id, if counts { run } else { 0 });
            let length = self.tail(blocks);
            if length > 0 && seen_ends.insert((blocks.fragment, blocks.offset)) {
                *totals.entry(blocks.fragment).or_default() += length;
                ends.push((id, blocks.fragment, length));
            }
        }
        // What was given to the files before, so that rounding loses nothing.
        let mut given: HashMap<u32, (u64, u64)> = HashMap::new();
        for (id, fragment, length) in ends {
            let found = self.fragments.get(fragment as usize);
            let whole = found.map_or(0, |found| u64::from(found.size & !STORED));
            let (lengths, bytes) = given.entry(fragment).or_default();
            *lengths += length;
            let share = whole * *lengths / totals[&fragment].max(1) - *bytes;
            *bytes += share;
            *stored.entry(id).or_default() += share;
        }
        stored
    }

    /// Bytes of a file in a fragment.
    fn tail(&self, blocks: &Blocks) -> u64 {
        if blocks.fragment == NO_FRAGMENT {
            return 0;
        }
        blocks.size - (blocks.sizes.len() as u64 * self.block_size).min(blocks.size)
    }

    /// One block of data or fragments, `length` bytes when decompressed at most.
    fn block(&self, at: u64, size: u32, length: u64) -> Result<Vec<u8>> {
        let stored = u64::from(size & !STORED);
        let length = usize::try_from(length).context("a block is too large")?;
        if stored > self.block_size || at.checked_add(stored).is_none_or(|end| end > self.used) {
            bail!("a block of {stored} bytes at {at} lies outside the file system");
        }
        let mut bytes = vec![0; usize::try_from(stored)?];
        let position = self.start.checked_add(at).context("a block lies outside the image")?;
        self.file
            .read_exact_at(&mut bytes, position)
            .context("the image ends early")?;
        if size & STORED != 0 {
            return Ok(bytes);
        }
        zstd::bulk::decompress(&bytes, length).with_context(|| format!("the block at {at} is damaged"))
    }

    fn content_of(&self, blocks: &Blocks) -> Result<Bytes> {
        if blocks.size > LARGEST {
            bail!("the file has {} bytes: more than {LARGEST} are not read", blocks.size);
        }
        let mut content = Vec::with_capacity(usize::try_from(blocks.size.min(64 << 20))?);
        let mut at = blocks.start;
        for size in &blocks.sizes {
            let length = self.block_size.min(blocks.size - content.len() as u64);
            if *size == 0 {
                content.resize(content.len() + usize::try_from(length)?, 0);
                continue;
            }
            let block = self.block(at, *size, self.block_size)?;
            if block.len() as u64 != length {
                bail!("the block at {at} has {} bytes and should have {length}", block.len());
            }
            content.extend_from_slice(&block);
            at += u64::from(size & !STORED);
        }
        let tail = usize::try_from(self.tail(blocks))?;
        if tail > 0 {
            let fragment = self.fragments.get(blocks.fragment as usize);
            let fragment = fragment.with_context(|| format!("there is no fragment {}", blocks.fragment))?;
            let block = self.block(fragment.start, fragment.size, self.block_size)?;
            let offset = blocks.offset as usize;
            let end = block.get(offset..).and_then(|rest| rest.get(..tail));
            content.extend_from_slice(end.with_context(|| format!("fragment {} is too short", blocks.fragment))?);
        }
        Ok(content.into())
    }
}

impl Root for FileSystem {
    fn tree(&self) -> &Tree {
        &self.tree
    }

    fn size(&self, id: InodeId) -> u64 {
        self.files.get(&id).map_or(0, |blocks| blocks.size)
    }

    fn content(&self, id: InodeId) -> Result<Bytes> {
        match self.files.get(&id) {
            Some(blocks) => self.content_of(blocks),
            None => Ok(Bytes::new()),
        }
    }
}

fn fragments(metadata: &mut Metadata<'_>, index: u64, count: u32) -> Result<Vec<Fragment>> {
    let table = metadata
        .table(index, count as usize, FRAGMENT)
        .context("reading the fragment table")?;
    let entries = table.chunks_exact(FRAGMENT);
    let fragment = |entry: &[u8]| Fragment {
        start: u64_at(entry, 0),
        size: u32_at(entry, 8),
    };
    Ok(entries.map(fragment).collect())
}

fn ids(metadata: &mut Metadata<'_>, index: u64, count: u16) -> Result<Vec<u32>> {
    let table = metadata
        .table(index, usize::from(count), 4)
        .context("reading the table of owners")?;
    Ok(table.chunks_exact(4).map(|entry| u32_at(entry, 0)).collect())
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    let mut word = [0; 4];
    word.copy_from_slice(&bytes[at..at + 4]);
    u32::from_le_bytes(word)
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    let mut word = [0; 8];
    word.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(word)
}

#[cfg(test)]
mod tests;
