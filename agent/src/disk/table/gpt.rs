//! GUID partition table, after the UEFI specification 2.10, section 5.3.
//!
//! A header and its entries lie at the beginning of the disk and once more at its end. They are never changed both at
//! once: first the one at the end, then, when that is on the medium, the one at the beginning; so that one of them is
//! whole wherever the power fails. The Linux kernel looks for the second only when its command line says `gpt`, so a torn
//! first one is mended before the kernel is asked.

use anyhow::{Context, Result, ensure};
use computatom_spec::boot::extlinux;
use sha2::{Digest, Sha256};

use super::{ALIGN, BlockDevice, Change, Extent, Partition, Room, SECTOR, SECTOR_LENGTH, Sector};
use super::{align_down, align_up, read_record, read_sector};
use crate::disk::crc::crc32;
use crate::init::stop::Stop;

const MAGIC: &[u8; 8] = b"EFI PART";
/// Type of the one MBR entry of such a disk.
const PROTECTIVE: u8 = 0xee;
/// Where the MBR's entries lie, and how many there are.
const MBR_ENTRIES: [usize; 4] = [446, 462, 478, 494];
/// Header size: all of it that is defined.
const HEADER: usize = 92;
/// Where entries lie when there is no primary header to say it.
const PRIMARY_ENTRIES: u64 = 2;
/// Larger arrays of entries than any tool makes are not read.
const MAX_ENTRIES: u64 = 1 << 20;
/// No disk is that large: sums of such numbers do not overflow.
const MAX_SECTOR: u64 = 1 << 54;
/// `0FC63DAF-8483-4772-8E79-3D69D8477DE4`, Linux file system.
const LINUX: [u8; 16] = [
    0xaf, 0x3d, 0xc6, 0x0f, 0x83, 0x84, 0x72, 0x47, 0x8e, 0x79, 0x3d, 0x69, 0xd8, 0x47, 0x7d, 0xe4,
];

/// A table of this kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gpt {
    pub(super) partitions: Vec<Partition>,
    disk_guid: [u8; 16],
    first_usable: u64,
    last_usable: u64,
    entry_size: usize,
    entries: Vec<u8>,
    /// The header at the beginning, if it is whole.
    primary: Option<Header>,
    /// The same at the very end of the disk.
    backup: Option<Header>,
}

/// A header whose sums are right.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Header {
    alternate: u64,
    first_usable: u64,
    last_usable: u64,
    disk_guid: [u8; 16],
    entries_at: u64,
    entry_size: usize,
    entries: Vec<u8>,
}

/// Whether this MBR stands before a GPT.
pub(super) fn is_protective(mbr: &Sector) -> bool {
    MBR_ENTRIES.iter().any(|at| mbr[at + 4] == PROTECTIVE)
}

impl Gpt {
    /// Reads the header at the beginning, else the one at the end.
    pub(super) fn read(disk: &impl BlockDevice) -> Result<Self> {
        let last = (disk.size()? / SECTOR).checked_sub(1).context("the disk is empty")?;
        let primary = Header::read(disk, 1)?;
        let backup = Header::read(disk, last)?;
        let whole = primary.as_ref().or(backup.as_ref()).context(
            "neither the GPT at the beginning of the disk nor the one at its end is whole: burn the card again",
        )?;
        Ok(Self {
            partitions: whole.partitions(),
            disk_guid: whole.disk_guid,
            first_usable: whole.first_usable,
            last_usable: whole.last_usable,
            entry_size: whole.entry_size,
            entries: whole.entries.clone(),
            primary,
            backup,
        })
    }

    /// The number of the entry with that unique GUID.
    pub(super) fn number_of(&self, guid: &[u8; 16]) -> Option<u32> {
        let mut entries = self.entries.chunks_exact(self.entry_size).zip(1..);
        let found = entries.find(|(entry, _)| entry[..16] != [0; 16] && entry[16..32] == guid[..]);
        found.map(|(_, number)| number)
    }

    /// Whether an entry has the attribute by which U-Boot knows what to start from.
    pub fn is_bootable(&self, number: u8) -> bool {
        let mut entries = self
            .entries
            .chunks_exact(self.entry_size)
            .skip(usize::from(number).saturating_sub(1));
        let attributes = entries.next().and_then(|entry| entry.get(48..56)?.try_into().ok());
        u64::from_le_bytes(attributes.unwrap_or_default()) & extlinux::BOOTABLE != 0
    }

    pub(super) fn ensure_data<D: BlockDevice>(
        self,
        disk: &mut D,
        number: u32,
        minimum: u64,
        begin: impl FnOnce(&mut D, Extent) -> Result<()>,
    ) -> Result<Room> {
        let disk_sectors = disk.size()? / SECTOR;
        let (data, new) = match self.place(disk_sectors, number, minimum)? {
            Ok(place) => place,
            Err(small) => return Ok(small),
        };
        let mut wanted = self.clone();
        wanted.last_usable = self.last_usable_on(disk_sectors);
        wanted.put(number, data, new);
        let geometry = |header: &Header, alternate| {
            header.alternate == alternate
                && header.last_usable == wanted.last_usable
                && header.entries == wanted.entries
        };
        let right = self.primary.as_ref().is_some_and(|it| geometry(it, disk_sectors - 1))
            && self.backup.as_ref().is_some_and(|it| geometry(it, 1));
        let unchanged = Room::Ready {
            extent: data,
            change: Change::None,
            unreachable: 0,
        };
        // A copy on a smaller card: whatever is written would be wrong.
        if right || data.end() > wanted.last_usable + 1 {
            return Ok(unchanged);
        }
        if disk.read_only()? {
            // What the kernel found is what there is.
            return Ok(if new { super::read_only() } else { unchanged });
        }
        if self.primary.is_none() {
            // The only whole one is not touched before there is another.
            self.write(disk, 1, disk_sectors - 1, PRIMARY_ENTRIES)?;
        }
        if new {
            super::empty(disk, data)?;
            begin(disk, data)?;
            disk.flush()?;
        }
        put_protective(disk, disk_sectors)?;
        let array = wanted.array_sectors();
        wanted.write(disk, disk_sectors - 1, 1, disk_sectors - 1 - array)?;
        let at = self
            .primary
            .as_ref()
            .map_or(PRIMARY_ENTRIES, |header| header.entries_at);
        wanted.write(disk, 1, disk_sectors - 1, at)?;
        Ok(Room::Ready {
            extent: data,
            change: if new { Change::Added } else { Change::Grown },
            unreachable: 0,
        })
    }

    /// Where DATA is or is to be, and whether it is new.
    fn place(&self, disk_sectors: u64, number: u32, minimum: u64) -> Result<Result<(Extent, bool), Room>> {
        let end = align_down(self.last_usable_on(disk_sectors) + 1);
        let others = self.partitions.iter().filter(|partition| partition.number != number);
        let last = others.map(|partition| partition.extent.end()).max().unwrap_or(0);
        if let Some(present) = self.partitions.iter().find(|partition| partition.number == number) {
            let Extent { start, .. } = present.extent;
            let data = if last > start || end <= present.extent.end() {
                present.extent
            } else {
                Extent {
                    start,
                    sectors: end - start,
                }
            };
            return Ok(Ok((data, false)));
        }
        if number as usize > self.entries.len() / self.entry_size || number == 0 {
            return Err(Stop::because(format!(
                "the GPT has no entry {number} for DATA: burn the card again"
            )));
        }
        let start = align_up(last.max(self.first_usable)) + ALIGN;
        let needed = align_up(start + minimum.div_ceil(SECTOR).max(ALIGN));
        if needed > end {
            let needed = needed + self.array_sectors() + 1;
            return Ok(Err(super::too_small(disk_sectors, needed, minimum)));
        }
        let data = Extent {
            start,
            sectors: end - start,
        };
        Ok(Ok((data, true)))
    }

    /// The last sector for partitions on a disk of that size: behind it lie the entries and the header once more.
    fn last_usable_on(&self, disk_sectors: u64) -> u64 {
        disk_sectors.saturating_sub(2 + self.array_sectors())
    }

    fn array_sectors(&self) -> u64 {
        (self.entries.len() as u64).div_ceil(SECTOR)
    }

    fn put(&mut self, number: u32, data: Extent, new: bool) {
        let at = (number as usize - 1) * self.entry_size;
        let entry = &mut self.entries[at..at + self.entry_size];
        if new {
            entry.fill(0);
            entry[..16].copy_from_slice(&LINUX);
            let mut guid = [0; 16];
            let digest = Sha256::new()
                .chain_update(b"computatom DATA\0")
                .chain_update(self.disk_guid)
                .finalize();
            guid.copy_from_slice(&digest[..16]);
            // Marked as a random one (version 4, variant 1); the third field is little endian.
            guid[7] = (guid[7] & 0x0f) | 0x40;
            guid[8] = (guid[8] & 0x3f) | 0x80;
            entry[16..32].copy_from_slice(&guid);
            for (unit, at) in computatom_spec::boot::DATA_LABEL.encode_utf16().zip((56..).step_by(2)) {
                entry[at..at + 2].copy_from_slice(&unit.to_le_bytes());
            }
        }
        entry[32..40].copy_from_slice(&data.start.to_le_bytes());
        entry[40..48].copy_from_slice(&(data.end() - 1).to_le_bytes());
    }

    /// Writes entries and header as one step: it is there, whole, when this returns.
    fn write(&self, disk: &mut impl BlockDevice, at: u64, alternate: u64, entries_at: u64) -> Result<()> {
        let mut header: Sector = [0; SECTOR_LENGTH];
        header[..8].copy_from_slice(MAGIC);
        let mut put = |at: usize, bytes: &[u8]| header[at..at + bytes.len()].copy_from_slice(bytes);
        put(8, &0x0001_0000_u32.to_le_bytes());
        put(12, &u32::try_from(HEADER).expect("92").to_le_bytes());
        put(24, &at.to_le_bytes());
        put(32, &alternate.to_le_bytes());
        put(40, &self.first_usable.to_le_bytes());
        put(48, &self.last_usable.to_le_bytes());
        put(56, &self.disk_guid);
        put(72, &entries_at.to_le_bytes());
        let count = u32::try_from(self.entries.len() / self.entry_size).context("writing a GPT")?;
        put(80, &count.to_le_bytes());
        put(
            84,
            &u32::try_from(self.entry_size).context("writing a GPT")?.to_le_bytes(),
        );
        put(88, &crc32(&self.entries).to_le_bytes());
        let sum = crc32(&header[..HEADER]);
        header[16..20].copy_from_slice(&sum.to_le_bytes());
        let mut array = self.entries.clone();
        array.resize(array.len().next_multiple_of(SECTOR_LENGTH), 0);
        disk.write_at(&array, entries_at * SECTOR)
            .context("writing the entries of the GPT")?;
        disk.write_at(&header, at * SECTOR)
            .context("writing the header of the GPT")?;
        disk.flush()?;
        Ok(())
    }
}

impl Header {
    /// Reads header and entries at sector `at`; `None` if their sums are not right.
    fn read(disk: &impl BlockDevice, at: u64) -> Result<Option<Self>> {
        let disk_sectors = disk.size()? / SECTOR;
        if at == 0 || at >= disk_sectors {
            return Ok(None);
        }
        let bytes = read_sector(disk, at).context("reading the header of the GPT")?;
        let word = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"));
        let long = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"));
        let size = word(12) as usize;
        if &bytes[..8] != MAGIC || !(HEADER..=SECTOR_LENGTH).contains(&size) || long(24) != at {
            return Ok(None);
        }
        let mut summed = bytes;
        summed[16..20].fill(0);
        let (count, entry_size) = (u64::from(word(80)), u64::from(word(84)));
        let length = count * entry_size;
        let entries_at = long(72);
        let fits = entry_size >= 128
            && entry_size.is_power_of_two()
            && (1..=MAX_ENTRIES).contains(&length)
            && entries_at > 0
            && long(40) < MAX_SECTOR
            && entries_at
                .checked_add(length.div_ceil(SECTOR))
                .is_some_and(|end| end <= disk_sectors);
        if crc32(&summed[..size]) != word(16) || !fits {
            return Ok(None);
        }
        let mut entries = vec![0; usize::try_from(length).context("reading a GPT")?];
        disk.read_at(&mut entries, entries_at * SECTOR)
            .context("reading the entries of the GPT")?;
        Ok((crc32(&entries) == word(88)).then(|| Self {
            alternate: long(32),
            first_usable: long(40),
            last_usable: long(48),
            disk_guid: bytes[56..72].try_into().expect("sixteen bytes"),
            entries_at,
            entry_size: usize::try_from(entry_size).expect("at most a megabyte"),
            entries,
        }))
    }

    fn partitions(&self) -> Vec<Partition> {
        let number = |bytes: &[u8]| u64::from_le_bytes(bytes.try_into().expect("eight bytes"));
        let entries = self.entries.chunks_exact(self.entry_size).zip(1..);
        let partitions = entries.filter_map(|(entry, number_of_it)| {
            let (start, last) = (number(&entry[32..40]), number(&entry[40..48]));
            let used = entry[..16] != [0; 16] && start <= last && last < MAX_SECTOR;
            used.then(|| Partition {
                number: number_of_it,
                extent: Extent {
                    start,
                    sectors: last - start + 1,
                },
            })
        });
        partitions.collect()
    }
}

/// The protective entry covers the disk, or as much as it can name.
fn put_protective(disk: &mut impl BlockDevice, disk_sectors: u64) -> Result<()> {
    let mut mbr = read_record(disk, 0)?;
    let at = MBR_ENTRIES.into_iter().find(|at| mbr[at + 4] == PROTECTIVE);
    let at = at.context("the MBR is not a protective one any more")?;
    let sectors = u32::try_from(disk_sectors - 1).unwrap_or(u32::MAX).to_le_bytes();
    if mbr[at + 12..at + 16] != sectors {
        mbr[at + 12..at + 16].copy_from_slice(&sectors);
        disk.write_at(&mbr, 0).context("writing the protective MBR")?;
        disk.flush()?;
    }
    ensure!(is_protective(&mbr), "the MBR is not a protective one any more");
    Ok(())
}
