//! Where a file system goes: written front to back by a thread of its own, in pieces that begin and end where pages do.
//!
//! Copying into the page cache takes long, and many small writes take the kernel twice as long as few large ones. What a
//! cache keeps goes another way: where nothing but a layout is made, it is not copied at all.

use std::thread::Scope;

use anyhow::{Context, Result};

use super::super::medium::{Keeper, Medium};
use crate::write_behind::WriteBehind;

/// Bytes written at once.
const PIECE: usize = 4 << 20;
/// Pieces that may wait to be written.
const QUEUE: usize = 4;
const DOING: &str = "writing the root file system";

/// A part of an image, written front to back.
pub(super) struct Output<'s> {
    image: &'s dyn Medium,
    base: u64,
    /// Bytes written so far; squashfs counts its positions from its own beginning.
    pub(super) position: u64,
    /// The last of them.
    piece: Vec<u8>,
    /// Pieces, and where they go.
    behind: WriteBehind<'s, (u64, Vec<u8>)>,
}

impl<'s> Output<'s> {
    /// Writes into `image` from `base` on.
    pub(super) fn new<'e: 's>(scope: &'s Scope<'s, 'e>, image: &'e dyn Medium, base: u64) -> Self {
        let write = move |(at, piece): &(u64, Vec<u8>)| image.write_all_at(piece, *at);
        Self {
            image,
            base,
            position: 0,
            piece: Vec::with_capacity(PIECE),
            behind: WriteBehind::new(scope, QUEUE, write),
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
            .context(DOING)?;
        self.position += bytes.len() as u64;
        Ok(())
    }

    fn hand_over(&mut self) -> Result<()> {
        let at = self.base + self.position - self.piece.len() as u64;
        let next = self.behind.written().map(|(_, piece)| piece);
        let mut next = next.unwrap_or_else(|| Vec::with_capacity(PIECE));
        next.clear();
        let piece = std::mem::replace(&mut self.piece, next);
        self.behind.write((at, piece)).context(DOING)
    }

    /// Writes what is left, and waits until all is written.
    pub(super) fn finish(&mut self) -> Result<()> {
        self.hand_over()?;
        self.behind.finish().context(DOING)
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
