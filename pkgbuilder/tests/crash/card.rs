//! A card in memory that writes down what happens to it, and files that show its state to programs.

use std::cell::RefCell;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use computatom_agent::disk::BlockDevice;
use computatom_agent::disk::memory::Memory;
use rustix::fs::{SeekFrom, seek};

use super::e2fsprogs::Step;

/// What was done to the card, in its order.
#[derive(Clone, Debug)]
pub(crate) enum Event {
    /// Bytes written at an offset.
    Write(u64, Vec<u8>),
    /// Everything before is on the medium.
    Flush,
}

/// The card as programs see it, and how it came to that.
#[derive(Debug)]
pub(crate) struct Card {
    pub(crate) now: Memory,
    pub(crate) events: Vec<Event>,
}

impl Card {
    pub(crate) fn new(now: Memory) -> Rc<RefCell<Self>> {
        Rc::new(RefCell::new(Self {
            now,
            events: Vec::new(),
        }))
    }

    pub(crate) fn write(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.now.write_at(bytes, offset)?;
        self.events.push(Event::Write(offset, bytes.to_vec()));
        Ok(())
    }

    /// Zeros, written as far as something else is there.
    pub(crate) fn zero(&mut self, offset: u64, length: u64) -> io::Result<()> {
        let mut zeroed = self.now.clone();
        zeroed.zero(offset, length)?;
        for page in self.now.differences(&zeroed) {
            let (start, end) = (page.max(offset), (page + 4096).min(offset + length));
            self.write(start, &vec![0; usize::try_from(end - start).unwrap()])?;
        }
        Ok(())
    }

    pub(crate) fn flush(&mut self) {
        self.events.push(Event::Flush);
    }
}

/// The whole card or a part of it.
#[derive(Clone, Debug)]
pub(crate) struct Part {
    pub(crate) card: Rc<RefCell<Card>>,
    pub(crate) start: u64,
    pub(crate) size: u64,
}

impl BlockDevice for Part {
    fn size(&self) -> io::Result<u64> {
        Ok(self.size)
    }

    fn read_only(&self) -> io::Result<bool> {
        self.card.borrow().now.read_only()
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        if offset + buffer.len() as u64 > self.size {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.card.borrow().now.read_at(buffer, self.start + offset)
    }

    fn write_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<()> {
        if offset + bytes.len() as u64 > self.size {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.card.borrow_mut().write(self.start + offset, bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.card.borrow_mut().flush();
        Ok(())
    }
}

/// A file with the bytes of a part of a card; only what has changed is written to show another card.
#[derive(Debug)]
pub(crate) struct Mirror {
    path: PathBuf,
    file: File,
    shown: Memory,
}

impl Mirror {
    pub(crate) fn new(path: PathBuf) -> Self {
        let file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(true)
            .open(&path);
        Self {
            file: file.unwrap(),
            path,
            shown: Memory::new(0),
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn file(&self) -> &File {
        &self.file
    }

    /// Shows a card from `start` on, `size` bytes of it, in a file of `length`.
    pub(crate) fn show(&mut self, card: &Memory, start: u64, size: u64, length: u64) {
        let mut part = card.part(start, size);
        let mut pages = part.differences(&self.shown);
        pages.retain(|page| *page < size);
        pages.sort_unstable();
        // Neighbours in one write.
        for run in pages.chunk_by(|page, next| page + 4096 == *next) {
            let end = (run[run.len() - 1] + 4096).min(size);
            let mut bytes = vec![0; usize::try_from(end - run[0]).unwrap()];
            part.read_at(&mut bytes, run[0]).unwrap();
            self.file.write_all_at(&bytes, run[0]).unwrap();
        }
        self.file.set_len(length).unwrap();
        std::mem::swap(&mut self.shown, &mut part);
    }

    /// What a program did to the file.
    pub(crate) fn changed(&mut self, step: &Step) -> io::Result<()> {
        match step {
            Step::Write(offset, bytes) => self.shown.write_at(bytes, *offset),
            Step::Zero(offset, length) => self.shown.zero(*offset, *length),
            Step::Flush => Ok(()),
        }
    }

    /// Whether the file is what we think it is: that nothing which a program did went unnoticed.
    pub(crate) fn is_faithful(&self) -> bool {
        let size = self.shown.size().unwrap();
        let mut at = 0;
        // Where the file has holes it is zeros, and what we think is there lies in its data.
        let mut holes = self.shown.clone();
        while let Ok(start) = seek(&self.file, SeekFrom::Data(at)) {
            let end = seek(&self.file, SeekFrom::Hole(start)).unwrap().min(size);
            let mut bytes = vec![0; usize::try_from(end - start).unwrap()];
            let mut expected = bytes.clone();
            self.file.read_exact_at(&mut bytes, start).unwrap();
            self.shown.read_at(&mut expected, start).unwrap();
            if bytes != expected {
                return false;
            }
            holes.zero(start, end - start).unwrap();
            at = end;
        }
        holes == Memory::new(size)
    }
}
