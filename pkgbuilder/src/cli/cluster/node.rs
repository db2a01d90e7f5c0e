//! `pkgbuilder cluster start`, `stop`, `kill`, `pause`, `resume` and `reflash`: what is done to one node.

use anyhow::Result;
use clap::Args;
use computatom_cluster::cluster::Cluster;
use computatom_cluster::plan::Node;

use crate::reporter::Reporter;
use crate::{cluster, input_error};

/// Does something to a node, and leads the host's ports to nodes that are on afterwards.
fn with(
    cluster_name: Option<&str>,
    node: &str,
    reporter: &Reporter,
    done: &str,
    what: impl FnOnce(&Cluster, &Node) -> Result<()>,
) -> Result<()> {
    let cluster = cluster::open(cluster_name)?;
    let _held = cluster.folder().lock()?;
    let node = cluster.node(node).map_err(|text| input_error!("{text}"))?;
    cluster.connect()?;
    what(&cluster, node)?;
    cluster.redirect()?;
    reporter.step(format_args!("{} {done}", node.name));
    Ok(())
}

/// A subcommand with a node as its argument.
macro_rules! on_a_node {
    ($name:ident, $about:literal, $done:literal, $what:expr) => {
        #[doc = $about]
        #[derive(Debug, Args)]
        pub(super) struct $name {
            /// The node.
            #[arg(value_name = "NODE")]
            node: String,
        }

        impl $name {
            pub(super) fn run(self, name: Option<&str>, reporter: &Reporter) -> Result<()> {
                with(name, &self.node, reporter, $done, $what)
            }
        }
    };
}

on_a_node!(Start, "Power a node on.", "is on", Cluster::start);
on_a_node!(
    Stop,
    "Shut a node down in order, as its power button does.",
    "is off",
    Cluster::stop
);
on_a_node!(Kill, "Cut a node's power.", "is off", Cluster::kill);
on_a_node!(
    Pause,
    "Let a node stand still, as if time had stopped for it.",
    "stands still",
    Cluster::pause
);
on_a_node!(Resume, "Let a paused node go on.", "goes on", Cluster::resume);
on_a_node!(
    Reflash,
    "Give a node a new disk, as if its card had been written anew, and power it on.",
    "is on with a new disk",
    Cluster::reflash
);
