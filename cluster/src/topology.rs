//! Topologies: which nodes a virtual cluster has. Written as Jsonnet (`topologies/NAME.jsonnet`), read as JSON.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use computatom_spec::role::Role;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::machine::Kind;

/// A topology as written.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Topology {
    /// One line for people.
    #[serde(default)]
    pub description: String,
    /// The definition whose image the nodes boot; unset: one for such machines.
    #[serde(default)]
    pub image: Option<String>,
    /// The target of that image: what machines they are.
    #[serde(default = "uefi_amd64")]
    pub target: String,
    /// The segment in CIDR notation, a /24.
    #[serde(default = "network")]
    pub network: String,
    /// Whether the nodes reach what the host reaches, through it; else they see each other only.
    #[serde(default)]
    pub internet: bool,
    /// Ports of the host.
    #[serde(default)]
    pub ports: Ports,
    /// Datacenters by name; those that only nodes name need not be here.
    #[serde(default)]
    pub datacenters: BTreeMap<String, Datacenter>,
    /// Site settings for all nodes, laid over the image's.
    #[serde(default)]
    pub site: Map<String, Value>,
    /// The nodes.
    pub nodes: Vec<Node>,
}

/// A datacenter of Consul and Nomad.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Datacenter {
    /// Nomad's region; unset: `global` where there is one datacenter, else the datacenter's name.
    pub region: Option<String>,
    /// Site settings for its nodes, laid over those for all.
    pub site: Map<String, Value>,
}

/// A node.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Node {
    /// Host name, as the segment's DHCP server gives it.
    pub name: String,
    /// What it is; none: a node that is no more than seen.
    pub roles: Vec<Role>,
    /// Memory in MiB.
    #[serde(default = "memory")]
    pub memory_mib: u32,
    /// Processors.
    #[serde(default = "one")]
    pub cpus: u32,
    /// Size of its disk in GiB; what is not written takes no room on the host.
    #[serde(default = "disk")]
    pub disk_gib: u32,
    /// Its datacenter.
    #[serde(default = "home")]
    pub datacenter: String,
}

/// Ports of the host that lead into the cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Ports {
    /// Consul's interface and page.
    pub consul: u16,
    /// Nomad's interface and page.
    pub nomad: u16,
    /// Prometheus.
    pub prometheus: u16,
    /// Consul's DNS.
    pub dns: u16,
}

impl Ports {
    /// The names by which they are set.
    pub const NAMES: [&str; 4] = ["consul", "nomad", "prometheus", "dns"];

    /// Each with its name.
    pub fn named(&self) -> [(&'static str, u16); 4] {
        let [consul, nomad, prometheus, dns] = Self::NAMES;
        [
            (consul, self.consul),
            (nomad, self.nomad),
            (prometheus, self.prometheus),
            (dns, self.dns),
        ]
    }

    /// The port of that name.
    pub fn get_mut(&mut self, name: &str) -> Option<&mut u16> {
        match name {
            "consul" => Some(&mut self.consul),
            "nomad" => Some(&mut self.nomad),
            "prometheus" => Some(&mut self.prometheus),
            "dns" => Some(&mut self.dns),
            _ => None,
        }
    }
}

impl Default for Ports {
    fn default() -> Self {
        Self {
            consul: 48500,
            nomad: 44646,
            prometheus: 49090,
            dns: 48600,
        }
    }
}

fn uefi_amd64() -> String {
    "uefi-amd64".to_owned()
}

fn network() -> String {
    "10.77.0.0/24".to_owned()
}

fn home() -> String {
    "home".to_owned()
}

const fn memory() -> u32 {
    512
}

const fn one() -> u32 {
    1
}

const fn disk() -> u32 {
    16
}

/// Least memory in MiB: with less the firmware hangs without a word.
const LEAST_MEMORY: u32 = 384;
/// Addresses of a segment that its nodes have, by their last byte; those before are the router's and the host's.
pub const HOSTS: std::ops::Range<u8> = 11..251;

impl Topology {
    /// Refuses what cannot be made.
    ///
    /// # Errors
    /// A sentence that names the key, what is wrong with it, and what to write instead.
    pub fn check(&self) -> Result<(), String> {
        self.prefix()?;
        if self.nodes.is_empty() {
            return Err("`nodes` is empty; a cluster has at least one node".to_owned());
        }
        if self.nodes.len() > HOSTS.len() {
            return Err(format!(
                "`nodes` has {} entries; a segment has room for {}",
                self.nodes.len(),
                HOSTS.len()
            ));
        }
        for (index, node) in self.nodes.iter().enumerate() {
            node.check().map_err(|text| format!("`nodes[{index}]`: {text}"))?;
            if self.nodes[..index].iter().any(|other| other.name == node.name) {
                return Err(format!(
                    "`nodes` has `{}` twice; every node has its own name",
                    node.name
                ));
            }
        }
        for datacenter in self.datacenters() {
            let servers = self.nodes.iter().filter(|node| node.is_server_of(datacenter)).count();
            if servers == 0 {
                return Err(format!(
                    "datacenter `{datacenter}` has no server; give one of its nodes the role `server`"
                ));
            }
        }
        for name in self.datacenters.keys() {
            if !self.nodes.iter().any(|node| node.datacenter == *name) {
                return Err(format!("`datacenters` has `{name}`, but no node is in it"));
            }
        }
        let ports = self.ports.named();
        for (index, (name, port)) in ports.iter().enumerate() {
            if *port == 0 {
                return Err(format!("`ports.{name}` is 0; write a port of the host"));
            }
            if let Some((other, _)) = ports[..index].iter().find(|(_, taken)| taken == port) {
                return Err(format!("`ports.{name}` and `ports.{other}` are both {port}"));
            }
        }
        Ok(())
    }

    /// The first three bytes of the segment's addresses.
    pub(crate) fn prefix(&self) -> Result<[u8; 3], String> {
        let wrong = || {
            format!(
                "`network` is `{}`; write a private /24, such as 10.77.0.0/24",
                self.network
            )
        };
        let address = self.network.strip_suffix("/24").ok_or_else(wrong)?;
        let address: Ipv4Addr = address.parse().map_err(|_| wrong())?;
        match address.octets() {
            [a, b, c, 0] if address.is_private() => Ok([a, b, c]),
            _ => Err(wrong()),
        }
    }

    /// The datacenters that nodes name, in their order.
    pub fn datacenters(&self) -> Vec<&str> {
        let mut names: Vec<&str> = Vec::new();
        for node in &self.nodes {
            if !names.contains(&node.datacenter.as_str()) {
                names.push(&node.datacenter);
            }
        }
        names
    }

    /// The definition whose image nodes of that kind boot.
    pub fn image(&self, kind: Kind) -> &str {
        self.image.as_deref().unwrap_or_else(|| kind.image())
    }
}

impl Node {
    /// Whether it is a server of that datacenter.
    pub(crate) fn is_server_of(&self, datacenter: &str) -> bool {
        self.datacenter == datacenter && self.roles.contains(&Role::Server)
    }

    fn check(&self) -> Result<(), String> {
        // A label of RFC 1123 that no resolver takes for something else; also the name of files.
        let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        let label = !self.name.is_empty() && self.name.len() <= 63 && self.name.chars().all(allowed);
        let ends = self.name.starts_with('-') || self.name.ends_with('-');
        let only_digits = self.name.bytes().all(|byte| byte.is_ascii_digit());
        if !label || ends || only_digits || self.name == "localhost" {
            return Err(format!(
                "`name` is `{}`; a host name is lower-case letters, digits and inner `-`, and not only digits",
                self.name
            ));
        }
        if self.memory_mib < LEAST_MEMORY {
            return Err(format!(
                "`memory_mib` of `{}` is {}; use at least {LEAST_MEMORY}",
                self.name, self.memory_mib
            ));
        }
        if self.cpus == 0 || self.cpus > 64 {
            return Err(format!("`cpus` of `{}` is {}; use 1 to 64", self.name, self.cpus));
        }
        if self.disk_gib < 4 || self.disk_gib > 2048 {
            return Err(format!(
                "`disk_gib` of `{}` is {}; use 4 to 2048",
                self.name, self.disk_gib
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn said(value: Value) -> String {
        let topology: Topology = serde_json::from_value(value).unwrap();
        topology.check().unwrap_err()
    }

    #[test]
    fn what_cannot_be_made_is_refused() {
        let server = json!({"name": "core-1", "roles": ["server"]});
        assert_eq!(
            serde_json::from_value::<Topology>(json!({"nodes": [server]}))
                .unwrap()
                .check(),
            Ok(())
        );
        for (value, says) in [
            (json!({"nodes": []}), "`nodes` is empty"),
            (json!({"nodes": [server, server]}), "`core-1` twice"),
            (
                json!({"nodes": [{"name": "Core", "roles": []}]}),
                "`nodes[0]`: `name` is `Core`",
            ),
            (
                json!({"nodes": [{"name": "a", "roles": [], "memory_mib": 64}]}),
                "at least 384",
            ),
            (
                json!({"nodes": [{"name": "a", "roles": [], "cpus": 0}]}),
                "`cpus` of `a`",
            ),
            (
                json!({"nodes": [{"name": "a", "roles": [], "disk_gib": 1}]}),
                "`disk_gib`",
            ),
            (
                json!({"nodes": [{"name": "a", "roles": ["client"]}]}),
                "`home` has no server",
            ),
            (
                json!({"nodes": [server], "datacenters": {"attic": {}}}),
                "no node is in it",
            ),
            (
                json!({"nodes": [server], "network": "10.0.0.0/8"}),
                "`network` is `10.0.0.0/8`",
            ),
            (json!({"nodes": [server], "network": "8.8.8.0/24"}), "private"),
            (json!({"nodes": [server], "ports": {"consul": 1, "nomad": 1}}), "both 1"),
            (json!({"nodes": [server], "ports": {"dns": 0}}), "`ports.dns` is 0"),
        ] {
            let text = said(value);
            assert!(text.contains(says), "`{text}` does not say `{says}`");
        }
    }

    #[test]
    fn unknown_roles_and_keys_are_refused() {
        let read = |value| serde_json::from_value::<Topology>(value).unwrap_err().to_string();
        let text = read(json!({"nodes": [{"name": "a", "roles": ["worker"]}]}));
        assert!(
            text.contains("unknown variant `worker`, expected one of `server`, `client`, `monitor`"),
            "{text}"
        );
        assert!(read(json!({"node": []})).contains("unknown field `node`"));
    }
}
