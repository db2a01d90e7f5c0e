//! `pkgbuilder dns`: names under `.consul` on the machine that a person sits at.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use clap::{Args, Subcommand};
use computatom_cluster::topology::Ports;
use rustix::process::geteuid;

use crate::dns::{self, Change};
use crate::reporter::Reporter;
use crate::{bail_input, cluster, command, input_error};

/// Let this machine resolve `.consul` names (`nomad.service.consul`) by a cluster.
///
/// Knows systemd-resolved, dnsmasq and macOS. Says what it would do, and does it with --yes.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  pkgbuilder dns show
  pkgbuilder dns install                    your virtual cluster: what would be done
  sudo pkgbuilder dns install --server 127.0.0.1:48600 --yes
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
    #[command(after_help = "\
Example:
  pkgbuilder dns show")]
    Show,
    /// Send `.consul` names to Consul.
    #[command(after_help = "\
Examples:
  pkgbuilder dns install                    your virtual cluster: what would be done
  pkgbuilder dns install --name small       that one of several
  sudo pkgbuilder dns install --server 127.0.0.1:48600 --yes
  sudo pkgbuilder dns install --server 192.168.1.20:8600 --yes")]
    Install {
        /// Consul's DNS: address and port [default: the port that `cluster up` has made for it]
        #[arg(long, value_name = "ADDRESS:PORT")]
        server: Option<String>,

        /// Which virtual cluster [default: the only one]
        #[arg(long, value_name = "NAME", conflicts_with = "server")]
        name: Option<String>,

        /// Do it; without this it is only said.
        #[arg(long, short)]
        yes: bool,
    },
    /// Send them nowhere.
    #[command(after_help = "\
Examples:
  pkgbuilder dns remove                     what would be done
  sudo pkgbuilder dns remove --yes")]
    Remove {
        /// Do it; without this it is only said.
        #[arg(long, short)]
        yes: bool,
    },
}

impl Arguments {
    pub(super) fn run(self, reporter: &Reporter) -> Result<()> {
        let resolver = dns::resolver(&self.root, self.resolver.as_deref())?;
        let (change, yes, again) = match &self.action {
            Action::Show => return show(&Change::remove(&self.root, resolver)?),
            Action::Install { server, name, yes } => {
                let server = match server {
                    Some(text) => text.parse().map_err(|_| {
                        input_error!("`--server {text}` is no address with port, such as 192.168.1.20:8600")
                    })?,
                    None => of_virtual_cluster(name.as_deref(), reporter)?,
                };
                let change = Change::install(&self.root, resolver, server)?;
                // Root has clusters of its own: it is told which port.
                (change, yes, format!("install --server {server}"))
            }
            Action::Remove { yes } => (Change::remove(&self.root, resolver)?, yes, "remove".to_owned()),
        };
        let named = self.resolver.as_deref().map(|name| format!(" --resolver {name}"));
        let by_sudo = format!("`sudo pkgbuilder dns {again}{} --yes`", named.unwrap_or_default());
        super::print(&change.describe())?;
        if *yes {
            return self.apply(&change, &by_sudo, reporter);
        }
        if !change.done {
            reporter.step(format_args!("nothing has been done: {by_sudo} does it"));
        }
        Ok(())
    }

    fn apply(&self, change: &Change, by_sudo: &str, reporter: &Reporter) -> Result<()> {
        change
            .apply()
            .with_context(|| format!("changing this machine's name resolution is for root: {by_sudo} does it"))?;
        if let Some(line) = change.reload()
            && self.root == Path::new("/")
        {
            let mut words = line.split(' ');
            command::run(Command::new(words.next().unwrap_or_default()).args(words))
                .with_context(|| unread(change, line))?;
        }
        reporter.step("done");
        Ok(())
    }
}

/// What is to be done where the file is right and its resolver has not been told.
fn unread(change: &Change, line: &str) -> String {
    let is = match change.content {
        Some(_) => "is as it should be now",
        None => "is gone",
    };
    let sudo = if geteuid().is_root() { "" } else { "sudo " };
    format!(
        "{} {is}, but {} has not been told: `{sudo}{line}` does it",
        change.path.display(),
        change.resolver.name()
    )
}

fn show(installed: &Change) -> Result<()> {
    let state = if installed.done {
        "is not there: `.consul` leads nowhere (`pkgbuilder dns install`)".to_owned()
    } else {
        let text = std::fs::read_to_string(&installed.path).context("reading it")?;
        format!("says:\n{}", text.trim_end())
    };
    super::print(&format!(
        "{}\n{} {state}\n",
        installed.resolver.name(),
        installed.path.display()
    ))
}

/// The port of this machine that leads to the DNS of a virtual cluster.
fn of_virtual_cluster(name: Option<&str>, reporter: &Reporter) -> Result<SocketAddr> {
    let at = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    if name.is_none() && cluster::names(&cluster::clusters()?).is_empty() {
        let usual = at(Ports::default().dns);
        // Root by sudo: the cluster and its port are the person's.
        if std::env::var_os("SUDO_USER").is_some() {
            bail_input!(
                "root has no virtual cluster, and does not know the port of yours: `pkgbuilder dns install` without sudo says the \
                 command with --server"
            );
        }
        reporter.step(format_args!(
            "you have no virtual cluster: taking {usual}, where one that is not told otherwise has its DNS; --server names another"
        ));
        return Ok(usual);
    }
    Ok(at(cluster::open(name)?.state().plan.ports.dns))
}
