//! What can be had from where: the catalog as a table, for people (`pkgbuilder packages --list`), programs (`--json`)
//! and docs/packages.md.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use anyhow::Result;
use computatom_spec::arch::Arch;
use serde::Serialize;

use crate::definition::image::{Component, Source};
use crate::definition::root_of;
use crate::package::sources::release;

/// The definition that names every component, below the top of a checkout. Its lock pins them for `packages
/// --component`.
const PATH: &str = "jsonnet/catalog.jsonnet";

/// Where the definition of the whole catalog lies, for a person who is in `folder`.
pub fn path(folder: &Path) -> Result<PathBuf> {
    Ok(root_of(folder)?.join(PATH))
}

/// What the catalog says of a component at its default version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Row {
    /// Name of the component and its package.
    pub name: String,
    /// Version; `*` where the source decides.
    pub version: String,
    /// Architectures that at least one source has.
    pub architectures: Vec<Arch>,
    /// Those of them that Debian alone has, in its own version.
    pub debian_only: Vec<Arch>,
    /// Sources in the order they are tried.
    pub sources: Vec<&'static str>,
    /// SPDX expression.
    pub license: String,
    /// Upstream's page.
    pub homepage: String,
    /// One line.
    pub summary: String,
}

/// The rows of `components`.
pub fn rows(components: &[Component]) -> Vec<Row> {
    let of = |component: &Component, wanted: &dyn Fn(&Source) -> bool| -> Vec<Arch> {
        let has = |arch: &Arch| {
            let mut sources = component.sources.iter().filter(|source| wanted(source));
            sources.any(|source| has(component, source, *arch))
        };
        Arch::ALL.into_iter().filter(has).collect()
    };
    let upstream = |source: &Source| !matches!(source, Source::Debian { .. });
    let row = |component: &Component| Row {
        name: component.name.clone(),
        version: component.version.clone(),
        architectures: of(component, &|_| true),
        debian_only: {
            let own = of(component, &upstream);
            of(component, &|source| !upstream(source))
                .into_iter()
                .filter(|arch| !own.contains(arch))
                .collect()
        },
        sources: component.sources.iter().map(Source::name).collect(),
        license: component.license.clone(),
        homepage: component.homepage.clone(),
        summary: component.summary.clone(),
    };
    components.iter().map(row).collect()
}

/// Whether a source has an architecture, as far as the catalog knows. Of an archive whose digests are yet to be pinned
/// it is believed unless upstream dropped the architecture.
fn has(component: &Component, source: &Source, arch: Arch) -> bool {
    match source {
        Source::Release { .. } if release::url(source, &component.version, arch).is_none() => false,
        Source::Release { sha256, .. } if sha256.is_empty() => crate::package::dropped(component, arch).is_none(),
        Source::Release { sha256, .. } => sha256.contains_key(&arch),
        Source::GoModule(_) | Source::Debian { .. } | Source::File { .. } => true,
    }
}

/// The table for people.
pub fn table(rows: &[Row]) -> String {
    lines(rows, |cells, widths| {
        let padded: Vec<String> = cells
            .iter()
            .zip(widths)
            .map(|(cell, width)| format!("{cell:width$}"))
            .collect();
        padded.join("  ").trim_end().to_owned()
    })
}

/// The table of docs/packages.md.
pub fn markdown(rows: &[Row]) -> String {
    let rule = "|---".repeat(HEAD.len());
    let body = lines(rows, |cells, _| format!("| {} |", cells.join(" | ")));
    body.replacen('\n', &format!("\n{rule}|\n"), 1)
}

const HEAD: [&str; 6] = [
    "component",
    "version",
    "architectures",
    "sources",
    "licence",
    "homepage",
];

fn lines(rows: &[Row], line: impl Fn(&[String], &[usize]) -> String) -> String {
    let mut cells = vec![HEAD.map(str::to_owned)];
    cells.extend(rows.iter().map(|row| {
        [
            row.name.clone(),
            row.version.clone(),
            architectures(row),
            row.sources.join(", "),
            row.license.clone(),
            row.homepage.clone(),
        ]
    }));
    let widths: Vec<usize> = (0..HEAD.len())
        .map(|column| cells.iter().map(|row| row[column].len()).max().unwrap_or(0))
        .collect();
    let mut text = String::new();
    for row in &cells {
        writeln!(text, "{}", line(row, &widths)).expect("a string takes all");
    }
    text
}

/// `amd64 arm64`, and `(Debian's version: armhf)` behind it where the version of the row is not what comes.
fn architectures(row: &Row) -> String {
    let words = |wanted: bool| {
        let these = row.architectures.iter();
        let these = these.filter(|arch| row.debian_only.contains(arch) == wanted);
        these.map(Arch::to_string).collect::<Vec<_>>().join(" ")
    };
    match words(true) {
        debian if debian.is_empty() => words(false),
        debian => format!("{} (Debian's version: {debian})", words(false))
            .trim_start()
            .to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::definition;

    fn catalog() -> Vec<Component> {
        let path = path(Path::new(env!("CARGO_MANIFEST_DIR"))).unwrap();
        let boards = crate::assemble::boards::names();
        definition::load(&path, None, boards).unwrap().components
    }

    #[test]
    fn the_documented_table_is_the_catalogs() {
        let documented = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/packages.md");
        let text = std::fs::read_to_string(documented).unwrap();
        let wanted = markdown(&rows(&catalog()));
        assert!(
            text.contains(&wanted),
            "docs/packages.md should hold this table:\n\n{wanted}"
        );
    }

    #[test]
    fn every_component_is_described_and_can_be_had_for_both_64_bit_architectures() {
        for row in rows(&catalog()) {
            assert!(!row.license.is_empty() && !row.summary.is_empty(), "{row:?}");
            assert!(
                row.homepage.starts_with("https://") || row.name == "computatom-agent",
                "{row:?}"
            );
            for arch in [Arch::Amd64, Arch::Arm64] {
                assert!(row.architectures.contains(&arch), "{row:?}");
            }
        }
    }

    #[test]
    fn what_only_debian_has_is_told_apart_and_homepages_are_shown() {
        let rows = rows(&catalog());
        let of = |name: &str| rows.iter().find(|row| row.name == name).unwrap();
        let prometheus = of("prometheus");
        assert_eq!(prometheus.debian_only, [Arch::Armhf, Arch::Armel]);
        let text = table(std::slice::from_ref(prometheus));
        let line = text.lines().nth(1).unwrap();
        assert!(line.contains("amd64 arm64 (Debian's version: armhf armel)"), "{line}");
        assert!(line.ends_with("https://github.com/prometheus/prometheus"), "{line}");
        // Of both Debian has a package, too.
        for name in ["restic", "prometheus-node-exporter"] {
            assert!(of(name).debian_only.is_empty(), "{name}");
        }
    }

    #[test]
    fn the_table_is_aligned_for_people() {
        let text = table(&rows(&catalog()));
        let column = text.lines().next().unwrap().find("version").unwrap();
        for line in text.lines() {
            assert_eq!(line.as_bytes()[column - 1], b' ', "{line}");
            assert_ne!(line.as_bytes()[column], b' ', "{line}");
        }
    }
}
