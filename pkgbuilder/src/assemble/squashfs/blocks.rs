//! File contents: cut, hashed and compressed on all cores, written in tree order.
//!
//! Small files are collected into fragment blocks. A block ends when the next file does not fit, and also, once it is
//! half full, after a file whose digest ends in [`CUT_BITS`] zero bits: as in content-defined chunking, the blocks
//! behind a changed file come out as before, and the cache has them.

use std::collections::HashMap;
use std::collections::HashSet;

use anyhow::{Context, Result};
use bytes::Bytes;
use computatom_compose::tree::{InodeId, Kind, Tree};
use rayon::prelude::*;
use sha2::{Digest, Sha256};
use zstd::bulk::Compressor;

use super::{BLOCK_SIZE, BlockCache, Output, STORED};
use crate::interrupt;

/// Blocks in flight: bounds memory to 32 MiB of compressed data.
const BATCH: usize = 256;
/// One file in 16 may end a fragment block that is half full.
const CUT_BITS: u32 = 4;
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

type Key = [u8; 32];

/// A regular file, its content cut into blocks and hashed.
struct Cut {
    id: InodeId,
    bytes: Bytes,
    keys: Vec<Key>,
}

impl Cut {
    fn blocks(&self) -> impl Iterator<Item = Bytes> + '_ {
        (0..self.keys.len()).map(|index| {
            let from = index * BLOCK_SIZE;
            self.bytes.slice(from..self.bytes.len().min(from + BLOCK_SIZE))
        })
    }

    fn is_fragment(&self) -> bool {
        self.bytes.len() < BLOCK_SIZE
    }
}

/// A block as it is stored.
struct Packed {
    bytes: Vec<u8>,
    size: u32,
    key: Key,
    /// Not yet in the cache.
    fresh: bool,
}

/// Compresses and writes the contents of all files.
pub(super) fn write(
    tree: &Tree,
    out: &mut Output<'_>,
    level: i32,
    cache: Option<&BlockCache>,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<Data> {
    let files = cut(tree)?;
    let mut firsts: HashMap<(usize, &[Key]), InodeId> = HashMap::new();
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
        level,
        cache,
        progress,
        data: Data {
            contents: HashMap::with_capacity(files.len()),
            fragments: Vec::new(),
            cached: 0,
            blocks: 0,
        },
    };
    writer.write_blocks(out, unique.iter().copied().filter(|file| !file.is_fragment()))?;
    writer.write_fragments(out, unique.iter().copied().filter(|file| file.is_fragment()))?;
    for (copy, first) in copies {
        let content = writer.data.contents[&first].clone();
        writer.data.contents.insert(copy, content);
    }
    if let Some(cache) = cache {
        cache.flush()?;
    }
    Ok(writer.data)
}

/// Every regular file once, in tree order, hashed on all cores.
fn cut(tree: &Tree) -> Result<Vec<Cut>> {
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
            keys: bytes
                .chunks(BLOCK_SIZE)
                .map(|block| Sha256::digest(block).into())
                .collect(),
            bytes,
        })
        .collect())
}

struct Writer<'a> {
    level: i32,
    cache: Option<&'a BlockCache>,
    progress: &'a (dyn Fn(u64) + Sync),
    data: Data,
}

impl Writer<'_> {
    /// Writes the files that have blocks of their own.
    fn write_blocks<'c>(&mut self, out: &mut Output<'_>, files: impl Iterator<Item = &'c Cut>) -> Result<()> {
        let mut batch: Vec<(InodeId, Bytes, Key)> = Vec::new();
        for file in files {
            self.data.contents.insert(
                file.id,
                Content {
                    fragment: NO_FRAGMENT,
                    ..Content::default()
                },
            );
            for (block, key) in file.blocks().zip(&file.keys) {
                batch.push((file.id, block, *key));
                if batch.len() == BATCH {
                    self.write_block_batch(out, &mut batch)?;
                }
            }
        }
        self.write_block_batch(out, &mut batch)
    }

    fn write_block_batch(&mut self, out: &mut Output<'_>, batch: &mut Vec<(InodeId, Bytes, Key)>) -> Result<()> {
        let packed = self.pack(batch.par_iter().map(|(_, block, key)| (block.as_ref(), *key)))?;
        for ((id, block, _), packed) in batch.drain(..).zip(packed) {
            let start = out.position;
            let hole = packed.bytes.is_empty();
            self.store(out, packed.bytes.as_slice(), &packed)?;
            let content = self.data.contents.get_mut(&id).expect("inserted with its first block");
            if content.sizes.is_empty() {
                content.start = start;
            }
            content.sizes.push(packed.size);
            if hole {
                content.sparse += block.len() as u64;
            }
        }
        Ok(())
    }

    /// Collects small files into blocks and writes those.
    fn write_fragments<'c>(&mut self, out: &mut Output<'_>, files: impl Iterator<Item = &'c Cut>) -> Result<()> {
        let mut batch: Vec<Vec<u8>> = Vec::new();
        let mut block: Vec<u8> = Vec::with_capacity(BLOCK_SIZE);
        let mut count = 0_u32;
        for file in files {
            let mut content = Content {
                fragment: NO_FRAGMENT,
                ..Content::default()
            };
            if let Some(key) = file.keys.first() {
                if block.len() + file.bytes.len() > BLOCK_SIZE {
                    batch.push(std::mem::replace(&mut block, Vec::with_capacity(BLOCK_SIZE)));
                    count += 1;
                }
                content.fragment = count;
                content.offset = u32::try_from(block.len()).expect("a block has 128 KiB");
                block.extend_from_slice(&file.bytes);
                if block.len() >= BLOCK_SIZE / 2 && key[31].trailing_zeros() >= CUT_BITS {
                    batch.push(std::mem::replace(&mut block, Vec::with_capacity(BLOCK_SIZE)));
                    count += 1;
                }
            }
            self.data.contents.insert(file.id, content);
            if batch.len() >= BATCH {
                self.write_fragment_batch(out, &mut batch)?;
            }
        }
        if !block.is_empty() {
            batch.push(block);
        }
        self.write_fragment_batch(out, &mut batch)
    }

    fn write_fragment_batch(&mut self, out: &mut Output<'_>, batch: &mut Vec<Vec<u8>>) -> Result<()> {
        let packed = self.pack(
            batch
                .par_iter()
                .map(|block| (block.as_slice(), Sha256::digest(block).into())),
        )?;
        for (block, mut packed) in batch.drain(..).zip(packed) {
            // A fragment block cannot be a hole: zeros are stored as they are.
            if packed.size == 0 {
                packed.size = STORED | u32::try_from(block.len()).expect("a block has 128 KiB");
                packed.bytes = block;
            }
            let start = out.position;
            self.store(out, &packed.bytes, &packed)?;
            self.data.fragments.push(Fragment {
                start,
                size: packed.size,
            });
        }
        Ok(())
    }

    /// Compresses blocks on all cores, or takes them from the cache; the order is kept.
    fn pack<'b>(&self, blocks: impl IndexedParallelIterator<Item = (&'b [u8], Key)>) -> Result<Vec<Packed>> {
        interrupt::check()?;
        blocks
            .map_init(
                || Compressor::new(self.level),
                |compressor, (block, key)| {
                    let packed = match self.cached(&key) {
                        _ if is_zero(block) => Packed {
                            bytes: Vec::new(),
                            size: 0,
                            key,
                            fresh: false,
                        },
                        Some(packed) => packed,
                        None => compress(compressor, block, key)?,
                    };
                    (self.progress)(block.len() as u64);
                    Ok(packed)
                },
            )
            .collect()
    }

    fn cached(&self, key: &Key) -> Option<Packed> {
        let (bytes, stored) = self.cache?.get(key)?;
        let length = u32::try_from(bytes.len()).ok()?;
        Some(Packed {
            size: if stored { STORED | length } else { length },
            bytes,
            key: *key,
            fresh: false,
        })
    }

    fn store(&mut self, out: &mut Output<'_>, bytes: &[u8], packed: &Packed) -> Result<()> {
        out.write(bytes)?;
        self.data.blocks += 1;
        if packed.fresh {
            if let Some(cache) = self.cache {
                cache.put(&packed.key, bytes, packed.size & STORED != 0)?;
            }
        } else {
            self.data.cached += 1;
        }
        Ok(())
    }
}

fn compress(compressor: &mut std::io::Result<Compressor<'static>>, block: &[u8], key: Key) -> Result<Packed> {
    let compressor = compressor
        .as_mut()
        .map_err(|error| anyhow::anyhow!("preparing zstd: {error}"))?;
    let packed = compressor.compress(block).context("compressing a block")?;
    let (bytes, flag) = if packed.len() < block.len() {
        (packed, 0)
    } else {
        (block.to_vec(), STORED)
    };
    Ok(Packed {
        size: flag | u32::try_from(bytes.len()).expect("a block has 128 KiB"),
        bytes,
        key,
        fresh: true,
    })
}

fn is_zero(block: &[u8]) -> bool {
    const ZEROS: [u8; 4096] = [0; 4096];
    block.chunks(ZEROS.len()).all(|part| part == &ZEROS[..part.len()])
}
