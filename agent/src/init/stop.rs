//! Errors that the next boot would only meet again.

use std::error::Error;
use std::fmt;

/// An error that a restart cannot heal: the board shows it and stands still, instead of starting for ever.
#[derive(Debug)]
pub struct Stop(String);

impl Stop {
    /// The sentence: what is wrong, and what a person can do.
    pub fn because(sentence: String) -> anyhow::Error {
        anyhow::Error::new(Self(sentence))
    }
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for Stop {}
