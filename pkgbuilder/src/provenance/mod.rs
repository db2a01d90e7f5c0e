//! What a root file system consists of, and by whom: files with their packages, packages with their licences.
//!
//! The same functions read the tree that a build composed and the squashfs of a finished image, so that what `inspect`
//! reads out of an image is, byte for byte, what the build wrote beside it.

/// Files with digest, size and package.
mod files;

/// Licences from the packages' copyright files.
pub mod licenses;

/// Which package a path is of.
mod owners;

use anyhow::Result;
use bytes::Bytes;
use computatom_compose::tree::{InodeId, Kind, Tree};
use computatom_spec::manifest::{FileRecord, PackageRecord};

use crate::compose::Rootfs;
use crate::verify::Sha256;

pub use self::files::{content, records};

/// A root file system, wherever its contents lie.
pub trait Root: Sync {
    /// Names, kinds and metadata; contents of files may be missing.
    fn tree(&self) -> &Tree;

    /// The size of a regular file in bytes.
    fn size(&self, id: InodeId) -> u64;

    /// The content of a regular file.
    ///
    /// # Errors
    ///
    /// Fails where it cannot be read.
    fn content(&self, id: InodeId) -> Result<Bytes>;

    /// The SHA-256 of the content of a regular file.
    ///
    /// # Errors
    ///
    /// Fails where it cannot be read.
    fn digest(&self, id: InodeId) -> Result<Sha256> {
        Ok(Sha256::of(&self.content(id)?))
    }
}

impl Root for Rootfs {
    fn tree(&self) -> &Tree {
        &self.tree
    }

    fn size(&self, id: InodeId) -> u64 {
        self.tree.size(id)
    }

    fn content(&self, id: InodeId) -> Result<Bytes> {
        self.tree.content(id)
    }

    fn digest(&self, id: InodeId) -> Result<Sha256> {
        Ok(self.digests.of(&self.content(id)?).whole)
    }
}

impl Root for Tree {
    fn tree(&self) -> &Tree {
        self
    }

    fn size(&self, id: InodeId) -> u64 {
        match &self.inode(id).kind {
            Kind::File(content) => content.len() as u64,
            _ => 0,
        }
    }

    fn content(&self, id: InodeId) -> Result<Bytes> {
        match &self.inode(id).kind {
            Kind::File(content) => Ok(content.clone()),
            _ => Ok(Bytes::new()),
        }
    }
}

/// The text behind `path`, links followed; nothing if there is no such file.
fn text(root: &dyn Root, path: &str) -> Result<Option<String>> {
    let tree = root.tree();
    let Ok(id) = tree.lookup(path, computatom_compose::tree::Follow::Yes) else {
        return Ok(None);
    };
    if !tree.inode(id).is_file() {
        return Ok(None);
    }
    Ok(Some(String::from_utf8_lossy(&root.content(id)?).into_owned()))
}

/// Completes what is known of the packages by what their files in `root` say: sections and licences. `declared` has the
/// licences of packages of our own, by name, which the catalog knows better. Gives the texts of the licences that are not
/// on SPDX' list.
///
/// # Errors
///
/// Fails where a file cannot be read.
pub fn complete(
    root: &dyn Root,
    packages: &mut [PackageRecord],
    declared: &dyn Fn(&PackageRecord) -> Option<String>,
) -> Result<licenses::Texts> {
    let sections = owners::sections(root)?;
    let mut texts = licenses::Texts::new();
    for package in packages {
        package.section = sections.get(&package.name).cloned().unwrap_or_default();
        let found = match declared(package) {
            Some(expression) => licenses::Found::declared(expression),
            None => licenses::of(root, &package.name)?,
        };
        package.license = found.expression;
        package.license_from = found.from;
        texts.extend(found.texts);
    }
    Ok(texts)
}

/// Whether a file counts where sizes are added up: other names of one inode do not.
pub fn counts(file: &FileRecord) -> bool {
    file.hardlink.is_empty()
}
