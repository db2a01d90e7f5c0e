//! Two lists of files.

use std::collections::BTreeMap;

use computatom_spec::manifest::{FileRecord, Manifest};
use serde::Serialize;

use super::Kind;
use crate::provenance;

/// A file that is not the same on both sides.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FileChange {
    /// Where it is.
    pub path: String,
    /// How it differs.
    pub kind: Kind,
    /// The package that it is of, on the second side if it is there; empty where it is of none.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub package: String,
    /// What of it: `content`, `target`, `mode`, `owner`, `link`, `package`; empty where it came or went.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub what: Vec<&'static str>,
    /// Bytes on the first side.
    pub before: u64,
    /// Bytes on the second side.
    pub after: u64,
}

/// Every file by path, those of boot partitions behind their label.
fn all(manifest: &Manifest) -> BTreeMap<String, &FileRecord> {
    let root = manifest.files.iter().map(|(path, file)| (path.clone(), file));
    let volumes = manifest.volumes.iter().flat_map(|(label, files)| {
        let files = files.iter();
        files.map(move |(path, file)| (format!("{label}:/{path}"), file))
    });
    root.chain(volumes).collect()
}

pub(super) fn compare(before: &Manifest, after: &Manifest) -> Vec<FileChange> {
    let (before, after) = (all(before), all(after));
    let mut changes = Vec::new();
    for (path, was) in &before {
        let change = |kind, package: &str, what, size| FileChange {
            path: path.clone(),
            kind,
            package: package.to_owned(),
            what,
            before: was.size,
            after: size,
        };
        match after.get(path) {
            None => changes.push(change(Kind::Removed, &was.package, Vec::new(), 0)),
            Some(is) if is != was => changes.push(change(Kind::Changed, &is.package, what(was, is), is.size)),
            Some(_) => {}
        }
    }
    for (path, is) in after.iter().filter(|(path, _)| !before.contains_key(*path)) {
        changes.push(FileChange {
            path: path.clone(),
            kind: Kind::Added,
            package: is.package.clone(),
            what: Vec::new(),
            before: 0,
            after: is.size,
        });
    }
    changes.sort_by(|a, b| a.path.cmp(&b.path));
    changes
}

fn what(was: &FileRecord, is: &FileRecord) -> Vec<&'static str> {
    let parts = [
        ("content", was.digest == is.digest),
        ("target", was.symlink == is.symlink),
        ("mode", was.mode == is.mode),
        ("owner", was.owner == is.owner),
        ("link", was.hardlink == is.hardlink),
        ("package", was.package == is.package),
    ];
    let parts = parts.into_iter().filter(|(_, same)| !same);
    parts.map(|(name, _)| name).collect()
}

/// By how many bytes the files of each package grew.
pub(super) fn growth(before: &Manifest, after: &Manifest) -> BTreeMap<String, i64> {
    let mut growth: BTreeMap<String, i64> = BTreeMap::new();
    for (manifest, sign) in [(before, -1), (after, 1)] {
        for file in manifest.files.values().filter(|file| provenance::counts(file)) {
            *growth.entry(file.package.clone()).or_default() += sign * i64::try_from(file.size).unwrap_or(i64::MAX);
        }
    }
    growth
}
