//! Metadata blocks: 8 KiB each before compression, with a length in front.

use anyhow::{Context, Result};
use zstd::bulk::Compressor;

/// Content of a full metadata block.
pub(super) const SIZE: usize = 8 << 10;
/// Set in the length of a block that is stored as it is.
pub(super) const STORED: u16 = 1 << 15;

/// A table under construction: bytes in, compressed blocks out.
pub(super) struct Table {
    compressor: Compressor<'static>,
    pending: Vec<u8>,
    done: Vec<u8>,
    /// Where each finished block begins, counted from the beginning of the table.
    starts: Vec<u64>,
}

impl Table {
    pub(super) fn new(level: i32) -> Result<Self> {
        Ok(Self {
            compressor: Compressor::new(level).context("preparing zstd")?,
            pending: Vec::with_capacity(SIZE),
            done: Vec::new(),
            starts: Vec::new(),
        })
    }

    /// Where the next byte goes: beginning of its block in the compressed table, and offset inside the block.
    pub(super) fn position(&self) -> (u64, u16) {
        let offset = u16::try_from(self.pending.len()).expect("a block has 8 KiB");
        (self.done.len() as u64, offset)
    }

    pub(super) fn write(&mut self, mut bytes: &[u8]) -> Result<()> {
        while !bytes.is_empty() {
            let take = bytes.len().min(SIZE - self.pending.len());
            self.pending.extend_from_slice(&bytes[..take]);
            bytes = &bytes[take..];
            if self.pending.len() == SIZE {
                self.close_block()?;
            }
        }
        Ok(())
    }

    fn close_block(&mut self) -> Result<()> {
        self.starts.push(self.done.len() as u64);
        let packed = self
            .compressor
            .compress(&self.pending)
            .context("compressing metadata")?;
        let (body, flag) = if packed.len() < self.pending.len() {
            (&packed, 0)
        } else {
            (&self.pending, STORED)
        };
        let length = u16::try_from(body.len()).expect("a block has 8 KiB");
        self.done.extend((length | flag).to_le_bytes());
        self.done.extend_from_slice(body);
        self.pending.clear();
        Ok(())
    }

    /// The compressed table and where its blocks begin.
    pub(super) fn finish(mut self) -> Result<(Vec<u8>, Vec<u64>)> {
        if !self.pending.is_empty() {
            self.close_block()?;
        }
        Ok((self.done, self.starts))
    }
}
