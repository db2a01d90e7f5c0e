//! Reading files from the FAT volumes that firmware reads, without mounting them.
//!
//! After Microsoft's "FAT: General Overview of On-Disk Format", 1.03. Nothing is ever written through it but a file's only
//! sector, in its place.

use anyhow::{Context, Result, ensure};

use crate::disk::table::Extent;
use crate::disk::{BlockDevice, SECTOR};

/// Bytes of a folder's entry.
const ENTRY: usize = 32;
/// Attributes of a piece of a long name, of a volume label and of a folder.
const LONG_NAME: u8 = 0x0f;
const LABEL: u8 = 0x08;
const FOLDER: u8 = 0x10;
/// Larger folders are not read.
const MAX_FOLDER: u64 = 1 << 20;

/// A volume on a disk.
#[derive(Debug)]
pub struct Volume<'d, D> {
    disk: &'d D,
    /// Its first byte on the disk.
    start: u64,
    size: u64,
    cluster_size: u64,
    /// Byte of the first file allocation table, from the volume's beginning.
    table: u64,
    /// Byte of cluster 2.
    clusters: u64,
    /// How many clusters there are.
    count: u64,
    /// FAT32 rather than FAT16.
    wide: bool,
    root: Root,
}

/// Where the root folder is.
#[derive(Clone, Copy, Debug)]
enum Root {
    Cluster(u64),
    Fixed { start: u64, size: u64 },
}

/// A file or folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    cluster: u64,
    /// Bytes of a file.
    pub size: u64,
    folder: bool,
}

impl<'d, D: BlockDevice> Volume<'d, D> {
    /// Reads the volume's own description.
    ///
    /// # Errors
    ///
    /// Fails if it is no FAT16 or FAT32 with sectors of 512 bytes.
    pub fn open(disk: &'d D, extent: Extent) -> Result<Self> {
        let mut boot = [0; 512];
        let start = extent
            .start
            .checked_mul(SECTOR)
            .context("a partition beyond the disk")?;
        disk.read_at(&mut boot, start).context("reading a boot partition")?;
        let short = |at: usize| u64::from(u16::from_le_bytes([boot[at], boot[at + 1]]));
        let long = |at: usize| u64::from(u32::from_le_bytes(boot[at..at + 4].try_into().expect("four bytes")));
        let either = |small: u64, large: u64| if small == 0 { large } else { small };
        let cluster_sectors = u64::from(boot[13]);
        let (reserved, tables, sectors) = (short(14), u64::from(boot[16]), either(short(19), long(32)));
        let (wide, table_sectors) = (short(22) == 0, either(short(22), long(36)));
        let root_sectors = (short(17) * ENTRY as u64).div_ceil(SECTOR);
        let clusters = reserved + tables * table_sectors + root_sectors;
        ensure!(
            boot.ends_with(&[0x55, 0xaa])
                && short(11) == SECTOR
                && cluster_sectors.is_power_of_two()
                && reserved > 0
                && (1..=2).contains(&tables)
                && table_sectors > 0
                && clusters < sectors
                && sectors <= extent.sectors,
            "a boot partition holds no FAT that firmware would read"
        );
        let root_start = reserved + tables * table_sectors;
        Ok(Self {
            disk,
            start,
            size: sectors * SECTOR,
            cluster_size: cluster_sectors * SECTOR,
            table: reserved * SECTOR,
            clusters: clusters * SECTOR,
            count: (sectors - clusters) / cluster_sectors,
            wide,
            root: if wide {
                Root::Cluster(long(44) & 0x0fff_ffff)
            } else {
                Root::Fixed {
                    start: root_start * SECTOR,
                    size: root_sectors * SECTOR,
                }
            },
        })
    }

    /// Finds a file by its path, whatever its case; `None` if it is not there.
    pub fn find(&self, path: &str) -> Result<Option<Found>> {
        let mut folder = match self.root {
            Root::Cluster(cluster) => self.chain(cluster, MAX_FOLDER)?,
            Root::Fixed { start, size } => vec![(start, size)],
        };
        let mut found = None;
        for name in path.split('/') {
            found = self.entry(&folder, name)?;
            let Some(entry) = found else { return Ok(None) };
            folder = if entry.folder {
                self.chain(entry.cluster, MAX_FOLDER)?
            } else {
                Vec::new()
            };
        }
        Ok(found.filter(|entry| !entry.folder))
    }

    /// The whole of a file of at most `limit` bytes.
    pub fn read(&self, file: Found, limit: u64) -> Result<Vec<u8>> {
        self.read_range(file, 0, file.size.min(limit))
    }

    /// Some bytes of a file; fewer where it ends before.
    pub fn read_range(&self, file: Found, offset: u64, length: u64) -> Result<Vec<u8>> {
        let end = file.size.min(offset.saturating_add(length));
        let mut bytes = Vec::new();
        if offset >= end {
            return Ok(bytes);
        }
        let mut at = 0;
        for (start, size) in self.chain(file.cluster, end)? {
            let (from, to) = (offset.max(at), end.min(at + size));
            if from < to {
                let mut part = vec![0; usize::try_from(to - from).context("reading a file")?];
                self.read_at(&mut part, start + (from - at))?;
                bytes.extend(part);
            }
            at += size;
        }
        ensure!(
            bytes.len() as u64 == end - offset,
            "a file on a boot partition ends too early"
        );
        Ok(bytes)
    }

    /// Where on the disk a file of exactly one sector lies; `None` for any other.
    pub fn only_sector(&self, file: Found) -> Result<Option<u64>> {
        if file.size != SECTOR {
            return Ok(None);
        }
        let first = self.chain(file.cluster, SECTOR)?.first().copied();
        Ok(first.map(|(start, _)| self.start + start))
    }

    /// Pieces of a chain of clusters, from the volume's beginning, until `length` bytes.
    fn chain(&self, first: u64, length: u64) -> Result<Vec<(u64, u64)>> {
        let mut pieces = Vec::new();
        let (mut cluster, mut covered) = (first, 0);
        while covered < length && (2..self.count + 2).contains(&cluster) {
            ensure!(pieces.len() as u64 <= self.count, "a chain of clusters is a loop");
            pieces.push((self.clusters + (cluster - 2) * self.cluster_size, self.cluster_size));
            covered += self.cluster_size;
            cluster = self.next(cluster)?;
        }
        Ok(pieces)
    }

    fn next(&self, cluster: u64) -> Result<u64> {
        let mut bytes = [0; 4];
        let width = if self.wide { 4 } else { 2 };
        self.read_at(&mut bytes[..width], self.table + cluster * width as u64)?;
        Ok(u64::from(u32::from_le_bytes(bytes) & 0x0fff_ffff))
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<()> {
        let inside = offset
            .checked_add(buffer.len() as u64)
            .is_some_and(|end| end <= self.size);
        ensure!(inside, "a boot partition points beyond its end");
        self.disk
            .read_at(buffer, self.start + offset)
            .context("reading a boot partition")
    }

    fn entry(&self, folder: &[(u64, u64)], name: &str) -> Result<Option<Found>> {
        let mut long = Vec::new();
        for &(start, size) in folder {
            let mut bytes = vec![0; usize::try_from(size).context("reading a folder")?];
            self.read_at(&mut bytes, start)?;
            for entry in bytes.chunks_exact(ENTRY) {
                match (entry[0], entry[11]) {
                    (0, _) => return Ok(None),
                    (0xe5, _) => long.clear(),
                    (_, LONG_NAME) => {
                        // Pieces come last first.
                        let units = entry[1..11]
                            .chunks(2)
                            .chain(entry[14..26].chunks(2))
                            .chain(entry[28..32].chunks(2));
                        let piece = units.map(|unit| u16::from_le_bytes([unit[0], unit[1]]));
                        long.splice(0..0, piece.take_while(|unit| *unit != 0 && *unit != 0xffff));
                    }
                    (_, attributes) => {
                        let named = String::from_utf16_lossy(&long).eq_ignore_ascii_case(name)
                            || short_name(entry).eq_ignore_ascii_case(name);
                        long.clear();
                        if named && attributes & LABEL == 0 {
                            let short = |at: usize| u64::from(u16::from_le_bytes([entry[at], entry[at + 1]]));
                            return Ok(Some(Found {
                                cluster: if self.wide { short(20) << 16 } else { 0 } | short(26),
                                size: short(28) | short(30) << 16,
                                folder: attributes & FOLDER != 0,
                            }));
                        }
                    }
                }
            }
        }
        Ok(None)
    }
}

/// `NAME.EXT` of the eleven bytes.
fn short_name(entry: &[u8]) -> String {
    let part = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end().to_owned();
    let (name, extension) = (part(&entry[..8]), part(&entry[8..11]));
    if extension.is_empty() {
        name
    } else {
        format!("{name}.{extension}")
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use proptest::prelude::*;

    use super::*;
    use crate::disk::memory::Memory;

    /// A volume that dosfstools and mtools made, at the second megabyte of a disk.
    fn volume(bits: &str, size: u64, files: &[(&str, &[u8])]) -> Memory {
        let folder = tempfile::tempdir().unwrap();
        let image = folder.path().join("volume");
        std::fs::File::create(&image).unwrap().set_len(size).unwrap();
        let run = |command: &mut Command| {
            let status = command
                .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
                .env("MTOOLS_SKIP_CHECK", "1")
                .status();
            assert!(status.expect("dosfstools and mtools are installed").success());
        };
        run(Command::new("mkfs.vfat")
            .args(["-F", bits, "-s", "1"])
            .arg(&image)
            .stdout(std::process::Stdio::null()));
        for (path, content) in files {
            if let Some((parent, _)) = path.rsplit_once('/') {
                run(Command::new("mmd")
                    .arg("-D")
                    .arg("s")
                    .arg("-i")
                    .arg(&image)
                    .arg(format!("::{parent}")));
            }
            let source = folder.path().join("file");
            std::fs::write(&source, content).unwrap();
            run(Command::new("mcopy")
                .arg("-i")
                .arg(&image)
                .arg(&source)
                .arg(format!("::{path}")));
        }
        let mut disk = Memory::new(size + (1 << 20));
        disk.write_at(&std::fs::read(&image).unwrap(), 1 << 20).unwrap();
        disk
    }

    fn extent(disk: &Memory) -> Extent {
        Extent {
            start: 2048,
            sectors: disk.size().unwrap() / SECTOR - 2048,
        }
    }

    #[test]
    fn files_are_found_by_short_and_long_names_and_read_whole() {
        let long: Vec<u8> = (0..=u8::MAX).cycle().take(10_000).collect();
        let files: [(&str, &[u8]); 3] = [
            ("autoboot.txt", &[b'x'; 512]),
            ("loader/loader.conf", b"timeout 0\n"),
            ("a rather long name for a file.efi", &long),
        ];
        for (bits, size) in [("16", 16 << 20), ("32", 64 << 20)] {
            let disk = volume(bits, size, &files);
            let volume = Volume::open(&disk, extent(&disk)).unwrap();
            for (path, content) in files {
                let found = volume.find(&path.to_uppercase()).unwrap().unwrap();
                assert_eq!(volume.read(found, 1 << 20).unwrap(), content);
                let expected = if content.len() == 512 {
                    Some(content.to_vec())
                } else {
                    None
                };
                let at = volume.only_sector(found).unwrap();
                let sector = at.map(|at| {
                    let mut bytes = vec![0; 512];
                    disk.read_at(&mut bytes, at).unwrap();
                    bytes
                });
                assert_eq!(sector, expected);
            }
            let found = volume.find(files[2].0).unwrap().unwrap();
            assert_eq!(volume.read_range(found, 5000, 1000).unwrap(), &long[5000..6000]);
            assert_eq!(volume.find("loader").unwrap(), None);
            assert_eq!(volume.find("loader/entries").unwrap(), None);
            assert_eq!(volume.find("autoboot.txt/x").unwrap(), None);
        }
    }

    proptest! {
        #[test]
        fn any_volume_is_read_without_panic(
            boot in proptest::collection::vec(any::<u8>(), 62),
            rest in proptest::collection::vec(any::<u8>(), 4096),
            plausible in any::<bool>(),
        ) {
            let mut disk = Memory::new(1 << 20);
            disk.write_at(&rest, 512).unwrap();
            disk.write_at(&boot, 0).unwrap();
            disk.write_at(&[0x55, 0xaa], 510).unwrap();
            disk.write_at(&512_u16.to_le_bytes(), 11).unwrap();
            if plausible {
                disk.write_at(&[1, 1, 0, 1, 16, 0, 0, 8], 13).unwrap();
                disk.write_at(&[boot[22] % 4, 0], 22).unwrap();
                disk.write_at(&[1, 0, 0, 0], 36).unwrap();
            }
            let all = Extent { start: 0, sectors: 2048 };
            if let Ok(volume) = Volume::open(&disk, all)
                && let Ok(Some(found)) = volume.find("a/b") {
                    let _ = volume.read(found, 1 << 20);
                    let _ = volume.only_sector(found);
                }
            if let Ok(volume) = Volume::open(&disk, all) {
                let _ = volume.entry(&[(512, 4096)], "x");
                let file = Found { cluster: u64::from(boot[0]), size: 1 << 40, folder: false };
                let _ = volume.read(file, 1 << 20);
            }
        }
    }
}
