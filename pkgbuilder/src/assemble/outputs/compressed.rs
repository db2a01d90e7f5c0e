//! `.img.zst`: the image in frames of its own for every 4 MiB.
//!
//! Frames one after the other are what a zstd file may be (RFC 8878, section 3), and every decompressor reads them. They
//! are compressed on all cores with the same bytes for every core count, unmapped stretches cost nothing, and the
//! burner can decompress them in parallel.

use std::collections::HashMap;
use std::fs::File;
use std::io::Write;
use std::os::unix::fs::FileExt;

use anyhow::{Context, Result};
use rayon::prelude::*;

use super::Ranges;
use crate::atomic::Pending;
use crate::fetch::cache::Cache;
use crate::fetch::summed::{Summed, sound};
use crate::interrupt;
use crate::verify::Sha256;
use crate::verify::digest::Hasher;

/// Bytes of the image in one frame.
const FRAME: u64 = 4 << 20;
/// Frames in flight: bounds memory to 64 MiB of image.
const BATCH: u64 = 16;
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
    /// Those of a frame of zeros: there is nothing.
    Zeros,
    /// Its own: it holds a part of the root, which is long and like nothing else.
    Own(Vec<u8>),
    /// Those of an earlier frame, whose content had this digest.
    Known(Sha256),
    /// Of a content with this digest: there may be more of it.
    New(Sha256, Vec<u8>),
}

/// Compresses `size` bytes of `raw`, of which `mapped` may be other than zero; gives the digest of the file.
pub(super) fn write(
    raw: &File,
    size: u64,
    mapped: &Ranges,
    out: &mut File,
    cache: &Cache,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<String> {
    let zeros = compress(&vec![0; usize::try_from(FRAME)?], QUICK)?;
    // Both slots hold the same boot files at the same places: the second costs nothing.
    let mut known: HashMap<Sha256, Vec<u8>> = HashMap::new();
    let mut digest = Hasher::default();
    let frames = size.div_ceil(FRAME);
    for first in (0..frames).step_by(usize::try_from(BATCH)?) {
        interrupt::check()?;
        let packed = (first..frames.min(first + BATCH))
            .into_par_iter()
            .map_init(Vec::new, |chunk: &mut Vec<u8>, number| {
                let range = number * FRAME..size.min((number + 1) * FRAME);
                if range.end - range.start == FRAME && !mapped.touches(&range) {
                    return Ok(Frame::Zeros);
                }
                chunk.resize(usize::try_from(range.end - range.start)?, 0);
                raw.read_exact_at(chunk, range.start)
                    .context("reading the image back")?;
                progress(chunk.len() as u64);
                pack(chunk, &known, cache)
            })
            .collect::<Result<Vec<_>>>()?;
        for frame in packed {
            let bytes = match &frame {
                Frame::Zeros => &zeros,
                Frame::Known(key) => &known[key],
                Frame::Own(bytes) | Frame::New(_, bytes) => bytes,
            };
            out.write_all(bytes).context("writing the compressed image")?;
            digest.update(bytes);
            if let Frame::New(key, bytes) = frame {
                known.insert(key, bytes);
            }
        }
    }
    cache.keep_newest(KIND, MOST)?;
    Ok(digest.finish().hex())
}

/// The frame of a chunk; `known` are those of earlier ones.
fn pack(chunk: &[u8], known: &HashMap<Sha256, Vec<u8>>, cache: &Cache) -> Result<Frame> {
    let quick = compress(chunk, QUICK)?;
    if !worth_keeping(&quick, chunk) {
        return Ok(Frame::Own(quick));
    }
    let key = Sha256::of(chunk);
    if known.contains_key(&key) {
        return Ok(Frame::Known(key));
    }
    Ok(Frame::New(key, thorough(chunk, &key, cache)?))
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
    let mut compressor = zstd::bulk::Compressor::new(level).context("preparing zstd")?;
    compressor.include_checksum(true).context("preparing zstd")?;
    compressor.compress(chunk).context("compressing the image")
}

/// The digest of the image itself, unmapped stretches counted as the zeros that they are.
pub(super) fn digest(raw: &File, size: u64, mapped: &Ranges) -> Result<String> {
    let mut digest = Hasher::default();
    let mut chunk = vec![0; usize::try_from(FRAME)?];
    for start in (0..size).step_by(usize::try_from(FRAME)?) {
        interrupt::check()?;
        let range = start..size.min(start + FRAME);
        let part = &mut chunk[..usize::try_from(range.end - range.start)?];
        if mapped.touches(&range) {
            raw.read_exact_at(part, start).context("reading the image back")?;
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
        let (raw, mut out) = (tempfile::tempfile().unwrap(), tempfile::tempfile().unwrap());
        let last = noise(1 << 18);
        raw.write_all_at(&last, FRAME).unwrap();
        let (size, mut mapped) = (FRAME + last.len() as u64, Ranges::default());
        mapped.add(FRAME..size);
        write(&raw, size, &mapped, &mut out, &cache, &|_| {}).unwrap();
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
        let packed = write(&raw, size, &mapped, out.as_file_mut(), &cache, &|_| {}).unwrap();
        let compressed = std::fs::read(out.path()).unwrap();
        assert_eq!(packed, Sha256::of(&compressed).hex());
        assert!(compressed.len() < 13_000_000);
        let mut image = vec![0; usize::try_from(size).unwrap()];
        raw.read_exact_at(&mut image, 0).unwrap();
        assert!(zstd::decode_all(compressed.as_slice()).unwrap() == image);
        assert_eq!(digest(&raw, size, &mapped).unwrap(), Sha256::of(&image).hex());

        let single = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
        let mut again = tempfile::NamedTempFile::new().unwrap();
        let alone = single
            .install(|| write(&raw, size, &mapped, again.as_file_mut(), &cache, &|_| {}))
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
        let mended = write(&raw, size, &mapped, third.as_file_mut(), &cache, &|_| {}).unwrap();
        assert_eq!(mended, packed);
    }
}
