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
    let row = |component: &Component| {
        let comes = |arch: Arch, wanted: fn(&Source) -> bool| {
            let mut sources = component.sources.iter();
            sources.any(|source| wanted(source) && has(component, source, arch))
        };
        let upstream = |source: &Source| !matches!(source, Source::Debian { .. });
        let mut architectures = Arch::ALL.to_vec();
        architectures.retain(|arch| comes(*arch, |_| true));
        let mut debian_only = architectures.clone();
        debian_only.retain(|arch| !comes(*arch, upstream));
        Row {
            name: component.name.clone(),
            version: component.version.clone(),
            architectures,
            debian_only,
            sources: component.sources.iter().map(Source::name).collect(),
            license: component.license.clone(),
            homepage: component.homepage.clone(),
            summary: component.summary.clone(),
        }
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
    use crate::package::data::Entry;
    use crate::package::scripts::Scripts;

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

    /// The text of each of a component's files that the catalog itself writes, by path.
    fn texts(component: &Component) -> Vec<(&str, &str)> {
        let contents = component.recipe.iter().flat_map(|recipe| &recipe.contents);
        contents
            .filter_map(|content| Some((content.dst.as_str(), content.text.as_deref()?)))
            .collect()
    }

    #[test]
    fn what_a_service_keeps_goes_when_its_package_is_purged() {
        let mut keeping = 0;
        for component in &catalog() {
            let entries: Vec<Entry> = texts(component)
                .iter()
                .map(|(path, text)| Entry::file(path, 0o644, text.as_bytes().to_vec()))
                .collect();
            let purge = Scripts::of(&entries, &[]).postrm;
            let units = texts(component)
                .into_iter()
                .filter(|(path, _)| path.ends_with(".service"));
            for (path, text) in units {
                let kept = text.lines().filter_map(|line| line.strip_prefix("StateDirectory="));
                for folder in kept.flat_map(str::split_whitespace) {
                    keeping += 1;
                    let whole = format!("'/var/lib/{folder}'");
                    let within = format!("'/var/lib/{folder}/");
                    assert!(
                        purge.contains(&whole) || purge.contains(&within),
                        "{path} keeps /var/lib/{folder}, which purging {} leaves:\n{purge}",
                        component.name
                    );
                }
            }
        }
        assert!(keeping > 4, "only {keeping} folders");
        let of = |name: &str| catalog().into_iter().find(|component| component.name == name).unwrap();
        let shared = of("prometheus-alertmanager");
        assert!(
            texts(&shared)
                .iter()
                .all(|(path, text)| !path.contains("tmpfiles") || !text.contains("prometheus 0755")),
            "/var/lib/prometheus is also others'"
        );
    }

    /// Bash, zsh and fish know what to offer; the names are those of the programs that people type.
    #[test]
    fn commands_complete_themselves() {
        let components = catalog();
        let placed: Vec<&str> = components
            .iter()
            .flat_map(|component| component.recipe.iter().flat_map(|recipe| &recipe.contents))
            .map(|content| content.dst.as_str())
            .collect();
        for command in [
            "amtool",
            "caddy",
            "consul",
            "nomad",
            "promtool",
            "restic",
            "terraform",
            "vault",
        ] {
            for path in [
                format!("/usr/bin/{command}"),
                format!("/usr/share/bash-completion/completions/{command}"),
                format!("/usr/share/zsh/vendor-completions/_{command}"),
                format!("/usr/share/fish/vendor_completions.d/{command}.fish"),
            ] {
                assert!(placed.contains(&path.as_str()), "no package has {path}");
            }
        }
    }

    /// What bash offers after `words`, by the completions of the catalog and a program that is the shell script `program`.
    fn bash_offers(program: &str, words: &[&str]) -> String {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let file = format!("/usr/share/bash-completion/completions/{}", words[0]);
        let components = catalog();
        let mut texts = components.iter().flat_map(texts);
        let (_, completion) = texts.find(|(path, _)| *path == file).unwrap();
        let executable = folder.path().join(words[0]);
        std::fs::write(&executable, format!("#!/bin/sh\n{program}\n")).unwrap();
        std::fs::set_permissions(&executable, std::fs::Permissions::from_mode(0o755)).unwrap();
        let quoted: Vec<String> = words.iter().map(|word| format!("'{word}'")).collect();
        let script = format!(
            "PATH={}:$PATH\n{completion}\nspec=$(complete -p {command})\nfunction=${{spec##*-F }}; \
             function=${{function%% *}}\nCOMP_WORDS=({words}); COMP_CWORD={last}\n$function {command} '{word}'\n\
             printf '%s\\n' \"${{COMPREPLY[@]}}\"\n",
            folder.path().display(),
            command = words[0],
            words = quoted.join(" "),
            last = words.len() - 1,
            word = words[words.len() - 1],
        );
        let output = std::process::Command::new("bash")
            .args(["--norc", "-c", &script])
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    #[test]
    fn completions_ask_the_program() {
        // Kingpin: it is given the words so far, and answers words.
        let kingpin = "[ \"$*\" = '--completion-bash check co' ] && printf 'config\\ncore files\\nrules\\n'";
        assert_eq!(
            bash_offers(kingpin, &["promtool", "check", "co"]),
            "config\ncore files\n"
        );
        // Cobra: it prints a script when the completions are first loaded.
        let cobra =
            "[ \"$*\" = 'completion bash' ] && echo '_caddy() { COMPREPLY=(reload run); }; complete -F _caddy caddy'";
        assert_eq!(bash_offers(cobra, &["caddy", "r"]), "reload\nrun\n");
    }
}
