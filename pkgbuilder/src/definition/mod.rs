//! Stage 1: `images/<name>.jsonnet` to a validated [`Image`].

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::Value;

use crate::{bail_input, input_error};

/// The Jsonnet files of one evaluation, for messages.
pub mod sources;

/// Evaluation in process.
pub mod jsonnet;

/// The definition as evaluated.
pub mod raw;

/// The shapes of names.
mod names;

/// From the evaluated to the validated definition.
mod validate;

/// What must not be in an image.
mod secret;

/// The site settings.
mod site;

/// How packages are made.
pub mod recipe;

/// Which paths stay out of the root.
pub mod exclude;

/// Further apt sources, and what is taken from them.
pub mod apt_source;

/// Ranges of versions.
pub mod range;

/// The files that a build can leave.
pub mod format;

/// Topologies of virtual clusters.
pub mod topology;

/// The validated image definition and its parts.
pub mod image;

pub(crate) use computatom_spec::site::check_network;
pub use image::Image;
pub use site::{FILE as SITE_FILE, load_site};

/// Who answers for packages that no definition speaks for, as `jsonnet/maintainer.libsonnet` says it.
pub fn maintainer() -> &'static str {
    let text = include_str!("../../../jsonnet/maintainer.libsonnet");
    let mut values = text
        .lines()
        .filter_map(|line| line.strip_prefix('\'')?.strip_suffix('\''));
    values
        .next()
        .expect("the file's value is a line of its own: a test says so")
}

/// Loads the definition `path` with the site settings of `site`, or of `site.jsonnet` at the top of the repository
/// where there is one. `boards` are the targets that can be assembled.
pub fn load(path: &Path, site: Option<&Path>, boards: &[&str]) -> Result<Image> {
    load_versions(path, site, boards, &BTreeMap::new())
}

/// As [`load`], with components at other versions than the definition says.
pub fn load_versions(
    path: &Path,
    site: Option<&Path>,
    boards: &[&str],
    versions: &BTreeMap<String, String>,
) -> Result<Image> {
    let root = root_of(path)?;
    let default = root.join(SITE_FILE);
    if let Some(site) = site.filter(|site| !site.is_file()) {
        bail_input!(
            "there is no site file {}; copy site.example.jsonnet to begin with",
            site.display()
        );
    }
    let site = site.or_else(|| default.is_file().then_some(default.as_path()));
    load_with(path, site, boards, &root, versions)
}

/// As [`load`], with no site file unless one is given.
fn load_with(
    path: &Path,
    site: Option<&Path>,
    boards: &[&str],
    root: &Path,
    versions: &BTreeMap<String, String>,
) -> Result<Image> {
    let path = path
        .canonicalize()
        .map_err(|error| input_error!("cannot open {}: {error}", path.display()))?;
    let own = path.parent().unwrap_or(root).to_owned();
    let vocabulary = root.join("jsonnet");
    let evaluated = jsonnet::evaluate_over(&path, &[own, vocabulary], root, overlay(versions)?.as_deref())?;
    secret::check(&evaluated)?;
    let raw: raw::RawImage = raw::read(&evaluated)?;
    let settings = load_site(site, &raw.site, root)?;
    validate::Validator::new(&evaluated.sources, boards).image(raw, settings)
}

/// A function in Jsonnet that gives components of an image other versions: what follows from a version follows again.
fn overlay(versions: &BTreeMap<String, String>) -> Result<Option<String>> {
    if versions.is_empty() {
        return Ok(None);
    }
    let quoted = |text: &String| serde_json::to_string(text).context("writing down versions");
    let fields = versions
        .iter()
        .map(|(name, version)| Ok(format!("{}+: {{ version: {} }}", quoted(name)?, quoted(version)?)))
        .collect::<Result<Vec<_>>>()?
        .join(", ");
    Ok(Some(format!("function(image) image {{ components+: {{ {fields} }} }}")))
}

/// The definition called `name`: a path to a `.jsonnet` file, or the name of one in `images/` of the repository that
/// `folder` lies in.
pub fn find(name: &str, folder: &Path) -> Result<PathBuf> {
    if name.contains('/')
        || Path::new(name)
            .extension()
            .is_some_and(|extension| extension == "jsonnet")
    {
        let path = folder.join(name);
        if path.is_file() {
            return Ok(path);
        }
        bail_input!("there is no definition {}", path.display());
    }
    let images = root_of(folder)?.join("images");
    let path = images.join(format!("{name}.jsonnet"));
    if path.is_file() {
        return Ok(path);
    }
    let known: Vec<String> = std::fs::read_dir(&images)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| Some(entry.file_name().to_str()?.strip_suffix(".jsonnet")?.to_owned()))
        .collect();
    let nearest = nearest(name, &known);
    bail_input!("there is no definition `{name}` in {}{nearest}", images.display())
}

/// The top of the repository that a path lies in: the nearest folder above it that holds the vocabulary
/// (`jsonnet/computatom.libsonnet`).
pub fn root_of(path: &Path) -> Result<PathBuf> {
    let start = path
        .canonicalize()
        .map_err(|error| input_error!("cannot open {}: {error}", path.display()))?;
    start
        .ancestors()
        .find(|folder| folder.join("jsonnet/computatom.libsonnet").is_file())
        .map(Path::to_owned)
        .ok_or_else(|| {
            input_error!(
                "{} lies in no Computatom checkout (no folder above it has jsonnet/computatom.libsonnet): run this in \
                 one",
                path.display()
            )
        })
}

/// The definitions in `images/` of the checkout that `folder` lies in; none outside a checkout.
pub fn all(folder: &Path) -> Vec<PathBuf> {
    let Ok(root) = root_of(folder) else { return Vec::new() };
    let mut paths: Vec<PathBuf> = std::fs::read_dir(root.join("images"))
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "jsonnet"))
        .collect();
    paths.sort();
    paths
}

/// Names of the catalog's components: one file each in `jsonnet/components` of the checkout that `folder` lies in; none
/// outside a checkout.
pub fn components(folder: &Path) -> Vec<String> {
    let Ok(root) = root_of(folder) else { return Vec::new() };
    let mut names: Vec<String> = std::fs::read_dir(root.join("jsonnet/components"))
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| Some(entry.file_name().to_str()?.strip_suffix(".libsonnet")?.to_owned()))
        .collect();
    names.sort();
    names
}

impl jsonnet::Evaluated {
    /// A value that no file wrote.
    fn of(value: Value) -> Self {
        Self {
            value,
            sources: sources::Sources::default(),
        }
    }
}

/// ` (did you mean `…`?)`, when one of `known` is close to `given`; otherwise nothing.
pub(crate) fn nearest(given: &str, known: &[String]) -> String {
    known
        .iter()
        .map(|name| (strsim::damerau_levenshtein(given, name), name))
        .filter(|(distance, name)| *distance <= 1 + name.len().max(given.len()) / 4)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| format!(" (did you mean `{name}`?)"))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests;
