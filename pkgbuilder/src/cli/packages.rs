//! `pkgbuilder packages`: the .debs of a definition's components.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use computatom_spec::arch::Arch;

use super::options::{Definition, Inputs, Signing};
use crate::atomic;
use crate::reporter::Reporter;

/// Build the packages of a definition's components, for machines with or without our image.
#[derive(Debug, Args)]
#[command(after_help = "\
Components that come from Debian (Prometheus) are not among them: apt has these.

The folder of the packages is an apt repository of all that lie in it, signed by a key of yours. To point a machine
at it, give it the file computatom.sources (the address and the public key are in it):
  sudo cp out/packages/computatom.sources /etc/apt/sources.list.d/
  sudo apt update && sudo apt install nomad
Apt reads as the user _apt: a folder below a closed home is out of its reach, one in /srv is not. For other machines
serve the folder over HTTP, by any server, and put its address into their copy of the file:
  python3 -m http.server --directory out/packages 8000
  sed -i 's|^URIs:.*|URIs: http://HOST:8000/|' computatom.sources
Machines trust whoever has the signing key: keep it, and keep it to yourself.

Examples:
  pkgbuilder packages home
  pkgbuilder packages home --arch amd64 --out /srv/packages
  sudo apt install ./out/packages/consul_*_arm64.deb")]
pub(super) struct Arguments {
    #[command(flatten)]
    definition: Definition,

    #[command(flatten)]
    inputs: Inputs,

    #[command(flatten)]
    signing: Signing,

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
        let folder = self.out.join("packages");
        let key = self.signing.open(&folder, reporter)?;
        let written = workshop.packages(&self.arch, &self.out)?;
        workshop.repository(&folder, &key)?;
        if self.json {
            super::print(&format!("{}\n", serde_json::to_string_pretty(&written)?));
        } else {
            for package in &written {
                let name = format!("{}_{}_{}.deb", package.name, package.version, package.architecture);
                super::print(&format!("{}\n", folder.join(name).display()));
            }
        }
        Ok(())
    }
}
