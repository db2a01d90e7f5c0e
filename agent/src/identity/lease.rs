//! The DHCP leases of systemd-networkd.
//!
//! networkd's public interfaces (`networkctl --json`, D-Bus `Describe`) carry a lease's times and private options
//! but not the host name that the server sent: neither in Debian trixie's 257 nor before. The lease files have it,
//! one `KEY=value` per line since 2014. Their header calls the format private, so nothing here is taken on trust:
//! unknown lines are skipped, every value is validated, and without a usable one the next source of a name is used.

use std::net::Ipv4Addr;

use crate::identity::hostname;
use crate::root::Root;

/// Where networkd keeps its leases, named by interface index.
pub const DIRECTORY: &str = "/run/systemd/netif/leases";

/// What one lease says about this node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lease {
    /// Interface index.
    pub interface: u32,
    /// The leased address.
    pub address: Option<Ipv4Addr>,
    /// Option 12, validated and cut to its first label.
    pub hostname: Option<String>,
    /// Options 15 and 119: where the names of this network's machines are looked up.
    pub domains: Vec<String>,
}

/// All leases, by interface index.
pub fn read(root: &Root) -> Vec<Lease> {
    let mut leases: Vec<Lease> = root
        .list(DIRECTORY)
        .into_iter()
        .filter_map(|name| {
            let interface = name.parse().ok()?;
            let text = root.read(&format!("{DIRECTORY}/{name}")).ok().flatten()?;
            Some(parse(interface, &text))
        })
        .collect();
    leases.sort_by_key(|lease| lease.interface);
    leases
}

/// Reads one lease file.
pub fn parse(interface: u32, text: &str) -> Lease {
    let mut lease = Lease {
        interface,
        ..Lease::default()
    };
    for line in text.lines() {
        let Some((key, value)) = line.split_once('=') else {
            continue;
        };
        match key.trim() {
            "ADDRESS" => lease.address = value.trim().parse().ok(),
            "HOSTNAME" => lease.hostname = hostname::first_label(unquote(value)),
            "DOMAINNAME" | "DOMAIN_SEARCH_LIST" => {
                for domain in unquote(value).split_ascii_whitespace() {
                    let domain = domain.trim_end_matches('.').to_ascii_lowercase();
                    if domain.split('.').all(|label| hostname::validate(label).is_ok())
                        && !lease.domains.contains(&domain)
                    {
                        lease.domains.push(domain);
                    }
                }
            }
            _ => {}
        }
    }
    lease
}

fn unquote(value: &str) -> &str {
    value.trim().trim_matches('"')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LEASE: &str = "# This is private data. Do not parse.\nADDRESS=192.168.1.20\nNETMASK=255.255.255.0\n\
        ROUTER=192.168.1.1\nDNS=192.168.1.1\nDOMAINNAME=home.arpa\nHOSTNAME=core-1\nLIFETIME=3600\n\
        DOMAIN_SEARCH_LIST=home.arpa lab.example\nCLIENTID=01b827eb000001\n";

    #[test]
    fn a_lease_of_networkd() {
        assert_eq!(
            parse(2, LEASE),
            Lease {
                interface: 2,
                address: Some(Ipv4Addr::new(192, 168, 1, 20)),
                hostname: Some("core-1".to_owned()),
                domains: vec!["home.arpa".to_owned(), "lab.example".to_owned()],
            }
        );
    }

    #[test]
    fn a_lease_without_a_usable_name() {
        assert_eq!(parse(2, "HOSTNAME=localhost\n").hostname, None);
        assert_eq!(
            parse(2, "HOSTNAME=\"bad name\"\nDOMAINNAME=a..b\n"),
            Lease {
                interface: 2,
                ..Lease::default()
            }
        );
    }

    proptest! {
        #[test]
        fn foreign_bytes_never_panic(text in "(?s).*") {
            parse(1, &text);
        }

        #[test]
        fn foreign_values_are_valid_or_gone(key in "ADDRESS|HOSTNAME|DOMAINNAME|DOMAIN_SEARCH_LIST", value in "\\PC*") {
            let lease = parse(1, &format!("{key}={value}\n"));
            prop_assert!(lease.hostname.is_none_or(|name| hostname::validate(&name).is_ok()));
            prop_assert!(lease.domains.iter().all(|domain| !domain.is_empty() && !domain.contains([' ', '"'])));
        }
    }
}
