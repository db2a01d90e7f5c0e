//! The two slots: which one starts, what is on trial, and what happens when one does not start.

use std::fmt;

/// What is remembered across boots.
pub mod state;

/// Files on the volumes that firmware reads.
pub mod fat;

/// Sections of a unified kernel image.
pub mod uki;

/// The file that says which slot starts.
pub mod menu;

/// Whether a root is what it should be.
pub mod verify;

/// What `/init` does about slots.
pub mod attempts;

/// Trial and commit.
pub mod update;

/// One boot of the other slot.
pub mod arm;

/// The slots of the machine that this runs on.
pub mod node;

/// Boots of a slot that may fail in a row before the other one is started.
pub const LIMIT: u32 = 3;

/// One of the two places a system can be in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Slot {
    /// Where the image puts its system.
    A,
    /// Where the first update goes.
    B,
}

impl Slot {
    /// Both.
    pub const BOTH: [Self; 2] = [Self::A, Self::B];

    /// The other one.
    #[must_use]
    pub fn other(self) -> Self {
        match self {
            Self::A => Self::B,
            Self::B => Self::A,
        }
    }

    /// Its place in a list of both.
    pub fn index(self) -> usize {
        match self {
            Self::A => 0,
            Self::B => 1,
        }
    }

    /// `a` or `b`.
    pub fn parse(text: &str) -> Option<Self> {
        Self::BOTH.into_iter().find(|slot| slot.to_string() == text)
    }
}

impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::A => "a",
            Self::B => "b",
        })
    }
}
