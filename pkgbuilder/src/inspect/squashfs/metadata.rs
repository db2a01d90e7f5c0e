//! Blocks of metadata: a length of two bytes, then up to 8 KiB when decompressed.

use std::collections::HashMap;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::rc::Rc;

use anyhow::{Context, Result, bail};

use super::u64_at;

/// Content of a full block.
const SIZE: usize = 8 << 10;
/// Set in the length of a block that is stored as it is.
const STORED: u16 = 1 << 15;
/// Bytes of decompressed metadata that are held: a file system that needs more is an attack or an accident.
const MOST: usize = 1 << 30;

/// A block, and where the next one begins.
type Block = (Rc<[u8]>, u64);

/// The metadata of a file system that begins at `start` and has `used` bytes.
pub(super) struct Metadata<'a> {
    file: &'a File,
    start: u64,
    used: u64,
    blocks: HashMap<u64, Block>,
    held: usize,
}

/// A position in metadata, which reads on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cursor {
    /// Position of the block, counted from the beginning of the file system.
    pub(super) block: u64,
    /// Offset in it when decompressed.
    pub(super) offset: usize,
}

impl<'a> Metadata<'a> {
    pub(super) fn new(file: &'a File, start: u64, used: u64) -> Self {
        Self {
            file,
            start,
            used,
            blocks: HashMap::new(),
            held: 0,
        }
    }

    fn bytes(&self, at: u64, length: usize) -> Result<Vec<u8>> {
        if at.checked_add(length as u64).is_none_or(|end| end > self.used) {
            bail!("{length} bytes of metadata at {at} lie outside the file system");
        }
        let mut bytes = vec![0; length];
        let position = self.start.checked_add(at).context("metadata lies outside the image")?;
        self.file
            .read_exact_at(&mut bytes, position)
            .context("the image ends early")?;
        Ok(bytes)
    }

    fn block(&mut self, at: u64) -> Result<Block> {
        if let Some(block) = self.blocks.get(&at) {
            return Ok(block.clone());
        }
        let head = self.bytes(at, 2)?;
        let head = u16::from_le_bytes([head[0], head[1]]);
        let length = usize::from(head & !STORED);
        if length == 0 || length > SIZE {
            bail!("the metadata at {at} is damaged: a block of {length} bytes");
        }
        let body = self.bytes(at + 2, length)?;
        let plain = if head & STORED == 0 {
            zstd::bulk::decompress(&body, SIZE).with_context(|| format!("the metadata at {at} is damaged"))?
        } else {
            body
        };
        self.held += plain.len();
        if self.held > MOST {
            bail!("the metadata is larger than {MOST} bytes, which no image needs");
        }
        let block = (Rc::from(plain), at + 2 + length as u64);
        self.blocks.insert(at, block.clone());
        Ok(block)
    }

    /// The next `length` bytes.
    pub(super) fn read(&mut self, cursor: &mut Cursor, length: usize) -> Result<Vec<u8>> {
        let mut bytes = Vec::with_capacity(length.min(SIZE));
        while bytes.len() < length {
            let (block, next) = self.block(cursor.block)?;
            let Some(rest) = block.get(cursor.offset..).filter(|rest| !rest.is_empty()) else {
                // Only a full block goes on in the next one.
                if block.len() == SIZE && cursor.offset == SIZE {
                    *cursor = Cursor { block: next, offset: 0 };
                    continue;
                }
                bail!("the metadata at {} ends early", cursor.block);
            };
            let take = rest.len().min(length - bytes.len());
            bytes.extend_from_slice(&rest[..take]);
            cursor.offset += take;
        }
        Ok(bytes)
    }

    /// A table of `count` entries of `size` bytes, whose blocks the index at `index` names.
    pub(super) fn table(&mut self, index: u64, count: usize, size: usize) -> Result<Vec<u8>> {
        let mut left = count * size;
        let mut table = Vec::new();
        let mut at = index;
        while left > 0 {
            let pointer = self.bytes(at, 8)?;
            let (block, _) = self.block(u64_at(&pointer, 0))?;
            let wanted = left.min(SIZE);
            let part = block
                .get(..wanted)
                .with_context(|| format!("the table at {index} ends early"))?;
            table.extend_from_slice(part);
            left -= wanted;
            at += 8;
        }
        Ok(table)
    }
}
