//! Packages of the archive whose bytes are the ones that the lock names.

use std::path::{Path, PathBuf};

use anyhow::Result;
use rayon::prelude::*;

use super::digest::Sha256;
use crate::fetch::Cache;
use crate::interrupt;
use crate::resolve::lock::LockedDeb;

/// A .deb in the cache whose digest was computed and is the locked one. Only this module makes one.
#[derive(Clone, Debug)]
pub struct VerifiedDeb {
    path: PathBuf,
    locked: LockedDeb,
}

impl VerifiedDeb {
    /// Where it lies in the cache.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What the lock says about it.
    pub fn locked(&self) -> &LockedDeb {
        &self.locked
    }
}

/// Reads every locked .deb that is in the cache; `None` stands for one that is absent or was damaged (and is
/// removed then).
pub fn verify_all(cache: &Cache, debs: &[LockedDeb]) -> Result<Vec<Option<VerifiedDeb>>> {
    debs.par_iter()
        .map(|locked| {
            interrupt::check()?;
            let sha256: Sha256 = locked.sha256.parse()?;
            if cache.get_sized(&sha256, locked.size).is_none() {
                return Ok(None);
            }
            Ok(cache.verified(&sha256)?.map(|path| VerifiedDeb {
                path,
                locked: locked.clone(),
            }))
        })
        .collect()
}
