//! Stage 6: a folder of .debs becomes an apt repository (<https://wiki.debian.org/DebianRepository/Format>).
//!
//! ```text
//! consul_1.22.0-1_arm64.deb                   the packages, where people and scripts look for them
//! computatom.asc                              the public key (`Signed-By`)
//! computatom.sources                          for /etc/apt/sources.list.d of a machine that uses the folder
//! dists/computatom/InRelease                  signed; also Release with Release.gpg
//! dists/computatom/main/binary-arm64/         Packages, .gz, .xz and by-hash/SHA256/, for each architecture
//! ```
//! Everything but the signature follows from the packages alone, so nothing is written where nothing changed. Whoever
//! reads while it is written sees the old repository or the new one: what `InRelease` names lies under its digest before
//! `InRelease` appears, and what the `InRelease` before it named stays.
//!
//! Only these names are ever written, and only objects of `by-hash` are removed: whatever else lies in the folder is
//! somebody's.

/// The packages of a folder.
mod listing;

/// `Packages`, one for each architecture.
mod index;

/// `Release`.
mod release;

/// Who signs.
mod key;

/// How machines are pointed at it.
mod sources;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use computatom_spec::arch::Arch;

pub use self::key::SigningKey;
use self::listing::Listed;
use crate::fetch::Cache;
use crate::reporter::Reporter;
use crate::{atomic, bail_input, interrupt};

/// Suite and codename.
const SUITE: &str = "computatom";
/// The only component.
const COMPONENT: &str = "main";
/// The public key beside the packages.
const PUBLIC_KEY: &str = "computatom.asc";
/// The deb822 file beside the packages.
const SOURCES: &str = "computatom.sources";

/// How often a folder that another process updates is tried again.
const LOCK_INTERVAL: Duration = Duration::from_millis(100);

/// A repository that is up to date.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repository {
    /// How many packages it lists, all versions and architectures counted.
    pub packages: usize,
    /// The architectures of these.
    pub architectures: BTreeSet<String>,
    /// Whether anything had to be written.
    pub changed: bool,
}

/// Fails where `folder` holds a repository of somebody else's under our names; a folder that does not exist yet is well.
///
/// Asked before long work whose result goes there.
pub fn check(folder: &Path) -> Result<()> {
    let dists = folder.join("dists").join(SUITE);
    let read = |name: &str| fs::read_to_string(dists.join(name)).ok();
    let texts = [in_release(folder), read("Release")];
    let ours = match texts.iter().flatten().next() {
        Some(_) => texts.iter().flatten().all(|text| release::is_ours(text)),
        None => !dists.exists() || holds_nothing_else(&dists),
    };
    if !ours {
        bail_input!(
            "{} is not a repository that pkgbuilder made: it was left as it is; choose another folder by `--out DIR`",
            dists.display()
        );
    }
    Ok(())
}

/// What the repository's `InRelease` says, if there is one.
fn in_release(folder: &Path) -> Option<String> {
    let message = fs::read_to_string(folder.join("dists").join(SUITE).join("InRelease")).ok()?;
    // One that cannot be read is none of ours.
    Some(release::signed_text(&message).unwrap_or_default())
}

/// Whether a folder holds nothing but what a first run leaves that was interrupted before it wrote `Release`.
fn holds_nothing_else(dists: &Path) -> bool {
    let Ok(entries) = fs::read_dir(dists) else { return false };
    entries.flatten().all(|entry| {
        let name = entry.file_name();
        name == COMPONENT || name == "Release.gpg" || name.as_encoded_bytes().starts_with(b".")
    })
}

/// Makes the repository in `folder` list the packages that lie there, signed by `key`.
///
/// What was read of a package is kept in `cache`, so that only new ones are read again.
pub fn update(folder: &Path, key: &SigningKey, cache: &Cache, reporter: &Reporter) -> Result<Repository> {
    let _lock = lock(folder)?;
    check(folder)?;
    let found = listing::scan(folder, cache)?;
    if !found.foreign.is_empty() {
        reporter.step(format_args!(
            "left alone in {}, as no packages: {}",
            folder.display(),
            found.foreign.join(", ")
        ));
    }
    let files = contents(folder, key, &found.packages)?;
    let changed = write(folder, &files)?;
    if changed {
        prune(folder, &files)?;
    }
    Ok(Repository {
        packages: found.packages.len(),
        architectures: found.packages.into_iter().map(|listed| listed.architecture).collect(),
        changed,
    })
}

/// A repository's files by path below its folder, in the order they are to be written.
struct Files {
    ordered: Vec<(String, Vec<u8>)>,
    /// What `InRelease` said before.
    before: Option<String>,
}

/// All files of the repository, in memory.
fn contents(folder: &Path, key: &SigningKey, packages: &[Listed]) -> Result<Files> {
    let known = Arch::ALL.iter().map(|arch| arch.names().debian.to_owned());
    let found = packages.iter().map(|listed| listed.architecture.clone());
    let architectures: BTreeSet<String> = known.chain(found.filter(|name| name != "all")).collect();
    let mut objects = Vec::new();
    let mut named = Vec::new();
    let mut sums = BTreeMap::new();
    for architecture in &architectures {
        let below = format!("{COMPONENT}/binary-{architecture}");
        for (ending, content) in index::compressed(&index::text(packages, architecture))? {
            let sum = release::Sum::of(&content);
            let path = |name: &str| format!("dists/{SUITE}/{below}/{name}");
            objects.push((path(&format!("by-hash/SHA256/{}", sum.sha256)), content.clone()));
            named.push((path(&format!("Packages{ending}")), content));
            sums.insert(format!("{below}/Packages{ending}"), sum);
        }
    }
    let before = in_release(folder);
    let newest = packages.iter().map(|listed| listed.epoch).max().unwrap_or(0);
    let release = release::Release { architectures, sums };
    let (text, date) = release.render(newest, before.as_deref());
    let mut ordered = objects;
    ordered.append(&mut named);
    let public = key.public()?;
    ordered.push((SOURCES.to_owned(), sources::text(folder, &public)?.into_bytes()));
    ordered.push((PUBLIC_KEY.to_owned(), public.into_bytes()));
    let path = |name: &str| format!("dists/{SUITE}/{name}");
    ordered.push((path("Release.gpg"), key.detached(&text, date)?.into_bytes()));
    let signed = key.cleartext(&text, date)?;
    ordered.push((path("Release"), text.into_bytes()));
    // Last: it is what apt reads first, and where the next run reads what this one finished.
    ordered.push((path("InRelease"), signed.into_bytes()));
    Ok(Files { ordered, before })
}

/// Writes what differs; whether anything did.
fn write(folder: &Path, files: &Files) -> Result<bool> {
    let mut changed = false;
    for (path, content) in &files.ordered {
        interrupt::check()?;
        let path = folder.join(path);
        if fs::read(&path).is_ok_and(|found| found == *content) {
            continue;
        }
        atomic::write(&path, content)?;
        changed = true;
    }
    Ok(changed)
}

/// Removes the objects of `by-hash` that neither this `InRelease` nor the one before it names.
fn prune(folder: &Path, files: &Files) -> Result<()> {
    let mut kept: BTreeSet<&str> = files.before.as_deref().map(release::digests).unwrap_or_default();
    kept.extend(
        files
            .ordered
            .iter()
            .filter_map(|(path, _)| path.split_once("/by-hash/SHA256/").map(|(_, digest)| digest)),
    );
    let component = folder.join("dists").join(SUITE).join(COMPONENT);
    let reading = || format!("reading {}", component.display());
    for entry in fs::read_dir(&component).with_context(reading)? {
        let objects = entry.with_context(reading)?.path().join("by-hash/SHA256");
        // A folder that is none of ours has none.
        for entry in fs::read_dir(&objects).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let Some(name) = name.to_str() else { continue };
            if release::is_digest(name) && !kept.contains(name) {
                fs::remove_file(entry.path()).with_context(|| format!("removing {}", entry.path().display()))?;
            }
        }
    }
    Ok(())
}

/// Waits until no other process updates the folder, which is made if need be; held until dropped.
fn lock(folder: &Path) -> Result<File> {
    let locking = || format!("locking the folder {}", folder.display());
    fs::create_dir_all(folder).with_context(|| format!("creating folder {}", folder.display()))?;
    // The folder itself is locked: a file to lock would lie there for ever.
    let file = File::open(folder).with_context(locking)?;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(fs::TryLockError::WouldBlock) => {}
            Err(fs::TryLockError::Error(error)) => return Err(error).with_context(locking),
        }
        interrupt::check()?;
        std::thread::sleep(LOCK_INTERVAL);
    }
}

#[cfg(test)]
mod tests;
