//! `pkgbuilder cluster logs` and `console`.

use std::fs::File;
use std::io::{self, Read, Write};
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Args;
use computatom_cluster::machine;

use crate::reporter::Reporter;
use crate::{cluster, input_error, interrupt};

/// Print what a node's console has shown.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  pkgbuilder cluster logs core-1
  pkgbuilder cluster logs core-1 --follow")]
pub(super) struct Logs {
    /// The node.
    #[arg(value_name = "NODE")]
    node: String,

    /// Go on with what it shows from now on, until Ctrl-C or the cluster's end.
    #[arg(long, short)]
    follow: bool,
}

impl Logs {
    pub(super) fn run(self, name: Option<&str>, reporter: &Reporter) -> Result<()> {
        let cluster = cluster::open(name)?;
        let node = cluster.node(&self.node).map_err(|text| input_error!("{text}"))?;
        let path = machine::console_log(cluster.folder(), &node.name);
        let mut file = File::open(&path).with_context(|| format!("opening {}", path.display()))?;
        let (mut out, mut buffer) = (io::stdout().lock(), [0; 8192]);
        loop {
            match file
                .read(&mut buffer)
                .with_context(|| format!("reading {}", path.display()))?
            {
                0 if !self.follow || interrupt::check().is_err() || super::is_gone(&cluster, reporter) => return Ok(()),
                0 => std::thread::sleep(Duration::from_millis(200)),
                // A reader that has gone away has seen enough.
                count => {
                    if out.write_all(&buffer[..count]).and_then(|()| out.flush()).is_err() {
                        return Ok(());
                    }
                }
            }
        }
    }
}

/// Sit down at a node's console; Ctrl-] leaves it.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  pkgbuilder cluster console core-1")]
pub(super) struct Console {
    /// The node.
    #[arg(value_name = "NODE")]
    node: String,
}

impl Console {
    pub(super) fn run(self, name: Option<&str>, reporter: &Reporter) -> Result<()> {
        let cluster = cluster::open(name)?;
        let node = cluster.node(&self.node).map_err(|text| input_error!("{text}"))?;
        let stream = cluster
            .folder()
            .connect(&machine::console(&node.name))
            .with_context(|| format!("{} is off, or somebody else sits there", node.name))?;
        reporter.step(format_args!("at the console of {}; Ctrl-] leaves it", node.name));
        cluster::console::attach(stream)
    }
}
