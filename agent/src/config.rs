//! The site settings as the node finds them.

use std::net::IpAddr;

use anyhow::{Context, bail};
use computatom_spec::paths;
use computatom_spec::site::Site;
use ipnet::IpNet;

use crate::identity::hostname;
use crate::root::Root;

/// Reads the site settings of the running image; an image without any uses the defaults.
///
/// # Errors
/// Settings that the agent cannot act on: the message names the key.
pub fn load(root: &Root) -> anyhow::Result<Site> {
    let site: Site = match root
        .read(paths::SITE)
        .with_context(|| format!("reading {}", paths::SITE))?
    {
        Some(text) => serde_json::from_str(&text).with_context(|| format!("reading {}", paths::SITE))?,
        None => Site::default(),
    };
    check(&site).with_context(|| format!("checking {}", paths::SITE))?;
    Ok(site)
}

/// Refuses what serde cannot: names, networks and durations, which end up in the files of other programs.
fn check(site: &Site) -> anyhow::Result<()> {
    if site.servers.is_empty() {
        bail!("`servers` is empty: name at least one board that is to be a server");
    }
    for server in &site.servers {
        hostname::validate(server).with_context(|| format!("reading `servers` entry `{server}`"))?;
    }
    hostname::validate(&site.hostname_prefix)
        .with_context(|| format!("reading `hostname_prefix` `{}`", site.hostname_prefix))?;
    if let Some(lan) = &site.lan {
        lan.parse::<IpNet>()
            .with_context(|| format!("reading `lan` `{lan}`: write a network like 192.168.1.0/24"))?;
    }
    for (key, names) in [("ntp", &site.ntp), ("server_addresses", &site.server_addresses)] {
        for name in names {
            if !is_host(name) {
                bail!("reading `{key}` entry `{name}`: write an address or a DNS name");
            }
        }
    }
    for (key, name) in [("datacenter", &site.datacenter), ("region", &site.region)] {
        // Consul's rule for datacenters, which are labels of its DNS names.
        if name.is_empty()
            || !name
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_')
        {
            bail!("reading `{key}` `{name}`: use lower-case letters, digits, `-` and `_`");
        }
    }
    let zone = &site.timezone;
    let plain = |part: &str| !part.is_empty() && part != ".." && !part.contains(['\0', '\n']);
    if !zone.split('/').all(plain) {
        bail!("reading `timezone` `{zone}`: write a name like Europe/Berlin");
    }
    let prometheus = &site.prometheus;
    for (key, value, units) in [
        ("retention", &prometheus.retention, DURATIONS),
        ("retention_size", &prometheus.retention_size, SIZES),
        ("scrape_interval", &prometheus.scrape_interval, DURATIONS),
    ] {
        if !is_quantity(value, units) {
            bail!(
                "reading `prometheus.{key}` `{value}`: write a whole number and one of {}",
                units.join(", ")
            );
        }
    }
    Ok(())
}

/// Units of time in Prometheus' flags and files.
const DURATIONS: &[&str] = &["ms", "s", "m", "h", "d", "w", "y"];
/// Units of size in Prometheus' flags.
const SIZES: &[&str] = &["B", "KB", "MB", "GB", "TB"];

fn is_quantity(value: &str, units: &[&str]) -> bool {
    let digits = value.bytes().take_while(u8::is_ascii_digit).count();
    digits > 0 && units.contains(&&value[digits..])
}

fn is_host(name: &str) -> bool {
    name.parse::<IpAddr>().is_ok()
        || (name.len() <= 253
            && name
                .trim_end_matches('.')
                .split('.')
                .all(|label| hostname::validate(label).is_ok()))
}
