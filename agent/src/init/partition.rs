//! MBR and logical partitions: reading them, and adding DATA or growing it to the end of the disk.
//!
//! Offsets and the chain of extended boot records are those of the DOS partition table (UEFI specification 2.10,
//! section 5.2.1, for the MBR; `block/partitions/msdos.c` of Linux for the chain): every logical partition is
//! preceded by a record whose first entry gives the partition relative to the record and whose second entry gives
//! the next record relative to the extended partition.

use std::io;

use anyhow::{Context, Result, bail, ensure};
use computatom_spec::boot;

use super::disk::{BlockDevice, SECTOR, SECTOR_LENGTH};
use super::stop::Stop;

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

/// So much of a new DATA is emptied: the superblocks and signatures of all common file systems lie in it (btrfs has
/// its at 64 KiB and counts as none here: it is never mounted).
const EMPTIED: usize = 64 << 10;

type Sector = [u8; SECTOR_LENGTH];

/// A partition table, in sectors of 512 bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    /// The disk signature.
    pub disk_signature: u32,
    /// Primary and logical partitions by number.
    pub partitions: Vec<Partition>,
    /// The extended partition and the place of its entry in the MBR (0 to 3).
    extended: Option<(usize, Extent)>,
    /// First sectors of the extended boot records, in the order of the chain.
    records: Vec<u64>,
}

/// One partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Partition {
    /// Number, as in `/dev/mmcblk0p7`.
    pub number: u32,
    /// Where it lies.
    pub extent: Extent,
}

/// A run of sectors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// First sector.
    pub start: u64,
    /// Number of sectors.
    pub sectors: u64,
}

impl Extent {
    fn end(self) -> u64 {
        self.start + self.sectors
    }
}

/// The disk signature, if the sector is an MBR at all.
pub fn disk_signature(disk: &impl BlockDevice) -> io::Result<Option<u32>> {
    let mut mbr: Sector = [0; SECTOR_LENGTH];
    disk.read_at(&mut mbr, 0)?;
    let signature = u32::from_le_bytes(mbr[SIGNATURE..SIGNATURE + 4].try_into().expect("four bytes"));
    Ok(mbr.ends_with(&[0x55, 0xaa]).then_some(signature))
}

impl Table {
    /// Reads the MBR and follows the chain of logical partitions.
    pub fn read(disk: &impl BlockDevice) -> Result<Self> {
        let mbr = read_record(disk, 0).context("reading the MBR")?;
        let disk_signature = u32::from_le_bytes(mbr[SIGNATURE..SIGNATURE + 4].try_into().expect("four bytes"));
        let mut table = Self {
            disk_signature,
            partitions: Vec::new(),
            extended: None,
            records: Vec::new(),
        };
        for (place, number) in (0..4).zip(1..) {
            let (kind, extent) = entry(&mbr, place, 0);
            if EXTENDED.contains(&kind) && table.extended.is_none() {
                table.extended = Some((place, extent));
            } else if kind != 0 && extent.sectors > 0 {
                table.partitions.push(Partition { number, extent });
            }
        }
        if let Some((_, extended)) = table.extended {
            table.read_chain(disk, extended)?;
        }
        Ok(table)
    }

    fn read_chain(&mut self, disk: &impl BlockDevice, extended: Extent) -> Result<()> {
        let mut record = extended.start;
        for number in (5..).take(MAX_LOGICAL) {
            let bytes =
                read_record(disk, record).with_context(|| format!("reading the record of partition {number}"))?;
            self.records.push(record);
            let (kind, extent) = entry(&bytes, 0, record);
            ensure!(kind != 0 && extent.sectors > 0, "logical partition {number} is empty");
            self.partitions.push(Partition { number, extent });
            let (kind, next) = entry(&bytes, 1, extended.start);
            if !EXTENDED.contains(&kind) {
                return Ok(());
            }
            ensure!(
                !self.records.contains(&next.start),
                "the chain of logical partitions is a loop"
            );
            record = next.start;
        }
        bail!("more than {MAX_LOGICAL} logical partitions")
    }

    /// The partition of that number.
    pub fn partition(&self, number: u32) -> Option<Partition> {
        self.partitions
            .iter()
            .copied()
            .find(|partition| partition.number == number)
    }
}

/// What was done about DATA.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It was there and reaches the end of the disk.
    None,
    /// It was made.
    Added,
    /// It was there and now reaches the end of the disk.
    Grown,
}

/// Makes partition `number` the last logical partition and lets it reach the end of the disk.
///
/// Each step leaves a valid table, so that it does not matter where the power fails: the extended partition is
/// grown first (more room than is used), then the new record is written where nothing points yet, and the one
/// sector that links it (or holds its size) is written last. Running it again completes what was cut short.
///
/// A new DATA begins with zeros, and a partition is linked only after they are written: whatever an earlier use of the
/// card left there is no file system of this node. `minimum` is the least size of a new DATA in bytes.
pub fn ensure_data(disk: &mut impl BlockDevice, number: u32, minimum: u64) -> Result<Change> {
    let table = Table::read(disk)?;
    let (place, extended) = table.extended.context("the disk has no extended partition")?;
    let disk_end = disk.size()? / SECTOR;
    // 32-bit sector numbers: what lies beyond 2 TiB is left unused.
    let end = align_down(disk_end.min(u64::from(u32::MAX)));
    let last = table
        .partitions
        .iter()
        .filter(|partition| partition.number >= 5)
        .max_by_key(|last| last.number);
    let last = last.copied().context("the extended partition is empty")?;
    let align = boot::ALIGNMENT / SECTOR;

    match table.partition(number) {
        None => {
            ensure!(
                last.number + 1 == number,
                "DATA must be partition {}, not {number}",
                last.number + 1
            );
            let record = align_up(last.extent.end());
            let needed = align_up((record + align) + minimum.max(boot::ALIGNMENT).div_ceil(SECTOR));
            if needed > end {
                return Err(Stop::because(format!(
                    "the card is too small: it has {} MB, this image needs {} MB ({} MB of them for DATA); burn a larger one",
                    disk.size()? / 1_000_000,
                    (needed * SECTOR).div_ceil(1_000_000),
                    minimum.div_ceil(1_000_000),
                )));
            }
            grow_extended(disk, place, extended, end)?;
            let data = Extent {
                start: record + align,
                sectors: end - record - align,
            };
            disk.write_at(&vec![0; EMPTIED], data.start * SECTOR)
                .context("emptying the beginning of DATA")?;
            write_record(disk, record, data, None, extended.start)?;
            disk.flush()?;
            let previous = *table.records.last().context("the extended partition is empty")?;
            let next = Extent {
                start: record,
                sectors: end - record,
            };
            write_record(disk, previous, last.extent, Some(next), extended.start)?;
            disk.flush()?;
            Ok(Change::Added)
        }
        Some(data) => {
            ensure!(data == last, "DATA (partition {number}) is not the last partition");
            if data.extent.end() >= end {
                return Ok(Change::None);
            }
            grow_extended(disk, place, extended, end)?;
            let record = *table.records.last().context("the extended partition is empty")?;
            let grown = Extent {
                start: data.extent.start,
                sectors: end - data.extent.start,
            };
            write_record(disk, record, grown, None, extended.start)?;
            disk.flush()?;
            Ok(Change::Grown)
        }
    }
}

fn grow_extended(disk: &mut impl BlockDevice, place: usize, extended: Extent, end: u64) -> Result<()> {
    if extended.end() >= end {
        return Ok(());
    }
    let mut mbr = read_record(disk, 0)?;
    let kind = mbr[ENTRIES + 16 * place + 4];
    put_entry(&mut mbr, place, kind, extended.start, end - extended.start)?;
    disk.write_at(&mbr, 0).context("writing the MBR")?;
    disk.flush()?;
    Ok(())
}

fn write_record(
    disk: &mut impl BlockDevice,
    record: u64,
    partition: Extent,
    next: Option<Extent>,
    extended_start: u64,
) -> Result<()> {
    let mut bytes: Sector = [0; SECTOR_LENGTH];
    put_entry(&mut bytes, 0, LINUX, partition.start - record, partition.sectors)?;
    if let Some(next) = next {
        put_entry(&mut bytes, 1, EXTENDED[0], next.start - extended_start, next.sectors)?;
    }
    bytes[510..].copy_from_slice(&[0x55, 0xaa]);
    disk.write_at(&bytes, record * SECTOR)
        .context("writing an extended boot record")
}

fn read_record(disk: &impl BlockDevice, sector: u64) -> Result<Sector> {
    let mut bytes: Sector = [0; SECTOR_LENGTH];
    disk.read_at(&mut bytes, sector * SECTOR)?;
    ensure!(
        bytes.ends_with(&[0x55, 0xaa]),
        "sector {sector} is not a partition table (no 55 aa at its end)"
    );
    Ok(bytes)
}

fn entry(record: &Sector, place: usize, base: u64) -> (u8, Extent) {
    let at = ENTRIES + 16 * place;
    let number = |from: usize| {
        u64::from(u32::from_le_bytes(
            record[from..from + 4].try_into().expect("four bytes"),
        ))
    };
    (
        record[at + 4],
        Extent {
            start: base + number(at + 8),
            sectors: number(at + 12),
        },
    )
}

fn put_entry(record: &mut Sector, place: usize, kind: u8, start: u64, sectors: u64) -> Result<()> {
    let number = |value: u64| u32::try_from(value).context("a partition lies beyond 2 TiB");
    let at = ENTRIES + 16 * place;
    record[at] = 0;
    record[at + 1..at + 4].copy_from_slice(&CHS_NONE);
    record[at + 4] = kind;
    record[at + 5..at + 8].copy_from_slice(&CHS_NONE);
    record[at + 8..at + 12].copy_from_slice(&number(start)?.to_le_bytes());
    record[at + 12..at + 16].copy_from_slice(&number(sectors)?.to_le_bytes());
    Ok(())
}

fn align_up(sector: u64) -> u64 {
    sector.next_multiple_of(boot::ALIGNMENT / SECTOR)
}

fn align_down(sector: u64) -> u64 {
    sector - sector % (boot::ALIGNMENT / SECTOR)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::disk::memory::Memory;
    use super::*;

    const ALIGN: u64 = boot::ALIGNMENT / SECTOR;

    /// p2 primary, p5 and p6 logical, as the image has them, on a disk of `units` times the alignment.
    fn card(units: u64) -> Memory {
        let mut disk = Memory::new(usize::try_from(units * boot::ALIGNMENT).unwrap());
        let mut mbr: Sector = [0; 512];
        mbr[SIGNATURE..SIGNATURE + 4].copy_from_slice(&0xc0ff_ee01_u32.to_le_bytes());
        put_entry(&mut mbr, 1, 0x0c, ALIGN, ALIGN).unwrap();
        put_entry(&mut mbr, 3, 0x0f, 2 * ALIGN, 4 * ALIGN).unwrap();
        mbr[510..].copy_from_slice(&[0x55, 0xaa]);
        disk.write_at(&mbr, 0).unwrap();
        let a = Extent {
            start: 3 * ALIGN,
            sectors: ALIGN,
        };
        let b = Extent {
            start: 5 * ALIGN,
            sectors: ALIGN,
        };
        let next = Extent {
            start: 4 * ALIGN,
            sectors: 2 * ALIGN,
        };
        write_record(&mut disk, 2 * ALIGN, a, Some(next), 2 * ALIGN).unwrap();
        write_record(&mut disk, 4 * ALIGN, b, None, 2 * ALIGN).unwrap();
        disk
    }

    fn ensure_data(disk: &mut Memory, number: u32) -> Result<Change> {
        super::ensure_data(disk, number, boot::ALIGNMENT)
    }

    fn data(disk: &Memory) -> Option<Extent> {
        Table::read(disk)
            .unwrap()
            .partition(7)
            .map(|partition| partition.extent)
    }

    #[test]
    fn data_is_added_once_and_reaches_the_end() {
        let mut disk = card(20);
        assert_eq!(ensure_data(&mut disk, 7).unwrap(), Change::Added);
        assert_eq!(
            data(&disk),
            Some(Extent {
                start: 7 * ALIGN,
                sectors: 13 * ALIGN
            })
        );
        let once = disk.bytes.clone();
        assert_eq!(ensure_data(&mut disk, 7).unwrap(), Change::None);
        assert!(disk.bytes == once);
    }

    #[test]
    fn data_grows_when_the_card_is_larger() {
        let mut disk = card(20);
        ensure_data(&mut disk, 7).unwrap();
        disk.bytes
            .resize(30 * usize::try_from(boot::ALIGNMENT).unwrap() + 512, 0);
        assert_eq!(ensure_data(&mut disk, 7).unwrap(), Change::Grown);
        assert_eq!(
            data(&disk),
            Some(Extent {
                start: 7 * ALIGN,
                sectors: 23 * ALIGN
            })
        );
    }

    #[test]
    fn a_card_without_room_for_data_is_refused_for_good() {
        for (units, minimum) in [(7, 0), (20, 14 * boot::ALIGNMENT)] {
            let mut disk = card(units);
            let before = disk.bytes.clone();
            let error = super::ensure_data(&mut disk, 7, minimum).unwrap_err();
            assert!(error.is::<Stop>() && error.to_string().contains("too small"), "{error}");
            assert!(disk.bytes == before);
        }
        let error = super::ensure_data(&mut card(20), 7, 14 * boot::ALIGNMENT).unwrap_err();
        assert!(
            error
                .to_string()
                .contains("it has 83 MB, this image needs 89 MB (59 MB of"),
            "{error}"
        );
        assert_eq!(
            super::ensure_data(&mut card(20), 7, 13 * boot::ALIGNMENT).unwrap(),
            Change::Added
        );
        assert!(ensure_data(&mut card(20), 9).is_err());
    }

    #[test]
    fn what_lay_there_before_data_is_no_file_system() {
        let mut disk = card(20);
        let start = usize::try_from(7 * boot::ALIGNMENT).unwrap();
        disk.bytes[start..].fill(0xef);
        // Linked only when it is empty, wherever the power fails.
        for writes in 0..4 {
            let mut cut = disk.clone();
            cut.writes_left = writes;
            let _ = ensure_data(&mut cut, 7);
            assert!(data(&cut).is_none() || cut.bytes[start..start + EMPTIED].iter().all(|byte| *byte == 0));
        }
        ensure_data(&mut disk, 7).unwrap();
        assert!(disk.bytes[start..start + EMPTIED].iter().all(|byte| *byte == 0));
        disk.bytes[start] = 1;
        ensure_data(&mut disk, 7).unwrap();
        assert_eq!(disk.bytes[start], 1, "a DATA that is linked is the node's");
    }

    #[test]
    fn power_cuts_leave_the_roots_and_the_next_boot_completes() {
        let mut complete = card(20);
        ensure_data(&mut complete, 7).unwrap();
        for writes in 0..5 {
            let mut disk = card(20);
            disk.writes_left = writes;
            let cut = ensure_data(&mut disk, 7).is_err();
            assert_eq!(cut, writes < 4, "four writes make DATA");
            let table = Table::read(&disk).unwrap();
            assert_eq!(table.partition(5), Table::read(&card(20)).unwrap().partition(5));
            assert_eq!(table.partition(6), Table::read(&card(20)).unwrap().partition(6));
            disk.writes_left = usize::MAX;
            ensure_data(&mut disk, 7).unwrap();
            assert!(disk.bytes == complete.bytes);
        }
    }

    #[test]
    fn a_looped_chain_ends() {
        let mut disk = card(20);
        let b = Extent {
            start: 5 * ALIGN,
            sectors: ALIGN,
        };
        let back = Extent {
            start: 2 * ALIGN,
            sectors: ALIGN,
        };
        write_record(&mut disk, 4 * ALIGN, b, Some(back), 2 * ALIGN).unwrap();
        assert!(Table::read(&disk).unwrap_err().to_string().contains("loop"));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(bytes in proptest::collection::vec(any::<u8>(), 512 * 4)) {
            let mut disk = Memory::new(512 * 64);
            disk.bytes[..2048].copy_from_slice(&bytes);
            for sector in 0..4 {
                disk.bytes[sector * 512 + 510..sector * 512 + 512].copy_from_slice(&[0x55, 0xaa]);
            }
            let _ = ensure_data(&mut disk, 7);
        }
    }
}
