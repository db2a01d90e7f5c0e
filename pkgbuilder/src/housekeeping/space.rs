//! Whether there is room before work starts: better one sentence now than a full disk in an hour.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::quantity;
use crate::definition::image::Target;
use crate::fetch::Cache;
use crate::resolve::Lock;
use crate::verify::Sha256;

/// Unpacked, Debian packages are this many times as big (165 packages of `home`: 3.7).
const UNPACKED: u64 = 4;

/// The finished image and its compressed blocks in the cache, in percent of the packages (`home`, zstd 9: 142).
const COMPRESSED_PERCENT: u64 = 160;

/// A package of ours and what it unpacks to, for the lock does not know their sizes (Consul for arm64: 24 and 127 MB).
const COMPONENT: u64 = 30 << 20;

/// Room that some work wants in a folder, which need not exist yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Demand {
    /// Where.
    pub folder: PathBuf,
    /// How many bytes, at most.
    pub bytes: u64,
    /// What for.
    pub what: String,
}

impl Demand {
    /// A demand of `bytes` in `folder` for `what`.
    pub fn new(folder: &Path, bytes: u64, what: &str) -> Self {
        Self {
            folder: folder.to_owned(),
            bytes,
            what: what.to_owned(),
        }
    }
}

/// What building an image of `target` wants, as far as the lock tells: what is not yet in the cache, and the result.
pub fn of_image(lock: &Lock, target: &Target, cache: &Cache, out: &Path) -> Vec<Demand> {
    let debs = lock.debian.get(&target.name).map(Vec::as_slice).unwrap_or_default();
    let components = COMPONENT * lock.components.len() as u64;
    let mut fetched = 0;
    let mut unpacked = 0;
    for deb in debs {
        let here = deb
            .sha256
            .parse::<Sha256>()
            .is_ok_and(|sha256| cache.get(&sha256).is_some());
        if !here {
            fetched += deb.size;
        }
        if !cache.root().join("unpacked").join(&deb.sha256).exists() {
            unpacked += deb.size * UNPACKED;
        }
    }
    let image = (debs.iter().map(|deb| deb.size).sum::<u64>() + components) * COMPRESSED_PERCENT / 100;
    let blocks = if unpacked == 0 { 0 } else { image };
    vec![
        Demand::new(cache.root(), fetched, "packages to fetch"),
        Demand::new(cache.root(), unpacked + blocks, "their unpacked content"),
        Demand::new(out, image + components, "the image and its packages"),
    ]
}

/// Fails unless every file system has room for all that is wanted on it.
pub fn check(demands: &[Demand]) -> Result<()> {
    let mut systems: BTreeMap<u64, Vec<(&Demand, PathBuf)>> = BTreeMap::new();
    for demand in demands.iter().filter(|demand| demand.bytes > 0) {
        let existing = existing(&demand.folder)?;
        let device = fs::metadata(&existing)
            .with_context(|| format!("looking at {}", existing.display()))?
            .dev();
        systems.entry(device).or_default().push((demand, existing));
    }
    for wanted in systems.values() {
        let place = &wanted[0].1;
        let free = free(place)?;
        let total: u64 = wanted.iter().map(|(demand, _)| demand.bytes).sum();
        if total > free {
            let parts: Vec<String> = wanted
                .iter()
                .map(|(demand, _)| {
                    let size = quantity::bytes(demand.bytes);
                    format!("{size} for {} in {}", demand.what, demand.folder.display())
                })
                .collect();
            bail!(
                "not enough room: {} are free on the file system of {}, but up to {} are needed ({}); free some, as by \
                 `pkgbuilder cache prune`, or use another disk (--out DIR for results, XDG_CACHE_HOME for the cache)",
                quantity::bytes(free),
                place.display(),
                quantity::bytes(total),
                parts.join(", ")
            );
        }
    }
    Ok(())
}

/// Bytes that an unprivileged user may still write in `folder`, or where it would be made.
pub fn free(folder: &Path) -> Result<u64> {
    let place = existing(folder)?;
    let system = rustix::fs::statvfs(&place).with_context(|| format!("asking for the room in {}", place.display()))?;
    Ok(system.f_bavail.saturating_mul(system.f_frsize))
}

/// The folder itself, or the nearest one above it that exists.
fn existing(folder: &Path) -> Result<PathBuf> {
    let absolute = std::path::absolute(folder).with_context(|| format!("finding {}", folder.display()))?;
    let found = absolute.ancestors().find(|folder| folder.exists()).map(Path::to_owned);
    found.with_context(|| format!("finding a folder above {}", folder.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn demands_on_one_file_system_add_up() {
        let folder = tempfile::tempdir().unwrap();
        let free = free(&folder.path().join("not/yet/there")).unwrap();
        assert!(free > 0);
        let demand = |name: &str, bytes| Demand::new(&folder.path().join(name), bytes, name);
        // Others write to this disk as well: a margin.
        check(&[demand("a", free / 4), demand("b", free / 4), demand("c", 0)]).unwrap();
        let error = check(&[demand("a", free / 4 * 3), demand("b", free / 4 * 3)]).unwrap_err();
        assert_eq!(crate::failure::exit_code(&error), 1);
        let text = error.to_string();
        assert!(text.starts_with("not enough room: ") && text.contains(" for a in ") && text.contains(" for b in "));
    }

    #[test]
    fn an_image_wants_what_the_cache_lacks() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::at(folder.path()).unwrap();
        let (sha256, _) = cache.put(b"here").unwrap();
        let target = Target {
            name: "t".to_owned(),
            arch: computatom_spec::arch::Arch::Arm64,
            packages: Vec::new(),
            formats: Vec::new(),
        };
        let deb = |name: &str, sha256: String, size| crate::resolve::lock::LockedDeb {
            name: name.to_owned(),
            version: "1".to_owned(),
            architecture: "arm64".to_owned(),
            source: None,
            suite: "trixie".to_owned(),
            filename: String::new(),
            size,
            sha256,
        };
        let mut lock = Lock::new("home");
        let debs = vec![deb("here", sha256.hex(), 100), deb("away", "0".repeat(64), 1000)];
        lock.debian.insert("t".to_owned(), debs);
        fs::create_dir(folder.path().join("unpacked")).unwrap();
        fs::write(folder.path().join("unpacked").join(sha256.hex()), "").unwrap();
        let bytes: Vec<u64> = of_image(&lock, &target, &cache, Path::new("out"))
            .iter()
            .map(|demand| demand.bytes)
            .collect();
        assert_eq!(bytes, [1000, 4000 + 1760, 1760]);
        assert!(
            of_image(&Lock::new("new"), &target, &cache, Path::new("out"))
                .iter()
                .all(|demand| demand.bytes == 0)
        );
    }
}
