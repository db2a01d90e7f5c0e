//! `/etc/ssl/certs/java/cacerts`: the certificates that Java trusts, as ca-certificates-java's program leaves them: a
//! keystore of the type JKS (the format is that of OpenJDK's `sun.security.provider.JavaKeyStore`).
//!
//! Java writes entries in the order of a hash table, and the time at which each was added; here they are in the order of
//! their names, and of the tree's time.

use anyhow::{Context as _, Result};

use super::ca_certificates::sha1;
use super::der;
use crate::system::System;
use crate::tree::Tree;

const CERTIFICATES: &str = "/etc/ssl/certs";
const KEYSTORE: &str = "/etc/ssl/certs/java/cacerts";
const DEFAULTS: &str = "/etc/default/cacerts";

/// Certificates whose links lead elsewhere are not ours to add.
const SOURCES: [&str; 2] = ["/usr/share/ca-certificates", "/usr/local/share/ca-certificates"];

/// Mixed into the digest, for no better reason than tradition.
const WHITENER: &[u8] = b"Mighty Aphrodite";

/// Makes the keystore, unless the machine's defaults say that it is kept by hand.
pub(super) fn generate(system: &mut System) -> Result<()> {
    let defaults = system.tree.read_text(DEFAULTS).unwrap_or_default();
    let setting = |name: &str| {
        let value = defaults
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
        value.map(|value| value.trim_matches(['\'', '"']).to_owned())
    };
    if setting("cacerts_updates").as_deref() != Some("yes") || !system.tree.exists("/usr/bin/java") {
        return Ok(());
    }
    let password = setting("storepass").filter(|password| !password.is_empty());
    let tree = &mut system.tree;
    let keystore = keystore(&entries(tree)?, tree.now, password.as_deref().unwrap_or("changeit"))?;
    tree.mkdir_all("/etc/ssl/certs/java", 0o755)?;
    tree.write(KEYSTORE, keystore, 0o644)
        .with_context(|| format!("writing {KEYSTORE}"))?;
    Ok(())
}

/// Name and certificate of each, in the order of names.
fn entries(tree: &Tree) -> Result<Vec<(String, Vec<u8>)>> {
    let mut entries = Vec::new();
    for (name, _) in tree.read_dir(CERTIFICATES)? {
        let path = format!("{CERTIFICATES}/{name}");
        let target = tree.read_link(&path).unwrap_or_default();
        let is_ours = SOURCES.iter().any(|source| target.starts_with(source));
        if !is_ours
            || std::path::Path::new(&name)
                .extension()
                .is_none_or(|ending| ending != "pem")
        {
            continue;
        }
        let text = tree.read_text(&path).with_context(|| format!("reading {path}"))?;
        let certificate = der::certificates(&text).into_iter().next();
        let certificate = certificate.with_context(|| format!("reading {path}: it holds no certificate"))?;
        entries.push((format!("debian:{}", name.to_lowercase()), certificate));
    }
    entries.sort();
    Ok(entries)
}

fn keystore(entries: &[(String, Vec<u8>)], now: i64, password: &str) -> Result<Vec<u8>> {
    const TRUSTED: u32 = 2;
    let count = u32::try_from(entries.len()).context("counting certificates")?;
    let mut bytes = Vec::new();
    for number in [0xfeed_feed, 2, count] {
        bytes.extend(u32::to_be_bytes(number));
    }
    let text = |bytes: &mut Vec<u8>, text: &str| -> Result<()> {
        bytes.extend(u16::try_from(text.len()).context("writing a name")?.to_be_bytes());
        bytes.extend_from_slice(text.as_bytes());
        Ok(())
    };
    for (name, certificate) in entries {
        bytes.extend(TRUSTED.to_be_bytes());
        text(&mut bytes, name)?;
        bytes.extend((now * 1000).to_be_bytes());
        text(&mut bytes, "X.509")?;
        bytes.extend(
            u32::try_from(certificate.len())
                .context("writing a certificate")?
                .to_be_bytes(),
        );
        bytes.extend_from_slice(certificate);
    }
    let mut digested: Vec<u8> = password.encode_utf16().flat_map(u16::to_be_bytes).collect();
    digested.extend_from_slice(WHITENER);
    digested.extend_from_slice(&bytes);
    bytes.extend(sha1(&digested));
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Read back by OpenJDK 17's `keytool -list -storepass changeit` on 2026-11-21, which checks the digest.
    const EMPTY: &str = "feedfeed0000000200000000e2686e45fb43dfa4d992dd41ceb6b21c6330d792";

    #[test]
    fn an_empty_keystore_is_what_keytool_makes() {
        assert_eq!(hex::encode(keystore(&[], 0, "changeit").unwrap()), EMPTY);
    }

    #[test]
    fn only_links_to_trusted_certificates_are_entries_and_defaults_are_heeded() {
        let mut system = System::new("arm64", 5);
        for folder in ["/etc/ssl/certs", "/etc/default", "/usr/bin", SOURCES[0]] {
            system.tree.mkdir_all(folder, 0o755).unwrap();
        }
        let pem = "-----BEGIN CERTIFICATE-----\nMAMCAQE=\n-----END CERTIFICATE-----\n";
        let shipped = format!("{}/A.crt", SOURCES[0]);
        system.tree.write(&shipped, pem, 0o644).unwrap();
        system.tree.write("/etc/ssl/certs/own.pem", pem, 0o644).unwrap();
        system.tree.symlink(&shipped, "/etc/ssl/certs/A.pem").unwrap();
        system.tree.symlink("A.pem", "/etc/ssl/certs/0123abcd.0").unwrap();
        let entries = entries(&system.tree).unwrap();
        assert_eq!(entries, [("debian:a.pem".to_owned(), vec![0x30, 3, 2, 1, 1])]);
        system.tree.write("/usr/bin/java", "", 0o755).unwrap();
        system.tree.write(DEFAULTS, "cacerts_updates=no\n", 0o600).unwrap();
        generate(&mut system).unwrap();
        assert!(!system.tree.exists(KEYSTORE));
        system.tree.write(DEFAULTS, "cacerts_updates=yes\n", 0o600).unwrap();
        generate(&mut system).unwrap();
        assert_eq!(system.tree.stat(KEYSTORE).unwrap().mode, 0o644);
    }
}
