//! The Debian revisions of configuration packages.
//!
//! apt takes a package for newer by its version alone, so other settings need a higher one, wherever and however often
//! the output folder was emptied. What each package was last is therefore kept where the person's signing key lies.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::atomic::Pending;
use crate::input_error;
use crate::verify::Sha256;

/// What a package was when it was last made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Last {
    /// Its Debian revision.
    pub(super) revision: u32,
    /// SHA-256 of the .deb.
    pub(super) sha256: String,
}

/// The last revision of each package, locked against other processes until it is dropped.
#[derive(Debug)]
pub(super) struct Revisions {
    path: PathBuf,
    last: BTreeMap<String, Last>,
    _lock: File,
}

impl Revisions {
    /// Those kept in `folder`, which is made if need be, and only its owner's: a digest of a file with a weak passphrase
    /// in it lets others guess.
    pub(super) fn open(folder: &Path) -> Result<Self> {
        let path = folder.join("configuration-revisions.json");
        let doing = || {
            format!(
                "reading which revisions configuration packages had, {} (XDG_DATA_HOME moves it)",
                path.display()
            )
        };
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)
            .with_context(doing)?;
        let lock = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(path.with_extension("lock"))
            .with_context(doing)?;
        lock.lock().with_context(doing)?;
        let last = match fs::read(&path) {
            Ok(content) => serde_json::from_slice(&content).map_err(|error| {
                input_error!(
                    "{} is damaged ({error}): correct it, or remove it and then see that the next packages have a higher \
                     version than those that are installed",
                    path.display()
                )
            })?,
            Err(error) if error.kind() == ErrorKind::NotFound => BTreeMap::new(),
            Err(error) => return Err(error).with_context(doing),
        };
        Ok(Self {
            path,
            last,
            _lock: lock,
        })
    }

    /// What the package was last.
    pub(super) fn last(&self, name: &str) -> Option<&Last> {
        self.last.get(name)
    }

    /// Keeps what the package is now.
    pub(super) fn keep(&mut self, name: &str, revision: u32, sha256: &Sha256) -> Result<()> {
        let now = Last {
            revision,
            sha256: sha256.to_string(),
        };
        if self.last.get(name) == Some(&now) {
            return Ok(());
        }
        self.last.insert(name.to_owned(), now);
        let mut text = serde_json::to_string_pretty(&self.last)?;
        text.push('\n');
        let mut pending = Pending::create(&self.path)?;
        pending
            .file()
            .write_all(text.as_bytes())
            .with_context(|| format!("writing {}", self.path.display()))?;
        pending.commit_with_mode(0o600)?;
        Ok(())
    }
}
