//! Blocks to what is stored of them, on all cores.
//!
//! A block that the cache has, by the digest of its content, is not looked at again: not the content of a root is read,
//! but its digests, which came with the tree.

use std::sync::{Arc, Mutex};

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use computatom_compose::tree::InodeId;
use rayon::prelude::*;
use zstd::bulk::Compressor;
use zstd::zstd_safe::compress_bound;

use super::cache::Kept;
use super::{BLOCK_SIZE, BlockCache, Output, STORED};
use crate::interrupt;
use crate::verify::Sha256;
use crate::verify::digest::Hasher;

/// What a block is made of: a part of a file, or several small files.
pub(super) trait Block: Sync {
    /// By which the cache knows it.
    fn key(&self) -> Sha256;

    /// Its length in bytes.
    fn len(&self) -> usize;

    /// Its content.
    fn content(&self) -> Bytes;

    /// Fails if the content is not what the key was made of.
    fn check(&self) -> Result<()>;
}

/// A block of a file's own.
pub(super) struct Whole {
    pub(super) id: InodeId,
    pub(super) bytes: Bytes,
    pub(super) key: Sha256,
}

impl Block for Whole {
    fn key(&self) -> Sha256 {
        self.key
    }

    fn len(&self) -> usize {
        self.bytes.len()
    }

    fn content(&self) -> Bytes {
        self.bytes.clone()
    }

    fn check(&self) -> Result<()> {
        check(&self.bytes, self.key)
    }
}

/// A fragment block: small files and ends of others, one behind the other.
#[derive(Default)]
pub(super) struct Shared {
    files: Vec<(Bytes, Sha256)>,
    pub(super) length: usize,
}

impl Shared {
    pub(super) fn add(&mut self, bytes: &Bytes, key: Sha256) {
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

    fn content(&self) -> Bytes {
        let mut block = Vec::with_capacity(BLOCK_SIZE);
        for (bytes, _) in &self.files {
            block.extend_from_slice(bytes);
        }
        block.into()
    }

    fn check(&self) -> Result<()> {
        self.files.iter().try_for_each(|(bytes, key)| check(bytes, *key))
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
pub(super) struct Packed {
    /// Nothing for a block of zeros.
    pub(super) bytes: Vec<u8>,
    /// Their number, [`STORED`] set where they are not compressed.
    pub(super) size: u32,
    /// By which the cache knows them, unless they are nothing.
    key: Option<Sha256>,
    /// Not yet in the cache.
    pub(super) fresh: bool,
}

/// Compresses blocks, or has them from the cache.
pub(super) struct Packer<'a> {
    level: i32,
    cache: Option<&'a Arc<BlockCache>>,
    /// Told how many bytes of content were done.
    progress: &'a (dyn Fn(u64) + Sync),
    /// What blocks that are written lay in, for those to come: fresh memory takes longer than what is done with it.
    memory: Mutex<Vec<Vec<u8>>>,
}

impl<'a> Packer<'a> {
    /// Compresses by zstd at `level`.
    pub(super) fn new(level: i32, cache: Option<&'a Arc<BlockCache>>, progress: &'a (dyn Fn(u64) + Sync)) -> Self {
        Self {
            level,
            cache,
            progress,
            memory: Mutex::default(),
        }
    }

    /// Compresses blocks on all cores, or takes them from the cache; the order is kept.
    pub(super) fn pack<B: Block>(&self, blocks: &[B]) -> Result<Vec<Packed>> {
        interrupt::check()?;
        blocks
            .par_iter()
            .map_init(
                || Compressor::new(self.level),
                |compressor, block| {
                    let key = block.key();
                    let packed = if let Some(packed) = self.cached(&key) {
                        packed
                    } else {
                        // What is not kept has no wrong name to be found under.
                        if self.cache.is_some() {
                            block.check()?;
                        }
                        self.compressed(compressor, &block.content(), key)?
                    };
                    (self.progress)(block.len() as u64);
                    Ok(packed)
                },
            )
            .collect()
    }

    fn cached(&self, key: &Sha256) -> Option<Packed> {
        let (bytes, stored) = self.cache?.get(key, self.memory())?;
        let length = u32::try_from(bytes.len()).ok()?;
        Some(Packed {
            size: if stored { STORED | length } else { length },
            bytes,
            key: Some(*key),
            fresh: false,
        })
    }

    /// The stored form of a block: nothing for one of zeros.
    fn compressed(
        &self,
        compressor: &mut std::io::Result<Compressor<'static>>,
        block: &[u8],
        key: Sha256,
    ) -> Result<Packed> {
        if is_zero(block) {
            return Ok(Packed {
                bytes: Vec::new(),
                size: 0,
                key: None,
                fresh: false,
            });
        }
        let compressor = compressor
            .as_mut()
            .map_err(|error| anyhow::anyhow!("preparing zstd: {error}"))?;
        let mut bytes = self.memory();
        bytes.clear();
        bytes.reserve(compress_bound(block.len()));
        compressor
            .compress_to_buffer(block, &mut bytes)
            .context("compressing a block")?;
        let mut flag = 0;
        if bytes.len() >= block.len() {
            bytes.clear();
            bytes.extend_from_slice(block);
            flag = STORED;
        }
        Ok(Packed {
            size: flag | u32::try_from(bytes.len()).expect("a block has 128 KiB"),
            bytes,
            key: Some(key),
            fresh: true,
        })
    }

    /// What a block that is written lay in, or nothing.
    fn memory(&self) -> Vec<u8> {
        let mut memory = self.memory.lock().expect("no thread panics while it holds it");
        memory.pop().unwrap_or_default()
    }

    /// Writes a block, which the cache gets, and others its memory.
    pub(super) fn write(&mut self, packed: Packed, out: &mut Output<'_>) -> Result<()> {
        if let (Some(key), Some(cache)) = (packed.key, self.cache) {
            if packed.fresh {
                cache.put(&key, &packed.bytes, packed.size & STORED != 0)?;
            }
            let cache = cache.clone();
            out.write_kept(&packed.bytes, Box::new(Kept { cache, key }))?;
        } else {
            out.write(&packed.bytes)?;
        }
        let memory = self.memory.get_mut().expect("no thread panics while it holds it");
        memory.push(packed.bytes);
        Ok(())
    }
}

fn is_zero(block: &[u8]) -> bool {
    const ZEROS: [u8; 4096] = [0; 4096];
    block.chunks(ZEROS.len()).all(|part| part == &ZEROS[..part.len()])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_content_that_is_not_what_its_digest_says_is_refused() {
        let (sound, rotten) = (Bytes::from_static(b"sound"), Bytes::from_static(b"found"));
        let key = Sha256::of(&sound);
        let folder = tempfile::tempdir().unwrap();
        let cache = Arc::new(BlockCache::open(folder.path(), 3).unwrap());
        let pack = |files: &[&Bytes]| {
            let mut block = Shared::default();
            for bytes in files {
                block.add(bytes, key);
            }
            Packer::new(3, Some(&cache), &|_| {}).pack(&[block])
        };
        assert_eq!(pack(&[&sound, &sound]).unwrap()[0].bytes, b"soundsound");
        let error = pack(&[&sound, &rotten]).err().unwrap();
        assert!(error.to_string().contains("other than it was written"), "{error}");
    }

    #[test]
    fn blocks_have_keys_of_their_own() {
        let files = [b"a".as_slice(), b"bc", b"ab", b"c", b"abc"];
        let [a, bc, ab, c, abc] = files.map(|file| (Bytes::from_static(file), Sha256::of(file)));
        let key = |files: &[&(Bytes, Sha256)]| {
            let mut block = Shared::default();
            for (bytes, key) in files {
                block.add(bytes, *key);
            }
            block.key()
        };
        let keys = [key(&[&a, &bc]), key(&[&ab, &c]), key(&[&bc, &a]), key(&[&abc]), abc.1];
        for (number, one) in keys.iter().enumerate() {
            assert!(!keys[..number].contains(one), "{number}");
        }
    }
}
