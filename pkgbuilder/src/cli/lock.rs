//! `pkgbuilder lock`: choose versions anew.

use std::collections::BTreeMap;

use anyhow::Result;
use clap::Args;

use super::options::{Definition, Inputs};
use crate::bail_input;
use crate::package::update::Found;
use crate::reporter::Reporter;
use crate::workshop::Workshop;

/// Choose the versions of every input anew and write the lock.
///
/// Nothing is built: modules are pinned by their sums, archives by their digests, Debian's packages by version and
/// digest. Says what moves from what to what. A build does this by itself only when the definition has changed or the
/// archive no longer has what is locked, and never with `--locked`.
///
/// Components stay at their version. `--update` moves them to the newest that their `range` holds: it asks the
/// publisher's index or the Go module proxy, leaves out pre-releases, enterprise builds and versions that the catalog
/// refuses, and says why.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  pkgbuilder lock home
  pkgbuilder lock home --update --dry-run    what would move, on standard output
  pkgbuilder lock home --update nomad        this component only
  pkgbuilder lock home --check               exit code 2 if the lock is stale
  git diff images/home.lock.json")]
pub(super) struct Arguments {
    #[command(flatten)]
    definition: Definition,

    #[command(flatten)]
    inputs: Inputs,

    /// Move these components (none named: all) to the newest version in their range.
    #[arg(long, value_name = "COMPONENT", num_args = 0..)]
    update: Option<Vec<String>>,

    /// Change nothing; fail if the lock is not what the definition asks (with --update: nor the newest).
    #[arg(long)]
    check: bool,

    /// With --update: say what would move, and change nothing.
    #[arg(long, requires = "update", conflicts_with = "check")]
    dry_run: bool,
}

impl Arguments {
    pub(super) fn run(self, reporter: &Reporter) -> Result<()> {
        let renew = self.update.is_none() && !self.check;
        let mut workshop = self.inputs.workshop(&self.definition, renew, reporter)?;
        if self.check {
            workshop.check()?;
        }
        let Some(names) = &self.update else {
            return if self.check { Ok(()) } else { workshop.lock() };
        };
        let found = workshop.updates(names, &|versions| self.definition.load_versions(versions))?;
        for Found { change, .. } in &found {
            super::print(&format!("{change}\n"))?;
        }
        let moves: Vec<&Found> = found.iter().filter(|found| found.change.is_one()).collect();
        if moves.is_empty() || self.dry_run {
            return Ok(());
        }
        if self.check {
            let names: Vec<&str> = moves.iter().map(|found| found.change.name.as_str()).collect();
            bail_input!(
                "there are newer versions of {}: run `pkgbuilder lock {} --update`",
                names.join(", "),
                workshop.name()
            );
        }
        self.take(&mut workshop, found)
    }

    /// Takes the newer versions into the lock.
    fn take(&self, workshop: &mut Workshop, found: Vec<Found>) -> Result<()> {
        let mut versions: BTreeMap<String, String> = workshop.versions();
        versions.extend(
            found
                .iter()
                .map(|found| (found.change.name.clone(), found.change.to.clone())),
        );
        let image = self.definition.load_versions(&versions)?;
        workshop.update(image, found)
    }
}
