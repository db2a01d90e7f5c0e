//! An image as a cluster of virtual machines: what `pkgbuilder cluster` does with the crate of that name.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use computatom_cluster::cluster::{self, Cluster};
use computatom_cluster::folder::Folder;

use crate::{bail_input, xdg};

/// Making one.
pub mod up;

mod order;

mod not_ready;

mod raspberry_pi;

/// What it looks like.
pub mod table;

/// A person at a node's console.
pub mod console;

/// Where the folders of all clusters are.
pub fn clusters() -> Result<PathBuf> {
    Ok(xdg::state()?.join("clusters"))
}

/// The clusters that there are, by name.
pub fn names(clusters: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(clusters)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect();
    names.sort();
    names
}

/// The folder of the cluster `name`; without a name, of the only one there is.
pub fn find(name: Option<&str>) -> Result<Folder> {
    let clusters = clusters()?;
    let names = names(&clusters);
    match (name, names.as_slice()) {
        (Some(name), _) if names.iter().any(|known| known == name) => Ok(Folder::new(&clusters, name)),
        (None, [only]) => Ok(Folder::new(&clusters, only)),
        (_, []) => bail_input!("no cluster is up: `pkgbuilder cluster up` makes one"),
        (Some(name), _) => bail_input!("there is no cluster `{name}`; there are {}", names.join(", ")),
        (None, _) => bail_input!(
            "there are several clusters: say which by `--name {}`",
            names.join("` or `--name ")
        ),
    }
}

/// The cluster `name`, or the only one there is.
pub fn open(name: Option<&str>) -> Result<Cluster> {
    at(find(name)?)
}

/// The cluster of a folder; this program itself is its switch.
pub fn at(folder: Folder) -> Result<Cluster> {
    let program = std::env::current_exe().context("finding this program")?;
    Cluster::open(folder, cluster::switch(&program))
}
