//! What compiled helpers would have generated at the end of an installation, made natively over the tree.
//!
//! Each generator runs when a command asked for it ([`System::pending`]); its output is what the helper's would be.

use anyhow::{Context as _, Result};

use crate::system::System;

/// udev's hardware database.
mod hwdb;

/// The explanations of journal messages.
mod journal_catalog;

/// The string table of systemd's databases.
mod string_pool;

/// A generator: changes the tree as its helper would.
type Generator = fn(&mut System) -> Result<()>;

/// Name in [`System::pending`], what it makes, and how.
const GENERATORS: &[(&str, &str, Generator)] = &[
    ("catalog", "the journal's catalog", journal_catalog::generate),
    ("hwdb", "the hardware database", hwdb::generate),
];

/// Runs every generator that was asked for and takes it off the list; those left on it have none here.
pub fn run_all(system: &mut System) -> Result<()> {
    for (name, what, generate) in GENERATORS {
        if system.pending.remove(*name) {
            generate(system).with_context(|| format!("generating {what}"))?;
        }
    }
    Ok(())
}
