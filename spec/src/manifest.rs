//! What an image contains: written beside the image, and into it at [`crate::paths::MANIFEST`].

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The manifest of one image.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// Version of this format.
    pub format: u32,
    /// Definition name (`home`).
    pub image: String,
    /// Target (`raspberrypi-arm64`).
    pub target: String,
    /// Version of the tool that built it.
    pub tool: String,
    /// `SOURCE_DATE_EPOCH` of the build, seconds since 1970.
    pub epoch: i64,
    /// The definition as evaluated.
    pub definition: serde_json::Value,
    /// Every package, sorted by name.
    pub packages: Vec<PackageRecord>,
    /// Every regular file of the root by path, with `sha256:` and its digest; empty in the copy inside the image.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub files: BTreeMap<String, String>,
}

/// One package of an image.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PackageRecord {
    /// Package name.
    pub name: String,
    /// Debian version.
    pub version: String,
    /// Debian architecture of the package (`all` included).
    pub architecture: String,
    /// `sha256:` and the digest of the .deb.
    pub digest: String,
    /// `debian`, `release`, `go-module` or `file`.
    pub source: String,
    /// What exactly it was made from: URL path, module and toolchain.
    pub origin: String,
    /// How that was verified: whose signature, which pinned digest.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub verified: String,
}
