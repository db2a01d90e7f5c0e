//! Role rules: all conditions of a rule must hold, and the first rule that matches wins.

use std::net::IpAddr;

use anyhow::{Context, bail};
use computatom_spec::site::RoleRule;
use ipnet::IpNet;

use crate::identity::Identity;

/// Whether `rule` holds for `identity`: if so, the conditions that held, for people.
///
/// # Errors
/// A glob, network or architecture that does not parse.
pub fn matches(rule: &RoleRule, identity: &Identity) -> anyhow::Result<Option<String>> {
    let mut held = Vec::new();
    if let Some(pattern) = &rule.hostname {
        if !glob(pattern, &identity.hostname)? {
            return Ok(None);
        }
        held.push(format!("host name `{}` matches `{pattern}`", identity.hostname));
    }
    if !rule.address.is_empty() {
        let Some(network) = first_network(&rule.address, identity)? else {
            return Ok(None);
        };
        held.push(format!("an address is in {network}"));
    }
    if let Some(pattern) = &rule.board {
        if !glob(pattern, &identity.board.model)? {
            return Ok(None);
        }
        held.push(format!("board `{}` matches `{pattern}`", identity.board.model));
    }
    if let Some(arch) = &rule.arch {
        let arch = arch.parse().map_err(anyhow::Error::msg).context("reading `arch`")?;
        if identity.board.arch != Some(arch) {
            return Ok(None);
        }
        held.push(format!("architecture is {arch}"));
    }
    if let Some(least) = rule.memory_mib {
        if identity.board.memory_mib < least {
            return Ok(None);
        }
        held.push(format!(
            "{} MiB of memory are at least {least}",
            identity.board.memory_mib
        ));
    }
    if held.is_empty() {
        held.push("it has no conditions".to_owned());
    }
    Ok(Some(held.join(", ")))
}

fn glob(pattern: &str, text: &str) -> anyhow::Result<bool> {
    Ok(computatom_spec::site::glob(pattern)
        .map_err(anyhow::Error::msg)?
        .is_match(text))
}

/// The first of `networks` (CIDR, or a single address) that holds one of the node's addresses.
fn first_network<'a>(networks: &'a [String], identity: &Identity) -> anyhow::Result<Option<&'a str>> {
    for text in networks {
        let network = match (text.parse::<IpNet>(), text.parse::<IpAddr>()) {
            (Ok(network), _) => network,
            (_, Ok(address)) => IpNet::from(address),
            _ => bail!("`{text}` in `address` is neither an address nor a network like 192.168.1.0/24"),
        };
        if identity
            .addresses
            .iter()
            .any(|address| network.contains(&IpAddr::V4(*address)))
        {
            return Ok(Some(text));
        }
    }
    Ok(None)
}
