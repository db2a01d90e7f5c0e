//! A disk in memory that keeps only what was written: two terabytes cost nothing, and neither does a copy.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use super::BlockDevice;

/// Bytes that are kept together.
pub const PAGE: u64 = 4096;
/// The same, as the length of a buffer.
const PAGE_LENGTH: usize = 4096;

/// The disk; what was never written reads as zeros.
#[derive(Clone, Debug)]
pub struct Memory {
    size: u64,
    pages: BTreeMap<u64, Arc<[u8; PAGE_LENGTH]>>,
    /// Whether writes are refused.
    pub read_only: bool,
    /// How many writes succeed until the power fails.
    pub writes_left: usize,
    /// Where it is worn: neither read nor written.
    pub worn: Vec<u64>,
}

impl Memory {
    /// An empty disk of `size` bytes.
    pub fn new(size: u64) -> Self {
        Self {
            size,
            pages: BTreeMap::new(),
            read_only: false,
            writes_left: usize::MAX,
            worn: Vec::new(),
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
            Arc::make_mut(page)[behind..].fill(0);
        }
    }

    /// Zeros `length` bytes at `offset` without a write.
    ///
    /// # Errors
    ///
    /// Fails if they are not all on the disk.
    pub fn zero(&mut self, offset: u64, length: u64) -> io::Result<()> {
        let end = offset.checked_add(length).filter(|end| *end <= self.size);
        let end = end.ok_or(io::ErrorKind::UnexpectedEof)?;
        let whole = offset.div_ceil(PAGE)..(end / PAGE).max(offset.div_ceil(PAGE));
        for number in self
            .pages
            .range(whole.clone())
            .map(|(number, _)| *number)
            .collect::<Vec<_>>()
        {
            self.pages.remove(&number);
        }
        for (start, stop) in [
            (offset, (whole.start * PAGE).min(end)),
            ((whole.end * PAGE).max(offset), end),
        ] {
            if let Some(page) = self.pages.get_mut(&(start / PAGE)).filter(|_| start < stop) {
                let at = |offset: u64| usize::try_from(offset - start / PAGE * PAGE).expect("within a page");
                Arc::make_mut(page)[at(start)..at(stop)].fill(0);
            }
        }
        Ok(())
    }

    /// The disk that `size` bytes from `start`, a multiple of [`PAGE`], make.
    #[must_use]
    pub fn part(&self, start: u64, size: u64) -> Self {
        let first = start / PAGE;
        let pages = self.pages.range(first..(start + size).div_ceil(PAGE));
        let mut part = Self {
            pages: pages.map(|(number, page)| (number - first, Arc::clone(page))).collect(),
            ..Self::new(size)
        };
        // What lies behind its end is not its own.
        part.resize(size);
        part
    }

    /// Pages in which two disks differ, by their offsets; a page that one of them lacks differs.
    pub fn differences(&self, other: &Self) -> Vec<u64> {
        let mut different = Vec::new();
        for (number, page) in &self.pages {
            if !other
                .pages
                .get(number)
                .is_some_and(|it| Arc::ptr_eq(it, page) || it == page)
            {
                different.push(number * PAGE);
            }
        }
        let lacking = other.pages.keys().filter(|number| !self.pages.contains_key(number));
        different.extend(lacking.map(|number| number * PAGE));
        different
    }

    /// Pages that hold something, with their offsets, in order.
    pub fn pages(&self) -> impl Iterator<Item = (u64, &[u8])> {
        self.pages
            .iter()
            .filter(|(_, page)| page.iter().any(|byte| *byte != 0))
            .map(|(number, page)| (number * PAGE, page.as_slice()))
    }

    fn pieces(&self, offset: u64, length: usize) -> io::Result<Vec<(u64, usize, usize)>> {
        let end = offset.checked_add(length as u64).filter(|end| *end <= self.size);
        let end = end.ok_or(io::ErrorKind::UnexpectedEof)?;
        if self.worn.iter().any(|worn| (offset..end).contains(worn)) {
            return Err(io::Error::other("a worn sector"));
        }
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
            let page = self.pages.entry(page).or_insert_with(|| Arc::new([0; PAGE_LENGTH]));
            Arc::make_mut(page)[within..within + count].copy_from_slice(part);
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
        let mut zeroed = disk.clone();
        zeroed.zero((2 << 40) - 4000, 8000).unwrap();
        zeroed.read_at(&mut read, (2 << 40) - 5000).unwrap();
        assert!(read[..1000] == bytes[..1000] && read[1000..9000].iter().all(|byte| *byte == 0));
        assert!(read[9000..] == bytes[9000..]);
        assert_eq!(
            zeroed.differences(&disk).len(),
            2,
            "4000 bytes on each side of a page's beginning"
        );
        zeroed.zero(0, 3 << 40).unwrap();
        assert_eq!(zeroed, Memory::new(3 << 40));
        disk.resize(2 << 40);
        disk.resize(3 << 40);
        disk.read_at(&mut read, (2 << 40) - 5000).unwrap();
        assert!(read[..5000] == bytes[..5000] && read[5000..].iter().all(|byte| *byte == 0));
    }
}
