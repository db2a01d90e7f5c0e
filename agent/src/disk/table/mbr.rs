//! MBR and logical partitions.
//!
//! Offsets and the chain of extended boot records are those of the DOS partition table (UEFI specification 2.10,
//! section 5.2.1, for the MBR; `block/partitions/msdos.c` of Linux for the chain): every logical partition is
//! preceded by a record whose first entry gives the partition relative to the record and whose second entry gives
//! the next record relative to the extended partition.

use anyhow::{Context, Result};

use super::{ALIGN, Change, Extent, Partition, Room, Sector, align_down, align_up, read_record};
use super::{BlockDevice, SECTOR, SECTOR_LENGTH};
use crate::init::stop::Stop;

/// Offset of the disk signature in the MBR.
const SIGNATURE: usize = 440;
/// Offset of the first of four 16-byte entries.
const ENTRIES: usize = 446;
/// Partition types of an extended partition: CHS, LBA, Linux.
const EXTENDED: [u8; 3] = [0x05, 0x0f, 0x85];
/// Partition type of a Linux file system.
const LINUX: u8 = 0x83;
/// CHS bytes that say "beyond what CHS can name".
const CHS_NONE: [u8; 3] = [0xfe, 0xff, 0xff];
/// Longest chain read, so that a looped one ends.
const MAX_LOGICAL: usize = 60;

/// A table of this kind, in sectors of 512 bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mbr {
    /// The disk signature.
    pub disk_signature: u32,
    /// Primary and logical partitions by number.
    pub(super) partitions: Vec<Partition>,
    /// The extended partition and the place of its entry in the MBR (0 to 3).
    extended: Option<(usize, Extent)>,
    /// First sectors of the extended boot records, in the order of the chain.
    records: Vec<u64>,
    /// The last record leads to something that is none.
    broken: bool,
}

impl Mbr {
    /// Reads the table whose MBR is `first`, and follows the chain of logical partitions.
    pub(super) fn read(disk: &impl BlockDevice, first: &Sector) -> Self {
        let mut table = Self {
            disk_signature: word(first, SIGNATURE),
            partitions: Vec::new(),
            extended: None,
            records: Vec::new(),
            broken: false,
        };
        for (place, number) in (0..4).zip(1..) {
            let (kind, extent) = entry(first, place, 0);
            if EXTENDED.contains(&kind) && table.extended.is_none() {
                table.extended = Some((place, extent));
            } else if kind != 0 && extent.sectors > 0 {
                table.partitions.push(Partition { number, extent });
            }
        }
        if let Some((_, extended)) = table.extended {
            table.read_chain(disk, extended);
        }
        table
    }

    /// A record is linked from the one before by a sector that may be torn: a link to nowhere ends the chain.
    fn read_chain(&mut self, disk: &impl BlockDevice, extended: Extent) {
        let mut record = extended.start;
        for number in (5..).take(MAX_LOGICAL) {
            let bytes = read_record(disk, record).ok();
            let partition = bytes.as_ref().map(|bytes| entry(bytes, 0, record));
            let (Some(bytes), Some((kind, extent))) = (bytes, partition) else {
                self.broken = true;
                return;
            };
            if kind == 0 || self.records.contains(&record) {
                self.broken = true;
                return;
            }
            self.records.push(record);
            // A length of nothing may be a torn one: it is a partition, and will be given its length.
            self.partitions.push(Partition { number, extent });
            let (kind, next) = entry(&bytes, 1, extended.start);
            if !EXTENDED.contains(&kind) {
                return;
            }
            record = next.start;
        }
        self.broken = true;
    }

    pub(super) fn ensure_data<D: BlockDevice>(
        &self,
        disk: &mut D,
        number: u32,
        minimum: u64,
        begin: impl FnOnce(&mut D, Extent) -> Result<()>,
    ) -> Result<Room> {
        let Some(place) = self.place(disk, number, minimum)? else {
            let record = align_up(self.last_but(number)?.extent.end());
            let needed = needed(record, minimum);
            return Ok(super::too_small(disk.size()? / SECTOR, needed, minimum));
        };
        let writes = self.writes(disk, &place)?;
        if disk.read_only()? && (place.new || !writes.is_empty()) {
            return Ok(super::read_only());
        }
        if place.new {
            super::empty(disk, place.data)?;
            begin(disk, place.data)?;
            disk.flush()?;
        }
        for (sector, bytes) in &writes {
            disk.write_at(bytes, sector * SECTOR)
                .with_context(|| format!("writing the partition table (sector {sector})"))?;
            // Each is good only when the one before is there.
            disk.flush()?;
        }
        Ok(Room::Ready {
            extent: place.data,
            change: match (place.new, writes.is_empty()) {
                (true, _) => Change::Added,
                (false, true) => Change::None,
                (false, false) => Change::Grown,
            },
            unreachable: (disk.size()? / SECTOR).saturating_sub(u64::from(u32::MAX)) * SECTOR,
        })
    }

    /// Where DATA is, or is to be; `None` where it has no room.
    fn place(&self, disk: &impl BlockDevice, number: u32, minimum: u64) -> Result<Option<Place>> {
        let disk_end = (disk.size()? / SECTOR).min(u64::from(u32::MAX));
        let end = align_down(disk_end);
        let before = self.last_but(number)?;
        if let Some(present) = self.partitions.iter().find(|partition| partition.number == number) {
            let index = number as usize - 5;
            let (record, start) = (self.records[index], present.extent.start);
            let followed = self.records.len() > index + 1;
            let reaches = (end..=disk_end).contains(&present.extent.end());
            let data = if followed || reaches || end <= start {
                present.extent
            } else {
                Extent {
                    start,
                    sectors: end - start,
                }
            };
            return Ok(Some(Place {
                record,
                data,
                new: false,
                followed,
            }));
        }
        let record = align_up(before.extent.end());
        if needed(record, minimum) > end {
            return Ok(None);
        }
        let start = record + ALIGN;
        // A link that is there leads to a record that is there, unless its sector is torn.
        let made = read_record(disk, record).is_ok_and(|bytes| {
            let (kind, extent) = entry(&bytes, 0, record);
            kind == LINUX && extent.start == start
        });
        if self.broken && !made {
            return Err(Stop::because(format!(
                "the chain of logical partitions is damaged behind partition {}, and where DATA began is not known any \
                 more: burn the card again, or restore the table with a tool such as testdisk",
                before.number
            )));
        }
        Ok(Some(Place {
            record,
            data: Extent {
                start,
                sectors: end - start,
            },
            new: !self.broken,
            followed: false,
        }))
    }

    /// The sectors that differ from what they should be, in the order in which they can be written.
    fn writes(&self, disk: &impl BlockDevice, place: &Place) -> Result<Vec<(u64, Sector)>> {
        if place.followed {
            return Ok(Vec::new());
        }
        let (at, extended) = self.extended.context("the disk has no extended partition")?;
        let mut writes = Vec::new();
        let mut want = |sector: u64, bytes: Sector, present: Option<Sector>| {
            if present != Some(bytes) {
                writes.push((sector, bytes));
            }
        };
        // First more room than is used; then the record, where nothing points yet; then the link to it.
        let first = read_record(disk, 0)?;
        let mut mbr = first;
        put_entry(
            &mut mbr,
            at,
            first[ENTRIES + 16 * at + 4],
            extended.start,
            place.data.end() - extended.start,
        )?;
        want(0, mbr, Some(first));
        let present = read_record(disk, place.record).ok();
        // What lay there before a new DATA is nobody's.
        let mut record = present.filter(|_| !place.new).unwrap_or_else(empty_record);
        put_entry(
            &mut record,
            0,
            LINUX,
            place.data.start - place.record,
            place.data.sectors,
        )?;
        want(place.record, record, present);
        let index = self.records.iter().position(|record| *record == place.record);
        let previous = index.unwrap_or(self.records.len()).checked_sub(1);
        if let Some(previous) = previous.map(|index| self.records[index]) {
            let present = read_record(disk, previous)?;
            let mut linking = present;
            let start = place.record - extended.start;
            put_entry(&mut linking, 1, EXTENDED[0], start, place.data.end() - place.record)?;
            want(previous, linking, Some(present));
        }
        Ok(writes)
    }

    /// The last logical partition before `number`.
    fn last_but(&self, number: u32) -> Result<Partition> {
        self.extended.context("the disk has no extended partition")?;
        let before = self
            .partitions
            .iter()
            .find(|partition| partition.number >= 5 && partition.number + 1 == number);
        before.copied().ok_or_else(|| {
            Stop::because(format!(
                "the partition table has no partition {} before DATA (partition {number}): burn the card again",
                number.saturating_sub(1)
            ))
        })
    }
}

/// Where DATA is to be.
struct Place {
    /// Sector of its record.
    record: u64,
    data: Extent,
    /// It is not there yet.
    new: bool,
    /// Somebody made another partition behind it: nothing is changed then.
    followed: bool,
}

/// The sectors a disk must have for a DATA whose record is at `record`.
fn needed(record: u64, minimum: u64) -> u64 {
    align_up(record + ALIGN + minimum.div_ceil(SECTOR).max(ALIGN))
}

fn empty_record() -> Sector {
    let mut bytes: Sector = [0; SECTOR_LENGTH];
    bytes[510..].copy_from_slice(&[0x55, 0xaa]);
    bytes
}

fn word(bytes: &Sector, at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

fn entry(record: &Sector, place: usize, base: u64) -> (u8, Extent) {
    let at = ENTRIES + 16 * place;
    let extent = Extent {
        start: base + u64::from(word(record, at + 8)),
        sectors: u64::from(word(record, at + 12)),
    };
    (record[at + 4], extent)
}

fn put_entry(record: &mut Sector, place: usize, kind: u8, start: u64, sectors: u64) -> Result<()> {
    let number = |value: u64| u32::try_from(value).context("a partition lies beyond 2 TiB");
    let at = ENTRIES + 16 * place;
    // What is right stays as it is, an active flag and somebody's cylinders among it.
    let right = record[at + 4] == kind && entry(record, place, 0) == (kind, Extent { start, sectors });
    if right {
        return Ok(());
    }
    record[at] = 0;
    record[at + 1..at + 4].copy_from_slice(&CHS_NONE);
    record[at + 4] = kind;
    record[at + 5..at + 8].copy_from_slice(&CHS_NONE);
    record[at + 8..at + 12].copy_from_slice(&number(start)?.to_le_bytes());
    record[at + 12..at + 16].copy_from_slice(&number(sectors)?.to_le_bytes());
    Ok(())
}

#[cfg(test)]
impl Mbr {
    /// Writes the chain anew, each record alone in the alignment before its partition.
    pub(super) fn move_records(&self, disk: &mut impl BlockDevice) -> Result<()> {
        let (_, extended) = self.extended.context("no extended partition")?;
        let logical: Vec<_> = self.partitions.iter().filter(|it| it.number >= 5).collect();
        for (index, partition) in logical.iter().enumerate() {
            let at = partition.extent.start - ALIGN;
            let mut record = empty_record();
            put_entry(&mut record, 0, LINUX, ALIGN, partition.extent.sectors)?;
            if let Some(next) = logical.get(index + 1) {
                let start = next.extent.start - ALIGN;
                put_entry(
                    &mut record,
                    1,
                    EXTENDED[0],
                    start - extended.start,
                    next.extent.end() - start,
                )?;
            }
            disk.write_at(&record, at * SECTOR)?;
        }
        Ok(())
    }

    /// Shortens the last partition to `end` and makes another behind it, to `last`.
    pub(super) fn add_behind(&self, disk: &mut impl BlockDevice, end: u64, last: u64) -> Result<()> {
        let mut longer = self.clone();
        let data = longer.partitions.last_mut().context("no partition")?;
        data.extent.sectors = end - data.extent.start;
        let number = data.number + 1;
        longer.partitions.push(Partition {
            number,
            extent: Extent {
                start: end + ALIGN,
                sectors: last - end - ALIGN,
            },
        });
        longer.move_records(disk)
    }
}
