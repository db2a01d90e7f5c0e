//! GUID partition table (UEFI specification 2.10, section 5.3).
//!
//! ```text
//! 0                protective MBR, header, 128 entries
//! 4 MiB            p1 ESP      systemd-boot and the unified kernel images of both slots
//!                  p2 ROOT_A
//!                  p3 ROOT_B
//! last 4 MiB       128 entries and the header again, at the very end of the image
//! ```
//!
//! A board that U-Boot starts has the same, but for p1, which is called BOOT, begins at 16 MiB, behind the loader
//! ([`FIRST_BEHIND_LOADER`]), and is marked as bootable.
//!
//! The first boot moves the second header to the end of the disk and puts p4 DATA in front of it.

use std::collections::BTreeMap;
use std::ops::Range;

use anyhow::{Context, Result, bail};
use computatom_spec::boot::{ALIGNMENT, extlinux, gpt};
use computatom_spec::uuid::Uuid;

use super::super::guid::uuid;
use super::super::medium::Medium;
use super::{Kind, Partition, SECTOR, Scheme, Table, sizes, word};
use crate::definition::image::Partitions;

const MAGIC: &[u8; 8] = b"EFI PART";
const REVISION: u32 = 0x0001_0000;
/// Bytes of the header.
const HEADER: u32 = 92;
/// Entries, and the bytes of one.
const ENTRIES: u32 = 128;
const ENTRY: u32 = 128;
/// Bytes of all entries.
const ARRAY: usize = (ENTRIES * ENTRY) as usize;
/// Header and entries, in sectors.
const SECTORS: u64 = 1 + ARRAY as u64 / SECTOR;
/// Type of the MBR's one entry: there is more here than an MBR can say.
const PROTECTIVE: u8 = 0xee;
const ENTRIES_AT: usize = 446;

/// EFI system partition.
const ESP: Uuid = Uuid(0xc12a_7328_f81f_11d2_ba4b_00a0_c93e_c93b_u128.to_be_bytes());
/// Linux file system data. Not the types of the Discoverable Partitions Specification: systemd would act on these by itself.
const LINUX: Uuid = Uuid(0x0fc6_3daf_8483_4772_8e79_3d69_d847_7de4_u128.to_be_bytes());

/// Where Rockchip has the first partition of a disk (opensource.rock-chips.com, "Partitions"): what comes before is for
/// loaders.
const FIRST_BEHIND_LOADER: u64 = 16 << 20;

/// See [`Table::uefi`].
pub(super) fn uefi(given: &Partitions, signature: u32) -> Result<Table> {
    layout(given, signature, ALIGNMENT)
}

/// See [`Table::u_boot`].
pub(super) fn u_boot(given: &Partitions, signature: u32) -> Result<Table> {
    layout(given, signature, FIRST_BEHIND_LOADER)
}

/// The partitions of either, from the byte `first` on.
fn layout(given: &Partitions, signature: u32, first: u64) -> Result<Table> {
    let [esp, root] = sizes([("boot_mib", given.boot_mib), ("root_mib", given.root_mib)])?;
    let mut at = first;
    let mut partition = |number, kind, size| {
        let start = at;
        at += size;
        Partition {
            number,
            kind,
            start,
            size,
        }
    };
    // Both slots' kernels lie in one partition.
    let partitions = vec![
        partition(gpt::ESP, Kind::Fat, 2 * esp),
        partition(gpt::ROOT_A, Kind::Linux, root),
        partition(gpt::ROOT_B, Kind::Linux, root),
    ];
    let guid = |what: &str| uuid(what, signature);
    let guids = partitions
        .iter()
        .map(|Partition { number, .. }| (*number, guid(&format!("partition {number}"))));
    Ok(Table {
        scheme: Scheme::Gpt {
            disk: guid("disk"),
            partitions: guids.collect(),
        },
        partitions,
    })
}

/// Whether a loader in front of the first partition starts from it.
fn is_bootable(partition: &Partition) -> bool {
    partition.kind == Kind::Fat && partition.start >= FIRST_BEHIND_LOADER
}

/// The name of a partition, for people.
fn name(partition: &Partition) -> &'static str {
    match partition.number {
        gpt::ESP if is_bootable(partition) => "BOOT",
        gpt::ESP => "ESP",
        gpt::ROOT_A => "ROOT_A",
        gpt::ROOT_B => "ROOT_B",
        _ => "DATA",
    }
}

/// Both tables.
pub(super) fn written(table: &Table) -> Vec<Range<u64>> {
    let size = table.disk_size();
    vec![0..(1 + SECTORS) * SECTOR, size - SECTORS * SECTOR..size]
}

/// Whether this MBR stands before a GPT.
pub(super) fn is_protective(mbr: &[u8; 512]) -> bool {
    mbr[ENTRIES_AT + 4] == PROTECTIVE
}

/// Writes the protective MBR and both tables.
pub(super) fn write(table: &Table, disk: Uuid, guids: &BTreeMap<u8, Uuid>, file: &dyn Medium) -> Result<()> {
    let sectors = table.disk_size() / SECTOR;
    let entries = entries(table, guids);
    let primary = Place {
        header: 1,
        other: sectors - 1,
        entries: 2,
    };
    let backup = Place {
        header: sectors - 1,
        other: 1,
        entries: sectors - SECTORS,
    };
    let put = |bytes: &[u8], sector: u64| {
        file.write_all_at(bytes, sector * SECTOR)
            .context("writing the partition table")
    };
    put(&protective(sectors), 0)?;
    for place in [primary, backup] {
        put(&entries, place.entries)?;
        put(&header(disk, sectors, &place, &entries), place.header)?;
    }
    Ok(())
}

/// Where one of the two tables lies, in sectors.
struct Place {
    header: u64,
    other: u64,
    entries: u64,
}

/// One entry over the whole disk, as far as an MBR can say (5.2.3).
fn protective(sectors: u64) -> [u8; 512] {
    let mut mbr = [0; 512];
    let entry = &mut mbr[ENTRIES_AT..][..16];
    // Sector 1 as cylinders, heads and sectors have it, and one that is beyond these.
    entry[1..4].copy_from_slice(&[0x00, 0x02, 0x00]);
    entry[4] = PROTECTIVE;
    entry[5..8].copy_from_slice(&[0xff; 3]);
    entry[8..12].copy_from_slice(&1_u32.to_le_bytes());
    entry[12..16].copy_from_slice(&u32::try_from(sectors - 1).unwrap_or(u32::MAX).to_le_bytes());
    mbr[510..].copy_from_slice(&[0x55, 0xaa]);
    mbr
}

fn entries(table: &Table, guids: &BTreeMap<u8, Uuid>) -> Vec<u8> {
    let mut entries = vec![0; ARRAY];
    for partition in &table.partitions {
        let entry = &mut entries[usize::from(partition.number - 1) * ENTRY as usize..][..ENTRY as usize];
        let kind = if partition.kind == Kind::Fat { ESP } else { LINUX };
        entry[..16].copy_from_slice(&kind.to_disk());
        if let Some(guid) = guids.get(&partition.number) {
            entry[16..32].copy_from_slice(&guid.to_disk());
        }
        entry[32..40].copy_from_slice(&(partition.start / SECTOR).to_le_bytes());
        entry[40..48].copy_from_slice(&(partition.end() / SECTOR - 1).to_le_bytes());
        if is_bootable(partition) {
            entry[48..56].copy_from_slice(&extlinux::BOOTABLE.to_le_bytes());
        }
        for (unit, at) in name(partition).encode_utf16().zip((56..).step_by(2)) {
            entry[at..at + 2].copy_from_slice(&unit.to_le_bytes());
        }
    }
    entries
}

fn header(disk: Uuid, sectors: u64, place: &Place, entries: &[u8]) -> Vec<u8> {
    let mut header = MAGIC.to_vec();
    header.extend(REVISION.to_le_bytes());
    header.extend(HEADER.to_le_bytes());
    // Its own sum, taken with zeros here.
    header.extend([0; 8]);
    for number in [place.header, place.other, 1 + SECTORS, sectors - SECTORS - 1] {
        header.extend(number.to_le_bytes());
    }
    header.extend(disk.to_disk());
    header.extend(place.entries.to_le_bytes());
    header.extend(ENTRIES.to_le_bytes());
    header.extend(ENTRY.to_le_bytes());
    header.extend(crc32fast::hash(entries).to_le_bytes());
    let sum = crc32fast::hash(&header);
    header[16..20].copy_from_slice(&sum.to_le_bytes());
    header
}

/// Reads the table at the beginning: an image is whole, or it is none.
pub(super) fn read(file: &dyn Medium) -> Result<Table> {
    let mut head = [0; HEADER as usize];
    file.read_exact_at(&mut head, SECTOR)
        .context("reading the partition table")?;
    let sum = word(&head, 16);
    let mut unsummed = head;
    unsummed[16..20].fill(0);
    if !head.starts_with(MAGIC) || word(&head, 12) != HEADER || sum != crc32fast::hash(&unsummed) {
        bail!("there is no sound GPT header behind the protective MBR");
    }
    let long = |bytes: &[u8], at: usize| u64::from(word(bytes, at)) | u64::from(word(bytes, at + 4)) << 32;
    let (count, length) = (word(&head, 80), word(&head, 84));
    if count > ENTRIES || length != ENTRY {
        bail!("the GPT has {count} entries of {length} bytes, which is not what is written here");
    }
    let mut entries = vec![0; (count * length) as usize];
    let at = long(&head, 72)
        .checked_mul(SECTOR)
        .context("the entries of the GPT lie nowhere")?;
    file.read_exact_at(&mut entries, at)
        .context("reading the entries of the GPT")?;
    if crc32fast::hash(&entries) != word(&head, 88) {
        bail!("the entries of the GPT have not the CRC-32 of its header");
    }
    let (mut partitions, mut guids) = (Vec::new(), BTreeMap::new());
    for (entry, number) in entries.chunks(length as usize).zip(1..) {
        let kind = match &entry[..16] {
            zero if zero.iter().all(|byte| *byte == 0) => continue,
            esp if *esp == ESP.to_disk() => Kind::Fat,
            linux if *linux == LINUX.to_disk() => Kind::Linux,
            _ => Kind::Other,
        };
        let bytes = |sector: u64| sector.checked_mul(SECTOR);
        let (start, end) = (bytes(long(entry, 32)), long(entry, 40).checked_add(1).and_then(bytes));
        let (Some(start), Some(end)) = (start, end) else {
            bail!("partition {number} of the GPT lies behind any disk");
        };
        guids.insert(number, guid_at(entry, 16));
        partitions.push(Partition {
            number,
            kind,
            start,
            size: end
                .checked_sub(start)
                .context("a partition of the GPT ends before it begins")?,
        });
    }
    Ok(Table {
        scheme: Scheme::Gpt {
            disk: guid_at(&head, 56),
            partitions: guids,
        },
        partitions,
    })
}

fn guid_at(bytes: &[u8], at: usize) -> Uuid {
    let mut guid = [0; 16];
    guid.copy_from_slice(&bytes[at..at + 16]);
    Uuid::from_disk(guid)
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use proptest::prelude::*;

    use super::super::super::testing::oracle;
    use super::*;

    const SIZES: Partitions = Partitions {
        bootsel_mib: 1,
        boot_mib: 30,
        root_mib: 100,
    };

    fn made() -> (tempfile::NamedTempFile, Table) {
        let table = Table::uefi(&SIZES, 0xc0de_0042).unwrap();
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
        assert!(dump.contains("label: gpt"), "{dump}");
        for partition in &table.partitions {
            let kind = if partition.kind == Kind::Fat { ESP } else { LINUX };
            let line = format!(
                "{}{} : start={:>12}, size={:>12}, type={}, uuid={}, name=\"{}\"",
                file.path().display(),
                partition.number,
                partition.start / SECTOR,
                partition.size / SECTOR,
                kind.to_string().to_uppercase(),
                table.partuuid(partition.number).unwrap().to_uppercase(),
                name(partition)
            );
            assert!(dump.contains(&line), "{line}\nis not in\n{dump}");
        }
    }

    #[test]
    fn either_table_is_enough_for_sfdisk() {
        for torn in [SECTOR, 0] {
            let (file, table) = made();
            let size = table.disk_size();
            let at = if torn == 0 { size - SECTOR } else { torn };
            file.as_file().write_all_at(&[0; 512], at).unwrap();
            let dump = oracle(Command::new("sfdisk").arg("-d").arg(file.path()));
            assert!(dump.contains("ROOT_B"), "{dump}");
        }
    }

    #[test]
    fn reading_gives_what_was_written() {
        let (file, table) = made();
        assert_eq!(Table::read(file.as_file()).unwrap(), table);
        for at in [SECTOR + 20, 2 * SECTOR] {
            let (file, _) = made();
            file.as_file().write_all_at(&[0xa5], at).unwrap();
            assert!(Table::read(file.as_file()).is_err(), "byte {at}");
        }
    }

    #[test]
    fn foolish_sizes_are_refused() {
        let none = Partitions { boot_mib: 0, ..SIZES };
        let error = Table::uefi(&none, 1).unwrap_err();
        assert!(error.to_string().contains("boot_mib"), "{error}");
    }

    proptest! {
        #[test]
        fn reading_never_panics(mut entries in proptest::collection::vec(any::<u8>(), 4 * ENTRY as usize), at in 0_u64..40) {
            let (file, _) = made();
            entries.resize(ARRAY, 0);
            file.as_file().write_all_at(&entries, 2 * SECTOR).unwrap();
            let mut head = [0; HEADER as usize];
            file.as_file().read_exact_at(&mut head, SECTOR).unwrap();
            head[72..80].copy_from_slice(&(at.min(2)).to_le_bytes());
            head[88..].copy_from_slice(&crc32fast::hash(&entries).to_le_bytes());
            head[16..20].fill(0);
            let sum = crc32fast::hash(&head);
            head[16..20].copy_from_slice(&sum.to_le_bytes());
            file.as_file().write_all_at(&head, SECTOR).unwrap();
            let _ = Table::read(file.as_file());
        }
    }
}
