//! Writing past the page cache (`O_DIRECT`, open(2)).
//!
//! An image of some hundred megabytes is nothing that memory should be made free for: on a machine whose memory is full of
//! other things, or comes from a hypervisor page by page, that takes longer than all of the build.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::os::unix::fs::FileExt;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread::{Scope, ScopedJoinHandle};

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

/// Writes an empty file front to back by a thread of its own, directly where its file system can.
#[derive(Debug)]
pub struct Appender<'s> {
    buffer: Buffer,
    /// Bytes in the buffer.
    filled: usize,
    /// Buffers, and how much of them is to be written.
    full: Option<SyncSender<(Buffer, usize)>>,
    empty: Receiver<Buffer>,
    thread: Option<ScopedJoinHandle<'s, io::Result<()>>>,
}

impl<'s> Appender<'s> {
    /// Begins a file.
    pub fn new<'e: 's>(scope: &'s Scope<'s, 'e>, file: &'e File) -> Self {
        let (full, to_write) = sync_channel(1);
        let (written, empty) = channel();
        let thread = scope.spawn(move || write(file, to_write, &written));
        Self {
            buffer: Buffer::new(PIECE),
            filled: 0,
            full: Some(full),
            empty,
            thread: Some(thread),
        }
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
                let next = self.empty.try_recv().unwrap_or_else(|_| Buffer::new(PIECE));
                let buffer = std::mem::replace(&mut self.buffer, next);
                self.hand_over(buffer)?;
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
        let buffer = std::mem::replace(&mut self.buffer, Buffer::new(0));
        self.hand_over(buffer)?;
        self.join()
    }

    fn hand_over(&mut self, buffer: Buffer) -> io::Result<()> {
        let filled = std::mem::take(&mut self.filled);
        let sent = self
            .full
            .as_ref()
            .is_some_and(|full| full.send((buffer, filled)).is_ok());
        // The thread ends early by an error only.
        if sent { Ok(()) } else { self.join() }
    }

    fn join(&mut self) -> io::Result<()> {
        self.full = None;
        let Some(thread) = self.thread.take() else {
            return Err(io::Error::other("it failed before"));
        };
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }
}

/// Writes buffers one behind the other, the last one by the page cache: it is perhaps no multiple of what direct transfers
/// take.
fn write(file: &File, buffers: Receiver<(Buffer, usize)>, written: &Sender<Buffer>) -> io::Result<()> {
    let flags = fcntl_getfl(file)?;
    let go_by_the_cache = || fcntl_setfl(file, flags);
    // Some file systems refuse at once, others at the first write.
    let _ = fcntl_setfl(file, flags | OFlags::DIRECT);
    let mut at = 0;
    for (buffer, filled) in buffers {
        let bytes = &buffer.bytes()[..filled];
        if filled < PIECE {
            go_by_the_cache()?;
        }
        match file.write_all_at(bytes, at) {
            Err(error) if error.kind() == ErrorKind::InvalidInput => {
                go_by_the_cache()?;
                file.write_all_at(bytes, at)?;
            }
            done => done?,
        }
        at += filled as u64;
        // After the last one nobody waits for it.
        let _ = written.send(buffer);
    }
    Ok(())
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
                    let mut out = Appender::new(scope, &file);
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
                let mut out = Appender::new(scope, &full);
                let error = out.append(&vec![0; pieces * PIECE + 1]).err();
                let error = error.unwrap_or_else(|| out.finish().unwrap_err());
                assert_eq!(error.kind(), ErrorKind::StorageFull);
            });
        }
    }
}
