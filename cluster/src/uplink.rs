//! The way from the host into the segment: one process of QEMU that is no machine, but its user-mode network (slirp) and a
//! hub. It forwards ports of the host to nodes, and packets of the nodes outwards where the topology allows that.

use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::path::Path;

use anyhow::{Context, Result};
use computatom_spec::paths;
use computatom_spec::role::Role;
use serde::{Deserialize, Serialize};

use crate::folder::{Folder, State};
use crate::machine::{self, Qmp};
use crate::plan::{Node, Plan};
use crate::process::Process;

/// Ports on the nodes: Consul's, Nomad's, Prometheus', Consul's DNS.
const CONSUL: u16 = 8500;
const NOMAD: u16 = 4646;
const PROMETHEUS: u16 = 9090;
pub(crate) const DNS: u16 = 8600;

/// A port of the host and where it leads.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Forward {
    /// What it is for: `consul`, `nomad`, `prometheus`, `dns`, or a node's name for its agent's page.
    pub name: String,
    /// `tcp` or `udp`.
    pub protocol: String,
    /// The port on the host's loopback address.
    pub port: u16,
    /// The node and the port there; none while no node serves it.
    pub to: Option<(Ipv4Addr, u16)>,
}

impl Forward {
    /// As slirp's `hostfwd` has it.
    fn rule(&self) -> Option<String> {
        let (address, port) = self.to?;
        Some(format!("{}:127.0.0.1:{}-{address}:{port}", self.protocol, self.port))
    }
}

/// What the host's ports lead to while the nodes that `is_on` accepts are on: the first that serves it.
pub fn forwards(plan: &Plan, pages: &[u16], is_on: impl Fn(&Node) -> bool) -> Vec<Forward> {
    let first = |roles: &[Role]| {
        let serves = |node: &&Node| roles.iter().any(|role| node.roles.contains(role)) && is_on(node);
        plan.nodes.iter().find(serves).map(|node| node.address)
    };
    let (server, monitor) = (first(&[Role::Server]), first(&[Role::Monitor]));
    let to = |address: Option<Ipv4Addr>, port| address.map(|address| (address, port));
    let named = [
        ("consul", "tcp", plan.ports.consul, to(server, CONSUL)),
        ("nomad", "tcp", plan.ports.nomad, to(server, NOMAD)),
        ("prometheus", "tcp", plan.ports.prometheus, to(monitor, PROMETHEUS)),
        ("dns", "tcp", plan.ports.dns, to(server, DNS)),
        ("dns", "udp", plan.ports.dns, to(server, DNS)),
    ];
    let mut forwards: Vec<Forward> = named
        .into_iter()
        .map(|(name, protocol, port, to)| Forward {
            name: name.to_owned(),
            protocol: str::to_owned(protocol),
            port,
            to,
        })
        .collect();
    forwards.extend(plan.nodes.iter().zip(pages).map(|(node, port)| Forward {
        name: node.name.clone(),
        protocol: "tcp".to_owned(),
        port: *port,
        to: Some((node.address, paths::AGENT_PORT)),
    }));
    forwards
}

/// Whether nobody listens on this port of the host's loopback address.
pub fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() && UdpSocket::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}

/// So many free ports of the host's loopback address. Whoever is quicker may still take one: QEMU says so then.
///
/// # Errors
/// There are none.
pub fn free_ports(count: usize) -> Result<Vec<u16>> {
    // Held together, so that no two are the same.
    let listeners = (0..count)
        .map(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))
        .collect::<std::io::Result<Vec<_>>>()
        .context("finding a free port of the host")?;
    listeners
        .iter()
        .map(|listener| Ok(listener.local_addr()?.port()))
        .collect()
}

/// Starts the process.
///
/// # Errors
/// QEMU ends at once: a port is taken by now.
pub fn start(folder: &Folder, state: &State, forwards: &[Forward]) -> Result<()> {
    let plan = &state.plan;
    let kind = plan.kind().map_err(anyhow::Error::msg)?;
    let mut user = format!(
        "user,id=user,net={},host={},dns={}",
        plan.network, plan.host, plan.resolver
    );
    for rule in forwards.iter().filter_map(Forward::rule) {
        user.push_str(",hostfwd=");
        user.push_str(&rule);
    }
    let arguments = [
        ["-machine", "none"].map(str::to_owned).to_vec(),
        ["-nodefaults", "-display", "none"].map(str::to_owned).to_vec(),
        vec!["-netdev".to_owned(), user],
        vec!["-netdev".to_owned(), machine::wire("wire", Folder::HOST)],
        ["-netdev", "hubport,hubid=0,id=inner,netdev=user"]
            .map(str::to_owned)
            .to_vec(),
        ["-netdev", "hubport,hubid=0,id=outer,netdev=wire"]
            .map(str::to_owned)
            .to_vec(),
        vec![
            "-qmp".to_owned(),
            format!("unix:{},server=on,wait=off", Qmp::socket(Folder::HOST)),
        ],
    ]
    .concat();
    let mut child = Process::start(folder, Folder::HOST, Path::new(kind.program()), &arguments)?;
    machine::answers(folder, Folder::HOST, &mut child)
}

/// Leads the host's ports elsewhere where `now` differs from `before`.
///
/// # Errors
/// QEMU refuses it.
pub fn redirect(folder: &Folder, before: &[Forward], now: &[Forward]) -> Result<()> {
    let mut qmp = Qmp::connect(folder, Folder::HOST)?;
    for (old, new) in before.iter().zip(now).filter(|(old, new)| old != new) {
        if old.to.is_some() {
            // It tells that it has removed something.
            let line = format!("hostfwd_remove user {}:127.0.0.1:{}", old.protocol, old.port);
            qmp.execute("human-monitor-command", &serde_json::json!({"command-line": line}))?;
        }
        if let Some(rule) = new.rule() {
            qmp.monitor(&format!("hostfwd_add user {rule}"))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn ports_lead_to_the_first_that_serves() {
        let topology = json!({"nodes": [
            {"name": "core-1", "roles": ["server"]},
            {"name": "core-2", "roles": ["server"]},
            {"name": "watch", "roles": ["monitor"]},
        ]});
        let plan = Plan::new("x", &serde_json::from_value(topology).unwrap()).unwrap();
        let rules = |off: &str| -> Vec<String> {
            forwards(&plan, &[1, 2, 3], |node| node.name != off)
                .iter()
                .filter_map(Forward::rule)
                .collect()
        };
        assert_eq!(
            rules(""),
            [
                "tcp:127.0.0.1:48500-10.77.0.11:8500",
                "tcp:127.0.0.1:44646-10.77.0.11:4646",
                "tcp:127.0.0.1:49090-10.77.0.13:9090",
                "tcp:127.0.0.1:48600-10.77.0.11:8600",
                "udp:127.0.0.1:48600-10.77.0.11:8600",
                "tcp:127.0.0.1:1-10.77.0.11:4690",
                "tcp:127.0.0.1:2-10.77.0.12:4690",
                "tcp:127.0.0.1:3-10.77.0.13:4690",
            ]
        );
        assert!(rules("core-1").contains(&"tcp:127.0.0.1:44646-10.77.0.12:4646".to_owned()));
        assert_eq!(rules("watch").len(), 7);
    }

    #[test]
    fn a_port_that_is_listened_on_is_not_free() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        assert!(!is_free(listener.local_addr().unwrap().port()));
        let ports = free_ports(3).unwrap();
        assert!(ports[0] != ports[1] && ports.iter().all(|port| is_free(*port)));
    }
}
