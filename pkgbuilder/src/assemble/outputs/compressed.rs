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
use crate::atomic;
use crate::fetch::cache::Cache;
use crate::interrupt;
use crate::verify::Sha256;
use crate::verify::digest::Hasher;

/// Bytes of the image in one frame.
const FRAME: u64 = 4 << 20;
/// Frames in flight: bounds memory to 64 MiB of image.
const BATCH: u64 = 16;
/// Most of the image is compressed already: this finds that out quickly …
const QUICK: i32 = 1;
/// … and where there is something to gain (kernel, firmware, device trees), this takes it.
const THOROUGH: i32 = 9;

/// Folder of the cache with frames that took their time.
const KIND: &str = "frames";
/// How many of these are kept: two images of every board, some 100 MiB.
const MOST: usize = 64;

/// The file written.
pub(super) struct Packed {
    pub(super) size: u64,
    pub(super) sha256: String,
}

/// Compresses `size` bytes of `raw`, of which `mapped` may be other than zero.
pub(super) fn write(
    raw: &File,
    size: u64,
    mapped: &Ranges,
    out: &mut File,
    cache: &Cache,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<Packed> {
    let zeros = compress(&vec![0; usize::try_from(FRAME)?], QUICK)?;
    // Both slots hold the same boot files at the same places: the second costs nothing.
    let mut known: HashMap<Sha256, Vec<u8>> = HashMap::new();
    let mut digest = Hasher::default();
    let mut written = 0;
    let frames = size.div_ceil(FRAME);
    for first in (0..frames).step_by(usize::try_from(BATCH)?) {
        interrupt::check()?;
        let packed = (first..frames.min(first + BATCH))
            .into_par_iter()
            .map_init(Vec::new, |chunk: &mut Vec<u8>, number| {
                let range = number * FRAME..size.min((number + 1) * FRAME);
                if range.end - range.start == FRAME && !mapped.touches(&range) {
                    return Ok(None);
                }
                chunk.resize(usize::try_from(range.end - range.start)?, 0);
                raw.read_exact_at(chunk, range.start)
                    .context("reading the image back")?;
                progress(chunk.len() as u64);
                let quick = compress(chunk, QUICK)?;
                if !worth_keeping(&quick) {
                    return Ok(Some((None, Some(quick))));
                }
                let key = Sha256::of(chunk);
                let frame = match known.get(&key) {
                    Some(_) => None,
                    None => Some(thorough(chunk, &key, cache)?),
                };
                Ok(Some((Some(key), frame)))
            })
            .collect::<Result<Vec<_>>>()?;
        for chunk in packed {
            let frame = match &chunk {
                Some((_, Some(frame))) => frame,
                Some((Some(key), None)) => &known[key],
                Some((None, None)) | None => &zeros,
            };
            out.write_all(frame).context("writing the compressed image")?;
            digest.update(frame);
            written += frame.len() as u64;
            if let Some((Some(key), Some(frame))) = chunk {
                known.insert(key, frame);
            }
        }
    }
    cache.keep_newest(KIND, MOST)?;
    Ok(Packed {
        size: written,
        sha256: digest.finish().hex(),
    })
}

/// Whether a frame saves anything: what does not is the root, which is long and like nothing else.
fn worth_keeping(frame: &[u8]) -> bool {
    frame.len() as u64 <= FRAME / 10 * 9
}

/// The frame of a chunk with the digest `key`, which is kept in the cache with its CRC-32 (little endian) behind it.
fn thorough(chunk: &[u8], key: &Sha256, cache: &Cache) -> Result<Vec<u8>> {
    let name = format!("{}-{THOROUGH}-{key}", zstd::zstd_safe::version_number());
    let path = cache.derived(KIND, &name)?;
    if let Ok(kept) = std::fs::read(&path)
        && let Some((frame, sum)) = kept.split_last_chunk()
        && crc32fast::hash(frame) == u32::from_le_bytes(*sum)
    {
        Cache::touch(&path);
        return Ok(frame.to_vec());
    }
    let mut frame = compress(chunk, THOROUGH)?;
    frame.extend(crc32fast::hash(&frame).to_le_bytes());
    atomic::write(&path, &frame)?;
    frame.truncate(frame.len() - 4);
    Ok(frame)
}

fn compress(chunk: &[u8], level: i32) -> Result<Vec<u8>> {
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

    #[test]
    fn zstd_gives_the_image_back() {
        let raw = tempfile::tempfile().unwrap();
        let size = 150 * (1 << 20) + 4096;
        raw.set_len(size).unwrap();
        let noise: Vec<u8> = (0..3_000_000_u32)
            .flat_map(|word| word.wrapping_mul(2_654_435_761).to_le_bytes())
            .collect();
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
        assert_eq!(packed.size, compressed.len() as u64);
        assert_eq!(packed.sha256, Sha256::of(&compressed).hex());
        assert!(packed.size < 13_000_000);
        let mut image = vec![0; usize::try_from(size).unwrap()];
        raw.read_exact_at(&mut image, 0).unwrap();
        assert!(zstd::decode_all(compressed.as_slice()).unwrap() == image);
        assert_eq!(digest(&raw, size, &mapped).unwrap(), Sha256::of(&image).hex());

        let single = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
        let mut again = tempfile::NamedTempFile::new().unwrap();
        let alone = single
            .install(|| write(&raw, size, &mapped, again.as_file_mut(), &cache, &|_| {}))
            .unwrap();
        assert_eq!(alone.sha256, packed.sha256);

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
        assert_eq!(mended.sha256, packed.sha256);
    }
}
