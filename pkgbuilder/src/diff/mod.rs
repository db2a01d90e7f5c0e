//! What changed between two images: definition and site settings, packages, files, sizes.

/// Values of the definition.
mod definition;

/// Files of the root and of the boot partitions.
mod files;

/// For people.
mod table;

use std::cmp::Ordering;
use std::collections::BTreeMap;

use computatom_spec::manifest::{Manifest, PackageRecord};
use debversion::Version;
use serde::Serialize;

pub use self::definition::Change;
pub use self::files::FileChange;
use crate::provenance;

/// How something is on the other side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// It is only on the second side.
    Added,
    /// It is only on the first side.
    Removed,
    /// The second side has a higher version.
    Upgraded,
    /// The second side has a lower version.
    Downgraded,
    /// The same version (for files: the same path) holds something else.
    Changed,
}

/// One side of a comparison.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Side {
    /// What was compared, as it was named.
    pub name: String,
    /// Name of the definition.
    pub image: String,
    /// Target.
    pub target: String,
    /// Version of the pkgbuilder that built it.
    pub tool: String,
    /// Time of the build's inputs, seconds since 1970.
    pub epoch: i64,
    /// Number of packages.
    pub packages: u64,
    /// Files, other names of one inode not counted.
    pub files: u64,
    /// Bytes in them.
    pub size: u64,
    /// Bytes of the compressed image, where one was looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub compressed: Option<u64>,
}

/// A package that is not the same on both sides.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PackageChange {
    /// Name.
    pub name: String,
    /// How.
    pub kind: Kind,
    /// Version on the first side.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<String>,
    /// Version on the second side.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// What else: source, origin, licence, architecture.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub also: Vec<Change>,
    /// Bytes of its files on the second side, less those on the first.
    pub growth: i64,
}

/// Everything that differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// Whether nothing does.
    pub same: bool,
    /// The first side.
    pub before: Side,
    /// The second side.
    pub after: Side,
    /// The definition's values, without the site settings.
    pub definition: Vec<Change>,
    /// Site settings.
    pub site: Vec<Change>,
    /// Packages, by name.
    pub packages: Vec<PackageChange>,
    /// Files, by path; those of boot partitions begin with the label, as in `BOOT_A:/cmdline.txt`.
    pub files: Vec<FileChange>,
}

/// A manifest to be compared.
#[derive(Clone, Debug)]
pub struct Subject {
    /// What to call it.
    pub name: String,
    /// What it holds, files included.
    pub manifest: Manifest,
    /// Bytes of the compressed image, where one was looked at.
    pub compressed: Option<u64>,
}

/// Compares two images.
pub fn compare(before: &Subject, after: &Subject) -> Difference {
    let files = files::compare(&before.manifest, &after.manifest);
    let growth = files::growth(&before.manifest, &after.manifest);
    let packages = packages(&before.manifest, &after.manifest, &growth);
    let changes = definition::compare(&before.manifest.definition, &after.manifest.definition);
    let (site, definition): (Vec<Change>, Vec<Change>) = changes
        .into_iter()
        .partition(|change| change.place == "site" || change.place.starts_with("site."));
    let (before, after) = (side(before), side(after));
    let same = definition.is_empty()
        && site.is_empty()
        && packages.is_empty()
        && files.is_empty()
        && (&before.image, &before.target, &before.tool, before.epoch)
            == (&after.image, &after.target, &after.tool, after.epoch);
    Difference {
        same,
        before,
        after,
        definition,
        site,
        packages,
        files,
    }
}

fn side(subject: &Subject) -> Side {
    let manifest = &subject.manifest;
    let volumes = manifest.volumes.values().flat_map(BTreeMap::values);
    let files = manifest.files.values().chain(volumes);
    let counted: Vec<u64> = files
        .filter(|file| provenance::counts(file) && !file.digest.is_empty())
        .map(|file| file.size)
        .collect();
    Side {
        name: subject.name.clone(),
        image: manifest.image.clone(),
        target: manifest.target.clone(),
        tool: manifest.tool.clone(),
        epoch: manifest.epoch,
        packages: manifest.packages.len() as u64,
        files: counted.len() as u64,
        size: counted.iter().sum(),
        compressed: subject.compressed,
    }
}

fn packages(before: &Manifest, after: &Manifest, growth: &BTreeMap<String, i64>) -> Vec<PackageChange> {
    let by_name = |manifest: &Manifest| -> BTreeMap<String, PackageRecord> {
        let packages = manifest.packages.iter();
        packages
            .map(|package| (package.name.clone(), package.clone()))
            .collect()
    };
    let (before, after) = (by_name(before), by_name(after));
    let mut names: Vec<&String> = before.keys().chain(after.keys()).collect();
    names.sort();
    names.dedup();
    let changes = names.into_iter().filter_map(|name| {
        let (was, is) = (before.get(name), after.get(name));
        let kind = match (was, is) {
            (None, _) => Kind::Added,
            (_, None) => Kind::Removed,
            (Some(was), Some(is)) if was == is => return None,
            (Some(was), Some(is)) => version_kind(&was.version, &is.version),
        };
        let also = match (was, is) {
            (Some(was), Some(is)) => details(was, is),
            _ => Vec::new(),
        };
        Some(PackageChange {
            name: name.clone(),
            kind,
            before: was.map(|package| package.version.clone()),
            after: is.map(|package| package.version.clone()),
            also,
            growth: growth.get(name).copied().unwrap_or(0),
        })
    });
    changes.collect()
}

/// As dpkg compares versions; what it could not have read is compared as text.
fn version_kind(was: &str, is: &str) -> Kind {
    let order = match (was.parse::<Version>(), is.parse::<Version>()) {
        (Ok(was), Ok(is)) => is.cmp(&was),
        _ => is.cmp(was),
    };
    match order {
        Ordering::Less => Kind::Downgraded,
        Ordering::Equal => Kind::Changed,
        Ordering::Greater => Kind::Upgraded,
    }
}

/// What a person would want to know beside the versions. What follows from another version (digest, file name) counts only
/// where the version is the same.
fn details(was: &PackageRecord, is: &PackageRecord) -> Vec<Change> {
    let same_version = was.version == is.version;
    let fields = [
        ("architecture", &was.architecture, &is.architecture, true),
        ("source", &was.source, &is.source, true),
        ("origin", &was.origin, &is.origin, same_version),
        ("digest", &was.digest, &is.digest, same_version),
        ("verified", &was.verified, &is.verified, same_version),
        ("section", &was.section, &is.section, true),
        ("license", &was.license, &is.license, true),
    ];
    let fields = fields.into_iter().filter(|(_, was, is, counts)| *counts && was != is);
    fields
        .map(|(place, was, is, _)| Change {
            place: place.to_owned(),
            before: Some(was.clone().into()),
            after: Some(is.clone().into()),
        })
        .collect()
}

impl Difference {
    /// The difference for people; `all_files` names each file, else only the first of each package.
    pub fn table(&self, all_files: bool) -> String {
        table::table(self, all_files)
    }
}

#[cfg(test)]
mod tests;
