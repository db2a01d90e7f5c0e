//! `pkgbuilder cluster up`, `down` and `list`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Result;
use clap::Args;
use computatom_cluster::cluster as running;
use computatom_cluster::process::Process;
use computatom_cluster::topology::Ports;

use crate::cluster::up::Request;
use crate::cluster::{self, table, up};
use crate::definition::topology;
use crate::reporter::Reporter;
use crate::{bail_input, input_error};

/// Make a cluster and wait until its nodes are ready; of one that there is, power on what is off.
///
/// Interrupted (Ctrl-C) before that, it leaves nothing behind.
#[derive(Debug, Args)]
#[command(after_help = "\
Exit codes: 0 all nodes are ready; 2 no such topology, image or port; 1 a node does not get ready, no QEMU, no memory; 130
interrupted.

Examples:
  pkgbuilder cluster up
  pkgbuilder cluster up small
  pkgbuilder cluster up ./mine.jsonnet --port nomad=14646
  pkgbuilder cluster up small --target uefi-arm64 --name arm
  pkgbuilder cluster up small --target raspberrypi-arm64 --name pi")]
pub(super) struct Up {
    /// Name of a topology in topologies/, or a path to a .jsonnet file.
    #[arg(value_name = "TOPOLOGY", default_value = "default")]
    topology: String,

    /// The image to boot: .img or .img.zst [default: the topology's, from out/]
    #[arg(long, value_name = "FILE")]
    image: Option<PathBuf>,

    /// What machines they are: uefi-amd64, uefi-arm64 or raspberrypi-arm64 [default: the topology's]
    #[arg(long, value_name = "NAME")]
    target: Option<String>,

    /// Another port of this machine, as in `nomad=14646` (consul, nomad, prometheus, dns); repeatable.
    #[arg(long, value_name = "WHAT=PORT")]
    port: Vec<String>,

    /// Seconds that the nodes may take until they are ready.
    #[arg(long, value_name = "SECONDS", default_value_t = 900, conflicts_with = "no_wait")]
    timeout: u64,

    /// Do not wait until they are ready.
    #[arg(long)]
    no_wait: bool,
}

impl Up {
    pub(super) fn run(self, name: Option<&str>, reporter: &Reporter) -> Result<()> {
        let mut topology = topology::load(&self.topology, Path::new("."))?;
        if let Some(target) = self.target {
            topology.target = target;
        }
        for port in &self.port {
            set_port(&mut topology.ports, port)?;
        }
        let stem = Path::new(&self.topology)
            .file_stem()
            .unwrap_or_default()
            .to_string_lossy();
        let name = name.unwrap_or(&stem).to_owned();
        let letters = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if name.is_empty() || !name.chars().all(letters) {
            bail_input!("`{name}` is no name for a cluster: use letters, digits, `-` and `_`");
        }
        let request = Request {
            name,
            topology,
            image: self.image,
            patience: (!self.no_wait).then_some(Duration::from_secs(self.timeout)),
        };
        let cluster = up::up(&request, reporter)?;
        super::super::print(&table::places(&cluster))
    }
}

fn set_port(ports: &mut Ports, text: &str) -> Result<()> {
    let wrong = || {
        input_error!(
            "`--port {text}` is none: write one of {} and a port of this machine, as in `nomad=14646`",
            Ports::NAMES.join(", ")
        )
    };
    let (name, port) = text.split_once('=').ok_or_else(wrong)?;
    *ports.get_mut(name).ok_or_else(wrong)? = port.parse().ok().filter(|port| *port != 0).ok_or_else(wrong)?;
    Ok(())
}

/// End a cluster and remove all that it has: nodes, disks, logs.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  pkgbuilder cluster down
  pkgbuilder cluster down --name two-datacenters
  pkgbuilder cluster down --all")]
pub(super) struct Down {
    /// All clusters of this person.
    #[arg(long)]
    all: bool,
}

impl Down {
    pub(super) fn run(self, name: Option<&str>, reporter: &Reporter) -> Result<()> {
        let names = match (self.all, name) {
            (true, Some(_)) => bail_input!("--all and --name say different things"),
            (true, None) => cluster::names(&cluster::clusters()?),
            (false, name) => vec![cluster::find(name)?.name()],
        };
        for name in names {
            let folder = cluster::find(Some(&name))?;
            let _held = folder.lock()?;
            running::down(&folder)?;
            reporter.step(format_args!("{name} is gone"));
        }
        Ok(())
    }
}

/// List the clusters that there are.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  pkgbuilder cluster list
  pkgbuilder cluster list --json | jq -r '.[].folder'")]
pub(super) struct List {
    /// Print them as JSON.
    #[arg(long)]
    json: bool,
}

impl List {
    pub(super) fn run(self) -> Result<()> {
        let clusters = cluster::clusters()?;
        let mut listed = Vec::new();
        for name in cluster::names(&clusters) {
            let folder = cluster::find(Some(&name))?;
            let on = Process::all(&folder)?;
            // One that is half-made has processes at most.
            let nodes: Vec<String> = folder
                .state()
                .map(|state| state.plan.nodes.into_iter().map(|node| node.name).collect())
                .unwrap_or_default();
            let on = on.iter().filter(|process| nodes.contains(&process.name)).count();
            listed.push((name, nodes.len(), on, folder.path().to_owned()));
        }
        let text = if self.json {
            let values: Vec<_> = listed
                .iter()
                .map(|(name, nodes, on, folder)| {
                    serde_json::json!({"name": name, "nodes": nodes, "on": on, "folder": folder})
                })
                .collect();
            format!("{}\n", serde_json::to_string_pretty(&values)?)
        } else {
            let line = |(name, nodes, on, folder): &(String, usize, usize, PathBuf)| {
                format!("{name:<20} {on} of {nodes} nodes on  {}\n", folder.display())
            };
            listed.iter().map(line).collect::<Vec<_>>().concat()
        };
        super::super::print(&text)
    }
}
