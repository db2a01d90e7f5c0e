//! The source `file`: a .deb that lies in the checkout, such as the agent's.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use computatom_spec::arch::Arch;
use debversion::Version;

use super::{Attempt, Workbench};
use crate::definition::image::{Component, Relations, Source};
use crate::package::{Deb, Note, open};
use crate::verify::Sha256;
use crate::{bail_input, input_error};

/// Finds the .deb: `{arch}` is Debian's name, `{version}` the component's, or any where that is `*` (then the newest).
pub fn give(
    bench: &Workbench<'_>,
    component: &Component,
    pattern: &str,
    digests: &BTreeMap<Arch, String>,
) -> Result<Attempt> {
    let pattern = pattern.replace("{arch}", bench.arch.names().debian);
    let Some(path) = find(bench.root, &pattern, &component.version)? else {
        bail_input!(
            "{} for {} is not there: {} does not exist; scripts/build makes it",
            component.name,
            bench.arch,
            bench
                .root
                .join(pattern.replace("{version}", &component.version))
                .display()
        );
    };
    if let Some(digest) = digests.get(&bench.arch) {
        let (wanted, found): (Sha256, Sha256) = (digest.parse()?, Sha256::of_file(&path)?);
        if wanted != found {
            bail_input!(
                "{} has the digest {found}, the definition says {wanted}",
                path.display()
            );
        }
    }
    Ok(Attempt::Deb(path))
}

/// Takes the .deb into the cache.
pub fn deb(bench: &Workbench<'_>, component: &Component, path: &Path) -> Result<Deb> {
    let content = fs::read(path).with_context(|| format!("reading {}", path.display()))?;
    let (sha256, object) = bench.fetcher.cache().put(&content)?;
    let source = component
        .sources
        .iter()
        .find(|source| matches!(source, Source::File { .. }))
        .ok_or_else(|| input_error!("{} has no file", component.name))?;
    let note = Note {
        sha256,
        path: object,
        origin: path.strip_prefix(bench.root).unwrap_or(path).display().to_string(),
    };
    let deb = open(component, source, note)?;
    let arch = bench.arch.names().debian;
    if deb.record.architecture != arch && deb.record.architecture != "all" {
        bail_input!("{} is for {}, not {arch}", path.display(), deb.record.architecture);
    }
    Ok(deb)
}

/// The control stanza of a .deb that may not be there yet, as far as the solver asks. Its version is no part of that
/// question: "0" where the file decides it.
pub fn declared(component: &Component, relations: &Relations, arch: Arch) -> String {
    let version = if component.version == "*" {
        "0"
    } else {
        &component.version
    };
    let mut stanza = format!(
        "Package: {}\nVersion: {version}\nArchitecture: {arch}\n",
        component.name
    );
    for (field, entries) in [
        ("Depends", &relations.depends),
        ("Recommends", &relations.recommends),
        ("Provides", &relations.provides),
    ] {
        if !entries.is_empty() {
            stanza.extend([field, ": ", &entries.join(", "), "\n"]);
        }
    }
    stanza
}

fn find(root: &Path, pattern: &str, version: &str) -> Result<Option<PathBuf>> {
    if version != "*" || !pattern.contains("{version}") {
        let path = root.join(pattern.replace("{version}", version));
        return Ok(path.is_file().then_some(path));
    }
    let path = root.join(pattern);
    let (Some(folder), Some(name)) = (path.parent(), path.file_name().and_then(|name| name.to_str())) else {
        bail_input!("`{pattern}` is not the path of a file");
    };
    let Some((before, after)) = name.split_once("{version}") else {
        bail_input!("`{pattern}`: `{{version}}` belongs into the file's name");
    };
    let Ok(entries) = fs::read_dir(folder) else {
        return Ok(None);
    };
    Ok(entries
        .flatten()
        .filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            let version: Version = name.strip_prefix(before)?.strip_suffix(after)?.parse().ok()?;
            Some((version, entry.path()))
        })
        .max_by(|(a, _), (b, _)| a.cmp(b))
        .map(|(_, path)| path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_version_is_found() {
        let folder = tempfile::tempdir().unwrap();
        for name in [
            "a_0.9.0-1_arm64.deb",
            "a_0.10.0-1_arm64.deb",
            "a_0.11.0-1_amd64.deb",
            "b_1_arm64.deb",
        ] {
            fs::write(folder.path().join(name), "").unwrap();
        }
        let newest = find(folder.path(), "a_{version}_arm64.deb", "*").unwrap().unwrap();
        assert!(newest.ends_with("a_0.10.0-1_arm64.deb"));
        assert_eq!(find(folder.path(), "c_{version}_arm64.deb", "*").unwrap(), None);
        assert_eq!(find(folder.path(), "nowhere/c_{version}_arm64.deb", "*").unwrap(), None);
        assert!(
            find(folder.path(), "a_{version}_arm64.deb", "0.9.0-1")
                .unwrap()
                .is_some()
        );
    }
}
