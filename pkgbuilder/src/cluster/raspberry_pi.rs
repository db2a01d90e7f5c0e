//! What nodes that are Raspberry Pis need besides: their firmware's part, and an eye on QEMU's model of their USB port.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::Result;
use computatom_cluster::cluster::Cluster;
use computatom_cluster::folder::Folder;
use computatom_cluster::machine::{self, Kind, raspberry_pi};
use computatom_cluster::plan::Plan;
use computatom_cluster::survey::{Power, Report};

use crate::assemble::{device_tree, firmware};
use crate::reporter::Reporter;

/// Hands QEMU what the firmware of a Raspberry Pi would take from the card, with a serial number for each.
pub(super) fn hand_over(folder: &Folder, plan: &Plan, base: &Path) -> Result<()> {
    let taken = firmware::boot(base, firmware::Board::Pi3, &firmware::Options::default())?;
    raspberry_pi::hand_over(
        folder,
        raspberry_pi::Boot {
            kernel: &taken.kernel,
            initramfs: &taken.initramfs,
            command_line: &taken.cmdline,
        },
    )?;
    for node in &plan.nodes {
        let own = device_tree::with_serial(&taken.device_tree, &raspberry_pi::serial(node))?;
        raspberry_pi::hand_over_device_tree(folder, node, &own)?;
    }
    Ok(())
}

/// The network adapters of a cluster's nodes, of which QEMU loses one at times while they boot.
#[derive(Debug)]
pub(super) struct Adapters<'a> {
    cluster: &'a Cluster,
    /// How much the consoles of nodes had shown before the boot that counts, in bytes.
    shown_before: BTreeMap<String, u64>,
}

impl<'a> Adapters<'a> {
    /// Those of a cluster some of whose nodes are `started`.
    pub(super) fn of(cluster: &'a Cluster, started: &BTreeSet<String>) -> Self {
        let nodes = cluster.state().plan.nodes.iter();
        let shown_before = nodes
            .filter(|node| !started.contains(&node.name))
            .map(|node| (node.name.clone(), shown(cluster, &node.name)))
            .collect();
        Self { cluster, shown_before }
    }

    /// Powers those off and on again that have lost it: they would wait for it for ever.
    pub(super) fn find_again(&mut self, waiting: &[&Report], reporter: &Reporter) -> Result<()> {
        if Kind::of(&self.cluster.state().plan.target) != Ok(Kind::Pi3) {
            return Ok(());
        }
        for report in waiting {
            let before = self.shown_before.get(&report.name).copied().unwrap_or_default();
            let boots = report.power == Power::On && !report.answers();
            if !boots || !raspberry_pi::has_lost_its_port(&report.log, before)? {
                continue;
            }
            let node = self.cluster.node(&report.name).map_err(anyhow::Error::msg)?;
            reporter.step(format_args!(
                "{}: QEMU lost its network adapter; off and on again",
                node.name
            ));
            self.cluster.kill(node)?;
            self.shown_before
                .insert(node.name.clone(), shown(self.cluster, &node.name));
            self.cluster.start(node)?;
        }
        Ok(())
    }
}

/// How much a node's console has shown.
fn shown(cluster: &Cluster, name: &str) -> u64 {
    let log = machine::console_log(cluster.folder(), name);
    std::fs::metadata(log).map_or(0, |metadata| metadata.len())
}
