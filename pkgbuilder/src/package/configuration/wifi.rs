//! `wifi-local`: the wireless network.

use super::parts::{Audience, File, Parts, Start};
use super::secret::Secret;
use super::settings::{Settings, is_raw_psk};

/// `wifi-local`
pub(super) fn local(settings: &Settings) -> Parts {
    let ssid = settings.wifi_ssid.clone().unwrap_or_default();
    let psk = settings.wifi_psk.clone().unwrap_or_else(|| Secret::new(String::new()));
    let files = [
        // Raspberry Pi OS since 2023 and desktops: NetworkManager ignores a file that others may read.
        (
            "/etc/NetworkManager/system-connections/wifi-local.nmconnection",
            network_manager(&ssid, &psk),
        ),
        // Others: wpa_supplicant@wlan0.service, and dhcpcd of older Raspberry Pi OS.
        (
            "/etc/wpa_supplicant/wpa_supplicant-wlan0.conf",
            wpa_supplicant(&ssid, &psk),
        ),
    ];
    Parts {
        summary: "wireless network that this machine joins".to_owned(),
        description: "Name and key of the wireless network, for NetworkManager and for\nwpa_supplicant@wlan0.service, \
                      whichever the machine uses.\n"
            .to_owned(),
        recommends: vec!["network-manager | wpasupplicant".to_owned()],
        files: files
            .into_iter()
            .map(|(path, text)| File {
                audience: Audience::Root,
                ..File::config(path, text)
            })
            .collect(),
        start: Start::Connections,
        ..Parts::default()
    }
}

/// `nm-settings-keyfile(5)`: a network's name as its bytes, for any character may be in it.
fn network_manager(ssid: &str, psk: &Secret) -> String {
    let ssid = ssid.bytes().map(|byte| format!("{byte};")).collect::<Vec<_>>().concat();
    // GKeyFile: a backslash begins an escape, and leading blanks would be dropped.
    let psk = psk.expose().replace('\\', "\\\\");
    let psk = match psk.strip_prefix(' ') {
        Some(rest) => format!("\\s{rest}"),
        None => psk,
    };
    format!(
        "# From the package wifi-local, made by pkgbuilder; dpkg asks before it replaces your changes.\n\
         [connection]\nid=wifi-local\ntype=wifi\n\n[wifi]\nmode=infrastructure\nssid={ssid}\n\n\
         [wifi-security]\nkey-mgmt=wpa-psk\npsk={psk}\n\n[ipv4]\nmethod=auto\n\n[ipv6]\nmethod=auto\n"
    )
}

/// `wpa_supplicant.conf(5)`: a passphrase stands in quotes, a key does not; a name may be written as hexadecimal bytes.
fn wpa_supplicant(ssid: &str, psk: &Secret) -> String {
    let plain = ssid.chars().all(|c| c.is_ascii_graphic() || c == ' ') && !ssid.contains(['"', '\\']);
    let ssid = if plain {
        format!("\"{ssid}\"")
    } else {
        hex::encode(ssid)
    };
    let psk = psk.expose();
    let psk = if is_raw_psk(psk) {
        psk.to_owned()
    } else {
        format!("\"{psk}\"")
    };
    format!(
        "# From the package wifi-local, made by pkgbuilder; dpkg asks before it replaces your changes.\n\
         ctrl_interface=DIR=/run/wpa_supplicant GROUP=netdev\n\nnetwork={{\n\tssid={ssid}\n\tpsk={psk}\n}}\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_keys_of_any_characters() {
        let key = Secret::new("pass \"word\" \\1".to_owned());
        assert!(wpa_supplicant("My LAN", &key).contains("ssid=\"My LAN\"\n\tpsk=\"pass \"word\" \\1\"\n"));
        assert!(wpa_supplicant("Café", &key).contains("ssid=436166c3a9\n"));
        let raw = Secret::new("0a".repeat(32));
        assert!(wpa_supplicant("x", &raw).contains(&format!("psk={}\n", "0a".repeat(32))));
        let text = network_manager("a;b", &Secret::new(" leading\\".to_owned()));
        assert!(
            text.contains("ssid=97;59;98;\n") && text.contains("psk=\\sleading\\\\\n"),
            "{text}"
        );
    }
}
