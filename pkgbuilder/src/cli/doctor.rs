//! `pkgbuilder doctor`: what this machine lacks.

use std::fmt::Write as _;

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use clap::Args;

use crate::assemble::boards;
use crate::fetch::Cache;
use crate::housekeeping::doctor::{self, Finding, Verdict};
use crate::reporter::Reporter;
use crate::{catalog, definition};

/// Say what this machine lacks for building, which hosts it reaches and what it has room for, and what mends it.
#[derive(Debug, Args)]
#[command(after_help = "\
Exit code 1 if something is missing that scripts/build cannot do without.

Examples:
  pkgbuilder doctor
  pkgbuilder doctor --json | jq -r '.[] | select(.verdict != \"good\").mend'")]
pub(super) struct Arguments {
    /// Folder of the results.
    #[arg(long, value_name = "DIR", default_value = "out")]
    out: PathBuf,

    /// Print the findings as JSON.
    #[arg(long)]
    json: bool,
}

impl Arguments {
    pub(super) fn run(self, _reporter: &Reporter) -> Result<()> {
        let here = Path::new(".");
        let (mut images, mut broken) = (Vec::new(), Vec::new());
        for path in definition::all(here).into_iter().chain(catalog::path(here)) {
            match definition::load(&path, None, boards::names()) {
                Ok(image) => images.push(image),
                Err(error) => broken.push(Finding::broken_definition(&path, &error)),
            }
        }
        let mut findings = doctor::examine(&images, &Cache::open()?, &self.out)?;
        findings.extend(broken);
        if self.json {
            super::print(&format!("{}\n", serde_json::to_string_pretty(&findings)?))?;
        } else {
            super::print(&findings.iter().map(line).collect::<Vec<_>>().concat())?;
            super::print(&mends(&findings))?;
        }
        let bad = findings
            .iter()
            .filter(|finding| finding.verdict == Verdict::Bad)
            .count();
        if bad > 0 {
            bail!(
                "{bad} of {} things are missing that a build cannot do without",
                findings.len()
            );
        }
        Ok(())
    }
}

fn line(finding: &Finding) -> String {
    let mark = match finding.verdict {
        Verdict::Good => "good",
        Verdict::Lacking => "-",
        Verdict::Bad => "BAD",
    };
    format!("{mark:<5} {:<32} {}\n", finding.name, finding.found)
}

/// What to do, the packages of Debian in one command.
fn mends(findings: &[Finding]) -> String {
    let mut packages = Vec::new();
    let mut others = Vec::new();
    for mend in findings.iter().filter_map(|finding| finding.mend.as_deref()) {
        match mend.strip_prefix("apt-get install ") {
            Some(names) => packages.extend(names.split(' ')),
            None if !others.contains(&mend) => others.push(mend),
            None => {}
        }
    }
    let mut text = String::new();
    if !packages.is_empty() {
        let _ = writeln!(
            text,
            "  sudo apt-get install --no-install-recommends {}",
            packages.join(" ")
        );
    }
    for mend in others {
        let _ = writeln!(text, "  {mend}");
    }
    if text.is_empty() {
        text
    } else {
        format!("\nto mend:\n{text}")
    }
}
