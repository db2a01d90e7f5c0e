use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use bytes::Bytes;
use computatom_compose::deb::{Control, Deb, EntryKind};
use rayon::prelude::*;

/// The members that are maintainer scripts; the first ones run when a root is composed.
pub(crate) const SCRIPTS: &[&str] = &["preinst", "config", "postinst", "prerm", "postrm"];

/// How many of [`SCRIPTS`] run on a first installation.
pub(crate) const INSTALLING: usize = 3;

/// A package and where it was found.
pub(crate) struct Found {
    pub(crate) path: PathBuf,
    pub(crate) control: Control,
}

/// What a file that a script calls is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Program {
    pub(crate) package: String,
    /// The interpreter of its first line, or `ELF`.
    pub(crate) interpreter: String,
    /// The text, if it is a shell script.
    pub(crate) shell: Option<String>,
}

/// The packages under `places`, by name.
pub(crate) fn find(places: &[PathBuf]) -> Result<BTreeMap<String, Found>> {
    let mut paths = Vec::new();
    for place in places {
        search(place, &mut paths)?;
    }
    let opened: Vec<Found> = paths.into_par_iter().filter_map(open).collect();
    let mut packages: BTreeMap<String, Found> = BTreeMap::new();
    for found in opened {
        let name = found.control.name.clone();
        let rank = |found: &Found| (found.control.version.clone(), found.control.architecture.clone());
        if packages.get(&name).is_none_or(|other| rank(other) < rank(&found)) {
            packages.insert(name, found);
        }
    }
    Ok(packages)
}

fn search(place: &Path, paths: &mut Vec<PathBuf>) -> Result<()> {
    if place.is_dir() {
        for entry in std::fs::read_dir(place).with_context(|| format!("reading {}", place.display()))? {
            search(&entry?.path(), paths)?;
        }
    } else {
        paths.push(place.to_owned());
    }
    Ok(())
}

/// The package in a file; `None` if it is none, or broken.
fn open(path: PathBuf) -> Option<Found> {
    let mut magic = [0; 8];
    std::fs::File::open(&path).ok()?.read_exact(&mut magic).ok()?;
    if &magic != b"!<arch>\n" {
        return None;
    }
    match std::fs::read(&path)
        .map_err(anyhow::Error::from)
        .and_then(|bytes| Deb::open(&Bytes::from(bytes)))
    {
        Ok(deb) => Some(Found {
            control: deb.control().clone(),
            path,
        }),
        Err(error) => {
            eprintln!("{}: {error:#}", path.display());
            None
        }
    }
}

/// Where programs without a directory are looked for.
const DIRS: &[&str] = &["usr/sbin", "usr/bin", "sbin", "bin"];

/// The files behind `names` in the packages that have them.
pub(crate) fn programs(packages: &BTreeMap<String, Found>, names: &BTreeSet<String>) -> BTreeMap<String, Program> {
    let mut wanted: BTreeMap<String, &String> = BTreeMap::new();
    for name in names {
        match name.strip_prefix('/') {
            Some(path) => {
                wanted.insert(path.to_owned(), name);
                wanted.insert(format!("usr/{path}"), name);
            }
            None => wanted.extend(DIRS.iter().map(|dir| (format!("{dir}/{name}"), name))),
        }
    }
    let owners: Vec<&Found> = packages
        .values()
        .filter(|found| {
            let sums = found.control.text("md5sums").unwrap_or_default();
            sums.lines()
                .any(|line| line.get(34..).is_some_and(|path| wanted.contains_key(path)))
        })
        .collect();
    let found: Vec<(String, Program)> = owners
        .par_iter()
        .flat_map_iter(|owner| programs_of(owner, &wanted))
        .collect();
    found.into_iter().collect()
}

fn programs_of(owner: &Found, wanted: &BTreeMap<String, &String>) -> Vec<(String, Program)> {
    let read = std::fs::read(&owner.path).map_err(anyhow::Error::from);
    let Ok(package) = read.and_then(|bytes| Deb::open(&Bytes::from(bytes))?.unpack()) else {
        return Vec::new();
    };
    let mut programs = Vec::new();
    for entry in &package.entries {
        let (Some(name), EntryKind::File(content)) = (wanted.get(entry.path.trim_start_matches('/')), &entry.kind)
        else {
            continue;
        };
        programs.push(((*name).clone(), program(package.name(), content)));
    }
    programs
}

fn program(package: &str, content: &Bytes) -> Program {
    let text = String::from_utf8_lossy(content);
    let first = text.lines().next().unwrap_or_default();
    let interpreter = match first.strip_prefix("#!") {
        Some(line) => line.trim().rsplit('/').next().unwrap_or_default().to_owned(),
        None if content.starts_with(b"\x7fELF") => "ELF".to_owned(),
        None if content.is_ascii() => "a text".to_owned(),
        None => "no program".to_owned(),
    };
    let is_shell = interpreter
        .split_whitespace()
        .find(|word| *word != "env")
        .is_some_and(|word| matches!(word, "sh" | "dash" | "bash"))
        // What is read with `.` need not say what it is.
        || interpreter == "a text";
    Program {
        package: package.to_owned(),
        shell: is_shell.then(|| text.into_owned()),
        interpreter,
    }
}
