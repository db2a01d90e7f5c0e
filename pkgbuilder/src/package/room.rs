//! The room that getting components takes, as far as it is known before any is fetched or compiled.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Result;
use computatom_spec::arch::Arch;

use super::sources::go_module::Folders;
use super::sources::{self, Workbench};
use super::{Note, Options, allowed, key, pins};
use crate::definition::Image;
use crate::definition::image::{Component, GoModule, Source};
use crate::fetch::Fetcher;
use crate::housekeeping::space::Demand;
use crate::resolve::Lock;

/// A package of ours that is not made yet (Consul for arm64: 24 MB, Nomad 27).
const PACKAGE: u64 = 30 << 20;

/// A publisher's archive (Nomad's for arm64: 44 MB, Prometheus' 111).
const ARCHIVE: u64 = 120 << 20;

/// What one component wants for one architecture.
enum Want<'a> {
    /// Its package is in the cache and has so many bytes.
    Made(u64),
    /// What it is made of is in the cache.
    Packing,
    /// It is fetched.
    Fetching,
    /// It is compiled.
    Compiling(&'a GoModule),
}

/// What making the packages of `image` for `architectures` in `out` takes. Where a source turns out to be out of reach
/// and the next one compiles, that asks for itself.
pub fn to_make(
    fetcher: &Fetcher,
    image: &Image,
    architectures: &[Arch],
    lock: &Lock,
    options: &Options,
    out: &Path,
) -> Result<Vec<Demand>> {
    let (mut packages, mut cached) = (0, 0);
    let mut compiled: BTreeMap<&str, (&Component, &GoModule)> = BTreeMap::new();
    let mut programs = 0;
    for &arch in architectures {
        let root = &options.root;
        let locked = options.locked;
        let bench = Workbench {
            fetcher,
            root,
            arch,
            locked,
        };
        for component in &image.components {
            let want = want(&bench, component, lock, options)?;
            packages += if let Want::Made(size) = want { size } else { PACKAGE };
            match want {
                Want::Made(_) => {}
                Want::Packing => cached += PACKAGE,
                Want::Fetching => cached += PACKAGE + ARCHIVE,
                Want::Compiling(go) => {
                    cached += PACKAGE;
                    programs += go.binaries.len().min(2) as u64;
                    compiled.insert(&component.name, (component, go));
                }
            }
        }
    }
    let ours = fetcher.cache().root();
    let mut demands = vec![
        Demand::new(out, packages, "packages"),
        Demand::new(ours, cached, "what they are made of, and copies"),
    ];
    if programs > 0
        && let Some(go) = Folders::find()?
    {
        demands.extend(go.to_fetch(compiled.into_values()));
        demands.extend(go.to_compile(programs, ours));
    }
    Ok(demands)
}

/// What pinning the components of `image` takes beside lists and sums: Go modules whose sums no lock has.
pub fn to_pin(image: &Image, lock: &Lock, options: &Options) -> Result<Vec<Demand>> {
    let unpinned: Vec<(&Component, &GoModule)> = image
        .components
        .iter()
        .filter(|component| {
            let locked = lock.components.get(&component.name);
            pins::of(component, locked, false).is_ok_and(|pinned| pinned.go_module.is_none())
        })
        .filter_map(|component| Some((component, module(&allowed(component, options))?)))
        .collect();
    if !unpinned.is_empty()
        && let Some(go) = Folders::find()?
    {
        return Ok(go.to_fetch(unpinned.into_iter()));
    }
    Ok(Vec::new())
}

fn want<'a>(bench: &Workbench<'_>, component: &'a Component, lock: &Lock, options: &Options) -> Result<Want<'a>> {
    let allowed = allowed(component, options);
    // A lock that says otherwise is complained of where the component is made.
    let mut pinned = pins::of(component, lock.components.get(&component.name), false)?;
    for source in &allowed {
        sources::recall(bench, component, source, &mut pinned)?;
    }
    for source in &allowed {
        if let Some(identity) = sources::identity(bench, component, source, &pinned)?
            && let Some(note) = Note::find(bench, "deb", &key(component, bench.arch, source, &identity)?)?
        {
            return Ok(Want::Made(
                note.path.metadata().map_or(PACKAGE, |metadata| metadata.len()),
            ));
        }
    }
    for source in &allowed {
        if sources::ready(bench, component, source, &pinned)? {
            return Ok(Want::Packing);
        }
    }
    // An archive that nobody has pinned for this architecture may not exist.
    let first = allowed
        .iter()
        .find(|source| !matches!(source, Source::Release { .. }) || pinned.release.contains_key(&bench.arch));
    Ok(match first {
        Some(Source::GoModule(go)) => Want::Compiling(go),
        Some(Source::File { .. }) => Want::Packing,
        _ => Want::Fetching,
    })
}

fn module<'a>(sources: &[&'a Source]) -> Option<&'a GoModule> {
    sources.iter().find_map(|source| match source {
        Source::GoModule(go) => Some(go),
        _ => None,
    })
}
