//! `pkgbuilder cluster link`, `partition` and `heal`: the network made worse on purpose, and good again.

use std::collections::BTreeSet;

use anyhow::Result;
use clap::{Args, ValueEnum};

use crate::reporter::Reporter;
use crate::{cluster, input_error};

/// Pull a node's cable, or put it in.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  pkgbuilder cluster link core-1 down
  pkgbuilder cluster link core-1 up")]
pub(super) struct Link {
    /// The node.
    #[arg(value_name = "NODE")]
    node: String,

    /// What becomes of its cable.
    #[arg(value_name = "down|up")]
    state: State,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum State {
    /// Pulled
    Down,
    /// In
    Up,
}

impl Link {
    pub(super) fn run(self, name: Option<&str>, reporter: &Reporter) -> Result<()> {
        let cluster = cluster::open(name)?;
        let _held = cluster.folder().lock()?;
        let node = cluster.node(&self.node).map_err(|text| input_error!("{text}"))?;
        let up = matches!(self.state, State::Up);
        cluster.plug(node, up)?;
        let now = if up { "in" } else { "pulled" };
        reporter.step(format_args!("the cable of {} is {now}", node.name));
        Ok(())
    }
}

/// Let groups of nodes hear nothing of each other. Nodes in no group hear all; this machine sees both sides.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  pkgbuilder cluster partition core-1 core-2,core-3")]
pub(super) struct Partition {
    /// Names of nodes with commas between; two groups or more.
    #[arg(value_name = "GROUP", required = true, num_args = 2..)]
    groups: Vec<String>,
}

impl Partition {
    pub(super) fn run(self, name: Option<&str>, reporter: &Reporter) -> Result<()> {
        let cluster = cluster::open(name)?;
        let _held = cluster.folder().lock()?;
        let group = |text: &String| -> BTreeSet<String> {
            text.split(',')
                .filter(|name| !name.is_empty())
                .map(str::to_owned)
                .collect()
        };
        cluster
            .partition(self.groups.iter().map(group).collect())
            .map_err(|text| input_error!("{text}"))?;
        reporter.step(format_args!("{} hear nothing of each other", self.groups.join(" and ")));
        Ok(())
    }
}

/// End a partition, and put all cables in.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  pkgbuilder cluster heal")]
pub(super) struct Heal {}

impl Heal {
    #[allow(clippy::unused_self, reason = "every subcommand has the same shape")]
    pub(super) fn run(self, name: Option<&str>, reporter: &Reporter) -> Result<()> {
        let cluster = cluster::open(name)?;
        let _held = cluster.folder().lock()?;
        cluster.heal()?;
        reporter.step("the network is whole");
        Ok(())
    }
}
