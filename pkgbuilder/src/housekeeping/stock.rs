//! What lies in the cache, who needs it, and forgetting what nobody does.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, Metadata};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result};
use serde::Serialize;

use crate::fetch::Cache;
use crate::input_error;
use crate::interrupt;
use crate::resolve::Lock;

/// Folders of the cache that are not derived objects: `tools` belongs to the scripts, `locks` are empty files.
const APART: [&str; 4] = ["objects", "partial", "locks", "tools"];

/// One thing in the cache.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Item {
    /// `object` (a file as it was fetched or made), or the folder it lies in (`unpacked`, `built`, …).
    pub kind: String,
    /// Its name there, usually a digest.
    pub name: String,
    /// Size in bytes, with everything in it.
    pub size: u64,
    /// When it was last read or written, as far as the file system tells.
    #[serde(serialize_with = "seconds")]
    pub used: SystemTime,
    /// What it is, where a lock or a note in the cache says so.
    pub what: Option<String>,
    /// The locks of the checkout that need it.
    pub needed_by: Vec<String>,
    #[serde(skip)]
    path: PathBuf,
}

fn seconds<S: serde::Serializer>(time: &SystemTime, serializer: S) -> Result<S::Ok, S::Error> {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    serializer.serialize_u64(since.as_secs())
}

/// What the locks of a checkout say about things in the cache.
#[derive(Clone, Debug, Default)]
pub struct Needs {
    /// Digest, or `h1:` sum of a Go module, to what it is and the locks that name it.
    known: BTreeMap<String, (String, BTreeSet<String>)>,
}

impl Needs {
    /// Reads every lock in `images/` of the checkout `root`. One that cannot be read is an error, for nobody could tell
    /// what it needs.
    pub fn of_checkout(root: &Path) -> Result<Self> {
        let mut needs = Self::default();
        let images = root.join("images");
        for entry in fs::read_dir(&images).with_context(|| format!("reading {}", images.display()))? {
            let path = entry?.path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            if let Some(image) = name.strip_suffix(".lock.json")
                && let Some(lock) = Lock::load(&path, image)?
            {
                needs.add(image, &lock);
            }
        }
        Ok(needs)
    }

    fn add(&mut self, image: &str, lock: &Lock) {
        let mut note = |key: &str, what: String| {
            let (_, locks) = self.known.entry(key.to_owned()).or_insert((what, BTreeSet::new()));
            locks.insert(image.to_owned());
        };
        for deb in lock.debian.values().flatten() {
            note(
                &deb.sha256,
                format!("{} {} ({})", deb.name, deb.version, deb.architecture),
            );
        }
        for (name, component) in &lock.components {
            for (arch, release) in &component.release {
                note(
                    &release.sha256,
                    format!("{name} {} for {arch}, as released", component.version),
                );
            }
            if let Some(module) = &component.go_module {
                note(&module.sum, format!("{name} {}", component.version));
            }
        }
    }

    fn of(&self, key: &str) -> Option<(&str, Vec<String>)> {
        let (what, locks) = self.known.get(key)?;
        Some((what, locks.iter().cloned().collect()))
    }
}

/// Lists the cache, what was not used for the longest time first.
pub fn list(cache: &Cache, needs: &Needs) -> Result<Vec<Item>> {
    let mut items = Vec::new();
    let root = cache.root();
    for folder in folders(&root.join("objects/sha256"))? {
        items.extend(contents(&folder, "object")?);
    }
    items.extend(contents(&root.join("partial"), "partial")?);
    for folder in folders(root)? {
        let kind = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if !APART.contains(&kind.as_str()) {
            items.extend(contents(&folder, &kind)?);
        }
    }
    for item in &mut items {
        if let Some((what, locks)) = needs.of(&item.name) {
            item.what = Some(what.to_owned());
            item.needed_by = locks;
        }
    }
    follow_notes(&mut items, needs);
    items.sort_by(|a, b| (a.used, &a.kind, &a.name).cmp(&(b.used, &b.kind, &b.name)));
    Ok(items)
}

/// A note (`built/…`, `deb/…`: a digest, and what it was made from) speaks for the object that it points to; both are
/// needed while a lock pins the module they were made from.
fn follow_notes(items: &mut [Item], needs: &Needs) {
    let mut spoken: BTreeMap<String, (String, Vec<String>, SystemTime)> = BTreeMap::new();
    for item in items
        .iter_mut()
        .filter(|item| item.kind == "built" || item.kind == "deb")
    {
        let Ok(text) = fs::read_to_string(&item.path) else {
            continue;
        };
        let Some((digest, origin)) = text.split_once('\n') else {
            continue;
        };
        let sum = origin
            .split(|c: char| c.is_whitespace() || "(),".contains(c))
            .find_map(|word| Some(needs.of(word)?.1));
        let origin = format!("from {}", origin.trim_end());
        item.needed_by = sum.unwrap_or_default();
        item.what = Some(origin.clone());
        let said = spoken
            .entry(digest.to_owned())
            .or_insert((origin, item.needed_by.clone(), item.used));
        said.2 = said.2.max(item.used);
    }
    for item in items.iter_mut().filter(|item| item.kind == "object") {
        if let Some((what, locks, used)) = spoken.remove(&item.name) {
            item.what.get_or_insert(what);
            item.needed_by.extend(locks);
            item.needed_by.sort();
            item.needed_by.dedup();
            item.used = item.used.max(used);
        }
    }
}

fn folders(path: &Path) -> Result<Vec<PathBuf>> {
    let mut folders = Vec::new();
    for entry in fs::read_dir(path).with_context(|| format!("reading {}", path.display()))? {
        let path = entry?.path();
        if path.is_dir() {
            folders.push(path);
        }
    }
    Ok(folders)
}

fn contents(folder: &Path, kind: &str) -> Result<Vec<Item>> {
    let mut items = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| format!("reading {}", folder.display()))? {
        interrupt::check()?;
        let path = entry?.path();
        // Another process may have taken it away meanwhile.
        let Ok(metadata) = fs::symlink_metadata(&path) else {
            continue;
        };
        let (size, used) = measure(&path, &metadata);
        items.push(Item {
            kind: kind.to_owned(),
            name: path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
            size,
            used,
            what: None,
            needed_by: Vec::new(),
            path,
        });
    }
    Ok(items)
}

/// Size of a file or of everything in a folder, and its latest use.
fn measure(path: &Path, metadata: &Metadata) -> (u64, SystemTime) {
    let time = |time: std::io::Result<SystemTime>| time.unwrap_or(SystemTime::UNIX_EPOCH);
    let own = time(metadata.modified()).max(time(metadata.accessed()));
    if !metadata.is_dir() {
        return (metadata.len(), own);
    }
    // Reading a folder, as this does, is a use of the folder itself: only its files tell.
    let mut total = (0, time(metadata.modified()));
    for entry in fs::read_dir(path).into_iter().flatten().flatten() {
        if let Ok(metadata) = entry.metadata() {
            let (size, used) = measure(&entry.path(), &metadata);
            total = (total.0 + size, total.1.max(used));
        }
    }
    total
}

/// What is to be forgotten.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// What was not used for longer than this.
    pub older_than: Option<Duration>,
    /// What was used least recently, until no more bytes than this are left.
    pub keep_size: Option<u64>,
}

/// Chooses what to forget among `items` (as [`list`] sorts them). What a lock needs stays, whatever the limits.
pub fn choose(items: &[Item], limits: Limits, now: SystemTime) -> Vec<&Item> {
    let mut left: u64 = items.iter().map(|item| item.size).sum();
    let mut chosen = Vec::new();
    for item in items.iter().filter(|item| item.needed_by.is_empty()) {
        let age = now.duration_since(item.used).unwrap_or_default();
        let old = limits.older_than.is_some_and(|limit| age > limit);
        let over = limits.keep_size.is_some_and(|limit| left > limit);
        if old || over {
            left -= item.size;
            chosen.push(item);
        }
    }
    chosen
}

/// Forgets an item. The cache must be held alone ([`Cache::alone`]).
pub fn forget(item: &Item) -> Result<()> {
    interrupt::check()?;
    let done = if item.path.is_dir() {
        fs::remove_dir_all(&item.path)
    } else {
        fs::remove_file(&item.path)
    };
    match done {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        done => done.with_context(|| format!("removing {}", item.path.display())),
    }
}

/// The checkout whose locks are to be kept.
pub fn checkout(folder: &Path) -> Result<PathBuf> {
    crate::definition::root_of(folder).map_err(|_| {
        input_error!(
            "run this in the checkout whose locks are to be kept: outside of one nobody can tell what is needed, and \
             everything would go"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resolve::lock::{LockedComponent, LockedDeb};
    use crate::verify::Sha256;

    struct World {
        _folder: tempfile::TempDir,
        cache: Cache,
        needs: Needs,
    }

    /// A cache with a locked .deb, a forgotten one, and an object with the note that made it.
    fn world() -> World {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        let cache = Cache::at(&root.join("cache")).unwrap();
        for text in ["locked", "forgotten"] {
            let (sha256, _) = cache.put(text.as_bytes()).unwrap();
            let unpacked = cache.derived("unpacked", &sha256.hex()).unwrap();
            fs::create_dir(&unpacked).unwrap();
            fs::write(unpacked.join("file"), [0; 100]).unwrap();
        }
        let (built, _) = cache.put(b"built").unwrap();
        let note = format!("{built}\nexample.com/m v1.0.0 (h1:abc=), built with go1\n");
        fs::write(cache.derived("built", "key").unwrap(), note).unwrap();
        fs::create_dir(root.join("images")).unwrap();
        let mut lock = Lock::new("home");
        lock.debian.insert(
            "target".to_owned(),
            vec![LockedDeb {
                name: "app".to_owned(),
                version: "1.0-1".to_owned(),
                architecture: "arm64".to_owned(),
                source: None,
                suite: "trixie".to_owned(),
                filename: "pool/app.deb".to_owned(),
                size: 6,
                sha256: Sha256::of(b"locked").hex(),
            }],
        );
        let component: LockedComponent = serde_json::from_value(serde_json::json!({
            "version": "1.0.0",
            "go_module": {
                "module": "example.com/m", "version": "v1.0.0", "time": 0, "sum": "h1:abc=", "go_mod_sum": "h1:x=",
                "go_sum_sha256": "", "replace": {},
            },
        }))
        .unwrap();
        lock.components.insert("m".to_owned(), component);
        lock.save(&root.join("images/home.lock.json")).unwrap();
        let needs = Needs::of_checkout(root).unwrap();
        World {
            _folder: folder,
            cache,
            needs,
        }
    }

    fn names(items: &[&Item]) -> Vec<(String, u64)> {
        let mut names: Vec<_> = items.iter().map(|item| (item.kind.clone(), item.size)).collect();
        names.sort();
        names
    }

    #[test]
    fn what_a_lock_needs_is_known_and_kept() {
        let world = world();
        let items = list(&world.cache, &world.needs).unwrap();
        assert_eq!(items.len(), 6);
        let kept: Vec<&Item> = items.iter().filter(|item| !item.needed_by.is_empty()).collect();
        assert_eq!(kept.len(), 4, "{items:?}");
        assert!(
            kept.iter()
                .any(|item| item.what.as_deref() == Some("app 1.0-1 (arm64)"))
        );
        let late = SystemTime::now() + Duration::from_hours(48);
        let limits = Limits {
            older_than: Some(Duration::from_hours(24)),
            keep_size: None,
        };
        let chosen = choose(&items, limits, late);
        assert_eq!(names(&chosen), [("object".to_owned(), 9), ("unpacked".to_owned(), 100)]);
        for item in chosen {
            forget(item).unwrap();
            forget(item).unwrap();
        }
        assert_eq!(list(&world.cache, &world.needs).unwrap().len(), 4);
        assert!(world.cache.verified(&Sha256::of(b"locked")).unwrap().is_some());
        assert!(
            choose(&items, limits, SystemTime::now()).is_empty(),
            "nothing is old now"
        );
    }

    #[test]
    fn a_size_is_reached_with_what_was_used_least_recently() {
        let world = world();
        let mut items = list(&world.cache, &world.needs).unwrap();
        let total: u64 = items.iter().map(|item| item.size).sum();
        items.sort_by_key(|item| item.kind != "unpacked");
        let limits = |keep| Limits {
            older_than: None,
            keep_size: Some(keep),
        };
        assert!(choose(&items, limits(total), SystemTime::now()).is_empty());
        assert_eq!(
            names(&choose(&items, limits(total - 1), SystemTime::now())),
            [("unpacked".to_owned(), 100)]
        );
        assert_eq!(
            choose(&items, limits(0), SystemTime::now()).len(),
            2,
            "what is needed stays"
        );
    }

    #[test]
    fn a_damaged_lock_stops_everything() {
        let world = world();
        let root = world.cache.root().parent().unwrap().to_owned();
        fs::write(root.join("images/other.lock.json"), "{").unwrap();
        assert!(Needs::of_checkout(&root).is_err());
    }
}
