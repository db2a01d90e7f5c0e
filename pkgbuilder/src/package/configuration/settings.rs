//! What configuration packages are made from: the older tool's `-config` object, or the site settings.

use std::net::IpAddr;

use anyhow::Result;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use computatom_spec::site::Site;
use serde_json::Value;
use zeroize::Zeroize;

use super::secret::Secret;
use crate::definition::{check_network, nearest};
use crate::{bail_input, input_error};

/// The settings of one cluster, as far as they are known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// `ConsulSerfEncrypt`: Consul's gossip key, base64 of 16, 24 or 32 bytes.
    pub consul_gossip: Option<Secret>,
    /// `NomadSerfEncrypt`: the gossip key of Nomad's servers. The older tool had none.
    pub nomad_gossip: Option<Secret>,
    /// `CoreServers`: addresses or names of the servers; their number is `bootstrap_expect`.
    pub servers: Vec<String>,
    /// `CoreCidr`: the network whose address a machine uses; without it, its private address on the default route.
    pub network: Option<String>,
    /// `Datacenter`, of Consul and Nomad; without it, their own default (`dc1`).
    pub datacenter: Option<String>,
    /// `Region` of Nomad; without it, its own default (`global`).
    pub region: Option<String>,
    /// `WifiSsid`: name of the wireless network, at most 32 bytes.
    pub wifi_ssid: Option<String>,
    /// `WifiPsk`: its passphrase (8 to 63 characters) or pre-shared key (64 hexadecimal digits).
    pub wifi_psk: Option<Secret>,
}

/// The keys of a `-config` object: those of the older tool (its last version, `593c5e1`), and three of ours.
pub const KEYS: [&str; 8] = [
    "ConsulSerfEncrypt",
    "CoreServers",
    "CoreCidr",
    "WifiSsid",
    "WifiPsk",
    "NomadSerfEncrypt",
    "Datacenter",
    "Region",
];

impl Settings {
    /// Reads a `-config` object. Messages tell places, keys and lengths, but no values: these may be secret.
    pub fn from_json(text: &str) -> Result<Self> {
        // Not read into a struct: serde_json's messages on types repeat the value, those on syntax do not.
        let mut value: Value = serde_json::from_str(text).map_err(|error| {
            let place = format!("line {} column {}", error.line(), error.column());
            let what = error.to_string();
            let what = what.split(" at line ").next().unwrap_or_default();
            input_error!("-config is not JSON: {place}: {what}; its values are not repeated here")
        })?;
        let settings = Self::from_value(&mut value);
        forget(&mut value);
        settings
    }

    fn from_value(value: &mut Value) -> Result<Self> {
        let Value::Object(members) = value else {
            bail_input!("-config must be one JSON object, such as {{\"CoreServers\": [\"192.168.2.51\"]}}");
        };
        let mut settings = Self::default();
        for (key, value) in members {
            match key.as_str() {
                "ConsulSerfEncrypt" => settings.consul_gossip = Some(gossip(key, value, "consul keygen")?),
                "NomadSerfEncrypt" => {
                    settings.nomad_gossip = Some(gossip(key, value, "nomad operator gossip keyring generate")?);
                }
                "CoreServers" => settings.servers = servers(key, value)?,
                "CoreCidr" => settings.network = Some(network(key, string(key, value)?)?),
                "Datacenter" => settings.datacenter = Some(word(key, string(key, value)?)?),
                "Region" => settings.region = Some(word(key, string(key, value)?)?),
                "WifiSsid" => settings.wifi_ssid = Some(ssid(key, string(key, value)?)?),
                "WifiPsk" => settings.wifi_psk = Some(psk(key, value)?),
                unknown => {
                    let keys = KEYS.map(str::to_owned);
                    let nearest = nearest(unknown, &keys);
                    bail_input!(
                        "-config has an unknown key `{unknown}`{nearest}; it may have {}",
                        KEYS.join(", ")
                    );
                }
            }
        }
        Ok(settings)
    }

    /// What the site settings say. They are public, so they hold no keys.
    pub fn from_site(site: &Site) -> Self {
        let servers = if site.server_addresses.is_empty() {
            &site.servers
        } else {
            &site.server_addresses
        };
        Self {
            servers: servers.clone(),
            network: site.lan.clone(),
            datacenter: Some(site.datacenter.clone()),
            region: Some(site.region.clone()),
            ..Self::default()
        }
    }

    /// Whether anything is said for a key of [`KEYS`].
    pub fn has(&self, key: &str) -> bool {
        match key {
            "ConsulSerfEncrypt" => self.consul_gossip.is_some(),
            "NomadSerfEncrypt" => self.nomad_gossip.is_some(),
            "CoreServers" => !self.servers.is_empty(),
            "CoreCidr" => self.network.is_some(),
            "Datacenter" => self.datacenter.is_some(),
            "Region" => self.region.is_some(),
            "WifiSsid" => self.wifi_ssid.is_some(),
            "WifiPsk" => self.wifi_psk.is_some(),
            _ => false,
        }
    }

    /// These settings, and where they are silent, those of `other`.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self {
            consul_gossip: self.consul_gossip.or(other.consul_gossip),
            nomad_gossip: self.nomad_gossip.or(other.nomad_gossip),
            servers: if self.servers.is_empty() {
                other.servers
            } else {
                self.servers
            },
            network: self.network.or(other.network),
            datacenter: self.datacenter.or(other.datacenter),
            region: self.region.or(other.region),
            wifi_ssid: self.wifi_ssid.or(other.wifi_ssid),
            wifi_psk: self.wifi_psk.or(other.wifi_psk),
        }
    }
}

/// Overwrites every string of a value.
fn forget(value: &mut Value) {
    match value {
        Value::String(text) => text.zeroize(),
        Value::Array(items) => items.iter_mut().for_each(forget),
        Value::Object(members) => members.values_mut().for_each(forget),
        _ => {}
    }
}

fn string(key: &str, value: &mut Value) -> Result<String> {
    match value {
        Value::String(text) => Ok(std::mem::take(text)),
        _ => bail_input!("-config: `{key}` must be a string"),
    }
}

fn secret(key: &str, value: &mut Value) -> Result<Secret> {
    string(key, value).map(Secret::new)
}

/// memberlist takes keys of AES-128, -192 and -256.
fn gossip(key: &str, value: &mut Value, maker: &str) -> Result<Secret> {
    let secret = secret(key, value)?;
    let Ok(mut bytes) = STANDARD.decode(secret.expose()) else {
        bail_input!("-config: `{key}` is not base64; `{maker}` makes a gossip key");
    };
    let length = bytes.len();
    bytes.zeroize();
    if ![16, 24, 32].contains(&length) {
        bail_input!(
            "-config: `{key}` is base64 of {length} bytes, but a gossip key has 16, 24 or 32; `{maker}` makes one"
        );
    }
    Ok(secret)
}

fn servers(key: &str, value: &mut Value) -> Result<Vec<String>> {
    let Value::Array(items) = value else {
        bail_input!("-config: `{key}` must be a list of addresses or names, such as [\"192.168.2.51\"]");
    };
    let mut servers = Vec::new();
    for item in items {
        let server = string(key, item)?;
        if server.parse::<IpAddr>().is_err() && !dns_name(&server) {
            bail_input!("-config: `{key}` has `{server}`, which is neither an IP address nor a host name");
        }
        if servers.contains(&server) {
            bail_input!("-config: `{key}` has `{server}` twice; their number decides when a leader is elected");
        }
        servers.push(server);
    }
    Ok(servers)
}

/// Labels of letters, digits and inner hyphens (RFC 1123).
fn dns_name(name: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    // What is all digits and dots is a mistyped address.
    name.len() <= 253 && name.split('.').all(label) && name.chars().any(|c| c.is_ascii_alphabetic())
}

fn network(key: &str, text: String) -> Result<String> {
    if !text.contains('/') {
        bail_input!("-config: `{key}` is `{text}`; write the network in CIDR notation, such as 192.168.2.0/24");
    }
    check_network(&text).map_err(|error| input_error!("-config: `{key}`: {error}"))?;
    Ok(text)
}

/// A datacenter or region: Consul and Nomad take `^[A-Za-z0-9_-]+$`.
fn word(key: &str, text: String) -> Result<String> {
    if text.is_empty() || !text.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_') {
        bail_input!("-config: `{key}` is `{text}`; use letters, digits, `-` and `_`");
    }
    Ok(text)
}

fn ssid(key: &str, text: String) -> Result<String> {
    // IEEE 802.11: 0 to 32 bytes, where none means "any".
    if !(1..=32).contains(&text.len()) {
        bail_input!(
            "-config: `{key}` has {} bytes; the name of a wireless network has 1 to 32",
            text.len()
        );
    }
    Ok(text)
}

fn psk(key: &str, value: &mut Value) -> Result<Secret> {
    let secret = secret(key, value)?;
    let text = secret.expose();
    let passphrase = (8..=63).contains(&text.len()) && text.bytes().all(|byte| (0x20..0x7f).contains(&byte));
    if !passphrase && !is_raw_psk(text) {
        bail_input!(
            "-config: `{key}` has {} bytes and is neither a passphrase (8 to 63 printable ASCII characters) nor a key \
             of 64 hexadecimal digits; `wpa_passphrase` makes one of the other",
            text.len()
        );
    }
    Ok(secret)
}

/// Whether this is the key itself, not the passphrase that it is derived from.
pub(super) fn is_raw_psk(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const KEY: &str = "S/OHRE9Nc4VmdGtJr11vBA==";

    fn refused(text: &str) -> String {
        let error = Settings::from_json(text).unwrap_err();
        assert_eq!(crate::failure::exit_code(&error), 2, "{error:#}");
        format!("{error:#}")
    }

    #[test]
    fn the_older_tools_example_is_read() {
        let settings = Settings::from_json(&format!(
            r#"{{"ConsulSerfEncrypt": "{KEY}", "CoreServers": ["192.168.2.51", "192.168.2.52", "core-3.lan"],
                "CoreCidr": "192.168.2.0/24", "WifiSsid": "YourSSID", "WifiPsk": "{}"}}"#,
            "b7".repeat(32)
        ))
        .unwrap();
        assert_eq!(settings.consul_gossip.unwrap().expose(), KEY);
        assert_eq!(settings.servers, ["192.168.2.51", "192.168.2.52", "core-3.lan"]);
        assert_eq!(settings.network.as_deref(), Some("192.168.2.0/24"));
        assert_eq!(settings.wifi_ssid.as_deref(), Some("YourSSID"));
        assert_eq!(settings.wifi_psk.unwrap().expose().len(), 64);
        assert_eq!(Settings::from_json("{}").unwrap(), Settings::default());
    }

    #[test]
    fn a_typo_is_told_by_its_place_and_no_value_is_repeated() {
        let text = refused("{\n  \"ConsulSerfEncrypt\": \"opensesame\"\n  \"CoreServers\": []\n}");
        assert!(text.contains("line 3 column 3: expected `,` or `}`"), "{text}");
        assert!(!text.contains("opensesame"), "{text}");
        let text = refused("{\"WifiPsk\": opensesame}");
        assert!(
            text.contains("line 1 column 13") && !text.contains("opensesame"),
            "{text}"
        );
        assert!(refused("").contains("line 1 column 0"));
        assert!(refused("[]").contains("one JSON object"));
    }

    #[test]
    fn an_unknown_key_is_answered_with_the_nearest() {
        let text = refused(r#"{"CoreServer": ["192.168.2.51"]}"#);
        assert!(text.contains("`CoreServer` (did you mean `CoreServers`?)"), "{text}");
        assert!(refused(r#"{"consulserfencrypt": "opensesame"}"#).contains("it may have ConsulSerfEncrypt"));
    }

    #[test]
    fn wrong_values_are_refused_and_secret_ones_not_repeated() {
        let text = refused(r#"{"ConsulSerfEncrypt": "b3BlbnNlc2FtZQ=="}"#);
        assert!(
            text.contains("base64 of 10 bytes") && text.contains("16, 24 or 32"),
            "{text}"
        );
        assert!(!text.contains("b3Blbn"), "{text}");
        let text = refused(r#"{"NomadSerfEncrypt": "open sesame"}"#);
        assert!(text.contains("not base64") && !text.contains("sesame"), "{text}");
        let text = refused(r#"{"WifiPsk": "sesame"}"#);
        assert!(text.contains("6 bytes") && !text.contains("sesame"), "{text}");
        let text = refused(r#"{"WifiPsk": 12345678}"#);
        assert!(text.contains("must be a string") && !text.contains("1234"), "{text}");
        assert!(refused(r#"{"CoreCidr": "192.168.2.0/33"}"#).contains("at most 32"));
        assert!(refused(r#"{"CoreCidr": "192.168.2.51/24"}"#).contains("ends in zeros"));
        assert!(refused(r#"{"CoreCidr": "192.168.2.0"}"#).contains("CIDR notation"));
        assert!(refused(r#"{"CoreServers": "192.168.2.51"}"#).contains("must be a list"));
        assert!(refused(r#"{"CoreServers": ["192.168.2.510"]}"#).contains("neither an IP address"));
        assert!(refused(r#"{"CoreServers": ["a b"]}"#).contains("neither an IP address"));
        assert!(refused(r#"{"CoreServers": ["a", "a"]}"#).contains("twice"));
        assert!(refused(r#"{"WifiSsid": ""}"#).contains("1 to 32"));
        assert!(refused(r#"{"Datacenter": "my home"}"#).contains("letters"));
    }

    #[test]
    fn the_site_fills_in_what_the_object_leaves_open() {
        let site = Site {
            lan: Some("10.0.0.0/8".to_owned()),
            ..Site::default()
        };
        let object = Settings::from_json(r#"{"CoreServers": ["10.0.0.1"], "Region": "eu"}"#).unwrap();
        let both = object.or(Settings::from_site(&site));
        assert_eq!(both.servers, ["10.0.0.1"]);
        assert_eq!(
            (both.region.as_deref(), both.datacenter.as_deref()),
            (Some("eu"), Some("home"))
        );
        assert_eq!(both.network.as_deref(), Some("10.0.0.0/8"));
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in r#"[\{\[]?"?(ConsulSerfEncrypt|CoreCidr|WifiPsk|x)?"?:? ?"?[ -~]{0,40}"?[\}\]]?"#) {
            let _ = Settings::from_json(&text);
        }
    }
}
