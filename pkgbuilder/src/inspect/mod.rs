//! What a finished image holds, read out of the image itself, or as its manifest says.

/// An image, opened.
pub mod image;

/// Manifests, which may be of other versions.
pub mod manifest;

/// A single .deb.
pub mod package;

/// What takes the room.
pub mod sizes;

/// The root file system of an image.
pub mod squashfs;

/// What takes the room, as a picture.
pub mod treemap;

use std::fmt::Write;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use anyhow::{Context, Result};
use computatom_spec::manifest::Manifest;

use crate::reporter::Reporter;
use crate::verify::Sha256;
use crate::verify::sums::Sums;
use crate::{bail_input, diff};

/// Endings of what `build` writes beside a manifest.
const OUTPUTS: [&str; 5] = [".img.zst", ".img", ".manifest.json", ".bmap", ".spdx.json"];

/// The list of digests beside them.
const SUMS: &str = "SHA256SUMS";
/// The largest file whose digest is taken before it is answered what it holds: a compressed image, within half a second.
const LARGEST: u64 = 1 << 30;

/// What there is to be inspected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// A definition, by name or path.
    Definition,
    /// A disk image, raw or compressed.
    Image,
    /// A manifest, or what lies beside an image and one.
    Companion,
    /// A .deb.
    Package,
}

/// What `path` is, by its name and, if it is there, by how it begins.
///
/// # Errors
///
/// An [`crate::failure::InputError`] if it is an output that is not there, or nothing that can be inspected.
pub fn subject(path: &Path) -> Result<Subject> {
    let name = file_name(path);
    if Path::new(&name).extension().is_some_and(|extension| extension == "deb") {
        return Ok(Subject::Package);
    }
    let named = OUTPUTS[..2].iter().any(|ending| name.ends_with(ending));
    if path.is_file() && (named || begins_as_image(path)) {
        return Ok(Subject::Image);
    }
    Ok(match manifest_of(path)? {
        Some(_) => Subject::Companion,
        None => Subject::Definition,
    })
}

/// Whether a file begins with zstd's magic number or a partition table.
fn begins_as_image(path: &Path) -> bool {
    let mut sector = [0; 512];
    let read = File::open(path).and_then(|mut file| file.read_exact(&mut sector));
    read.is_ok() && (sector.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) || sector.ends_with(&[0x55, 0xaa]))
}

/// What an image or a manifest holds, to be compared with another.
///
/// # Errors
///
/// What is neither is wrong input; also fails where an image cannot be read.
pub fn read(path: &Path, reporter: &Reporter) -> Result<diff::Subject> {
    let name = path.display().to_string();
    match subject(path)? {
        Subject::Image => {
            let image = image::Opened::open(path, reporter)?;
            Ok(diff::Subject {
                name,
                manifest: image.whole_manifest()?,
                compressed: image.compressed(),
            })
        }
        Subject::Companion => Ok(diff::Subject {
            name,
            manifest: manifest_of(path)?.context("it was there a moment ago")?,
            compressed: None,
        }),
        Subject::Definition if path.is_dir() => {
            bail_input!("{name} is a folder: name an image in it, or its .manifest.json")
        }
        Subject::Definition => bail_input!(
            "{name} is a definition, or not there: build it first (`pkgbuilder build {name}`), and name the image or its \
             .manifest.json"
        ),
        Subject::Package => bail_input!("{name} is a single package: name an image, or its .manifest.json"),
    }
}

/// The manifest of an image, of one of its companions, or itself; nothing if `path` may be a definition.
///
/// # Errors
///
/// An [`crate::failure::InputError`] if the file or its manifest is missing, or is neither of these.
pub fn manifest_of(path: &Path) -> Result<Option<Manifest>> {
    let name = file_name(path);
    let Some(stem) = OUTPUTS.iter().find_map(|ending| name.strip_suffix(ending)) else {
        if path.is_file() && !name.ends_with(".jsonnet") {
            bail_input!(
                "{} is nothing that can be inspected: name a definition (`home`, or a path to a .jsonnet file) or what \
                 `pkgbuilder build` wrote ({}, .deb); files are compared with {SUMS} by `sha256sum --check {SUMS}` in their \
                 folder",
                path.display(),
                OUTPUTS.join(", ")
            );
        }
        return Ok(None);
    };
    let manifest = path.with_file_name(format!("{stem}.manifest.json"));
    for file in [path, &manifest] {
        if !file.is_file() {
            bail_input!(
                "{} is not there: `pkgbuilder build {}` makes it",
                file.display(),
                stem.split('-').next().unwrap_or(stem)
            );
        }
    }
    let text = std::fs::read(&manifest).with_context(|| format!("reading {}", manifest.display()))?;
    Ok(Some(manifest::parse(&manifest.display().to_string(), &text)?))
}

/// Why what `build` wrote as `path` is not to be trusted: it or its manifest is not what the `SHA256SUMS` beside it says.
/// Nothing if they are, or if there is no such list; a raw image is too large to be looked at.
pub fn doubt(path: &Path) -> Result<Option<String>> {
    let sums = path.with_file_name(SUMS);
    if !sums.is_file() {
        return Ok(None);
    }
    let text = std::fs::read(&sums).with_context(|| format!("reading {}", sums.display()))?;
    let sums = Sums::parse(&sums.display().to_string(), &text)?;
    let name = file_name(path);
    let stem = OUTPUTS.iter().find_map(|ending| name.strip_suffix(ending));
    let manifest = path.with_file_name(format!("{}.manifest.json", stem.unwrap_or(&name)));
    for file in [path, &manifest] {
        let size = std::fs::metadata(file).with_context(|| format!("looking at {}", file.display()))?;
        if size.len() <= LARGEST
            && let Some(expected) = sums.of(file)
            && Sha256::of_file(file)? != expected
        {
            return Ok(Some(format!(
                "{} is not what {SUMS} beside it says: it was damaged or changed after the build",
                file.display()
            )));
        }
    }
    Ok(None)
}

fn file_name(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
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

/// The licences of all packages, for people.
pub fn licenses(manifest: &Manifest) -> String {
    let width = manifest
        .packages
        .iter()
        .map(|package| package.name.len())
        .max()
        .unwrap_or(0);
    let mut text = String::new();
    for package in &manifest.packages {
        let license = match package.license.as_str() {
            "" => format!("not told: {}", package.license_from),
            expression => expression.to_owned(),
        };
        let _ = writeln!(text, "{:width$}  {license}", package.name);
    }
    text
}

#[cfg(test)]
mod tests {
    use computatom_spec::manifest::{FORMAT, PackageRecord};

    use super::*;

    #[test]
    fn what_is_not_an_output_is_left_to_the_definitions() {
        assert!(manifest_of(Path::new("home")).unwrap().is_none());
        assert!(manifest_of(Path::new("images/home.jsonnet")).unwrap().is_none());
        let error = manifest_of(Path::new("out/gone-vm.img.zst")).unwrap_err();
        assert!(error.to_string().contains("pkgbuilder build gone"), "{error}");
    }

    #[test]
    fn only_what_is_there_is_inspected_and_what_was_changed_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let write = |name: &str, content: &str| std::fs::write(path(name), content).unwrap();
        write(
            "home-x.manifest.json",
            &serde_json::to_string(&manifest(Vec::new())).unwrap(),
        );
        let image = path("home-x.img.zst");
        let error = manifest_of(&image).unwrap_err().to_string();
        assert!(error.contains("home-x.img.zst is not there"), "{error}");

        write("home-x.img.zst", "image");
        assert!(manifest_of(&image).unwrap().is_some());
        assert_eq!(doubt(&image).unwrap(), None, "there is no list");
        let sum = |name: &str| format!("{}  {name}\n", Sha256::of_file(&path(name)).unwrap());
        write("SHA256SUMS", &(sum("home-x.img.zst") + &sum("home-x.manifest.json")));
        assert_eq!(doubt(&image).unwrap(), None);
        write("home-x.img.zst", "another");
        assert!(doubt(&image).unwrap().unwrap().contains("home-x.img.zst is not what"));
        assert_eq!(doubt(&path("home-x.manifest.json")).unwrap(), None);
        write("home-x.manifest.json", "{}");
        let doubt = doubt(&path("home-x.manifest.json")).unwrap().unwrap();
        assert!(doubt.contains("home-x.manifest.json is not what"), "{doubt}");

        let error = manifest_of(&path("SHA256SUMS")).unwrap_err();
        assert_eq!(crate::failure::exit_code(&error), 2);
        assert!(error.to_string().contains("sha256sum --check"), "{error}");
    }

    fn manifest(packages: Vec<PackageRecord>) -> Manifest {
        Manifest {
            format: FORMAT,
            image: "home".to_owned(),
            target: "raspberrypi-arm64".to_owned(),
            tool: "0".to_owned(),
            epoch: 0,
            definition: serde_json::Value::Null,
            packages,
            files: std::collections::BTreeMap::new(),
            volumes: std::collections::BTreeMap::new(),
        }
    }

    #[test]
    fn our_own_packages_come_first() {
        let package = |name: &str, source: &str| PackageRecord {
            name: name.to_owned(),
            version: "1".to_owned(),
            architecture: "arm64".to_owned(),
            source: source.to_owned(),
            ..PackageRecord::default()
        };
        let manifest = manifest(vec![package("apt", "debian"), package("nomad", "go-module")]);
        let text = table(&manifest);
        assert!(text.find("nomad").unwrap() < text.find("apt").unwrap());
    }
}
