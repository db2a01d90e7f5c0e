//! What a board is told that must not be in an image: the file that `pkgbuilder burn --secrets` puts onto the first
//! partition, and that the first boot moves to DATA.
//!
//! ```text
//! { "wifi": { "ssid": "My network", "psk": "its key" } }
//! ```

use std::fmt;

use serde::{Deserialize, Serialize};

/// Its name on the first partition.
pub const FILE: &str = "computatom-secrets.json";
/// Where it is kept, on DATA, for root alone.
pub const KEPT: &str = "/var/lib/computatom/secrets.json";
/// It is no larger than this many bytes.
pub const LIMIT: usize = 64 << 10;

/// The keys of each object, by its path.
pub const KEYS: &[(&str, &[&str])] = &[("", &["wifi"]), ("wifi", &["ssid", "psk"])];

/// The secrets of a board.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Secrets {
    /// The wireless network that it joins.
    pub wifi: Option<Wifi>,
}

/// A wireless network.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wifi {
    /// Its name.
    pub ssid: String,
    /// Its key: a passphrase, or 64 hex digits.
    pub psk: String,
}

impl fmt::Debug for Wifi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wifi").field("ssid", &self.ssid).finish_non_exhaustive()
    }
}

impl Wifi {
    /// Whether the key is one, and not a passphrase that one is made of.
    pub fn has_raw_key(&self) -> bool {
        self.psk.len() == 64 && self.psk.bytes().all(|byte| byte.is_ascii_hexdigit())
    }
}

impl Secrets {
    /// Refuses what no network can have (IEEE 802.11: a name of 1 to 32 bytes, a passphrase of 8 to 63 printable characters).
    ///
    /// # Errors
    ///
    /// A sentence that names the key, and not its value.
    pub fn check(&self) -> Result<(), String> {
        let Some(wifi) = &self.wifi else { return Ok(()) };
        if !(1..=32).contains(&wifi.ssid.len()) || wifi.ssid.contains(['\0', '\n', '\r']) {
            return Err("`wifi.ssid` must have 1 to 32 bytes, in one line: the name of the network".to_owned());
        }
        let printable = wifi.psk.bytes().all(|byte| (0x20..0x7f).contains(&byte));
        if !(wifi.has_raw_key() || printable && (8..=63).contains(&wifi.psk.len())) {
            return Err(
                "`wifi.psk` must be a passphrase of 8 to 63 printable ASCII characters, or a key of 64 hex digits"
                    .to_owned(),
            );
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(ssid: &str, psk: &str) -> Secrets {
        Secrets {
            wifi: Some(Wifi {
                ssid: ssid.to_owned(),
                psk: psk.to_owned(),
            }),
        }
    }

    #[test]
    fn only_what_a_network_can_have() {
        for (ssid, psk) in [("x", "12345678"), ("Café", &"a".repeat(63)), ("y", &"0A".repeat(32))] {
            assert_eq!(of(ssid, psk).check(), Ok(()), "{ssid}");
        }
        for (ssid, psk) in [
            ("", "12345678"),
            (&"x".repeat(33), "12345678"),
            ("a\nb", "12345678"),
            ("x", "1234567"),
            ("x", &"g".repeat(64)),
            ("x", "Schlüssel"),
        ] {
            let said = of(ssid, psk).check().unwrap_err();
            assert!(!said.contains(psk), "{said}");
        }
    }

    #[test]
    fn a_key_is_never_shown() {
        assert!(!format!("{:?}", of("home", "very secret")).contains("very"));
    }

    #[test]
    fn the_table_of_keys_is_whole() {
        let value = serde_json::to_value(of("a", "b")).unwrap();
        let keys = |value: &serde_json::Value| -> Vec<String> {
            let mut keys: Vec<String> = value.as_object().unwrap().keys().cloned().collect();
            keys.sort();
            keys
        };
        for (path, known) in KEYS {
            let mut known: Vec<String> = known.iter().map(|&key| key.to_owned()).collect();
            known.sort();
            let object = if path.is_empty() { &value } else { &value[path] };
            assert_eq!(keys(object), known, "{path}");
        }
    }
}
