//! What serde cannot refuse: names, networks and durations, which end up in the files of other programs.
//!
//! The builder and the agent call the same function, so that an image that was built is one that its nodes follow.

use std::net::{IpAddr, Ipv6Addr};

use globset::{GlobBuilder, GlobMatcher};

use super::{RoleRule, Site};
use crate::arch::Arch;
use crate::role::Role;

/// Longest `hostname_prefix`: `-` and six characters of a serial number make it a name of at most 63.
const LONGEST_PREFIX: usize = 56;

/// Refuses settings that a node could not follow.
pub(super) fn check(site: &Site) -> Result<(), String> {
    check_names(site)?;
    if let Some(lan) = &site.lan {
        check_lan(lan).map_err(|text| format!("`lan`: {text}"))?;
    }
    for (index, rule) in site.roles.iter().enumerate() {
        check_rule(rule).map_err(|text| format!("`roles[{index}]`: {text}"))?;
    }
    for server in &site.servers {
        check_server_by_rules(&site.roles, server)?;
    }
    for (key, names) in [
        ("ntp", &site.ntp),
        ("server_addresses", &site.server_addresses),
        ("wan_addresses", &site.wan_addresses),
    ] {
        for name in names {
            if !is_address_or_name(name) {
                return Err(format!(
                    "`{key}` has `{name}`; write an IP address or a DNS name, without port"
                ));
            }
        }
    }
    if let Some(country) = &site.wifi_country
        && !(country.len() == 2 && country.bytes().all(|byte| byte.is_ascii_uppercase()))
    {
        return Err(format!(
            "`wifi_country` is `{country}`; use the two capital letters of ISO 3166-1, such as `DE`"
        ));
    }
    if !is_zone(&site.timezone) {
        return Err(format!(
            "`timezone` is `{}`; use a name of /usr/share/zoneinfo, such as `Europe/Berlin`",
            site.timezone
        ));
    }
    for key in &site.ssh_keys {
        if !is_public_key(key) {
            return Err(
                "`ssh_keys` has an entry that is not a line of a `.pub` file: `ssh-ed25519 AAAA… name`".to_owned(),
            );
        }
    }
    check_prometheus(site)
}

fn check_names(site: &Site) -> Result<(), String> {
    if site.cluster.trim().is_empty() || site.cluster.chars().any(char::is_control) {
        return Err("`cluster` is empty or has control characters; write a name that people read".to_owned());
    }
    for (key, value) in [("datacenter", &site.datacenter), ("region", &site.region)] {
        // Consul: `[A-Za-z0-9\-_]+`, which it then writes in lower case; Nomad compares as it is written.
        let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_';
        if value.is_empty() || !value.chars().all(allowed) {
            return Err(format!(
                "`{key}` is `{value}`; use lower-case letters, digits, `-` and `_`"
            ));
        }
    }
    if site.servers.is_empty() {
        return Err("`servers` is empty; name at least one board that is to be a server".to_owned());
    }
    for (index, name) in site.servers.iter().enumerate() {
        if !is_host(name) {
            return Err(format!(
                "`servers` has `{name}`; a host name is lower-case letters, digits and inner `-`, and not only digits"
            ));
        }
        if site.servers[..index].contains(name) {
            return Err(format!(
                "`servers` has `{name}` twice; their number decides when a leader is elected"
            ));
        }
    }
    let prefix = &site.hostname_prefix;
    if !is_label(prefix) || prefix.len() > LONGEST_PREFIX {
        return Err(format!(
            "`hostname_prefix` is `{prefix}`; use at most {LONGEST_PREFIX} lower-case letters, digits and inner `-`"
        ));
    }
    Ok(())
}

fn check_lan(lan: &str) -> Result<(), String> {
    check_network(lan)?;
    match lan.split_once('/') {
        None => Err(format!(
            "`{lan}` is one address; write the network in CIDR notation, such as 192.168.1.0/24"
        )),
        Some((address, _)) if address.parse::<Ipv6Addr>().is_ok() => Err(format!(
            "`{lan}` is an IPv6 network; nodes find their LAN by IPv4, so write that one, such as 192.168.1.0/24"
        )),
        Some(_) => Ok(()),
    }
}

fn check_rule(rule: &RoleRule) -> Result<(), String> {
    for pattern in [&rule.hostname, &rule.board].into_iter().flatten() {
        glob(pattern)?;
    }
    for address in &rule.address {
        check_network(address)?;
    }
    if let Some(arch) = &rule.arch {
        arch.parse::<Arch>()?;
    }
    Ok(())
}

/// A glob as role rules use it: over the whole text, upper and lower case alike.
///
/// # Errors
/// Not a glob: why.
pub fn glob(pattern: &str) -> Result<GlobMatcher, String> {
    GlobBuilder::new(pattern)
        .case_insensitive(true)
        .build()
        .map(|glob| glob.compile_matcher())
        .map_err(|error| format!("`{pattern}` is not a glob: {}", error.kind()))
}

/// A network in CIDR notation without bits behind its prefix, or an address.
///
/// # Errors
/// Neither: why.
pub fn check_network(text: &str) -> Result<(), String> {
    let wrong = || format!("`{text}` is not a network in CIDR notation, such as 192.168.1.0/24");
    let Some((address, length)) = text.split_once('/') else {
        return text.parse::<IpAddr>().map(|_| ()).map_err(|_| wrong());
    };
    let address: IpAddr = address.parse().map_err(|_| wrong())?;
    // `parse` would also take `+24`.
    if !length.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(wrong());
    }
    let length: u32 = length.parse().map_err(|_| wrong())?;
    let (bits, width) = match address {
        IpAddr::V4(address) => (u128::from(address.to_bits()) << 96, 32),
        IpAddr::V6(address) => (address.to_bits(), 128),
    };
    if length > width {
        return Err(format!("`{text}`: the prefix length is at most {width}"));
    }
    if bits.checked_shl(length).unwrap_or(0) != 0 {
        return Err(format!(
            "`{text}` has bits set behind its prefix; a network's address ends in zeros"
        ));
    }
    Ok(())
}

/// The number of `servers` is what Consul and Nomad wait for before they elect a leader: a board in the list that the
/// rules give another role would be waited for in vain. Conditions other than the host name cannot be known here, so
/// a rule that has some may match or not.
fn check_server_by_rules(rules: &[RoleRule], server: &str) -> Result<(), String> {
    if rules.is_empty() {
        return Ok(());
    }
    for (index, rule) in rules.iter().enumerate() {
        if let Some(pattern) = &rule.hostname
            && !glob(pattern)?.is_match(server)
        {
            continue;
        }
        if rule.roles.contains(&Role::Server) {
            return Ok(());
        }
        let by_name_alone =
            rule.address.is_empty() && rule.board.is_none() && rule.arch.is_none() && rule.memory_mib.is_none();
        if by_name_alone {
            return Err(format!(
                "`servers` has `{server}`, but `roles[{index}]` matches it and does not make it a server; \
                 add `server` to that rule, or take `{server}` out of `servers`"
            ));
        }
    }
    Err(format!(
        "`servers` has `{server}`, but no rule of `roles` makes it a server; add a rule such as \
         `{{ hostname: '{server}', roles: ['server'] }}`, or take `{server}` out of `servers`"
    ))
}

fn check_prometheus(site: &Site) -> Result<(), String> {
    let prometheus = &site.prometheus;
    for (key, value, may_be_zero) in [
        ("retention", &prometheus.retention, true),
        ("scrape_interval", &prometheus.scrape_interval, false),
    ] {
        match milliseconds(value) {
            None => {
                return Err(format!(
                    "`prometheus.{key}` is `{value}`; write a duration such as 15d, 30s or 1h30m"
                ));
            }
            Some(0) if !may_be_zero => {
                return Err(format!("`prometheus.{key}` is `{value}`; write a time above zero"));
            }
            Some(_) => {}
        }
    }
    if !is_size(&prometheus.retention_size) {
        return Err(format!(
            "`prometheus.retention_size` is `{}`; write a whole number and one of {}",
            prometheus.retention_size,
            SIZES.join(", ")
        ));
    }
    Ok(())
}

/// Units of a duration in milliseconds, in the only order in which Prometheus takes them
/// (`model.ParseDuration` of github.com/prometheus/common).
const DURATIONS: [(&str, u64); 7] = [
    ("y", 365 * 24 * 3_600_000),
    ("w", 7 * 24 * 3_600_000),
    ("d", 24 * 3_600_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1000),
    ("ms", 1),
];
/// Units of size in Prometheus' flags.
const SIZES: [&str; 7] = ["B", "KB", "MB", "GB", "TB", "PB", "EB"];
/// Prometheus counts nanoseconds in 63 bits.
const LONGEST_DURATION: u64 = i64::MAX.unsigned_abs() / 1_000_000;

/// A duration as Prometheus reads it: `15d`, `1h30m`, `0`.
fn milliseconds(text: &str) -> Option<u64> {
    if text == "0" {
        return Some(0);
    }
    let (mut rest, mut total, mut units) = (text, 0_u64, DURATIONS.iter());
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let (number, after) = split_number(rest)?;
        let letters = after.bytes().take_while(u8::is_ascii_alphabetic).count();
        let (unit, after) = after.split_at(letters);
        let (_, factor) = units.find(|(name, _)| *name == unit)?;
        total = total.checked_add(number.checked_mul(*factor)?)?;
        rest = after;
    }
    (total <= LONGEST_DURATION).then_some(total)
}

fn is_size(text: &str) -> bool {
    split_number(text).is_some_and(|(_, unit)| SIZES.contains(&unit))
}

/// A whole number and what follows it.
fn split_number(text: &str) -> Option<(u64, &str)> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, rest) = text.split_at(digits);
    Some((number.parse().ok()?, rest))
}

/// A name that a board can have: what a DHCP server says is cut to one label, and these name no machine.
fn is_host(name: &str) -> bool {
    is_label(name)
        && !name.bytes().all(|byte| byte.is_ascii_digit())
        && !matches!(name, "localhost" | "localhost6" | "none" | "unknown")
}

/// One label of RFC 1123, in lower case as DNS and Consul want it.
fn is_label(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= 63
        && name
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
        && !name.starts_with('-')
        && !name.ends_with('-')
}

fn is_address_or_name(name: &str) -> bool {
    let labels = name.strip_suffix('.').unwrap_or(name);
    name.parse::<IpAddr>().is_ok()
        || (name.len() <= 253
            && labels.split('.').all(|label| is_label(&label.to_ascii_lowercase()))
            // Four numbers that are no address are no name either.
            && !labels
                .rsplit('.')
                .next()
                .is_some_and(|last| last.bytes().all(|byte| byte.is_ascii_digit())))
}

/// A name of the zone database (its `theory.html`, "Timezone identifiers").
fn is_zone(zone: &str) -> bool {
    zone.split('/').all(|part| {
        part.starts_with(|c: char| c.is_ascii_alphanumeric())
            && part
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'+'))
    })
}

fn is_public_key(key: &str) -> bool {
    let words: Vec<&str> = key.split_whitespace().collect();
    let typed = words
        .iter()
        .any(|word| word.starts_with("ssh-") || word.starts_with("ecdsa-") || word.starts_with("sk-"));
    typed && words.len() >= 2 && !key.contains(['\n', '\r']) && !key.contains("PRIVATE KEY")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_of_prometheus() {
        assert_eq!(milliseconds("1h30m"), Some(5_400_000));
        assert_eq!(milliseconds("1m5ms"), Some(60_005));
        assert_eq!(milliseconds("0"), Some(0));
        for wrong in [
            "",
            "1",
            "30m1h",
            "1h1h",
            "often",
            "1.5h",
            "h",
            "1 h",
            "-1h",
            "300y",
            "99999999999999999999s",
        ] {
            assert_eq!(milliseconds(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_rule_with_other_conditions_may_or_may_not_match() {
        let mut rules: Vec<RoleRule> = vec![RoleRule {
            hostname: Some("core-*".to_owned()),
            memory_mib: Some(1000),
            roles: vec![Role::Client],
            ..RoleRule::default()
        }];
        assert!(check_server_by_rules(&rules, "core-1").unwrap_err().contains("no rule"));
        rules.push(RoleRule {
            roles: vec![Role::Server],
            ..RoleRule::default()
        });
        assert_eq!(check_server_by_rules(&rules, "core-1"), Ok(()));
        rules[0].memory_mib = None;
        assert!(
            check_server_by_rules(&rules, "Core-1")
                .unwrap_err()
                .contains("`roles[0]`")
        );
    }
}
