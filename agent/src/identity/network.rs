//! The node's addresses, and which of its interfaces faces the LAN.
//!
//! All of it is read from `/proc/net` and `/sys/class/net`: no netlink socket, so scenario folders can show any network.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};

use crate::identity::lease::Lease;
use crate::root::Root;

/// The interface that faces the LAN.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interface {
    /// Kernel name (`end0`).
    pub name: String,
    /// Link-layer address, lower case with colons.
    pub mac: Option<String>,
    /// Its IPv4 address and the length of the network's prefix.
    pub network: Ipv4Net,
}

/// A row of `/proc/net/route`.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Route {
    interface: String,
    destination: Ipv4Net,
    metric: u32,
}

/// Interfaces that containers and Nomad make: never the LAN, whatever private address they carry.
const VIRTUAL: [&str; 8] = ["lo", "docker", "nomad", "veth", "br-", "cni", "virbr", "podman"];

/// Where networkd says how far it is with an interface, by index; what `sd_network_link_get_setup_state` of libsystemd reads.
const LINKS: &str = "/run/systemd/netif/links";

/// Whether networkd has nothing more to configure: no link with a carrier that it is still at, and one that it has done.
pub fn is_done(root: &Root) -> bool {
    let links = root.list(LINKS);
    let mut states = links
        .iter()
        .filter_map(|link| root.read(&format!("{LINKS}/{link}")).ok().flatten());
    let mut any = false;
    let open = states.any(|state| {
        let says = |line: &str| state.lines().any(|said| said == line);
        any |= says("ADMIN_STATE=configured");
        let at_work = ["pending", "initialized", "configuring"].map(|at| says(&format!("ADMIN_STATE={at}")));
        let dead = ["off", "no-carrier"].map(|oper| says(&format!("OPER_STATE={oper}")));
        at_work.contains(&true) && !dead.contains(&true)
    });
    any && !open
}

/// The IPv4 addresses of the node in its networks, in the kernel's order: neither loopback's nor those of interfaces
/// that containers make. Rules go by them, and must not decide otherwise once Docker has started.
pub fn addresses(root: &Root) -> Vec<Ipv4Addr> {
    on_networks(local(root), &table(root))
}

fn on_networks(addresses: Vec<Ipv4Addr>, routes: &[Route]) -> Vec<Ipv4Addr> {
    let narrowest = |address: &Ipv4Addr| {
        routes
            .iter()
            .filter(|route| route.destination.prefix_len() > 0 && route.destination.contains(address))
            .max_by_key(|route| route.destination.prefix_len())
    };
    addresses
        .into_iter()
        .filter(|address| narrowest(address).is_none_or(|route| !is_virtual(&route.interface)))
        .collect()
}

fn is_virtual(interface: &str) -> bool {
    VIRTUAL.iter().any(|prefix| interface.starts_with(prefix))
}

fn local(root: &Root) -> Vec<Ipv4Addr> {
    root.read("/proc/net/fib_trie")
        .ok()
        .flatten()
        .map(|text| local_addresses(&text))
        .unwrap_or_default()
}

fn table(root: &Root) -> Vec<Route> {
    root.read("/proc/net/route")
        .ok()
        .flatten()
        .map(|text| routes(&text))
        .unwrap_or_default()
}

/// The LAN interface: the one with an address in `lan` where the site says so, else the one with the default route
/// of the lowest metric, else the one with a lease, else the first with an address. `None` while there is no address.
pub fn lan_interface(root: &Root, lan: Option<Ipv4Net>, leases: &[Lease]) -> Option<Interface> {
    let addresses = addresses(root);
    let routes = table(root);
    let mut candidates: Vec<(u32, Interface)> = Vec::new();
    for route in routes.iter().filter(|route| route.destination.prefix_len() > 0) {
        if is_virtual(&route.interface) {
            continue;
        }
        let Some(address) = addresses.iter().find(|address| route.destination.contains(*address)) else {
            continue;
        };
        let Ok(network) = Ipv4Net::new(*address, route.destination.prefix_len()) else {
            continue;
        };
        if lan.is_some_and(|lan| !lan.contains(address)) {
            continue;
        }
        let default = routes
            .iter()
            .filter(|other| other.interface == route.interface && other.destination.prefix_len() == 0)
            .map(|other| other.metric)
            .min();
        let has_lease = leases.iter().any(|lease| lease.address == Some(*address));
        let rank = default.map_or(u32::MAX - u32::from(has_lease), |metric| metric.min(u32::MAX - 2));
        let mac = root.attribute(&format!("/sys/class/net/{}/address", route.interface));
        candidates.push((
            rank,
            Interface {
                name: route.interface.clone(),
                mac,
                network,
            },
        ));
    }
    // Host routes (DHCP servers and DNS servers get one each) lie inside the connected route, which is the wider.
    candidates.sort_by_key(|(rank, interface)| (*rank, interface.network.prefix_len(), interface.name.clone()));
    candidates.into_iter().map(|(_, interface)| interface).next()
}

/// The link-layer address of the first physical interface: what a board without a serial number is known by.
pub fn permanent_mac(root: &Root) -> Option<String> {
    root.list("/sys/class/net")
        .iter()
        .filter(|name| root.path(&format!("/sys/class/net/{name}/device")).exists())
        .find_map(|name| root.attribute(&format!("/sys/class/net/{name}/address")))
}

/// `/proc/net/fib_trie` lists each local address as a leaf followed by its `/32 host LOCAL` entry
/// (kernel, `net/ipv4/fib_trie.c`).
fn local_addresses(text: &str) -> Vec<Ipv4Addr> {
    let mut found: Vec<Ipv4Addr> = Vec::new();
    let mut leaf = None;
    for line in text.lines() {
        let line = line.trim();
        if let Some(address) = line.strip_prefix("|-- ") {
            leaf = address.parse::<Ipv4Addr>().ok();
        } else if line.starts_with("/32 host LOCAL")
            && let Some(address) = leaf
            && !address.is_loopback()
            && !found.contains(&address)
        {
            found.push(address);
        }
    }
    found
}

/// `/proc/net/route`: addresses in hexadecimal, in the byte order of the machine. All our architectures are
/// little-endian.
fn routes(text: &str) -> Vec<Route> {
    let address = |field: &str| Some(Ipv4Addr::from(u32::from_str_radix(field, 16).ok()?.swap_bytes()));
    text.lines()
        .skip(1)
        .filter_map(|line| {
            let fields: Vec<&str> = line.split_ascii_whitespace().collect();
            let destination = address(fields.get(1)?)?;
            let mask = address(fields.get(7)?)?;
            Some(Route {
                interface: (*fields.first()?).to_owned(),
                destination: Ipv4Net::with_netmask(destination, mask).ok()?,
                metric: fields.get(6)?.parse().ok()?,
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn routes_of_the_kernel() {
        let text = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n\
            end0\t00000000\t0101A8C0\t0003\t0\t0\t1024\t00000000\t0\t0\t0\n\
            end0\t0001A8C0\t00000000\t0001\t0\t0\t1024\t00FFFFFF\t0\t0\t0\n";
        let routes = routes(text);
        assert_eq!(routes[0].destination, "0.0.0.0/0".parse().unwrap());
        assert_eq!(routes[1].destination, "192.168.1.0/24".parse().unwrap());
        assert_eq!(routes[1].metric, 1024);
    }

    #[test]
    fn addresses_of_containers_are_not_the_nodes() {
        let header = "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n";
        let lan = "end0\t00000000\t0101A8C0\t0003\t0\t0\t1024\t00000000\t0\t0\t0\n\
            end0\t0001A8C0\t00000000\t0001\t0\t0\t1024\t00FFFFFF\t0\t0\t0\n";
        let docker = "docker0\t000011AC\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0\n";
        let (own, bridge): (Ipv4Addr, Ipv4Addr) = ([192, 168, 1, 20].into(), [172, 17, 0, 1].into());
        assert_eq!(
            on_networks(vec![bridge, own], &routes(&format!("{header}{lan}{docker}"))),
            [own]
        );
        // An address that no route of an interface leads to is nobody else's.
        assert_eq!(on_networks(vec![own], &[]), [own]);
    }

    #[test]
    fn the_machine_that_runs_the_test_reads_like_its_own_kernel_says() {
        let root = Root::system();
        for address in addresses(&root) {
            // Binding succeeds for local addresses only.
            std::net::UdpSocket::bind((address, 0)).unwrap();
        }
    }

    proptest! {
        #[test]
        fn foreign_bytes_never_panic(text in "(?s).*") {
            local_addresses(&text);
            routes(&text);
        }
    }
}
