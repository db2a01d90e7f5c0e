//! `pkgbuilder build`: the packages, then the image.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;

use super::image::What;
use super::options::{Definition, Inputs, Signing};
use crate::reporter::Reporter;

/// Build the packages (an apt repository, see `pkgbuilder packages --help`) and the disk image of a definition.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  pkgbuilder build home
  pkgbuilder build home --target raspberrypi-arm64 --locked
  pkgbuilder build home --like out/home-raspberrypi-arm64.manifest.json --out again
  pkgbuilder build home --site site.jsonnet --out /srv/images")]
pub(super) struct Arguments {
    #[command(flatten)]
    definition: Definition,

    #[command(flatten)]
    inputs: Inputs,

    #[command(flatten)]
    signing: Signing,

    #[command(flatten)]
    what: What,

    /// Folder of the results.
    #[arg(long, value_name = "DIR", default_value = "out")]
    out: PathBuf,

    /// Print what was made as JSON on standard output.
    #[arg(long)]
    json: bool,
}

impl Arguments {
    pub(super) fn run(self, reporter: &Reporter) -> Result<()> {
        super::image::build(
            &self.definition,
            &self.inputs,
            &self.what,
            &self.out,
            Some(&self.signing),
            self.json,
            reporter,
        )
    }
}
