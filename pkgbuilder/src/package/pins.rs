//! What the lock pins of a component: taken from the lock where it agrees with the definition.

use anyhow::Result;

use crate::bail_input;
use crate::definition::image::{Component, GoModule, Source};
use crate::package::sources::go_module::COMMIT;
use crate::resolve::lock::{LockedComponent, LockedModule, LockedRelease};

/// The pins of `component`: the definition's digests, and the module sums of the lock where they are for the same
/// version. With `must_agree` a lock that says otherwise is refused.
pub(super) fn of(component: &Component, locked: Option<&LockedComponent>, must_agree: bool) -> Result<LockedComponent> {
    let mut pinned = LockedComponent {
        version: component.version.clone(),
        release: std::collections::BTreeMap::new(),
        go_module: None,
    };
    for source in &component.sources {
        match source {
            Source::Release { sha256, .. } => {
                for (&arch, digest) in sha256 {
                    let Some(url) = release_url(source, &component.version, arch) else {
                        continue;
                    };
                    let sha256 = digest.clone();
                    pinned.release.insert(arch, LockedRelease { url, sha256 });
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

/// The address of a release archive.
fn release_url(source: &Source, version: &str, arch: computatom_spec::arch::Arch) -> Option<String> {
    let Source::Release { url, arch_names, .. } = source else {
        return None;
    };
    let names = arch.names();
    let spelled = match arch_names.as_str() {
        "hashicorp" => names.hashicorp,
        "goreleaser" => names.goreleaser,
        _ => names.debian,
    };
    Some(url.replace("{version}", version).replace("{arch}", spelled))
}
