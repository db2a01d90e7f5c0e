//! What holds for one interpretation as a whole: its options and the bounds that stop a runaway script.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::process::{Halt, Origin};

/// What an unknown command means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Unknown {
    /// The interpretation stops, whatever the script does about it: a command we lack must never pass unseen.
    #[default]
    Halts,
    /// Status 127 and a message, as in dash.
    Fails,
}

/// Options and budget of one interpretation; clones share the budget, so child processes draw on the same one.
#[derive(Clone, Debug)]
pub struct Session {
    /// What an unknown command means.
    pub unknown: Unknown,
    /// Functions, substitutions, `eval`s, scripts and compound commands that may be active inside one another.
    pub max_depth: u32,
    /// Bytes that one file or pipe may hold.
    pub max_bytes: usize,
    /// Bytes that one word may expand to, that the arguments of one command may have together, and that one variable
    /// may hold.
    pub max_word: usize,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    /// What is left of the budget, in bytes; a step is [`STEP`] of them.
    budget: AtomicU64,
    depth: AtomicU32,
    processes: AtomicU32,
    /// Where the interpretation halted, told by the innermost shell.
    place: Mutex<Option<(Origin, usize)>>,
}

/// Bytes that cost as much as one step.
const STEP: u64 = 1024;

/// Steps of a script. Of Debian's, php8.4-common's needs the most: 70 000.
const STEPS: u64 = 3_000_000;

/// Bytes of text that are parsed as a script; the syntax tree of dense text is some hundred times as large. Of Debian's
/// scripts the longest is the config of keyboard-configuration, 2.2 MB that are mostly names of keyboards.
const MAX_TEXT: usize = 4 << 20;

impl Default for Session {
    fn default() -> Self {
        Self {
            unknown: Unknown::Halts,
            max_depth: 400,
            max_bytes: 256 << 20,
            max_word: 8 << 20,
            shared: Arc::new(Shared {
                budget: AtomicU64::new(STEPS * STEP),
                depth: AtomicU32::new(0),
                processes: AtomicU32::new(1000),
                place: Mutex::new(None),
            }),
        }
    }
}

impl Session {
    /// A session in which unknown commands end with 127, as in dash.
    pub fn lenient() -> Self {
        Self {
            unknown: Unknown::Fails,
            ..Self::default()
        }
    }

    /// This session with `steps` simple commands and loop rounds left.
    #[must_use]
    pub fn with_steps(self, steps: u64) -> Self {
        self.shared.budget.store(steps.saturating_mul(STEP), Ordering::Relaxed);
        self
    }

    /// Steps that are left.
    pub fn steps_left(&self) -> u64 {
        self.shared.budget.load(Ordering::Relaxed) / STEP
    }

    /// This session with at most `bytes` in one file, pipe or variable.
    #[must_use]
    pub fn with_max_bytes(self, bytes: usize) -> Self {
        Self {
            max_bytes: bytes,
            max_word: self.max_word.min(bytes),
            ..self
        }
    }

    /// Counts one step (a simple command, a round of a loop).
    pub fn step(&self) -> Result<(), Halt> {
        self.spend(STEP)
    }

    /// Counts work on `bytes`: what is expanded, copied, matched, read or written.
    pub fn work(&self, bytes: usize) -> Result<(), Halt> {
        self.spend(u64::try_from(bytes).unwrap_or(u64::MAX))
    }

    fn spend(&self, bytes: u64) -> Result<(), Halt> {
        let budget = &self.shared.budget;
        let left = budget.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(bytes));
        if left.is_ok() {
            return Ok(());
        }
        budget.store(0, Ordering::Relaxed);
        Err(Halt::Limit(
            "the script runs on and on: its step budget is used up".to_owned(),
        ))
    }

    /// Enters something that nests; [`Session::leave`] when it is over.
    pub fn enter(&self) -> Result<(), Halt> {
        if self.shared.depth.fetch_add(1, Ordering::Relaxed) >= self.max_depth {
            self.leave();
            return Err(Halt::Limit(format!(
                "the script nests deeper than {} levels",
                self.max_depth
            )));
        }
        Ok(())
    }

    /// Leaves what [`Session::enter`] entered.
    pub fn leave(&self) {
        self.shared.depth.fetch_sub(1, Ordering::Relaxed);
    }

    /// Checks that `len` bytes are not too much for one file or pipe.
    pub fn fits(&self, len: usize) -> Result<(), Halt> {
        if len > self.max_bytes {
            return Err(Halt::Limit(format!(
                "the script produces more than {} bytes",
                self.max_bytes
            )));
        }
        Ok(())
    }

    /// Checks that `len` bytes are not too much for one word or variable, or for the arguments of a command.
    pub fn fits_word(&self, len: usize) -> Result<(), Halt> {
        if len > self.max_word {
            return Err(Halt::Limit(format!(
                "the script makes a word, or the arguments of a command, of more than {} bytes",
                self.max_word
            )));
        }
        Ok(())
    }

    /// Checks, and counts, that a text of `len` bytes is parsed as a script.
    pub(super) fn parses(&self, len: usize) -> Result<(), Halt> {
        if len > MAX_TEXT {
            return Err(Halt::Limit(format!(
                "a script of {len} bytes: none has more than {MAX_TEXT}"
            )));
        }
        self.work(len)
    }

    /// A process number no other shell of this session has.
    pub(super) fn new_pid(&self) -> u32 {
        self.shared.processes.fetch_add(1, Ordering::Relaxed)
    }

    /// Remembers where the interpretation halted, unless an inner shell already has.
    pub(super) fn halted_at(&self, origin: &Origin, line: usize) {
        if line == 0 {
            return;
        }
        let mut place = self.shared.place.lock().unwrap_or_else(PoisonError::into_inner);
        place.get_or_insert_with(|| (origin.clone(), line));
    }

    /// Where the interpretation halted; forgotten afterwards, as is the nesting the halt left behind.
    pub(super) fn take_place(&self) -> Option<(Origin, usize)> {
        self.shared.place.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// How deep the interpretation is nested.
    pub(super) fn depth(&self) -> u32 {
        self.shared.depth.load(Ordering::Relaxed)
    }

    /// Goes back to a nesting of `depth`, whatever was entered and not left since.
    pub(super) fn unwind(&self, depth: u32) {
        self.shared.depth.store(depth, Ordering::Relaxed);
    }
}
