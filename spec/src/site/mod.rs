//! Site settings: what the owner of a cluster says about it. Never secret: the image is public.
//!
//! Written by the builder from `site.jsonnet` to [`crate::paths::SITE`] as JSON; every field has a default
//! that works in a flat home LAN.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::role::Role;

mod check;

pub use check::{check_network, glob};

/// The site settings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Site {
    /// Name of the cluster, shown to people.
    pub cluster: String,
    /// Consul and Nomad datacenter.
    pub datacenter: String,
    /// Nomad region.
    pub region: String,
    /// Host names of the servers that found the cluster; their number is `bootstrap_expect`.
    pub servers: Vec<String>,
    /// Addresses of servers to join, where names do not resolve (IP addresses or DNS names).
    pub server_addresses: Vec<String>,
    /// Addresses of servers in other datacenters, which this one's servers join over Consul's WAN pool and, where their
    /// region is another, as a federation of Nomad's regions (IP addresses or DNS names).
    pub wan_addresses: Vec<String>,
    /// The LAN in CIDR notation; unset: the network of the interface with the default route.
    pub lan: Option<String>,
    /// Prefix of the name of a board that DHCP does not name: `<prefix>-<serial>`.
    pub hostname_prefix: String,
    /// Ordered rules, first match wins; empty: the defaults of the design (servers by name, clients by memory).
    pub roles: Vec<RoleRule>,
    /// NTP servers; empty: Debian's pool.
    pub ntp: Vec<String>,
    /// Time zone, as in `/usr/share/zoneinfo`.
    pub timezone: String,
    /// Where the boards are, as the rules for radio want it (ISO 3166-1, two letters); unset: no wireless network beyond what
    /// all countries allow.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wifi_country: Option<String>,
    /// SSH public keys for root; no sshd starts without one.
    pub ssh_keys: Vec<String>,
    /// Nomad client settings.
    pub nomad: NomadSettings,
    /// Prometheus settings.
    pub prometheus: PrometheusSettings,
}

/// Lays settings over others, both as JSON: objects field by field, everything else whole.
pub fn lay_over(base: &mut Value, over: Value) {
    match (base, over) {
        (Value::Object(base), Value::Object(over)) => {
            for (name, value) in over {
                lay_over(base.entry(name).or_insert(Value::Null), value);
            }
        }
        (base, over) => *base = over,
    }
}

/// One role rule: all given conditions must hold.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RoleRule {
    /// Glob over the host name.
    pub hostname: Option<String>,
    /// CIDR networks or addresses, one of which must hold one of the node's addresses.
    pub address: Vec<String>,
    /// Glob over the board model (`Raspberry Pi 4*`).
    pub board: Option<String>,
    /// Debian architecture.
    pub arch: Option<String>,
    /// Least memory in MiB.
    pub memory_mib: Option<u64>,
    /// The roles of a node that matches.
    pub roles: Vec<Role>,
}

/// Nomad client settings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NomadSettings {
    /// Least memory in MiB for a board to be a client by default.
    pub client_memory_mib: u64,
    /// Whether jobs may use `raw_exec` (as root, without isolation).
    pub raw_exec: bool,
    /// CPU in MHz kept from jobs.
    pub reserved_cpu: u64,
    /// Memory in MiB kept from jobs.
    pub reserved_memory_mib: u64,
    /// Disk in MiB kept from jobs.
    pub reserved_disk_mib: u64,
}

/// Prometheus settings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PrometheusSettings {
    /// `--storage.tsdb.retention.time`.
    pub retention: String,
    /// `--storage.tsdb.retention.size`.
    pub retention_size: String,
    /// Scrape interval.
    pub scrape_interval: String,
}

impl Site {
    /// Refuses settings that a node could not follow; called before an image is built, and again on the node.
    ///
    /// # Errors
    /// A sentence that names the key, what is wrong with it, and what to write instead.
    pub fn check(&self) -> Result<(), String> {
        check::check(self)
    }

    /// What works but is hardly meant, as sentences.
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        if self.servers.len().is_multiple_of(2) {
            warnings.push(format!(
                "`servers` names {} boards: with an even number, no more of them may fail than with one less; use one, \
                 three or five",
                self.servers.len()
            ));
        }
        warnings
    }

    /// Whether `hostname` is in `servers`: only such a board may found a cluster, every other server joins one.
    pub fn founds(&self, hostname: &str) -> bool {
        self.servers.iter().any(|server| server.eq_ignore_ascii_case(hostname))
    }
}

impl Default for Site {
    fn default() -> Self {
        Self {
            cluster: "home".to_owned(),
            datacenter: "home".to_owned(),
            region: "global".to_owned(),
            servers: vec!["core-1".to_owned()],
            server_addresses: Vec::new(),
            wan_addresses: Vec::new(),
            lan: None,
            hostname_prefix: "node".to_owned(),
            roles: Vec::new(),
            ntp: Vec::new(),
            timezone: "Etc/UTC".to_owned(),
            wifi_country: None,
            ssh_keys: Vec::new(),
            nomad: NomadSettings::default(),
            prometheus: PrometheusSettings::default(),
        }
    }
}

impl Default for NomadSettings {
    fn default() -> Self {
        Self {
            client_memory_mib: 700,
            raw_exec: false,
            reserved_cpu: 300,
            reserved_memory_mib: 256,
            reserved_disk_mib: 1024,
        }
    }
}

impl Default for PrometheusSettings {
    fn default() -> Self {
        Self {
            retention: "15d".to_owned(),
            retention_size: "1GB".to_owned(),
            scrape_interval: "15s".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_object_is_the_default_site() {
        assert_eq!(serde_json::from_str::<Site>("{}").unwrap(), Site::default());
    }

    /// `tests/sites.json`: settings and what is said about them; builder and agent are asked about the same.
    #[test]
    fn the_table_of_settings() {
        #[derive(Deserialize)]
        struct Case {
            site: Site,
            says: Option<String>,
        }
        let cases: Vec<Case> = serde_json::from_str(include_str!("../../tests/sites.json")).unwrap();
        for case in cases {
            match (case.site.check(), case.says) {
                (Ok(()), None) => {}
                (Err(said), Some(says)) => assert!(said.contains(&says), "{said} does not say {says}"),
                (result, says) => panic!("{:?} gave {result:?} instead of {says:?}", case.site),
            }
        }
    }

    #[test]
    fn an_even_number_of_servers_is_warned_of() {
        let mut site = Site::default();
        assert!(site.warnings().is_empty());
        site.servers.push("core-2".to_owned());
        assert!(site.warnings()[0].contains("names 2 boards"));
    }

    #[test]
    fn unknown_keys_are_refused() {
        assert!(serde_json::from_str::<Site>(r#"{"sever": []}"#).is_err());
    }
}
