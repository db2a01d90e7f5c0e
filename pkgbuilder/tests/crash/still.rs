//! Boards that stand still and say why, instead of restarting for ever: over slots that are not there, cards on which boots
//! cannot be counted, and a DATA of somebody else's.

use std::fs;
use std::os::unix::fs::FileExt;
use std::process::Command;

use anyhow::Result;
use computatom_agent::disk::memory::{Memory, PAGE};
use computatom_agent::disk::table::{PartUuid, Table};
use computatom_agent::disk::{BlockDevice, SECTOR};
use computatom_agent::init::cmdline::Cmdline;
use computatom_agent::init::led::Pattern;
use computatom_agent::init::machine::Machine;
use computatom_agent::init::stop::Stop;
use computatom_agent::slots::state::COPIES;
use computatom_agent::slots::{LIMIT, Slot};
use computatom_spec::boot::{gpt, mbr};

use super::image::Image;
use super::machine::{Board, Outcome, Workshop};
use super::{CARD, Flag, image, rotten, used};

/// The same card after `sfdisk --delete`, which writes both halves of its GPT.
fn without_partition(card: &Memory, number: u8) -> Memory {
    let file = tempfile::NamedTempFile::new().unwrap();
    file.as_file().set_len(card.size().unwrap()).unwrap();
    for (offset, page) in card.pages() {
        let rest = usize::try_from((card.size().unwrap() - offset).min(PAGE)).unwrap();
        file.as_file().write_all_at(&page[..rest], offset).unwrap();
    }
    let mut delete = Command::new("/usr/sbin/sfdisk");
    delete.args(["--quiet", "--delete"]).arg(file.path());
    let output = delete.arg(number.to_string()).output().expect("sfdisk (package fdisk)");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let (mut changed, bytes) = (card.clone(), fs::read(file.path()).unwrap());
    let tail = bytes.len() - (64 << 10);
    changed.write_at(&bytes[..64 << 10], 0).unwrap();
    changed.write_at(&bytes[tail..], tail as u64).unwrap();
    changed
}

/// The command line of a card that is well.
fn told(workshop: &mut Workshop, card: &Memory, image: &Image) -> Cmdline {
    let mut board = Board::new(workshop, card.clone(), image.end);
    board.power_on(false).unwrap()
}

/// The sentence of a board that stands still because no slot verifies.
fn stopped(outcome: Result<Outcome>) -> String {
    let error = outcome.unwrap_err();
    let stop = error.downcast_ref::<Stop>();
    assert_eq!(stop.map(|stop| stop.pattern), Some(Pattern::NoSlot), "{error:#}");
    format!("{error:#}")
}

#[test]
fn a_missing_slot_counts_as_one_that_does_not_verify() {
    let mut workshop = Workshop::new();
    for both in [false, true] {
        let image = image::uefi(CARD, both);
        let card = used(&image);
        let cmdline = told(&mut workshop, &card, &image);
        let mut board = Board::new(&mut workshop, without_partition(&card, gpt::ROOT_A), image.end);
        for _ in 0..LIMIT {
            let Outcome::Restart(said) = board.init(&cmdline).unwrap() else {
                panic!("it runs without a root")
            };
            assert!(
                said.contains(&format!("slot a is missing: there is no partition {}", cmdline.root)),
                "{said}"
            );
            assert!(said.contains("burn the card again"), "{said}");
        }
        let outcome = board.init(&cmdline);
        if both {
            let Outcome::Restart(said) = outcome.unwrap() else {
                panic!("it runs without a root")
            };
            assert!(said.contains("slot b verifies and starts from now on"), "{said}");
            assert_eq!(board.boot().unwrap(), Slot::B);
            // What the node stored is still there.
            assert_eq!(board.load(image.data, super::NOTE.0).unwrap(), super::NOTE.1);
            let slots = board.slots(Slot::B, image.data).unwrap();
            let error = slots.try_other(&mut board.disk().unwrap(), &mut Flag::default(), "2");
            assert_eq!(
                error.unwrap_err().to_string(),
                format!("slot a cannot be tried: there is no partition {}", cmdline.root)
            );
        } else {
            let said = stopped(outcome);
            assert!(
                said.contains(&format!("there is no partition {}", cmdline.root)),
                "{said}"
            );
            assert!(said.contains("burn the card again"), "{said}");
        }
    }
}

#[test]
fn a_card_that_lost_its_chain_of_partitions_stops_the_board_at_once() {
    let image = image::raspberrypi(CARD, true);
    let mut workshop = Workshop::new();
    let card = used(&image);
    let cmdline = told(&mut workshop, &card, &image);
    // The record before the first root: behind it nobody knows a slot, DATA or its count.
    let mut broken = card;
    broken
        .write_at(&[0; 512], image.root_a - computatom_spec::boot::ALIGNMENT)
        .unwrap();
    let mut board = Board::new(&mut workshop, broken, image.end);
    let said = stopped(board.init(&cmdline));
    assert!(
        said.contains("there is no partition") && said.contains("burn the card again"),
        "{said}"
    );
    assert!(board.events().is_empty(), "a torn table is left as it is");
}

/// Cards without room for DATA, as good as new.
fn too_small(both: bool) -> (Image, Memory) {
    let image = image::raspberrypi(CARD, both);
    let mut card = image.bytes.clone();
    card.resize(image.end + (64 << 20));
    (image, card)
}

fn rot(card: &mut Memory, image: &Image) {
    card.write_at(&[0xff], image.root_a + 39_000).unwrap();
}

#[test]
fn a_slot_that_rots_on_a_card_without_data_gives_way_at_once_or_stops_the_board() {
    let mut workshop = Workshop::new();
    for both in [false, true] {
        let (image, mut card) = too_small(both);
        let cmdline = told(&mut workshop, &card, &image);
        let mut board = Board::new(&mut workshop, card.clone(), image.end);
        for _ in 0..=LIMIT {
            let outcome = board.init(&cmdline).unwrap();
            assert!(matches!(outcome, Outcome::WithoutData(Slot::A, _)), "{outcome:?}");
        }
        rot(&mut card, &image);
        let mut board = Board::new(&mut workshop, card, image.end);
        let outcome = board.init(&cmdline);
        if both {
            let Outcome::Restart(said) = outcome.unwrap() else {
                panic!("it runs a rotten root")
            };
            assert!(said.contains("slot b does and starts from now on"), "{said}");
            let cmdline = board.power_on(false).unwrap();
            let outcome = board.init(&cmdline).unwrap();
            assert!(matches!(outcome, Outcome::WithoutData(Slot::B, _)), "{outcome:?}");
        } else {
            let said = stopped(outcome);
            assert!(
                said.contains("no root of its own") && said.contains("burn the card again"),
                "{said}"
            );
        }
    }
}

#[test]
fn a_slot_that_rots_on_a_locked_card_stops_the_board_which_says_why() {
    let image = image::raspberrypi(CARD, true);
    let mut workshop = Workshop::new();
    let mut card = used(&image);
    let cmdline = told(&mut workshop, &card, &image);
    card.read_only = true;
    let mut board = Board::new(&mut workshop, card, image.end);
    let outcome = board.init(&cmdline).unwrap();
    assert!(matches!(outcome, Outcome::WithoutData(Slot::A, _)), "{outcome:?}");
    let mut card = rotten(&image);
    card.read_only = true;
    let mut board = Board::new(&mut workshop, card, image.end);
    let said = stopped(board.init(&cmdline));
    assert!(
        said.contains("refuses to be written") && said.contains("unlock"),
        "{said}"
    );
}

/// A worn card that fails at every write, without a word before.
#[test]
fn a_slot_that_rots_on_a_card_that_cannot_be_written_stops_the_board() {
    let image = image::raspberrypi(CARD, true);
    let mut workshop = Workshop::new();
    let cmdline = told(&mut workshop, &used(&image), &image);
    let mut card = rotten(&image);
    card.writes_left = 0;
    let mut board = Board::new(&mut workshop, card, image.end);
    let said = stopped(board.init(&cmdline));
    assert!(said.contains("writing autoboot.txt"), "{said}");
}

/// The card on which slot b has come in place of a that rots, and what its kernel is told.
fn on_b<'a>(workshop: &'a mut Workshop, image: &Image) -> (Board<'a>, Cmdline) {
    let mut board = Board::new(workshop, rotten(image), image.end);
    assert_eq!(board.boot().unwrap(), Slot::B);
    let cmdline = board.power_on(false).unwrap();
    (board, cmdline)
}

#[test]
fn a_torn_chain_of_partitions_leaves_the_menu_as_it_is() {
    let image = image::raspberrypi(CARD, true);
    let mut workshop = Workshop::new();
    let (board, cmdline) = on_b(&mut workshop, &image);
    let mut broken = board.now();
    let root = Table::read(&broken)
        .unwrap()
        .partition(mbr::ROOT_B.into())
        .unwrap()
        .extent;
    broken
        .write_at(&[0; 512], root.start * SECTOR - computatom_spec::boot::ALIGNMENT)
        .unwrap();
    let mut board = Board::new(&mut workshop, broken, image.end);
    let said = stopped(board.init(&cmdline));
    assert!(said.contains("the chain of partitions is torn"), "{said}");
    assert!(board.events().is_empty(), "a torn table is left as it is");
}

#[test]
fn a_boot_loader_that_starts_a_rotten_slot_whatever_the_menu_says_stops_the_board() {
    for image in [image::uefi(CARD, true), image::rock64(CARD, true)] {
        let mut workshop = Workshop::new();
        let cmdline = told(&mut workshop, &used(&image), &image);
        let (mut board, _) = on_b(&mut workshop, &image);
        let said = stopped(board.init(&cmdline));
        assert!(said.contains("the boot loader did not start slot b, which"), "{said}");
        // Sound, it goes on.
        let mut card = board.now();
        let mut right = [0];
        image.bytes.read_at(&mut right, image.root_a + 39_000).unwrap();
        card.write_at(&right, image.root_a + 39_000).unwrap();
        let mut board = Board::new(&mut workshop, card, image.end);
        let outcome = board.init(&cmdline).unwrap();
        assert!(matches!(outcome, Outcome::Up(Slot::A)), "{outcome:?}");
    }
}

#[test]
fn a_sound_slot_on_a_card_that_cannot_be_written_goes_on_without_data() {
    for image in [image::raspberrypi(CARD, true), image::uefi(CARD, false)] {
        let mut workshop = Workshop::new();
        let mut card = used(&image);
        let cmdline = told(&mut workshop, &card, &image);
        card.writes_left = 0;
        let mut board = Board::new(&mut workshop, card, image.end);
        for _ in 0..=LIMIT {
            let outcome = board.init(&cmdline).unwrap();
            let Outcome::WithoutData(Slot::A, why) = outcome else {
                panic!("{outcome:?}")
            };
            assert!(why.contains("writing the state before DATA"), "{why}");
        }
    }
}

#[test]
fn a_card_whose_count_is_worn_goes_on_with_its_data() {
    let image = image::raspberrypi(CARD, true);
    let mut workshop = Workshop::new();
    let card = used(&image);
    let data = Table::read(&card).unwrap().partition(image.data).unwrap().extent.start * SECTOR;
    let copies = COPIES.map(|copy| data - copy);
    for worn in [&copies[..1], &copies[1..], &copies[..]] {
        for rotten in [false, true] {
            let mut card = card.clone();
            if rotten {
                rot(&mut card, &image);
            }
            card.worn = worn.to_vec();
            let mut board = Board::new(&mut workshop, card, image.end);
            // As far as the agent, which counts it as gone well where it can.
            let mut restarts = (0..LIMIT + 2).map(|_| {
                let cmdline = board.power_on(false).unwrap();
                board.init(&cmdline).unwrap()
            });
            let up = restarts
                .find(|outcome| !matches!(outcome, Outcome::Restart(_)))
                .unwrap();
            assert_eq!(up, Outcome::Up(if rotten { Slot::B } else { Slot::A }));
            assert_eq!(board.load(image.data, super::NOTE.0).unwrap(), super::NOTE.1);
        }
    }
}

#[test]
fn a_root_that_is_in_no_slot_stops_the_board() {
    let image = image::raspberrypi(CARD, false);
    let mut workshop = Workshop::new();
    let card = used(&image);
    let mut cmdline = told(&mut workshop, &card, &image);
    let PartUuid::Mbr { partition, .. } = &mut cmdline.root else {
        panic!("a card of a Raspberry Pi has an MBR")
    };
    *partition = image.data;
    let mut board = Board::new(&mut workshop, card, image.end);
    let error = board.init(&cmdline).unwrap_err();
    assert!(error.is::<Stop>(), "{error:#}");
    assert!(
        format!("{error:#}").contains("partition 7, which is no slot's"),
        "{error:#}"
    );
}

#[test]
fn a_foreign_data_stops_the_board_which_says_where_the_consent_goes() {
    let mut workshop = Workshop::new();
    for (image, place) in [
        (image::raspberrypi(CARD, false), "in cmdline.txt on partitions 2 and 3,"),
        (image::uefi(CARD, false), "hold space while systemd-boot starts"),
        (
            image::rock64(CARD, false),
            "behind `append` in a/label.conf and b/label.conf on partition 1",
        ),
    ] {
        let mut board = Board::new(&mut workshop, used(&image), image.end);
        let table = Table::read(&board.disk().unwrap()).unwrap();
        let data = table.partition(image.data).unwrap().extent.start * SECTOR;
        let mut head = vec![0; 8192];
        head[..4].copy_from_slice(b"XFSB");
        board.disk().unwrap().write_at(&head, data).unwrap();
        let cmdline = board.power_on(false).unwrap();
        let error = board.init(&cmdline).unwrap_err();
        let stop = error.downcast_ref::<Stop>();
        assert_eq!(stop.map(|stop| stop.pattern), Some(Pattern::DataUnusable), "{error:#}");
        let said = format!("{error:#}");
        assert!(
            said.contains("holds XFS") && said.contains("computatom.format="),
            "{said}"
        );
        assert!(said.contains(place), "{said}");
    }
}
