//! The program in a world of its own: a checkout, a cache, and an upstream that can lie.

#![allow(dead_code, reason = "each test binary uses its part")]
#![allow(clippy::unwrap_used, reason = "a test helper: what fails here fails the test")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use pkgbuilder::verify::Sha256;

use crate::server::Server;
use crate::server::archive::Archive;

/// The target of the tiny definition, one that the program can assemble.
pub(crate) const TARGET: &str = "raspberrypi-arm64";

/// A definition of the Debian package `app` and what it needs, one key on a line; `changes` replace keys or add some.
fn definition(changes: &[(&str, &str)]) -> String {
    let targets = format!("[{{ name: '{TARGET}', arch: 'arm64', packages: [] }}]");
    let mut keys = vec![
        ("name", "'tiny'"),
        ("targets", &targets),
        ("components", "{}"),
        ("debian+", "{ packages: ['app'], prefer: [], avoid: [] }"),
    ];
    for change in changes {
        match keys.iter_mut().find(|(key, _)| *key == change.0) {
            Some(key) => *key = *change,
            None => keys.push(*change),
        }
    }
    let lines: Vec<String> = keys.iter().map(|(key, value)| format!("  {key}: {value},\n")).collect();
    format!(
        "local computatom = import 'computatom.libsonnet';\ncomputatom.image({{\n{}}})\n",
        lines.concat()
    )
}

/// A repository with one definition, a Debian mirror that can lie, and a cache, all of its own.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) archive: Archive,
    pub(crate) server: Server,
}

impl World {
    /// The mirror has an essential `base`, and `app` that needs `library`; the definition asks for `app`.
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("served");
        fs::create_dir(&root).unwrap();
        let mut archive = Archive::new(&root);
        archive.add("trixie", "base", "1.0", "Essential: yes");
        archive.add("trixie", "library", "1.0-1", "");
        archive.add("trixie", "app", "2.0-1", "Depends: library (>= 1.0)");
        archive.publish();
        let server = Server::start(&root);
        let world = Self {
            folder,
            archive,
            server,
        };
        let real = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        fs::create_dir_all(world.checkout().join("images")).unwrap();
        let vocabulary = real.join("jsonnet");
        let copied = Command::new("cp")
            .arg("-R")
            .args([&vocabulary, &world.checkout()])
            .status();
        assert!(copied.unwrap().success());
        world.define(&[]);
        world
    }

    /// The repository.
    pub(crate) fn checkout(&self) -> PathBuf {
        self.folder.path().join("checkout")
    }

    /// What the mirror serves.
    pub(crate) fn served(&self) -> PathBuf {
        self.folder.path().join("served")
    }

    pub(crate) fn cache(&self) -> PathBuf {
        self.folder.path().join("cache/computatom")
    }

    pub(crate) fn lock(&self) -> PathBuf {
        self.checkout().join("images/tiny.lock.json")
    }

    /// Writes the definition with `changes`; see [`definition`].
    pub(crate) fn define(&self, changes: &[(&str, &str)]) {
        fs::write(self.checkout().join("images/tiny.jsonnet"), definition(changes)).unwrap();
    }

    /// The program in the repository, with nothing of this machine's settings.
    pub(crate) fn pkgbuilder(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pkgbuilder"));
        command
            .current_dir(self.checkout())
            .env("XDG_CACHE_HOME", self.folder.path().join("cache"))
            .env("XDG_DATA_HOME", self.folder.path().join("data"))
            .env("COMPUTATOM_STALL_SECONDS", "0.5");
        for name in [
            "COMPUTATOM_MIRROR",
            "COMPUTATOM_SNAPSHOT",
            "COMPUTATOM_KEYRING",
            "COMPUTATOM_RELEASE_MIRROR",
        ] {
            command.env_remove(name);
        }
        command
    }

    /// A subcommand for the definition, its packages from our mirror.
    pub(crate) fn command(&self, subcommand: &str, arguments: &[&str]) -> Command {
        let mut command = self.pkgbuilder();
        command
            .args([subcommand, "tiny", "--mirror", &format!("{}/debian", self.server.url())])
            .arg("--keyring")
            .arg(self.archive.keyring())
            .args(arguments);
        command
    }

    /// What the program says on standard error when all goes well.
    #[track_caller]
    pub(crate) fn succeeds(&self, mut command: Command) -> String {
        let output = command.output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{}: {said}", output.status);
        self.assert_cache_is_valid();
        said
    }

    /// What the program says on standard error when it refuses with `code` and leaves the repository as it was.
    #[track_caller]
    pub(crate) fn refuses(&self, mut command: Command, code: i32) -> String {
        let before = content_of(&self.checkout());
        let said = self.judge(&command.output().unwrap(), code);
        let after = content_of(&self.checkout());
        let written: Vec<&PathBuf> = after
            .keys()
            .filter(|path| before.get(*path) != after.get(*path))
            .collect();
        assert!(written.is_empty(), "{written:?} was written: {said}");
        assert_eq!(after.len(), before.len(), "something was removed: {said}");
        said
    }

    /// What was said by a program that ended with `code`: one error, the last thing it says.
    #[track_caller]
    pub(crate) fn judge(&self, output: &Output, code: i32) -> String {
        let said = String::from_utf8(output.stderr.clone()).unwrap();
        assert_eq!(output.status.code(), Some(code), "{said}");
        assert_eq!(output.stdout, b"", "talk does not belong on standard output");
        assert_eq!(said.matches("error: ").count(), 1, "one sentence: {said}");
        assert!(!said.contains("panicked"), "{said}");
        self.assert_cache_is_valid();

        said
    }

    /// Fails if an object's name is not its digest, or if something lies in the cache that no run can go on with.
    #[track_caller]
    pub(crate) fn assert_cache_is_valid(&self) {
        let objects = content_of(&self.cache().join("objects"));
        for (path, content) in objects.into_iter().filter(|(path, _)| path.is_file()) {
            assert!(path.ends_with(Sha256::of(&content).hex()), "{}", path.display());
        }
        let served = content_of(&self.served());
        for (path, begun) in content_of(&self.cache().join("partial")) {
            let of = served
                .values()
                .find(|content| path.ends_with(Sha256::of(content).hex()));
            let of = of.unwrap_or_else(|| panic!("{} is of no file that is served", path.display()));
            assert!(of.starts_with(&begun), "{} is no beginning", path.display());
        }
    }

    /// Forgets what was downloaded.
    pub(crate) fn empty_cache(&self) {
        fs::remove_dir_all(self.cache()).unwrap();
    }
}

/// Every file below a folder that may not exist; folders have a slash at the end.
pub(crate) fn content_of(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut content = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                content.insert(path.join(""), Vec::new());
                folders.push(path);
            } else {
                content.insert(path.clone(), fs::read(path).unwrap());
            }
        }
    }
    content
}

/// Fails unless `said` has every one of `parts`.
#[track_caller]
pub(crate) fn assert_says(said: &str, parts: &[&str]) {
    for part in parts {
        assert!(said.contains(part), "no `{part}` in: {said}");
    }
}
