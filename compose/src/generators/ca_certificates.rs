//! `/etc/ssl/certs` as `update-ca-certificates(8)` leaves it: the bundle, a link per certificate, and the links by
//! subject hash under which OpenSSL looks certificates up (`openssl-rehash(1)`).

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use sha2::Digest as _;

use super::der;
use crate::system::System;
use crate::tree::Tree;

const CONFIGURATION: &str = "/etc/ca-certificates.conf";
const SHIPPED: &str = "/usr/share/ca-certificates";
const LOCAL: &str = "/usr/local/share/ca-certificates";
const CERTIFICATES: &str = "/etc/ssl/certs";
const BUNDLE: &str = "/etc/ssl/certs/ca-certificates.crt";

/// Makes the bundle and the links.
pub(super) fn generate(system: &mut System) -> Result<()> {
    let tree = &mut system.tree;
    tree.mkdir_all(CERTIFICATES, 0o755).context("making /etc/ssl/certs")?;
    let mut bundle = Vec::new();
    for path in trusted(tree) {
        let content = tree.read(&path).with_context(|| format!("reading {path}"))?;
        bundle.extend_from_slice(&content);
        if !content.is_empty() && !content.ends_with(b"\n") {
            bundle.push(b'\n');
        }
        let link = format!("{CERTIFICATES}/{}.pem", link_name(&path));
        if tree.lexists(&link) {
            tree.unlink(&link).with_context(|| format!("replacing {link}"))?;
        }
        tree.symlink(&path, &link).with_context(|| format!("linking {link}"))?;
    }
    rehash(tree)?;
    let _ = tree.unlink(BUNDLE);
    tree.write(BUNDLE, bundle, 0o644)
        .with_context(|| format!("writing {BUNDLE}"))?;
    let hooks = tree.read_dir("/etc/ca-certificates/update.d").unwrap_or_default();
    for (hook, _) in hooks {
        if hook == "jks-keystore" {
            system.pending.insert("java-keystore".to_owned());
            continue;
        }
        system.notes.push(crate::system::Note {
            package: "ca-certificates".to_owned(),
            script: "update-ca-certificates".to_owned(),
            text: format!("the hook /etc/ca-certificates/update.d/{hook} was not run"),
        });
    }
    Ok(())
}

/// The certificates that the configuration trusts, then the local ones.
fn trusted(tree: &Tree) -> Vec<String> {
    let configuration = tree.read_text(CONFIGURATION).unwrap_or_default();
    let chosen = configuration
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with(['#', '!']));
    let mut paths: Vec<String> = chosen
        .map(|line| format!("{SHIPPED}/{}", line.trim()))
        .filter(|path| tree.is_file(path))
        .collect();
    let mut local: Vec<String> = tree
        .walk(LOCAL)
        .unwrap_or_default()
        .into_iter()
        .map(|(path, _)| path)
        .collect();
    local.retain(|path| path.strip_suffix(".crt").is_some() && tree.is_file(path));
    local.sort();
    paths.extend(local);
    paths
}

/// The name of a certificate's link, without `.pem`.
fn link_name(path: &str) -> String {
    let base = path.rsplit('/').next().unwrap_or(path);
    let base = base.strip_suffix(".crt").unwrap_or(base);
    base.replace([' ', ','], "_").replace(['(', ')'], "=")
}

/// Replaces the links by subject hash.
fn rehash(tree: &mut Tree) -> Result<()> {
    let mut by_hash: BTreeMap<u32, Vec<(Vec<u8>, String)>> = BTreeMap::new();
    for (name, id) in tree.read_dir(CERTIFICATES)? {
        let path = format!("{CERTIFICATES}/{name}");
        if is_hash_link(&name) && tree.inode(id).is_symlink() {
            tree.unlink(&path).with_context(|| format!("removing {path}"))?;
            continue;
        }
        let known = [".pem", ".crt", ".cer"].iter().any(|ending| name.ends_with(ending));
        let Some(text) = tree.read_text(&path).ok().filter(|_| known) else {
            continue;
        };
        // A file of several certificates has no subject of its own.
        let [certificate] = &der::certificates(&text)[..] else {
            continue;
        };
        let hash = subject_hash(certificate).with_context(|| format!("reading the subject of {path}"))?;
        let same_subject = by_hash.entry(hash).or_default();
        let fingerprint = sha2::Sha256::digest(certificate).to_vec();
        if !same_subject.iter().any(|(known, _)| *known == fingerprint) {
            same_subject.push((fingerprint, name));
        }
    }
    for (hash, files) in by_hash {
        for (number, (_, name)) in files.into_iter().enumerate() {
            let link = format!("{CERTIFICATES}/{hash:08x}.{number}");
            tree.symlink(&name, &link).with_context(|| format!("linking {link}"))?;
        }
    }
    Ok(())
}

/// Whether `name` is eight hexadecimal digits, a dot and a number.
fn is_hash_link(name: &str) -> bool {
    name.split_once('.').is_some_and(|(hash, number)| {
        hash.len() == 8
            && hash.bytes().all(|byte| byte.is_ascii_hexdigit())
            && !number.is_empty()
            && number.bytes().all(|byte| byte.is_ascii_digit())
    })
}

/// `X509_NAME_hash` of a certificate's subject: the first four bytes, little-endian, of the SHA-1 of its canonical form.
fn subject_hash(certificate: &[u8]) -> Option<u32> {
    let certificate = *der::values(certificate)?.first()?;
    let signed = *der::values(certificate.content)?.first()?;
    let fields = der::values(signed.content)?;
    // An explicit version comes before serial number, algorithm, issuer, validity and subject (RFC 5280, 4.1).
    let subject = fields.get(if fields.first()?.tag == 0xa0 { 5 } else { 4 })?;
    let mut canonical = Vec::new();
    for relative in der::values(subject.content)? {
        let mut attributes = Vec::new();
        for attribute in der::values(relative.content)? {
            let [kind, value] = der::values(attribute.content)?[..] else {
                return None;
            };
            let mut pair = der::encode(kind.tag, kind.content);
            pair.extend(canonical_value(value));
            attributes.push(der::encode(0x30, &pair));
        }
        // A SET OF is sorted.
        attributes.sort();
        canonical.extend(der::encode(0x31, &attributes.concat()));
    }
    let digest = sha1(&canonical);
    Some(u32::from_le_bytes([digest[0], digest[1], digest[2], digest[3]]))
}

/// Strings become UTF-8 in lower case without needless blanks; other values stay as they are (`asn1_string_canon`).
fn canonical_value(value: der::Value<'_>) -> Vec<u8> {
    let text = match value.tag {
        // UTF8String, PrintableString, IA5String, VisibleString
        0x0c | 0x13 | 0x16 | 0x1a => value.content.to_vec(),
        // T61String, as OpenSSL takes it: Latin-1
        0x14 => value
            .content
            .iter()
            .map(|&byte| char::from(byte))
            .collect::<String>()
            .into_bytes(),
        // UniversalString
        0x1c => {
            let letter = |four: &[u8]| char::from_u32(u32::from_be_bytes([four[0], four[1], four[2], four[3]]));
            value
                .content
                .chunks_exact(4)
                .filter_map(letter)
                .collect::<String>()
                .into_bytes()
        }
        // BMPString
        0x1e => {
            let units: Vec<u16> = value
                .content
                .chunks_exact(2)
                .map(|two| u16::from_be_bytes([two[0], two[1]]))
                .collect();
            String::from_utf16_lossy(&units).into_bytes()
        }
        _ => return der::encode(value.tag, value.content),
    };
    let blank = |byte: &u8| byte.is_ascii_whitespace() || *byte == 11;
    let words = text.split(blank).filter(|word| !word.is_empty());
    let joined = words.collect::<Vec<_>>().join(&b' ');
    der::encode(0x0c, &joined.to_ascii_lowercase())
}

/// SHA-1 (FIPS 180-4), which OpenSSL's file names are made of; it protects nothing here.
#[expect(clippy::many_single_char_names, reason = "the names of the standard")]
pub(super) fn sha1(data: &[u8]) -> [u8; 20] {
    let mut state: [u32; 5] = [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476, 0xc3d2_e1f0];
    let mut message = data.to_vec();
    message.push(0x80);
    while message.len() % 64 != 56 {
        message.push(0);
    }
    message.extend((data.len() as u64 * 8).to_be_bytes());
    for block in message.chunks_exact(64) {
        let mut words = [0_u32; 80];
        for (word, bytes) in words.iter_mut().zip(block.chunks_exact(4)) {
            *word = u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
        }
        for at in 16..80 {
            words[at] = (words[at - 3] ^ words[at - 8] ^ words[at - 14] ^ words[at - 16]).rotate_left(1);
        }
        let [mut a, mut b, mut c, mut d, mut e] = state;
        for (at, word) in words.iter().enumerate() {
            let (f, k) = match at / 20 {
                0 => (b & c | !b & d, 0x5a82_7999),
                1 => (b ^ c ^ d, 0x6ed9_eba1),
                2 => (b & c | b & d | c & d, 0x8f1b_bcdc),
                _ => (b ^ c ^ d, 0xca62_c1d6_u32),
            };
            let next = a
                .rotate_left(5)
                .wrapping_add(f)
                .wrapping_add(e)
                .wrapping_add(k)
                .wrapping_add(*word);
            (e, d, c, b, a) = (d, c, b.rotate_left(30), a, next);
        }
        for (old, new) in state.iter_mut().zip([a, b, c, d, e]) {
            *old = old.wrapping_add(new);
        }
    }
    let mut digest = [0; 20];
    for (bytes, word) in digest.chunks_exact_mut(4).zip(state) {
        bytes.copy_from_slice(&word.to_be_bytes());
    }
    digest
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn sha1_of_the_standard() {
        assert_eq!(hex::encode(sha1(b"abc")), "a9993e364706816aba3e25717850c26c9cd0d89d");
        for length in [0, 55, 56, 63, 64, 119, 120] {
            let data = vec![b'x'; length];
            let file = tempfile::NamedTempFile::new().unwrap();
            std::fs::write(file.path(), &data).unwrap();
            let real = Command::new("sha1sum").arg(file.path()).output().unwrap();
            let real = String::from_utf8(real.stdout).unwrap();
            assert_eq!(
                hex::encode(sha1(&data)),
                real.split(' ').next().unwrap(),
                "{length} bytes"
            );
        }
    }

    #[test]
    fn links_have_plain_names() {
        assert_eq!(link_name("/usr/share/x/A b(c),d.crt"), "A_b=c=_d");
        assert!(is_hash_link("0a1b2c3d.0") && !is_hash_link("0a1b2c3d.pem") && !is_hash_link("x.0"));
    }

    /// Certificates with every kind of string and blank, two of one subject, and one twice.
    #[test]
    fn the_real_openssl_links_the_same() {
        let host = tempfile::tempdir().unwrap();
        let make = |name: &str, subject: &str, mask: &str| {
            let config = host.path().join("openssl.cnf");
            let text = format!("[req]\ndistinguished_name=dn\nstring_mask={mask}\nutf8=yes\n[dn]\n");
            std::fs::write(&config, text).unwrap();
            let path = host.path().join(name);
            let made = Command::new("openssl")
                .args([
                    "req",
                    "-x509",
                    "-newkey",
                    "rsa:1024",
                    "-nodes",
                    "-keyout",
                    "/dev/null",
                    "-days",
                    "9",
                    "-utf8",
                    "-multivalue-rdn",
                ])
                .arg("-config")
                .arg(&config)
                .args(["-subj", subject, "-out"])
                .arg(&path)
                .output()
                .unwrap();
            assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
            std::fs::read(&path).unwrap()
        };
        let mut system = System::new("amd64", 0);
        let tree = &mut system.tree;
        tree.mkdir_all("/usr/share/ca-certificates/m", 0o755).unwrap();
        tree.mkdir_all("/usr/local/share/ca-certificates", 0o755).unwrap();
        tree.mkdir_all("/etc", 0o755).unwrap();
        let mut configuration = String::from("# comment\n!m/off.crt\nm/missing.crt\n");
        for (name, subject, mask) in [
            ("a b(1),2.crt", "/C=DE/O=  Many   Blanks  Ltd /CN=Root CA", "default"),
            ("c.crt", "/C=HU/O=Microsec Űrlap/CN=Ähm", "utf8only"),
            ("d.crt", "/C=HU/O=Microsec Űrlap/CN=Ähm", "pkix"),
            ("e.crt", "/O=x+OU=y/CN=multi", "nombstr"),
            ("f.crt", "/O=root CA/emailAddress=a@b.c", "nombstr"),
            ("off.crt", "/O=not trusted", "default"),
        ] {
            let certificate = make(name, subject, mask);
            tree.write(&format!("/usr/share/ca-certificates/m/{name}"), certificate, 0o644)
                .unwrap();
            if name != "off.crt" {
                configuration.extend(["m/", name, "\n"]);
            }
        }
        let twice = tree.read("/usr/share/ca-certificates/m/f.crt").unwrap();
        tree.write(
            "/usr/local/share/ca-certificates/again.crt",
            twice.slice(..twice.len() - 1),
            0o644,
        )
        .unwrap();
        tree.write(CONFIGURATION, configuration, 0o644).unwrap();
        generate(&mut system).unwrap();
        let tree = &system.tree;
        assert_eq!(tree.read_text(BUNDLE).unwrap().matches("BEGIN CERTIFICATE").count(), 6);
        assert!(tree.read(BUNDLE).unwrap().ends_with(b"-----END CERTIFICATE-----\n"));
        let certs = host.path().join("certs");
        std::fs::create_dir(&certs).unwrap();
        for (name, _) in tree
            .read_dir(CERTIFICATES)
            .unwrap()
            .into_iter()
            .filter(|(name, _)| name.strip_suffix(".pem").is_some())
        {
            std::fs::write(certs.join(&name), tree.read(&format!("{CERTIFICATES}/{name}")).unwrap()).unwrap();
        }
        assert!(
            Command::new("openssl")
                .arg("rehash")
                .arg(&certs)
                .status()
                .unwrap()
                .success()
        );
        let mut theirs = Vec::new();
        for entry in std::fs::read_dir(&certs).unwrap().map(Result::unwrap) {
            if let Ok(target) = std::fs::read_link(entry.path()) {
                theirs.push((
                    entry.file_name().into_string().unwrap(),
                    target.to_str().unwrap().to_owned(),
                ));
            }
        }
        theirs.sort();
        let links = tree
            .read_dir(CERTIFICATES)
            .unwrap()
            .into_iter()
            .filter(|(name, _)| is_hash_link(name));
        let ours: Vec<(String, String)> = links
            .map(|(name, _)| (name.clone(), tree.read_link(&format!("{CERTIFICATES}/{name}")).unwrap()))
            .collect();
        assert_eq!(ours, theirs);
        assert!(ours.len() >= 5);
    }
}
