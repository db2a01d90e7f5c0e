//! Who signs: one Ed25519 key for each person, made when it is first needed.
//!
//! Ed25519 because its signatures are a function of key and text alone (RFC 8032), so that signing the same again
//! gives the same bytes, and because `rsa` leaks timing (RUSTSEC-2023-0071).

use std::fs;
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow};
use pgp::composed::{ArmorOptions, CleartextSignedMessage, DetachedSignature, KeyType};
use pgp::crypto::hash::HashAlgorithm;
use pgp::crypto::public_key::PublicKeyAlgorithm;
use pgp::packet::{SignatureConfig, SignatureType, Subpacket, SubpacketData};
use pgp::types::{KeyDetails, KeyVersion, Password, Timestamp};
use rpgpie::tsk::{DataSigner, Tsk};

use crate::reporter::Reporter;
use crate::{bail_input, input_error, xdg};

/// The user id of a key that we make.
const USER_ID: &str = "Computatom package repository";

/// A key that signs repositories.
pub struct SigningKey {
    tsk: Tsk,
    signer: DataSigner,
    /// When the key was last bound to its owner, seconds since 1970: to Sequoia, which is what Debian 13's apt verifies
    /// with, a signature from before that is by nobody.
    not_before: i64,
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SigningKey")
            .field("fingerprint", &self.fingerprint())
            .finish_non_exhaustive()
    }
}

impl SigningKey {
    /// The key in `file` (an OpenPGP secret key, armored or not), else the person's own in
    /// `$XDG_DATA_HOME/computatom/`, which is made if there is none.
    pub fn open(file: Option<&Path>, reporter: &Reporter) -> Result<Self> {
        if let Some(path) = file {
            return Self::load(path);
        }
        let path = own()?;
        if !path.exists() && make(&path)? {
            reporter.step(format_args!(
                "made a key to sign your package repositories: {} (keep it: machines trust its public half)",
                path.display()
            ));
        }
        Self::load(&path)
    }

    fn load(path: &Path) -> Result<Self> {
        let name = || format!("reading the signing key {}", path.display());
        let mode = fs::metadata(path).with_context(name)?.permissions().mode();
        if mode & 0o077 != 0 {
            bail_input!(
                "the signing key {} can be read by others: run `chmod 600 {0}` (and make a new one if they did)",
                path.display()
            );
        }
        let content = fs::read(path).with_context(name)?;
        let mut keys = Tsk::load(&mut content.as_slice()).unwrap_or_default();
        if keys.len() != 1 {
            bail_input!(
                "{} does not hold one OpenPGP secret key: export one by `gpg --export-secret-keys`, or leave \
                 `--signing-key` out",
                path.display()
            );
        }
        Self::of(keys.remove(0)).with_context(|| format!("taking the signing key {}", path.display()))
    }

    fn of(tsk: Tsk) -> Result<Self> {
        let secret = tsk.as_signed_secret_key();
        let subkeys = secret.secret_subkeys.iter();
        if secret.primary_key.secret_params().is_encrypted()
            || subkeys.clone().any(|subkey| subkey.key.secret_params().is_encrypted())
        {
            bail_input!("it is locked by a passphrase: export a key without one, for repositories alone");
        }
        let users = secret.details.users.iter().flat_map(|user| &user.signatures);
        let bindings = subkeys.flat_map(|subkey| &subkey.signatures);
        let direct = &secret.details.direct_signatures;
        let own = users
            .chain(bindings)
            .chain(direct)
            .filter_map(pgp::packet::Signature::created);
        let not_before = own.map(|moment| i64::from(moment.as_secs())).max().unwrap_or(0);
        let ed25519 = [PublicKeyAlgorithm::EdDSALegacy, PublicKeyAlgorithm::Ed25519];
        let signer = tsk.signing_capable_component_keys().find(|signer| {
            // Newer versions salt their signatures (RFC 9580, section 5.2.3), which would differ every time.
            signer.version() == KeyVersion::V4 && ed25519.contains(&signer.algorithm())
        });
        let signer = signer.ok_or_else(|| {
            input_error!(
                "it has no Ed25519 part that may sign now (expired, revoked, of another kind, or not yet valid)"
            )
        })?;
        Ok(Self {
            tsk,
            signer,
            not_before,
        })
    }

    /// The primary key's fingerprint, upper-case hex.
    pub fn fingerprint(&self) -> String {
        let fingerprint = self.tsk.as_signed_secret_key().primary_key.fingerprint();
        fingerprint.to_string().to_uppercase()
    }

    /// The public half, armored.
    pub(super) fn public(&self) -> Result<String> {
        let public = self.tsk.as_signed_secret_key().to_public_key();
        public
            .to_armored_string(ArmorOptions::default())
            .map_err(|error| anyhow!("writing the public key: {error}"))
    }

    /// `text` with its signature around it (RFC 9580, section 7), made at `time` in seconds since 1970, or when the key
    /// became valid if that is later.
    pub(super) fn cleartext(&self, text: &str, time: i64) -> Result<String> {
        let signing = |error| anyhow!("signing InRelease: {error}");
        let config = self.config(SignatureType::Text, time).map_err(signing)?;
        // The line end before the signature belongs to the armor.
        let text = text.trim_end();
        let signed = CleartextSignedMessage::new(text, config, &self.signer, &Password::empty()).map_err(signing)?;
        signed.to_armored_string(ArmorOptions::default()).map_err(signing)
    }

    /// The signature of `text` by itself, made when [`SigningKey::cleartext`] is.
    pub(super) fn detached(&self, text: &str, time: i64) -> Result<String> {
        let signing = |error| anyhow!("signing Release: {error}");
        let config = self.config(SignatureType::Binary, time).map_err(signing)?;
        let signature = config
            .sign(&self.signer, &Password::empty(), text.as_bytes())
            .map_err(signing)?;
        DetachedSignature::new(signature)
            .to_armored_string(ArmorOptions::default())
            .map_err(signing)
    }

    fn config(&self, kind: SignatureType, time: i64) -> pgp::errors::Result<SignatureConfig> {
        let time = Timestamp::from_secs(u32::try_from(time.max(self.not_before)).unwrap_or(u32::MAX));
        let mut config = SignatureConfig::v4(kind, self.signer.algorithm(), HashAlgorithm::Sha512);
        config.hashed_subpackets = vec![
            Subpacket::regular(SubpacketData::SignatureCreationTime(time))?,
            Subpacket::regular(SubpacketData::IssuerFingerprint(self.signer.fingerprint()))?,
        ];
        config.unhashed_subpackets = vec![Subpacket::regular(SubpacketData::IssuerKeyId(
            self.signer.legacy_key_id(),
        ))?];
        Ok(config)
    }
}

/// Where the person's own key lies: never in an output folder, never in a checkout.
fn own() -> Result<PathBuf> {
    let folder = xdg::data().context("finding the signing key (name one by `--signing-key FILE`)")?;
    Ok(folder.join("signing-key.asc"))
}

/// Makes a key without passphrase that nobody else can read; `false` if another process was faster.
pub(super) fn make(path: &Path) -> Result<bool> {
    let making = || {
        format!(
            "making the signing key {} (XDG_DATA_HOME moves it, `--signing-key FILE` names another)",
            path.display()
        )
    };
    let folder = path.parent().with_context(making)?;
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .with_context(making)?;
    let user = Some(USER_ID.to_owned());
    let key = Tsk::generate(KeyVersion::V4, KeyType::Ed25519Legacy, None, user, Vec::new(), None)
        .map_err(|error| anyhow!("{error}"))
        .with_context(making)?;
    let armored = key
        .as_signed_secret_key()
        .to_armored_string(ArmorOptions::default())
        .map_err(|error| anyhow!("{error}"))
        .with_context(making)?;
    // A temporary file is its maker's alone from the start, and so is what it becomes.
    let mut file = tempfile::NamedTempFile::new_in(folder).with_context(making)?;
    file.write_all(armored.as_bytes()).with_context(making)?;
    file.as_file().sync_all().with_context(making)?;
    match file.persist_noclobber(path) {
        Ok(_) => Ok(true),
        Err(error) if error.error.kind() == std::io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error.error).with_context(making),
    }
}
