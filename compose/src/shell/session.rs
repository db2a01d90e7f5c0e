//! What holds for one interpretation as a whole: its options and the bounds that stop a runaway script.

use std::cell::Cell;
use std::rc::Rc;

use super::process::Halt;

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
    /// Functions, substitutions, `eval`s, scripts and groups that may be active inside one another.
    pub max_depth: u32,
    /// Bytes that one file, pipe or variable may hold.
    pub max_bytes: usize,
    steps: Rc<Cell<u64>>,
    depth: Rc<Cell<u32>>,
}

impl Default for Session {
    fn default() -> Self {
        Self {
            unknown: Unknown::Halts,
            max_depth: 200,
            max_bytes: 256 << 20,
            steps: Rc::new(Cell::new(20_000_000)),
            depth: Rc::new(Cell::new(0)),
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
        self.steps.set(steps);
        self
    }

    /// Counts one step (a simple command, a round of a loop).
    pub fn step(&self) -> Result<(), Halt> {
        match self.steps.get().checked_sub(1) {
            Some(left) => {
                self.steps.set(left);
                Ok(())
            }
            None => Err(Halt::Limit(
                "the script runs on and on: its step budget is used up".to_owned(),
            )),
        }
    }

    /// Enters something that nests; [`Session::leave`] when it is over.
    pub fn enter(&self) -> Result<(), Halt> {
        if self.depth.get() >= self.max_depth {
            return Err(Halt::Limit(format!(
                "the script nests deeper than {} levels",
                self.max_depth
            )));
        }
        self.depth.set(self.depth.get() + 1);
        Ok(())
    }

    /// Leaves what [`Session::enter`] entered.
    pub fn leave(&self) {
        self.depth.set(self.depth.get().saturating_sub(1));
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
}
