//! Host names: what a valid one is, and where this node's comes from.

use anyhow::bail;
use serde::{Deserialize, Serialize};

/// Where a host name came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// Option 12 of the DHCP lease.
    Lease,
    /// `systemd.hostname=` on the kernel command line, or `/etc/hostname`.
    Static,
    /// The name of an earlier lease: the DHCP server does not answer today.
    Remembered,
    /// `<prefix>-<end of the board's serial number>`.
    Serial,
}

impl Source {
    /// The rest of a sentence that begins with the name.
    pub const fn explain(self) -> &'static str {
        match self {
            Self::Lease => "named by the DHCP lease",
            Self::Static => "named by this machine's own configuration",
            Self::Remembered => "named by an earlier DHCP lease",
            Self::Serial => "named after its serial number: the DHCP lease has no host name",
        }
    }
}

/// Checks that `name` is one label of RFC 1123 section 2.1: letters, digits and inner hyphens, at most 63.
///
/// # Errors
/// The rule it breaks.
pub fn validate(name: &str) -> anyhow::Result<()> {
    if name.is_empty() || name.len() > 63 {
        bail!("a host name has 1 to 63 characters");
    }
    if !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
        bail!("a host name has only letters, digits and hyphens");
    }
    if name.starts_with('-') || name.ends_with('-') {
        bail!("a host name neither begins nor ends with a hyphen");
    }
    Ok(())
}

/// The host name in what a DHCP server or a file says: the first label of a fully qualified name, in lower case.
///
/// `None` for names that name no machine: `localhost` (what many routers send for lack of a better one),
/// and labels that RFC 1123 does not allow, all digits included (Consul and DNS would take those for addresses).
pub fn first_label(name: &str) -> Option<String> {
    let label = name.trim().split('.').next()?.to_ascii_lowercase();
    let usable = validate(&label).is_ok()
        && !matches!(label.as_str(), "localhost" | "localhost6" | "none" | "unknown")
        && !label.bytes().all(|byte| byte.is_ascii_digit());
    usable.then_some(label)
}

/// The name of a board that nothing else names: prefix and the last six letters or digits of its serial number.
pub fn from_serial(prefix: &str, serial: &str) -> String {
    let serial: Vec<char> = serial
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .map(|c| c.to_ascii_lowercase())
        .collect();
    let end: String = serial[serial.len().saturating_sub(6)..].iter().collect();
    let prefix = &prefix[..prefix.len().min(56)];
    if end.is_empty() {
        format!("{prefix}-0")
    } else {
        format!("{prefix}-{end}")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_fully_qualified_name_is_cut() {
        assert_eq!(first_label("Core-1.home.arpa.").as_deref(), Some("core-1"));
    }

    #[test]
    fn names_of_nothing_are_refused() {
        let long = "a".repeat(64);
        for name in [
            "",
            ".",
            "localhost",
            "LOCALHOST.localdomain",
            "-a",
            "a-",
            "a_b",
            "192.168.1.7",
            "ü",
            &long,
        ] {
            assert_eq!(first_label(name), None, "{name}");
        }
    }

    #[test]
    fn the_serial_number_makes_a_name() {
        assert_eq!(from_serial("node", "00000000A1B2C3D4"), "node-b2c3d4");
        assert_eq!(from_serial("node", "52:54:00:12:34:56"), "node-123456");
        assert_eq!(from_serial("node", "::"), "node-0");
    }

    proptest! {
        #[test]
        fn whatever_comes_the_result_is_a_valid_label(name in "\\PC*") {
            if let Some(label) = first_label(&name) {
                prop_assert!(validate(&label).is_ok());
            }
        }

        #[test]
        fn serial_names_are_valid(prefix in "[a-z]([a-z0-9-]{0,60}[a-z0-9])?", serial in "\\PC*") {
            prop_assert!(validate(&from_serial(&prefix, &serial)).is_ok());
        }
    }
}
