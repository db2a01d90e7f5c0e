//! Stage 6: .debs to a root file system in memory.
//!
//! A package's payload is decompressed once into the cache and mapped from there: files of the tree are slices of that
//! mapping, so that a root of a gigabyte costs no memory of its own.

use std::fs::File;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use bytes::Bytes;
use computatom_compose::deb::{Deb as Archive, Package};
use computatom_compose::path_filter::PathRule;
use computatom_compose::{Composed, Options};
use computatom_spec::manifest::PackageRecord;
use rayon::prelude::*;

use crate::atomic::Pending;
use crate::definition::Image;
use crate::definition::image::Target;
use crate::fetch::cache::Cache;
use crate::interrupt;
use crate::reporter::Reporter;

/// A verified package on disk.
#[derive(Clone, Debug)]
pub struct Input {
    /// The .deb.
    pub path: PathBuf,
    /// What it is; `digest` is that of the file.
    pub record: PackageRecord,
}

/// Composes the root file system of `target` from verified packages; `asked` are the names that were asked for, all
/// others count as automatically installed.
pub fn compose(
    inputs: &[Input],
    image: &Image,
    target: &Target,
    asked: &[String],
    epoch: i64,
    cache: &Cache,
    reporter: &Reporter,
) -> Result<Composed> {
    let bar = reporter.items("unpacking packages", inputs.len() as u64);
    let packages: Vec<Package> = inputs
        .par_iter()
        .map(|input| {
            interrupt::check()?;
            let package = open(input, cache).with_context(|| format!("unpacking {}", input.path.display()))?;
            bar.inc(1);
            Ok(package)
        })
        .collect::<Result<_>>()?;
    bar.finish_and_clear();
    let options = Options {
        arch: target.arch.to_string(),
        epoch,
        keep_going: false,
        path_rules: image.exclude.iter().map(|rule| path_rule(rule)).collect(),
        auto_installed: packages
            .iter()
            .map(|package| package.name().to_owned())
            .filter(|name| !asked.contains(name))
            .collect(),
    };
    let bar = reporter.items("configuring packages", 0);
    let composed = computatom_compose::compose(&packages, &options, &mut |progress| {
        bar.set_length(progress.total as u64);
        bar.set_position(progress.done as u64);
    });
    bar.finish_and_clear();
    interrupt::check()?;
    composed.with_context(|| format!("composing the root file system of {} for {}", image.name, target.name))
}

/// A rule of the definition's `exclude` in dpkg's terms.
fn path_rule(rule: &str) -> PathRule {
    match rule.strip_prefix('!') {
        Some(pattern) => PathRule::Include(pattern.to_owned()),
        None => PathRule::Exclude(rule.to_owned()),
    }
}

/// A package whose payload is mapped from the cache.
fn open(input: &Input, cache: &Cache) -> Result<Package> {
    let archive = Archive::open(&map(&input.path)?)?;
    let digest = input.record.digest.trim_start_matches("sha256:");
    let payload = cache.derived("unpacked", digest)?;
    // The name is that of the input, and the file appears whole or not at all: what is there is complete.
    if !payload.is_file() {
        let mut pending = Pending::create(&payload)?;
        std::io::copy(&mut archive.data()?, pending.file())
            .with_context(|| cache.writing("the decompressed data.tar"))?;
        pending.commit()?;
    }
    Package::new(archive.control().clone(), &map(&payload)?)
}

#[allow(unsafe_code, reason = "a mapping of a file has no safe constructor")]
fn map(path: &Path) -> Result<Bytes> {
    let file = File::open(path).with_context(|| format!("opening {}", path.display()))?;
    // SAFETY: files of the cache are written once under another name, renamed, and never written again.
    let mapping = unsafe { memmap2::Mmap::map(&file) }.with_context(|| format!("mapping {}", path.display()))?;
    Ok(Bytes::from_owner(mapping))
}
