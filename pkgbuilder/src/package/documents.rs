//! The papers of a package: `copyright`, changelog, lintian overrides.

use std::io::Write;

use anyhow::{Context, Result};
use flate2::{Compression, GzBuilder};

use super::data::Entry;
use super::date::ChangelogDate;
use crate::definition::image::Component;

/// Lines of a licence are indented by a space, empty ones are dots: the form of a multi-line field.
fn field(text: &str) -> String {
    text.trim_end()
        .lines()
        .map(|line| match line.trim_end() {
            "" => " .\n".to_owned(),
            line => format!(" {line}\n"),
        })
        .collect()
}

/// `copyright` in DEP-5's machine-readable form, with upstream's own licence text.
pub fn copyright(component: &Component, holder: &str, origin: &str, licence: &str) -> String {
    format!(
        "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n\
         Upstream-Name: {}\n\
         Source: {}\n\
         Comment: packaged from {origin}\n\n\
         Files: *\n\
         Copyright: {holder}\n\
         License: {}\n\
         {}",
        component.name,
        component.homepage,
        component.license,
        field(licence)
    )
}

/// The Debian changelog with its one entry.
pub fn changelog(component: &Component, version: &str, maintainer: &str, origin: &str, epoch: i64) -> String {
    format!(
        "{} ({version}) trixie; urgency=medium\n\n  * Packaged from {origin}.\n\n -- {maintainer}  {}\n",
        component.name,
        ChangelogDate(epoch)
    )
}

/// Lintian overrides, each below its reason.
pub fn lintian_overrides(component: &Component) -> Option<String> {
    let overrides = &component.recipe.as_ref()?.lintian_overrides;
    let text: String = overrides
        .iter()
        .map(|entry| format!("# {}\n{}: {}\n", entry.reason, component.name, entry.tag))
        .collect();
    (!text.is_empty()).then_some(text)
}

/// A file compressed as Policy 12.7 wants it: `gzip -9n`.
pub fn gzip(path: &str, text: &str) -> Result<Entry> {
    let mut gz = GzBuilder::new().mtime(0).write(Vec::new(), Compression::best());
    gz.write_all(text.as_bytes()).context("compressing a text")?;
    Ok(Entry::file(path, 0o644, gz.finish().context("compressing a text")?))
}
