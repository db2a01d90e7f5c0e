//! Files that appear whole or not at all: written beside their final name, synced, renamed.

use std::fs::{File, TryLockError};
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use tempfile::NamedTempFile;

/// How the names of unfinished files begin.
const PREFIX: &str = ".computatom-";

/// A file under construction; dropped without [`Pending::commit`], it leaves nothing behind.
#[derive(Debug)]
pub struct Pending {
    file: NamedTempFile,
    path: PathBuf,
}

impl Pending {
    /// Begins `path`, whose folder is created if need be.
    pub fn create(path: &Path) -> Result<Self> {
        let folder = path
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty())
            .unwrap_or(Path::new("."));
        std::fs::create_dir_all(folder).with_context(|| format!("creating folder {}", folder.display()))?;
        loop {
            let file = tempfile::Builder::new()
                .prefix(PREFIX)
                .tempfile_in(folder)
                .with_context(|| format!("creating a file in {} (is it writable?)", folder.display()))?;
            // Locked as long as this process lives, which is how `sweep` tells it from one left behind. A sweeper may
            // have seen it before it was locked.
            let swept = matches!(file.as_file().try_lock(), Err(TryLockError::WouldBlock)) || !file.path().exists();
            if !swept {
                let path = path.to_owned();
                return Ok(Self { file, path });
            }
        }
    }

    /// The file itself.
    pub fn file(&mut self) -> &mut File {
        self.file.as_file_mut()
    }

    /// Where it lies until it is committed.
    pub fn temporary(&self) -> &Path {
        self.file.path()
    }

    /// Gives the file its name, readable by all.
    pub fn commit(self) -> Result<PathBuf> {
        self.commit_with_mode(0o644)
    }

    /// Gives the file its name and these permissions.
    pub fn commit_with_mode(self, mode: u32) -> Result<PathBuf> {
        use std::os::unix::fs::PermissionsExt;
        let Self { file, path } = self;
        let name = || format!("writing {}", path.display());
        file.as_file()
            .set_permissions(std::fs::Permissions::from_mode(mode))
            .with_context(name)?;
        file.as_file().sync_all().with_context(name)?;
        file.persist(&path).map_err(|error| error.error).with_context(name)?;
        Ok(path)
    }
}

/// Removes the files that killed processes had begun in `folder`; gives their number. What a living process, on this
/// machine, is at stays.
pub fn sweep(folder: &Path) -> usize {
    let begun = std::fs::read_dir(folder).into_iter().flatten().flatten();
    begun
        .filter(|entry| {
            let ours = entry.file_name().as_encoded_bytes().starts_with(PREFIX.as_bytes());
            ours && entry.file_type().is_ok_and(|kind| kind.is_file())
        })
        .filter(|entry| {
            let path = entry.path();
            File::open(&path).is_ok_and(|file| file.try_lock().is_ok() && std::fs::remove_file(&path).is_ok())
        })
        .count()
}

/// Fails unless files can be made in the output folder `folder`, which need not exist yet; leaves nothing behind.
///
/// Asked before long work whose result goes there.
pub fn check_writable(folder: &Path) -> Result<()> {
    let existing = folder.ancestors().find(|folder| folder.exists());
    let existing = existing.unwrap_or(Path::new("."));
    tempfile::Builder::new()
        .prefix(PREFIX)
        .tempfile_in(existing)
        .with_context(|| {
            format!(
                "the output folder {} is not writable: choose another by `--out DIR`",
                folder.display()
            )
        })?;
    Ok(())
}

/// Writes a whole file under its name, or fails leaving the old one.
pub fn write(path: &Path, content: &[u8]) -> Result<()> {
    let mut pending = Pending::create(path)?;
    pending
        .file()
        .write_all(content)
        .with_context(|| format!("writing {}", path.display()))?;
    pending.commit()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_living_process_has_begun_is_not_swept() {
        let folder = tempfile::tempdir().unwrap();
        let mut alive = Pending::create(&folder.path().join("alive")).unwrap();
        alive.file().write_all(b"x").unwrap();
        let dead = folder.path().join(format!("{PREFIX}dead"));
        std::fs::write(&dead, "half").unwrap();
        std::fs::write(folder.path().join("other"), "").unwrap();
        assert_eq!(sweep(folder.path()), 1);
        assert!(!dead.exists());
        assert_eq!(std::fs::read(alive.commit().unwrap()).unwrap(), b"x");
        assert_eq!(sweep(folder.path()), 0);
        assert!(folder.path().join("other").exists());
        assert_eq!(sweep(&folder.path().join("nowhere")), 0);
    }
}
