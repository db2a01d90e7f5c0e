//! The lock: `images/<name>.lock.json`, sorted, newline-ended, committed.

use std::collections::BTreeMap;

use computatom_spec::arch::Arch;
use serde::{Deserialize, Serialize};

/// Everything a build of one image takes in, pinned.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lock {
    /// Version of this format.
    pub format: u32,
    /// Definition name.
    pub image: String,
    /// `SOURCE_DATE_EPOCH`: the newest `Date` among the suites at solving time, seconds since 1970.
    pub epoch: i64,
    /// MBR disk signature, 8 hex digits; derived from the image name once, then kept.
    pub disk_signature: String,
    /// Pinned components by name.
    pub components: BTreeMap<String, LockedComponent>,
    /// Pinned Debian packages by target name.
    pub debian: BTreeMap<String, Vec<LockedDeb>>,
    /// Digest (`sha256:`) of what the solver was asked, so that a changed definition is noticed.
    pub request: BTreeMap<String, String>,
}

/// One component with every source it may come from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LockedComponent {
    /// Upstream version.
    pub version: String,
    /// Release archives by architecture: URL and `sha256`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub release: BTreeMap<Arch, LockedRelease>,
    /// Go module sums.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub go_module: Option<LockedModule>,
}

/// A pinned release archive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LockedRelease {
    /// Where it is published.
    pub url: String,
    /// Digest, hex.
    pub sha256: String,
}

/// A pinned Go module.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LockedModule {
    /// Module path.
    pub module: String,
    /// Module version (`v1.10.5`).
    pub version: String,
    /// `h1:` sum of the module's files.
    pub sum: String,
    /// `h1:` sum of its go.mod.
    pub go_mod_sum: String,
    /// Digest (hex sha256) of the go.sum that the build ends with: it pins every dependency.
    pub go_sum_sha256: String,
    /// Replacements: module to version.
    pub replace: BTreeMap<String, String>,
}

/// A pinned package of the Debian archive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LockedDeb {
    /// Package name.
    pub name: String,
    /// Debian version.
    pub version: String,
    /// Architecture of the package (`all` included).
    pub architecture: String,
    /// Suite it was taken from: says which part of the mirror it lies on.
    pub suite: String,
    /// `Filename` of the index, relative to the mirror.
    pub filename: String,
    /// Size in bytes.
    pub size: u64,
    /// Digest, hex.
    pub sha256: String,
}
