//! A person's own folders, by the XDG Base Directory Specification; they need not exist.

use std::env;
use std::path::PathBuf;

use anyhow::{Context, Result};

/// `$XDG_DATA_HOME/computatom`: what outlives caches, output folders and checkouts.
pub fn data() -> Result<PathBuf> {
    folder("XDG_DATA_HOME", ".local/share")
}

/// `$XDG_CACHE_HOME/computatom`: what can be made again.
pub fn cache() -> Result<PathBuf> {
    folder("XDG_CACHE_HOME", ".cache")
}

/// `$XDG_STATE_HOME/computatom`: what outlives a command, and is of this machine alone.
pub fn state() -> Result<PathBuf> {
    folder("XDG_STATE_HOME", ".local/state")
}

fn folder(variable: &str, below_home: &str) -> Result<PathBuf> {
    let base = match env::var_os(variable).map(PathBuf::from) {
        Some(path) if path.is_absolute() => path,
        // The specification: relative paths are to be ignored.
        _ => {
            let home = env::var_os("HOME").with_context(|| format!("neither HOME nor {variable} is set"))?;
            PathBuf::from(home).join(below_home)
        }
    };
    Ok(base.join("computatom"))
}
