//! dpkg's `path-exclude` and `path-include`: files that a package lists but that are not unpacked.

use anyhow::{Context as _, Result};
use globset::{GlobBuilder, GlobMatcher};

/// One rule, as written in `dpkg.cfg.d`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PathRule {
    /// `path-exclude=PATTERN`
    Exclude(String),
    /// `path-include=PATTERN`: takes back what an earlier rule excluded.
    Include(String),
}

/// Rules in order; of those that match a path the last one decides. `*` and `?` match `/` too (dpkg(1)).
#[derive(Debug, Default)]
pub struct PathFilters {
    rules: Vec<(bool, String, GlobMatcher)>,
}

impl PathFilters {
    /// Compiles rules.
    pub fn new(rules: &[PathRule]) -> Result<Self> {
        let rules = rules.iter().map(|rule| {
            let (exclude, pattern) = match rule {
                PathRule::Exclude(pattern) => (true, pattern),
                PathRule::Include(pattern) => (false, pattern),
            };
            let matcher = GlobBuilder::new(&as_glob(pattern))
                .literal_separator(false)
                .backslash_escape(true)
                .build()
                .with_context(|| format!("reading the path filter `{pattern}`"))?
                .compile_matcher();
            Ok((exclude, pattern.clone(), matcher))
        });
        Ok(Self {
            rules: rules.collect::<Result<_>>()?,
        })
    }

    /// Whether the entry `path` is left out. What may lead to a file that an include rule brings back stays: a
    /// directory, or a link, which may lead to one.
    pub fn excludes(&self, path: &str, may_lead_on: bool) -> bool {
        let last = self.rules.iter().rev().find(|(_, _, matcher)| matcher.is_match(path));
        let Some((true, ..)) = last else {
            return false;
        };
        !(may_lead_on
            && self
                .rules
                .iter()
                .any(|(exclude, pattern, _)| !exclude && may_reach(pattern, path)))
    }
}

/// Whether `pattern` may match something below `dir`: its literal start agrees with it (dpkg's
/// `filter_should_skip`, but for what lies above that start: there dpkg leaves the directory out and then cannot unpack
/// the file).
fn may_reach(pattern: &str, dir: &str) -> bool {
    let literal = &pattern[..pattern.find(['*', '?', '[', '\\']).unwrap_or(pattern.len())];
    let dir = format!("{dir}/");
    literal.starts_with(&dir) || dir.starts_with(literal)
}

/// `fnmatch(3)` knows neither `{a,b}` nor `**`.
fn as_glob(pattern: &str) -> String {
    let mut glob = String::new();
    for c in pattern.chars() {
        match c {
            '{' | '}' => glob.extend(['[', c, ']']),
            '*' if glob.ends_with('*') => {}
            c => glob.push(c),
        }
    }
    glob
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;
    use std::process::Command;

    use super::*;

    #[test]
    fn the_last_matching_rule_decides() {
        let filters = PathFilters::new(&[
            PathRule::Exclude("/usr/share/doc/*".to_owned()),
            PathRule::Include("/usr/share/doc/*/copyright".to_owned()),
            PathRule::Exclude("/usr/share/locale/{de}/**".to_owned()),
        ])
        .unwrap();
        assert!(filters.excludes("/usr/share/doc/bash/examples/a.gz", false));
        assert!(!filters.excludes("/usr/share/doc/bash/copyright", false));
        assert!(!filters.excludes("/usr/share/doc/bash", true));
        assert!(!filters.excludes("/usr/share/doc", true));
        assert!(!filters.excludes("/usr/share/docs/x", false));
        assert!(filters.excludes("/usr/share/locale/{de}/x", false));
        assert!(!filters.excludes("/usr/share/locale/de/x", false));
    }

    /// Paths below `root`, with a leading slash; `true` for directories and links.
    fn below(root: &Path, folder: &Path, into: &mut BTreeSet<(String, bool)>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let kind = path.symlink_metadata().unwrap().file_type();
            let name = path.strip_prefix(root).unwrap().to_str().unwrap();
            into.insert((format!("/{name}"), kind.is_dir() || kind.is_symlink()));
            if kind.is_dir() {
                below(root, &path, into);
            }
        }
    }

    #[test]
    fn dpkg_leaves_out_the_same() {
        const RULES: [&str; 8] = [
            "/usr/share/doc/*",
            "!/usr/share/doc/*/copyright",
            "/usr/share/locale/*",
            "!/usr/share/locale/locale.alias",
            "/usr/share/man/*",
            "/usr/lib/[!k]*",
            "/usr/lib/k?ep/*.a",
            "/etc/**/x",
        ];
        let folder = tempfile::tempdir().unwrap();
        let (stage, root) = (folder.path().join("stage"), folder.path().join("root"));
        for file in [
            "DEBIAN/control",
            "etc/a/b/x",
            "etc/x",
            "usr/lib/keep/deep/y.a",
            "usr/lib/keep/y",
            "usr/lib/left/y",
            "usr/share/doc/p/copyright",
            "usr/share/doc/p/examples/copyright",
            "usr/share/doc/p/examples/example",
            "usr/share/doc/p/changelog.gz",
            "usr/share/locale/de/x.mo",
            "usr/share/locale/locale.alias",
            "usr/share/man/man1/p.1.gz",
        ] {
            std::fs::create_dir_all(stage.join(file).parent().unwrap()).unwrap();
            std::fs::write(stage.join(file), "").unwrap();
        }
        for link in ["usr/share/doc/link", "usr/share/man/link"] {
            std::os::unix::fs::symlink("p", stage.join(link)).unwrap();
        }
        let control = "Package: p\nVersion: 1\nArchitecture: all\nMaintainer: P <p@example.org>\nDescription: p\n";
        std::fs::write(stage.join("DEBIAN/control"), control).unwrap();
        for state in ["info", "updates", "triggers"] {
            std::fs::create_dir_all(root.join("var/lib/dpkg").join(state)).unwrap();
        }
        for state in ["status", "available"] {
            std::fs::write(root.join("var/lib/dpkg").join(state), "").unwrap();
        }
        let deb = folder.path().join("p.deb");
        let run = |command: &mut Command| {
            let output = command.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").output().unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        };
        run(Command::new("dpkg-deb")
            .args(["--root-owner-group", "-b"])
            .args([&stage, &deb]));
        let mut dpkg = Command::new("dpkg");
        dpkg.arg(format!("--root={}", root.display()));
        dpkg.args(["--force-not-root", "--log=/dev/null"]);
        let mut rules = Vec::new();
        for rule in RULES {
            let (word, rule) = match rule.strip_prefix('!') {
                Some(pattern) => ("include", PathRule::Include(pattern.to_owned())),
                None => ("exclude", PathRule::Exclude(rule.to_owned())),
            };
            let (PathRule::Include(pattern) | PathRule::Exclude(pattern)) = &rule;
            dpkg.arg(format!("--path-{word}={pattern}"));
            rules.push(rule);
        }
        run(dpkg.arg("--unpack").arg(&deb));

        let filters = PathFilters::new(&rules).unwrap();
        let (mut shipped, mut theirs) = (BTreeSet::new(), BTreeSet::new());
        below(&stage, &stage, &mut shipped);
        below(&root, &root, &mut theirs);
        let ours: Vec<&String> = shipped
            .iter()
            .filter(|(path, may_lead_on)| !path.starts_with("/DEBIAN") && !filters.excludes(path, *may_lead_on))
            .map(|(path, _)| path)
            .collect();
        let theirs: Vec<&String> = theirs
            .iter()
            .map(|(path, _)| path)
            .filter(|path| !path.starts_with("/var"))
            .collect();
        assert_eq!(ours, theirs);
    }
}
