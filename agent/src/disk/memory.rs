//! A disk in memory that keeps only what was written: two terabytes cost nothing.

use std::collections::BTreeMap;
use std::io;

use super::BlockDevice;

/// Bytes that are kept together.
pub const PAGE: u64 = 4096;
/// The same, as the length of a buffer.
const PAGE_LENGTH: usize = 4096;

/// The disk; what was never written reads as zeros.
#[derive(Clone, Debug)]
pub struct Memory {
    size: u64,
    pages: BTreeMap<u64, Box<[u8; PAGE_LENGTH]>>,
    /// Whether writes are refused.
    pub read_only: bool,
    /// How many writes succeed until the power fails.
    pub writes_left: usize,
}

impl Memory {
    /// An empty disk of `size` bytes.
    pub fn new(size: u64) -> Self {
        Self {
            size,
            pages: BTreeMap::new(),
            read_only: false,
            writes_left: usize::MAX,
        }
    }

    /// Makes it larger or smaller, as a copy to another card does.
    pub fn resize(&mut self, size: u64) {
        self.size = size;
        let end = size.div_ceil(PAGE);
        self.pages.split_off(&end);
        let behind = usize::try_from(size % PAGE).expect("less than a page");
        if behind > 0
            && let Some(page) = self.pages.get_mut(&(size / PAGE))
        {
            page[behind..].fill(0);
        }
    }

    /// Pages that hold something, with their offsets, in order.
    pub fn pages(&self) -> impl Iterator<Item = (u64, &[u8])> {
        self.pages
            .iter()
            .filter(|(_, page)| page.iter().any(|byte| *byte != 0))
            .map(|(number, page)| (number * PAGE, page.as_slice()))
    }

    /// Pages that hold something between two offsets, both multiples of [`PAGE`].
    pub fn pages_between(&self, start: u64, end: u64) -> impl Iterator<Item = (u64, &[u8])> {
        self.pages
            .range(start / PAGE..end / PAGE)
            .map(|(number, page)| (number * PAGE, page.as_slice()))
    }

    fn pieces(&self, offset: u64, length: usize) -> io::Result<Vec<(u64, usize, usize)>> {
        let end = offset.checked_add(length as u64).filter(|end| *end <= self.size);
        let end = end.ok_or(io::ErrorKind::UnexpectedEof)?;
        let mut pieces = Vec::new();
        let mut at = offset;
        while at < end {
            let count = (PAGE - at % PAGE).min(end - at);
            let number = |value: u64| usize::try_from(value).map_err(io::Error::other);
            pieces.push((at / PAGE, number(at % PAGE)?, number(count)?));
            at += count;
        }
        Ok(pieces)
    }
}

/// The same bytes; how many writes are left is no part of it.
impl PartialEq for Memory {
    fn eq(&self, other: &Self) -> bool {
        self.size == other.size && self.pages().eq(other.pages())
    }
}

impl Eq for Memory {}

impl BlockDevice for Memory {
    fn size(&self) -> io::Result<u64> {
        Ok(self.size)
    }

    fn read_only(&self) -> io::Result<bool> {
        Ok(self.read_only)
    }

    fn read_at(&self, mut buffer: &mut [u8], offset: u64) -> io::Result<()> {
        for (page, within, count) in self.pieces(offset, buffer.len())? {
            let (part, rest) = buffer.split_at_mut(count);
            match self.pages.get(&page) {
                Some(page) => part.copy_from_slice(&page[within..within + count]),
                None => part.fill(0),
            }
            buffer = rest;
        }
        Ok(())
    }

    fn write_at(&mut self, mut bytes: &[u8], offset: u64) -> io::Result<()> {
        if self.read_only {
            return Err(io::ErrorKind::ReadOnlyFilesystem.into());
        }
        if self.writes_left == 0 {
            return Err(io::Error::other("power cut"));
        }
        self.writes_left -= 1;
        for (page, within, count) in self.pieces(offset, bytes.len())? {
            let (part, rest) = bytes.split_at(count);
            bytes = rest;
            if part.iter().all(|byte| *byte == 0) && !self.pages.contains_key(&page) {
                continue;
            }
            let page = self.pages.entry(page).or_insert_with(|| Box::new([0; PAGE_LENGTH]));
            page[within..within + count].copy_from_slice(part);
        }
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_across_pages_and_lost_behind_the_end() {
        let mut disk = Memory::new(3 << 40);
        let bytes: Vec<u8> = (0..=u8::MAX).cycle().take(10_000).collect();
        disk.write_at(&bytes, (2 << 40) - 5000).unwrap();
        let mut read = vec![1; 10_000];
        disk.read_at(&mut read, (2 << 40) - 5000).unwrap();
        assert!(read == bytes);
        assert!(disk.read_at(&mut read, (3 << 40) - 5000).is_err());
        disk.resize(2 << 40);
        disk.resize(3 << 40);
        disk.read_at(&mut read, (2 << 40) - 5000).unwrap();
        assert!(read[..5000] == bytes[..5000] && read[5000..].iter().all(|byte| *byte == 0));
    }
}
