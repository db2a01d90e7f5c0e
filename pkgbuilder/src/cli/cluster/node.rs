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
    ($name:ident, $about:literal, $example:literal, $done:literal, $what:expr) => {
        #[doc = $about]
        #[derive(Debug, Args)]
        #[command(after_help = concat!("Example:\n  ", $example))]
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

on_a_node!(
    Start,
    "Power a node on.",
    "pkgbuilder cluster start core-1",
    "is on",
    Cluster::start
);
on_a_node!(
    Stop,
    "Shut a node down in order, as its power button does.",
    "pkgbuilder cluster stop core-1",
    "is off",
    Cluster::stop
);
on_a_node!(
    Kill,
    "Cut a node's power.",
    "pkgbuilder cluster kill core-1 && pkgbuilder cluster status --watch      who leads now?",
    "is off",
    Cluster::kill
);
on_a_node!(
    Pause,
    "Let a node stand still, as if time had stopped for it.",
    "pkgbuilder cluster pause core-1",
    "stands still",
    Cluster::pause
);
on_a_node!(
    Resume,
    "Let a paused node go on.",
    "pkgbuilder cluster resume core-1",
    "goes on",
    Cluster::resume
);
on_a_node!(
    Reflash,
    "Give a node a new disk, as if its card had been written anew, and power it on.\n\nIt gets the image that the cluster was \
     made from, which has been in its folder since then.",
    "pkgbuilder cluster reflash worker-1",
    "is on with a new disk",
    Cluster::reflash
);
