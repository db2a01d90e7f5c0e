//! Both kinds of table, with the power cut where it hurts; sfdisk judges what they become.

use std::process::Command;

use anyhow::Result;
use computatom_spec::boot;
use proptest::prelude::*;

use super::*;
use crate::disk::memory::Memory;
use crate::init::stop::Stop;

const MIB: u64 = 1 << 20;

/// A card of `units` times the alignment with the table that sfdisk makes of `script`.
fn sfdisk(units: u64, script: &str) -> Memory {
    let file = tempfile::NamedTempFile::new().unwrap();
    // The image is shorter than the card.
    file.as_file().set_len(8 * boot::ALIGNMENT).unwrap();
    let mut child = Command::new("/usr/sbin/sfdisk")
        .args(["--quiet", "--no-reread", "--no-tell-kernel"])
        .arg(file.path())
        .stdin(std::process::Stdio::piped())
        .spawn()
        .expect("sfdisk (package fdisk) is installed");
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), script.as_bytes()).unwrap();
    assert!(child.wait().unwrap().success());
    let mut disk = Memory::new(units * boot::ALIGNMENT);
    let bytes = std::fs::read(file.path()).unwrap();
    disk.write_at(&bytes, 0).unwrap();
    disk
}

/// p2 primary, p5 and p6 logical with records of their own, as the image has them.
fn card(units: u64) -> Memory {
    let mut disk = sfdisk(
        units,
        "label: dos\nlabel-id: 0xc0ffee01\n2: start=8192, size=8192, type=c\n4: start=16384, size=40960, type=f\n\
         5: start=24576, size=8192, type=83\n6: start=40960, size=8192, type=83\n",
    );
    // sfdisk puts a record right behind the partition before it: put p6's where the image has it.
    let Table::Mbr(mbr) = Table::read(&disk).unwrap() else {
        panic!("no MBR")
    };
    assert_eq!(mbr.partitions.len(), 3, "{mbr:?}");
    mbr.move_records(&mut disk).unwrap();
    disk
}

/// ESP, ROOT_A, ROOT_B.
fn gpt(units: u64) -> Memory {
    sfdisk(
        units,
        "label: gpt\nlabel-id: 11111111-2222-4333-8444-555555555555\n\
         start=8192, size=8192, type=uefi\nstart=16384, size=8192, uuid=0fc63daf-8483-4772-8e79-3d69d8477de4\n\
         start=24576, size=8192\n",
    )
}

fn judged_by_sfdisk(disk: &Memory) {
    let file = tempfile::NamedTempFile::new().unwrap();
    for (offset, page) in disk.pages() {
        std::os::unix::fs::FileExt::write_all_at(file.as_file(), page, offset).unwrap();
    }
    // The last page may reach beyond the end.
    file.as_file().set_len(disk.size().unwrap()).unwrap();
    let output = Command::new("/usr/sbin/sfdisk")
        .arg("--verify")
        .arg(file.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert!(
        !said.contains("corrupt") && !said.contains("mismatch") && !said.contains("invalid"),
        "{said}"
    );
}

fn ensure(disk: &mut Memory, number: u32) -> Result<Room> {
    ensure_data(disk, number, boot::ALIGNMENT, |_, _| Ok(()))
}

fn change(disk: &mut Memory, number: u32) -> Change {
    match ensure(disk, number).unwrap() {
        Room::Ready { change, .. } => change,
        Room::None(reason) => panic!("{reason}"),
    }
}

/// Start and end of a partition, in units of the alignment.
fn units(disk: &Memory, number: u32) -> Option<(u64, u64)> {
    let extent = Table::read(disk).unwrap().partition(number)?.extent;
    Some((extent.start / ALIGN, extent.end() / ALIGN))
}

#[test]
fn data_is_added_once_reaches_the_end_and_grows_with_the_card() {
    for (mut disk, number, start, end) in [(card(20), 7, 7, 20), (gpt(20), 4, 5, 19)] {
        assert_eq!(change(&mut disk, number), Change::Added);
        assert_eq!(units(&disk, number), Some((start, end)));
        judged_by_sfdisk(&disk);
        let once = disk.clone();
        assert_eq!(change(&mut disk, number), Change::None);
        assert!(disk == once);
        disk.resize(30 * boot::ALIGNMENT + 512);
        assert_eq!(change(&mut disk, number), Change::Grown);
        // The last of a GPT's units holds the backup, but for the odd sector.
        assert_eq!(units(&disk, number), Some((start, if number == 7 { 30 } else { 29 })));
        judged_by_sfdisk(&disk);
    }
}

#[test]
fn partitions_are_found_by_the_kernels_names_for_them() {
    let find = |disk: &Memory, text: &str| Table::read(disk).unwrap().find(&PartUuid::parse(text).unwrap());
    assert_eq!(find(&card(20), "c0ffee01-05"), Some(5));
    assert_eq!(find(&card(20), "c0ffee01-07"), None);
    assert_eq!(find(&card(20), "c0ffee02-05"), None);
    assert_eq!(find(&gpt(20), "0fc63daf-8483-4772-8e79-3d69d8477de4"), Some(2));
    assert_eq!(find(&gpt(20), "c0ffee01-05"), None);
}

#[test]
fn a_card_without_room_for_data_stays_as_it_is() {
    for (mut disk, number, minimum) in [(card(8), 7, 2), (card(20), 7, 14), (gpt(20), 4, 15)] {
        let before = disk.clone();
        let room = ensure_data(&mut disk, number, minimum * boot::ALIGNMENT, |_, _| panic!("no room")).unwrap();
        let Room::None(reason) = room else { panic!("{room:?}") };
        assert!(reason.contains("too small") && disk == before, "{reason}");
    }
    let room = ensure_data(&mut card(20), 7, 14 * boot::ALIGNMENT, |_, _| Ok(())).unwrap();
    let Room::None(reason) = room else { panic!("{room:?}") };
    assert!(
        reason.contains("it has 83 MB, this image needs 89 MB (59 MB of"),
        "{reason}"
    );
    assert!(ensure(&mut card(20), 9).unwrap_err().is::<Stop>());
}

#[test]
fn a_card_that_refuses_writes_is_not_written() {
    for (mut disk, number) in [(card(20), 7), (gpt(20), 4)] {
        disk.read_only = true;
        let Room::None(reason) = ensure(&mut disk, number).unwrap() else {
            panic!("it was writable")
        };
        assert!(reason.contains("lock"), "{reason}");
        disk.read_only = false;
        ensure(&mut disk, number).unwrap();
        disk.read_only = true;
        assert_eq!(change(&mut disk, number), Change::None);
    }
}

#[test]
fn beyond_two_terabytes_an_mbr_says_so_and_a_gpt_goes_on() {
    for (size, unreachable) in [((2 << 40) - MIB, 0), (3 << 40, (1 << 40) + 512)] {
        let mut disk = card(20);
        disk.resize(size);
        let Room::Ready {
            unreachable: rest,
            extent,
            ..
        } = ensure(&mut disk, 7).unwrap()
        else {
            panic!("no room")
        };
        assert_eq!(rest, unreachable);
        assert!(u32::try_from(extent.end()).is_ok() && extent.end() > (2 << 31) - 2 * ALIGN);
        assert_eq!(change(&mut disk, 7), Change::None);
    }
    let mut disk = gpt(20);
    disk.resize(3 << 40);
    change(&mut disk, 4);
    assert!(units(&disk, 4).unwrap().1 * boot::ALIGNMENT > (3 << 40) - 3 * boot::ALIGNMENT);
}

#[test]
fn what_lay_there_before_data_is_gone_when_the_table_names_it() {
    for (disk, number, start) in [(card(20), 7, 7 * boot::ALIGNMENT), (gpt(20), 4, 5 * boot::ALIGNMENT)] {
        let mut disk = disk;
        disk.write_at(&vec![0xef; 1 << 20], start).unwrap();
        let head = |disk: &Memory| {
            let mut head = vec![1; usize::try_from(EMPTIED).unwrap()];
            disk.read_at(&mut head, start).unwrap();
            head.iter().all(|byte| *byte == 0)
        };
        for writes in 0..8 {
            let mut cut = disk.clone();
            cut.writes_left = writes;
            let _ = ensure(&mut cut, number);
            assert!(units(&cut, number).is_none() || head(&cut));
        }
        ensure(&mut disk, number).unwrap();
        assert!(head(&disk));
        disk.write_at(&[1], start).unwrap();
        disk.resize(25 * boot::ALIGNMENT);
        assert_eq!(change(&mut disk, number), Change::Grown);
        assert!(!head(&disk), "a DATA that the table names is the node's");
    }
}

/// Every write torn at every byte: the new one up to there, or from there.
#[test]
fn torn_sectors_leave_the_roots_and_the_next_boot_completes() {
    for (disk, number, roots) in [(card(20), 7, [5, 6]), (gpt(20), 4, [2, 3])] {
        for grown in [false, true] {
            let mut disk = disk.clone();
            if grown {
                ensure(&mut disk, number).unwrap();
                disk.resize(0x1_0000 * boot::ALIGNMENT / 8);
            }
            let mut complete = disk.clone();
            ensure(&mut complete, number).unwrap();
            let mut writes = 0;
            loop {
                let mut before = disk.clone();
                before.writes_left = writes;
                let mut after = disk.clone();
                after.writes_left = writes + 1;
                if ensure(&mut before, number).is_ok() {
                    break;
                }
                let _ = ensure(&mut after, number);
                for torn in tears(&before, &after) {
                    let table = Table::read(&torn).unwrap();
                    for root in roots {
                        assert_eq!(table.partition(root), Table::read(&disk).unwrap().partition(root));
                    }
                    let mut torn = torn;
                    torn.writes_left = usize::MAX;
                    ensure(&mut torn, number).unwrap();
                    assert_eq!(
                        Table::read(&torn).unwrap(),
                        Table::read(&complete).unwrap(),
                        "write {writes}"
                    );
                }
                writes += 1;
            }
            assert!(writes >= 3, "{writes}");
        }
    }
}

/// All ways in which the sectors that differ can be torn, one at a time, the ones before it written.
fn tears(before: &Memory, after: &Memory) -> Vec<Memory> {
    let mut torn = vec![before.clone()];
    let mut so_far = before.clone();
    so_far.writes_left = usize::MAX;
    for (offset, page) in after.pages() {
        for sector in (offset..offset + page.len() as u64).step_by(SECTOR_LENGTH) {
            let (mut old, mut new): (Sector, Sector) = ([0; SECTOR_LENGTH], [0; SECTOR_LENGTH]);
            so_far.read_at(&mut old, sector).unwrap();
            after.read_at(&mut new, sector).unwrap();
            for at in (1..SECTOR_LENGTH).filter(|at| old[*at] != new[*at] || old[at - 1] != new[at - 1]) {
                let forward = [&new[..at], &old[at..]].concat();
                let backward = [&old[..at], &new[at..]].concat();
                for bytes in [forward, backward] {
                    let mut disk = so_far.clone();
                    disk.write_at(&bytes, sector).unwrap();
                    torn.push(disk);
                }
            }
            so_far.write_at(&new, sector).unwrap();
        }
    }
    torn
}

#[test]
fn damage_that_no_power_cut_makes_is_not_taken_for_a_first_boot() {
    let mut disk = card(20);
    ensure(&mut disk, 7).unwrap();
    let link = 4 * boot::ALIGNMENT;
    // The link to DATA's record leads nowhere, and the record is there: DATA is found again.
    let mut sector: Sector = [0; SECTOR_LENGTH];
    disk.read_at(&mut sector, link).unwrap();
    sector[446 + 16 + 8] ^= 1;
    let mut bent = disk.clone();
    bent.write_at(&sector, link).unwrap();
    assert_eq!(change(&mut bent, 7), Change::Grown);
    assert_eq!(Table::read(&bent).unwrap(), Table::read(&disk).unwrap());
    // Without the record nobody knows.
    bent.write_at(&sector, link).unwrap();
    bent.write_at(&[0; SECTOR_LENGTH], 6 * boot::ALIGNMENT).unwrap();
    let error = ensure(&mut bent, 7).unwrap_err();
    assert!(
        error.is::<Stop>() && error.to_string().contains("behind partition 6"),
        "{error:#}"
    );
}

#[test]
fn of_a_gpt_either_half_does() {
    let mut whole = gpt(20);
    ensure(&mut whole, 4).unwrap();
    let end = whole.size().unwrap();
    for damage in [SECTOR, 2 * SECTOR, end - SECTOR, end - 33 * SECTOR] {
        let mut disk = whole.clone();
        disk.write_at(&[0x5a; 100], damage).unwrap();
        assert_eq!(units(&disk, 4), units(&whole, 4));
        assert_eq!(change(&mut disk, 4), Change::Grown);
        assert!(disk == whole, "at {damage}");
    }
    let mut disk = whole;
    disk.write_at(&[0x5a; 100], SECTOR).unwrap();
    disk.write_at(&[0x5a; 100], end - SECTOR).unwrap();
    assert!(Table::read(&disk).unwrap_err().to_string().contains("neither"));
}

#[test]
fn somebody_elses_partition_behind_data_is_left_alone() {
    let mut disk = card(20);
    ensure(&mut disk, 7).unwrap();
    // Make p8: DATA ends at 10, p8's record follows.
    let Table::Mbr(mbr) = Table::read(&disk).unwrap() else {
        panic!("no MBR")
    };
    mbr.add_behind(&mut disk, 10 * ALIGN, 20 * ALIGN).unwrap();
    let before = disk.clone();
    assert_eq!(change(&mut disk, 7), Change::None);
    assert!(disk == before);
}

proptest! {
    #[test]
    fn any_mbr_is_read_without_panic(bytes in proptest::collection::vec(any::<u8>(), 512 * 4)) {
        let mut disk = Memory::new(64 * 512);
        disk.write_at(&bytes, 0).unwrap();
        for sector in 0..4 {
            disk.write_at(&[0x55, 0xaa], sector * 512 + 510).unwrap();
        }
        let _ = ensure(&mut disk, 7);
    }

    /// Any header and entries, their sums made right.
    #[test]
    fn any_gpt_is_read_without_panic(
        mut header in proptest::collection::vec(any::<u8>(), 92),
        entries in proptest::collection::vec(any::<u8>(), 512),
        small in any::<bool>(),
    ) {
        let mut disk = gpt_frame();
        header[..8].copy_from_slice(b"EFI PART");
        header[12..16].copy_from_slice(&92_u32.to_le_bytes());
        header[24..32].copy_from_slice(&1_u64.to_le_bytes());
        header[72..80].copy_from_slice(&2_u64.to_le_bytes());
        header[80..84].copy_from_slice(&4_u32.to_le_bytes());
        header[84..88].copy_from_slice(&128_u32.to_le_bytes());
        if small {
            header[40..56].fill(0);
        }
        header[88..92].copy_from_slice(&super::super::crc::crc32(&entries).to_le_bytes());
        header[16..20].fill(0);
        let sum = super::super::crc::crc32(&header);
        header[16..20].copy_from_slice(&sum.to_le_bytes());
        disk.write_at(&header, 512).unwrap();
        disk.write_at(&entries, 1024).unwrap();
        prop_assert!(Table::read(&disk).is_ok() || !small);
        let _ = ensure(&mut disk, 4);
    }
}

fn gpt_frame() -> Memory {
    let mut disk = Memory::new(64 * 512);
    let mut mbr: Sector = [0; SECTOR_LENGTH];
    mbr[450] = 0xee;
    mbr[510..].copy_from_slice(&[0x55, 0xaa]);
    disk.write_at(&mbr, 0).unwrap();
    disk
}
