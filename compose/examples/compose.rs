//! Composes a directory of `.deb` files and says how it went.
//!
//! `cargo run --release -p computatom-compose --example compose -- DIR
//! [--arch arm64] [--exclude PATTERN] [--tar FILE] [--keep-going]`

#![allow(clippy::print_stderr, reason = "a program for a person at a terminal")]

use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context as _, Result, bail};
use bytes::Bytes;
use computatom_compose::deb::{Deb, Package};
use computatom_compose::path_filter::PathRule;
use computatom_compose::{Options, compose};
use rayon::prelude::*;

fn main() -> Result<()> {
    let mut dir = None;
    let mut arch = "arm64".to_owned();
    let mut tar = None;
    let mut excluded = Vec::new();
    let mut keep_going = false;
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--arch" => arch = args.next().context("--arch needs a value")?,
            "--exclude" => excluded.push(PathRule::Exclude(args.next().context("--exclude needs a pattern")?)),
            "--keep-going" => keep_going = true,
            "--tar" => tar = Some(PathBuf::from(args.next().context("--tar needs a file")?)),
            _ if dir.is_none() => dir = Some(PathBuf::from(arg)),
            other => bail!("unexpected argument `{other}`"),
        }
    }
    let dir = dir.context("give a directory of .deb files")?;
    let start = Instant::now();
    let packages = packages(&dir)?;
    eprintln!(
        "{} packages read and decompressed in {:.2?}",
        packages.len(),
        start.elapsed()
    );
    let options = Options {
        arch,
        epoch: 1_763_000_000,
        path_rules: excluded,
        auto_installed: Vec::new(),
        keep_going,
    };
    let start = Instant::now();
    let mut configured = start;
    let composed = compose(&packages, &options, &mut |_| {
        configured = Instant::now();
        Ok(())
    })?;
    let entries = composed.tree.walk("/")?.len();
    eprintln!(
        "{entries} paths composed in {:.2?}, of that {:.2?} for the last triggers and the generators",
        start.elapsed(),
        configured.elapsed()
    );
    for note in &composed.notes {
        eprintln!("note: {} {}: {}", note.package, note.script, note.text);
    }
    for failure in &composed.failures {
        eprintln!("failed: {failure}");
    }
    if let Some(tar) = tar {
        let file = std::io::BufWriter::new(std::fs::File::create(&tar)?);
        composed
            .tree
            .write_tar(file)
            .with_context(|| format!("writing {}", tar.display()))?;
    }
    Ok(())
}

fn packages(dir: &std::path::Path) -> Result<Vec<Package>> {
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(dir).with_context(|| format!("reading {}", dir.display()))? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "deb") {
            paths.push(path);
        }
    }
    paths.sort();
    paths
        .par_iter()
        .map(|path| {
            let bytes = Bytes::from(std::fs::read(path)?);
            let deb = Deb::open(&bytes).with_context(|| format!("reading {}", path.display()))?;
            deb.unpack()
        })
        .collect()
}
