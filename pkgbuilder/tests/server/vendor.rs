//! Somebody's own repository, made by our repository stage and signed by a throw-away key.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use pkgbuilder::fetch::Cache;
use pkgbuilder::reporter::Reporter;
use pkgbuilder::repository::{self, SigningKey};

use super::archive::ARCH;

/// A folder of packages that is an apt repository.
#[derive(Debug)]
pub(crate) struct Vendor {
    /// Its folder.
    pub(crate) root: PathBuf,
    key: SigningKey,
    /// What lies beside the repository and is none of it.
    work: tempfile::TempDir,
}

impl Vendor {
    /// The suite and the component of what our repository stage makes.
    pub(crate) const SUITE: &'static str = "computatom";
    pub(crate) const COMPONENT: &'static str = "main";

    /// An empty one in the folder `root`, with a new key.
    pub(crate) fn new(root: &Path) -> Self {
        fs::create_dir_all(root).unwrap();
        let work = tempfile::tempdir().unwrap();
        let key = key(&work.path().join("key.asc"));
        Self {
            root: root.to_owned(),
            key,
            work,
        }
    }

    /// Builds a .deb by the real dpkg-deb, with further control fields, one per line, and publishes it.
    pub(crate) fn add(&self, name: &str, version: &str, fields: &str) {
        let share = (
            format!("usr/share/{name}/vendor"),
            0o644,
            format!("{version}\n").into_bytes(),
        );
        self.add_files(name, version, fields, &[share]);
    }

    /// The same with these files: path, mode, content.
    pub(crate) fn add_files(&self, name: &str, version: &str, fields: &str, files: &[(String, u32, Vec<u8>)]) {
        let stage = self.work.path().join("stage");
        fs::create_dir_all(stage.join("DEBIAN")).unwrap();
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
            "Package: {name}\nVersion: {version}\nArchitecture: {ARCH}\nMaintainer: Vendor <vendor@example.invalid>\n\
             Installed-Size: 1\nSection: misc\nPriority: optional\n{fields}Description: a package of a vendor\n"
        );
        fs::write(stage.join("DEBIAN/control"), control).unwrap();
        // The past: a repository is dated by its newest package, and each update makes that later by a second at least.
        let built = Command::new("dpkg-deb")
            .env("SOURCE_DATE_EPOCH", "1700000000")
            .args(["--root-owner-group", "-b"])
            .args([&stage, &self.root.join(format!("{name}_{version}_{ARCH}.deb"))])
            .output()
            .unwrap();
        assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
        fs::remove_dir_all(&stage).unwrap();
        self.update();
    }

    /// Makes the repository list the packages that lie there.
    pub(crate) fn update(&self) {
        let cache = Cache::at(&self.work.path().join("cache")).unwrap();
        repository::update(&self.root, &self.key, &cache, &Reporter::new(true)).unwrap();
    }

    /// The public key, armored, as the repository offers it.
    pub(crate) fn public(&self) -> String {
        fs::read_to_string(self.root.join("computatom.asc")).unwrap()
    }

    /// The fingerprint of the key.
    pub(crate) fn fingerprint(&self) -> String {
        self.key.fingerprint()
    }

    /// The folder of the suite.
    pub(crate) fn suite(&self) -> PathBuf {
        self.root.join("dists").join(Self::SUITE)
    }
}

/// The key in a file, made there.
fn key(path: &Path) -> SigningKey {
    let version = pgp::types::KeyVersion::V4;
    let kind = pgp::composed::KeyType::Ed25519Legacy;
    let user = Some("Vendor <vendor@example.invalid>".to_owned());
    let made = rpgpie::tsk::Tsk::generate(version, kind, None, user, Vec::new(), None).unwrap();
    let options = pgp::composed::ArmorOptions::default();
    let armored = made.as_signed_secret_key().to_armored_string(options).unwrap();
    fs::write(path, armored).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
    SigningKey::open(Some(path), &Reporter::new(true)).unwrap()
}
