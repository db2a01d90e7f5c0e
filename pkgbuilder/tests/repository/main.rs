//! The apt repository, judged by those who read one: apt itself (over file and HTTP, for two architectures), gpgv and
//! sqv (which verify for the apt of Debian 12 and 13), `dpkg-scanpackages`.
//!
//! Nothing of this machine is touched: apt works in folders of its own and dpkg in a root of its own, and packages
//! have no scripts, so no privilege is needed either.

#![allow(clippy::unwrap_used, reason = "tests")]

#[path = "../server/mod.rs"]
mod server;

/// What apt makes of it.
mod apt;

/// What Debian 13 makes of it, in a chroot.
#[cfg(feature = "oracle")]
mod debian13;

/// What other readers make of it.
mod readers;

/// What is written when.
mod writing;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use pkgbuilder::fetch::Cache;
use pkgbuilder::reporter::Reporter;
use pkgbuilder::repository::{self, Repository, SigningKey};

/// A folder of packages, a key and a cache, all of their own.
struct World {
    folder: tempfile::TempDir,
    key: SigningKey,
    cache: Cache,
}

impl World {
    /// A folder with `hello` 1.0-1 for two architectures and `hello-data` for all.
    fn new() -> Self {
        let world = Self::empty();
        for architecture in [native(), foreign()] {
            world.add("hello", "1.0-1", architecture, 1_700_000_000);
        }
        world.add("hello-data", "1.0-1", "all", 1_600_000_000);
        world
    }

    fn empty() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let key = key(&folder.path().join("key.asc"));
        let cache = Cache::at(&folder.path().join("cache")).unwrap();
        fs::create_dir(folder.path().join("packages")).unwrap();
        Self { folder, key, cache }
    }

    /// The folder of the packages.
    fn packages(&self) -> PathBuf {
        self.folder.path().join("packages")
    }

    fn suite(&self) -> PathBuf {
        self.packages().join("dists/computatom")
    }

    /// Puts a package into the folder by the real dpkg-deb; its only file is `/usr/share/NAME/version`.
    fn add(&self, name: &str, version: &str, architecture: &str, epoch: i64) -> PathBuf {
        let stage = self.folder.path().join("stage");
        fs::create_dir_all(stage.join("DEBIAN")).unwrap();
        let share = stage.join("usr/share").join(name);
        fs::create_dir_all(&share).unwrap();
        fs::write(share.join("version"), format!("{version}\n")).unwrap();
        let control = format!(
            "Package: {name}\nVersion: {version}\nArchitecture: {architecture}\nMaintainer: Test <test@example.invalid>\n\
             Installed-Size: 1\nSection: misc\nPriority: optional\nHomepage: https://hello.example/\n\
             Description: says hello\n In more than one line.\n .\n And more than one paragraph.\n"
        );
        fs::write(stage.join("DEBIAN/control"), control).unwrap();
        let plain = version.split_once(':').map_or(version, |(_, rest)| rest);
        let path = self.packages().join(format!("{name}_{plain}_{architecture}.deb"));
        let mut build = Command::new("dpkg-deb");
        build
            .env("SOURCE_DATE_EPOCH", epoch.to_string())
            .args(["--root-owner-group", "-b"])
            .args([&stage, &path]);
        succeeds(&mut build);
        fs::remove_dir_all(&stage).unwrap();
        path
    }

    fn update(&self) -> Repository {
        repository::update(&self.packages(), &self.key, &self.cache, &Reporter::new(true)).unwrap()
    }

    /// The refusal of an update, which has to leave everything as it was.
    #[track_caller]
    fn refused(&self) -> String {
        let before = content_of(&self.packages());
        let error = repository::update(&self.packages(), &self.key, &self.cache, &Reporter::new(true)).unwrap_err();
        assert_eq!(pkgbuilder::failure::exit_code(&error), 2, "{error:#}");
        assert_eq!(content_of(&self.packages()), before);
        format!("{error:#}")
    }
}

/// The key in a file, made there by a person that has none yet.
fn key(path: &Path) -> SigningKey {
    use rpgpie::tsk::Tsk;
    use std::os::unix::fs::PermissionsExt;
    let version = pgp::types::KeyVersion::V4;
    let kind = pgp::composed::KeyType::Ed25519Legacy;
    let user = Some("Test <test@example.invalid>".to_owned());
    let made = Tsk::generate(version, kind, None, user, Vec::new(), None).unwrap();
    let options = pgp::composed::ArmorOptions::default();
    let armored = made.as_signed_secret_key().to_armored_string(options).unwrap();
    fs::write(path, armored).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
    SigningKey::open(Some(path), &Reporter::new(true)).unwrap()
}

/// dpkg's architecture.
fn native() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => panic!("nobody has run these tests on {other} yet"),
    }
}

/// One that is not dpkg's.
fn foreign() -> &'static str {
    if native() == "arm64" { "armhf" } else { "arm64" }
}

#[track_caller]
fn run(command: &mut Command) -> Output {
    command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"))
}

/// Standard output of a command that succeeds.
#[track_caller]
fn succeeds(command: &mut Command) -> String {
    let output = run(command);
    assert!(
        output.status.success(),
        "{command:?}: {}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

/// Every file below a folder with its content.
fn content_of(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut content = BTreeMap::new();
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            content.extend(content_of(&path));
        } else {
            content.insert(path.clone(), fs::read(path).unwrap());
        }
    }
    content
}
