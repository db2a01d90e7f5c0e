//! `pkgbuilder cluster`: an image as virtual machines. One file per family of subcommands.

/// `up`, `down`, `list`
mod life;

/// `status`, `env`, `plan`
mod show;

/// `start`, `stop`, `kill`, `pause`, `resume`, `reflash`
mod node;

/// `logs`, `console`
mod console;

/// `link`, `partition`, `heal`
mod faults;

use anyhow::{Context, Result};
use clap::{Args, Subcommand};
use computatom_cluster::cluster::Cluster;
use computatom_cluster::folder::Folder;
use computatom_cluster::segment;

use crate::reporter::Reporter;

/// Try an image as a cluster of virtual machines.
///
/// QEMU only: no root, no bridge, no daemon. The nodes hang on a private segment of their own, whose DHCP server names them;
/// ports of this machine lead to Consul, Nomad and Prometheus. A topology (topologies/NAME.jsonnet) says which nodes.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  pkgbuilder cluster up                       three servers, two clients, a monitor
  pkgbuilder cluster up small                 one node that is everything
  eval \"$(pkgbuilder cluster env)\"            then `nomad node status`, `consul members`
  pkgbuilder cluster status --watch
  pkgbuilder cluster kill core-1              cut its power
  pkgbuilder cluster partition core-1 core-2,core-3
  pkgbuilder cluster heal
  pkgbuilder cluster down                     nothing is left of it")]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,

    /// Which cluster [default: the only one, or for `up` the topology's name]
    #[arg(long, value_name = "NAME", global = true)]
    name: Option<String>,
}

#[derive(Debug, Subcommand)]
enum Command {
    Up(life::Up),
    Down(life::Down),
    List(life::List),
    Status(show::Status),
    Env(show::Env),
    Plan(show::Plan),
    Start(node::Start),
    Stop(node::Stop),
    Kill(node::Kill),
    Pause(node::Pause),
    Resume(node::Resume),
    Reflash(node::Reflash),
    Logs(console::Logs),
    Console(console::Console),
    Link(faults::Link),
    Partition(faults::Partition),
    Heal(faults::Heal),
    /// The private segment of a cluster, in whose folder it is started by `up`.
    #[command(hide = true)]
    Switch {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        _mark: Vec<String>,
    },
}

impl Arguments {
    pub(super) fn run(self, reporter: &Reporter) -> Result<()> {
        let name = self.name.as_deref();
        match self.command {
            Command::Up(command) => command.run(name, reporter),
            Command::Down(command) => command.run(name, reporter),
            Command::List(command) => command.run(),
            Command::Status(command) => command.run(name, reporter),
            Command::Env(command) => command.run(name),
            Command::Plan(command) => command.run(name),
            Command::Start(command) => command.run(name, reporter),
            Command::Stop(command) => command.run(name, reporter),
            Command::Kill(command) => command.run(name, reporter),
            Command::Pause(command) => command.run(name, reporter),
            Command::Resume(command) => command.run(name, reporter),
            Command::Reflash(command) => command.run(name, reporter),
            Command::Logs(command) => command.run(name, reporter),
            Command::Console(command) => command.run(name, reporter),
            Command::Link(command) => command.run(name, reporter),
            Command::Partition(command) => command.run(name, reporter),
            Command::Heal(command) => command.run(name, reporter),
            Command::Switch { .. } => {
                let here = std::env::current_dir().context("finding the folder of the cluster")?;
                segment::run(&Folder::at(here))
            }
        }
    }
}

/// Whether there is nothing more to watch; the person is told.
fn is_gone(cluster: &Cluster, reporter: &Reporter) -> bool {
    let is_gone = !cluster.folder().is_taken();
    if is_gone {
        reporter.step(format_args!("{} is gone", cluster.folder().name()));
    }
    is_gone
}
