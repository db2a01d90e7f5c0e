//! What an image contains: written beside the image, and into it at [`crate::paths::MANIFEST`].

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Version of the manifest's format.
pub const FORMAT: u32 = 2;

/// The manifest of one image.
///
/// The copy inside the image has no `files` and no `volumes`: it would have to hold its own digest.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// Version of this format, [`FORMAT`].
    pub format: u32,
    /// Definition name (`home`).
    pub image: String,
    /// Target (`raspberrypi-arm64`).
    pub target: String,
    /// Version of the tool that built it.
    pub tool: String,
    /// `SOURCE_DATE_EPOCH` of the build, seconds since 1970.
    pub epoch: i64,
    /// The definition as evaluated, the site settings in it.
    pub definition: serde_json::Value,
    /// Every package, sorted by name.
    pub packages: Vec<PackageRecord>,
    /// Everything in the root that is no directory, by path.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub files: BTreeMap<String, FileRecord>,
    /// Every file of the boot partitions: by the partition's label (`BOOT_A`), then by path.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub volumes: BTreeMap<String, BTreeMap<String, FileRecord>>,
}

/// One package of an image.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PackageRecord {
    /// Package name.
    pub name: String,
    /// Debian version.
    pub version: String,
    /// Debian architecture of the package (`all` included).
    pub architecture: String,
    /// `sha256:` and the digest of the .deb.
    pub digest: String,
    /// `debian`, `release`, `go-module` or `file`; `apt` where it is from a repository that is not Debian's, whose name
    /// `origin` begins with.
    pub source: String,
    /// What exactly it was made from: URL path, module and toolchain.
    pub origin: String,
    /// How that was verified: whose signature, which pinned digest.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub verified: String,
    /// `Section` of its control file (`non-free-firmware/kernel`).
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub section: String,
    /// SPDX expression of its licences; empty where they are not told in a form that a program reads.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub license: String,
    /// Where that is from, or what was found instead.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub license_from: String,
}

impl PackageRecord {
    /// Whether the .deb was taken as Debian or another apt repository has it.
    pub fn is_from_apt(&self) -> bool {
        ["debian", "apt"].contains(&self.source.as_str())
    }

    /// Name of the apt repository that it is from, if that is not Debian's.
    pub fn apt_source(&self) -> Option<&str> {
        let name = self.origin.split(' ').next().filter(|_| self.source == "apt")?;
        Some(name)
    }
}

/// What there is under one path.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileRecord {
    /// `sha256:` and the digest of a regular file; empty for everything else.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub digest: String,
    /// Size of a regular file in bytes.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub size: u64,
    /// Where a symbolic link leads.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub symlink: String,
    /// The first path, in byte order, of the same inode, where this is another name of it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub hardlink: String,
    /// Permissions in octal (`4755`); empty for `644`, and where they mean nothing.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub mode: String,
    /// Numbers of owner and group (`0:42`); empty for root's.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub owner: String,
    /// The package that it is of; empty for what was generated, or written by the definition.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub package: String,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(size: &u64) -> bool {
    *size == 0
}
