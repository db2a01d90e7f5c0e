//! `pkgbuilder dns`: names under `.consul` on the machine that a person sits at.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use clap::{Args, Subcommand};

use crate::dns::{self, Change};
use crate::reporter::Reporter;
use crate::{command, input_error};

/// Let this machine resolve `.consul` names (`nomad.service.consul`) by a cluster.
///
/// Knows systemd-resolved, dnsmasq and macOS. Says what it would do, and does it with --yes.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  pkgbuilder dns show
  pkgbuilder dns install                              the virtual cluster of this machine: what would be done
  sudo pkgbuilder dns install --yes
  sudo pkgbuilder dns install --server 192.168.1.20:8600 --yes
  sudo pkgbuilder dns remove --yes")]
pub(super) struct Arguments {
    #[command(subcommand)]
    action: Action,

    /// Which resolver: systemd-resolved, dnsmasq or macos [default: the one in use]
    #[arg(long, value_name = "NAME", global = true)]
    resolver: Option<String>,

    /// Root of the file system of the machine, for tests.
    #[arg(long, value_name = "DIR", default_value = "/", global = true, hide = true)]
    root: PathBuf,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Say which resolver is in use, and whether it knows of a cluster.
    Show,
    /// Send `.consul` names to Consul.
    Install {
        /// Consul's DNS: address and port.
        #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:48600")]
        server: String,

        /// Do it; without this it is only said.
        #[arg(long, short)]
        yes: bool,
    },
    /// Send them nowhere.
    Remove {
        /// Do it; without this it is only said.
        #[arg(long, short)]
        yes: bool,
    },
}

impl Arguments {
    pub(super) fn run(self, reporter: &Reporter) -> Result<()> {
        let resolver = dns::resolver(&self.root, self.resolver.as_deref())?;
        let (change, yes) = match self.action {
            Action::Show => {
                let change = Change::remove(&self.root, resolver)?;
                let state = if change.done {
                    "is not there: `.consul` leads nowhere (`pkgbuilder dns install`)".to_owned()
                } else {
                    let text = std::fs::read_to_string(&change.path).context("reading it")?;
                    format!("says:\n{text}")
                };
                return super::print(&format!("{}\n{} {state}\n", resolver.name(), change.path.display()));
            }
            Action::Install { server, yes } => {
                let server: SocketAddr = server.parse().map_err(|_| {
                    input_error!("`--server {server}` is no address with port, such as 192.168.1.20:8600")
                })?;
                (Change::install(&self.root, resolver, server)?, yes)
            }
            Action::Remove { yes } => (Change::remove(&self.root, resolver)?, yes),
        };
        super::print(&change.describe())?;
        if change.done {
            return Ok(());
        }
        if !yes {
            reporter.step("nothing has been done: --yes does it");
            return Ok(());
        }
        if let Some(line) = change.apply()?
            && self.root == Path::new("/")
        {
            let mut words = line.split(' ');
            command::run(Command::new(words.next().unwrap_or_default()).args(words))?;
        }
        reporter.step("done");
        Ok(())
    }
}
