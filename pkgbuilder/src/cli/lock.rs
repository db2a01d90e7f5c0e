//! `pkgbuilder lock`: choose versions anew.

use anyhow::Result;
use clap::Args;

use super::options::{Definition, Inputs};
use crate::reporter::Reporter;

/// Choose the versions of every input anew and write the lock.
///
/// Nothing is built: modules are pinned by their sums, archives by their digests, Debian's packages by version and
/// digest. Says what moves from what to what. A build does this by itself only when the definition has changed or the
/// archive no longer has what is locked, and never with `--locked`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  pkgbuilder lock home
  git diff images/home.lock.json")]
pub(super) struct Arguments {
    #[command(flatten)]
    definition: Definition,

    #[command(flatten)]
    inputs: Inputs,
}

impl Arguments {
    pub(super) fn run(self, reporter: &Reporter) -> Result<()> {
        let mut workshop = self.inputs.workshop(&self.definition, true, reporter)?;
        workshop.lock()
    }
}
