//! The power is cut after every write: whatever the card holds then, the firmware model and `/init` come up, and nothing
//! that was flushed is lost.
//!
//! A scenario runs once as a whole on a card that writes down what happens to it (`card.rs`), with the e2fsprogs of this
//! machine (`e2fsprogs.rs`). Then, after each event, cards are made that a power cut could have left (`cut.rs`), and each is
//! booted. `cargo test` takes a sample of them; `COMPUTATOM_CUTS` says how many it is to be.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context, Result, ensure};
use computatom_agent::disk::BlockDevice;
use computatom_agent::disk::memory::Memory;
use pkgbuilder::assemble::firmware::Options;

mod card;

mod cut;

mod e2fsprogs;

mod image;

mod machine;

use self::card::Event;
use self::cut::Doubt;
use self::image::Image;
use self::machine::{Board, Workshop};

/// A card as sold: not a multiple of anything.
const CARD: u64 = (700 << 20) + 512;
/// The next larger one.
const LARGER: u64 = 1500 << 20;
/// DATA of the Raspberry Pi layout.
const DATA: u32 = 7;
/// A file that a service stored, and waited for.
const NOTE: (&str, &str) = ("note", "the node's own");

/// Boots as people do, by firmware and command line.
fn boot(board: &mut Board) -> Result<()> {
    let taken = board.firmware(&Options::default())?;
    board.init(&taken.cmdline)?;
    Ok(())
}

/// What must be so when a board has booted.
fn is_well(board: &mut Board, note: bool) -> Result<()> {
    board.is_sound(DATA)?;
    if note {
        let found = board.load(DATA, NOTE.0)?;
        ensure!(found == NOTE.1, "what was stored is `{found}`");
    }
    Ok(())
}

/// Something that writes to a card, and can be cut short.
struct Scenario<'a> {
    name: &'static str,
    image: &'a Image,
    /// The card before.
    card: Memory,
    /// Whether it holds [`NOTE`].
    note: bool,
    act: fn(&mut Board) -> Result<()>,
}

impl Scenario<'_> {
    /// Runs it once, undisturbed.
    fn events(&self) -> Vec<Event> {
        let mut workshop = Workshop::new();
        let mut board = Board::new(&mut workshop, self.card.clone(), self.image.end);
        (self.act)(&mut board).unwrap_or_else(|error| panic!("{}: {error:#}", self.name));
        is_well(&mut board, self.note).unwrap_or_else(|error| panic!("{}: {error:#}", self.name));
        assert!(board.is_faithful(), "something wrote to DATA that we did not see");
        board.events()
    }

    /// Boots what a cut left, twice, the second time with nothing left to do.
    fn comes_up(&self, workshop: &mut Workshop, card: Memory) -> Result<()> {
        let mut board = Board::new(workshop, card, self.image.end);
        boot(&mut board).context("booting after the cut")?;
        is_well(&mut board, self.note)?;
        let clock = board.clock;
        let card = board.card.borrow().now.clone();
        let mut board = Board::new(workshop, card, self.image.end);
        boot(&mut board).context("booting once more")?;
        ensure!(
            board.clock >= clock,
            "the clock ran backwards, from {clock} to {}",
            board.clock
        );
        Ok(())
    }

    /// Cuts the power of about so many runs; answers how many, and what went wrong.
    fn cut(&self, events: &[Event], wanted: usize) -> (usize, Vec<String>) {
        let variants = wanted.div_ceil(events.len()).max(1);
        let every = (events.len() * variants).div_ceil(wanted).max(1);
        let (count, failures) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
        let workers = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        std::thread::scope(|scope| {
            for worker in 0..workers {
                let (count, failures) = (&count, &failures);
                scope.spawn(move || {
                    let mut workshop = Workshop::new();
                    let mut doubt = Doubt::before(self.card.clone(), events);
                    while doubt.step() {
                        for variant in 0..variants {
                            let number = doubt.happened * variants + variant;
                            if !number.is_multiple_of(every) || number / every % workers != worker {
                                continue;
                            }
                            count.fetch_add(1, Ordering::Relaxed);
                            // A stride must not always meet the same kind of cut.
                            let kind = if every > 1 { number / every } else { variant } as u64;
                            if let Err(error) = self.comes_up(&mut workshop, doubt.cut(kind)) {
                                let text =
                                    format!("{}, cut {kind} after event {}: {error:#}", self.name, doubt.happened);
                                failures.lock().unwrap().push(text);
                            }
                        }
                    }
                });
            }
        });
        (count.into_inner(), failures.into_inner().unwrap())
    }

    fn survives(&self, wanted: usize) {
        let events = self.events();
        let (count, failures) = self.cut(&events, wanted);
        assert!(
            failures.is_empty(),
            "{} of {count}: {}",
            failures.len(),
            failures[..failures.len().min(5)].join("\n")
        );
        assert!(
            count * 3 >= wanted.min(events.len()) * 2,
            "only {count} cuts of {} events",
            events.len()
        );
        println!("{}: {count} cuts in {} events, all came up", self.name, events.len());
    }
}

/// How many cuts of a scenario are tried, of a hundred for all of them by default.
fn share(percent: usize) -> usize {
    let all = std::env::var("COMPUTATOM_CUTS").ok();
    let all = all.map_or(100, |number| number.parse().expect("COMPUTATOM_CUTS is a number"));
    (all * percent / 100_usize).max(1)
}

/// A card that has been booted, and was written to.
fn used(image: &Image) -> Memory {
    let mut workshop = Workshop::new();
    let mut board = Board::new(&mut workshop, image.bytes.clone(), image.end);
    boot(&mut board).unwrap();
    board.store(DATA, NOTE.0, NOTE.1).unwrap();
    let card = board.card.borrow().now.clone();
    card
}

#[test]
fn the_first_boot() {
    let image = image::raspberrypi(CARD);
    let scenario = Scenario {
        name: "the first boot",
        card: image.bytes.clone(),
        image: &image,
        note: false,
        act: boot,
    };
    scenario.survives(share(30));
}

#[test]
fn the_first_boot_of_a_card_burned_again() {
    let image = image::raspberrypi(CARD);
    let scenario = Scenario {
        name: "the first boot of a card burned again",
        card: image::burned_again(&image, &used(&image)),
        image: &image,
        note: false,
        act: boot,
    };
    scenario.survives(share(20));
}

#[test]
fn growth_to_a_larger_card() {
    let image = image::raspberrypi(CARD);
    let mut card = used(&image);
    card.resize(LARGER);
    let scenario = Scenario {
        name: "growth to a larger card",
        card,
        image: &image,
        note: true,
        act: boot,
    };
    scenario.survives(share(30));
}
