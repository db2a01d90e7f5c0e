//! The Debian side against an archive on loopback that can lie.

#![allow(clippy::unwrap_used, reason = "tests")]

#[cfg(feature = "archive")]
#[path = "../report/mod.rs"]
mod report;

#[path = "../server/mod.rs"]
mod server;

/// The real archive, by the real apt.
#[cfg(feature = "archive")]
mod apt;

/// What the real apt chooses.
mod apt_get;

/// Further sources and pins.
mod sources;

/// Downloads: cut, stalled, refused, raced.
mod fetching;

/// Packages: chosen, locked, moved on.
mod packages;

/// Signatures and digests that are wrong.
mod trust;

use std::path::{Path, PathBuf};
use std::time::Duration;

use pkgbuilder::definition::Image;
use pkgbuilder::fetch::{Cache, Fetcher, Limits};
use pkgbuilder::reporter::Reporter;
use pkgbuilder::resolve::{self, Lock, Policy, Settings};
use pkgbuilder::verify::Sha256;
use pkgbuilder::verify::deb::VerifiedDeb;

use self::server::Server;
use self::server::archive::Archive;

/// Impatient enough for a test.
fn limits() -> Limits {
    Limits {
        stall: Duration::from_millis(300),
        retries: 2,
        first_delay: Duration::from_millis(10),
        longest_wait: Duration::from_secs(2),
        at_once: 4,
    }
}

/// An archive, its server, and a cache of one's own.
struct World {
    folder: tempfile::TempDir,
    archive: Archive,
    server: Server,
    fetcher: Fetcher,
    lock: Lock,
}

impl World {
    /// A base system of one essential package, with `app` that needs `library`, all published.
    fn new() -> Self {
        let mut world = Self::empty();
        let archive = &mut world.archive;
        archive.add("trixie", "base", "1.0", "Essential: yes");
        archive.add("trixie", "library", "1.0-1", "");
        archive.add("trixie", "app", "2.0-1", "Depends: library (>= 1.0)");
        archive.publish();
        world
    }

    fn empty() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("archive");
        std::fs::create_dir(&root).unwrap();
        let archive = Archive::new(&root);
        let server = Server::start(&root);
        let cache = Cache::at(&folder.path().join("cache")).unwrap();
        let fetcher = Fetcher::with_limits(cache, Reporter::new(true), limits()).unwrap();
        Self {
            folder,
            archive,
            server,
            fetcher,
            lock: Lock::new("test"),
        }
    }

    fn cache(&self) -> &Cache {
        self.fetcher.cache()
    }

    fn settings(&self, policy: Policy) -> Settings {
        Settings {
            mirror: Some(format!("{}/debian", self.server.url())),
            keyrings: vec![self.archive.keyring()],
            policy,
            ..Settings::default()
        }
    }

    fn resolve(&mut self, policy: Policy, packages: &[&str]) -> anyhow::Result<Vec<VerifiedDeb>> {
        self.resolve_image(policy, &image(packages))
    }

    fn resolve_image(&mut self, policy: Policy, image: &Image) -> anyhow::Result<Vec<VerifiedDeb>> {
        let settings = self.settings(policy);
        resolve::debian(
            &self.fetcher,
            &settings,
            image,
            &image.targets[0],
            &[],
            &[],
            &mut self.lock,
        )
    }

    /// The error of a failed resolution: its text, after checking its exit code and that nothing was locked.
    fn failure(&mut self, packages: &[&str], code: u8) -> String {
        let before = self.lock.clone();
        let error = self.resolve(Policy::Keep, packages).unwrap_err();
        let text = format!("{error:#}");
        assert_eq!(pkgbuilder::failure::exit_code(&error), code, "{text}");
        assert_eq!(self.lock, before, "a failure must not change the lock");
        text
    }

    /// Files below a folder of the cache.
    fn cached(&self, folder: &str) -> Vec<PathBuf> {
        files_below(&self.cache().root().join(folder))
    }

    /// Fails if an object's name is not its digest, or if what is left to be resumed is not the beginning of the
    /// file that it shall become.
    fn assert_cache_is_clean(&self) {
        for path in self.cached("objects") {
            let digest = Sha256::of_file(&path).unwrap();
            assert!(path.ends_with(digest.hex()), "{}", path.display());
        }
        let published = files_below(&self.folder.path().join("archive"));
        for path in self.cached("partial") {
            let begun = match std::fs::read(&path) {
                // The last of the downloads that an error has ended may still be ending.
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
                read => read.unwrap(),
            };
            let of = published
                .iter()
                .find(|file| path.ends_with(Sha256::of_file(file).unwrap().hex()));
            let of = of.unwrap_or_else(|| panic!("{} is of no published file", path.display()));
            assert!(std::fs::read(of).unwrap().starts_with(&begun), "{}", path.display());
        }
    }
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                files.push(path);
            }
        }
    }
    files
}

/// A definition of one arm64 target that asks for these packages.
fn image(packages: &[&str]) -> Image {
    serde_json::from_value(serde_json::json!({
        "name": "test",
        "description": "",
        "targets": [{ "name": "test-arm64", "arch": "arm64", "packages": [] }],
        "debian": {
            "suites": Archive::SUITES,
            "components": ["main", "non-free-firmware"],
            "packages": packages,
            "prefer": [],
            "avoid": [],
            "recommends": false
        },
        "components": [],
        "exclude": [],
        "files": [],
        "units": { "enable": [], "disable": [], "mask": [] },
        "partitions": { "bootsel_mib": 8, "boot_mib": 64, "root_mib": 256 },
        "cmdline": [],
        "site": {}
    }))
    .unwrap()
}

/// `name version` of each package.
fn names(debs: &[VerifiedDeb]) -> Vec<String> {
    debs.iter()
        .map(|deb| format!("{} {}", deb.locked().name, deb.locked().version))
        .collect()
}
