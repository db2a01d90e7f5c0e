//! Errors that the next boot would only meet again.

use std::error::Error;
use std::fmt;

use super::led::Pattern;

/// An error that a restart cannot heal: the board shows it and stands still, instead of starting for ever.
#[derive(Debug)]
pub struct Stop {
    sentence: String,
    /// What the light shows meanwhile.
    pub pattern: Pattern,
}

impl Stop {
    /// The sentence: what is wrong, and what a person can do.
    pub fn because(sentence: String) -> anyhow::Error {
        Self::showing(Pattern::Stopped, sentence)
    }

    /// The same with a pattern of its own.
    pub fn showing(pattern: Pattern, sentence: String) -> anyhow::Error {
        anyhow::Error::new(Self { sentence, pattern })
    }
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.sentence)
    }
}

impl Error for Stop {}
