//! A machine in a folder: a copy of a scenario that may be written to.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(dead_code, reason = "each test binary uses its part")]

use std::fs;
use std::path::{Path, PathBuf};

use computatom_agent::config;
use computatom_agent::identity::Identity;
use computatom_agent::render::{self, Change};
use computatom_agent::role::Assignment;
use computatom_agent::root::Root;
use tempfile::TempDir;

/// All scenarios, sorted by name.
pub(crate) fn folders() -> Vec<PathBuf> {
    let mut folders: Vec<PathBuf> = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/roots"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    folders.sort();
    assert!(folders.len() >= 7, "scenarios are missing");
    folders
}

/// The copy.
#[derive(Debug)]
pub(crate) struct Machine {
    folder: TempDir,
    root: Root,
}

impl Machine {
    /// Copies a scenario without its expectations.
    pub(crate) fn copy(scenario: &Path) -> Self {
        let folder = tempfile::tempdir().unwrap();
        copy(scenario, folder.path());
        let root = Root::at(folder.path());
        Self { folder, root }
    }

    /// The root of the machine.
    pub(crate) fn root(&self) -> &Root {
        &self.root
    }

    /// A path of the machine.
    pub(crate) fn path(&self, absolute: &str) -> PathBuf {
        self.root.path(absolute)
    }

    /// Writes a file of the machine.
    pub(crate) fn write(&self, absolute: &str, text: &str) {
        let path = self.path(absolute);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// What `identify` and `render` do.
    pub(crate) fn boot(&self) -> Vec<Change> {
        config::adopt(&self.root).unwrap();
        let site = config::load(&self.root).unwrap();
        let identity = Identity::derive(&self.root, &site);
        let assignment = Assignment::decide(&site, &identity, &config::image_roles(&self.root).unwrap()).unwrap();
        identity.store(&self.root).unwrap();
        assignment.store(&self.root).unwrap();
        let files = render::render(&self.root, &site, &identity, &assignment);
        let changes = render::apply(&self.root, &files).unwrap();
        for change in &changes {
            render::applied::confirm(&self.root, &files, change.unit).unwrap();
        }
        changes
    }
}

fn copy(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        if entry.file_name() == "expected" {
            continue;
        }
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            fs::create_dir(&target).unwrap();
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), &target).unwrap();
        }
    }
}
