//! `.img.xz`: one stream with a block for every 4 MiB (tukaani.org/xz/xz-file-format.txt, version 1.2.1).
//!
//! Blocks are made on all cores, with the same bytes for every number of them, and say their sizes, so that xz and others
//! can decompress them in parallel too. Most of an image is compressed already: liblzma, which takes minutes to find that
//! out, gets only the blocks in which zstd finds something to gain. The others are stored, as LZMA2 can.

use std::collections::HashMap;
use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result};
use liblzma::stream::{Filters, LzmaOptions, Stream};
use liblzma::write::XzEncoder;

use super::compressed;
use super::source::Source;
use crate::verify::Sha256;

/// Bytes of the image in one block, and of its dictionary.
const BLOCK: usize = 4 << 20;
/// [`BLOCK`] as LZMA2 writes the size of a dictionary (section 5.3.1).
const DICTIONARY: u8 = 20;
/// xz's own default, for what there is to gain in.
const PRESET: u32 = 6;
/// Most that one chunk of stored bytes can hold.
const STORED: usize = 1 << 16;

const MAGIC: [u8; 6] = *b"\xfd7zXZ\0";
const FOOTER_MAGIC: [u8; 2] = *b"YZ";
/// Stream flags: each block ends with a CRC-32 of its content.
const CHECK_CRC32: [u8; 2] = [0, 1];
/// Block flags: one filter, and both sizes are told.
const BOTH_SIZES: u8 = 0xc0;
/// Filter LZMA2, with one byte of properties.
const LZMA2: [u8; 2] = [0x21, 1];

/// A block ready to be written.
#[derive(Debug)]
struct Block {
    bytes: Vec<u8>,
    /// As the index has them: header, data and check, without padding; and the content.
    unpadded: u64,
    content: u64,
}

/// Writes the image.
pub(super) fn write(source: &Source<'_>, out: &mut impl Write) -> Result<()> {
    let header = [&MAGIC[..], &CHECK_CRC32, &crc(&CHECK_CRC32)].concat();
    out.write_all(&header).context("writing the xz file")?;
    let zeros = Arc::new(block(&vec![0; BLOCK])?);
    // Both slots hold the same boot files at the same places: the second costs nothing.
    let known: Mutex<HashMap<Sha256, Arc<Block>>> = Mutex::default();
    let mut records = Vec::new();
    source.in_chunks(
        BLOCK,
        |chunk| match chunk.content {
            None if chunk.length == BLOCK => Ok(Arc::clone(&zeros)),
            None => Ok(Arc::new(block(&vec![0; chunk.length])?)),
            Some(content) if !gains(content)? => Ok(Arc::new(Block::around(&stored(content), content)?)),
            Some(content) => {
                let key = Sha256::of(content);
                let found = known.lock().unwrap_or_else(PoisonError::into_inner).get(&key).cloned();
                if let Some(found) = found {
                    return Ok(found);
                }
                let made = Arc::new(block(content)?);
                let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
                known.insert(key, Arc::clone(&made));
                Ok(made)
            }
        },
        |_, block| {
            records.push((block.unpadded, block.content));
            out.write_all(&block.bytes).context("writing the xz file")
        },
    )?;
    let index = index(&records);
    let backward = u32::try_from(index.len() / 4 - 1).context("writing the index of the xz file")?;
    let footer = [&backward.to_le_bytes()[..], &CHECK_CRC32].concat();
    out.write_all(&[&index[..], &crc(&footer), &footer, &FOOTER_MAGIC].concat())
        .context("writing the end of the xz file")
}

/// Whether there is something to gain by compressing.
fn gains(content: &[u8]) -> Result<bool> {
    Ok(compressed::worth_keeping(
        &compressed::compress(content, compressed::QUICK)?,
        content,
    ))
}

/// A block compressed by liblzma.
fn block(content: &[u8]) -> Result<Block> {
    let mut options = LzmaOptions::new_preset(PRESET).context("preparing xz")?;
    options.dict_size(u32::try_from(BLOCK)?);
    let mut filters = Filters::new();
    filters.lzma2(&options);
    let encoder = Stream::new_raw_encoder(&filters).context("preparing xz")?;
    let mut encoder = XzEncoder::new_stream(Vec::new(), encoder);
    encoder.write_all(content).context("compressing the image")?;
    Block::around(&encoder.finish().context("compressing the image")?, content)
}

/// LZMA2 data that is not compressed: chunks, of which the first forgets what was before, and an end (the format as
/// `xz-embedded/linux/lib/xz/xz_dec_lzma2.c` reads it).
fn stored(content: &[u8]) -> Vec<u8> {
    let mut data = Vec::with_capacity(content.len() + content.len() / STORED * 3 + 4);
    for (number, chunk) in content.chunks(STORED).enumerate() {
        data.push(if number == 0 { 1 } else { 2 });
        let size = u16::try_from(chunk.len() - 1).unwrap_or(u16::MAX);
        data.extend_from_slice(&size.to_be_bytes());
        data.extend_from_slice(chunk);
    }
    data.push(0);
    data
}

impl Block {
    /// A block of LZMA2 `data` that decompresses to `content`.
    fn around(data: &[u8], content: &[u8]) -> Result<Self> {
        let mut header = vec![0, BOTH_SIZES];
        header.extend(number(data.len() as u64));
        header.extend(number(content.len() as u64));
        header.extend(LZMA2);
        header.push(DICTIONARY);
        pad(&mut header);
        // The size that is written has the CRC in it, is in words, and is one less.
        header[0] = u8::try_from(header.len() / 4).context("writing the header of an xz block")?;
        header.extend(crc(&header));
        let mut bytes = Vec::with_capacity(header.len() + data.len() + 7);
        bytes.extend_from_slice(&header);
        bytes.extend_from_slice(data);
        let unpadded = bytes.len() as u64 + 4;
        pad(&mut bytes);
        bytes.extend(crc(content));
        Ok(Self {
            bytes,
            unpadded,
            content: content.len() as u64,
        })
    }
}

/// The index: of every block its sizes (section 4).
fn index(records: &[(u64, u64)]) -> Vec<u8> {
    let mut index = vec![0];
    index.extend(number(records.len() as u64));
    for (unpadded, content) in records {
        index.extend(number(*unpadded));
        index.extend(number(*content));
    }
    pad(&mut index);
    index.extend(crc(&index));
    index
}

/// A number as section 1.2 has them: seven bits in a byte, the last without its highest.
fn number(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value >= 0x80 {
        bytes.push(value.to_le_bytes()[0] | 0x80);
        value >>= 7;
    }
    bytes.push(value.to_le_bytes()[0]);
    bytes
}

fn pad(bytes: &mut Vec<u8>) {
    bytes.resize(bytes.len().next_multiple_of(4), 0);
}

fn crc(bytes: &[u8]) -> [u8; 4] {
    crc32fast::hash(bytes).to_le_bytes()
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use proptest::prelude::*;

    use super::super::super::testing::oracle;
    use super::super::source::testing::{holes, made};
    use super::*;

    #[test]
    fn xz_gives_the_image_back_whatever_the_number_of_threads() {
        let folder = tempfile::tempdir().unwrap();
        let (raw, path) = (folder.path().join("x.img"), folder.path().join("x.img.xz"));
        let size = (90 << 20) + 512;
        let mut parts = holes(size);
        // Twice the same, in blocks of its own: one is found again.
        let boot = b"kernel and firmware ".repeat(500_000);
        parts.extend([(20 << 20, boot.clone()), (32 << 20, boot)]);
        let (file, mapped) = made(&raw, &parts, size);
        let source = Source {
            image: &file,
            size,
            mapped: &mapped,
        };
        let with = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let mut bytes = Vec::new();
            pool.install(|| write(&source, &mut bytes)).unwrap();
            bytes
        };
        let bytes = with(2);
        assert!(bytes == with(1), "the same bytes");
        std::fs::write(&path, &bytes).unwrap();
        oracle(Command::new("xz").arg("--test").arg(&path));
        // Its index is right, and blocks say their sizes.
        let listed = oracle(Command::new("xz").args(["--robot", "--list", "-vv"]).arg(&path));
        assert!(listed.contains("\tCRC32\t"), "{listed}");
        assert_eq!(
            listed.matches("\nblock\t").count() as u64,
            size.div_ceil(BLOCK as u64),
            "{listed}"
        );
        oracle(
            Command::new("xz")
                .arg("--decompress")
                .arg("--stdout")
                .arg(&path)
                .stdout(std::fs::File::create(folder.path().join("y.img")).unwrap()),
        );
        oracle(Command::new("cmp").arg(&raw).arg(folder.path().join("y.img")));
    }

    proptest! {
        #[test]
        fn what_is_stored_is_what_lzma2_reads(length in 1_usize..200_000) {
            let content: Vec<u8> = (0..length).map(|at| at.to_le_bytes()[0] ^ at.to_le_bytes()[1]).collect();
            let mut filters = Filters::new();
            filters.lzma2(LzmaOptions::new_preset(0).unwrap().dict_size(4 << 20));
            let decoder = Stream::new_raw_decoder(&filters).unwrap();
            let mut decoder = liblzma::write::XzDecoder::new_stream(Vec::new(), decoder);
            decoder.write_all(&stored(&content)).unwrap();
            prop_assert!(decoder.finish().unwrap() == content);
        }
    }
}
