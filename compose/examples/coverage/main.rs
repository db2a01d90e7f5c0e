//! What the maintainer scripts of many packages use, and what of it is done here: the tables of `docs/composition.md`.
//!
//! `cargo run -p computatom-compose --example coverage -- [--into docs/composition.md] DIR|FILE...`
//!
//! Directories are searched for `.deb` files, which are known by their content, so the builder's cache will do
//! (`~/.cache/computatom/objects`). Of several versions and architectures of a package the newest counts.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program for a person at a terminal"
)]

use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};

/// What a call of a command comes to.
mod judge;
/// Packages and their scripts.
mod packages;
/// The tables.
mod report;
/// What all scripts use, gathered.
mod usage;

const BEGIN: &str =
    "<!-- script coverage: made by `cargo run -p computatom-compose --example coverage`, do not edit -->\n";
const END: &str = "<!-- script coverage ends -->\n";

fn main() -> Result<()> {
    let mut into = None;
    let mut places = Vec::new();
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--into" => into = Some(PathBuf::from(args.next().context("--into needs a file")?)),
            option if option.starts_with('-') => {
                bail!("unknown option `{option}`: usage: coverage [--into FILE] DIR|FILE...")
            }
            place => places.push(PathBuf::from(place)),
        }
    }
    if places.is_empty() {
        bail!("name directories with .deb files, such as ~/.cache/computatom/objects");
    }
    let packages = packages::find(&places)?;
    eprintln!("{} packages", packages.len());
    let mut scripts = usage::maintainer_scripts(&packages);
    let (usage, programs) = loop {
        let usage = usage::gather(&scripts);
        let programs = packages::programs(&packages, &usage.wanted());
        // Shell scripts that are called are interpreted, and call others.
        if !usage::add_called(&mut scripts, &programs) {
            break (usage, programs);
        }
    };
    let text = report::write(packages.len(), &scripts, &usage, &programs)?;
    match into {
        None => print!("{text}"),
        Some(path) => {
            let page = std::fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
            let (before, rest) = page
                .split_once(BEGIN)
                .with_context(|| format!("no line `{}` in {}", BEGIN.trim_end(), path.display()))?;
            let (_, after) = rest
                .split_once(END)
                .with_context(|| format!("no line `{}` in {}", END.trim_end(), path.display()))?;
            let page = format!("{before}{BEGIN}{text}{END}{after}");
            std::fs::write(&path, page).with_context(|| format!("writing {}", path.display()))?;
        }
    }
    Ok(())
}
