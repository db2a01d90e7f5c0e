//! `pkgbuilder diff`: what changed between two images.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;

use crate::failure::{Answer, Trouble};
use crate::reporter::Reporter;
use crate::{diff, inspect};

/// Say what changed between two images or manifests: definition, site settings, packages, files, sizes.
///
/// Each may be an image (.img, .img.zst), which is read itself, or a .manifest.json, whose word is taken.
#[derive(Debug, Args)]
#[command(after_help = "\
Marks: + added, - removed, ^ upgraded, v downgraded, ~ changed.

Exit codes: 0 done; with --exit-code 0 no difference, 1 some, 2 trouble of any kind.

Examples:
  pkgbuilder diff yesterday/home-raspberrypi-arm64.img.zst out/home-raspberrypi-arm64.img.zst
  pkgbuilder diff old.manifest.json new.manifest.json --files
  pkgbuilder diff a.manifest.json b.manifest.json --json | jq '.packages[] | select(.kind == \"upgraded\")'
  pkgbuilder diff a.img.zst b.img.zst --exit-code >/dev/null || echo 'not the same'")]
pub(super) struct Arguments {
    /// The first image, or its manifest.
    #[arg(value_name = "A")]
    before: PathBuf,

    /// The second.
    #[arg(value_name = "B")]
    after: PathBuf,

    /// Name every file, not only the first of each package.
    #[arg(long, conflicts_with = "json")]
    files: bool,

    /// Print all of it as JSON.
    #[arg(long)]
    json: bool,

    /// Exit with 1 if there is a difference.
    #[arg(long)]
    exit_code: bool,
}

impl Arguments {
    pub(super) fn run(self, reporter: &Reporter) -> Result<()> {
        let same = self.compare(reporter);
        if !self.exit_code {
            return same.map(drop);
        }
        match same {
            Ok(true) => Ok(()),
            Ok(false) => Err(Answer(1).into()),
            Err(error) => Err(error.context(Trouble(format!(
                "comparing {} and {}",
                self.before.display(),
                self.after.display()
            )))),
        }
    }

    /// Prints the difference, and says whether there is none.
    fn compare(&self, reporter: &Reporter) -> Result<bool> {
        let before = inspect::read(&self.before, reporter)?;
        let after = inspect::read(&self.after, reporter)?;
        for path in [&self.before, &self.after] {
            if let Some(doubt) = inspect::doubt(path)? {
                reporter.warn(doubt);
            }
        }
        let difference = diff::compare(&before, &after);
        if self.json {
            super::print(&format!("{}\n", serde_json::to_string_pretty(&difference)?))?;
        } else {
            super::print(&difference.table(self.files))?;
        }
        Ok(difference.same)
    }
}
