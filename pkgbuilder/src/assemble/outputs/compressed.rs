//! `.img.zst`: the image in frames of its own for every 4 MiB.
//!
//! Frames one after the other are what a zstd file may be (RFC 8878, section 3), and every decompressor reads them. They
//! are compressed on all cores with the same bytes for every core count, unmapped stretches cost nothing, and the
//! burner can decompress them in parallel.

use std::collections::HashMap;
use std::fs::File;
use std::io::Write;
use std::sync::{Arc, Mutex};

use anyhow::{Context, Result};
use rayon::prelude::*;
use zstd::bulk::Compressor;

use super::super::medium::Medium;
use super::Ranges;
use crate::atomic::Pending;
use crate::direct::Appender;
use crate::fetch::cache::Cache;
use crate::fetch::summed::{Summed, sound};
use crate::interrupt;
use crate::verify::Sha256;
use crate::verify::digest::Hasher;
use crate::write_behind::WriteBehind;

/// Bytes of the image in one frame.
const FRAME: u64 = 4 << 20;
/// Frames that are compressed at once, and as many that may wait to be written: together with their chunks they bound
/// memory to 100 MiB.
const BATCH: u64 = 8;
/// Most of the image is compressed already: this finds that out quickly …
pub(super) const QUICK: i32 = 1;
/// … and where there is something to gain (kernel, firmware, device trees), this takes it.
const THOROUGH: i32 = 9;

/// Folder of the cache with frames that took their time.
const KIND: &str = "frames";
/// How many of these are kept: two images of every board, some 100 MiB.
const MOST: usize = 64;

/// The bytes of one frame.
enum Frame {
    /// Its own: it holds a part of the root, which is long and like nothing else.
    Own(Vec<u8>),
    /// Those of other frames, too.
    Shared(Arc<[u8]>),
    /// Of a content with this digest: there may be more of it.
    New(Sha256, Vec<u8>),
}

impl Frame {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Own(bytes) | Self::New(_, bytes) => bytes,
            Self::Shared(bytes) => bytes,
        }
    }
}

/// Compresses an image, of which `mapped` may be other than zero, into a file; gives the digest of that.
pub(super) fn write(
    image: &dyn Medium,
    mapped: &Ranges,
    out: &File,
    cache: &Cache,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<String> {
    const DOING: &str = "writing the compressed image";
    let size = image.size().context("measuring the image")?;
    let frames = size.div_ceil(FRAME);
    let mut packer = Packer {
        image,
        size,
        mapped,
        cache,
        progress,
        zeros: compress(&vec![0; usize::try_from(FRAME)?], QUICK)?.into(),
        known: HashMap::new(),
        desks: Mutex::default(),
        memory: Mutex::default(),
    };
    let mut digest = Hasher::default();
    std::thread::scope(|scope| -> Result<()> {
        let mut file = Appender::new(scope, out).context(DOING)?;
        std::thread::scope(|scope| {
            let mut behind = WriteBehind::new(scope, usize::try_from(BATCH)?, |frame: &Frame| {
                file.append(frame.bytes())?;
                digest.update(frame.bytes());
                Ok(())
            });
            for first in (0..frames).step_by(usize::try_from(BATCH)?) {
                interrupt::check()?;
                let batch = (first..frames.min(first + BATCH))
                    .into_par_iter()
                    .map(|number| packer.pack(number))
                    .collect::<Result<Vec<_>>>()?;
                for made in batch {
                    behind.write(packer.remember(made)).context(DOING)?;
                }
                packer.reuse(std::iter::from_fn(|| behind.written()));
            }
            behind.finish().context(DOING)
        })?;
        file.finish().context(DOING)
    })?;
    cache.keep_newest(KIND, MOST)?;
    Ok(digest.finish().hex())
}

const UNPOISONED: &str = "no thread panics while it holds it";

/// Makes the frames of an image.
struct Packer<'a> {
    image: &'a dyn Medium,
    size: u64,
    mapped: &'a Ranges,
    cache: &'a Cache,
    progress: &'a (dyn Fn(u64) + Sync),
    /// The frame of zeros.
    zeros: Arc<[u8]>,
    /// Both slots hold the same boot files at the same places: the second costs nothing.
    known: HashMap<Sha256, Arc<[u8]>>,
    /// What frames are made with, as many as threads make some, …
    desks: Mutex<Vec<Desk>>,
    /// … and what those lay in that are written: fresh memory takes longer than what is done with it.
    memory: Mutex<Vec<Vec<u8>>>,
}

/// What a thread makes frames with.
struct Desk {
    quick: Compressor<'static>,
    chunk: Vec<u8>,
}

impl Packer<'_> {
    /// The frame with a number.
    fn pack(&self, number: u64) -> Result<Frame> {
        let range = number * FRAME..self.size.min((number + 1) * FRAME);
        if range.end - range.start == FRAME && !self.mapped.touches(&range) {
            return Ok(Frame::Shared(self.zeros.clone()));
        }
        let desk = self.desks.lock().expect(UNPOISONED).pop();
        let mut desk = match desk {
            Some(desk) => desk,
            None => Desk {
                quick: compressor(QUICK)?,
                chunk: Vec::new(),
            },
        };
        desk.chunk.resize(usize::try_from(range.end - range.start)?, 0);
        self.image
            .read_exact_at(&mut desk.chunk, range.start)
            .context("reading the image back")?;
        let frame = self.compress(&mut desk.quick, &desk.chunk)?;
        (self.progress)(desk.chunk.len() as u64);
        self.desks.lock().expect(UNPOISONED).push(desk);
        Ok(frame)
    }

    /// The frame of a chunk.
    fn compress(&self, quick: &mut Compressor<'_>, chunk: &[u8]) -> Result<Frame> {
        let mut frame = self.memory.lock().expect(UNPOISONED).pop().unwrap_or_default();
        frame.clear();
        frame.reserve(zstd::zstd_safe::compress_bound(chunk.len()));
        quick
            .compress_to_buffer(chunk, &mut frame)
            .context("compressing the image")?;
        if !worth_keeping(&frame, chunk) {
            return Ok(Frame::Own(frame));
        }
        self.memory.lock().expect(UNPOISONED).push(frame);
        let key = Sha256::of(chunk);
        Ok(match self.known.get(&key) {
            Some(known) => Frame::Shared(known.clone()),
            None => Frame::New(key, thorough(chunk, &key, self.cache)?),
        })
    }

    /// Takes the memory of frames that are written, where these were alone in it.
    fn reuse(&mut self, frames: impl Iterator<Item = Frame>) {
        let memory = self.memory.get_mut().expect(UNPOISONED);
        memory.extend(frames.filter_map(|frame| match frame {
            Frame::Own(bytes) => Some(bytes),
            Frame::Shared(_) | Frame::New(..) => None,
        }));
    }

    /// Keeps a frame whose content may come again.
    fn remember(&mut self, frame: Frame) -> Frame {
        match frame {
            Frame::New(key, bytes) => Frame::Shared(self.known.entry(key).or_insert_with(|| bytes.into()).clone()),
            frame => frame,
        }
    }
}

/// Whether the frame of a chunk saves anything.
pub(super) fn worth_keeping(frame: &[u8], chunk: &[u8]) -> bool {
    frame.len() <= chunk.len() / 10 * 9
}

/// The frame of a chunk with the digest `key`, which is kept in the cache.
fn thorough(chunk: &[u8], key: &Sha256, cache: &Cache) -> Result<Vec<u8>> {
    let name = format!("{}-{THOROUGH}-{key}", zstd::zstd_safe::version_number());
    let path = cache.derived(KIND, &name)?;
    if let Ok(kept) = std::fs::read(&path)
        && let Some(frame) = sound(&kept)
    {
        Cache::touch(&path);
        return Ok(frame.to_vec());
    }
    let frame = compress(chunk, THOROUGH)?;
    let mut pending = Pending::create(&path)?;
    let mut kept = Summed::new(pending.file());
    kept.write_all(&frame)
        .and_then(|()| kept.finish())
        .with_context(|| cache.writing("a compressed part of the image"))?;
    pending.commit()?;
    Ok(frame)
}

pub(super) fn compress(chunk: &[u8], level: i32) -> Result<Vec<u8>> {
    compressor(level)?.compress(chunk).context("compressing the image")
}

fn compressor(level: i32) -> Result<Compressor<'static>> {
    let mut compressor = Compressor::new(level).context("preparing zstd")?;
    compressor.include_checksum(true).context("preparing zstd")?;
    Ok(compressor)
}

/// The digest of the image itself, unmapped stretches counted as the zeros that they are.
pub(super) fn digest(image: &dyn Medium, mapped: &Ranges) -> Result<String> {
    let size = image.size().context("measuring the image")?;
    let mut digest = Hasher::default();
    let mut chunk = vec![0; usize::try_from(FRAME)?];
    for start in (0..size).step_by(usize::try_from(FRAME)?) {
        interrupt::check()?;
        let range = start..size.min(start + FRAME);
        let part = &mut chunk[..usize::try_from(range.end - range.start)?];
        if mapped.touches(&range) {
            image.read_exact_at(part, start).context("reading the image back")?;
        } else {
            part.fill(0);
        }
        digest.update(part);
    }
    Ok(digest.finish().hex())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Nothing that zstd can make smaller.
    fn noise(words: u32) -> Vec<u8> {
        (0..words)
            .flat_map(|word| word.wrapping_mul(2_654_435_761).to_le_bytes())
            .collect()
    }

    #[test]
    fn what_saves_nothing_is_not_kept_be_it_short() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::at(folder.path()).unwrap();
        let (raw, out) = (tempfile::tempfile().unwrap(), tempfile::tempfile().unwrap());
        let last = noise(1 << 18);
        raw.write_all_at(&last, FRAME).unwrap();
        let (size, mut mapped) = (FRAME + last.len() as u64, Ranges::default());
        mapped.add(FRAME..size);
        write(&raw, &mapped, &out, &cache, &|_| {}).unwrap();
        assert!(!folder.path().join(KIND).exists());
    }

    #[test]
    fn zstd_gives_the_image_back() {
        let raw = tempfile::tempfile().unwrap();
        let size = 150 * (1 << 20) + 4096;
        raw.set_len(size).unwrap();
        let noise = noise(3_000_000);
        let mut mapped = Ranges::default();
        let twice = vec![b'x'; 5_000_000];
        for (at, bytes) in [
            (0, b"boot".as_slice()),
            (4 << 20, &twice),
            (33 << 20, &noise),
            (84 << 20, &twice),
            (size - 4096, b"end"),
        ] {
            raw.write_all_at(bytes, at).unwrap();
            mapped.add(at..at + bytes.len() as u64);
        }
        let mut out = tempfile::NamedTempFile::new().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::at(folder.path()).unwrap();
        let packed = write(&raw, &mapped, out.as_file_mut(), &cache, &|_| {}).unwrap();
        let compressed = std::fs::read(out.path()).unwrap();
        assert_eq!(packed, Sha256::of(&compressed).hex());
        assert!(compressed.len() < 13_000_000);
        let mut image = vec![0; usize::try_from(size).unwrap()];
        raw.read_exact_at(&mut image, 0).unwrap();
        assert!(zstd::decode_all(compressed.as_slice()).unwrap() == image);
        assert_eq!(digest(&raw, &mapped).unwrap(), Sha256::of(&image).hex());

        let single = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
        let mut again = tempfile::NamedTempFile::new().unwrap();
        let alone = single
            .install(|| write(&raw, &mapped, again.as_file_mut(), &cache, &|_| {}))
            .unwrap();
        assert_eq!(alone, packed);

        // Frames that rotted are made again.
        let frames = std::fs::read_dir(folder.path().join(KIND)).unwrap();
        let frames: Vec<_> = frames.map(|entry| entry.unwrap().path()).collect();
        assert!(!frames.is_empty());
        for path in frames {
            let mut rotten = std::fs::read(&path).unwrap();
            rotten[20] ^= 1;
            std::fs::write(&path, rotten).unwrap();
        }
        let mut third = tempfile::NamedTempFile::new().unwrap();
        let mended = write(&raw, &mapped, third.as_file_mut(), &cache, &|_| {}).unwrap();
        assert_eq!(mended, packed);
    }
}
