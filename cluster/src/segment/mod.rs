//! The private layer-2 segment: a switch between the nodes' network adapters, which are unix datagram sockets of QEMU
//! (`-netdev dgram`), one frame a datagram; and the DHCP server that names them, as the router at home does.
//!
//! Its process may end and be started again without a node noticing more than lost frames: nothing is connected.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};

use crate::plan::Plan;

/// Ethernet frames, as far as the segment looks into them.
mod frame;

/// The DHCP server.
mod dhcp;

/// Which port a frame leaves by.
mod forwarding;

/// Sockets and the loop over them.
mod switch;

pub use switch::{run, tell};

/// Name of the switch's process.
pub const PROCESS: &str = "switch";

/// A network adapter's address.
pub type Mac = [u8; 6];

/// Whom the segment connects, in the order of its ports; the host's port comes behind theirs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Address of the DHCP server.
    pub router: Ipv4Addr,
    /// What stands for the host.
    pub host: Ipv4Addr,
    /// Who resolves names beyond the segment, where a way leads out of it: by the host.
    pub resolver: Option<Ipv4Addr>,
    /// The nodes.
    pub members: Vec<Member>,
}

/// A node as the segment knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Host name.
    pub name: String,
    /// Its adapter.
    pub mac: Mac,
    /// The address that belongs to it.
    pub address: Ipv4Addr,
}

impl Segment {
    /// The segment of a cluster.
    pub fn of(plan: &Plan) -> Self {
        Self {
            router: plan.router,
            host: plan.host,
            resolver: plan.internet.then_some(plan.resolver),
            members: plan
                .nodes
                .iter()
                .map(|node| Member {
                    name: node.name.clone(),
                    mac: node.mac,
                    address: node.address,
                })
                .collect(),
        }
    }
}

/// What is wrong with the segment, on purpose. Kept in the cluster's folder, so that it outlives the switch.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Faults {
    /// Groups of nodes that hear nothing of each other; who is in no group hears all.
    #[serde(default)]
    pub partition: Vec<BTreeSet<String>>,
    /// Nodes whose cable is pulled.
    #[serde(default)]
    pub unplugged: BTreeSet<String>,
}

impl Faults {
    /// Whether frames from one node reach another.
    pub fn connects(&self, from: &str, to: &str) -> bool {
        if self.unplugged.contains(from) || self.unplugged.contains(to) {
            return false;
        }
        let group = |name: &str| self.partition.iter().position(|group| group.contains(name));
        match (group(from), group(to)) {
            (Some(a), Some(b)) => a == b,
            _ => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partition_separates_its_groups_and_nobody_else() {
        let group = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let mut faults = Faults {
            partition: vec![group(&["a", "b"]), group(&["c"])],
            unplugged: BTreeSet::new(),
        };
        assert!(faults.connects("a", "b") && faults.connects("a", "d") && faults.connects("d", "c"));
        assert!(!faults.connects("a", "c") && !faults.connects("c", "b"));
        faults.unplugged.insert("d".to_owned());
        assert!(!faults.connects("a", "d") && !faults.connects("d", "a"));
    }
}
