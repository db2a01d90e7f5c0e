//! What nodes that are Raspberry Pis need besides: their firmware's part, and an eye on QEMU's model of their USB port.

use std::path::Path;

use anyhow::Result;
use computatom_cluster::cluster::Cluster;
use computatom_cluster::folder::Folder;
use computatom_cluster::machine::{Kind, raspberry_pi};
use computatom_cluster::plan::Plan;
use computatom_cluster::process::Process;
use computatom_cluster::survey::{Power, Report};

use crate::assemble::{device_tree, firmware};
use crate::input_error;
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
        // Before anything is powered on.
        raspberry_pi::command_line(&taken.cmdline, node).map_err(|text| input_error!("{text}"))?;
        let own = device_tree::with_serial(&taken.device_tree, &raspberry_pi::serial(node))?;
        raspberry_pi::hand_over_device_tree(folder, node, &own)?;
    }
    Ok(())
}

/// Powers nodes off and on again of which QEMU has lost the network adapter: they would wait for it for ever.
pub(super) fn find_adapters(cluster: &Cluster, waiting: &[&Report], reporter: &Reporter) -> Result<()> {
    if cluster.state().plan.kind() != Ok(Kind::Pi3) {
        return Ok(());
    }
    for report in waiting {
        let boots = report.power == Power::On && !report.answers();
        if !boots || !raspberry_pi::has_lost_its_port(cluster.folder(), &report.name)? {
            continue;
        }
        let node = cluster.node(&report.name).map_err(anyhow::Error::msg)?;
        // It may have died since it was asked, of which the next look tells.
        let Some(process) = Process::find(cluster.folder(), &node.name)? else {
            continue;
        };
        reporter.step(format_args!(
            "{}: QEMU lost its network adapter; off and on again",
            node.name
        ));
        process.kill()?;
        cluster.start(node)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use computatom_cluster::folder::{Source, State, VERSION};
    use computatom_cluster::machine::{Accelerator, console_log};
    use serde_json::json;

    use super::*;

    #[test]
    fn a_board_that_has_died_meanwhile_is_left_to_the_next_look() {
        let place = tempfile::tempdir().unwrap();
        let folder = Folder::at(place.path().to_owned());
        let topology = json!({"target": "raspberrypi-arm64", "nodes": [{"name": "core-1", "roles": ["server"]}]});
        let plan = Plan::new("test", &serde_json::from_value(topology).unwrap()).unwrap();
        let node = plan.nodes[0].clone();
        let state = State {
            version: VERSION,
            plan,
            base: PathBuf::new(),
            source: Source {
                path: PathBuf::new(),
                digest: String::new(),
            },
            accelerator: Accelerator::Tcg,
            pages: vec![1],
        };
        folder.set_state(&state).unwrap();
        let log = console_log(&folder, &node.name);
        std::fs::write(&log, raspberry_pi::PORT_LOST).unwrap();
        let report = Report {
            name: node.name,
            power: Power::On,
            roles: Vec::new(),
            reason: None,
            datacenter: node.datacenter,
            address: node.address,
            page: String::new(),
            consul: None,
            nomad: None,
            ready: false,
            waits_for: Vec::new(),
            log,
        };
        assert!(raspberry_pi::has_lost_its_port(&folder, &report.name).unwrap());
        let cluster = Cluster::open(folder, (PathBuf::new(), Vec::new())).unwrap();
        find_adapters(&cluster, &[&report], &Reporter::new(true)).unwrap();
    }
}
