//! Stage 5: upstream binaries to reproducible .debs.

use std::path::PathBuf;

use computatom_spec::manifest::PackageRecord;

/// A finished, verified .deb on disk: a package of the archive or one of our own.
#[derive(Clone, Debug, PartialEq)]
pub struct Deb {
    /// The file.
    pub path: PathBuf,
    /// What it is, for the manifest; `digest` is that of the file.
    pub record: PackageRecord,
}
