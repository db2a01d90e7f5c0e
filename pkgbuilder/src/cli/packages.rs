//! `pkgbuilder packages`: the .debs of a definition's components.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use computatom_spec::arch::Arch;

use super::options::{Definition, Inputs};
use crate::atomic;
use crate::reporter::Reporter;

/// Build the packages of a definition's components, for machines with or without our image.
#[derive(Debug, Args)]
#[command(after_help = "\
Components that come from Debian (Prometheus) are not among them: apt has these.

Examples:
  pkgbuilder packages home
  pkgbuilder packages home --arch amd64 --out /srv/packages
  sudo apt install ./out/packages/consul_*_arm64.deb")]
pub(super) struct Arguments {
    #[command(flatten)]
    definition: Definition,

    #[command(flatten)]
    inputs: Inputs,

    /// Debian architecture [default: those of the definition's targets]
    #[arg(long, value_name = "ARCH")]
    arch: Vec<Arch>,

    /// Folder of the results; packages are in its packages/.
    #[arg(long, value_name = "DIR", default_value = "out")]
    out: PathBuf,

    /// Print what was made as JSON on standard output.
    #[arg(long)]
    json: bool,
}

impl Arguments {
    pub(super) fn run(self, reporter: &Reporter) -> Result<()> {
        let mut workshop = self.inputs.workshop(&self.definition, false, reporter)?;
        atomic::check_writable(&self.out)?;
        let written = workshop.packages(&self.arch, &self.out)?;
        if self.json {
            super::print(&format!("{}\n", serde_json::to_string_pretty(&written)?));
        } else {
            for package in &written {
                let name = format!("{}_{}_{}.deb", package.name, package.version, package.architecture);
                super::print(&format!("{}\n", self.out.join("packages").join(name).display()));
            }
        }
        Ok(())
    }
}
