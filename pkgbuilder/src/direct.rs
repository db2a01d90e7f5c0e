//! Writing past the page cache (`O_DIRECT`, open(2)).
//!
//! An image of some hundred megabytes is nothing that memory should be made free for: on a machine whose memory is full of
//! other things, or comes from a hypervisor page by page, that takes longer than all of the build.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::os::unix::fs::FileExt;

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};

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

/// Writes an empty file front to back, directly where its file system can.
#[derive(Debug)]
pub struct Appender<'a> {
    file: &'a File,
    buffer: Buffer,
    /// Bytes in the buffer.
    filled: usize,
    /// Bytes in the file.
    written: u64,
}

impl<'a> Appender<'a> {
    /// Begins a file.
    ///
    /// # Errors
    ///
    /// Fails where the kernel does not know the file.
    pub fn new(file: &'a File) -> io::Result<Self> {
        let flags = fcntl_getfl(file)?;
        // Some file systems refuse at once, others at the first write.
        let _ = fcntl_setfl(file, flags | OFlags::DIRECT);
        Ok(Self {
            file,
            buffer: Buffer::new(PIECE),
            filled: 0,
            written: 0,
        })
    }

    /// Writes the next bytes.
    ///
    /// # Errors
    ///
    /// Fails if they, or earlier ones, cannot be written.
    pub fn append(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let room = &mut self.buffer.bytes_mut()[self.filled..];
            let (now, later) = bytes.split_at(bytes.len().min(room.len()));
            room[..now.len()].copy_from_slice(now);
            self.filled += now.len();
            bytes = later;
            if self.filled == PIECE {
                self.write()?;
            }
        }
        Ok(())
    }

    /// Writes what is left, which is perhaps no multiple of what direct transfers take.
    ///
    /// # Errors
    ///
    /// Fails if it cannot be written.
    pub fn finish(mut self) -> io::Result<()> {
        self.go_by_the_cache()?;
        self.write()
    }

    fn write(&mut self) -> io::Result<()> {
        let bytes = &self.buffer.bytes()[..self.filled];
        match self.file.write_all_at(bytes, self.written) {
            Err(error) if error.kind() == ErrorKind::InvalidInput => {
                self.go_by_the_cache()?;
                self.file.write_all_at(bytes, self.written)?;
            }
            done => done?,
        }
        self.written += self.filled as u64;
        self.filled = 0;
        Ok(())
    }

    fn go_by_the_cache(&self) -> io::Result<()> {
        let flags = fcntl_getfl(self.file)?;
        Ok(fcntl_setfl(self.file, flags - OFlags::DIRECT)?)
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
                let mut out = Appender::new(&file).unwrap();
                for part in pattern[..length].chunks(1_000_003) {
                    out.append(part).unwrap();
                }
                out.finish().unwrap();
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
        let mut out = Appender::new(&full).unwrap();
        let error = out.append(&vec![0; PIECE]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::StorageFull);
    }
}
