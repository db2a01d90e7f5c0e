//! Something that writes to a card, and can be cut short anywhere.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use anyhow::{Context, Result, ensure};
use computatom_agent::disk::memory::Memory;
use computatom_agent::slots::Slot;

use super::card::Event;
use super::cut::Doubt;
use super::image::Image;
use super::machine::{Board, Workshop};
use super::{NOTE, TIME};

/// What is done, and what must be so afterwards.
#[derive(Debug)]
pub(crate) struct Scenario<'a> {
    pub(crate) name: &'static str,
    pub(crate) image: &'a Image,
    /// The card before.
    pub(crate) card: Memory,
    /// Whether it holds [`NOTE`].
    pub(crate) note: bool,
    pub(crate) act: fn(&mut Board, u32) -> Result<()>,
    /// The slots that may start after a cut, of those before, during and after the commit.
    pub(crate) slots: [&'static [Slot]; 3],
}

/// What happened, undisturbed.
#[derive(Clone, Debug)]
pub(crate) struct Run {
    pub(crate) events: Vec<Event>,
    /// The events between which the commit lies.
    pub(crate) commit: (usize, usize),
    /// How many events happen before the first cut.
    pub(crate) from: usize,
}

/// How many cuts there were, and what went wrong.
#[derive(Debug)]
pub(crate) struct Tried {
    pub(crate) count: usize,
    pub(crate) failures: Vec<String>,
}

impl Scenario<'_> {
    /// Runs it once.
    pub(crate) fn run(&self) -> Run {
        let mut workshop = Workshop::new();
        let mut board = Board::new(&mut workshop, self.card.clone(), self.image.end);
        (self.act)(&mut board, self.image.data).unwrap_or_else(|error| panic!("{}: {error:#}", self.name));
        self.is_well(&mut board)
            .unwrap_or_else(|error| panic!("{}: {error:#}", self.name));
        assert!(board.is_faithful(), "something wrote to DATA that we did not see");
        Run {
            events: board.events(),
            commit: board.commit,
            from: 0,
        }
    }

    /// What must be so when a board has booted.
    fn is_well(&self, board: &mut Board) -> Result<()> {
        board.is_sound(self.image.data)?;
        if self.note {
            let found = board.load(self.image.data, NOTE.0)?;
            ensure!(found == NOTE.1, "what was stored is `{found}`");
            ensure!(
                board.clock >= TIME,
                "the clock stands at {}, before what it was",
                board.clock
            );
        }
        Ok(())
    }

    /// Boots what a cut left, twice, the second time with nothing left to mend.
    fn comes_up(&self, workshop: &mut Workshop, card: Memory, may_start: &[Slot]) -> Result<()> {
        let mut board = Board::new(workshop, card, self.image.end);
        let slot = board.boot().context("booting after the cut")?;
        ensure!(
            may_start.contains(&slot),
            "slot {slot} starts, not one of {may_start:?}"
        );
        self.is_well(&mut board)?;
        let clock = board.clock;
        let card = board.now();
        let mut board = Board::new(workshop, card, self.image.end);
        let again = board.boot().context("booting once more")?;
        ensure!(again == slot, "slot {slot} started, then slot {again}");
        ensure!(
            board.said.iter().all(|line| !line.contains("mended")),
            "{:?}",
            board.said
        );
        ensure!(
            board.clock >= clock,
            "the clock ran backwards, from {clock} to {}",
            board.clock
        );
        Ok(())
    }

    /// Cuts the power of about so many runs, until `enough` of them fail.
    pub(crate) fn cut(&self, run: &Run, wanted: usize, enough: usize) -> Tried {
        let points = run.events.len();
        let variants = wanted.div_ceil(points).max(1);
        let every = (points * variants / wanted.max(1)).max(1);
        let (count, failures, stop) = (AtomicUsize::new(0), Mutex::new(Vec::new()), AtomicBool::new(false));
        // To look closer at the cuts after one event.
        let only = std::env::var("COMPUTATOM_EVENT").ok();
        let only = only.map(|event| event.parse::<usize>().expect("COMPUTATOM_EVENT is a number"));
        let workers = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let work = |worker: usize| {
            let mut workshop = Workshop::new();
            let mut doubt = Doubt::before(self.card.clone(), &run.events);
            while doubt.step() && !stop.load(Ordering::Relaxed) {
                if doubt.happened < run.from {
                    continue;
                }
                for variant in 0..variants {
                    if only.is_some_and(|only| only != doubt.happened) {
                        continue;
                    }
                    let number = doubt.happened * variants + variant;
                    if !number.is_multiple_of(every) || number / every % workers != worker {
                        continue;
                    }
                    count.fetch_add(1, Ordering::Relaxed);
                    // A stride must not always meet the same kind of cut.
                    let kind = if every > 1 { number / every } else { variant } as u64;
                    let may_start = self.may_start(run, doubt.happened);
                    if let Err(error) = self.comes_up(&mut workshop, doubt.cut(kind), may_start) {
                        let mut failures = failures.lock().unwrap();
                        failures.push(format!(
                            "{}, cut {kind} after event {}: {error:#}",
                            self.name, doubt.happened
                        ));
                        stop.fetch_or(failures.len() >= enough, Ordering::Relaxed);
                    }
                }
            }
        };
        std::thread::scope(|scope| {
            for worker in 0..workers {
                let work = &work;
                scope.spawn(move || work(worker));
            }
        });
        Tried {
            count: count.into_inner(),
            failures: failures.into_inner().unwrap(),
        }
    }

    fn may_start(&self, run: &Run, happened: usize) -> &'static [Slot] {
        let (begin, end) = run.commit;
        let [before, during, after] = self.slots;
        match happened {
            _ if happened <= begin => before,
            _ if happened < end => during,
            _ => after,
        }
    }

    /// Every one of so many cuts comes up.
    pub(crate) fn survives(&self, wanted: usize) {
        let run = self.run();
        let Tried { count, failures } = self.cut(&run, wanted, 20);
        let shown = &failures[..failures.len().min(5)];
        assert!(
            failures.is_empty(),
            "{} of {count}: {}",
            failures.len(),
            shown.join("\n")
        );
        assert!(
            count >= wanted.min(run.events.len()) / 2,
            "only {count} cuts of {wanted}"
        );
        println!(
            "{}: {count} cuts in {} events, all came up",
            self.name,
            run.events.len()
        );
    }

    /// What would happen if we were wrong: some cut does not come up. `change` says from which event on that may be.
    pub(crate) fn would_notice(&self, what: &str, change: impl FnOnce(&mut Vec<Event>) -> usize) {
        let mut run = self.run();
        let before = run.events.len();
        run.from = change(&mut run.events);
        assert!(run.events.len() <= before);
        let Tried { count, failures } = self.cut(&run, 4 * before, 1);
        assert!(!failures.is_empty(), "{what}: nothing noticed in {count} cuts");
        println!("{what}: {}", failures[0]);
    }
}
