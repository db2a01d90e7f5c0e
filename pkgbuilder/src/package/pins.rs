//! What the lock pins of a component: taken from the lock where it agrees with the definition, else found out without
//! fetching or building what it pins.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use computatom_spec::arch::Arch;

use super::sources::{self, Attempt, Workbench};
use super::{Options, allowed, check_choices, not_to_be_had, recipe};
use crate::bail_input;
use crate::definition::Image;
use crate::definition::image::{Component, GoModule, Source};
use crate::fetch::Fetcher;
use crate::package::sources::go_module::COMMIT;
use crate::package::sources::release;
use crate::resolve::Lock;
use crate::resolve::lock::{LockedComponent, LockedModule, LockedRelease};

/// What is known of the components of an image before any is fetched or built.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pins {
    /// Debian packages to ask the solver for.
    pub debian: Vec<String>,
    /// The control stanzas of our own packages, as far as they are known: see [`recipe::declared`].
    pub stanzas: Vec<String>,
    /// What the lock is to say.
    pub locked: BTreeMap<String, LockedComponent>,
}

/// Pins what the lock can hold about every component of `image` for `arch`, without building anything: for
/// `pkgbuilder lock`.
///
/// A component counts as coming from the first of its sources that is pinned for the architecture; a build that has to
/// fall through from there to Debian's package asks the solver another question, and so solves again.
pub fn pin_components(
    fetcher: &Fetcher,
    image: &Image,
    arch: Arch,
    lock: Option<&Lock>,
    options: &Options,
) -> Result<Pins> {
    check_choices(image, options)?;
    let bench = Workbench {
        fetcher,
        root: &options.root,
        arch,
        locked: options.locked,
    };
    let mut pins = Pins::default();
    for component in &image.components {
        let locked = lock.and_then(|lock| lock.components.get(&component.name));
        let mut pinned = of(component, locked, options.locked)?;
        let mut reasons = Vec::new();
        let mut out_of_reach = false;
        for source in allowed(component, options) {
            let name = source.name();
            match sources::pin(&bench, component, source, &mut pinned)? {
                Some(Attempt::Unreachable(reason)) => {
                    out_of_reach = true;
                    reasons.push(format!("{name}: {reason}"));
                }
                Some(Attempt::Absent(reason)) => reasons.push(format!("{name}: {reason}")),
                _ => {}
            }
        }
        if !place(&bench, component, &pinned, options, &mut pins)? {
            let release = allowed(component, options)
                .iter()
                .any(|source| source.name() == "release");
            if release && !pinned.release.contains_key(&arch) {
                reasons.insert(
                    0,
                    format!("release: no archive of {} for {arch} is pinned", component.version),
                );
            }
            return Err(not_to_be_had(component, arch, &reasons, out_of_reach));
        }
        for reason in reasons {
            fetcher
                .reporter()
                .warn(format_args!("{} stays unpinned: {reason}", component.name));
        }
        if worth_locking(&pinned) {
            pins.locked.insert(component.name.clone(), pinned);
        }
    }
    Ok(pins)
}

/// Says in `pins` what the solver is to be told of a component; `false` where no source has it.
fn place(
    bench: &Workbench<'_>,
    component: &Component,
    pinned: &LockedComponent,
    options: &Options,
    pins: &mut Pins,
) -> Result<bool> {
    for source in allowed(component, options) {
        match source {
            Source::Release { .. } if !pinned.release.contains_key(&bench.arch) => {}
            Source::GoModule(_) if pinned.go_module.is_none() => {}
            Source::Release { .. } | Source::GoModule(_) => {
                let recipe = component.recipe.as_ref();
                let recipe = recipe.with_context(|| format!("packaging {}: it has no recipe", component.name))?;
                pins.stanzas
                    .push(recipe::declared(component, recipe, bench.arch).to_string());
                return Ok(true);
            }
            Source::Debian { package } => {
                pins.debian.push(package.clone());
                return Ok(true);
            }
            // What this checkout builds need not be built yet: the lock holds nothing of it.
            Source::File {
                sha256,
                relations: Some(relations),
                ..
            } if sha256.is_empty() => {
                pins.stanzas
                    .push(sources::file::declared(component, relations, bench.arch));
                return Ok(true);
            }
            Source::File { path, sha256, .. } => {
                if let Attempt::Deb(path) = sources::file::give(bench, component, path, sha256)? {
                    pins.stanzas.push(sources::file::deb(bench, component, &path)?.control);
                    return Ok(true);
                }
            }
        }
    }
    Ok(false)
}

/// One line for each component that the lock says something else about than before (`nomad: 1.10.4 -> 1.10.5`).
pub fn moves(before: &BTreeMap<String, LockedComponent>, after: &BTreeMap<String, LockedComponent>) -> Vec<String> {
    let mut lines = Vec::new();
    for (name, now) in after {
        let version = &now.version;
        match before.get(name) {
            None => lines.push(format!("{name}: new, {version}")),
            Some(was) if was.version != *version => lines.push(format!("{name}: {} -> {version}", was.version)),
            Some(was) => {
                let archives = was.release != now.release;
                let module = was.go_module != now.go_module;
                for (what, _) in [("release archives", archives), ("Go module", module)]
                    .iter()
                    .filter(|(_, new)| *new)
                {
                    lines.push(format!("{name}: {version}, {what} pinned anew"));
                }
            }
        }
    }
    for (name, was) in before {
        if !after.contains_key(name) {
            lines.push(format!("{name}: {}, no longer needed", was.version));
        }
    }
    lines
}

/// The pins of `component`: the definition's digests, and the module sums of the lock where they are for the same
/// version. With `must_agree` a lock that says otherwise is refused.
pub(crate) fn of(component: &Component, locked: Option<&LockedComponent>, must_agree: bool) -> Result<LockedComponent> {
    let mut pinned = LockedComponent {
        version: component.version.clone(),
        release: BTreeMap::new(),
        go_module: None,
    };
    for source in &component.sources {
        match source {
            Source::Release { sha256, .. } => {
                let locked = locked.filter(|locked| locked.version == component.version);
                for arch in Arch::ALL {
                    let Some(url) = release::url(source, &component.version, arch) else {
                        continue;
                    };
                    // What the definition does not say was pinned from the publisher's list.
                    let locked = locked
                        .and_then(|locked| locked.release.get(&arch))
                        .filter(|release| release.url == url);
                    let digest = sha256.get(&arch).or(locked.map(|release| &release.sha256));
                    if let Some(sha256) = digest.cloned() {
                        pinned.release.insert(arch, LockedRelease { url, sha256 });
                    }
                }
            }
            Source::GoModule(go) => {
                pinned.go_module = locked
                    .filter(|locked| locked.version == component.version)
                    .and_then(|locked| locked.go_module.clone())
                    .filter(|locked| agrees(go, locked));
            }
            Source::Debian { .. } | Source::File { .. } => {}
        }
    }
    if must_agree && worth_locking(&pinned) {
        let name = &component.name;
        let agrees = locked.is_some_and(|locked| {
            locked.version == pinned.version
                && pinned
                    .release
                    .iter()
                    .all(|(arch, release)| locked.release.get(arch) == Some(release))
        });
        if !agrees {
            let version = &component.version;
            let says = locked.map_or("does not know it".to_owned(), |locked| {
                format!("says {}", locked.version)
            });
            bail_input!(
                "the definition asks for {name} {version}, the lock {says}: run `pkgbuilder lock`, or build without \
                 `--locked`"
            );
        }
    }
    Ok(pinned)
}

/// Whether the sums of the lock are those of the module as the definition now has it.
fn agrees(go: &GoModule, locked: &LockedModule) -> bool {
    locked.module == go.module
        && locked.replace.keys().eq(go.replace.keys())
        && go
            .replace
            .iter()
            .all(|(module, version)| version == COMMIT || locked.replace.get(module) == Some(version))
}

/// Whether a lock needs to say anything about it: Debian's packages are locked elsewhere, and files of this checkout
/// are as they are.
pub(super) fn worth_locking(pinned: &LockedComponent) -> bool {
    pinned.go_module.is_some() || !pinned.release.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn locked(version: &str, digest: &str) -> LockedComponent {
        let release = LockedRelease {
            url: "https://example.org/x.zip".to_owned(),
            sha256: digest.to_owned(),
        };
        LockedComponent {
            version: version.to_owned(),
            release: [(Arch::Arm64, release)].into(),
            go_module: None,
        }
    }

    #[test]
    fn what_moved_is_said_per_component() {
        let before = [("a", "1", "x"), ("b", "1", "x"), ("c", "1", "x"), ("d", "1", "x")];
        let after = [("a", "2", "y"), ("b", "1", "y"), ("c", "1", "x"), ("e", "3", "x")];
        let [before, after] = [before, after].map(|all| {
            let all = all.iter();
            all.map(|(name, version, digest)| ((*name).to_owned(), locked(version, digest)))
                .collect()
        });
        assert_eq!(
            moves(&before, &after),
            [
                "a: 1 -> 2",
                "b: 1, release archives pinned anew",
                "e: new, 3",
                "d: 1, no longer needed"
            ]
        );
    }
}
