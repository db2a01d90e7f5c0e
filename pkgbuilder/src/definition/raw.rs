//! The definition as evaluated: its shape is right, its values are not yet checked.

use std::collections::BTreeMap;

use anyhow::Result;
use computatom_spec::arch::Arch;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::image::{Debian, Dropped, Format, Partitions, Recipe, Source, Units};
use super::jsonnet::Evaluated;
use super::sources::Sources;
use crate::input_error;

/// An image definition as `computatom.image` gives it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawImage {
    /// See [`super::Image::name`].
    pub name: String,
    /// See [`super::Image::description`].
    pub description: String,
    /// Targets, looked up in `targets.libsonnet`; one that is not there has no architecture.
    pub targets: Vec<RawTarget>,
    /// Names of roles.
    pub roles: Vec<String>,
    /// See [`super::Image::debian`].
    pub debian: Debian,
    /// Components by name, laid over the catalog.
    pub components: BTreeMap<String, RawComponent>,
    /// Names of the catalog.
    pub catalog: Vec<String>,
    /// See [`super::Image::exclude`].
    pub exclude: Vec<String>,
    /// Files by path.
    pub files: BTreeMap<String, RawFile>,
    /// See [`super::Image::units`].
    pub units: Units,
    /// See [`super::Image::partitions`].
    pub partitions: Partitions,
    /// See [`super::Image::disk_gib`].
    #[serde(default = "super::image::disk_gib")]
    pub disk_gib: u64,
    /// See [`super::Image::cmdline`].
    pub cmdline: Vec<String>,
    /// Site settings of the image's author, under those of the site.
    pub site: serde_json::Map<String, serde_json::Value>,
}

/// See [`super::image::Target`].
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawTarget {
    /// Name.
    pub name: String,
    /// Missing where the name is not in `targets.libsonnet`.
    pub arch: Option<Arch>,
    /// Debian packages.
    pub packages: Vec<String>,
    /// See [`super::image::Target::formats`].
    #[serde(default)]
    pub formats: Vec<Format>,
}

/// See [`super::image::Component`]. A name that is not in the catalog has nothing but what the definition gave.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawComponent {
    /// Upstream version.
    pub version: Option<String>,
    /// See [`super::image::Component::range`].
    #[serde(default)]
    pub range: Option<String>,
    /// See [`super::image::Component::minimum`].
    #[serde(default)]
    pub minimum: Option<String>,
    /// The only source allowed, where the definition fixes one (`go-module`).
    pub source: Option<String>,
    /// Versions that must not be used, with the reason and the way out.
    #[serde(default)]
    pub refused: BTreeMap<String, String>,
    /// SPDX expression.
    pub license: Option<String>,
    /// Upstream's page.
    pub homepage: Option<String>,
    /// Synopsis.
    pub summary: Option<String>,
    /// Extended description.
    #[serde(default)]
    pub description: String,
    /// Sources in order.
    pub sources: Option<Vec<Source>>,
    /// See [`super::image::Component::dropped`].
    #[serde(default)]
    pub dropped: Vec<Dropped>,
    /// How its .deb is made.
    pub recipe: Option<Recipe>,
}

/// See [`super::image::ImageFile`].
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawFile {
    /// Content.
    pub text: Option<String>,
    /// Link target.
    pub symlink: Option<String>,
    /// Octal mode.
    pub mode: Option<String>,
}

/// Reads an evaluated value as `T`; what does not fit is told with the file and line that wrote it.
pub fn read<T: DeserializeOwned>(evaluated: &Evaluated) -> Result<T> {
    serde_path_to_error::deserialize(&evaluated.value).map_err(|error| {
        let path = error.path().to_string();
        let text = error.inner().to_string();
        misfit(&evaluated.sources, &path, &text)
    })
}

/// The sentence for what serde says about the value at `path`.
fn misfit(sources: &Sources, path: &str, text: &str) -> anyhow::Error {
    let names = backticked(text);
    if text.starts_with("unknown field") || text.starts_with("unknown variant") {
        let Some((unknown, known)) = names.split_first() else {
            return input_error!("{}: {text}", written(sources, path));
        };
        let nearest = super::nearest(unknown, known);
        let known = known.join(", ");
        if text.starts_with("unknown variant") {
            let at = written(sources, path);
            return input_error!("{at}: `{path}`: unknown value `{unknown}`{nearest}; there are: {known}");
        }
        let place = key(path, unknown);
        return input_error!(
            "{}: unknown key `{place}`{nearest}; the keys there are: {known}",
            written(sources, &place)
        );
    }
    if let ("missing field", Some(missing)) = (text.get(..13).unwrap_or_default(), names.first()) {
        let owner = if path == "." {
            "the definition".to_owned()
        } else {
            format!("`{path}`")
        };
        let last = path.rsplit('.').next().unwrap_or(path);
        return input_error!(
            "{}: {owner} has no `{missing}`; `{last}+: {{ … }}` adds to the defaults, `{last}: {{ … }}` replaces them",
            written(sources, path)
        );
    }
    input_error!("{}: `{path}`: {text}", written(sources, path))
}

/// The whole name of an unknown key: serde's path may or may not end with it already.
fn key(path: &str, unknown: &str) -> String {
    if path == "." || path == unknown {
        unknown.to_owned()
    } else if path.ends_with(&format!(".{unknown}")) {
        path.to_owned()
    } else {
        format!("{path}.{unknown}")
    }
}

/// Where the field `name` is written, or the honest lack of an answer.
fn written(sources: &Sources, name: &str) -> String {
    match (sources.field(name), sources.files().first()) {
        (Some(place), _) => sources.position(place),
        (None, Some(file)) => format!("{} (in what it evaluates to)", file.shown),
        (None, None) => "the definition".to_owned(),
    }
}

/// The words that serde's message puts in backticks.
fn backticked(text: &str) -> Vec<String> {
    text.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}
