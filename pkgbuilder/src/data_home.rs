//! What is a person's own and outlives caches, output folders and checkouts.

use std::env;
use std::path::PathBuf;

use anyhow::{Context, Result};

/// `$XDG_DATA_HOME/computatom`, by the XDG Base Directory Specification; it need not exist.
pub fn folder() -> Result<PathBuf> {
    let base = match env::var_os("XDG_DATA_HOME").map(PathBuf::from) {
        Some(path) if path.is_absolute() => path,
        // The specification: relative paths are to be ignored.
        _ => {
            let home = env::var_os("HOME").context("neither HOME nor XDG_DATA_HOME is set")?;
            PathBuf::from(home).join(".local/share")
        }
    };
    Ok(base.join("computatom"))
}
