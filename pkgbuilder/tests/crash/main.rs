//! The power is cut after every write: whatever the card holds then, the firmware model and `/init` come up, and nothing
//! that was flushed is lost.
//!
//! A scenario runs once as a whole on a card that writes down what happens to it (`card.rs`), with the e2fsprogs of this
//! machine (`e2fsprogs.rs`). Then, after each event, cards are made that a power cut could have left (`cut.rs`), and each is
//! booted (`machine.rs`). `cargo test` takes a sample of them; `COMPUTATOM_CUTS` says how many it is to be. That the harness
//! can fail is a test too: `mutations.rs`.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "tests")]

use anyhow::{Result, ensure};
use computatom_agent::disk::BlockDevice;
use computatom_agent::disk::memory::Memory;
use computatom_agent::init::led::Pattern;
use computatom_agent::init::machine::Machine;
use computatom_agent::init::stop::Stop;
use computatom_agent::slots::Slot;
use computatom_agent::slots::arm::Arm;
use computatom_agent::slots::state::State;

mod card;

mod cut;

mod e2fsprogs;

mod image;

mod machine;

mod scenario;

mod mutations;

mod node;

mod still;

use self::image::Image;
use self::machine::{Board, Outcome, Workshop};
use self::scenario::Scenario;

/// A card as sold: not a multiple of anything.
const CARD: u64 = (700 << 20) + 512;
/// The next larger one: on it `/init` chooses the size of the journal, not mke2fs.
const LARGER: u64 = 1500 << 20;
/// A file that a service stored, and waited for.
const NOTE: (&str, &str) = ("note", "the node's own");

/// When it did.
const TIME: i64 = 1_790_000_000;

const ONLY_A: [&[Slot]; 3] = [&[Slot::A]; 3];

/// How many cuts of a scenario are tried: its part of a hundred.
fn share(percent: usize) -> usize {
    let all = std::env::var("COMPUTATOM_CUTS").ok();
    let all = all.map_or(100, |number| number.parse().expect("COMPUTATOM_CUTS is a number"));
    (all * percent).div_ceil(100_usize)
}

/// Boots as people do.
fn boot(board: &mut Board, _: u32) -> Result<()> {
    board.boot()?;
    Ok(())
}

/// A card that has been booted, and was written to.
fn used(image: &Image) -> Memory {
    let mut workshop = Workshop::new();
    let mut board = Board::new(&mut workshop, image.bytes.clone(), image.end);
    board.server = TIME;
    board.boot().unwrap();
    board.store(image.data, NOTE.0, NOTE.1).unwrap();
    board.now()
}

fn first_boot<'a>(name: &'static str, image: &'a Image, card: Memory) -> Scenario<'a> {
    Scenario {
        name,
        image,
        card,
        note: false,
        act: boot,
        slots: ONLY_A,
    }
}

#[test]
fn the_first_boot() {
    let image = image::raspberrypi(CARD, false);
    first_boot("the first boot", &image, image.bytes.clone()).survives(share(10));
}

#[test]
fn the_first_boot_of_a_card_with_a_journal_of_our_own_size() {
    let image = image::raspberrypi(LARGER, false);
    let mut workshop = Workshop::new();
    let mut board = Board::new(&mut workshop, image.bytes.clone(), image.end);
    board.boot().unwrap();
    // mke2fs would have made one of 32 MiB.
    let journal = board.journal(image.data).unwrap();
    assert!(journal.contains("Size: 16777216"), "{journal}");
    first_boot("the first boot of a larger card", &image, image.bytes.clone()).survives(share(10));
}

#[test]
fn the_first_boot_of_a_card_burned_again() {
    let image = image::raspberrypi(CARD, false);
    let card = image::burned_again(&image, &used(&image));
    first_boot("the first boot of a card burned again", &image, card).survives(share(15));
}

#[test]
fn the_first_boot_of_a_uefi_machine() {
    let image = image::uefi(CARD, false);
    first_boot("the first boot of a UEFI machine", &image, image.bytes.clone()).survives(share(10));
}

fn growth<'a>(name: &'static str, image: &'a Image) -> Scenario<'a> {
    let mut card = used(image);
    card.resize(LARGER);
    Scenario {
        name,
        image,
        card,
        note: true,
        act: boot,
        slots: ONLY_A,
    }
}

#[test]
fn growth_to_a_larger_card() {
    growth("growth to a larger card", &image::raspberrypi(CARD, false)).survives(share(20));
}

#[test]
fn growth_of_a_gpt() {
    growth("growth of a GPT", &image::uefi(CARD, false)).survives(share(10));
}

/// A card whose DATA has lost a sector of its superblock, and the descriptor of its first group.
#[test]
fn a_damaged_data_is_repaired() {
    let image = image::raspberrypi(CARD, false);
    let mut card = used(&image);
    card.write_at(&[0; 512], image.end + 1024).unwrap();
    card.write_at(&[0xa5; 64], image.end + 4096).unwrap();
    let scenario = Scenario {
        name: "a damaged DATA",
        card,
        image: &image,
        note: true,
        act: boot,
        slots: ONLY_A,
    };
    scenario.survives(share(10));
}

/// The flag that makes the next boot a trial.
#[derive(Debug, Default)]
struct Flag(Option<Slot>);

impl Arm for Flag {
    fn arm(&mut self, slot: Slot) -> Result<()> {
        self.0 = Some(slot);
        Ok(())
    }
}

/// A trial of slot B that goes well, and its commit.
fn update(board: &mut Board, data: u32) -> Result<()> {
    let running = board.boot()?;
    let mut flag = Flag::default();
    let slots = board.slots(running, data)?;
    slots.try_other(&mut board.disk()?, &mut flag, "2")?;
    ensure!(flag.0 == Some(Slot::B));
    keep(board, data)
}

fn updated<'a>(name: &'static str, image: &'a Image) -> Scenario<'a> {
    Scenario {
        name,
        image,
        card: used(image),
        note: true,
        act: update,
        slots: [&[Slot::A], &[Slot::A, Slot::B], &[Slot::B]],
    }
}

#[test]
fn trial_and_commit() {
    updated("trial and commit", &image::raspberrypi(CARD, true)).survives(share(10));
}

/// Slot B was started for once, by a trial or as U-Boot could not load the files of slot A, and is made the one that starts.
fn keep(board: &mut Board, data: u32) -> Result<()> {
    let cmdline = board.power_on(true)?;
    let outcome = board.init(&cmdline)?;
    ensure!(outcome == Outcome::Up(Slot::B), "{outcome:?}");
    let begin = board.events().len();
    board.slots(Slot::B, data)?.commit(&mut board.disk()?)?;
    board.commit = (begin, board.events().len());
    ensure!(board.boot()? == Slot::B);
    Ok(())
}

#[test]
fn the_commit_of_a_board_with_u_boot() {
    let image = image::rock64(CARD, true);
    let scenario = Scenario {
        act: keep,
        ..updated("the commit of a board with U-Boot", &image)
    };
    scenario.survives(share(5));
}

#[test]
fn trial_and_commit_of_a_uefi_machine() {
    updated("trial and commit of a UEFI machine", &image::uefi(CARD, true)).survives(share(5));
}

/// A card whose slot A has a flipped bit in its last block.
fn rotten(image: &Image) -> Memory {
    let mut card = used(image);
    card.write_at(&[0xff], image.root_a + 39_000).unwrap();
    card
}

fn gives_way<'a>(name: &'static str, image: &'a Image) -> Scenario<'a> {
    Scenario {
        name,
        card: rotten(image),
        image,
        note: true,
        act: boot,
        slots: [&[Slot::B]; 3],
    }
}

#[test]
fn a_slot_that_rots_gives_way_to_the_other() {
    gives_way("a slot that rots", &image::raspberrypi(CARD, true)).survives(share(5));
}

#[test]
fn a_slot_that_rots_behind_u_boot_gives_way_to_the_other() {
    gives_way("a slot that rots behind U-Boot", &image::rock64(CARD, true)).survives(share(5));
}

#[test]
fn the_only_slot_that_rots_stops_the_board_after_three_boots() {
    for image in [
        image::raspberrypi(CARD, false),
        image::uefi(CARD, false),
        image::rock64(CARD, false),
    ] {
        let mut workshop = Workshop::new();
        let mut board = Board::new(&mut workshop, rotten(&image), image.end);
        for _ in 0..3 {
            let cmdline = board.power_on(false).unwrap();
            assert!(matches!(board.init(&cmdline).unwrap(), Outcome::Restart(_)));
        }
        let cmdline = board.power_on(false).unwrap();
        let error = board.init(&cmdline).unwrap_err();
        assert_eq!(error.downcast_ref::<Stop>().unwrap().pattern, Pattern::NoSlot);
        assert!(format!("{error:#}").contains("burn the card again"), "{error:#}");
    }
}

#[test]
fn power_that_fails_early_and_often_is_no_reason_to_change_slots() {
    let image = image::raspberrypi(CARD, false);
    let mut workshop = Workshop::new();
    let mut board = Board::new(&mut workshop, used(&image), image.end);
    for _ in 0..8 {
        let cmdline = board.power_on(false).unwrap();
        assert_eq!(board.init(&cmdline).unwrap(), Outcome::Up(Slot::A));
    }
    assert!(
        board.said.iter().any(|line| line.contains("slot b is no other system")),
        "{:?}",
        board.said
    );
}

#[test]
fn a_trial_that_fails_goes_back_and_is_remembered() {
    let image = image::raspberrypi(CARD, true);
    let mut workshop = Workshop::new();
    let mut board = Board::new(&mut workshop, used(&image), image.end);
    let running = board.boot().unwrap();
    let slots = board.slots(running, image.data).unwrap();
    slots
        .try_other(&mut board.disk().unwrap(), &mut Flag::default(), "2")
        .unwrap();
    let cmdline = board.power_on(true).unwrap();
    assert_eq!(board.init(&cmdline).unwrap(), Outcome::Up(Slot::B));
    // It hangs; the watchdog resets the board.
    assert_eq!(board.boot().unwrap(), Slot::A);
    let state = State::read(&board.disk().unwrap(), slots.place).unwrap();
    let pending = state.pending.unwrap();
    assert_eq!(
        (pending.slot, pending.begun, pending.version.as_str()),
        (Slot::B, 1, "2")
    );
    // Nothing to try where there is no second system.
    let image = image::raspberrypi(CARD, false);
    let mut board = Board::new(&mut workshop, used(&image), image.end);
    let running = board.boot().unwrap();
    let slots = board.slots(running, image.data).unwrap();
    let error = slots
        .try_other(&mut board.disk().unwrap(), &mut Flag::default(), "2")
        .unwrap_err();
    assert!(error.to_string().contains("no root of its own"), "{error:#}");
}
