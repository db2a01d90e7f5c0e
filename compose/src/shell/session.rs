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
    /// Bytes that one file, pipe or variable may hold.
    pub max_bytes: usize,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    steps: AtomicU64,
    depth: AtomicU32,
    processes: AtomicU32,
    /// Where the interpretation halted, told by the innermost shell.
    place: Mutex<Option<(Origin, usize)>>,
}

impl Default for Session {
    fn default() -> Self {
        Self {
            unknown: Unknown::Halts,
            max_depth: 400,
            max_bytes: 256 << 20,
            shared: Arc::new(Shared {
                steps: AtomicU64::new(20_000_000),
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
        self.shared.steps.store(steps, Ordering::Relaxed);
        self
    }

    /// This session with at most `bytes` in one file, pipe or variable.
    #[must_use]
    pub fn with_max_bytes(self, bytes: usize) -> Self {
        Self {
            max_bytes: bytes,
            ..self
        }
    }

    /// Counts one step (a simple command, a round of a loop).
    pub fn step(&self) -> Result<(), Halt> {
        let steps = &self.shared.steps;
        match steps.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)) {
            Ok(_) => Ok(()),
            Err(_) => Err(Halt::Limit(
                "the script runs on and on: its step budget is used up".to_owned(),
            )),
        }
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

    /// Checks that `len` bytes are not too much for one file, pipe or variable.
    pub fn fits(&self, len: usize) -> Result<(), Halt> {
        if len > self.max_bytes {
            return Err(Halt::Limit(format!(
                "the script produces more than {} bytes",
                self.max_bytes
            )));
        }
        Ok(())
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
