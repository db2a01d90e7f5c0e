//! dpkg's database in the tree, kept as it would be after every step: scripts read it.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;

use anyhow::Result;
use md5::{Digest as _, Md5};

use super::status::{self, State};
use crate::deb::{Control, EntryKind, Package};
use crate::tree::{Inode, Kind, Tree};
use crate::unpack::Files;

const ADMINDIR: &str = "/var/lib/dpkg";

/// What is known of the packages so far.
#[derive(Debug, Default)]
pub struct Database {
    stanzas: BTreeMap<String, String>,
    states: HashMap<String, State>,
}

impl Database {
    /// Makes the directories and the files that dpkg keeps whatever is installed.
    pub fn create(tree: &mut Tree, arch: &str) -> Result<Self> {
        for dir in ["alternatives", "info", "parts", "triggers", "updates"] {
            tree.mkdir_all(&format!("{ADMINDIR}/{dir}"), 0o755)?;
        }
        tree.write(&format!("{ADMINDIR}/arch-native"), format!("{arch}\n"), 0o644)?;
        tree.write(&format!("{ADMINDIR}/info/format"), "1\n", 0o644)?;
        for (file, mode) in [
            ("lock", 0o640),
            ("lock-frontend", 0o640),
            ("status", 0o644),
            ("triggers/Lock", 0o600),
            ("triggers/Unincorp", 0o644),
        ] {
            tree.write(&format!("{ADMINDIR}/{file}"), "", mode)?;
        }
        Ok(Self::default())
    }

    /// How far a package is; `None` if it is not known.
    pub fn state(&self, package: &str) -> Option<State> {
        self.states.get(package).copied()
    }

    /// Notes a package's new state.
    pub fn set(&mut self, package: &Package, state: State) {
        let conffiles = match state {
            State::HalfInstalled => Vec::new(),
            State::Unpacked => conffiles(package, |_| "newconffile".to_owned()),
            State::HalfConfigured | State::Installed => conffiles(package, md5),
        };
        let stanza = status::stanza(&package.control, state, &conffiles);
        self.stanzas.insert(package.control.name.clone(), stanza);
        self.states.insert(package.control.name.clone(), state);
    }

    /// Writes `status`, packages in order of name.
    pub fn store(&self, tree: &mut Tree) -> Result<()> {
        let text: String = self.stanzas.values().map(String::as_str).collect();
        tree.write(&format!("{ADMINDIR}/status"), text, 0o644)?;
        Ok(())
    }
}

/// Puts a package's control members and its list into `info/`.
pub fn store_info(tree: &mut Tree, control: &Control, files: &Files) -> Result<()> {
    let stem = control.file_stem();
    for (name, member) in &control.members {
        let kind = Kind::File(member.content.clone());
        let inode = Inode::new(kind, member.mode, member.mtime.min(tree.now));
        tree.replace(&format!("{ADMINDIR}/info/{stem}.{name}"), inode)?;
    }
    store_list(tree, control, files)
}

/// Writes `info/PACKAGE.list` anew.
pub fn store_list(tree: &mut Tree, control: &Control, files: &Files) -> Result<()> {
    let path = format!("{ADMINDIR}/info/{}.list", control.file_stem());
    tree.write(&path, files.list(&control.name), 0o644)?;
    Ok(())
}

/// Writes `info/PACKAGE.md5sums` of a package that brings none, as dpkg does.
pub fn store_digests(tree: &mut Tree, package: &Package) -> Result<()> {
    if package.control.members.contains_key("md5sums") {
        return Ok(());
    }
    let mut text = String::new();
    for entry in &package.entries {
        if let EntryKind::File(content) = &entry.kind {
            let _ = writeln!(text, "{}  {}", md5(content), &entry.path[1..]);
        }
    }
    let path = format!("{ADMINDIR}/info/{}.md5sums", package.control.file_stem());
    tree.write(&path, text, 0o644)?;
    Ok(())
}

/// Writes apt's list of packages that came only as dependencies.
pub fn store_extended_states(tree: &mut Tree, arch: &str, automatic: &[&str]) -> Result<()> {
    if automatic.is_empty() {
        return Ok(());
    }
    let mut text = String::new();
    for name in automatic {
        let _ = write!(text, "Package: {name}\nArchitecture: {arch}\nAuto-Installed: 1\n\n");
    }
    tree.mkdir_all("/var/lib/apt", 0o755)?;
    tree.write("/var/lib/apt/extended_states", text, 0o644)?;
    Ok(())
}

/// Conffiles of a package with what `digest` says of the content it ships.
fn conffiles(package: &Package, digest: impl Fn(&[u8]) -> String) -> Vec<(String, String)> {
    let content = |path: &str| {
        let entry = package.entries.iter().find(|entry| entry.path == path)?;
        match &entry.kind {
            EntryKind::File(content) => Some(content.clone()),
            _ => None,
        }
    };
    let known = package.control.conffiles().into_iter().filter_map(|conffile| {
        let digest = if conffile.remove_on_upgrade {
            "newconffile remove-on-upgrade".to_owned()
        } else {
            digest(&content(&conffile.path)?)
        };
        Some((conffile.path, digest))
    });
    known.collect()
}

fn md5(content: &[u8]) -> String {
    hex::encode(Md5::digest(content))
}
