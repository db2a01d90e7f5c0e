//! The folder of finished configuration packages: their maker's alone.

use std::fs::{self, DirBuilder, Permissions};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use zeroize::Zeroizing;

use super::revisions::Revisions;
use super::{Member, Settings};
use crate::atomic::Pending;
use crate::verify::Sha256;
use crate::{bail_input, interrupt};

/// Name of the folder beside `packages`, which others may be served from.
pub const FOLDER: &str = "packages-private";

/// A finished package.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Written {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Where it lies.
    pub path: PathBuf,
}

/// Writes the packages of `members` to `out`/[`FOLDER`]; what they were last is kept in the folder `record`.
///
/// A package that says the same as the last one keeps its version and its bytes, wherever it is written; else it gets the
/// next revision, so that apt sees an upgrade. Older ones that lie there are removed.
pub fn write(members: &[&Member], settings: &Settings, out: &Path, record: &Path) -> Result<Vec<Written>> {
    for member in members {
        let missing = member.missing(settings);
        if !missing.is_empty() {
            bail_input!("{} needs {}; give it by `-config`", member.name, missing.join(" and "));
        }
    }
    let folder = out.join(FOLDER);
    make_private(&folder)?;
    let mut revisions = Revisions::open(record)?;
    members
        .iter()
        .map(|member| write_one(member, settings, &folder, &mut revisions))
        .collect()
}

fn make_private(folder: &Path) -> Result<()> {
    let doing = || format!("creating {}, which only its owner may read", folder.display());
    let mut builder = DirBuilder::new();
    if let Some(parent) = folder.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        fs::create_dir_all(parent).with_context(doing)?;
    }
    match builder.mode(0o700).create(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
        done => done.with_context(doing)?,
    }
    fs::set_permissions(folder, Permissions::from_mode(0o700)).with_context(doing)
}

fn write_one(member: &Member, settings: &Settings, folder: &Path, revisions: &mut Revisions) -> Result<Written> {
    interrupt::check()?;
    let present = present(member.name, folder)?;
    let (revision, written, bytes) = current(member, settings, folder, &present, revisions)?;
    // First of all: a version that was once written is never given to something else.
    revisions.keep(member.name, revision, &Sha256::of(&bytes))?;
    let writing = || format!("writing {}", written.path.display());
    if fs::read(&written.path).is_ok_and(|present| present == *bytes) {
        fs::set_permissions(&written.path, Permissions::from_mode(0o600)).with_context(writing)?;
    } else {
        let mut pending = Pending::create(&written.path)?;
        std::io::Write::write_all(pending.file(), &bytes).with_context(writing)?;
        pending.commit_with_mode(0o600)?;
    }
    for older in present.into_iter().filter(|older| *older != revision) {
        let path = folder.join(file_name(member.name, older));
        fs::remove_file(&path).with_context(|| format!("removing {}", path.display()))?;
    }
    Ok(written)
}

/// The package in the last revision if that said the same, else in the next one.
///
/// What lies in the folder counts where it is newer than what was kept: it may be from elsewhere.
fn current(
    member: &Member,
    settings: &Settings,
    folder: &Path,
    present: &[u32],
    revisions: &Revisions,
) -> Result<(u32, Written, Zeroizing<Vec<u8>>)> {
    let last = revisions.last(member.name);
    let newest = present.last().copied().max(last.map(|last| last.revision));
    if let Some(revision) = newest {
        let (written, bytes) = render(member, settings, folder, revision)?;
        let same = match last.filter(|last| last.revision == revision) {
            Some(last) => last.sha256 == Sha256::of(&bytes).to_string(),
            None => fs::read(&written.path).is_ok_and(|present| present == *bytes),
        };
        if same {
            return Ok((revision, written, bytes));
        }
    }
    let revision = newest
        .unwrap_or(0)
        .checked_add(1)
        .context("counting revisions: there are too many")?;
    let (written, bytes) = render(member, settings, folder, revision)?;
    Ok((revision, written, bytes))
}

fn render(member: &Member, settings: &Settings, folder: &Path, revision: u32) -> Result<(Written, Zeroizing<Vec<u8>>)> {
    let package = member.package(settings, revision)?;
    let mut bytes = Zeroizing::new(Vec::new());
    package
        .write(&mut *bytes)
        .with_context(|| format!("packing {}", member.name))?;
    let written = Written {
        name: member.name.to_owned(),
        version: package.control.version.clone(),
        path: folder.join(file_name(member.name, revision)),
    };
    Ok((written, bytes))
}

fn file_name(name: &str, revision: u32) -> String {
    format!("{name}_{}-{revision}_all.deb", env!("CARGO_PKG_VERSION"))
}

/// The revisions of a package that lie in `folder`, smallest first.
fn present(name: &str, folder: &Path) -> Result<Vec<u32>> {
    let prefix = format!("{name}_{}-", env!("CARGO_PKG_VERSION"));
    let mut revisions = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| format!("reading {}", folder.display()))? {
        let file = entry
            .with_context(|| format!("reading {}", folder.display()))?
            .file_name();
        let revision: Option<u32> = file
            .to_str()
            .and_then(|file| file.strip_prefix(&prefix)?.strip_suffix("_all.deb")?.parse().ok());
        revisions.extend(revision);
    }
    revisions.sort_unstable();
    Ok(revisions)
}
