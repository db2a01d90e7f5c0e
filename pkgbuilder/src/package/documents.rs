//! The papers of a package: `copyright`, changelog, lintian overrides.

use std::io::Write;

use anyhow::{Context, Result};
use flate2::{Compression, GzBuilder};

use super::data::Entry;
use super::date::ChangelogDate;
use crate::definition::image::Component;

/// Columns of a changelog's line.
const LINE: usize = 78;

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
        "{} ({version}) trixie; urgency=medium\n\n{}\n -- {maintainer}  {}\n",
        component.name,
        item(&format!("Packaged from {origin}.")),
        ChangelogDate(epoch)
    )
}

/// A change, its lines short enough for a terminal where the words allow it.
fn item(text: &str) -> String {
    let mut lines = vec!["  *".to_owned()];
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.len() + 1 + word.len() <= LINE => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(format!("    {word}")),
        }
    }
    lines.join("\n") + "\n"
}

/// Lintian overrides, each below its reason.
pub fn lintian_overrides(component: &Component) -> String {
    let overrides = component.recipe.iter().flat_map(|recipe| &recipe.lintian_overrides);
    let own = overrides.map(|entry| (entry.tag.as_str(), entry.reason.as_str()));
    let always = (
        "initial-upload-closes-no-bugs",
        "made for our images, not uploaded to Debian",
    );
    let lines: Vec<String> = std::iter::once(always)
        .chain(own)
        .map(|(tag, reason)| format!("# {reason}\n{}: {tag}\n", component.name))
        .collect();
    lines.concat()
}

/// A file compressed as Policy 12.7 wants it: `gzip -9n`.
pub fn gzip(path: &str, text: &str) -> Result<Entry> {
    let mut gz = GzBuilder::new().mtime(0).write(Vec::new(), Compression::best());
    gz.write_all(text.as_bytes()).context("compressing a text")?;
    Ok(Entry::file(path, 0o644, gz.finish().context("compressing a text")?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_wrapped_between_words() {
        let origin = format!("Packaged from {} and {}.", "x".repeat(90), "y ".repeat(40).trim_end());
        let text = item(&origin);
        assert_eq!(text.lines().next(), Some("  * Packaged from"));
        let long: Vec<&str> = text.lines().filter(|line| line.len() > LINE).collect();
        assert_eq!(long.len(), 1, "only the word that cannot be broken");
        assert_eq!(text.split_whitespace().skip(1).collect::<Vec<_>>().join(" "), origin);
    }
}
