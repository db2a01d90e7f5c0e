//! `pkgbuilder inspect`: look before building, and after.

use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::Args;

use crate::definition;
use crate::reporter::Reporter;
use crate::{assemble, inspect};

/// Print a definition as evaluated, or what an image holds.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  pkgbuilder inspect home
  pkgbuilder inspect out/home-raspberrypi-arm64.img.zst
  pkgbuilder inspect out/home-raspberrypi-arm64.img.zst --json | jq '.packages[] | select(.source != \"debian\")'")]
pub(super) struct Arguments {
    /// Name of a definition, a path to a .jsonnet file, or an image or manifest made by `build`.
    #[arg(value_name = "IMAGE")]
    subject: String,

    /// Site settings [default: site.jsonnet at the top of the repository, where there is one]
    #[arg(long, value_name = "FILE")]
    site: Option<PathBuf>,

    /// Print an image's manifest whole, as JSON (a definition always is).
    #[arg(long)]
    json: bool,
}

impl Arguments {
    pub(super) fn run(self, reporter: &Reporter) -> Result<()> {
        let subject = Path::new(&self.subject);
        if let Some(manifest) = inspect::manifest_of(subject)? {
            if let Some(doubt) = inspect::doubt(subject)? {
                reporter.warn(doubt);
            }
            let text = if self.json {
                serde_json::to_string_pretty(&manifest)?
            } else {
                inspect::table(&manifest)
            };
            super::print(&format!("{text}\n"))?;
            return Ok(());
        }
        let path = definition::find(&self.subject, Path::new("."))?;
        let image = definition::load(&path, self.site.as_deref(), assemble::boards::names())?;
        for warning in image.site.warnings() {
            reporter.warn(format_args!("site settings: {warning}"));
        }
        super::print(&format!("{}\n", serde_json::to_string_pretty(&image)?))?;
        Ok(())
    }
}
