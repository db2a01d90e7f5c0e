//! Writing past the page cache (`O_DIRECT`, open(2)).
//!
//! An image of some hundred megabytes is nothing that memory should be made free for: on a machine whose memory is full of
//! other things, or comes from a hypervisor page by page, that takes longer than all of the build.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::os::unix::fs::FileExt;
use std::thread::Scope;

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};

use crate::write_behind::WriteBehind;

/// Direct transfers begin at multiples of this in memory, whatever the size of the device's blocks.
pub const PAGE: usize = 4096;
/// Bytes that [`Appender`] writes at once.
const PIECE: usize = 4 << 20;

/// Memory that begins where direct transfers want it to.
#[derive(Debug)]
pub struct Buffer {
    memory: Vec<u8>,
    start: usize,
    length: usize,
}

impl Buffer {
    /// Zeros.
    pub fn new(length: usize) -> Self {
        let memory = vec![0; length + PAGE];
        let start = memory.as_ptr().align_offset(PAGE).min(PAGE);
        Self { memory, start, length }
    }

    /// All of it.
    pub fn bytes(&self) -> &[u8] {
        &self.memory[self.start..][..self.length]
    }

    /// All of it.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.memory[self.start..][..self.length]
    }
}

/// Writes an empty file front to back by a thread of its own, directly where its file system can.
#[derive(Debug)]
pub struct Appender<'s> {
    buffer: Buffer,
    /// Bytes in the buffer.
    filled: usize,
    /// Buffers, and how much of them is to be written.
    behind: WriteBehind<'s, (Buffer, usize)>,
}

impl<'s> Appender<'s> {
    /// Begins a file.
    ///
    /// # Errors
    ///
    /// Fails if the system does not say how the file was opened.
    pub fn new<'e: 's>(scope: &'s Scope<'s, 'e>, file: &'e File) -> io::Result<Self> {
        let mut out = Direct::begin(file)?;
        let write = move |(buffer, filled): &(Buffer, usize)| out.append(&buffer.bytes()[..*filled]);
        Ok(Self {
            buffer: Buffer::new(PIECE),
            filled: 0,
            behind: WriteBehind::new(scope, 1, write),
        })
    }

    /// Writes the next bytes.
    ///
    /// # Errors
    ///
    /// Fails if earlier ones could not be written.
    pub fn append(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let room = &mut self.buffer.bytes_mut()[self.filled..];
            let (now, later) = bytes.split_at(bytes.len().min(room.len()));
            room[..now.len()].copy_from_slice(now);
            self.filled += now.len();
            bytes = later;
            if self.filled == PIECE {
                let next = self.behind.written().map(|(buffer, _)| buffer);
                self.hand_over(next.unwrap_or_else(|| Buffer::new(PIECE)))?;
            }
        }
        Ok(())
    }

    /// Writes what is left, and waits until all is written.
    ///
    /// # Errors
    ///
    /// Fails if it cannot be written.
    pub fn finish(mut self) -> io::Result<()> {
        self.hand_over(Buffer::new(0))?;
        self.behind.finish()
    }

    /// Has the buffer written, and goes on with another.
    fn hand_over(&mut self, next: Buffer) -> io::Result<()> {
        let buffer = std::mem::replace(&mut self.buffer, next);
        self.behind.write((buffer, std::mem::take(&mut self.filled)))
    }
}

/// A file on its way.
struct Direct<'a> {
    file: &'a File,
    /// With which it was opened.
    flags: OFlags,
    at: u64,
}

impl<'a> Direct<'a> {
    fn begin(file: &'a File) -> io::Result<Self> {
        let flags = fcntl_getfl(file)?;
        // Some file systems refuse at once, others at the first write.
        let _ = fcntl_setfl(file, flags | OFlags::DIRECT);
        Ok(Self { file, flags, at: 0 })
    }

    /// Writes a piece behind the others, the last one by the page cache: it is perhaps no multiple of what direct transfers
    /// take.
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        let go_by_the_cache = || fcntl_setfl(self.file, self.flags);
        if bytes.len() < PIECE {
            go_by_the_cache()?;
        }
        match self.file.write_all_at(bytes, self.at) {
            Err(error) if error.kind() == ErrorKind::InvalidInput => {
                go_by_the_cache()?;
                self.file.write_all_at(bytes, self.at)?;
            }
            done => done?,
        }
        self.at += bytes.len() as u64;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn what_is_appended_lies_one_behind_the_other() {
        let pattern: Vec<u8> = (0..3 * PIECE + 777).map(|at| u8::try_from(at % 251).unwrap()).collect();
        // A disk's file system, and one in memory.
        for folder in [env!("CARGO_MANIFEST_DIR"), "/dev/shm"] {
            for length in [0, 1, 4096, PIECE - 1, PIECE, pattern.len()] {
                let mut file = tempfile::tempfile_in(folder).unwrap();
                std::thread::scope(|scope| {
                    let mut out = Appender::new(scope, &file).unwrap();
                    for part in pattern[..length].chunks(1_000_003) {
                        out.append(part).unwrap();
                    }
                    out.finish().unwrap();
                });
                assert!(!fcntl_getfl(&file).unwrap().contains(OFlags::DIRECT));
                let mut found = Vec::new();
                file.read_to_end(&mut found).unwrap();
                assert!(found == pattern[..length], "{folder}: {length} bytes");
            }
        }
    }

    #[test]
    fn a_full_disk_is_told() {
        let full = File::options().write(true).open("/dev/full").unwrap();
        for pieces in [0, 1, 9] {
            std::thread::scope(|scope| {
                let mut out = Appender::new(scope, &full).unwrap();
                let error = out.append(&vec![0; pieces * PIECE + 1]).err();
                let error = error.unwrap_or_else(|| out.finish().unwrap_err());
                assert_eq!(error.kind(), ErrorKind::StorageFull);
            });
        }
    }
}
