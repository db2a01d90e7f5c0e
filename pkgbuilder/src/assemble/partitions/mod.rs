//! Partition tables: MBR as the Raspberry Pi's firmware wants it, GPT as UEFI does.

/// The table of UEFI machines.
mod gpt;

/// The table of a Raspberry Pi's card.
mod mbr;

use std::collections::BTreeMap;
use std::ops::Range;

use anyhow::{Context, Result, bail};
use computatom_spec::boot::ALIGNMENT;
use computatom_spec::uuid::Uuid;

use super::medium::Medium;
use crate::bail_input;
use crate::definition::image::Partitions;

/// Bytes of a sector: what both tables count in.
pub const SECTOR: u64 = 512;

/// The kind of a table, with what names its disk and its partitions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// Four entries in the first sector, and a chain of further ones.
    Mbr {
        /// Disk signature: the first half of every `PARTUUID`.
        signature: u32,
    },
    /// A header and its entries at the beginning, and once more at the end.
    Gpt {
        /// The disk's.
        disk: Uuid,
        /// The partitions', by number: their `PARTUUID`.
        partitions: BTreeMap<u8, Uuid>,
    },
}

/// What a partition is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// FAT for firmware: type 0x0c, or the EFI system partition.
    Fat,
    /// Extended: around logical partitions.
    Extended,
    /// Linux.
    Linux,
    /// None of ours.
    Other,
}

/// A partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Partition {
    /// Number as Linux counts: of an MBR 1 to 4 primary, from 5 logical.
    pub number: u8,
    /// What it is for.
    pub kind: Kind,
    /// First byte on the disk.
    pub start: u64,
    /// Length in bytes.
    pub size: u64,
}

impl Partition {
    /// The first byte behind it.
    pub fn end(&self) -> u64 {
        self.start + self.size
    }
}

/// A partition table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    /// Its kind.
    pub scheme: Scheme,
    /// Partitions by number.
    pub partitions: Vec<Partition>,
}

impl Table {
    /// The layout of a Raspberry Pi card.
    ///
    /// # Errors
    ///
    /// Sizes of zero, and a layout beyond the 2 TiB of MBR, are wrong input.
    pub fn raspberrypi(sizes: &Partitions, signature: u32) -> Result<Self> {
        mbr::raspberrypi(sizes, signature)
    }

    /// The layout of a UEFI machine's disk.
    ///
    /// # Errors
    ///
    /// Sizes of zero are wrong input.
    pub fn uefi(sizes: &Partitions, signature: u32) -> Result<Self> {
        gpt::uefi(sizes, signature)
    }

    /// The layout of a disk with U-Boot in front of the first partition.
    ///
    /// # Errors
    ///
    /// Sizes of zero are wrong input.
    pub fn u_boot(sizes: &Partitions, signature: u32) -> Result<Self> {
        gpt::u_boot(sizes, signature)
    }

    /// The partition with a number.
    ///
    /// # Errors
    ///
    /// Fails if there is none.
    pub fn get(&self, number: u8) -> Result<Partition> {
        self.partitions
            .iter()
            .copied()
            .find(|partition| partition.number == number)
            .with_context(|| format!("the partition table has no partition {number}"))
    }

    /// Bytes of a disk that holds all of it.
    pub fn disk_size(&self) -> u64 {
        let end = self.partitions.iter().map(Partition::end).max().unwrap_or(0);
        match self.scheme {
            Scheme::Mbr { .. } => end,
            Scheme::Gpt { .. } => end + ALIGNMENT,
        }
    }

    /// `PARTUUID` of a partition as the kernel writes it.
    ///
    /// # Errors
    ///
    /// Fails if there is no such partition.
    pub fn partuuid(&self, number: u8) -> Result<String> {
        self.get(number)?;
        Ok(match &self.scheme {
            Scheme::Mbr { signature } => format!("{signature:08x}-{number:02x}"),
            Scheme::Gpt { partitions, .. } => partitions.get(&number).map(Uuid::to_string).unwrap_or_default(),
        })
    }

    /// A serial number for the file system in a partition.
    pub fn serial(&self, number: u8) -> u32 {
        let disk = match &self.scheme {
            Scheme::Mbr { signature } => *signature,
            Scheme::Gpt { disk, .. } => word(&disk.to_disk(), 0),
        };
        disk ^ u32::from(number)
    }

    /// Writes the table; nothing else of the file is touched.
    ///
    /// # Errors
    ///
    /// Fails if the file cannot be written, or a partition lies where the table cannot say it.
    pub fn write(&self, file: &dyn Medium) -> Result<()> {
        match &self.scheme {
            Scheme::Mbr { signature } => mbr::write(self, *signature, file),
            Scheme::Gpt { disk, partitions } => gpt::write(self, *disk, partitions, file),
        }
    }

    /// Where [`Table::write`] writes, and sectors that have to be zeros, where an older disk could have a record that is
    /// none of ours.
    pub fn written(&self) -> Vec<Range<u64>> {
        match self.scheme {
            Scheme::Mbr { .. } => mbr::written(self),
            Scheme::Gpt { .. } => gpt::written(self),
        }
    }

    /// Reads a table as Linux does.
    ///
    /// # Errors
    ///
    /// Fails if there is none, or it is damaged.
    pub fn read(file: &dyn Medium) -> Result<Self> {
        let first = read_sector(file, 0)?;
        if gpt::is_protective(&first) {
            gpt::read(file)
        } else {
            mbr::read(file, &first)
        }
    }

    /// Reads the four partitions of an MBR alone, as firmware does that knows no others: what a power cut left of the chain
    /// of logical ones is no obstacle to it.
    ///
    /// # Errors
    ///
    /// Fails if there is no MBR.
    pub fn read_primary(file: &dyn Medium) -> Result<Self> {
        Ok(mbr::primary(&read_sector(file, 0)?))
    }
}

/// The sizes of a definition in bytes, each checked and rounded up.
fn sizes<const N: usize>(named: [(&str, u64); N]) -> Result<[u64; N]> {
    for (key, mib) in named {
        if mib == 0 || mib > 1 << 20 {
            bail_input!("partitions.{key} is {mib}: choose 1 to 1048576 MiB");
        }
    }
    Ok(named.map(|(_, mib)| (mib << 20).next_multiple_of(ALIGNMENT)))
}

/// Parses the disk signature of a lock: eight hex digits, not all zero.
///
/// # Errors
///
/// Anything else is wrong input.
pub fn parse_signature(text: &str) -> Result<u32> {
    match u32::from_str_radix(text, 16) {
        Ok(signature) if text.len() == 8 && !text.starts_with('+') && signature != 0 => Ok(signature),
        _ => bail_input!(
            "the lock's disk_signature is `{text}`, which is not eight hex digits other than 00000000: \
             write a new lock with `pkgbuilder lock`"
        ),
    }
}

fn read_sector(file: &dyn Medium, at: u64) -> Result<[u8; 512]> {
    let mut sector = [0; 512];
    file.read_exact_at(&mut sector, at)
        .with_context(|| format!("reading the partition table at byte {at}"))?;
    if sector[510..] != [0x55, 0xaa] {
        bail!("there is no partition table at byte {at}: the sector does not end in 55 aa");
    }
    Ok(sector)
}

fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}
