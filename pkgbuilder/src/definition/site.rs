//! The site settings: `site.jsonnet` at the top of the repository, or the file named by `--site`.

use std::net::IpAddr;
use std::path::Path;

use anyhow::Result;
use computatom_spec::site::{RoleRule, Site};
use globset::Glob;
use serde_json::{Map, Value};

use super::jsonnet::{self, Evaluated};
use super::{names, raw};
use crate::bail_input;

/// The file that is read when `--site` names none.
pub const FILE: &str = "site.jsonnet";

/// Evaluates the site settings in `file`, laid over what the image's author fixed (`under`) and the defaults.
pub fn load_site(file: Option<&Path>, under: &Map<String, Value>, root: &Path) -> Result<Site> {
    let mut merged = Value::Object(under.clone());
    let Some(file) = file else {
        return check(read(&Evaluated::of(merged))?, "the definition's `site`");
    };
    let folders = [root.join("jsonnet"), root.join("images")];
    let mut evaluated = jsonnet::evaluate(file, &folders, root)?;
    // Read alone first: a mistake of the site file is told with its own line.
    read(&evaluated)?;
    merge(&mut merged, std::mem::take(&mut evaluated.value));
    evaluated.value = merged;
    check(read(&evaluated)?, &file.display().to_string())
}

fn read(evaluated: &Evaluated) -> Result<Site> {
    raw::read(evaluated)
}

/// Lays `over` over `base`: objects field by field, everything else whole.
fn merge(base: &mut Value, over: Value) {
    match (base, over) {
        (Value::Object(base), Value::Object(over)) => {
            for (name, value) in over {
                merge(base.entry(name).or_insert(Value::Null), value);
            }
        }
        (base, over) => *base = over,
    }
}

/// Refuses settings that a node could not follow. `from` names their file.
fn check(site: Site, from: &str) -> Result<Site> {
    for (key, value) in [("datacenter", &site.datacenter), ("region", &site.region)] {
        // Consul and Nomad: `^[A-Za-z0-9_-]+$`.
        if value.is_empty() || !value.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_') {
            bail_input!("{from}: `{key}` is `{value}`; use letters, digits, `-` and `_`");
        }
    }
    for (index, name) in site.servers.iter().enumerate() {
        if !names::host(name) {
            bail_input!("{from}: `servers` has `{name}`; a host name is lower-case letters, digits and inner `-`");
        }
        if site.servers[..index].contains(name) {
            bail_input!("{from}: `servers` has `{name}` twice; their number decides when a leader is elected");
        }
    }
    if !names::host(&site.hostname_prefix) {
        let prefix = &site.hostname_prefix;
        bail_input!("{from}: `hostname_prefix` is `{prefix}`; use lower-case letters, digits and inner `-`");
    }
    if let Some(lan) = &site.lan {
        check_network(lan).map_err(|text| crate::input_error!("{from}: `lan`: {text}"))?;
    }
    for (index, rule) in site.roles.iter().enumerate() {
        check_rule(rule).map_err(|text| crate::input_error!("{from}: `roles[{index}]`: {text}"))?;
    }
    for key in &site.ssh_keys {
        let words: Vec<&str> = key.split_whitespace().collect();
        let known = words
            .iter()
            .any(|word| word.starts_with("ssh-") || word.starts_with("ecdsa-") || word.starts_with("sk-"));
        if !known || words.len() < 2 || key.contains('\n') || key.contains("PRIVATE KEY") {
            bail_input!(
                "{from}: `ssh_keys` has an entry that is not a line of a `.pub` file: `ssh-ed25519 AAAA… name`"
            );
        }
    }
    if site.timezone.is_empty() || site.timezone.starts_with('/') || site.timezone.contains("..") {
        let zone = &site.timezone;
        bail_input!("{from}: `timezone` is `{zone}`; use a name of /usr/share/zoneinfo, such as `Europe/Berlin`");
    }
    Ok(site)
}

fn check_rule(rule: &RoleRule) -> Result<(), String> {
    for glob in [&rule.hostname, &rule.board].into_iter().flatten() {
        Glob::new(glob).map_err(|error| format!("`{glob}` is not a glob: {}", error.kind()))?;
    }
    for address in &rule.address {
        check_network(address)?;
    }
    if let Some(arch) = &rule.arch {
        arch.parse::<computatom_spec::arch::Arch>()?;
    }
    Ok(())
}

/// A network in CIDR notation without host bits, or an address.
pub(crate) fn check_network(text: &str) -> Result<(), String> {
    let wrong = || format!("`{text}` is not a network in CIDR notation, such as 192.168.1.0/24");
    let Some((address, length)) = text.split_once('/') else {
        return text.parse::<IpAddr>().map(|_| ()).map_err(|_| wrong());
    };
    let address: IpAddr = address.parse().map_err(|_| wrong())?;
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

#[cfg(test)]
mod tests {
    use super::*;

    fn site(text: &str) -> Result<Site> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("site.jsonnet");
        std::fs::write(&file, text).unwrap();
        load_site(Some(&file), &Map::new(), folder.path())
    }

    fn refused(text: &str) -> String {
        let error = site(text).unwrap_err();
        assert_eq!(crate::failure::exit_code(&error), 2, "{error:#}");
        format!("{error:#}")
    }

    #[test]
    fn settings_lie_over_the_authors_and_the_defaults() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("site.jsonnet");
        std::fs::write(&file, "{ nomad: { raw_exec: true } }").unwrap();
        let author = serde_json::json!({ "datacenter": "attic", "nomad": { "reserved_cpu": 1 } });
        let site = load_site(Some(&file), author.as_object().unwrap(), folder.path()).unwrap();
        assert_eq!((site.datacenter.as_str(), site.region.as_str()), ("attic", "global"));
        assert!(site.nomad.raw_exec);
        assert_eq!((site.nomad.reserved_cpu, site.nomad.reserved_disk_mib), (1, 1024));
    }

    #[test]
    fn unknown_keys_are_told_with_line_and_neighbour() {
        let text = refused("{\n  sever: [],\n}");
        assert!(
            text.contains("site.jsonnet:2:3: unknown key `sever` (did you mean `servers`?)"),
            "{text}"
        );
        let text = refused("{ nomad: { raw_exe: true } }");
        assert!(
            text.contains("unknown key `nomad.raw_exe` (did you mean `raw_exec`?)"),
            "{text}"
        );
    }

    #[test]
    fn values_a_node_could_not_follow_are_refused() {
        assert!(refused("{ lan: '192.168.1.0/33' }").contains("at most 32"));
        assert!(refused("{ lan: '192.168.1.7/24' }").contains("ends in zeros"));
        assert!(refused("{ lan: 'home' }").contains("CIDR"));
        assert!(refused("{ roles: [{ address: ['10.0.0.0/8', 'x'], roles: [] }] }").contains("`roles[0]`"));
        assert!(refused("{ roles: [{ hostname: 'core-[', roles: [] }] }").contains("not a glob"));
        assert!(refused("{ servers: ['core-1', 'core-1'] }").contains("twice"));
        assert!(refused("{ servers: ['Core_1'] }").contains("host name"));
        assert!(refused("{ datacenter: 'my home' }").contains("`datacenter`"));
        assert!(refused("{ ssh_keys: ['~/.ssh/id.pub'] }").contains("`ssh_keys`"));
        assert!(refused("{ servers: 'core-1' }").contains("invalid type"));
        assert!(site("{ lan: '192.168.0.0/22', roles: [{ address: ['fd00::/8', '10.1.2.3'] }] }").is_ok());
    }

    #[test]
    fn a_site_file_imports_only_the_vocabulary() {
        assert!(refused("{ ssh_keys: [importstr '/etc/passwd'] }").contains("imports stay inside"));
        assert!(refused("import '../x.jsonnet'").contains("there is no"));
    }
}
