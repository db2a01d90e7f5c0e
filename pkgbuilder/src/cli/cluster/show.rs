//! `pkgbuilder cluster status`, `env` and `plan`.

use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use clap::Args;
use computatom_cluster::survey;

use crate::cluster::{self, table};
use crate::definition::topology;
use crate::failure::Answer;
use crate::reporter::Reporter;
use crate::{input_error, interrupt};

/// Show the nodes: name, roles and why, address, what Consul and Nomad say there, what they wait for.
#[derive(Debug, Args)]
#[command(after_help = "\
Exit codes: 0 all nodes are ready; 1 some are not.

Examples:
  pkgbuilder cluster status
  pkgbuilder cluster status --watch
  pkgbuilder cluster status --json | jq -r '.[] | select(.ready | not) | .name'")]
pub(super) struct Status {
    /// Show it anew every two seconds, until Ctrl-C or the cluster's end.
    #[arg(long, short)]
    watch: bool,

    /// Print it as JSON.
    #[arg(long, conflicts_with = "watch")]
    json: bool,
}

impl Status {
    pub(super) fn run(self, name: Option<&str>, reporter: &Reporter) -> Result<()> {
        let cluster = cluster::open(name)?;
        loop {
            let reports = survey::ask(cluster.folder(), cluster.state())?;
            let text = if self.json {
                format!("{}\n", serde_json::to_string_pretty(&reports)?)
            } else {
                table::table(&cluster, &reports, &cluster.folder().faults()?)
            };
            if !self.watch {
                super::super::print(&text)?;
                let ready = reports.iter().all(|report| report.ready);
                return if ready { Ok(()) } else { Err(Answer(1).into()) };
            }
            // The cursor to the top, and the rest of the screen cleared (ECMA-48: CUP, ED).
            let is_read = super::super::is_read(&format!("\u{1b}[H\u{1b}[J{text}"))?;
            if !is_read {
                return Ok(());
            }
            std::thread::sleep(Duration::from_secs(2));
            if interrupt::check().is_err() || super::is_gone(&cluster, reporter) {
                return Ok(());
            }
        }
    }
}

/// Print what a shell needs to speak to the cluster.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  eval \"$(pkgbuilder cluster env)\" && nomad node status && consul members")]
pub(super) struct Env {}

impl Env {
    #[allow(clippy::unused_self, reason = "every subcommand has the same shape")]
    pub(super) fn run(self, name: Option<&str>) -> Result<()> {
        let cluster = cluster::open(name)?;
        let plan = &cluster.state().plan;
        let region = plan.nodes[0].site["region"].as_str().unwrap_or("global");
        let ports = plan.ports;
        super::super::print(&format!(
            "export NOMAD_ADDR=http://127.0.0.1:{}\nexport NOMAD_REGION={region}\n\
             export CONSUL_HTTP_ADDR=http://127.0.0.1:{}\nexport PROMETHEUS_URL=http://127.0.0.1:{}\n",
            ports.nomad, ports.consul, ports.prometheus
        ))
    }
}

/// Print what follows from a topology, without making anything: addresses, adapters, settings, as JSON.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  pkgbuilder cluster plan two-datacenters | jq '.nodes[] | {name, address, mac}'")]
pub(super) struct Plan {
    /// Name of a topology in topologies/, or a path to a .jsonnet file.
    #[arg(value_name = "TOPOLOGY", default_value = "default")]
    topology: String,
}

impl Plan {
    pub(super) fn run(self, name: Option<&str>) -> Result<()> {
        let topology = topology::load(&self.topology, Path::new("."))?;
        let stem = Path::new(&self.topology)
            .file_stem()
            .unwrap_or_default()
            .to_string_lossy();
        let plan = computatom_cluster::plan::Plan::new(name.unwrap_or(&stem), &topology)
            .map_err(|text| input_error!("{text}"))?;
        super::super::print(&format!("{}\n", serde_json::to_string_pretty(&plan)?))
    }
}
