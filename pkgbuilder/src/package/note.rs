//! What lies in the cache as the digest of a thing that was made, under the digest of all that it was made from.

use std::fs;
use std::path::PathBuf;

use anyhow::Result;

use super::sources::Workbench;
use crate::verify::Sha256;

/// What a derived object in the cache is: its digest, then what it was made from.
#[derive(Clone, Debug)]
pub(crate) struct Note {
    /// Digest of the object.
    pub(crate) sha256: Sha256,
    /// The object.
    pub(crate) path: PathBuf,
    /// What it was made from.
    pub(crate) origin: String,
}

impl Note {
    /// The object derived from inputs with the digest `key`, if it is in the cache undamaged.
    pub(crate) fn read(bench: &Workbench<'_>, kind: &str, key: &str) -> Result<Option<Self>> {
        let Some(found) = Self::find(bench, kind, key)? else {
            return Ok(None);
        };
        let verified = bench.fetcher.cache().verified(&found.sha256)?;
        Ok(verified.map(|path| Self { path, ..found }))
    }

    /// The object derived from inputs with the digest `key`, if it is in the cache; its bytes are not looked at.
    pub(crate) fn find(bench: &Workbench<'_>, kind: &str, key: &str) -> Result<Option<Self>> {
        let cache = bench.fetcher.cache();
        let Ok(text) = fs::read_to_string(cache.derived(kind, key)?) else {
            return Ok(None);
        };
        let Some((digest, origin)) = text.split_once('\n') else {
            return Ok(None);
        };
        let Ok(sha256) = digest.parse::<Sha256>() else {
            return Ok(None);
        };
        Ok(cache.get(&sha256).map(|path| Self {
            sha256,
            path,
            origin: origin.trim_end().to_owned(),
        }))
    }

    /// Remembers it.
    pub(crate) fn write(&self, bench: &Workbench<'_>, kind: &str, key: &str) -> Result<()> {
        let path = bench.fetcher.cache().derived(kind, key)?;
        crate::atomic::write(&path, format!("{}\n{}\n", self.sha256, self.origin).as_bytes())
    }
}
