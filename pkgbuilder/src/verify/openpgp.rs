//! Who signed it: OpenPGP signatures, checked against keys that we trust.
//!
//! Every OpenPGP call of this program is here. [`rpgpie`] decides about validity (self-signatures, subkey
//! bindings with back signatures, expiry, revocation); in addition a signature must use SHA-256 or better.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context, Result, anyhow};
use pgp::composed::{CleartextSignedMessage, SignedPublicKey};
use pgp::crypto::hash::HashAlgorithm;
use pgp::packet::Signature;
use pgp::types::KeyDetails;
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

    /// The key with a fingerprint (40 hex digits), out of the file that should hold it and nothing else.
    pub fn publisher(path: &Path, fingerprint: &str) -> Result<Self> {
        let content = std::fs::read(path).map_err(|error| {
            input_error!(
                "the key {fingerprint} is not here: {}: {error}; put the publisher's public key there",
                path.display()
            )
        })?;
        let keyring = Self::read(&content).map_err(|_| {
            input_error!(
                "{} holds no OpenPGP public key: take the publisher's own",
                path.display()
            )
        })?;
        let found = keyring.fingerprints();
        if found != [fingerprint] {
            bail_input!(
                "{} holds {}, not the key {fingerprint}: take the publisher's own",
                path.display(),
                found.join(", ")
            );
        }
        Ok(keyring)
    }

    /// The keys in bytes, armored or binary.
    pub fn read(mut content: &[u8]) -> Result<Self> {
        let certificates = Certificate::load(&mut content).map_err(|error| anyhow!("{error}"))?;
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

    /// The certificates that signatures claim to be by: reading a certificate takes longer than verifying with it.
    fn issuers(&self, signatures: &[Signature]) -> Vec<Certificate> {
        let wanted = |certificate: &&Certificate| {
            let keys = SignedPublicKey::from((*certificate).clone());
            signatures.iter().any(|signature| is_by(signature, &keys))
        };
        self.certificates.iter().filter(wanted).cloned().collect()
    }

    /// The text inside a cleartext-signed message (RFC 9580, section 7), if at least one signature is good.
    ///
    /// `what` names the message in errors, which are [`crate::failure::InputError`]s, and `next` says what to do where
    /// nobody who is trusted signed.
    pub fn verify_cleartext(&self, what: &str, message: &[u8], next: &str) -> Result<String> {
        let text = std::str::from_utf8(message).map_err(|_| input_error!("{what} is not text: it was damaged"))?;
        if !text.trim_start().starts_with("-----BEGIN PGP SIGNED MESSAGE-----") {
            bail_input!(
                "{what} is not a signed message: the mirror (or a proxy on the way) answered with something else"
            );
        }
        let (signed, _) = CleartextSignedMessage::from_string(text)
            .map_err(|error| input_error!("{what} is damaged: its signature cannot be read ({error})"))?;
        let candidates = self.issuers(signed.signatures());
        let mut content = Vec::new();
        let valid = rpgpie::csf::verify(signed.clone(), &mut content, is_strong, &candidates)
            .map_err(|error| input_error!("{what} cannot be verified: {error}"))?;
        if valid.is_empty() {
            bail_input!(
                "{what} carries no good signature of a trusted key (signed by {}): it was tampered with, or is not \
                 from this archive; nothing of it was used: {next}",
                signers(signed.signatures())
            );
        }
        let content = String::from_utf8(content).map_err(|_| input_error!("{what} is not text"))?;
        // What is signed is the text with the line endings of RFC 9580, section 5.2.4.
        Ok(content.replace("\r\n", "\n"))
    }

    /// Who of the trusted signed `data`, by a detached signature (armored or binary, of any number of keys).
    ///
    /// A key counts if it was valid when the signature was made: one that has expired since then still does, as for
    /// gpgv(1); unlike there, one that had expired by then does not. A revoked key counts no more, unless it was only
    /// retired or superseded after the signature. `what` names the signature in errors, which are
    /// [`crate::failure::InputError`]s.
    pub fn verify_detached(&self, what: &str, data: &[u8], mut signature: &[u8]) -> Result<Signer> {
        let signatures = rpgpie::signature::load(&mut signature)
            .map_err(|_| input_error!("{what} is not an OpenPGP signature: the server answered with something else"))?;
        let candidates = self.issuers(&signatures);
        let trusted = self.fingerprints().join(", ");
        if candidates.is_empty() {
            bail_input!(
                "{what} is by {}, not by the trusted key {trusted}: what it signs is not the publisher's",
                signers(&signatures)
            );
        }
        let valid = rpgpie::detached::verify(data, &signatures, &candidates)
            .map_err(|error| input_error!("{what} cannot be verified: {error}"))?;
        // Nobody's signature is no signature: an empty list is not a success.
        let good = valid
            .iter()
            .filter(|verified| is_strong(&verified.sig))
            .max_by_key(|verified| verified.sig.created().map(pgp::types::Timestamp::as_secs));
        let Some(good) = good else {
            bail_input!(
                "{what} claims to be by the trusted key {trusted}, but is not good: what it signs was changed, or the key \
                 had expired or was revoked; nothing of it was used"
            );
        };
        let primary = good.certs.first().map(|certificate| certificate.fingerprint());
        Ok(Signer {
            key: primary
                .context("naming who signed: there is no key")?
                .to_string()
                .to_uppercase(),
            component: good.component.to_string().to_uppercase(),
            at: good.sig.created().map_or(0, |at| i64::from(at.as_secs())),
        })
    }
}

/// Who made a good signature, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signer {
    /// Fingerprint of the primary key, upper-case hex.
    pub key: String,
    /// Fingerprint of the key that signed: the primary one or a subkey of it.
    pub component: String,
    /// When it says that it was made, seconds since 1970.
    pub at: i64,
}

/// Whether a signature claims to be by one of a certificate's keys.
fn is_by(signature: &Signature, certificate: &SignedPublicKey) -> bool {
    let subkeys = certificate
        .public_subkeys
        .iter()
        .map(|subkey| (subkey.fingerprint(), subkey.legacy_key_id()));
    let primary = (
        certificate.primary_key.fingerprint(),
        certificate.primary_key.legacy_key_id(),
    );
    std::iter::once(primary).chain(subkeys).any(|(fingerprint, id)| {
        signature.issuer_fingerprint().contains(&&fingerprint) || signature.issuer_key_id().contains(&&id)
    })
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
        .filter_map(|signature| {
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
    use pgp::composed::{ArmorOptions, KeyType, SecretKeyParamsBuilder, SignedSecretKey};
    use pgp::packet::{KeyFlags, SignatureConfig, SignatureType, Subpacket, SubpacketData};
    use pgp::types::{Duration, Password, Tag, Timestamp};
    use proptest::prelude::*;

    use super::*;

    /// A key made `age` seconds ago that expires `expires` seconds after that.
    fn key(age: u32, expires: Option<u32>) -> SignedSecretKey {
        key_of(KeyType::Ed25519Legacy, age, expires)
    }

    fn key_of(kind: KeyType, age: u32, expires: Option<u32>) -> SignedSecretKey {
        let created = Timestamp::from_secs(Timestamp::now().as_secs() - age);
        let mut key = SecretKeyParamsBuilder::default()
            .key_type(kind)
            .created_at(created)
            .can_sign(true)
            .primary_user_id("test".to_owned())
            .build()
            .unwrap()
            .generate(rand::thread_rng())
            .unwrap();
        if let Some(expires) = expires {
            let id = key.details.users[0].id.clone();
            let mut flags = KeyFlags::default();
            flags.set_sign(true);
            let mut config =
                SignatureConfig::from_key(rand::thread_rng(), &key.primary_key, SignatureType::CertPositive).unwrap();
            let subpackets = [
                SubpacketData::SignatureCreationTime(created),
                SubpacketData::IssuerFingerprint(key.primary_key.fingerprint()),
                SubpacketData::KeyFlags(flags),
                SubpacketData::KeyExpirationTime(Duration::from_secs(expires)),
            ];
            config.hashed_subpackets = subpackets.map(|data| Subpacket::regular(data).unwrap()).into();
            let public = key.primary_key.public_key();
            let signature = config
                .sign_certification(&key.primary_key, public, &Password::empty(), Tag::UserId, &id)
                .unwrap();
            key.details.users[0].signatures = vec![signature];
        }
        key
    }

    fn trusting(key: &SignedSecretKey) -> Keyring {
        Keyring {
            certificates: vec![Certificate::from(key.to_public_key())],
        }
    }

    fn sign(key: &SignedSecretKey, hash: HashAlgorithm, text: &str) -> String {
        let mut config = SignatureConfig::from_key(rand::thread_rng(), &key.primary_key, SignatureType::Text).unwrap();
        config.hash_alg = hash;
        config.hashed_subpackets = vec![
            Subpacket::regular(SubpacketData::SignatureCreationTime(Timestamp::now())).unwrap(),
            Subpacket::regular(SubpacketData::IssuerFingerprint(key.primary_key.fingerprint())).unwrap(),
        ];
        let signed = CleartextSignedMessage::new(text, config, &key.primary_key, &Password::empty()).unwrap();
        signed.to_armored_string(ArmorOptions::default()).unwrap()
    }

    fn refused(keyring: &Keyring, message: &str) -> String {
        let error = keyring
            .verify_cleartext("the message", message.as_bytes(), "stop")
            .unwrap_err();
        assert_eq!(crate::failure::exit_code(&error), 2);
        error.to_string()
    }

    #[test]
    fn a_good_signature_gives_the_text() {
        let key = key(10, None);
        let message = sign(&key, HashAlgorithm::Sha256, "one\n- two\n");
        let text = trusting(&key)
            .verify_cleartext("the message", message.as_bytes(), "stop")
            .unwrap();
        assert_eq!(text.trim_end(), "one\n- two");
    }

    #[test]
    fn another_key_a_changed_text_and_no_signature_are_refused() {
        let key = key(10, None);
        let message = sign(&key, HashAlgorithm::Sha256, "one\n");
        assert!(refused(&trusting(&self::key(10, None)), &message).contains("no good signature"));
        let fingerprint = key.primary_key.fingerprint().to_string().to_uppercase();
        let error = refused(&trusting(&key), &message.replace("one", "two"));
        assert!(error.contains(&format!("(signed by {fingerprint})")), "{error}");
        assert!(refused(&trusting(&key), "one\n").contains("not a signed message"));
        assert!(refused(&trusting(&key), "").contains("not a signed message"));
    }

    #[test]
    fn a_key_that_has_expired_cannot_sign() {
        let day = 24 * 3600;
        let alive = key(2 * day, Some(3 * day));
        let message = sign(&alive, HashAlgorithm::Sha256, "one\n");
        trusting(&alive)
            .verify_cleartext("the message", message.as_bytes(), "stop")
            .unwrap();
        let expired = key(2 * day, Some(day));
        let message = sign(&expired, HashAlgorithm::Sha256, "one\n");
        assert!(refused(&trusting(&expired), &message).contains("no good signature"));
    }

    #[test]
    fn a_digest_that_can_be_forged_does_not_count() {
        // An old RSA key: for younger kinds the library does not even make such a signature.
        let key = key_of(KeyType::Rsa(2048), 10, None);
        let message = sign(&key, HashAlgorithm::Sha256, "one\n");
        trusting(&key)
            .verify_cleartext("the message", message.as_bytes(), "stop")
            .unwrap();
        let message = sign(&key, HashAlgorithm::Sha1, "one\n");
        assert!(refused(&trusting(&key), &message).contains("no good signature"));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let mut message = b"-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\n".to_vec();
            message.extend(bytes);
            let _ = Keyring { certificates: Vec::new() }.verify_cleartext("the message", &message, "stop");
        }
    }

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
