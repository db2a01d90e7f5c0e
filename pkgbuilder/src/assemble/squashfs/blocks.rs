//! File contents: cut, hashed and compressed on all cores, written in tree order.
//!
//! A block that the cache has, by the digest of its content, is not looked at again: not the content of a root is read, but its
//! digests, which came with the tree.
//!
//! Small files are collected into fragment blocks. A block ends when the next file does not fit, and also, once it is
//! half full, after a file whose digest ends in [`CUT_BITS`] zero bits: as in content-defined chunking, the blocks
//! behind a changed file come out as before, and the cache has them.

use std::collections::HashMap;
use std::collections::HashSet;
use std::sync::Mutex;

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use computatom_compose::tree::{InodeId, Kind};
use rayon::prelude::*;
use zstd::bulk::Compressor;

use super::{BLOCK_SIZE, BlockCache, Output, STORED};
use crate::compose::Rootfs;
use crate::interrupt;
use crate::verify::Sha256;
use crate::verify::digest::Hasher;

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

/// A regular file, its content cut into blocks and hashed.
struct Cut {
    id: InodeId,
    bytes: Bytes,
    keys: Vec<Sha256>,
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

/// What a block is made of: a part of a file, or several small files.
trait Block: Sync {
    /// By which the cache knows it.
    fn key(&self) -> Sha256;

    /// Its length in bytes.
    fn len(&self) -> usize;

    /// Its content; fails if that is not what the key was made of.
    fn content(&self) -> Result<Bytes>;
}

/// A block of a file's own.
struct Whole {
    id: InodeId,
    bytes: Bytes,
    key: Sha256,
}

impl Block for Whole {
    fn key(&self) -> Sha256 {
        self.key
    }

    fn len(&self) -> usize {
        self.bytes.len()
    }

    fn content(&self) -> Result<Bytes> {
        check(&self.bytes, self.key)?;
        Ok(self.bytes.clone())
    }
}

/// A fragment block: small files, one behind the other.
#[derive(Default)]
struct Shared {
    files: Vec<(Bytes, Sha256)>,
    length: usize,
}

impl Shared {
    fn add(&mut self, bytes: &Bytes, key: Sha256) {
        self.length += bytes.len();
        self.files.push((bytes.clone(), key));
    }
}

impl Block for Shared {
    /// Made from the keys of the files; the word before them keeps it apart from the digests of contents.
    fn key(&self) -> Sha256 {
        let mut digest = Hasher::default();
        digest.update(b"files one behind the other\n");
        for (bytes, key) in &self.files {
            digest.update(&(bytes.len() as u64).to_le_bytes());
            digest.update(key.as_bytes());
        }
        digest.finish()
    }

    fn len(&self) -> usize {
        self.length
    }

    fn content(&self) -> Result<Bytes> {
        let mut block = Vec::with_capacity(BLOCK_SIZE);
        for (bytes, key) in &self.files {
            check(bytes, *key)?;
            block.extend_from_slice(bytes);
        }
        Ok(block.into())
    }
}

/// A digest is from when the content was unpacked: what has another by now would stay in the cache under a wrong name.
fn check(bytes: &Bytes, key: Sha256) -> Result<()> {
    if Sha256::of(bytes) != key {
        bail!(
            "what was unpacked into the cache is read other than it was written: look after that disk, and run it again"
        );
    }
    Ok(())
}

/// A block as it is stored.
struct Packed {
    bytes: Vec<u8>,
    size: u32,
    key: Sha256,
    /// Not yet in the cache.
    fresh: bool,
}

/// Compresses and writes the contents of all files.
pub(super) fn write(
    rootfs: &Rootfs,
    out: &mut Output,
    level: i32,
    cache: Option<&BlockCache>,
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
        level,
        cache,
        progress,
        data: Data {
            contents: HashMap::with_capacity(files.len()),
            fragments: Vec::new(),
            cached: 0,
            blocks: 0,
        },
        memory: Mutex::default(),
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

/// Every regular file once, in tree order, hashed on all cores where that was not done before.
fn cut(rootfs: &Rootfs) -> Result<Vec<Cut>> {
    let Rootfs { tree, digests } = rootfs;
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
            keys: digests.of(&bytes).blocks,
            bytes,
        })
        .collect())
}

struct Writer<'a> {
    level: i32,
    cache: Option<&'a BlockCache>,
    progress: &'a (dyn Fn(u64) + Sync),
    data: Data,
    /// What blocks that are written lay in, for those to come: fresh memory takes longer than what is done with it.
    memory: Mutex<Vec<Vec<u8>>>,
}

impl Writer<'_> {
    /// Writes the files that have blocks of their own.
    fn write_blocks<'c>(&mut self, out: &mut Output, files: impl Iterator<Item = &'c Cut>) -> Result<()> {
        let mut batch: Vec<Whole> = Vec::new();
        for file in files {
            self.data.contents.insert(
                file.id,
                Content {
                    fragment: NO_FRAGMENT,
                    ..Content::default()
                },
            );
            for (bytes, key) in file.blocks().zip(&file.keys) {
                batch.push(Whole {
                    id: file.id,
                    bytes,
                    key: *key,
                });
                if batch.len() == BATCH {
                    self.write_block_batch(out, &mut batch)?;
                }
            }
        }
        self.write_block_batch(out, &mut batch)
    }

    fn write_block_batch(&mut self, out: &mut Output, batch: &mut Vec<Whole>) -> Result<()> {
        let packed = self.pack(batch)?;
        for (Whole { id, bytes, .. }, packed) in batch.drain(..).zip(packed) {
            let start = out.position;
            let hole = packed.bytes.is_empty();
            let size = packed.size;
            self.store(out, packed)?;
            let content = self.data.contents.get_mut(&id).expect("inserted with its first block");
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

    /// Collects small files into blocks and writes those.
    fn write_fragments<'c>(&mut self, out: &mut Output, files: impl Iterator<Item = &'c Cut>) -> Result<()> {
        let mut batch: Vec<Shared> = Vec::new();
        let mut block = Shared::default();
        let mut count = 0_u32;
        for file in files {
            let mut content = Content {
                fragment: NO_FRAGMENT,
                ..Content::default()
            };
            if let Some(key) = file.keys.first() {
                if block.length + file.bytes.len() > BLOCK_SIZE {
                    batch.push(std::mem::take(&mut block));
                    count += 1;
                }
                content.fragment = count;
                content.offset = u32::try_from(block.length).expect("a block has 128 KiB");
                block.add(&file.bytes, *key);
                if block.length >= BLOCK_SIZE / 2 && key.as_bytes()[31].trailing_zeros() >= CUT_BITS {
                    batch.push(std::mem::take(&mut block));
                    count += 1;
                }
            }
            self.data.contents.insert(file.id, content);
            if batch.len() >= BATCH {
                self.write_fragment_batch(out, &mut batch)?;
            }
        }
        if block.length > 0 {
            batch.push(block);
        }
        self.write_fragment_batch(out, &mut batch)
    }

    fn write_fragment_batch(&mut self, out: &mut Output, batch: &mut Vec<Shared>) -> Result<()> {
        let packed = self.pack(batch)?;
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

    /// Compresses blocks on all cores, or takes them from the cache; the order is kept.
    fn pack<B: Block>(&self, blocks: &[B]) -> Result<Vec<Packed>> {
        interrupt::check()?;
        blocks
            .par_iter()
            .map_init(
                || Compressor::new(self.level),
                |compressor, block| {
                    let key = block.key();
                    let packed = match self.cached(&key) {
                        Some(packed) => packed,
                        None => compress(compressor, &block.content()?, key)?,
                    };
                    (self.progress)(block.len() as u64);
                    Ok(packed)
                },
            )
            .collect()
    }

    fn cached(&self, key: &Sha256) -> Option<Packed> {
        let memory = self.memory.lock().expect("no thread panics while it holds it").pop();
        let (bytes, stored) = self.cache?.get(key, memory.unwrap_or_default())?;
        let length = u32::try_from(bytes.len()).ok()?;
        Some(Packed {
            size: if stored { STORED | length } else { length },
            bytes,
            key: *key,
            fresh: false,
        })
    }

    fn store(&mut self, out: &mut Output, packed: Packed) -> Result<()> {
        let bytes = &packed.bytes;
        out.write(bytes)?;
        self.data.blocks += 1;
        if packed.fresh {
            if let Some(cache) = self.cache {
                cache.put(&packed.key, bytes, packed.size & STORED != 0)?;
            }
        } else {
            self.data.cached += 1;
        }
        let memory = self.memory.get_mut().expect("no thread panics while it holds it");
        memory.push(packed.bytes);
        Ok(())
    }
}

/// The stored form of a block: nothing for one of zeros.
fn compress(compressor: &mut std::io::Result<Compressor<'static>>, block: &[u8], key: Sha256) -> Result<Packed> {
    if is_zero(block) {
        return Ok(Packed {
            bytes: Vec::new(),
            size: 0,
            key,
            fresh: false,
        });
    }
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
