//! Stage 5: components to reproducible .debs.
//!
//! A component has sources ([`sources`]); the first that is within reach gives a [`recipe::Payload`], its recipe makes
//! that a [`deb::Package`], and the .deb lies in the cache under the digest of everything that went into it.

/// The control stanza.
pub mod control;

/// The files of a package.
pub mod data;

/// Users and groups that every system has.
pub mod accounts;

/// Dates in package files.
pub mod date;

/// How members of a .deb are compressed.
pub mod compression;

/// The .deb container.
pub mod deb;

/// The papers of a package.
pub mod documents;

/// What a program needs from the C library.
pub mod elf;

/// Which 32-bit Arm machines a program runs on.
mod arm;

/// Maintainer scripts.
pub mod scripts;

/// Patterns of file names.
pub mod glob;

/// From the contents of a recipe to the files of a package.
pub mod contents;

/// The files of this machine that go into one.
mod places;

/// Changelogs in chglog's form.
pub mod chglog;

/// From a recipe's version to Debian's.
pub mod version;

/// From a recipe to its package.
pub mod recipe;

/// Packages of recipes outside any definition.
pub mod standalone;

/// Where components come from.
pub mod sources;

/// What was made before, in the cache.
mod note;

/// What makes an ordinary machine a member of a cluster.
pub mod configuration;

/// Newer versions of components.
pub mod update;

/// What is pinned of a component, and pinning without building.
pub mod pins;

/// The room that all this takes.
pub mod room;

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, anyhow};
use computatom_spec::arch::Arch;
use computatom_spec::manifest::PackageRecord;
use debversion::Version;

pub(crate) use self::note::Note;
use self::sources::{Attempt, Workbench};
use crate::definition::Image;
use crate::definition::image::{Component, Dropped, Source};
use crate::fetch::Fetcher;
use crate::resolve::Lock;
use crate::resolve::lock::LockedComponent;
use crate::verify::Sha256;
use crate::{bail_input, input_error};

/// Changes whenever this program packages the same input differently, so that older packages in the cache are not used.
const FORMAT: u32 = 5;

/// How components are to be had.
#[derive(Clone, Debug)]
pub struct Options {
    /// The top of the checkout: paths of the source `file` begin here.
    pub root: PathBuf,
    /// Folder that .debs are put into under their usual names (`out/packages`), beside the cache.
    pub output: Option<PathBuf>,
    /// `--source`: component to the only source it may come from.
    pub only: BTreeMap<String, String>,
    /// Nothing may be taken that the lock does not pin.
    pub locked: bool,
}

/// A .deb of ours in the cache.
#[derive(Clone, Debug)]
pub struct Deb {
    /// Where in the cache.
    pub path: PathBuf,
    /// Its digest.
    pub sha256: Sha256,
    /// What manifests say about it.
    pub record: PackageRecord,
    /// Its control stanza.
    pub control: String,
}

/// The components of an image for one architecture.
#[derive(Clone, Debug, Default)]
pub struct Components {
    /// Debian packages to ask the solver for.
    pub debian: Vec<String>,
    /// Packages of ours.
    pub debs: Vec<Deb>,
    /// The control stanzas of those packages as the solver is asked with them: see [`recipe::declared`].
    pub stanzas: Vec<String>,
    /// What the lock is to say about them: all that it said, and what was pinned now.
    pub locked: BTreeMap<String, LockedComponent>,
}

/// Gets every component of `image` for `arch`: from the first of its sources that is within reach, unless `options`
/// name one. What the cache has counts as within reach, and nothing is fetched or built for it again.
pub fn resolve_components(
    fetcher: &Fetcher,
    image: &Image,
    arch: Arch,
    lock: Option<&Lock>,
    options: &Options,
) -> Result<Components> {
    check_choices(image, options)?;
    let mut found = Components::default();
    for component in &image.components {
        resolve_component(fetcher, component, arch, lock, options, &mut found)?;
    }
    Ok(found)
}

/// Gets one component for `arch` into `found`.
pub fn resolve_component(
    fetcher: &Fetcher,
    component: &Component,
    arch: Arch,
    lock: Option<&Lock>,
    options: &Options,
    found: &mut Components,
) -> Result<()> {
    let locked = lock.and_then(|lock| lock.components.get(&component.name));
    let mut pinned = pins::of(component, locked, options.locked)?;
    let bench = Workbench {
        fetcher,
        root: &options.root,
        arch,
        locked: options.locked,
    };
    match resolve(&bench, component, &mut pinned, options)? {
        Resolved::Debian(package) => {
            if component.version != "*" {
                let (name, version) = (&component.name, &component.version);
                fetcher.reporter().step(format_args!(
                    "{name}: taking Debian's package for {arch} in the version that it has, instead of {version}"
                ));
            }
            found.debian.push(package);
        }
        Resolved::Deb(deb) => {
            found.stanzas.push(stanza_of(component, arch, &deb));
            found.debs.push(publish(*deb, options)?);
        }
    }
    if pins::worth_locking(&pinned) {
        found.locked.insert(component.name.clone(), pinned);
    }
    Ok(())
}

/// `--source` must name components that there are, and sources that they have.
pub(crate) fn check_choices(image: &Image, options: &Options) -> Result<()> {
    for (name, choice) in &options.only {
        let Some(component) = image.components.iter().find(|component| component.name == *name) else {
            let names: Vec<String> = image
                .components
                .iter()
                .map(|component| component.name.clone())
                .collect();
            let nearest = crate::definition::nearest(name, &names);
            bail_input!(
                "--source {name}={choice}: {} has no component `{name}`{nearest}; it has {}",
                image.name,
                names.join(", ")
            );
        };
        if !component.sources.iter().any(|source| source.name() == choice) {
            let names: Vec<&str> = component.sources.iter().map(Source::name).collect();
            bail_input!(
                "--source {name}={choice}: {name} {} has no such source; it has {}",
                component.version,
                names.join(", ")
            );
        }
    }
    Ok(())
}

/// The sources of a component that `--source` leaves.
fn allowed<'a>(component: &'a Component, options: &Options) -> Vec<&'a Source> {
    let only = options.only.get(&component.name);
    let allowed = component.sources.iter();
    allowed
        .filter(|source| only.is_none_or(|only| source.name() == only))
        .collect()
}

/// Where one component came from.
enum Resolved {
    Debian(String),
    Deb(Box<Deb>),
}

fn resolve(
    bench: &Workbench<'_>,
    component: &Component,
    pinned: &mut LockedComponent,
    options: &Options,
) -> Result<Resolved> {
    let mut allowed = allowed(component, options);
    for source in &allowed {
        sources::recall(bench, component, source, pinned)?;
    }
    let mut ready = BTreeMap::new();
    for source in &allowed {
        ready.insert(source.name(), sources::ready(bench, component, source, pinned)?);
    }
    // What was fetched or built before is nearer than any host.
    allowed.sort_by_key(|source| !ready[source.name()]);
    for source in &allowed {
        if let Some(deb) = cached(bench, component, source, pinned)? {
            return Ok(Resolved::Deb(Box::new(deb)));
        }
    }
    let mut reasons = Vec::new();
    let mut out_of_reach = false;
    for (index, source) in allowed.iter().enumerate() {
        match sources::give(bench, component, source, pinned)? {
            Attempt::Debian(package) => return Ok(Resolved::Debian(package)),
            Attempt::Deb(path) => return Ok(Resolved::Deb(Box::new(sources::file::deb(bench, component, &path)?))),
            Attempt::Payload { payload, identity } => {
                let key = key(component, bench.arch, source, &identity)?;
                return Ok(Resolved::Deb(Box::new(pack(bench, component, source, &payload, &key)?)));
            }
            Attempt::Unreachable(reason) => {
                out_of_reach = true;
                if let Some(next) = allowed.get(index + 1) {
                    let (name, source, next) = (&component.name, source.name(), next.name());
                    let reporter = bench.fetcher.reporter();
                    reporter.warn(format_args!(
                        "{name}: `{source}` is out of reach ({reason}); trying `{next}`"
                    ));
                }
                reasons.push(format!("{}: {reason}", source.name()));
            }
            Attempt::Absent(reason) => reasons.push(format!("{}: {reason}", source.name())),
        }
    }
    Err(not_to_be_had(component, bench.arch, &reasons, out_of_reach))
}

/// The error for a component that no source gives; `out_of_reach` if one of them may have it.
fn not_to_be_had(component: &Component, arch: Arch, reasons: &[String], out_of_reach: bool) -> anyhow::Error {
    let (name, version) = (&component.name, &component.version);
    let mut reasons = reasons.to_vec();
    let foreign = |source: &&Source| matches!(source, Source::Release { architectures: Some(known), .. } if !known.contains(&arch));
    if component.sources.iter().any(|source| foreign(&source)) {
        let others = component.sources.iter().filter(|source| !foreign(source));
        let others: Vec<String> = others.map(|source| format!("`{}`", source.name())).collect();
        let left = match others.as_slice() {
            [] => String::new(),
            others => format!("; that leaves {}", others.join(" and ")),
        };
        reasons.push(format!("no archive that upstream ships of {name} runs on {arch}{left}"));
    } else if let Some(dropped) = dropped(component, arch) {
        reasons.push(format!(
            "upstream has not shipped {name} for {arch} since {}: {}, or take an older version",
            dropped.from, dropped.instead
        ));
    }
    let reasons = reasons.join("\n  ");
    if out_of_reach {
        return anyhow!("{name} {version} for {arch} cannot be had now:\n  {reasons}");
    }
    input_error!(
        "{name} {version} for {arch} does not exist in any source; name another version or target:\n  {reasons}"
    )
}

/// The catalog's word on an architecture that upstream stopped shipping before this version.
pub(crate) fn dropped(component: &Component, arch: Arch) -> Option<&Dropped> {
    let version: Version = component.version.parse().ok()?;
    let dropped = component.dropped.iter();
    dropped
        .filter(|dropped| dropped.architectures.contains(&arch))
        .find(|dropped| dropped.from.parse::<Version>().is_ok_and(|from| version >= from))
}

/// What the solver is told of a package of ours; of a finished .deb what it says of itself.
fn stanza_of(component: &Component, arch: Arch, deb: &Deb) -> String {
    match &component.recipe {
        Some(recipe) if deb.record.source != "file" => recipe::declared(component, recipe, arch).to_string(),
        _ => deb.control.clone(),
    }
}

/// The digest of everything that goes into a package: what its source gives, its recipe, this program's way.
fn key(component: &Component, arch: Arch, source: &Source, identity: &str) -> Result<String> {
    // Which sources there are does not matter, only which one was taken.
    let mut description = component.clone();
    description.sources = vec![source.clone()];
    // Nor does what it could have been.
    description.range = None;
    description.minimum = None;
    description.refused.clear();
    description.dropped.clear();
    let description = serde_json::to_string(&description).context("describing a component")?;
    Ok(Sha256::of(format!("{FORMAT}\n{arch}\n{identity}\n{description}").as_bytes()).hex())
}

/// The package of a component if it was made before.
fn cached(
    bench: &Workbench<'_>,
    component: &Component,
    source: &Source,
    pinned: &LockedComponent,
) -> Result<Option<Deb>> {
    let Some(identity) = sources::identity(bench, component, source, pinned)? else {
        return Ok(None);
    };
    let key = key(component, bench.arch, source, &identity)?;
    let Some(note) = Note::read(bench, "deb", &key)? else {
        return Ok(None);
    };
    open(component, source, note).map(Some)
}

fn pack(
    bench: &Workbench<'_>,
    component: &Component,
    source: &Source,
    payload: &recipe::Payload,
    key: &str,
) -> Result<Deb> {
    let recipe = component
        .recipe
        .as_ref()
        .ok_or_else(|| input_error!("{} has no recipe", component.name))?;
    let package = recipe::package(component, recipe, bench.arch, payload)?;
    let label = package.file_name();
    let bar = bench.fetcher.reporter().busy(format!("packing {label}"));
    let mut incoming = bench.fetcher.cache().incoming()?;
    package
        .write(&mut incoming)
        .with_context(|| format!("packing {label}"))?;
    let (sha256, path) = incoming.commit()?;
    bar.finish_and_clear();
    let note = Note {
        sha256,
        path,
        origin: payload.origin.clone(),
    };
    note.write(bench, "deb", key)?;
    open(component, source, note)
}

/// Reads a .deb's control stanza.
fn open(component: &Component, source: &Source, note: Note) -> Result<Deb> {
    let bytes = fs::read(&note.path).with_context(|| format!("reading {}", note.path.display()))?;
    let deb = computatom_compose::deb::Deb::open(&bytes.into())
        .with_context(|| format!("reading the package of {}", component.name))?;
    let control = deb.control();
    Ok(Deb {
        record: PackageRecord {
            name: control.name.clone(),
            version: control.version.to_string(),
            architecture: control.architecture.clone(),
            digest: format!("sha256:{}", note.sha256),
            source: source.name().to_owned(),
            origin: note.origin,
            verified: sources::verification(component, source),
            ..PackageRecord::default()
        },
        control: stanza(deb.control()),
        path: note.path,
        sha256: note.sha256,
    })
}

fn stanza(control: &computatom_compose::deb::Control) -> String {
    let lines: Vec<String> = control
        .stanza
        .iter()
        .map(|(name, value)| format!("{name}: {value}\n"))
        .collect();
    lines.concat()
}

/// Puts a .deb where people look for it.
fn publish(deb: Deb, options: &Options) -> Result<Deb> {
    let Some(folder) = &options.output else {
        return Ok(deb);
    };
    let PackageRecord {
        name,
        version,
        architecture,
        ..
    } = &deb.record;
    // An epoch's colon has no place in a file name (dpkg-name(1)).
    let version = version.split_once(':').map_or(version.as_str(), |(_, rest)| rest);
    let path = folder.join(format!("{name}_{version}_{architecture}.deb"));
    if path.is_file() && Sha256::of_file(&path)? == deb.sha256 {
        return Ok(deb);
    }
    crate::atomic::sweep(folder);
    let mut pending = crate::atomic::Pending::create(&path)?;
    let mut source = fs::File::open(&deb.path).with_context(|| format!("reading {}", deb.path.display()))?;
    std::io::copy(&mut source, pending.file()).with_context(|| format!("writing {}", path.display()))?;
    pending.commit()?;
    Ok(deb)
}

#[cfg(test)]
mod tests;
