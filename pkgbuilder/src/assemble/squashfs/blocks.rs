//! File contents: cut into blocks, which are packed on all cores and written in tree order.
//!
//! Small files and short ends of large ones are collected into fragment blocks: in company they compress better than alone,
//! but a file that takes more than half a block leaves room there that few others fit into. A fragment block ends when the
//! next part does not fit, and also, once it is half full, after one whose digest ends in [`CUT_BITS`] zero bits: as in
//! content-defined chunking, the blocks behind a changed file come out as before, and the cache has them.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use anyhow::Result;
use bytes::Bytes;
use computatom_compose::tree::{InodeId, Kind};
use rayon::prelude::*;

use super::packing::{Packed, Packer, Shared, Whole};
use super::{BLOCK_SIZE, BlockCache, Output, STORED};
use crate::compose::Rootfs;
use crate::verify::Sha256;

/// Blocks in flight: bounds memory to 32 MiB of compressed data.
const BATCH: usize = 256;
/// Files up to this length share a block.
const SMALL: usize = BLOCK_SIZE / 2;
/// So do ends of files up to this length, behind the last full block.
const SHORT: usize = BLOCK_SIZE / 4;
/// One part in 32 may end a fragment block that is half full.
const CUT_BITS: u32 = 5;
/// Index of a file without fragment.
pub(super) const NO_FRAGMENT: u32 = u32::MAX;

/// Where the content of a file went.
#[derive(Clone, Debug, Default)]
pub(super) struct Content {
    /// Position of the first block.
    pub(super) start: u64,
    /// Size of each block as stored, [`STORED`] set where it is not compressed, 0 for a hole.
    pub(super) sizes: Vec<u32>,
    /// Number of the fragment block.
    pub(super) fragment: u32,
    /// Offset in the uncompressed fragment block.
    pub(super) offset: u32,
    /// Bytes in holes.
    pub(super) sparse: u64,
}

/// A fragment block.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fragment {
    pub(super) start: u64,
    pub(super) size: u32,
}

/// What the inodes need to know of contents.
pub(super) struct Data {
    /// By inode of a regular file.
    pub(super) contents: HashMap<InodeId, Content>,
    pub(super) fragments: Vec<Fragment>,
    pub(super) cached: usize,
    pub(super) blocks: usize,
}

/// A regular file, its content cut into blocks and hashed.
struct Cut {
    id: InodeId,
    bytes: Bytes,
    keys: Vec<Sha256>,
}

impl Cut {
    /// The blocks of its own, with their digests.
    fn blocks(&self) -> impl Iterator<Item = (Bytes, Sha256)> + '_ {
        let own = self.keys.len() - usize::from(self.has_fragment());
        (0..own).map(|index| self.part(index))
    }

    /// What it has in a fragment block, with its digest.
    fn fragment(&self) -> Option<(Bytes, Sha256)> {
        self.has_fragment().then(|| self.part(self.keys.len() - 1))
    }

    fn has_fragment(&self) -> bool {
        match self.bytes.len() {
            0 => false,
            1..=SMALL => true,
            length => length > BLOCK_SIZE && (1..=SHORT).contains(&(length % BLOCK_SIZE)),
        }
    }

    fn part(&self, index: usize) -> (Bytes, Sha256) {
        let from = index * BLOCK_SIZE;
        let to = self.bytes.len().min(from + BLOCK_SIZE);
        (self.bytes.slice(from..to), self.keys[index])
    }
}

/// Compresses and writes the contents of all files.
pub(super) fn write(
    rootfs: &Rootfs,
    out: &mut Output<'_>,
    level: i32,
    cache: Option<&Arc<BlockCache>>,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<Data> {
    let files = cut(rootfs)?;
    let mut firsts: HashMap<(usize, &[Sha256]), InodeId> = HashMap::new();
    let mut unique: Vec<&Cut> = Vec::new();
    let mut copies: Vec<(InodeId, InodeId)> = Vec::new();
    for file in &files {
        if let Some(&first) = firsts.get(&(file.bytes.len(), file.keys.as_slice())) {
            copies.push((file.id, first));
        } else {
            firsts.insert((file.bytes.len(), &file.keys), file.id);
            unique.push(file);
        }
    }
    let mut writer = Writer {
        packer: Packer::new(level, cache, progress),
        data: Data {
            contents: HashMap::with_capacity(files.len()),
            fragments: Vec::new(),
            cached: 0,
            blocks: 0,
        },
    };
    writer.write_blocks(out, &unique)?;
    writer.write_fragments(out, &unique)?;
    for (copy, first) in copies {
        let content = writer.data.contents[&first].clone();
        writer.data.contents.insert(copy, content);
    }
    if let Some(cache) = cache {
        cache.flush()?;
    }
    Ok(writer.data)
}

/// Every regular file once, in tree order, hashed on all cores where that was not done before.
fn cut(rootfs: &Rootfs) -> Result<Vec<Cut>> {
    let Rootfs { tree, digests, .. } = rootfs;
    let mut seen = HashSet::new();
    let files: Vec<(InodeId, Bytes)> = tree
        .walk("/")?
        .into_iter()
        .filter_map(|(_, id)| match &tree.inode(id).kind {
            Kind::File(bytes) if seen.insert(id) => Some((id, bytes.clone())),
            _ => None,
        })
        .collect();
    Ok(files
        .into_par_iter()
        .map(|(id, bytes)| Cut {
            id,
            keys: digests.of_blocks(&bytes),
            bytes,
        })
        .collect())
}

struct Writer<'a> {
    packer: Packer<'a>,
    data: Data,
}

impl Writer<'_> {
    /// Writes the blocks that files have of their own.
    fn write_blocks(&mut self, out: &mut Output<'_>, files: &[&Cut]) -> Result<()> {
        let mut batch: Vec<Whole> = Vec::new();
        for file in files {
            self.data.contents.insert(
                file.id,
                Content {
                    fragment: NO_FRAGMENT,
                    ..Content::default()
                },
            );
            for (bytes, key) in file.blocks() {
                batch.push(Whole {
                    id: file.id,
                    bytes,
                    key,
                });
                if batch.len() == BATCH {
                    self.write_block_batch(out, &mut batch)?;
                }
            }
        }
        self.write_block_batch(out, &mut batch)
    }

    fn write_block_batch(&mut self, out: &mut Output<'_>, batch: &mut Vec<Whole>) -> Result<()> {
        let packed = self.packer.pack(batch)?;
        for (Whole { id, bytes, .. }, packed) in batch.drain(..).zip(packed) {
            let start = out.position;
            let hole = packed.bytes.is_empty();
            let size = packed.size;
            self.store(out, packed)?;
            let content = self.data.contents.get_mut(&id).expect("inserted before its blocks");
            if content.sizes.is_empty() {
                content.start = start;
            }
            content.sizes.push(size);
            if hole {
                content.sparse += bytes.len() as u64;
            }
        }
        Ok(())
    }

    /// Collects what shares blocks, and writes those.
    fn write_fragments(&mut self, out: &mut Output<'_>, files: &[&Cut]) -> Result<()> {
        let mut batch: Vec<Shared> = Vec::new();
        let mut block = Shared::default();
        let mut count = 0_u32;
        for file in files {
            let Some((bytes, key)) = file.fragment() else {
                continue;
            };
            if block.length + bytes.len() > BLOCK_SIZE {
                batch.push(std::mem::take(&mut block));
                count += 1;
            }
            let content = self.data.contents.get_mut(&file.id);
            let content = content.expect("inserted before its blocks");
            content.fragment = count;
            content.offset = u32::try_from(block.length).expect("a block has 128 KiB");
            block.add(&bytes, key);
            if block.length >= BLOCK_SIZE / 2 && key.as_bytes()[31].trailing_zeros() >= CUT_BITS {
                batch.push(std::mem::take(&mut block));
                count += 1;
            }
            if batch.len() >= BATCH {
                self.write_fragment_batch(out, &mut batch)?;
            }
        }
        if block.length > 0 {
            batch.push(block);
        }
        self.write_fragment_batch(out, &mut batch)
    }

    fn write_fragment_batch(&mut self, out: &mut Output<'_>, batch: &mut Vec<Shared>) -> Result<()> {
        let packed = self.packer.pack(batch)?;
        for (block, mut packed) in batch.drain(..).zip(packed) {
            // A fragment block cannot be a hole: zeros are stored as they are.
            if packed.size == 0 {
                packed.size = STORED | u32::try_from(block.length).expect("a block has 128 KiB");
                packed.bytes = vec![0; block.length];
            }
            let start = out.position;
            let size = packed.size;
            self.store(out, packed)?;
            self.data.fragments.push(Fragment { start, size });
        }
        Ok(())
    }

    fn store(&mut self, out: &mut Output<'_>, packed: Packed) -> Result<()> {
        self.data.blocks += 1;
        if !packed.fresh {
            self.data.cached += 1;
        }
        self.packer.write(packed, out)
    }
}
