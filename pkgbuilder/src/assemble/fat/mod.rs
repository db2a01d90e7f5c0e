//! FAT file systems inside an image.
//!
//! Written by hand after Microsoft's FAT32 File System Specification 1.03: a fresh volume, filled once in the order of
//! names, in which every file is one run of clusters and all times are FAT's epoch (1980-01-01). The bytes depend on
//! the files, the label and the serial number alone. FAT32 from [`LEAST_FAT32`] up, FAT16 below.

mod names;
mod volume;

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail, ensure};
use bytes::Bytes;

use self::names::Names;
pub use self::volume::Volume;
use super::medium::Medium;
use super::overflow::{biggest, mib};
use super::partitions::{Partition, SECTOR};
use crate::{input_error, interrupt};

/// The files of a volume: path with `/` between names and none in front, to content.
pub type Files = BTreeMap<String, Bytes>;

/// From this size on a volume is FAT32: with clusters of one sector it then has the 65525 that make it so.
const LEAST_FAT32: u64 = 40 << 20;
/// Entries of FAT16's root directory.
const FAT16_ROOT_ENTRIES: u64 = 512;
const COPIES: u64 = 2;
const ENTRY: usize = 32;
/// 1980-01-01 in a directory entry.
const DATE: u16 = 1 << 5 | 1;
const ATTRIBUTE_LABEL: u8 = 0x08;
const ATTRIBUTE_FOLDER: u8 = 0x10;
const ATTRIBUTE_FILE: u8 = 0x20;
const MEDIA: u8 = 0xf8;

/// A folder being filled.
enum Node<'a> {
    Folder(BTreeMap<&'a str, Node<'a>>),
    File(&'a Bytes),
}

/// Where things are on a volume, in sectors.
#[derive(Clone, Copy, Debug)]
struct Geometry {
    fat32: bool,
    total: u64,
    per_cluster: u64,
    reserved: u64,
    per_fat: u64,
    root_sectors: u64,
    clusters: u64,
}

impl Geometry {
    fn new(size: u64) -> Self {
        let total = size / SECTOR;
        let fat32 = size >= LEAST_FAT32;
        let per_cluster = if fat32 {
            // Up to 4 KiB, as long as it stays FAT32.
            [8, 4, 2]
                .into_iter()
                .find(|sectors| total / sectors > 70_000)
                .unwrap_or(1)
        } else {
            [1, 2, 4]
                .into_iter()
                .find(|sectors| total / sectors < 60_000)
                .unwrap_or(8)
        };
        let reserved = if fat32 { 32 } else { 1 };
        let root_sectors = if fat32 {
            0
        } else {
            FAT16_ROOT_ENTRIES * ENTRY as u64 / SECTOR
        };
        // A FAT has an entry for each cluster and two more: the least length that leaves no cluster without one.
        let described = per_cluster * if fat32 { 128 } else { 256 } + COPIES;
        let per_fat = (total - reserved - root_sectors + 2 * per_cluster).div_ceil(described);
        let clusters = (total - reserved - root_sectors - COPIES * per_fat) / per_cluster;
        Self {
            fat32,
            total,
            per_cluster,
            reserved,
            per_fat,
            root_sectors,
            clusters,
        }
    }

    fn cluster_size(&self) -> u64 {
        self.per_cluster * SECTOR
    }

    fn clusters_for(&self, bytes: u64) -> u64 {
        bytes.div_ceil(self.cluster_size())
    }

    /// Whether all that is below a root directory has its clusters, and the directory its own where it needs some.
    fn holds(&self, root: &BTreeMap<&str, Node<'_>>) -> Result<bool> {
        let own = if self.fat32 { self.listed(root, 1)? } else { 0 };
        Ok(own + self.below(root)? <= self.clusters)
    }

    /// The clusters of what is below a folder.
    fn below(&self, folder: &BTreeMap<&str, Node<'_>>) -> Result<u64> {
        let of = |node: &Node<'_>| match node {
            Node::File(content) => Ok(self.clusters_for(content.len() as u64)),
            Node::Folder(entries) => Ok(self.listed(entries, 2)? + self.below(entries)?),
        };
        folder.values().map(of).sum()
    }

    /// The clusters of a folder's listing, with so many entries of its own.
    fn listed(&self, entries: &BTreeMap<&str, Node<'_>>, own: usize) -> Result<u64> {
        let names = Names::new(entries.keys().copied())?;
        Ok(self.clusters_for(((own + names.entries()) * ENTRY) as u64))
    }

    /// Position of the fixed root directory (FAT16), else of the first cluster.
    fn root(&self) -> u64 {
        (self.reserved + COPIES * self.per_fat) * SECTOR
    }

    /// Position of a cluster; the first has number 2.
    fn cluster(&self, number: u32) -> u64 {
        self.root() + self.root_sectors * SECTOR + (u64::from(number) - 2) * self.cluster_size()
    }
}

/// Makes a volume that fills `partition` of `image`, whose bytes there are zero, and puts `files` into it. Returns how
/// many bytes from the beginning of the partition on count; those behind are free clusters.
///
/// # Errors
///
/// Wrong input if the files do not fit; else fails if a name is none that FAT can have or the image cannot be written.
pub fn write(image: &dyn Medium, partition: Partition, label: &str, serial: u32, files: &Files) -> Result<u64> {
    let context = || format!("writing the file system {label}");
    let mut writer = Writer {
        image,
        start: partition.start,
        geometry: Geometry::new(partition.size),
        fat: vec![0x0fff_ff00 | u32::from(MEDIA), 0x0fff_ffff],
    };
    let tree = tree(files)?;
    if !writer.geometry.holds(&tree)? {
        return Err(full(partition.size, label, files, &tree)?);
    }
    let mut label_bytes = [b' '; 11];
    for (to, from) in label_bytes.iter_mut().zip(label.bytes()) {
        *to = from;
    }
    (|| {
        writer.root(&label_bytes, &tree)?;
        writer.tables()?;
        writer.boot_sectors(&label_bytes, serial, partition.start / SECTOR)
    })()
    .with_context(context)?;
    Ok(writer.geometry.cluster(u32::try_from(writer.fat.len())?))
}

/// What is said of a volume of `size` that is too small for its files: by how much, which setting, what is biggest.
fn full(size: u64, label: &str, files: &Files, tree: &BTreeMap<&str, Node<'_>>) -> Result<anyhow::Error> {
    let mut needed = size;
    while !Geometry::new(needed).holds(tree)? {
        needed += 1 << 20;
    }
    let mib = mib(needed);
    let setting = match label {
        "BOOTSEL" => format!("`partitions.bootsel_mib` to at least {mib}"),
        // The kernel of slot B, which is still to come, needs as much.
        "ESP" => format!("`partitions.boot_mib`, of which {label} has twice as much, to at least {mib}"),
        "BOOT" => format!(
            "`partitions.boot_mib`, of which {label} has twice as much, to at least {}",
            mib.div_ceil(2)
        ),
        _ => format!("`partitions.boot_mib` to at least {mib}"),
    };
    let sizes = files
        .iter()
        .map(|(path, content)| (path.as_str(), content.len() as u64));
    Ok(input_error!(
        "the boot files of {label} need {mib} MiB and their partition has {} MiB, which is {} too few: raise {setting}; \
         the biggest: {}",
        size >> 20,
        self::mib(needed - size),
        biggest(sizes)
    ))
}

/// Paths to folders and files.
fn tree(files: &Files) -> Result<BTreeMap<&str, Node<'_>>> {
    let mut root = BTreeMap::new();
    for (path, content) in files {
        let (folders, name) = path.rsplit_once('/').unwrap_or(("", path));
        let mut folder = &mut root;
        for part in folders.split('/').filter(|part| !part.is_empty()) {
            match folder.entry(part).or_insert_with(|| Node::Folder(BTreeMap::new())) {
                Node::Folder(entries) => folder = entries,
                Node::File(_) => bail!("{path} lies in a file"),
            }
        }
        folder.insert(name, Node::File(content));
    }
    Ok(root)
}

struct Writer<'a> {
    image: &'a dyn Medium,
    start: u64,
    geometry: Geometry,
    /// The table: for every cluster so far its next.
    fat: Vec<u32>,
}

impl Writer<'_> {
    fn put(&self, bytes: &[u8], at: u64) -> Result<()> {
        Ok(self.image.write_all_at(bytes, self.start + at)?)
    }

    /// Takes a run of clusters and returns the first, 0 for none.
    fn allocate(&mut self, bytes: u64) -> Result<u32> {
        let count = self.geometry.clusters_for(bytes);
        let first = u32::try_from(self.fat.len())?;
        ensure!(
            u64::from(first) + count <= self.geometry.clusters + 2,
            "the files do not fit, although they were counted"
        );
        for next in 1..=u32::try_from(count)? {
            self.fat.push(first + next);
        }
        if count == 0 {
            return Ok(0);
        }
        *self.fat.last_mut().expect("count is not 0") = 0x0fff_ffff;
        Ok(first)
    }

    fn root(&mut self, label: &[u8; 11], entries: &BTreeMap<&str, Node<'_>>) -> Result<()> {
        let names = Names::new(entries.keys().copied())?;
        let size = (1 + names.entries()) * ENTRY;
        let (at, own) = if self.geometry.fat32 {
            let own = self.allocate(size as u64)?;
            (self.geometry.cluster(own), own)
        } else {
            if size as u64 > FAT16_ROOT_ENTRIES * ENTRY as u64 {
                bail!("the root directory has more entries than FAT16 allows: make the partition 40 MiB or larger");
            }
            (self.geometry.root(), 0)
        };
        let mut listing = entry(label, ATTRIBUTE_LABEL, 0, 0, 0).to_vec();
        // The root counts as cluster 0 where a folder names what is above it.
        self.fill(&mut listing, entries, &names, 0)?;
        debug_assert!(own == 0 || own == 2, "the root directory comes first");
        self.put(&listing, at)
    }

    fn folder(&mut self, entries: &BTreeMap<&str, Node<'_>>, above: u32) -> Result<u32> {
        let names = Names::new(entries.keys().copied())?;
        let own = self.allocate(((2 + names.entries()) * ENTRY) as u64)?;
        let mut listing = entry(b".          ", ATTRIBUTE_FOLDER, 0, own, 0).to_vec();
        listing.extend(entry(b"..         ", ATTRIBUTE_FOLDER, 0, above, 0));
        self.fill(&mut listing, entries, &names, own)?;
        self.put(&listing, self.geometry.cluster(own))?;
        Ok(own)
    }

    /// Writes what is in a folder, and adds its entries to `listing`.
    fn fill(
        &mut self,
        listing: &mut Vec<u8>,
        entries: &BTreeMap<&str, Node<'_>>,
        names: &Names,
        own: u32,
    ) -> Result<()> {
        for ((name, node), encoded) in entries.iter().zip(names.encoded()) {
            interrupt::check()?;
            let (attribute, first, size) = match node {
                Node::Folder(entries) => (ATTRIBUTE_FOLDER, self.folder(entries, own)?, 0),
                Node::File(content) => {
                    let size = u32::try_from(content.len()).with_context(|| format!("{name} is larger than 4 GiB"))?;
                    let first = self.allocate(u64::from(size))?;
                    if first != 0 {
                        let at = self.start + self.geometry.cluster(first);
                        self.image.write_shared(content, at)?;
                    }
                    (ATTRIBUTE_FILE, first, size)
                }
            };
            listing.extend_from_slice(&encoded.long);
            listing.extend(entry(&encoded.short, attribute, encoded.case, first, size));
        }
        Ok(())
    }

    fn tables(&self) -> Result<()> {
        let mut table = Vec::with_capacity(self.fat.len() * 4);
        for next in &self.fat {
            let bytes = next.to_le_bytes();
            table.extend_from_slice(if self.geometry.fat32 { &bytes } else { &bytes[..2] });
        }
        for copy in 0..COPIES {
            self.put(&table, (self.geometry.reserved + copy * self.geometry.per_fat) * SECTOR)?;
        }
        Ok(())
    }

    fn boot_sectors(&self, label: &[u8; 11], serial: u32, hidden: u64) -> Result<()> {
        let geometry = self.geometry;
        let boot = boot_sector(&geometry, label, serial, hidden)?;
        self.put(&boot, 0)?;
        if geometry.fat32 {
            let used = u32::try_from(self.fat.len())?;
            let free = u32::try_from(geometry.clusters)? + 2 - used;
            let mut info = [0; 512];
            info[..4].copy_from_slice(b"RRaA");
            info[484..488].copy_from_slice(b"rrAa");
            info[488..492].copy_from_slice(&free.to_le_bytes());
            info[492..496].copy_from_slice(&used.to_le_bytes());
            info[510..].copy_from_slice(&[0x55, 0xaa]);
            self.put(&info, SECTOR)?;
            self.put(&boot, 6 * SECTOR)?;
            self.put(&info, 7 * SECTOR)?;
        }
        Ok(())
    }
}

/// The BIOS parameter block.
fn boot_sector(geometry: &Geometry, label: &[u8; 11], serial: u32, hidden: u64) -> Result<[u8; 512]> {
    let mut sector = [0; 512];
    let mut put = |at: usize, bytes: &[u8]| sector[at..at + bytes.len()].copy_from_slice(bytes);
    let word = |value: u64| u16::try_from(value).map(u16::to_le_bytes);
    let double = |value: u64| u32::try_from(value).map(u32::to_le_bytes);
    put(
        0,
        if geometry.fat32 {
            &[0xeb, 0x58, 0x90]
        } else {
            &[0xeb, 0x3c, 0x90]
        },
    );
    put(3, b"MSWIN4.1");
    put(11, &word(SECTOR)?);
    put(13, &[u8::try_from(geometry.per_cluster)?]);
    put(14, &word(geometry.reserved)?);
    put(16, &[u8::try_from(COPIES)?]);
    put(21, &[MEDIA]);
    put(24, &word(63)?);
    put(26, &word(255)?);
    put(28, &double(hidden)?);
    let extended = if geometry.fat32 {
        put(32, &double(geometry.total)?);
        put(36, &double(geometry.per_fat)?);
        put(44, &double(2)?);
        put(48, &word(1)?);
        put(50, &word(6)?);
        64
    } else {
        put(17, &word(FAT16_ROOT_ENTRIES)?);
        match word(geometry.total) {
            Ok(total) => put(19, &total),
            Err(_) => put(32, &double(geometry.total)?),
        }
        put(22, &word(geometry.per_fat)?);
        36
    };
    put(extended, &[0x80, 0, 0x29]);
    put(extended + 3, &serial.to_le_bytes());
    put(extended + 7, label);
    put(extended + 18, if geometry.fat32 { b"FAT32   " } else { b"FAT16   " });
    put(510, &[0x55, 0xaa]);
    Ok(sector)
}

/// A directory entry with a short name.
fn entry(name: &[u8; 11], attribute: u8, case: u8, first: u32, size: u32) -> [u8; ENTRY] {
    let mut entry = [0; ENTRY];
    let cluster = first.to_le_bytes();
    entry[..11].copy_from_slice(name);
    entry[11] = attribute;
    entry[12] = case;
    for date in [16, 18, 24] {
        entry[date..date + 2].copy_from_slice(&DATE.to_le_bytes());
    }
    entry[20..22].copy_from_slice(&cluster[2..]);
    entry[26..28].copy_from_slice(&cluster[..2]);
    entry[28..].copy_from_slice(&size.to_le_bytes());
    entry
}

#[cfg(test)]
mod tests;
