//! Where a file system goes: written front to back by a thread of its own, in pieces that begin and end where pages do.
//!
//! Copying into the page cache takes long, and many small writes take the kernel twice as long as few large ones. What a
//! cache keeps goes another way: where nothing but a layout is made, it is not copied at all.

use std::io;
use std::sync::mpsc::{Receiver, SyncSender, channel, sync_channel};
use std::thread::{Scope, ScopedJoinHandle};

use anyhow::{Context, Result, anyhow};

use super::super::medium::{Keeper, Medium};

/// Bytes written at once.
const PIECE: usize = 4 << 20;
/// Pieces that may wait to be written.
const QUEUE: usize = 4;

/// A part of an image, written front to back.
pub(super) struct Output<'s> {
    image: &'s dyn Medium,
    base: u64,
    /// Bytes written so far; squashfs counts its positions from its own beginning.
    pub(super) position: u64,
    /// The last of them.
    piece: Vec<u8>,
    filled: Option<SyncSender<(u64, Vec<u8>)>>,
    empty: Receiver<Vec<u8>>,
    thread: Option<ScopedJoinHandle<'s, io::Result<()>>>,
}

impl<'s> Output<'s> {
    /// Writes into `image` from `base` on.
    pub(super) fn new<'e: 's>(scope: &'s Scope<'s, 'e>, image: &'e dyn Medium, base: u64) -> Self {
        let (filled, to_write) = sync_channel::<(u64, Vec<u8>)>(QUEUE);
        let (written, empty) = channel();
        let thread = scope.spawn(move || {
            for (at, mut piece) in to_write {
                image.write_all_at(&piece, at)?;
                piece.clear();
                // After the last one nobody waits for it.
                let _ = written.send(piece);
            }
            Ok(())
        });
        Self {
            image,
            base,
            position: 0,
            piece: Vec::with_capacity(PIECE),
            filled: Some(filled),
            empty,
            thread: Some(thread),
        }
    }

    /// Writes the next bytes; an error may be that of earlier ones.
    pub(super) fn write(&mut self, mut bytes: &[u8]) -> Result<()> {
        while !bytes.is_empty() {
            let (now, later) = bytes.split_at(bytes.len().min(PIECE - self.piece.len()));
            self.position += now.len() as u64;
            self.piece.extend_from_slice(now);
            bytes = later;
            if self.piece.len() == PIECE {
                self.hand_over()?;
            }
        }
        Ok(())
    }

    /// Writes the next bytes, which can be had again from a keeper.
    pub(super) fn write_kept(&mut self, bytes: &[u8], keeper: Box<dyn Keeper>) -> Result<()> {
        if !self.piece.is_empty() {
            self.hand_over()?;
        }
        self.image
            .write_kept(bytes, keeper, self.base + self.position)
            .context("writing the root file system")?;
        self.position += bytes.len() as u64;
        Ok(())
    }

    fn hand_over(&mut self) -> Result<()> {
        let at = self.base + self.position - self.piece.len() as u64;
        let next = self.empty.try_recv().unwrap_or_else(|_| Vec::with_capacity(PIECE));
        let piece = std::mem::replace(&mut self.piece, next);
        let sent = self
            .filled
            .as_ref()
            .is_some_and(|filled| filled.send((at, piece)).is_ok());
        // The thread ends early by an error only.
        if sent { Ok(()) } else { self.join() }
    }

    /// Writes what is left, and waits until all is written.
    pub(super) fn finish(&mut self) -> Result<()> {
        self.hand_over()?;
        self.join()
    }

    fn join(&mut self) -> Result<()> {
        self.filled = None;
        let thread = self.thread.take().context("writing the root file system")?;
        let result = thread
            .join()
            .map_err(|_| anyhow!("the thread that writes has panicked"))?;
        result.context("writing the root file system")
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::*;

    #[test]
    fn pieces_come_one_behind_the_other() {
        let file = tempfile::tempfile().unwrap();
        let content: Vec<u8> = (0..2 * PIECE + 5).map(|at| u8::try_from(at % 253).unwrap()).collect();
        std::thread::scope(|scope| {
            let mut out = Output::new(scope, &file, 10);
            for part in content.chunks(100_003) {
                out.write(part).unwrap();
            }
            assert_eq!(out.position, content.len() as u64);
            out.finish().unwrap();
        });
        let mut found = vec![0; content.len()];
        file.read_exact_at(&mut found, 10).unwrap();
        assert!(found == content);
    }

    #[test]
    fn a_write_that_fails_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        std::fs::write(&path, "").unwrap();
        // Not opened for writing.
        let file = File::open(&path).unwrap();
        let piece = vec![0; PIECE];
        std::thread::scope(|scope| {
            let mut out = Output::new(scope, &file, 0);
            let error = (0..10).find_map(|_| out.write(&piece).err());
            let error = error.unwrap_or_else(|| out.finish().unwrap_err());
            assert_eq!(error.to_string(), "writing the root file system");
        });
    }
}
