//! Compressed blocks of earlier builds: one append-only file per compressor setting.
//!
//! ```text
//! record   magic u32 | key 32 (SHA-256 of the uncompressed block) | length u32, bit 31: stored uncompressed
//!          | check u32 (CRC-32 of the 40 bytes before and the body) | body
//! ```
//!
//! The file describes itself: opening it walks over the heads, from where the index beside it ends (see
//! [`State::remembered`]). A record whose check fails is compressed anew. What a killed process left at the end is cut off by
//! the next one that writes. Readers need no lock, for what is written never changes; writers hold the file's lock while
//! they append.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::Write;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::UNIX_EPOCH;

use anyhow::{Context, Result};

use super::super::medium::Keeper;
use crate::atomic::Pending;
use crate::fetch::summed::{Summed, sound};
use crate::verify::Sha256;

const MAGIC: u32 = 0x6b62_7164;
const HEAD: usize = 4 + 32 + 4 + 4;
const STORED: u32 = 1 << 31;
/// Bytes of an entry of the index.
const ENTRY: usize = 32 + 8 + 4;
/// No block is longer: a length beyond is garbage.
const MAX_BODY: u32 = 128 << 10;
/// A file that has grown beyond is begun anew.
const MAX_FILE: u64 = 6 << 30;
/// Fresh records gathered before they are appended.
const BUFFER: usize = 8 << 20;

/// A block that the cache has, or will have when it is flushed.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) cache: Arc<BlockCache>,
    pub(super) key: Sha256,
}

impl Keeper for Kept {
    fn read(&self, buffer: &mut [u8]) -> std::io::Result<()> {
        self.cache.read(&self.key, buffer)
    }
}

/// The cache; shared by the threads of a build and by builds that run at the same time.
#[derive(Debug)]
pub struct BlockCache {
    file: File,
    /// Where the index lies.
    index: PathBuf,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    index: HashMap<Sha256, Entry>,
    /// The heads before this position are in the index.
    end: u64,
    /// The index beside the file goes that far.
    kept: u64,
    fresh: Vec<u8>,
    /// Keys of the records in `fresh`.
    pending: HashSet<Sha256>,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    /// Position of the head.
    start: u64,
    length: u32,
}

impl BlockCache {
    /// Opens or makes the cache for zstd `level` in `folder`.
    pub fn open(folder: &Path, level: i32) -> Result<Self> {
        std::fs::create_dir_all(folder).with_context(|| format!("creating folder {}", folder.display()))?;
        let path = folder.join(format!(
            "zstd{}-{level}-{}.blocks",
            zstd::zstd_safe::version_number(),
            super::BLOCK_SIZE
        ));
        let context = || format!("opening the block cache {}", path.display());
        if path.metadata().is_ok_and(|about| about.len() > MAX_FILE) {
            // Builds that have it open keep what they opened.
            std::fs::remove_file(&path).with_context(context)?;
        }
        let file = File::options()
            .read(true)
            .append(true)
            .create(true)
            .open(&path)
            .with_context(context)?;
        let index = path.with_extension("index");
        let mut state = State::remembered(&index, &file).with_context(context)?;
        state.scan(&file).with_context(context)?;
        Ok(Self {
            file,
            index,
            state: Mutex::new(state),
        })
    }

    /// The compressed form of the block with digest `key`, and whether it is stored uncompressed. `record` is memory to
    /// use for it. One that cannot be read, or is not what was written, is forgotten: it can be kept anew.
    pub(super) fn get(&self, key: &Sha256, mut record: Vec<u8>) -> Option<(Vec<u8>, bool)> {
        let entry = *self.lock().index.get(key)?;
        record.resize(HEAD + (entry.length & !STORED) as usize, 0);
        let read = self.file.read_exact_at(&mut record, entry.start);
        let sound = || record[4..36] == key.as_bytes()[..] && record[40..HEAD] == check(&record[..40], &record[HEAD..]);
        if read.is_err() || !sound() {
            self.lock().index.remove(key);
            return None;
        }
        record.drain(..HEAD);
        Some((record, entry.length & STORED != 0))
    }

    /// Gives what [`BlockCache::get`] gave, or what was kept since, once more, unchecked.
    fn read(&self, key: &Sha256, buffer: &mut [u8]) -> std::io::Result<()> {
        let entry = self.lock().index.get(key).copied();
        let entry = entry.filter(|entry| (entry.length & !STORED) as usize == buffer.len());
        let entry = entry.ok_or_else(|| std::io::Error::other("the block cache has lost a block"))?;
        self.file.read_exact_at(buffer, entry.start + HEAD as u64)
    }

    /// Keeps the compressed form of a block.
    pub(super) fn put(&self, key: &Sha256, body: &[u8], stored: bool) -> Result<()> {
        let length = u32::try_from(body.len()).expect("a block has 128 KiB") | if stored { STORED } else { 0 };
        let mut head = MAGIC.to_le_bytes().to_vec();
        head.extend_from_slice(key.as_bytes());
        head.extend(length.to_le_bytes());
        head.extend(check(&head, body));
        let mut state = self.lock();
        if state.index.contains_key(key) || !state.pending.insert(*key) {
            return Ok(());
        }
        state.fresh.extend_from_slice(&head);
        state.fresh.extend_from_slice(body);
        if state.fresh.len() >= BUFFER {
            self.append(&mut state)?;
        }
        Ok(())
    }

    /// Appends what is still in memory, and writes down where all of it is.
    pub(super) fn flush(&self) -> Result<()> {
        let mut state = self.lock();
        self.append(&mut state)?;
        if state.end == state.kept {
            return Ok(());
        }
        let mut index = Pending::create(&self.index)?;
        let written = (|| {
            let mut to = Summed::new(index.file());
            to.write_all(&state.to_remember(&self.file)?)?;
            to.finish().map(drop)
        })();
        written.with_context(|| format!("writing {}", self.index.display()))?;
        index.commit()?;
        state.kept = state.end;
        Ok(())
    }

    fn append(&self, state: &mut State) -> Result<()> {
        if state.fresh.is_empty() {
            return Ok(());
        }
        self.file.lock().context("locking the block cache")?;
        let written = (|| {
            state.scan(&self.file)?;
            self.file.set_len(state.end)?;
            (&self.file).write_all(&state.fresh)
        })();
        let unlocked = self.file.unlock();
        written.and(unlocked).context("appending to the block cache")?;
        state.fresh.clear();
        state.pending.clear();
        state.scan(&self.file).context("reading the block cache")
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no thread panics while it holds the index")
    }
}

impl State {
    /// What the index says that was written last, all little endian:
    ///
    /// ```text
    /// magic u32 | inode u64 | time of birth, ns u64 | end u64 | entries: key 32 | start u64 | length u32, bit 31 as in the record
    /// ```
    ///
    /// To read heads that lie 100 KB from each other takes a disk much longer than one file. Nothing is believed of one
    /// that is damaged or was made for another file; each record that it names is checked when it is read.
    fn remembered(index: &Path, file: &File) -> std::io::Result<Self> {
        let mut state = Self::default();
        let Some(found) = std::fs::read(index).ok() else {
            return Ok(state);
        };
        let head = identity(file)?;
        let end = sound(&found)
            .and_then(|content| content.strip_prefix(&head))
            .and_then(|rest| rest.split_first_chunk());
        let Some((end, entries)) = end else {
            return Ok(state);
        };
        let end = u64::from_le_bytes(*end);
        if end > file.metadata()?.len() {
            return Ok(state);
        }
        for entry in entries.chunks_exact(ENTRY) {
            let (key, place) = entry.split_first_chunk().expect("an entry begins with its key");
            let (start, length) = place.split_first_chunk().expect("8 bytes, and 4 behind them");
            let length = length.try_into().expect("the last four");
            let entry = Entry {
                start: u64::from_le_bytes(*start),
                length: u32::from_le_bytes(length),
            };
            state.index.insert(Sha256::from(*key), entry);
        }
        (state.end, state.kept) = (end, end);
        Ok(state)
    }

    /// What [`State::remembered`] reads.
    fn to_remember(&self, file: &File) -> std::io::Result<Vec<u8>> {
        let mut content = identity(file)?.to_vec();
        content.extend(self.end.to_le_bytes());
        for (key, Entry { start, length }) in &self.index {
            content.extend_from_slice(key.as_bytes());
            content.extend(start.to_le_bytes());
            content.extend(length.to_le_bytes());
        }
        Ok(content)
    }

    /// Takes in the records from the known end on, up to the end of the file or to garbage.
    fn scan(&mut self, file: &File) -> std::io::Result<()> {
        let size = file.metadata()?.len();
        let mut head = [0; HEAD];
        while self.end + HEAD as u64 <= size {
            file.read_exact_at(&mut head, self.end)?;
            let word = |at: usize| u32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
            let length = word(36);
            let next = self.end + HEAD as u64 + u64::from(length & !STORED);
            if word(0) != MAGIC || length & !STORED > MAX_BODY || next > size {
                break;
            }
            let mut key = [0; 32];
            key.copy_from_slice(&head[4..36]);
            self.index.insert(
                key.into(),
                Entry {
                    start: self.end,
                    length,
                },
            );
            self.end = next;
        }
        Ok(())
    }
}

/// What keeps a file apart from one that had its name before, or its form.
fn identity(file: &File) -> std::io::Result<[u8; 20]> {
    let about = file.metadata()?;
    // Not every file system knows it.
    let born = about
        .created()
        .ok()
        .and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    let mut identity = [0; 20];
    identity[..4].copy_from_slice(&MAGIC.to_le_bytes());
    identity[4..12].copy_from_slice(&about.ino().to_le_bytes());
    // Cut: a number that differs is all that is asked for.
    identity[12..].copy_from_slice(&born.unwrap_or_default().as_nanos().to_le_bytes()[..8]);
    Ok(identity)
}

/// Against what happens to bytes on a disk, as in [`sound`]: in a tenth of the time of a SHA-256.
fn check(head: &[u8], body: &[u8]) -> [u8; 4] {
    let mut sum = crc32fast::Hasher::new();
    sum.update(head);
    sum.update(body);
    sum.finalize().to_le_bytes()
}
