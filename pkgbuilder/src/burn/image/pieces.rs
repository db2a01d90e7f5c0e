//! The pieces of an image, for threads that take them as they come.

use std::io::Read;
use std::os::unix::fs::FileExt;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, Result};

use super::frames::Frame;
use super::{Form, Image};
use crate::burn::PIECE;
use crate::interrupt;

/// Reads an image piece by piece, from many threads.
#[derive(Debug)]
pub struct Pieces<'a> {
    pub(super) image: &'a Image,
    pub(super) wanted: Vec<u64>,
    pub(super) next: AtomicU64,
    pub(super) stream: Option<Mutex<Stream<'a>>>,
}

/// An image that is decompressed from its beginning.
pub(super) struct Stream<'a> {
    pub(super) reader: Box<dyn Read + Send + 'a>,
    pub(super) at: u64,
}

impl std::fmt::Debug for Stream<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stream").field("at", &self.at).finish_non_exhaustive()
    }
}

impl Pieces<'_> {
    /// Fills `buffer` with the next piece that nobody has taken: its index in the list, and its length. The buffer has
    /// room for [`PIECE`] bytes.
    ///
    /// # Errors
    ///
    /// A damaged image is wrong input.
    pub fn next(&self, buffer: &mut [u8], scratch: &mut Vec<u8>) -> Result<Option<(usize, usize)>> {
        if let Some(stream) = &self.stream {
            let mut stream = stream
                .lock()
                .map_err(|_| anyhow::anyhow!("another thread failed while it decompressed"))?;
            let Some((index, start, length)) = self.take() else {
                return Ok(None);
            };
            self.stream(&mut stream, start, &mut buffer[..length])?;
            return Ok(Some((index, length)));
        }
        let Some((index, start, length)) = self.take() else {
            return Ok(None);
        };
        let part = &mut buffer[..length];
        match &self.image.form {
            Form::Frames(frames) => self.frames(frames, start, part, scratch)?,
            Form::Raw | Form::Stream(_) => self
                .image
                .file
                .read_exact_at(part, start)
                .with_context(|| format!("reading {}", self.image.name()))?,
        }
        Ok(Some((index, length)))
    }

    /// Puts into a piece, which begins at `start`, what is written in place of the image's own bytes.
    pub fn amend(&self, start: u64, piece: &mut [u8]) {
        for (at, bytes) in &self.image.amended {
            let from = at.checked_sub(start).and_then(|from| usize::try_from(from).ok());
            let place = from.and_then(|from| piece.get_mut(from..from + bytes.len()));
            if let Some(place) = place {
                place.copy_from_slice(bytes);
            }
        }
    }

    /// Index, first byte and length of the next piece.
    fn take(&self) -> Option<(usize, u64, usize)> {
        let index = usize::try_from(self.next.fetch_add(1, Ordering::Relaxed)).ok()?;
        let start = self.wanted.get(index)? * PIECE;
        let length = PIECE.min(self.image.size() - start);
        Some((index, start, usize::try_from(length).ok()?))
    }

    fn frames(&self, frames: &[Frame], start: u64, part: &mut [u8], scratch: &mut Vec<u8>) -> Result<()> {
        let end = start + part.len() as u64;
        let first = frames.partition_point(|frame| frame.start + frame.size <= start);
        for frame in frames[first..].iter().take_while(|frame| frame.start < end) {
            scratch.resize(usize::try_from(frame.length)?, 0);
            self.image
                .file
                .read_exact_at(scratch, frame.at)
                .with_context(|| format!("reading {}", self.image.name()))?;
            let whole = usize::try_from(frame.size)?;
            if frame.start >= start && frame.start + frame.size <= end {
                let to = usize::try_from(frame.start - start)?;
                self.decompress(scratch, &mut part[to..to + whole])?;
            } else {
                let mut content = vec![0; whole];
                self.decompress(scratch, &mut content)?;
                let (from, to) = (frame.start.max(start), (frame.start + frame.size).min(end));
                let within = |origin: u64| -> Result<std::ops::Range<usize>> {
                    Ok(usize::try_from(from - origin)?..usize::try_from(to - origin)?)
                };
                part[within(start)?].copy_from_slice(&content[within(frame.start)?]);
            }
        }
        Ok(())
    }

    fn decompress(&self, frame: &[u8], out: &mut [u8]) -> Result<()> {
        let wrong = |error: &dyn std::fmt::Display| self.image.damaged(error);
        let got = zstd::bulk::decompress_to_buffer(frame, out).map_err(|error| wrong(&error))?;
        if got != out.len() {
            return Err(wrong(&"a frame is shorter than it says"));
        }
        Ok(())
    }

    fn stream(&self, stream: &mut Stream<'_>, start: u64, part: &mut [u8]) -> Result<()> {
        let wrong = |error: std::io::Error| self.image.damaged(error);
        let length = part.len() as u64;
        while stream.at < start {
            interrupt::check()?;
            let step = part.len().min(usize::try_from(start - stream.at).unwrap_or(usize::MAX));
            stream.reader.read_exact(&mut part[..step]).map_err(wrong)?;
            stream.at += step as u64;
        }
        stream.reader.read_exact(part).map_err(wrong)?;
        stream.at += length;
        Ok(())
    }
}
