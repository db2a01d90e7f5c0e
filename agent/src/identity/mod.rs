//! Who this node is: derived at every boot from the DHCP lease and the hardware, never baked in.

use std::net::Ipv4Addr;

use anyhow::Context;
use computatom_spec::paths;
use computatom_spec::site::Site;
use computatom_spec::uuid::Uuid;
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::atomic;
use crate::root::Root;

/// Model, serial number, memory and processor.
pub mod board;

/// Valid host names and their sources.
pub mod hostname;

/// systemd-networkd's DHCP leases.
pub mod lease;

/// Addresses, and the interface of the LAN.
pub mod network;

use board::Board;
use hostname::Source;
use lease::Lease;
use network::Interface;

/// The name of the last lease, kept on DATA for the day when the DHCP server does not answer.
const REMEMBERED: &str = "/var/lib/computatom/hostname";

/// Who a node is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// Host name, one label.
    pub hostname: String,
    /// Where the name came from.
    pub hostname_source: Source,
    /// The machine id (machine-id(5)), made by `/init` from the board's serial number.
    pub machine_id: Option<String>,
    /// The hardware.
    pub board: Board,
    /// The interface of the LAN; `None` while there is no address.
    pub interface: Option<Interface>,
    /// Its IPv4 addresses, without those of loopback and of containers.
    pub addresses: Vec<Ipv4Addr>,
    /// Search domains of the leases.
    pub domains: Vec<String>,
}

impl Identity {
    /// Derives the identity of the machine under `root`. Nothing is written.
    pub fn derive(root: &Root, site: &Site) -> Self {
        Self::look(root, site).0
    }

    /// The same, and what waiting can still bring.
    pub fn look(root: &Root, site: &Site) -> (Self, Outlook) {
        let done = network::is_done(root);
        let leases = lease::read(root);
        let identity = Self::with(root, site, &leases);
        let address = identity.address();
        // A lease that is written meanwhile is in the file system, and not in the name.
        let outlook = match address {
            Some(_) if leases.iter().any(|lease| lease.address == address) => Outlook::Leased,
            Some(_) if done => Outlook::Done,
            _ => Outlook::Open,
        };
        (identity, outlook)
    }

    fn with(root: &Root, site: &Site, leases: &[lease::Lease]) -> Self {
        let board = board::read(root);
        let lan = site
            .lan
            .as_deref()
            .and_then(|lan| lan.parse().ok())
            .and_then(|lan| match lan {
                IpNet::V4(lan) => Some(lan),
                IpNet::V6(_) => None,
            });
        let interface = network::lan_interface(root, lan, leases);
        let machine_id = root.attribute("/etc/machine-id").filter(|id| is_machine_id(id));
        let given = leased_name(leases, interface.as_ref());
        let (hostname, hostname_source) = name(root, site, &board, given, machine_id.as_deref());
        let mut domains: Vec<String> = Vec::new();
        for domain in leases.iter().flat_map(|lease| &lease.domains) {
            if !domains.contains(domain) {
                domains.push(domain.clone());
            }
        }
        Self {
            hostname,
            hostname_source,
            machine_id,
            interface,
            addresses: network::addresses(root),
            domains,
            board,
        }
    }

    /// The address on the LAN.
    pub fn address(&self) -> Option<Ipv4Addr> {
        self.interface.as_ref().map(|interface| interface.network.addr())
    }

    /// A UUID that stays the same for this board, whatever card is in it: of machine id and `purpose`. `None` without a
    /// machine id.
    pub fn uuid(&self, purpose: &str) -> Option<String> {
        let digest = Sha256::digest(format!("computatom {purpose} {}", self.machine_id.as_ref()?));
        Some(Uuid::of_digest(digest.into()).to_string())
    }

    /// Writes the identity to [`paths::IDENTITY`] and remembers a leased name on DATA; says whether it changed.
    ///
    /// # Errors
    /// `/run` not writable. A DATA that cannot be written only costs the memory of the name.
    pub fn store(&self, root: &Root) -> anyhow::Result<bool> {
        let mut text = serde_json::to_string_pretty(self).context("serializing the identity")?;
        text.push('\n');
        if self.hostname_source == Source::Lease {
            // Best effort: see above.
            let text = remembered(&self.hostname, self.machine_id.as_deref());
            let _ = atomic::write_if_changed(&root.path(REMEMBERED), &text, 0o644);
        }
        atomic::write_if_changed(&root.path(paths::IDENTITY), &text, 0o644)
            .with_context(|| format!("writing {}", paths::IDENTITY))
    }

    /// Reads what [`Identity::store`] wrote at this boot.
    ///
    /// # Errors
    /// No identity yet, or one that does not parse.
    pub fn load(root: &Root) -> anyhow::Result<Self> {
        let text = root
            .read(paths::IDENTITY)
            .with_context(|| format!("reading {}", paths::IDENTITY))?
            .with_context(|| format!("{} is missing: run `computatom-agent identify` first", paths::IDENTITY))?;
        serde_json::from_str(&text).with_context(|| format!("reading {}", paths::IDENTITY))
    }
}

/// The name of the lease on the LAN; of another network only where the LAN gives none, so that the NAT that a virtual
/// machine has besides does not name every one of them alike.
fn leased_name(leases: &[Lease], interface: Option<&Interface>) -> Option<String> {
    let on_lan = interface
        .map(|interface| interface.network.addr())
        .and_then(|address| leases.iter().find(|lease| lease.address == Some(address)));
    match on_lan {
        Some(lease) => lease.hostname.clone(),
        None => leases.iter().find_map(|lease| lease.hostname.clone()),
    }
}

/// What is kept in [`REMEMBERED`]: the name, and the board that it was given to. A card that moves to another board
/// does not bring the name along.
fn remembered(hostname: &str, machine_id: Option<&str>) -> String {
    format!("{hostname} {}\n", machine_id.unwrap_or("-"))
}

/// The host name: lease, own configuration, an earlier lease, serial number, in this order.
fn name(root: &Root, site: &Site, board: &Board, leased: Option<String>, machine_id: Option<&str>) -> (String, Source) {
    if let Some(name) = leased {
        return (name, Source::Lease);
    }
    let configured = root
        .attribute("/proc/cmdline")
        .and_then(|line| {
            let word = line
                .split_ascii_whitespace()
                .rev()
                .find_map(|word| word.strip_prefix("systemd.hostname="));
            word.and_then(hostname::first_label)
        })
        .or_else(|| {
            root.attribute("/etc/hostname")
                .and_then(|name| hostname::first_label(&name))
        });
    if let Some(name) = configured {
        return (name, Source::Static);
    }
    let kept = root.attribute(REMEMBERED).and_then(|text| {
        let (name, board) = text.split_once(' ')?;
        (board == machine_id.unwrap_or("-")).then(|| hostname::first_label(name))?
    });
    if let Some(name) = kept {
        return (name, Source::Remembered);
    }
    let serial = board
        .serial
        .clone()
        .or_else(|| network::permanent_mac(root))
        .unwrap_or_default();
    (hostname::from_serial(&site.hostname_prefix, &serial), Source::Serial)
}

fn is_machine_id(id: &str) -> bool {
    id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit()) && id.bytes().any(|byte| byte != b'0')
}

/// What waiting can still bring a node that starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outlook {
    /// An address, or the lease that it comes from.
    Open,
    /// Nothing: the name was looked for in the lease of the address.
    Leased,
    /// Nothing, as far as networkd says: its address is from no lease, and no link is still being configured. Between its
    /// words and the address a lease may have come, so it is to be asked twice.
    Done,
}

impl Outlook {
    /// Whether to wait no longer, after a look that had an outlook of its own.
    pub fn is_settled(self, before: Self) -> bool {
        match self {
            Self::Open => false,
            Self::Leased => true,
            Self::Done => before == Self::Done,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_from_no_lease_is_enough_when_networkd_is_done() {
        let folder = tempfile::tempdir().unwrap();
        let root = Root::at(folder.path());
        let write = |path: &str, text: &str| {
            let path = root.path(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        let outlook = || Identity::look(&root, &Site::default()).1;
        write(
            "/run/systemd/netif/links/2",
            "ADMIN_STATE=configured\nOPER_STATE=routable\n",
        );
        assert_eq!(
            outlook(),
            Outlook::Open,
            "without an address there is something to wait for"
        );
        write(
            "/proc/net/fib_trie",
            "Local:\n  +-- 0.0.0.0/0 3 0 5\n     |-- 192.168.1.20\n        /32 host LOCAL\n",
        );
        write(
            "/proc/net/route",
            "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n\
             end0\t0001A8C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n",
        );
        assert_eq!(outlook(), Outlook::Done);
        // Another network may still bring the lease that names the node; one without a cable will not.
        write(
            "/run/systemd/netif/links/3",
            "ADMIN_STATE=configuring\nOPER_STATE=carrier\n",
        );
        assert_eq!(outlook(), Outlook::Open);
        write(
            "/run/systemd/netif/links/3",
            "ADMIN_STATE=configuring\nOPER_STATE=no-carrier\n",
        );
        assert_eq!(outlook(), Outlook::Done);
        write(
            "/run/systemd/netif/links/2",
            "ADMIN_STATE=configuring\nOPER_STATE=routable\n",
        );
        assert_eq!(outlook(), Outlook::Open);
        write("/run/systemd/netif/leases/2", "ADDRESS=192.168.1.20\n");
        assert_eq!(outlook(), Outlook::Leased);
        assert!(Outlook::Leased.is_settled(Outlook::Open) && Outlook::Done.is_settled(Outlook::Done));
        assert!(!Outlook::Done.is_settled(Outlook::Open) && !Outlook::Open.is_settled(Outlook::Done));
    }
}
