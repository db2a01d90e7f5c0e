//! Reading FAT, by `hadris-fat`: another implementation than the one that writes.

use std::io::{Read, Seek, SeekFrom};

use anyhow::{Context, Result, bail};
use hadris_fat::{DirectoryEntry, FatDir, FatVolume, FatVolumeReadExt};

use crate::assemble::medium::Medium;
use crate::assemble::partitions::Partition;

/// More files than these on a boot partition are damage.
const MOST_FILES: usize = 100_000;
/// So are more folders in each other.
const DEEPEST: usize = 32;

/// Bytes read at once: the reader asks for four of the table and one cluster, in turn, for all of a kernel.
const PAGE: usize = 256 << 10;
/// Pages held: of the table, of a folder, of a file, and one to spare.
const PAGES: usize = 4;

/// A part of a file, as a volume of its own.
#[derive(Debug)]
struct Window<'a> {
    file: &'a dyn Medium,
    start: u64,
    size: u64,
    position: u64,
    /// What was read last, by page number, the newest in front.
    pages: Vec<(u64, Vec<u8>)>,
}

impl<'a> Window<'a> {
    fn new(file: &'a dyn Medium, partition: Partition) -> Self {
        Self {
            file,
            start: partition.start,
            size: partition.size,
            position: 0,
            pages: Vec::new(),
        }
    }

    /// The page with a number, shorter at the end of the partition or of the file.
    fn page(&mut self, number: u64) -> std::io::Result<&[u8]> {
        if let Some(at) = self.pages.iter().position(|(held, _)| *held == number) {
            self.pages[..=at].rotate_right(1);
        } else {
            let mut page = if self.pages.len() < PAGES {
                Vec::new()
            } else {
                self.pages.pop().map(|(_, page)| page).unwrap_or_default()
            };
            let from = number * PAGE as u64;
            let length = self.size.saturating_sub(from).min(PAGE as u64);
            page.resize(usize::try_from(length).expect("no more than a page"), 0);
            let mut filled = 0;
            while filled < page.len() {
                match self
                    .file
                    .read_at(&mut page[filled..], self.start + from + filled as u64)?
                {
                    0 => break,
                    count => filled += count,
                }
            }
            page.truncate(filled);
            self.pages.insert(0, (number, page));
        }
        Ok(&self.pages[0].1)
    }

    /// How much of `wanted` bytes fits between here and the end.
    fn room(&self, wanted: usize) -> usize {
        let left = self.size.saturating_sub(self.position);
        usize::try_from(left).map_or(wanted, |left| wanted.min(left))
    }
}

impl Read for Window<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let room = self.room(buffer.len());
        let (number, within) = (self.position / PAGE as u64, self.position % PAGE as u64);
        let within = usize::try_from(within).expect("less than a page");
        let page = self.page(number)?.get(within..).unwrap_or_default();
        let count = room.min(page.len());
        buffer[..count].copy_from_slice(&page[..count]);
        self.position += count as u64;
        Ok(count)
    }
}

impl Seek for Window<'_> {
    fn seek(&mut self, to: SeekFrom) -> std::io::Result<u64> {
        let target = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::Current(by) => self.position.checked_add_signed(by),
            SeekFrom::End(by) => self.size.checked_add_signed(by),
        };
        self.position = target.ok_or(std::io::ErrorKind::InvalidInput)?;
        Ok(self.position)
    }
}

/// A volume of an image, to read from.
pub struct Volume<'a> {
    inner: FatVolume<Window<'a>>,
}

impl std::fmt::Debug for Volume<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Volume").finish_non_exhaustive()
    }
}

impl<'a> Volume<'a> {
    /// Opens the FAT file system in `partition` of `image`.
    ///
    /// # Errors
    ///
    /// Fails if there is none.
    pub fn open(image: &'a dyn Medium, partition: Partition) -> Result<Self> {
        let inner = FatVolume::open(Window::new(image, partition))
            .map_err(describe)
            .with_context(|| format!("opening the FAT file system of partition {}", partition.number))?;
        Ok(Self { inner })
    }

    /// The volume's label.
    pub fn label(&self) -> &str {
        self.inner.volume_info().volume_label()
    }

    /// The paths of all files, without a leading `/`, in no order.
    ///
    /// # Errors
    ///
    /// Fails if the file system is damaged.
    pub fn files(&self) -> Result<Vec<String>> {
        let mut found = Vec::new();
        list(&self.inner.root_dir(), "", 0, &mut found)?;
        Ok(found)
    }

    /// The content of a file, whose name is compared as FAT does, without case; `None` if there is none.
    ///
    /// # Errors
    ///
    /// Fails if the file system is damaged.
    pub fn read(&self, path: &str) -> Result<Option<Vec<u8>>> {
        let doing = || format!("reading {path} from a boot partition");
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
        let Ok(folder) = open_folder(&self.inner, folder) else {
            return Ok(None);
        };
        let Some(entry) = folder.find(name).map_err(describe).with_context(doing)? else {
            return Ok(None);
        };
        if !entry.is_file() {
            return Ok(None);
        }
        let mut reader = self.inner.read_file(&entry).map_err(describe).with_context(doing)?;
        let mut content = vec![0; reader.size()];
        let mut filled = 0;
        while filled < content.len() {
            match reader
                .read(&mut content[filled..])
                .map_err(describe)
                .with_context(doing)?
            {
                0 => bail!("{path} ends early: its chain of clusters is damaged"),
                count => filled += count,
            }
        }
        Ok(Some(content))
    }
}

fn list(folder: &FatDir<'_, Window<'_>>, prefix: &str, depth: usize, found: &mut Vec<String>) -> Result<()> {
    for entry in folder.entries() {
        let DirectoryEntry::Entry(entry) = entry
            .map_err(describe)
            .with_context(|| format!("listing /{prefix} of a boot partition"))?;
        let name = entry.name();
        if name == "." || name == ".." {
            continue;
        }
        let path = format!("{prefix}{name}");
        if found.len() > MOST_FILES || depth > DEEPEST {
            bail!("the boot partition has more files than it can: its folders are damaged at /{path}");
        }
        if entry.is_directory() {
            let inner = folder.open_entry(&entry).map_err(describe)?;
            list(&inner, &format!("{path}/"), depth + 1, found)?;
        } else if entry.is_file() {
            found.push(path);
        }
    }
    Ok(())
}

fn open_folder<'v, 'f>(volume: &'v FatVolume<Window<'f>>, path: &str) -> Result<FatDir<'v, Window<'f>>> {
    if path.is_empty() {
        return Ok(volume.root_dir());
    }
    volume.open_dir_path(path).map_err(describe)
}

/// The crate's error with its cause.
fn describe(error: hadris_fat::Error) -> anyhow::Error {
    anyhow::Error::new(error)
}
