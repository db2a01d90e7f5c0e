//! The content-addressed cache: `$XDG_CACHE_HOME/computatom`, else `~/.cache/computatom`.
//!
//! ```text
//! objects/sha256/ab/ab12…   whole files, named by their digest
//! partial/                  downloads that were cut, each under the digest it should have
//! <kind>/<digest>           what was derived from objects (`built`, `unpacked`, `composed`, `squashfs`, `frames`, `index`)
//! locks/                    empty files that processes lock
//! ```
//! Objects appear by a rename, so any number of processes may share one cache.

use std::fs::{self, File, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, bail};
use tempfile::NamedTempFile;

use crate::reporter::Reporter;
use crate::verify::digest::{Hasher, Sha256};
use crate::{interrupt, xdg};

/// Age at which an unfinished download is thrown away.
const STALE: Duration = Duration::from_hours(7 * 24);
/// How often a lock that another process holds is tried again.
const LOCK_INTERVAL: Duration = Duration::from_millis(100);

/// The file that everyone who uses the cache holds a lock on.
const IN_USE: &str = "locks/in-use";

/// A content-addressed store of files on disk.
#[derive(Clone, Debug)]
pub struct Cache {
    root: PathBuf,
    /// Shared by all who use the cache, held alone by who removes things from it ([`Cache::alone`]).
    _in_use: Arc<File>,
}

impl Cache {
    /// The cache of the person who runs this.
    pub fn open() -> Result<Self> {
        Self::at(&Self::place()?)
    }

    fn place() -> Result<PathBuf> {
        xdg::cache().context("finding the cache")
    }

    /// The cache of the person who runs this, with nobody else at work in it, to remove things from it. Waits for those
    /// who are, and says so.
    pub fn alone(reporter: &Reporter) -> Result<Self> {
        let root = Self::place()?;
        Self::make(&root)?;
        let path = root.join(IN_USE);
        let file = in_use(&path)?;
        let mut said = false;
        loop {
            match file.try_lock() {
                Ok(()) => break,
                Err(fs::TryLockError::WouldBlock) if !said => {
                    reporter.step("another pkgbuilder is at work with the cache; waiting for it");
                    said = true;
                }
                Err(fs::TryLockError::WouldBlock) => {}
                Err(fs::TryLockError::Error(error)) => {
                    return Err(error).with_context(|| format!("locking {}", path.display()));
                }
            }
            interrupt::check()?;
            std::thread::sleep(LOCK_INTERVAL);
        }
        Ok(Self {
            root,
            _in_use: Arc::new(file),
        })
    }

    /// A cache in the folder `root`, which is made if need be.
    pub fn at(root: &Path) -> Result<Self> {
        Self::make(root)?;
        let path = root.join(IN_USE);
        let file = in_use(&path)?;
        loop {
            match file.try_lock_shared() {
                Ok(()) => break,
                Err(fs::TryLockError::WouldBlock) => {}
                Err(fs::TryLockError::Error(error)) => {
                    return Err(error).with_context(|| format!("locking {}", path.display()));
                }
            }
            // Somebody tidies up.
            interrupt::check()?;
            std::thread::sleep(LOCK_INTERVAL);
        }
        Ok(Self {
            root: root.to_owned(),
            _in_use: Arc::new(file),
        })
    }

    fn make(root: &Path) -> Result<()> {
        for folder in ["objects/sha256", "partial", "locks"] {
            let path = root.join(folder);
            fs::create_dir_all(&path)
                .with_context(|| format!("creating the cache {} (XDG_CACHE_HOME moves it)", path.display()))?;
        }
        Ok(())
    }

    /// Where it lies.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Where the object with this digest lies, or would lie.
    pub fn object(&self, sha256: &Sha256) -> PathBuf {
        let name = sha256.hex();
        self.root.join("objects/sha256").join(&name[..2]).join(name)
    }

    /// What is being done, for the context of an error: the disk of the cache may be full.
    pub fn writing(&self, what: &str) -> String {
        format!(
            "writing {what} to the cache {} (XDG_CACHE_HOME moves it)",
            self.root.display()
        )
    }

    /// The object with this digest, if it is here; its bytes are not looked at (see [`Cache::verified`]).
    pub fn get(&self, sha256: &Sha256) -> Option<PathBuf> {
        let path = self.object(sha256);
        path.is_file().then_some(path)
    }

    /// The object with this digest and size; one of another size is damaged and removed.
    pub fn get_sized(&self, sha256: &Sha256, size: u64) -> Option<PathBuf> {
        let path = self.get(sha256)?;
        if fs::metadata(&path).is_ok_and(|metadata| metadata.len() == size) {
            return Some(path);
        }
        self.remove(sha256);
        None
    }

    /// The object with this digest after reading all of it; a damaged one is removed.
    pub fn verified(&self, sha256: &Sha256) -> Result<Option<PathBuf>> {
        let Some(path) = self.get(sha256) else {
            return Ok(None);
        };
        if Sha256::of_file(&path)? == *sha256 {
            return Ok(Some(path));
        }
        self.remove(sha256);
        Ok(None)
    }

    /// Forgets an object.
    pub fn remove(&self, sha256: &Sha256) {
        // Another process may have been faster; an object that cannot be removed is found damaged again.
        let _ = fs::remove_file(self.object(sha256));
    }

    /// Stores bytes.
    pub fn put(&self, content: &[u8]) -> Result<(Sha256, PathBuf)> {
        let mut incoming = self.incoming()?;
        incoming.write_all(content).with_context(|| self.writing("an object"))?;
        incoming.commit()
    }

    /// Begins an object whose digest is not known yet.
    pub fn incoming(&self) -> Result<Incoming<'_>> {
        let folder = self.root.join("partial");
        let file = tempfile::Builder::new()
            .prefix(".incoming-")
            .tempfile_in(&folder)
            .with_context(|| format!("creating a file in {}", folder.display()))?;
        Ok(Incoming {
            cache: self,
            file,
            hasher: Hasher::default(),
        })
    }

    /// Makes a finished, closed file of this file system the object `sha256`, which its bytes must have.
    pub(super) fn adopt(&self, file: &File, path: &Path, sha256: &Sha256) -> Result<PathBuf> {
        let object = self.object(sha256);
        let name = || format!("storing {} in the cache", object.display());
        if let Some(folder) = object.parent() {
            fs::create_dir_all(folder).with_context(name)?;
        }
        // A temporary file is its maker's alone; an object is for whoever may read the cache.
        file.set_permissions(Permissions::from_mode(0o644)).with_context(name)?;
        file.sync_all().with_context(name)?;
        fs::rename(path, &object).with_context(name)?;
        Ok(object)
    }

    /// Where the download of an object waits until it is whole.
    pub(super) fn partial(&self, sha256: &Sha256) -> PathBuf {
        self.root.join("partial").join(sha256.hex())
    }

    /// Where something made from inputs with the joint digest `digest` is kept, per `kind` (`built`).
    ///
    /// Nothing is created but the folder of the kind.
    pub fn derived(&self, kind: &str, digest: &str) -> Result<PathBuf> {
        let folder = self.root.join(kind);
        fs::create_dir_all(&folder).with_context(|| format!("creating {}", folder.display()))?;
        Ok(folder.join(digest))
    }

    /// Removes what was derived of a kind, but for the `most` files that were written or touched last.
    pub fn keep_newest(&self, kind: &str, most: usize) -> Result<()> {
        let folder = self.root.join(kind);
        let entries = match fs::read_dir(&folder) {
            // Nothing of that kind was ever kept.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            entries => entries.with_context(|| format!("reading {}", folder.display()))?,
        };
        let mut found = Vec::new();
        for entry in entries {
            let entry = entry.with_context(|| format!("reading {}", folder.display()))?;
            // What another build is removing too, or has begun, is none of these.
            if let Ok(used) = entry.metadata().and_then(|about| about.modified())
                && !entry.file_name().as_encoded_bytes().starts_with(b".")
            {
                found.push((used, entry.path()));
            }
        }
        found.sort();
        for (_, path) in found.iter().rev().skip(most) {
            let _ = fs::remove_file(path);
        }
        Ok(())
    }

    /// Says that a derived file was used, for those that are kept by use; that this is known is all that can get lost.
    pub fn touch(path: &Path) {
        let _ = File::open(path).and_then(|file| file.set_modified(SystemTime::now()));
    }

    /// Waits for the lock `name`, held by one process (and one holder in it) at a time, until it is dropped.
    pub fn lock(&self, name: &str) -> Result<File> {
        let path = self.root.join("locks").join(name);
        loop {
            if let Some(file) = try_lock(&path)? {
                return Ok(file);
            }
            interrupt::check()?;
            std::thread::sleep(LOCK_INTERVAL);
        }
    }

    /// Removes downloads that nobody went on with for a week, and what killed processes had begun to derive.
    pub fn sweep(&self) -> Result<()> {
        for entry in fs::read_dir(&self.root).with_context(|| format!("reading {}", self.root.display()))? {
            crate::atomic::sweep(&entry?.path());
        }
        let folder = self.root.join("partial");
        let now = SystemTime::now();
        for entry in fs::read_dir(&folder).with_context(|| format!("reading {}", folder.display()))? {
            let entry = entry?;
            let age = entry
                .metadata()
                .and_then(|metadata| metadata.modified())
                .ok()
                .and_then(|modified| now.duration_since(modified).ok());
            if age.is_some_and(|age| age > STALE) {
                let _ = fs::remove_file(entry.path());
            }
        }
        Ok(())
    }
}

fn in_use(path: &Path) -> Result<File> {
    File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)
        .with_context(|| format!("opening {}", path.display()))
}

/// Locks the file at `path`, creating it; `None` while another holder has it.
///
/// The holder may rename or remove the file, so a lock counts only if `path` still leads to what was locked.
pub(super) fn try_lock(path: &Path) -> Result<Option<File>> {
    let name = || format!("locking {}", path.display());
    let file = File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)
        .with_context(name)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(fs::TryLockError::WouldBlock) => return Ok(None),
        Err(fs::TryLockError::Error(error)) => return Err(error).with_context(name),
    }
    let held = file.metadata().with_context(name)?;
    let same = fs::metadata(path).is_ok_and(|found| (found.dev(), found.ino()) == (held.dev(), held.ino()));
    Ok(same.then_some(file))
}

/// An object under construction; dropped without [`Incoming::commit`], it leaves nothing behind.
#[derive(Debug)]
pub struct Incoming<'a> {
    cache: &'a Cache,
    file: NamedTempFile,
    hasher: Hasher,
}

impl Write for Incoming<'_> {
    fn write(&mut self, chunk: &[u8]) -> io::Result<usize> {
        let written = self.file.write(chunk)?;
        self.hasher.update(&chunk[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Incoming<'_> {
    /// Stores what was written under its digest.
    pub fn commit(self) -> Result<(Sha256, PathBuf)> {
        let sha256 = self.hasher.finish();
        let path = self.file.into_temp_path();
        let file = File::open(&path).with_context(|| format!("reading {}", path.display()))?;
        let object = self.cache.adopt(&file, &path, &sha256)?;
        // The name is gone by the rename: nothing to clean up.
        let _ = path.keep();
        Ok((sha256, object))
    }

    /// Stores what was written if its digest is the expected one.
    pub fn commit_as(self, expected: &Sha256) -> Result<PathBuf> {
        let found = self.hasher.clone().finish();
        if found != *expected {
            bail!("storing {expected} in the cache: the bytes have the digest {found}");
        }
        Ok(self.commit()?.1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cache() -> (tempfile::TempDir, Cache) {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::at(folder.path()).unwrap();
        (folder, cache)
    }

    fn left_in_partial(cache: &Cache) -> usize {
        fs::read_dir(cache.root().join("partial")).unwrap().count()
    }

    #[test]
    fn an_object_lies_under_its_digest() {
        let (_folder, cache) = cache();
        let (sha256, path) = cache.put(b"abc").unwrap();
        assert!(path.ends_with(format!("objects/sha256/ba/{sha256}")));
        assert_eq!(cache.get(&sha256), Some(path));
        assert_eq!(left_in_partial(&cache), 0);
    }

    #[test]
    fn a_damaged_object_is_removed_when_it_is_noticed() {
        let (_folder, cache) = cache();
        let (sha256, path) = cache.put(b"abc").unwrap();
        fs::write(&path, b"abX").unwrap();
        assert!(cache.get_sized(&sha256, 3).is_some(), "the size alone does not tell");
        assert_eq!(cache.verified(&sha256).unwrap(), None);
        assert!(!path.exists());

        let (sha256, path) = cache.put(b"abc").unwrap();
        fs::write(&path, b"ab").unwrap();
        assert_eq!(cache.get_sized(&sha256, 3), None);
        assert!(!path.exists());
    }

    #[test]
    fn a_wrong_digest_stores_nothing() {
        let (_folder, cache) = cache();
        let expected = Sha256::of(b"abc");
        let mut incoming = cache.incoming().unwrap();
        incoming.write_all(b"abd").unwrap();
        assert!(incoming.commit_as(&expected).is_err());
        assert_eq!(cache.get(&expected), None);
        assert_eq!(left_in_partial(&cache), 0);
    }

    #[test]
    fn a_lock_is_held_once() {
        let (_folder, cache) = cache();
        let held = cache.lock("x").unwrap();
        let path = cache.root().join("locks/x");
        assert!(try_lock(&path).unwrap().is_none());
        drop(held);
        assert!(try_lock(&path).unwrap().is_some());
    }

    #[test]
    fn who_uses_the_cache_does_not_lose_it() {
        let (_folder, cache) = cache();
        let other = Cache::at(cache.root()).unwrap();
        let tidy = in_use(&cache.root().join(IN_USE)).unwrap();
        assert!(tidy.try_lock().is_err());
        drop(other);
        assert!(tidy.try_lock().is_err());
        drop(cache);
        tidy.try_lock().unwrap();
    }

    #[test]
    fn the_newest_of_a_kind_are_kept_and_of_none_nothing() {
        let (_folder, cache) = cache();
        cache.keep_newest("kind", 1).unwrap();
        let now = SystemTime::now();
        for (name, age) in [("used", 1), ("old", 3), ("older", 4)] {
            let file = File::create(cache.derived("kind", name).unwrap()).unwrap();
            file.set_modified(now - Duration::from_hours(age)).unwrap();
        }
        Cache::touch(&cache.derived("kind", "older").unwrap());
        cache.keep_newest("kind", 2).unwrap();
        let left = ["used", "old", "older"].map(|name| cache.derived("kind", name).unwrap().exists());
        assert_eq!(left, [true, false, true]);
    }

    #[test]
    fn only_old_partials_are_swept() {
        let (_folder, cache) = cache();
        let old = cache.partial(&Sha256::of(b"old"));
        let new = cache.partial(&Sha256::of(b"new"));
        for path in [&old, &new] {
            fs::write(path, b"x").unwrap();
        }
        let file = File::options().write(true).open(&old).unwrap();
        file.set_modified(SystemTime::now() - 2 * STALE).unwrap();
        cache.sweep().unwrap();
        assert!(!old.exists());
        assert!(new.exists());
    }
}
