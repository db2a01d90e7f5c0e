//! What an image is written to and read from: a file, or a list of what lies where.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::{Arc, PoisonError, RwLock};

use anyhow::{Context, Result};
use bytes::Bytes;

use super::outputs::Ranges;
use crate::interrupt;

/// Bytes at positions, as a disk has them.
pub trait Medium: Debug + Sync {
    /// Its length in bytes.
    ///
    /// # Errors
    ///
    /// Fails if that cannot be found out.
    fn size(&self) -> io::Result<u64>;

    /// Reads what is there, up to a buffer full, and says how much that was; nothing behind the end.
    ///
    /// # Errors
    ///
    /// Fails if it cannot be read.
    fn read_at(&self, buffer: &mut [u8], at: u64) -> io::Result<usize>;

    /// Writes bytes.
    ///
    /// # Errors
    ///
    /// Fails if they cannot be written.
    fn write_all_at(&self, bytes: &[u8], at: u64) -> io::Result<()>;

    /// Writes bytes that others hold, too.
    ///
    /// # Errors
    ///
    /// Fails if they cannot be written.
    fn write_shared(&self, bytes: &Bytes, at: u64) -> io::Result<()> {
        self.write_all_at(bytes, at)
    }

    /// Writes bytes that can be had again from a keeper.
    ///
    /// # Errors
    ///
    /// Fails if they cannot be written.
    fn write_kept(&self, bytes: &[u8], _keeper: Box<dyn Keeper>, at: u64) -> io::Result<()> {
        self.write_all_at(bytes, at)
    }

    /// Fills a buffer.
    ///
    /// # Errors
    ///
    /// Fails if it cannot be read, or ends before the buffer is full.
    fn read_exact_at(&self, mut buffer: &mut [u8], mut at: u64) -> io::Result<()> {
        while !buffer.is_empty() {
            match self.read_at(buffer, at) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(read) => {
                    buffer = &mut buffer[read..];
                    at += read as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// Where some bytes are kept.
pub trait Keeper: Debug + Send + Sync {
    /// Gives all of them: so many the buffer has.
    ///
    /// # Errors
    ///
    /// Fails if they cannot be read.
    fn read(&self, buffer: &mut [u8]) -> io::Result<()>;
}

impl Medium for File {
    fn size(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    fn read_at(&self, buffer: &mut [u8], at: u64) -> io::Result<usize> {
        FileExt::read_at(self, buffer, at)
    }

    fn write_all_at(&self, bytes: &[u8], at: u64) -> io::Result<()> {
        FileExt::write_all_at(self, bytes, at)
    }
}

/// Bytes copied at once.
const CHUNK: usize = 4 << 20;

/// An image that is written nowhere yet, but known byte by byte: what lies where. What was never written is zeros.
///
/// Only the compressed image is kept, and nearly all of the other one lies in packages and in caches. To copy it from there
/// into memory or into a file, to read it several times, took longer than anything else that is done with it.
#[derive(Debug)]
pub struct Layout {
    size: u64,
    /// By position; none lies over another.
    parts: RwLock<BTreeMap<u64, Part>>,
}

/// Bytes behind each other.
#[derive(Debug)]
struct Part {
    content: Arc<Content>,
    /// So many bytes of the content come before.
    skipped: usize,
    length: usize,
}

#[derive(Debug)]
enum Content {
    Bytes(Bytes),
    /// So many, with this CRC-32: what is read from a disk twice is not always the same.
    Kept {
        keeper: Box<dyn Keeper>,
        length: usize,
        sum: u32,
    },
}

impl Layout {
    /// Zeros.
    pub fn new(size: u64) -> Self {
        Self {
            size,
            parts: RwLock::default(),
        }
    }

    /// Writes what counts of it into an empty file, and makes that as long.
    ///
    /// # Errors
    ///
    /// Fails if the file cannot be written, or the person interrupts.
    pub fn save(&self, file: &File, mapped: &Ranges) -> Result<()> {
        let doing = || "writing the image";
        file.set_len(self.size).with_context(doing)?;
        let mut chunk = vec![0; CHUNK];
        for range in mapped.iter() {
            let end = range.end.min(self.size);
            for at in (range.start..end).step_by(CHUNK) {
                interrupt::check()?;
                let part = &mut chunk[..usize::try_from((end - at).min(CHUNK as u64))?];
                self.read_exact_at(part, at).with_context(doing)?;
                FileExt::write_all_at(file, part, at).with_context(doing)?;
            }
        }
        Ok(())
    }

    /// Puts a content of so many bytes over what lies there.
    fn put(&self, content: Content, length: usize, at: u64) -> io::Result<()> {
        if length == 0 {
            return Ok(());
        }
        let end = at.checked_add(length as u64).filter(|end| *end <= self.size);
        let Some(end) = end else {
            return Err(io::Error::new(
                io::ErrorKind::FileTooLarge,
                "the image ends before what is written into it",
            ));
        };
        let mut parts = self.parts.write().unwrap_or_else(PoisonError::into_inner);
        clear(&mut parts, at..end);
        let part = Part {
            content: content.into(),
            skipped: 0,
            length,
        };
        parts.insert(at, part);
        Ok(())
    }
}

/// Makes room: cuts off, or takes out, what lies in a range.
fn clear(parts: &mut BTreeMap<u64, Part>, range: Range<u64>) {
    let before = parts.range(..range.start).next_back().map(|(start, _)| *start);
    let within = parts.range(range.clone()).map(|(start, _)| *start);
    let touched: Vec<u64> = before.into_iter().chain(within).collect();
    for start in touched {
        let Some(part) = parts.remove(&start) else { continue };
        let offset = |at: u64| {
            usize::try_from(at.saturating_sub(start))
                .unwrap_or(usize::MAX)
                .min(part.length)
        };
        let (head, tail) = (offset(range.start), offset(range.end));
        if tail < part.length {
            let rest = Part {
                content: part.content.clone(),
                skipped: part.skipped + tail,
                length: part.length - tail,
            };
            parts.insert(range.end, rest);
        }
        if head > 0 {
            parts.insert(start, Part { length: head, ..part });
        }
    }
}

impl Part {
    /// Fills a buffer with what lies behind so many bytes of it.
    fn read(&self, buffer: &mut [u8], offset: usize) -> io::Result<()> {
        let from = self.skipped + offset;
        match &*self.content {
            Content::Bytes(bytes) => {
                buffer.copy_from_slice(&bytes[from..from + buffer.len()]);
                Ok(())
            }
            Content::Kept { keeper, length, sum } if *length == buffer.len() => read_kept(&**keeper, *sum, buffer),
            Content::Kept { keeper, length, sum } => {
                let mut whole = vec![0; *length];
                read_kept(&**keeper, *sum, &mut whole)?;
                buffer.copy_from_slice(&whole[from..from + buffer.len()]);
                Ok(())
            }
        }
    }
}

fn read_kept(keeper: &dyn Keeper, sum: u32, buffer: &mut [u8]) -> io::Result<()> {
    keeper.read(buffer)?;
    if crc32fast::hash(buffer) == sum {
        return Ok(());
    }
    Err(io::Error::other(
        "what the cache had a moment ago is now read differently: look after that disk, and run it again",
    ))
}

impl Medium for Layout {
    fn size(&self) -> io::Result<u64> {
        Ok(self.size)
    }

    fn read_at(&self, buffer: &mut [u8], at: u64) -> io::Result<usize> {
        let left = usize::try_from(self.size.saturating_sub(at)).unwrap_or(usize::MAX);
        let count = left.min(buffer.len());
        let buffer = &mut buffer[..count];
        let end = at + buffer.len() as u64;
        let parts = self.parts.read().unwrap_or_else(PoisonError::into_inner);
        let before = parts.range(..at).next_back();
        let mut filled = 0;
        for (start, part) in before.into_iter().chain(parts.range(at..end)) {
            let (from, to) = (at.max(*start), end.min(start + part.length as u64));
            if from >= to {
                continue;
            }
            let place = |position: u64| usize::try_from(position - at).expect("it lies in the buffer");
            buffer[filled..place(from)].fill(0);
            let offset = usize::try_from(from - start).expect("it lies in the part");
            part.read(&mut buffer[place(from)..place(to)], offset)?;
            filled = place(to);
        }
        buffer[filled..].fill(0);
        Ok(count)
    }

    fn write_all_at(&self, bytes: &[u8], at: u64) -> io::Result<()> {
        self.write_shared(&Bytes::copy_from_slice(bytes), at)
    }

    fn write_shared(&self, bytes: &Bytes, at: u64) -> io::Result<()> {
        self.put(Content::Bytes(bytes.clone()), bytes.len(), at)
    }

    fn write_kept(&self, bytes: &[u8], keeper: Box<dyn Keeper>, at: u64) -> io::Result<()> {
        let content = Content::Kept {
            keeper,
            length: bytes.len(),
            sum: crc32fast::hash(bytes),
        };
        self.put(content, bytes.len(), at)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use proptest::prelude::*;

    use super::*;

    const SIZE: usize = 100_000;

    /// Bytes behind a lock.
    #[derive(Debug)]
    struct Shelf(Arc<Mutex<Vec<u8>>>);

    impl Keeper for Shelf {
        fn read(&self, buffer: &mut [u8]) -> io::Result<()> {
            buffer.copy_from_slice(&self.0.lock().unwrap());
            Ok(())
        }
    }

    proptest! {
        #[test]
        fn it_is_what_a_file_would_be(
            writes in proptest::collection::vec((0..SIZE + 10, 0_usize..30_000, any::<u8>(), any::<bool>()), 0..12),
            reads in proptest::collection::vec((0..SIZE + 10, 1_usize..50_000), 8),
        ) {
            let (layout, file) = (Layout::new(SIZE as u64), tempfile::tempfile().unwrap());
            file.set_len(SIZE as u64).unwrap();
            let mut mapped = Ranges::default();
            for (at, length, byte, kept) in writes {
                let bytes: Vec<u8> = (0..length).map(|offset| byte.wrapping_add(u8::try_from(offset / 7 % 256).unwrap())).collect();
                let written = if kept {
                    let shelf = Shelf(Mutex::new(bytes.clone()).into());
                    layout.write_kept(&bytes, Box::new(shelf), at as u64)
                } else {
                    layout.write_all_at(&bytes, at as u64)
                };
                let fits = length == 0 || at + length <= SIZE;
                prop_assert_eq!(written.is_ok(), fits);
                if fits {
                    Medium::write_all_at(&file, &bytes, at as u64).unwrap();
                    mapped.add(at as u64..(at + length) as u64);
                }
            }
            let saved = tempfile::tempfile().unwrap();
            layout.save(&saved, &mapped).unwrap();
            prop_assert_eq!(saved.size().unwrap(), SIZE as u64);
            for (at, length) in reads {
                let read = |medium: &dyn Medium| {
                    let mut buffer = vec![1; length];
                    let result = medium.read_exact_at(&mut buffer, at as u64);
                    result.map(|()| buffer).map_err(|error| error.kind())
                };
                prop_assert_eq!(&read(&layout), &read(&file));
                prop_assert_eq!(&read(&layout), &read(&saved));
            }
        }
    }

    #[test]
    fn what_is_kept_elsewhere_may_not_change() {
        let layout = Layout::new(100);
        let shelf = Arc::new(Mutex::new(b"sound".to_vec()));
        layout.write_kept(b"sound", Box::new(Shelf(shelf.clone())), 10).unwrap();
        for length in [5, 3] {
            layout.read_exact_at(&mut vec![0; length], 10).unwrap();
        }
        *shelf.lock().unwrap() = b"found".to_vec();
        for length in [5, 3] {
            let error = layout.read_exact_at(&mut vec![0; length], 10).unwrap_err();
            assert!(error.to_string().contains("a moment ago"), "{error}");
        }
    }
}
