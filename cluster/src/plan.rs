//! What follows from a topology: who has which address, and what each node is told.

use std::net::Ipv4Addr;

use computatom_spec::role::Role;
use computatom_spec::site::{Site, lay_over};
use computatom_spec::uuid::Uuid;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::machine::{Fixed, Kind};
use crate::topology::{self, HOSTS, Ports, Topology};

/// A cluster as it is to be; nothing in it is left to chance, so that a node that is made anew is the same node.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// Name of the cluster.
    pub name: String,
    /// The target of its image.
    pub target: String,
    /// The segment in CIDR notation.
    pub network: String,
    /// The DHCP server.
    pub router: Ipv4Addr,
    /// What stands for the host in the segment.
    pub host: Ipv4Addr,
    /// The host's resolver, where the nodes may reach beyond the segment.
    pub resolver: Ipv4Addr,
    /// Whether they may.
    pub internet: bool,
    /// Ports of the host.
    pub ports: Ports,
    /// The nodes.
    pub nodes: Vec<Node>,
}

/// A node as it is to be.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Node {
    /// Host name.
    pub name: String,
    /// Its roles.
    pub roles: Vec<Role>,
    /// Its datacenter.
    pub datacenter: String,
    /// Memory in MiB.
    pub memory_mib: u32,
    /// Processors.
    pub cpus: u32,
    /// Size of its disk in GiB.
    pub disk_gib: u32,
    /// Address of its network adapter.
    pub mac: [u8; 6],
    /// The address that the DHCP server gives it.
    pub address: Ipv4Addr,
    /// What its machine id is derived from, as firmware shows it (`xxxxxxxx-xxxx-…`); a Raspberry Pi's serial number is its
    /// first 16 digits.
    pub uuid: String,
    /// The site settings laid over the image's.
    pub site: Value,
}

impl Plan {
    /// Plans a cluster of this name.
    ///
    /// # Errors
    /// What a node could not follow, as a sentence.
    pub fn new(name: &str, topology: &Topology) -> Result<Self, String> {
        topology.check()?;
        let [a, b, c] = topology.prefix()?;
        let address = |last: u8| Ipv4Addr::new(a, b, c, last);
        let addresses: Vec<Ipv4Addr> = HOSTS.map(address).collect();
        let fixed = Kind::of(&topology.target).ok().and_then(Kind::fixed);
        let nodes = topology
            .nodes
            .iter()
            .zip(&addresses)
            .map(|(node, address)| {
                let [.., third, last] = address.octets();
                let site = site(name, topology, &addresses, node)?;
                let chosen = Fixed {
                    cpus: node.cpus,
                    memory_mib: node.memory_mib,
                };
                let Fixed { cpus, memory_mib } = fixed.unwrap_or(chosen);
                Ok(Node {
                    name: node.name.clone(),
                    roles: node.roles.clone(),
                    datacenter: node.datacenter.clone(),
                    memory_mib,
                    cpus,
                    // QEMU takes cards only with a power of two as their size.
                    disk_gib: fixed.map_or(node.disk_gib, |_| node.disk_gib.next_power_of_two()),
                    // QEMU's own prefix, of the locally administered addresses.
                    mac: [0x52, 0x54, 0, 0x77, third, last],
                    address: *address,
                    uuid: uuid(name, &node.name),
                    site,
                })
            })
            .collect::<Result<_, String>>()?;
        Ok(Self {
            name: name.to_owned(),
            target: topology.target.clone(),
            network: topology.network.clone(),
            router: address(1),
            host: address(2),
            resolver: address(3),
            internet: topology.internet,
            ports: topology.ports,
            nodes,
        })
    }

    /// The machine that all nodes are.
    ///
    /// # Errors
    /// There is none for the target: which targets have one.
    pub fn kind(&self) -> Result<Kind, String> {
        Kind::of(&self.target)
    }

    /// Memory that the nodes may take, in MiB.
    pub fn memory_mib(&self) -> u64 {
        self.nodes.iter().map(|node| u64::from(node.memory_mib)).sum()
    }

    /// The node of that name.
    pub fn node(&self, name: &str) -> Option<&Node> {
        self.nodes.iter().find(|node| node.name == name)
    }
}

/// What a node is told: who the servers of its datacenter are and who does what there, and the topology's own settings.
fn site(cluster: &str, topology: &Topology, addresses: &[Ipv4Addr], of: &topology::Node) -> Result<Value, String> {
    let datacenter = of.datacenter.as_str();
    let here = topology.datacenters.get(datacenter);
    let region = match here.and_then(|here| here.region.as_deref()) {
        Some(region) => region,
        None if topology.datacenters().len() > 1 => datacenter,
        None => "global",
    };
    let (mut servers, mut server_addresses, mut wan_addresses, mut roles) = (vec![], vec![], vec![], vec![]);
    for (node, address) in topology.nodes.iter().zip(addresses) {
        if node.datacenter == datacenter {
            roles.push(json!({"hostname": node.name, "roles": node.roles}));
        }
        if node.is_server_of(datacenter) {
            servers.push(&node.name);
            // The others': a single server has nobody to join, and sees it by this.
            if node.name != of.name {
                server_addresses.push(address);
            }
        } else if node.is_server_of(&node.datacenter) {
            wan_addresses.push(address);
        }
    }
    let mut site = json!({
        "cluster": cluster,
        "datacenter": datacenter,
        "region": region,
        "servers": servers,
        "server_addresses": server_addresses,
        "wan_addresses": wan_addresses,
        "lan": topology.network,
        "roles": roles,
    });
    lay_over(&mut site, Value::Object(topology.site.clone()));
    if let Some(here) = here {
        lay_over(&mut site, Value::Object(here.site.clone()));
    }
    let read: Site = serde_json::from_value(site.clone()).map_err(|error| format!("`site`: {error}"))?;
    read.check().map_err(|text| format!("`site`: {text}"))?;
    Ok(site)
}

/// The same for the same node of the same cluster, whenever it is made.
fn uuid(cluster: &str, node: &str) -> String {
    let digest = Sha256::digest(format!("computatom virtual node\0{cluster}\0{node}"));
    Uuid::of_digest(digest.into()).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(value: Value) -> Plan {
        Plan::new("default", &serde_json::from_value(value).unwrap()).unwrap()
    }

    #[test]
    fn nodes_are_told_their_servers_and_roles() {
        let plan = plan(json!({"nodes": [
            {"name": "core-1", "roles": ["server"]},
            {"name": "core-2", "roles": ["server"]},
            {"name": "core-3", "roles": ["server"]},
            {"name": "worker-1", "roles": ["client"], "memory_mib": 1024},
        ]}));
        let worker = plan.node("worker-1").unwrap();
        assert_eq!(worker.address, Ipv4Addr::new(10, 77, 0, 14));
        assert_eq!(worker.mac, [0x52, 0x54, 0, 0x77, 0, 14]);
        assert_eq!(worker.site["servers"], json!(["core-1", "core-2", "core-3"]));
        assert_eq!(worker.site["server_addresses"][2], "10.77.0.13");
        assert_eq!(worker.site["region"], "global");
        assert_eq!(
            worker.site["roles"][3],
            json!({"hostname": "worker-1", "roles": ["client"]})
        );
        assert_eq!(
            plan.nodes[0].site["server_addresses"],
            json!(["10.77.0.12", "10.77.0.13"])
        );
    }

    #[test]
    fn a_raspberry_pi_is_what_it_is() {
        let of = |target: &str| {
            let node = json!({"name": "core-1", "roles": ["server"], "memory_mib": 640, "disk_gib": 12});
            let plan = plan(json!({"target": target, "nodes": [node]}));
            let [node] = plan.nodes.as_slice() else {
                panic!("one node")
            };
            (node.cpus, node.memory_mib, node.disk_gib)
        };
        assert_eq!(of("raspberrypi-arm64"), (4, 1024, 16));
        assert_eq!(of("uefi-arm64"), (1, 640, 12));
    }

    #[test]
    fn two_datacenters_know_each_others_servers() {
        let plan = plan(json!({
            "site": {"timezone": "Europe/Berlin", "nomad": {"raw_exec": true}},
            "datacenters": {"attic": {"site": {"nomad": {"reserved_cpu": 1}}}},
            "nodes": [
                {"name": "core-1", "roles": ["server", "client"]},
                {"name": "attic-1", "roles": ["server"], "datacenter": "attic"},
            ],
        }));
        let [home, attic] = [0, 1].map(|index| &plan.nodes[index].site);
        assert_eq!((&home["region"], &attic["region"]), (&json!("home"), &json!("attic")));
        assert_eq!(home["wan_addresses"], json!(["10.77.0.12"]));
        assert_eq!(attic["wan_addresses"], json!(["10.77.0.11"]));
        assert_eq!(
            (&attic["servers"], &attic["server_addresses"]),
            (&json!(["attic-1"]), &json!([]))
        );
        assert_eq!(attic["roles"], json!([{"hostname": "attic-1", "roles": ["server"]}]));
        assert_eq!(attic["timezone"], "Europe/Berlin");
        assert_eq!(attic["nomad"], json!({"raw_exec": true, "reserved_cpu": 1}));
    }

    #[test]
    fn settings_that_no_node_could_follow_are_refused() {
        let topology = |site: Value| {
            let value = json!({"nodes": [{"name": "a", "roles": ["server"]}], "site": site});
            Plan::new("x", &serde_json::from_value(value).unwrap()).unwrap_err()
        };
        assert!(topology(json!({"timezone": "no zone"})).contains("`site`: `timezone`"));
        assert!(topology(json!({"sever": 1})).contains("unknown field `sever`"));
    }

    #[test]
    fn a_node_made_anew_is_the_same_node() {
        assert_eq!(uuid("default", "core-1"), uuid("default", "core-1"));
        assert_ne!(uuid("default", "core-1"), uuid("other", "core-1"));
        let text = uuid("default", "core-1");
        assert_eq!((text.len(), &text[14..15]), (36, "8"));
    }
}
