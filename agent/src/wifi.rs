//! The wireless network: what wpa_supplicant and networkd read, where the secrets name a network.

use std::fmt::Write as _;

use anyhow::{Context, Result};
use computatom_spec::secrets::Wifi;

use crate::atomic;
use crate::root::Root;

/// What `wpa_supplicant@wlan0.service` reads; gone with the next boot, as all of `/etc`.
pub const SUPPLICANT: &str = "/etc/wpa_supplicant/wpa_supplicant-wlan0.conf";
/// What makes networkd ask for an address there.
pub const NETWORK: &str = "/run/systemd/network/21-computatom-wireless.network";

/// As on wires (`20-computatom-wired.network`); where a board has both, the wire is taken.
const NETWORK_TEXT: &str = "\
[Match]
Name=wlan0

[Network]
DHCP=yes
IPv6AcceptRA=yes
MulticastDNS=yes
LLMNR=no

[DHCPv4]
ClientIdentifier=mac
UseDomains=yes
UseHostname=no
SendHostname=no
RouteMetric=2048

[DHCPv6]
UseDomains=yes
UseHostname=no
SendHostname=no

[IPv6AcceptRA]
UseDomains=yes
RouteMetric=2048
";

/// Writes both files.
///
/// # Errors
///
/// Fails if one cannot be written.
pub fn configure(root: &Root, wifi: &Wifi, country: Option<&str>) -> Result<()> {
    let text = supplicant(wifi, country);
    for (path, text, mode) in [(SUPPLICANT, text.as_str(), 0o600), (NETWORK, NETWORK_TEXT, 0o644)] {
        atomic::write_if_changed(&root.path(path), text, mode).with_context(|| format!("writing {path}"))?;
    }
    Ok(())
}

/// wpa_supplicant.conf(5). A name may be of any bytes, so it is written as hexadecimal digits; a passphrase stands in quotes,
/// up to the last one of the line. Without a country the rules of all countries hold at once.
fn supplicant(wifi: &Wifi, country: Option<&str>) -> String {
    let country = country
        .map(|country| format!("country={country}\n"))
        .unwrap_or_default();
    let ssid = wifi.ssid.bytes().fold(String::new(), |mut digits, byte| {
        let _ = write!(digits, "{byte:02x}");
        digits
    });
    let psk = if wifi.has_raw_key() {
        wifi.psk.clone()
    } else {
        format!("\"{}\"", wifi.psk)
    };
    format!(
        "# Made by computatom-agent at every boot.\nctrl_interface=/run/wpa_supplicant\n{country}\n\
         network={{\n\tssid={ssid}\n\tpsk={psk}\n\tkey_mgmt=WPA-PSK SAE\n\tieee80211w=1\n\tscan_ssid=1\n}}\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wifi(psk: &str) -> Wifi {
        Wifi {
            ssid: "Café".to_owned(),
            psk: psk.to_owned(),
        }
    }

    #[test]
    fn names_and_keys_of_any_characters() {
        let text = supplicant(&wifi("a \"b\" # c"), Some("DE"));
        assert!(text.contains("\ncountry=DE\n"), "{text}");
        assert!(text.contains("\tssid=436166c3a9\n\tpsk=\"a \"b\" # c\"\n"), "{text}");
        let raw = "0a".repeat(32);
        let text = supplicant(&wifi(&raw), None);
        assert!(
            text.contains(&format!("\tpsk={raw}\n")) && !text.contains("country"),
            "{text}"
        );
    }

    #[test]
    fn the_key_is_for_root_alone() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let root = Root::at(folder.path());
        configure(&root, &wifi("correct horse"), None).unwrap();
        let mode = |path| std::fs::metadata(root.path(path)).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(SUPPLICANT), mode(NETWORK)), (0o600, 0o644));
    }
}
