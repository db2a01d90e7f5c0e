//! What an image holds, as its manifest says.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use computatom_spec::manifest::Manifest;

use crate::{bail_input, input_error};

/// Endings of what `build` writes beside a manifest.
const OUTPUTS: [&str; 5] = [".img.zst", ".img", ".manifest.json", ".bmap", ".spdx.json"];

/// The manifest of an image, of one of its companions, or itself; nothing if `path` is not a file of ours.
pub fn manifest_of(path: &Path) -> Result<Option<Manifest>> {
    let name = path
        .file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default();
    let Some(stem) = OUTPUTS.iter().find_map(|ending| name.strip_suffix(ending)) else {
        return Ok(None);
    };
    let manifest: PathBuf = path.with_file_name(format!("{stem}.manifest.json"));
    if !manifest.is_file() {
        bail_input!(
            "{} is not there: `pkgbuilder build {}` writes it beside the image",
            manifest.display(),
            stem.split('-').next().unwrap_or(stem)
        );
    }
    let text = std::fs::read(&manifest).with_context(|| format!("reading {}", manifest.display()))?;
    let manifest = serde_json::from_slice(&text)
        .map_err(|error| input_error!("{} is not a manifest of this version: {error}", manifest.display()))?;
    Ok(Some(manifest))
}

/// A manifest for people: what does not come from Debian first, then the rest by name.
pub fn table(manifest: &Manifest) -> String {
    let mut text = format!(
        "{} for {}, built by pkgbuilder {}\n{} packages\n",
        manifest.image,
        manifest.target,
        manifest.tool,
        manifest.packages.len()
    );
    let mut packages: Vec<_> = manifest.packages.iter().collect();
    packages.sort_by_key(|package| (package.source == "debian", &package.name));
    let width = packages.iter().map(|package| package.name.len()).max().unwrap_or(0);
    let versions = packages.iter().map(|package| package.version.len()).max().unwrap_or(0);
    for package in packages {
        write!(
            text,
            "\n{:width$}  {:versions$}  {:9}  {}",
            package.name, package.version, package.source, package.origin
        )
        .expect("a string takes all");
    }
    text
}

#[cfg(test)]
mod tests {
    use computatom_spec::manifest::PackageRecord;

    use super::*;

    #[test]
    fn what_is_not_an_output_is_left_to_the_definitions() {
        assert!(manifest_of(Path::new("home")).unwrap().is_none());
        assert!(manifest_of(Path::new("images/home.jsonnet")).unwrap().is_none());
        let error = manifest_of(Path::new("out/gone-vm.img.zst")).unwrap_err();
        assert!(error.to_string().contains("pkgbuilder build gone"), "{error}");
    }

    #[test]
    fn our_own_packages_come_first() {
        let package = |name: &str, source: &str| PackageRecord {
            name: name.to_owned(),
            version: "1".to_owned(),
            architecture: "arm64".to_owned(),
            digest: String::new(),
            source: source.to_owned(),
            origin: String::new(),
            verified: String::new(),
        };
        let manifest = Manifest {
            format: 1,
            image: "home".to_owned(),
            target: "raspberrypi-arm64".to_owned(),
            tool: "0".to_owned(),
            epoch: 0,
            definition: serde_json::Value::Null,
            packages: vec![package("apt", "debian"), package("nomad", "go-module")],
            files: std::collections::BTreeMap::new(),
        };
        let text = table(&manifest);
        assert!(text.find("nomad").unwrap() < text.find("apt").unwrap());
    }
}
