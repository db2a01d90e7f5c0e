//! Writing, and reading back.
//!
//! The order makes a card either burned or without a partition table, never half of it: first its beginning is emptied,
//! then everything but the first block is written, synced, and read back from the medium; then the first block, which
//! has the partition table, by one write.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use indicatif::ProgressBar;

use super::digests::RangeDigests;
use super::image::map::Map;
use super::image::{Image, Pieces};
use super::medium::Medium;
use super::turns::{Turn, on_all_cores};
use super::{HEAD, PIECE};
use crate::direct::Buffer;
use crate::failure::{Abandoned, Interrupted};
use crate::housekeeping::quantity;
use crate::interrupt;
use crate::reporter::Reporter;
use crate::verify::Sha256;
use crate::verify::digest::Hasher;

/// So much of the beginning is emptied first: MBR, GPT, and the signatures of file systems without a table.
const EMPTIED: u64 = 1 << 20;
/// Bytes of a block in messages: what a block map counts in.
const BLOCK: u64 = 4096;

/// What was done, and how fast.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Burned {
    /// Bytes written.
    pub written: u64,
    /// The time it took until they were on the medium.
    pub writing: Duration,
    /// The time it took to read them back.
    pub reading: Duration,
}

impl Burned {
    /// What was burned, for people.
    pub fn summary(&self, image: &str, medium: &str) -> String {
        let rate = |time: Duration| {
            let bytes = u128::from(self.written) * 1000 / time.as_millis().max(1);
            format!("{} MB/s", bytes / 1_000_000)
        };
        format!(
            "burned {image} to {medium}: {} written in {:.1} s ({}), read back in {:.1} s ({}), all as it should be",
            quantity::bytes(self.written),
            self.writing.as_secs_f64(),
            rate(self.writing),
            self.reading.as_secs_f64(),
            rate(self.reading)
        )
    }
}

/// A piece of the image and what of it is written.
#[derive(Clone, Debug)]
pub(super) struct Piece {
    /// Its number: it begins at that multiple of [`PIECE`].
    number: u64,
    /// In the image; the head is not in them.
    ranges: Vec<Range<u64>>,
}

impl Piece {
    pub(super) fn start(&self) -> u64 {
        self.number * PIECE
    }

    fn total(&self) -> u64 {
        self.ranges.iter().map(|range| range.end - range.start).sum()
    }
}

/// Writes `image` to `medium` and reads it back.
///
/// # Errors
///
/// Fails if the medium does, if it does not keep what was written, or the person interrupts. Then it has no partition
/// table.
pub fn burn(image: &Image, medium: &dyn Medium, reporter: &Reporter) -> Result<Burned> {
    interrupt::check()?;
    in_order(image, medium, reporter).map_err(|error| {
        // A counterfeit may have put something else there; a card that is gone cannot be asked any more.
        let _ = medium.zero(0..EMPTIED.min(image.size())).and_then(|()| medium.sync());
        if error.is::<Interrupted>() {
            let name = medium.name();
            Abandoned(format!(
                "interrupted: {name} has no partition table now, so no board starts from it; run the same command again"
            ))
            .into()
        } else {
            error
        }
    })
}

fn in_order(image: &Image, medium: &dyn Medium, reporter: &Reporter) -> Result<Burned> {
    let pieces = plan(image.map());
    let total = pieces.iter().map(Piece::total).sum::<u64>();
    let begun = Instant::now();
    let emptied = 0..EMPTIED.min(image.size());
    at_range(medium.zero(emptied.clone()), medium, "emptying", &emptied)?;
    let flushed = |done: std::io::Result<()>| {
        done.map_err(|error| explain(error, medium, "having it keep what was written", &(0..image.size())))
    };
    flushed(medium.sync())?;
    // The kernel forgets the old partitions, so that nobody mounts one of them now.
    medium.reread_table();

    let bar = reporter.bytes("writing", total);
    let (digests, head) = write_pieces(image, medium, &pieces, &bar)?;
    flushed(medium.sync())?;
    bar.finish_and_clear();
    let writing = begun.elapsed();

    let begun = Instant::now();
    flushed(medium.forget())?;
    let bar = reporter.bytes("reading back", total);
    let wrong = read_back(medium, &pieces, &digests, &bar)?;
    bar.finish_and_clear();
    if let Some(index) = wrong {
        return Err(difference(image, medium, &pieces[index]));
    }
    write_head(medium, &head)?;
    let reading = begun.elapsed();
    Ok(Burned {
        written: total + head.len() as u64,
        writing,
        reading,
    })
}

/// The pieces that have something to be written, the first in any case: the head is in it.
fn plan(map: &Map) -> Vec<Piece> {
    let head = HEAD.min(map.size);
    let pieces = (0..map.size.div_ceil(PIECE)).map(|number| {
        let window = (number * PIECE).max(head)..((number + 1) * PIECE).min(map.size);
        let ranges = map.within(&window).collect();
        Piece { number, ranges }
    });
    pieces
        .filter(|piece| piece.number == 0 || !piece.ranges.is_empty())
        .collect()
}

/// What the threads that write share.
struct Line<'a> {
    pieces: &'a [Piece],
    /// Where pieces wait to be hashed in order, and to be written in order.
    hashing: Turn,
    writing: Turn,
    failed: AtomicBool,
    ranges: Mutex<RangeDigests<'a>>,
}

/// Writes all but the head; gives the digests of the pieces, and the head.
fn write_pieces(
    image: &Image,
    medium: &dyn Medium,
    pieces: &[Piece],
    bar: &ProgressBar,
) -> Result<(Vec<Sha256>, Vec<u8>)> {
    let source = image.pieces(pieces.iter().map(|piece| piece.number).collect())?;
    let line = Line {
        pieces,
        hashing: Turn::default(),
        writing: Turn::default(),
        failed: AtomicBool::new(false),
        ranges: Mutex::new(RangeDigests::new(image)),
    };
    let digests = Mutex::new(vec![None; pieces.len()]);
    let head = Mutex::new(Vec::new());
    let each = |index: usize, content: &[u8], digest: Sha256| {
        if index == 0 {
            let length = content.len().min(usize::try_from(HEAD).unwrap_or(usize::MAX));
            head.lock()
                .unwrap_or_else(PoisonError::into_inner)
                .extend_from_slice(&content[..length]);
        }
        digests.lock().unwrap_or_else(PoisonError::into_inner)[index] = Some(digest);
    };
    on_all_cores(|| {
        let done = worker(&source, medium, &line, bar, &each);
        if done.is_err() {
            line.failed.store(true, Ordering::SeqCst);
            line.hashing.wake();
            line.writing.wake();
        }
        done
    })?;
    line.ranges
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner)
        .finish()?;
    let digests = digests.into_inner().unwrap_or_else(PoisonError::into_inner);
    let digests: Option<Vec<Sha256>> = digests.into_iter().collect();
    let digests = digests.context("a piece of the image was not written")?;
    Ok((digests, head.into_inner().unwrap_or_else(PoisonError::into_inner)))
}

/// Takes pieces, prepares them beside other threads, and writes each when it is its turn.
fn worker(
    source: &Pieces<'_>,
    medium: &dyn Medium,
    line: &Line<'_>,
    bar: &ProgressBar,
    each: &(dyn Fn(usize, &[u8], Sha256) + Sync),
) -> Result<()> {
    let mut buffer = Buffer::new(usize::try_from(PIECE)?);
    let mut scratch = Vec::new();
    while !line.failed.load(Ordering::SeqCst) {
        interrupt::check()?;
        let Some((index, length)) = source.next(buffer.bytes_mut(), &mut scratch)? else {
            break;
        };
        let piece = &line.pieces[index];
        if !line.hashing.wait(index, &line.failed) {
            break;
        }
        let ranges = line
            .ranges
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take(piece, &buffer.bytes()[..length]);
        line.hashing.next();
        ranges?;
        source.amend(piece.start(), &mut buffer.bytes_mut()[..length]);
        let content = &buffer.bytes()[..length];
        each(index, content, digest(piece, content));
        if !line.writing.wait(index, &line.failed) {
            break;
        }
        for range in &piece.ranges {
            let bytes = part(piece, content, range);
            let done = if bytes.iter().all(|byte| *byte == 0) {
                medium.zero(range.clone())
            } else {
                medium.write(bytes, range.start)
            };
            at_range(done, medium, "writing", range)?;
        }
        bar.inc(piece.total());
        line.writing.next();
    }
    Ok(())
}

/// The bytes of a range of a piece.
pub(super) fn part<'a>(piece: &Piece, content: &'a [u8], range: &Range<u64>) -> &'a [u8] {
    let at = |byte: u64| usize::try_from(byte - piece.start()).unwrap_or(usize::MAX);
    &content[at(range.start)..at(range.end)]
}

fn digest(piece: &Piece, content: &[u8]) -> Sha256 {
    let mut hasher = Hasher::default();
    for range in &piece.ranges {
        hasher.update(part(piece, content, range));
    }
    hasher.finish()
}

/// Reads all pieces, one after the other, and hashes them beside; gives the first that is not as it was written.
fn read_back(medium: &dyn Medium, pieces: &[Piece], digests: &[Sha256], bar: &ProgressBar) -> Result<Option<usize>> {
    let next = Mutex::new(0);
    let wrong = AtomicUsize::new(usize::MAX);
    on_all_cores(|| {
        let mut buffer = Buffer::new(usize::try_from(PIECE)?);
        while wrong.load(Ordering::SeqCst) == usize::MAX {
            interrupt::check()?;
            let mut turn = next.lock().unwrap_or_else(PoisonError::into_inner);
            let index = *turn;
            let Some(piece) = pieces.get(index) else {
                break;
            };
            *turn += 1;
            for range in &piece.ranges {
                let from = usize::try_from(range.start - piece.start())?;
                let length = usize::try_from(range.end - range.start)?;
                let read = medium.read(&mut buffer.bytes_mut()[from..from + length], range.start);
                if read.is_err() {
                    // Nobody needs to go on.
                    *turn = pieces.len();
                }
                at_range(read, medium, "reading back", range)?;
            }
            drop(turn);
            if digest(piece, buffer.bytes()) != digests[index] {
                wrong.fetch_min(index, Ordering::SeqCst);
            }
            bar.inc(piece.total());
        }
        Ok(())
    })?;
    Ok(Some(wrong.into_inner()).filter(|index| *index != usize::MAX))
}

/// What is different in a piece that does not read as it was written, down to the block.
fn difference(image: &Image, medium: &dyn Medium, piece: &Piece) -> anyhow::Error {
    let first = || -> Result<Option<u64>> {
        let mut expected = vec![0; usize::try_from(PIECE)?];
        let source = image.pieces(vec![piece.number])?;
        source.next(&mut expected, &mut Vec::new())?;
        source.amend(piece.start(), &mut expected);
        for range in &piece.ranges {
            let mut buffer = Buffer::new(usize::try_from(range.end - range.start)?);
            medium.read(buffer.bytes_mut(), range.start)?;
            let pairs = part(piece, &expected, range).iter().zip(buffer.bytes());
            if let Some(at) = pairs.into_iter().position(|(wanted, found)| wanted != found) {
                return Ok(Some(range.start + at as u64));
            }
        }
        Ok(None)
    };
    let place = match first() {
        Ok(Some(at)) => format!("block {} (from byte {})", at / BLOCK, at / BLOCK * BLOCK),
        // It reads otherwise each time.
        _ => format!(
            "the 4 MiB from block {} (byte {})",
            piece.start() / BLOCK,
            piece.start()
        ),
    };
    anyhow!(
        "{} does not keep what is written to it: {place} reads back other bytes. The card is worn, or a counterfeit that \
         has less room than it says: take another one. (Or its reader or cable fails: try another first.) It has no \
         partition table now, so no board starts from it",
        medium.name()
    )
}

/// The block with the partition table, by one write.
fn write_head(medium: &dyn Medium, head: &[u8]) -> Result<()> {
    interrupt::check()?;
    let range = 0..head.len() as u64;
    let mut buffer = Buffer::new(head.len());
    buffer.bytes_mut().copy_from_slice(head);
    let done = medium.write(buffer.bytes(), 0).and_then(|()| medium.sync());
    at_range(done, medium, "writing the partition table to", &range)?;
    let done = medium.forget().and_then(|()| medium.read(buffer.bytes_mut(), 0));
    at_range(done, medium, "reading back the partition table of", &range)?;
    if buffer.bytes() != head {
        bail!(
            "{} does not keep its first block, which has the partition table: the card is write-protected or worn, and no \
             board should start from it; take another one",
            medium.name()
        );
    }
    Ok(())
}

fn at_range(done: std::io::Result<()>, medium: &dyn Medium, doing: &str, range: &Range<u64>) -> Result<()> {
    done.map_err(|error| explain(error, medium, doing, range))
}

/// What failed, where, and what to do about it.
fn explain(error: std::io::Error, medium: &dyn Medium, doing: &str, range: &Range<u64>) -> anyhow::Error {
    use rustix::io::Errno;
    let advice = match error.raw_os_error().map(Errno::from_raw_os_error) {
        Some(Errno::IO) => "the card is worn or not quite in: try another reader, then another card",
        Some(Errno::NXIO | Errno::NODEV | Errno::NOMEDIUM) => "it is gone: put it in again, and burn it again",
        Some(Errno::NOSPC) => "there is no space left on what holds it: free some",
        Some(Errno::ROFS | Errno::PERM | Errno::ACCESS) => {
            "it has become write-protected: worn cards do that; take another"
        }
        _ => "burn it again, or take another card",
    };
    let blocks = (range.start / BLOCK, range.end.div_ceil(BLOCK).max(1) - 1);
    anyhow::Error::new(error).context(format!(
        "{doing} {}, blocks {} to {} (4096 bytes each; {advice}; it has no partition table now)",
        medium.name(),
        blocks.0,
        blocks.1
    ))
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
