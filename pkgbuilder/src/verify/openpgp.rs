//! Who signed it: OpenPGP signatures, checked against keys that we trust.
//!
//! Every OpenPGP call of this program is here. [`rpgpie`] decides about validity (self-signatures, subkey
//! bindings with back signatures, expiry, revocation); in addition a signature must use SHA-256 or better.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context, Result};
use pgp::composed::CleartextSignedMessage;
use pgp::crypto::hash::HashAlgorithm;
use pgp::packet::Signature;
use rpgpie::certificate::Certificate;

use crate::{bail_input, input_error};

/// The keys of the Debian archive; their origin is in `keys/README.md`.
const DEBIAN: [&str; 6] = [
    include_str!("keys/debian-archive-trixie-automatic.asc"),
    include_str!("keys/debian-archive-trixie-security-automatic.asc"),
    include_str!("keys/debian-archive-trixie-stable.asc"),
    include_str!("keys/debian-archive-bookworm-automatic.asc"),
    include_str!("keys/debian-archive-bookworm-security-automatic.asc"),
    include_str!("keys/debian-archive-bookworm-stable.asc"),
];

/// Keys whose signatures are believed.
#[derive(Clone, Debug)]
pub struct Keyring {
    certificates: Vec<Certificate>,
}

impl Keyring {
    /// The keys of the Debian archive, as committed with this program.
    pub fn debian() -> Result<Self> {
        let mut certificates = Vec::new();
        for armored in DEBIAN {
            let mut found = Certificate::load(&mut armored.as_bytes()).context("reading the built-in Debian keys")?;
            certificates.append(&mut found);
        }
        Ok(Self { certificates })
    }

    /// The keys of a file (armored or binary), which are trusted in addition.
    pub fn add_file(&mut self, path: &Path) -> Result<()> {
        let content = std::fs::read(path).with_context(|| format!("reading keyring {}", path.display()))?;
        let mut found = Certificate::load(&mut content.as_slice())
            .map_err(|error| input_error!("{} holds no OpenPGP public key: {error}", path.display()))?;
        self.certificates.append(&mut found);
        Ok(())
    }

    /// Primary key fingerprints, upper-case hex.
    pub fn fingerprints(&self) -> Vec<String> {
        self.certificates
            .iter()
            .map(|certificate| certificate.fingerprint().to_string().to_uppercase())
            .collect()
    }

    /// The text inside a cleartext-signed message (RFC 9580, section 7), if at least one signature is good.
    ///
    /// `what` names the message in errors, which are [`crate::failure::InputError`]s.
    pub fn verify_cleartext(&self, what: &str, message: &[u8]) -> Result<String> {
        let text = std::str::from_utf8(message).map_err(|_| input_error!("{what} is not text: it was damaged"))?;
        if !text.trim_start().starts_with("-----BEGIN PGP SIGNED MESSAGE-----") {
            bail_input!(
                "{what} is not a signed message: the mirror (or a proxy on the way) answered with something else"
            );
        }
        let (signed, _) = CleartextSignedMessage::from_string(text)
            .map_err(|error| input_error!("{what} is damaged: its signature cannot be read ({error})"))?;
        let mut content = Vec::new();
        let valid = rpgpie::csf::verify(signed.clone(), &mut content, is_strong, &self.certificates)
            .map_err(|error| input_error!("{what} cannot be verified: {error}"))?;
        if valid.is_empty() {
            bail_input!(
                "{what} carries no good signature of a trusted key (signed by {}): it was tampered with, or is not \
                 from this archive; nothing of it was used",
                signers(signed.signatures())
            );
        }
        let content = String::from_utf8(content).map_err(|_| input_error!("{what} is not text"))?;
        // What is signed is the text with the line endings of RFC 9580, section 5.2.4.
        Ok(content.replace("\r\n", "\n"))
    }
}

/// Whether the digest inside a signature withstands collisions: the SHA-2 and SHA-3 families from 256 bits on.
fn is_strong(signature: &Signature) -> bool {
    matches!(
        signature.hash_alg(),
        Some(
            HashAlgorithm::Sha256
                | HashAlgorithm::Sha384
                | HashAlgorithm::Sha512
                | HashAlgorithm::Sha3_256
                | HashAlgorithm::Sha3_512
        )
    )
}

/// The key ids that signatures claim, for a message.
fn signers(signatures: &[Signature]) -> String {
    let claimed: BTreeSet<String> = signatures
        .iter()
        .flat_map(|signature| {
            let fingerprints = signature.issuer_fingerprint().into_iter().map(ToString::to_string);
            let ids = signature.issuer_key_id().into_iter().map(ToString::to_string);
            fingerprints.chain(ids).next()
        })
        .map(|id| id.to_uppercase())
        .collect();
    if claimed.is_empty() {
        "nobody".to_owned()
    } else {
        claimed.into_iter().collect::<Vec<_>>().join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_committed_keys_are_debians() {
        let readme = include_str!("keys/README.md");
        let fingerprints = Keyring::debian().unwrap().fingerprints();
        assert_eq!(fingerprints.len(), DEBIAN.len());
        for fingerprint in fingerprints {
            assert!(readme.contains(&fingerprint), "{fingerprint}");
        }
    }
}
