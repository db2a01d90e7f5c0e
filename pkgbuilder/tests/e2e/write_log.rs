//! The log of a disk's writes that QEMU's driver `blklogwrites` keeps, in the format of the kernel's dm-log-writes
//! (`drivers/md/dm-log-writes.c`, `block/blklogwrites.c`): little endian, everything begins at a sector.

use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use rand::Rng;
use rand::rngs::StdRng;

/// The sectors of both, the log and the disk, in bytes.
pub(crate) const SECTOR: u64 = 512;
const MAGIC: u64 = 0x006a_7366_7773_6872;
const FLUSH: u64 = 1;
/// On the disk when it has ended, whatever comes after.
const FORCED: u64 = 2;
const DISCARD: u64 = 4;

/// All that a disk was told, in the order in which it was done.
#[derive(Debug)]
pub(crate) struct WriteLog {
    file: File,
    entries: Vec<Entry>,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    /// On the disk, in bytes.
    at: u64,
    length: u64,
    flags: u64,
    /// Of its content in the log, in bytes.
    content: u64,
}

impl WriteLog {
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let file = File::open(path).with_context(|| format!("opening {}", path.display()))?;
        let end = file.metadata()?.len();
        let [magic, version, count] = words(&file, 0)?;
        ensure!(
            magic == MAGIC && version == 1,
            "{} is no log of writes: {magic:#x}, version {version}",
            path.display()
        );
        let (mut place, mut entries) = (SECTOR, Vec::new());
        for _ in 0..count {
            let [sector, sectors, flags] = words(&file, place)?;
            let entry = Entry {
                at: sector * SECTOR,
                length: sectors * SECTOR,
                flags,
                content: place + SECTOR,
            };
            place = entry.content + if flags & DISCARD == 0 { entry.length } else { 0 };
            // QEMU keeps a log without locks around it in some versions: what is no entry is not to be taken for one.
            ensure!(
                flags & !(FLUSH | FORCED | DISCARD) == 0 && place <= end,
                "{}: no entry of a log: {entry:?}",
                path.display()
            );
            entries.push(entry);
        }
        Ok(Self { file, entries })
    }

    /// How many entries there are, and how many of them are flushes.
    pub(crate) fn count(&self) -> (usize, usize) {
        let flushes = self.entries.iter().filter(|entry| entry.flags & FLUSH != 0).count();
        (self.entries.len(), flushes)
    }

    /// The entries that have content for a place on the disk.
    pub(crate) fn within(&self, place: Range<u64>) -> impl Iterator<Item = usize> {
        let entries = self.entries.iter().enumerate();
        entries.filter_map(move |(number, entry)| (entry.length > 0 && place.contains(&entry.at)).then_some(number))
    }

    /// The first flush after an entry.
    pub(crate) fn flush_after(&self, number: usize) -> Option<usize> {
        (number + 1..self.entries.len()).find(|later| self.entries[*later].flags & FLUSH != 0)
    }

    /// Of numbers of entries those after which a power cut may lose something: no flush came after the last one's content.
    pub(crate) fn loses(&self, range: Range<usize>) -> impl Iterator<Item = usize> {
        range.filter(|happened| {
            (self.entries[..*happened].last()).is_some_and(|last| last.flags == 0 && last.length > 0)
        })
    }

    /// Does to `disk`, which is as it was before, what a power cut after so many entries may have left: all that a flush came
    /// after, and of the rest any, the last of it torn between two sectors. How many sectors it left out.
    ///
    /// A discard leaves what was there. A flush is in the log where it ended: what was written while it took stands before it, and
    /// is taken for flushed.
    pub(crate) fn replay(&self, disk: &File, happened: usize, random: &mut StdRng) -> Result<u64> {
        let mut left_out = 0;
        let happened = &self.entries[..happened];
        let flushed = happened
            .iter()
            .rposition(|entry| entry.flags & FLUSH != 0)
            .map_or(0, |at| at + 1);
        for (number, entry) in happened.iter().enumerate() {
            let sectors = entry.length / SECTOR;
            let written = if number < flushed || entry.flags & FORCED != 0 {
                sectors
            } else if number + 1 == happened.len() {
                random.gen_range(0..=sectors)
            } else if random.gen_bool(0.5) {
                sectors
            } else {
                0
            };
            if entry.flags & DISCARD == 0 {
                self.write(disk, entry, written * SECTOR)?;
                left_out += sectors - written;
            }
        }
        Ok(left_out)
    }

    fn write(&self, disk: &File, entry: &Entry, length: u64) -> Result<()> {
        let mut buffer = vec![0; usize::try_from(length.min(4 << 20))?];
        let mut done = 0;
        while done < length {
            let piece = &mut buffer[..usize::try_from((length - done).min(4 << 20))?];
            self.file.read_exact_at(piece, entry.content + done)?;
            disk.write_all_at(piece, entry.at + done)?;
            done += piece.len() as u64;
        }
        Ok(())
    }
}

/// Three words at a place.
fn words(file: &File, place: u64) -> Result<[u64; 3]> {
    let mut bytes = [0; 24];
    file.read_exact_at(&mut bytes, place)
        .context("reading a log of writes")?;
    let (words, _) = bytes.as_chunks::<8>();
    Ok([0, 1, 2].map(|word| u64::from_le_bytes(words[word])))
}
