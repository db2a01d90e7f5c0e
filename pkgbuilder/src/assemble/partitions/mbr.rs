//! MBR with logical partitions, written and read byte by byte.
//!
//! ```text
//! 0        MBR: disk signature (4 bytes, little endian) at 440, four entries at 446, 55 aa
//! 4 MiB    p1 BOOTSEL   0x0c
//!          p2 BOOT_A    0x0c
//!          p3 BOOT_B    0x0c
//!          p4 extended  0x0f, up to the end of the image
//!            EBR of p5, alone in 4 MiB     p5 ROOT_A 0x83
//!            EBR of p6, alone in 4 MiB     p6 ROOT_B 0x83
//!            4 MiB left empty: here the first boot puts the EBR of p7, and DATA behind it
//! ```
//!
//! Everything begins and ends at multiples of [`ALIGNMENT`], so an erase block of the card never holds both a table
//! and data, or two partitions. An extended boot record (EBR) is a sector with the table of one logical partition:
//! its first entry is that partition, counted from the EBR itself; its second the next EBR, counted from the beginning
//! of p4, with a length up to the end of that EBR's partition.
//!
//! To add p7 to a card of any size: grow p4 in the MBR, then write the EBR of p7 at the last [`ALIGNMENT`] of the image (the
//! end of p4 as shipped), then link it from the EBR of p6. A cut in between leaves a table that is still valid. That is
//! the agent's `disk/table/mbr.rs`.
//!
//! The extended partition is of type 0x0f rather than 0x05: the same thing with the promise that block numbers count
//! and cylinders do not, which is what the `fe ff ff` in every entry says. The kernel gives logical partitions the
//! `PARTUUID` signature-05, -06, …, as `block/partitions/msdos.c` does.

use std::ops::Range;

use anyhow::{Context, Result, bail};
use computatom_spec::boot::{ALIGNMENT, mbr};

use super::super::medium::Medium;
use super::{Kind, Partition, SECTOR, Scheme, Table, read_sector, sizes, word};
use crate::bail_input;
use crate::definition::image::Partitions;

/// FAT, block numbers count.
const FAT: u8 = 0x0c;
/// Extended, block numbers count.
const EXTENDED: u8 = 0x0f;
/// Linux.
const LINUX: u8 = 0x83;

/// Type of an EBR's link to the next (`fdisk` and the kernel expect this one).
const LINK: u8 = 0x05;
const SIGNATURE_AT: usize = 440;
const ENTRIES_AT: usize = 446;
/// First and last cylinder, head and sector of every entry: beyond what they can say.
const NO_CHS: [u8; 3] = [0xfe, 0xff, 0xff];
/// Logical partitions read before the chain counts as a loop.
const MAX_LOGICAL: u8 = 60;

/// See [`Table::raspberrypi`].
pub(super) fn raspberrypi(given: &Partitions, signature: u32) -> Result<Table> {
    let [bootsel, boot, root] = sizes([
        ("bootsel_mib", given.bootsel_mib),
        ("boot_mib", given.boot_mib),
        ("root_mib", given.root_mib),
    ])?;
    let mut partitions = Vec::new();
    let mut at = ALIGNMENT;
    let mut add = |number, kind, start: u64, size: u64| {
        partitions.push(Partition {
            number,
            kind,
            start,
            size,
        });
        start + size
    };
    at = add(mbr::BOOTSEL, Kind::Fat, at, bootsel);
    at = add(mbr::BOOT_A, Kind::Fat, at, boot);
    at = add(mbr::BOOT_B, Kind::Fat, at, boot);
    let end = add(mbr::EXTENDED, Kind::Extended, at, 2 * (ALIGNMENT + root) + ALIGNMENT);
    at = add(mbr::ROOT_A, Kind::Linux, at + ALIGNMENT, root);
    add(mbr::ROOT_B, Kind::Linux, at + ALIGNMENT, root);
    if end / SECTOR > u64::from(u32::MAX) {
        bail_input!("the partitions are together larger than the 2 TiB an MBR can describe: choose smaller ones");
    }
    Ok(Table {
        scheme: Scheme::Mbr { signature },
        partitions,
    })
}

/// MBR and extended boot records, and the sector behind each logical partition.
pub(super) fn written(table: &Table) -> Vec<Range<u64>> {
    let logical = table.partitions.iter().filter(|partition| partition.number > 4);
    let records = logical.flat_map(|partition| {
        let record = partition.start - ALIGNMENT;
        let behind = partition.end();
        [
            record..record + SECTOR,
            behind..(behind + SECTOR).min(table.disk_size()),
        ]
    });
    std::iter::once(0..SECTOR).chain(records).collect()
}

/// Writes MBR and EBRs.
pub(super) fn write(table: &Table, signature: u32, file: &dyn Medium) -> Result<()> {
    let put = |sector: &[u8; 512], at: u64| file.write_all_at(sector, at).context("writing the partition table");
    let mut sector = empty_sector();
    sector[SIGNATURE_AT..SIGNATURE_AT + 4].copy_from_slice(&signature.to_le_bytes());
    for partition in table.partitions.iter().filter(|partition| partition.number <= 4) {
        let slot = usize::from(partition.number - 1);
        set_entry(&mut sector, slot, partition.kind, partition.start, partition.size)?;
    }
    put(&sector, 0)?;
    let logical: Vec<&Partition> = table
        .partitions
        .iter()
        .filter(|partition| partition.number > 4)
        .collect();
    for (index, partition) in logical.iter().enumerate() {
        let extended = table.get(mbr::EXTENDED)?;
        let mut sector = empty_sector();
        set_entry(&mut sector, 0, partition.kind, ALIGNMENT, partition.size)?;
        if let Some(next) = logical.get(index + 1) {
            let record = next.start - ALIGNMENT;
            set_entry(
                &mut sector,
                1,
                Kind::Other,
                record - extended.start,
                next.end() - record,
            )?;
        }
        put(&sector, partition.start - ALIGNMENT)?;
    }
    Ok(())
}

/// Reads the primary partitions of an MBR.
pub(super) fn primary(mbr: &[u8; 512]) -> Table {
    let signature = word(mbr, SIGNATURE_AT);
    let mut partitions = Vec::new();
    for slot in 0..4_u8 {
        let (kind, start, length) = entry(mbr, usize::from(slot));
        if kind != 0 && length != 0 {
            partitions.push(Partition {
                number: slot + 1,
                kind: kind_of(kind),
                start,
                size: length,
            });
        }
    }
    Table {
        scheme: Scheme::Mbr { signature },
        partitions,
    }
}

/// Reads primary partitions, then the chain of EBRs; the sector given is the MBR.
pub(super) fn read(file: &dyn Medium, mbr: &[u8; 512]) -> Result<Table> {
    let size = file.size().context("reading the partition table")?;
    let Table { scheme, mut partitions } = primary(mbr);
    let extended = partitions
        .iter()
        .copied()
        .find(|partition| partition.kind == Kind::Extended);
    let mut next = extended.map(|extended| extended.start);
    let mut number = 5;
    while let (Some(record), Some(extended)) = (next, extended) {
        if record >= size {
            bail!("the extended boot record of partition {number} lies behind the end of the image");
        }
        if number > MAX_LOGICAL {
            bail!("the chain of extended boot records does not end");
        }
        let sector = read_sector(file, record)?;
        let (kind, start, length) = entry(&sector, 0);
        if kind != 0 && length != 0 {
            partitions.push(Partition {
                number,
                kind: kind_of(kind),
                start: record + start,
                size: length,
            });
            number += 1;
        }
        let (kind, start, _) = entry(&sector, 1);
        next = (kind != 0).then_some(extended.start + start);
        if next == Some(record) {
            bail!("the extended boot record of partition {number} links to itself");
        }
    }
    Ok(Table { scheme, partitions })
}

/// What a type byte says.
fn kind_of(kind: u8) -> Kind {
    match kind {
        FAT => Kind::Fat,
        LINK | EXTENDED => Kind::Extended,
        LINUX => Kind::Linux,
        _ => Kind::Other,
    }
}

fn empty_sector() -> [u8; 512] {
    let mut sector = [0; 512];
    sector[510..].copy_from_slice(&[0x55, 0xaa]);
    sector
}

fn set_entry(sector: &mut [u8; 512], slot: usize, kind: Kind, start: u64, size: u64) -> Result<()> {
    let sectors = |bytes: u64| u32::try_from(bytes / SECTOR).context("a partition lies beyond the 2 TiB of MBR");
    let entry = &mut sector[ENTRIES_AT + 16 * slot..][..16];
    entry[1..4].copy_from_slice(&NO_CHS);
    entry[4] = match kind {
        Kind::Fat => FAT,
        Kind::Extended => EXTENDED,
        Kind::Linux => LINUX,
        Kind::Other => LINK,
    };
    entry[5..8].copy_from_slice(&NO_CHS);
    entry[8..12].copy_from_slice(&sectors(start)?.to_le_bytes());
    entry[12..16].copy_from_slice(&sectors(size)?.to_le_bytes());
    Ok(())
}

/// Type, start and length (bytes) of an entry.
fn entry(sector: &[u8; 512], slot: usize) -> (u8, u64, u64) {
    let at = ENTRIES_AT + 16 * slot;
    let bytes = |at| u64::from(word(sector, at)) * SECTOR;
    (sector[at + 4], bytes(at + 8), bytes(at + 12))
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use proptest::prelude::*;

    use super::super::super::testing::oracle;
    use super::super::parse_signature;
    use super::*;

    const SIZES: Partitions = Partitions {
        bootsel_mib: 32,
        boot_mib: 254,
        root_mib: 1000,
    };

    fn made() -> (tempfile::NamedTempFile, Table) {
        let table = Table::raspberrypi(&SIZES, 0xc0de_0042).unwrap();
        let file = tempfile::Builder::new().suffix(".img").tempfile().unwrap();
        file.as_file().set_len(table.disk_size()).unwrap();
        table.write(file.as_file()).unwrap();
        (file, table)
    }

    #[test]
    fn sfdisk_sees_the_partitions() {
        let (file, table) = made();
        let verified = oracle(Command::new("sfdisk").arg("--verify").arg(file.path()));
        assert!(verified.contains("No errors detected"), "{verified}");
        let dump = oracle(Command::new("sfdisk").arg("-d").arg(file.path()));
        assert!(dump.contains("label-id: 0xc0de0042"), "{dump}");
        for partition in &table.partitions {
            let line = format!(
                "{}{} : start={:>12}, size={:>12}, type={:x}",
                file.path().display(),
                partition.number,
                partition.start / SECTOR,
                partition.size / SECTOR,
                match partition.kind {
                    Kind::Fat => FAT,
                    Kind::Extended => EXTENDED,
                    _ => LINUX,
                }
            );
            assert!(dump.contains(&line), "{line}\nis not in\n{dump}");
        }
    }

    #[test]
    fn everything_is_aligned_and_disjoint() {
        let (_, table) = made();
        assert!(
            table
                .partitions
                .iter()
                .all(|p| p.start % ALIGNMENT == 0 && p.size % ALIGNMENT == 0)
        );
        let extended = table.get(mbr::EXTENDED).unwrap();
        let root_b = table.get(mbr::ROOT_B).unwrap();
        assert_eq!(extended.end(), root_b.end() + ALIGNMENT);
        assert_eq!(table.disk_size(), extended.end());
        assert_eq!(table.partuuid(mbr::ROOT_A).unwrap(), "c0de0042-05");
    }

    #[test]
    fn reading_gives_what_was_written() {
        let (file, table) = made();
        let read = Table::read(file.as_file()).unwrap();
        assert_eq!(read, table);
    }

    #[test]
    fn sfdisk_adds_data_where_the_first_boot_does() {
        let (file, table) = made();
        file.as_file().set_len(8 << 30).unwrap();
        let sectors = (8_u64 << 30) / SECTOR - table.get(mbr::EXTENDED).unwrap().start / SECTOR;
        let script = |number: &str, line: &str| {
            let command = format!("echo '{line}' | sfdisk -q -N {number} {}", file.path().display());
            oracle(Command::new("sh").args(["-c", &command]));
        };
        script("4", &format!(",{sectors}"));
        let start = table.disk_size() / SECTOR + ALIGNMENT / SECTOR;
        oracle(Command::new("sh").args([
            "-c",
            &format!("echo 'start={start}' | sfdisk -q -a {}", file.path().display()),
        ]));
        let data = Table::read(file.as_file()).unwrap().get(mbr::DATA).unwrap();
        assert_eq!(data.start, start * SECTOR);
    }

    #[test]
    fn foolish_sizes_and_signatures_are_refused() {
        let zero = Partitions { root_mib: 0, ..SIZES };
        assert!(
            Table::raspberrypi(&zero, 1)
                .unwrap_err()
                .to_string()
                .contains("root_mib")
        );
        let huge = Partitions {
            root_mib: 1 << 20,
            ..SIZES
        };
        assert!(Table::raspberrypi(&huge, 1).is_err());
        assert_eq!(parse_signature("c0de0042").unwrap(), 0xc0de_0042);
        for wrong in ["", "00000000", "c0de004", "c0de0042f", "+0de0042", "zzzzzzzz"] {
            assert!(parse_signature(wrong).is_err(), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn reading_never_panics(mut bytes in proptest::collection::vec(any::<u8>(), 512 * 8), links in any::<[u8; 8]>()) {
            for sector in bytes.chunks_mut(512) {
                sector[510..].copy_from_slice(&[0x55, 0xaa]);
            }
            bytes[ENTRIES_AT + 4] = EXTENDED;
            bytes[ENTRIES_AT + 8..][..8].copy_from_slice(&[links[0] % 8, 0, 0, 0, 8, 0, 0, 0]);
            for (sector, link) in bytes.chunks_mut(512).zip(links) {
                sector[ENTRIES_AT + 16 + 8..][..4].copy_from_slice(&[link % 8, 0, 0, 0]);
            }
            let file = tempfile::tempfile().unwrap();
            file.write_all_at(&bytes, 0).unwrap();
            let _ = Table::read(&file);
        }
    }
}
