//! Partition tables: reading them, mending what a power cut left, and making room for DATA up to the end of the disk.
//!
//! MBR with logical partitions ([`mbr`]) and GPT ([`gpt`]) behind one type. Every step of a change leaves a table that
//! can be read, whatever part of the sector last written is on the medium; the next boot completes it.

use std::io;

use anyhow::{Context, Result};
use computatom_spec::boot;

use super::{BlockDevice, SECTOR, SECTOR_LENGTH};

/// MBR and the chain of logical partitions.
pub mod mbr;

/// GUID partition table.
pub mod gpt;

/// How a command line names a partition.
mod partuuid;

pub use self::partuuid::PartUuid;

/// So much of a new DATA is emptied: the superblocks and signatures of all common file systems lie in it (btrfs' at
/// 64 KiB, a ZFS label's first list at 16 KiB).
pub const EMPTIED: u64 = 128 << 10;

/// The alignment of partitions, in sectors.
const ALIGN: u64 = boot::ALIGNMENT / SECTOR;

type Sector = [u8; SECTOR_LENGTH];

/// The partition table of a disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Table {
    /// As Raspberry Pi boards need it.
    Mbr(mbr::Mbr),
    /// As UEFI has it.
    Gpt(gpt::Gpt),
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
    /// The first sector behind it.
    pub fn end(self) -> u64 {
        self.start + self.sectors
    }
}

/// What was done about DATA.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It was there and reaches the end of the disk.
    None,
    /// It was made.
    Added,
    /// It was there and now reaches the end of the disk, or what a power cut left of the table was mended.
    Grown,
}

/// What there is for DATA.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Room {
    /// The partition is there and reaches as far as it can.
    Ready {
        /// Where it lies.
        extent: Extent,
        /// What was done for that.
        change: Change,
        /// Bytes at the end of the disk that this kind of table cannot name.
        unreachable: u64,
    },
    /// There is none, and it cannot be made: the reason, and what a person can do, as a sentence.
    None(String),
}

impl Table {
    /// Reads whatever table the disk has; of a GPT the backup where the primary is torn.
    ///
    /// # Errors
    ///
    /// Fails if sector 0 is no MBR, or what it leads to is damaged beyond what a power cut can do.
    pub fn read(disk: &impl BlockDevice) -> Result<Self> {
        let first = read_record(disk, 0).context("reading the MBR")?;
        Ok(if gpt::is_protective(&first) {
            Self::Gpt(gpt::Gpt::read(disk)?)
        } else {
            Self::Mbr(mbr::Mbr::read(disk, &first))
        })
    }

    /// All partitions, in the order of the table.
    pub fn partitions(&self) -> &[Partition] {
        match self {
            Self::Mbr(mbr) => &mbr.partitions,
            Self::Gpt(gpt) => &gpt.partitions,
        }
    }

    /// The partition of that number.
    pub fn partition(&self, number: u32) -> Option<Partition> {
        self.partitions()
            .iter()
            .copied()
            .find(|partition| partition.number == number)
    }

    /// The number of the partition that `uuid` names, if it is one of this disk.
    pub fn find(&self, uuid: &PartUuid) -> Option<u32> {
        match (self, uuid) {
            (
                Self::Mbr(mbr),
                PartUuid::Mbr {
                    disk_signature,
                    partition,
                },
            ) => (mbr.disk_signature == *disk_signature && self.partition(*partition).is_some()).then_some(*partition),
            (Self::Gpt(gpt), PartUuid::Gpt(guid)) => gpt.number_of(guid),
            _ => None,
        }
    }
}

/// Makes partition `number` the last one and lets it reach the end of the disk.
///
/// A new DATA begins empty: whatever an earlier use of the card left there is no file system of this node. `begin`
/// writes there, and in the alignment before it, whatever else is to be on the medium before the table names it.
/// Running it again completes what was cut short. `minimum` is the least size of a new DATA in bytes.
///
/// # Errors
///
/// Fails if the disk does, or its table is not one of ours.
pub fn ensure_data<D: BlockDevice>(
    disk: &mut D,
    number: u32,
    minimum: u64,
    begin: impl FnOnce(&mut D, Extent) -> Result<()>,
) -> Result<Room> {
    match Table::read(disk)? {
        Table::Mbr(mbr) => mbr.ensure_data(disk, number, minimum, begin),
        Table::Gpt(gpt) => gpt.ensure_data(disk, number, minimum, begin),
    }
}

/// Empties the head of a new DATA.
fn empty(disk: &mut impl BlockDevice, data: Extent) -> Result<()> {
    let length = EMPTIED.min(data.sectors * SECTOR);
    let zeros = vec![0; usize::try_from(length).context("emptying DATA")?];
    disk.write_at(&zeros, data.start * SECTOR)
        .context("emptying the beginning of DATA")
}

/// The sentence about a card on which DATA has no room; sizes in sectors but for `minimum`.
fn too_small(disk_sectors: u64, needed: u64, minimum: u64) -> Room {
    Room::None(format!(
        "the card is too small: it has {} MB, this image needs {} MB ({} MB of them for DATA); burn a larger one",
        disk_sectors * SECTOR / 1_000_000,
        (needed * SECTOR).div_ceil(1_000_000),
        minimum.div_ceil(1_000_000),
    ))
}

/// The sentence about a card that cannot be written.
pub const READ_ONLY: &str =
    "the card refuses to be written (is its switch at `lock`? worn cards lock themselves): unlock or replace it";

fn read_only() -> Room {
    Room::None(READ_ONLY.to_owned())
}

/// A sector that ends in 55 aa.
fn read_record(disk: &impl BlockDevice, sector: u64) -> Result<Sector> {
    let bytes = read_sector(disk, sector)?;
    anyhow::ensure!(
        bytes.ends_with(&[0x55, 0xaa]),
        "sector {sector} is not a partition table (no 55 aa at its end)"
    );
    Ok(bytes)
}

fn read_sector(disk: &impl BlockDevice, sector: u64) -> io::Result<Sector> {
    let mut bytes: Sector = [0; SECTOR_LENGTH];
    let offset = sector.checked_mul(SECTOR).ok_or(io::ErrorKind::UnexpectedEof)?;
    disk.read_at(&mut bytes, offset)?;
    Ok(bytes)
}

fn align_up(sector: u64) -> u64 {
    sector.next_multiple_of(ALIGN)
}

fn align_down(sector: u64) -> u64 {
    sector - sector % ALIGN
}

#[cfg(test)]
mod tests;
