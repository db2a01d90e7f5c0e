//! Where components come from: one file per source, this table in front of them.

/// The publisher's archive.
pub mod release;

/// What the publisher says about its archives.
mod published;

/// Which versions a publisher has.
mod index;

/// The publisher's Go module, built here.
pub mod go_module;

/// A local .deb.
pub mod file;

use std::path::{Path, PathBuf};

use anyhow::Result;
use computatom_spec::arch::Arch;

pub use self::index::Listed;
use super::recipe::Payload;
use crate::definition::image::{AptSource, Component, Source};
use crate::fetch::Fetcher;
use crate::resolve::lock::LockedComponent;
use crate::verify::openpgp::Keyring;

/// What sources work with.
#[derive(Clone, Copy, Debug)]
pub struct Workbench<'a> {
    /// Fetches, caches and talks.
    pub fetcher: &'a Fetcher,
    /// The top of the checkout.
    pub root: &'a Path,
    /// The architecture that is wanted.
    pub arch: Arch,
    /// Nothing may be pinned anew.
    pub locked: bool,
}

/// What came of trying a source. Wrong bytes are no attempt's result but an error: they end the build.
#[derive(Clone, Debug)]
pub enum Attempt {
    /// The files, and what they are in the sense of [`identity`].
    Payload {
        /// The files.
        payload: Payload,
        /// Their identity.
        identity: String,
    },
    /// A finished .deb on this machine.
    Deb(PathBuf),
    /// A package that the solver is to find.
    Debian(String),
    /// It would have it, but cannot be reached or lacks a tool now.
    Unreachable(String),
    /// It has nothing for this version and architecture.
    Absent(String),
}

/// Tries a source; what it pins goes into `pinned`.
pub fn give(
    bench: &Workbench<'_>,
    component: &Component,
    source: &Source,
    pinned: &mut LockedComponent,
) -> Result<Attempt> {
    match source {
        Source::Release { .. } => release::give(bench, component, source, pinned),
        Source::GoModule(module) => go_module::give(bench, component, module, pinned),
        // The solver finds, pins and verifies it with all the others.
        Source::Debian { package } => Ok(Attempt::Debian(package.clone())),
        Source::File { path, sha256, .. } => file::give(bench, component, path, sha256),
    }
}

/// What a source would give, named before it is fetched or built: equal identities give equal files. `None` where it
/// is not known yet.
pub fn identity(
    bench: &Workbench<'_>,
    component: &Component,
    source: &Source,
    pinned: &LockedComponent,
) -> Result<Option<String>> {
    match source {
        Source::Release { .. } => Ok(release::identity(bench, pinned)),
        Source::GoModule(module) => go_module::identity(bench, component, module, pinned),
        Source::Debian { .. } | Source::File { .. } => Ok(None),
    }
}

/// Whether a source's files are in the cache: then neither a host nor a compiler is asked.
pub fn ready(bench: &Workbench<'_>, component: &Component, source: &Source, pinned: &LockedComponent) -> Result<bool> {
    match source {
        Source::Release { .. } => release::ready(bench, pinned),
        Source::GoModule(module) => go_module::ready(bench, component, module, pinned),
        Source::Debian { .. } | Source::File { .. } => Ok(false),
    }
}

/// What a source compiles with on this machine, as the origin of its packages names it, or what is missing for that;
/// `None` where nothing is compiled.
pub fn toolchain(source: &Source, arch: Arch) -> Result<Option<Result<String, String>>> {
    match source {
        Source::GoModule(module) => go_module::toolchain(module, arch).map(Some),
        Source::Release { .. } | Source::Debian { .. } | Source::File { .. } => Ok(None),
    }
}

/// Pins what a source needs pinned and the definition does not say; what came of it where that is impossible now.
pub fn pin(
    bench: &Workbench<'_>,
    component: &Component,
    source: &Source,
    pinned: &mut LockedComponent,
) -> Result<Option<Attempt>> {
    match source {
        Source::GoModule(module) => go_module::pin(bench, component, module, pinned),
        Source::Release { .. } => release::pin(bench, component, source, pinned),
        Source::Debian { .. } | Source::File { .. } => Ok(None),
    }
}

/// Pins what a source needs pinned and an earlier run has found out, without asking anybody.
pub fn recall(
    bench: &Workbench<'_>,
    component: &Component,
    source: &Source,
    pinned: &mut LockedComponent,
) -> Result<()> {
    match source {
        Source::Release { .. } => release::recall(bench, component, source, pinned),
        Source::GoModule(_) | Source::Debian { .. } | Source::File { .. } => Ok(()),
    }
}

/// The versions that a source's publisher lists, newest first or last as it pleases; `None` where it has no list.
pub fn versions(bench: &Workbench<'_>, component: &Component, source: &Source) -> Result<Option<index::Listed>> {
    match source {
        Source::Release { url, sums, .. } => index::of_release(bench, component, url, sums.as_ref()),
        Source::GoModule(module) => index::of_module(bench, module).map(Some),
        Source::Debian { .. } | Source::File { .. } => Ok(None),
    }
}

/// How what a source gives is verified, for manifests.
pub fn verification(component: &Component, source: &Source) -> String {
    match source {
        Source::Release { sums: Some(list), .. } => {
            let name = list.url.rsplit('/').next().unwrap_or(&list.url);
            let name = name.replace("{version}", &component.version);
            match &list.key {
                Some(key) => format!("pinned SHA-256, equal to {name} signed by OpenPGP key {key}"),
                None => format!("pinned SHA-256 ({name} is not signed by the publisher)"),
            }
        }
        Source::Release { sums: None, .. } => "pinned SHA-256 (the publisher signs nothing)".to_owned(),
        Source::GoModule(_) => "h1 sums of the module and SHA-256 of its go.sum, both pinned".to_owned(),
        Source::File { sha256, .. } if sha256.is_empty() => "built by this checkout".to_owned(),
        Source::File { .. } => "pinned SHA-256".to_owned(),
        Source::Debian { .. } => DEBIAN.to_owned(),
    }
}

/// How packages of the archive are verified, for manifests.
pub const DEBIAN: &str = "SHA-256 pinned from Packages of a signed InRelease";

/// How packages of a repository with a key of its own are verified, for manifests.
pub fn of_vendor(source: &AptSource) -> String {
    let armored = source.signed_by.as_deref().unwrap_or_default();
    let keys = Keyring::read(armored.as_bytes()).map(|keyring| keyring.fingerprints());
    format!("{DEBIAN} of the key {}", keys.unwrap_or_default().join(", "))
}
