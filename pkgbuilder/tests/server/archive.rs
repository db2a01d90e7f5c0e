//! A tiny Debian archive: .debs by the real `dpkg-deb`, indexes as the archive writes them, an `InRelease` signed
//! by a subkey of a throw-away key, as Debian signs.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use pgp::composed::{
    ArmorOptions, CleartextSignedMessage, KeyType, SecretKeyParamsBuilder, SignedSecretKey, SubkeyParamsBuilder,
};
use pgp::types::Password;
use sha2::{Digest, Sha256};

/// Architecture of the archive's packages.
pub(crate) const ARCH: &str = "arm64";

/// Someone who signs.
#[derive(Debug)]
pub(crate) struct Signer {
    key: SignedSecretKey,
}

impl Signer {
    /// A new key with a subkey that signs.
    pub(crate) fn new(name: &str) -> Self {
        let subkey = SubkeyParamsBuilder::default()
            .key_type(KeyType::Ed25519Legacy)
            .can_sign(true)
            .build()
            .unwrap();
        let key = SecretKeyParamsBuilder::default()
            .key_type(KeyType::Ed25519Legacy)
            .can_certify(true)
            .can_sign(true)
            .primary_user_id(format!("{name} <{name}@example.invalid>"))
            .subkey(subkey)
            .build()
            .unwrap()
            .generate(rand::thread_rng())
            .unwrap();
        Self { key }
    }

    /// The public half, armored.
    pub(crate) fn public(&self) -> String {
        self.key
            .to_public_key()
            .to_armored_string(ArmorOptions::default())
            .unwrap()
    }

    /// The cleartext-signed form of a text.
    pub(crate) fn sign(&self, text: &str) -> String {
        let subkey = &self.key.secret_subkeys[0].key;
        let signed = CleartextSignedMessage::sign(rand::thread_rng(), text, subkey, &Password::empty()).unwrap();
        signed.to_armored_string(ArmorOptions::default()).unwrap()
    }
}

/// A package of the archive.
#[derive(Clone, Debug)]
struct Package {
    stanza: String,
}

/// An archive in a folder: `debian/` and `debian-security/` with the suites of the definition.
#[derive(Debug)]
pub(crate) struct Archive {
    root: PathBuf,
    signer: Signer,
    /// By suite and package name.
    packages: BTreeMap<(String, String), Package>,
}

impl Archive {
    /// The suites, as the shipped definitions name them.
    pub(crate) const SUITES: [&'static str; 3] = ["trixie", "trixie-updates", "trixie-security"];

    /// An archive in the empty folder `root`, with nothing published.
    pub(crate) fn new(root: &Path) -> Self {
        let archive = Self {
            root: root.to_owned(),
            signer: Signer::new("archive"),
            packages: BTreeMap::new(),
        };
        fs::write(archive.keyring(), archive.signer.public()).unwrap();
        archive
    }

    /// The file with the key to trust (`--keyring`).
    pub(crate) fn keyring(&self) -> PathBuf {
        self.root.join("archive.asc")
    }

    /// Builds a .deb and puts it into a suite, in place of one of the same name; gives its path below the root.
    ///
    /// `fields` are further control fields, one per line; its only file is `/usr/share/doc/NAME/VERSION`.
    pub(crate) fn add(&mut self, suite: &str, name: &str, version: &str, fields: &str) -> String {
        self.add_files(suite, name, version, fields, &[])
    }

    /// [`Archive::add`] with further files, `DEBIAN/postinst` and the like among them: path, mode, content.
    pub(crate) fn add_files(
        &mut self,
        suite: &str,
        name: &str,
        version: &str,
        fields: &str,
        files: &[(String, u32, Vec<u8>)],
    ) -> String {
        let stage = self.root.join("stage");
        let _ = fs::remove_dir_all(&stage);
        fs::create_dir_all(stage.join("DEBIAN")).unwrap();
        let doc = stage.join("usr/share/doc").join(name);
        fs::create_dir_all(&doc).unwrap();
        // Enough bytes to cut a download in.
        fs::write(doc.join("version"), format!("{name} {version}\n").repeat(4000)).unwrap();
        for (path, mode, content) in files {
            let path = stage.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, content).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(*mode)).unwrap();
        }
        let fields = if fields.is_empty() {
            String::new()
        } else {
            format!("{}\n", fields.trim_end())
        };
        let control = format!(
            "Package: {name}\nVersion: {version}\nArchitecture: {ARCH}\nMaintainer: Test <test@example.invalid>\n\
             Priority: optional\n{fields}Description: a test package\n"
        );
        fs::write(stage.join("DEBIAN/control"), &control).unwrap();
        let filename = format!("pool/main/{name}_{version}_{ARCH}.deb");
        let deb = self.root.join(folder(suite)).join(&filename);
        fs::create_dir_all(deb.parent().unwrap()).unwrap();
        let built = Command::new("dpkg-deb")
            .args(["--root-owner-group", "-Znone", "-b"])
            .args([&stage, &deb])
            .output()
            .unwrap();
        assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
        fs::remove_dir_all(&stage).unwrap();
        let content = fs::read(&deb).unwrap();
        self.list(suite, name, &control, &filename, &content);
        format!("{}/{filename}", folder(suite))
    }

    /// Puts a .deb that dpkg-deb would not make into a suite; `control` is what the index says of it.
    pub(crate) fn add_deb(&mut self, suite: &str, name: &str, control: &str, content: &[u8]) {
        let filename = format!("pool/main/{name}_crafted_{ARCH}.deb");
        let deb = self.root.join(folder(suite)).join(&filename);
        fs::create_dir_all(deb.parent().unwrap()).unwrap();
        fs::write(&deb, content).unwrap();
        self.list(suite, name, control, &filename, content);
    }

    fn list(&mut self, suite: &str, name: &str, control: &str, filename: &str, content: &[u8]) {
        let stanza = format!(
            "{control}Filename: {filename}\nSize: {}\nSHA256: {}\n",
            content.len(),
            hex::encode(Sha256::digest(content))
        );
        self.packages
            .insert((suite.to_owned(), name.to_owned()), Package { stanza });
    }

    /// Writes the indexes of all suites and signs them, dated now.
    pub(crate) fn publish(&self) {
        for suite in Self::SUITES {
            self.publish_suite(suite, &self.signer, now(), None);
        }
    }

    /// Writes the index of one suite, signed by someone, with a date and an end of validity (seconds since 1970).
    pub(crate) fn publish_suite(&self, suite: &str, signer: &Signer, date: i64, valid_until: Option<i64>) {
        let dists = self.root.join(folder(suite)).join("dists").join(suite);
        let mut sums = String::new();
        for component in ["main", "non-free-firmware"] {
            let path = format!("{component}/binary-{ARCH}");
            let index: String = self
                .packages
                .iter()
                .filter(|((of, _), _)| of == suite && component == "main")
                .fold(String::new(), |mut index, (_, package)| {
                    writeln!(index, "{}", package.stanza).unwrap();
                    index
                });
            // Debian lists it uncompressed as well, and does not have it so; without, apt looks no further.
            let plain = hex::encode(Sha256::digest(index.as_bytes()));
            writeln!(sums, " {plain} {} {path}/Packages", index.len()).unwrap();
            let mut xz = liblzma::write::XzEncoder::new(Vec::new(), 6);
            xz.write_all(index.as_bytes()).unwrap();
            let xz = xz.finish().unwrap();
            let digest = hex::encode(Sha256::digest(&xz));
            writeln!(sums, " {digest} {} {path}/Packages.xz", xz.len()).unwrap();
            let by_hash = dists.join(&path).join("by-hash/SHA256");
            fs::create_dir_all(&by_hash).unwrap();
            fs::write(by_hash.join(digest), &xz).unwrap();
            fs::write(dists.join(&path).join("Packages.xz"), &xz).unwrap();
        }
        let valid_until = valid_until.map_or(String::new(), |until| format!("Valid-Until: {}\n", rfc5322(until)));
        let release = format!(
            "Origin: Test\nCodename: {suite}\nDate: {}\n{valid_until}Acquire-By-Hash: yes\nArchitectures: {ARCH}\n\
             Components: main non-free-firmware\nSHA256:\n{sums}",
            rfc5322(date)
        );
        fs::write(dists.join("InRelease"), signer.sign(&release)).unwrap();
    }

    /// The file of a suite's signed table of contents.
    pub(crate) fn in_release(&self, suite: &str) -> PathBuf {
        self.root
            .join(folder(suite))
            .join("dists")
            .join(suite)
            .join("InRelease")
    }

    /// Who signs.
    pub(crate) fn signer(&self) -> &Signer {
        &self.signer
    }
}

/// Which of the two archives a suite is part of.
fn folder(suite: &str) -> &'static str {
    if suite.ends_with("-security") {
        "debian-security"
    } else {
        "debian"
    }
}

/// Seconds since 1970.
pub(crate) fn now() -> i64 {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    i64::try_from(elapsed.as_secs()).unwrap()
}

/// A date as the archive writes it, by the system's own `date`.
pub(crate) fn rfc5322(seconds: i64) -> String {
    let output = Command::new("date")
        .env("LC_ALL", "C")
        .args(["-u", "-d", &format!("@{seconds}"), "+%a, %d %b %Y %H:%M:%S UTC"])
        .output()
        .unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}
