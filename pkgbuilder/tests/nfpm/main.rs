//! nfpm's own example configurations, packaged by nfpm and by us: control fields, paths, modes, owners, link targets,
//! conffiles, scripts and sums are the same, but for the differences that `explained.txt` lists with their reasons.
//!
//! Needs nfpm, as `scripts/test` installs it with the Go toolchain; the examples lie in its module.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

/// What a .deb is, as facts that can be compared.
mod facts;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use pkgbuilder::package::standalone;
use pkgbuilder::reporter::Reporter;

use self::facts::Facts;

/// Variables that the examples name.
const ENVIRONMENT: [(&str, &str); 7] = [
    ("BUILD_ARCH", "arm64"),
    ("SEMVER", "v1.0.0-0.1.b1+git.abcdefgh"),
    ("GOROOT", "1.0.0"),
    ("TEST_RELEASE_ENV_VAR", "1"),
    ("TEST_PRERELEASE_ENV_VAR", "beta"),
    ("TEST_DESCRIPTION_ENV_VAR", "description"),
    ("SOURCE_DATE_EPOCH", "1700000000"),
];

/// A configuration and the folder its files are relative to.
struct Case {
    name: String,
    text: String,
    folder: PathBuf,
}

#[test]
fn our_packages_are_nfpms() {
    let scratch = tempfile::tempdir().unwrap();
    let mut cases = published();
    assert!(cases.len() > 30, "only {} examples in nfpm's module", cases.len());
    cases.push(everything(scratch.path()));
    let mut explained = explained();
    let mut unexplained = Vec::new();
    let mut packaged = 0;
    for case in &cases {
        let theirs = nfpm(case, scratch.path());
        let ours = ours(case, scratch.path());
        packaged += usize::from(ours.is_ok() && theirs.is_ok());
        for (fact, difference) in differences(&theirs, &ours) {
            if !explain(&mut explained, &case.name, &fact) {
                unexplained.push(format!("{} | {fact} | {difference}", case.name));
            }
        }
    }
    assert!(
        unexplained.is_empty(),
        "differences that tests/nfpm/explained.txt does not explain:\n{}",
        unexplained.join("\n")
    );
    let unused: Vec<&str> = explained
        .iter()
        .filter(|rule| !rule.used)
        .map(|rule| rule.line.as_str())
        .collect();
    assert!(
        unused.is_empty(),
        "nothing differs as these lines say:\n{}",
        unused.join("\n")
    );
    assert!(
        packaged > 25,
        "only {packaged} of {} examples became packages",
        cases.len()
    );
}

/// The examples of nfpm's module, in the version that is installed.
fn published() -> Vec<Case> {
    let nfpm = output(Command::new("sh").args(["-c", "command -v nfpm"]));
    let version = output(Command::new("go").args(["version", "-m", nfpm.trim()]));
    let module = version
        .lines()
        .find_map(|line| line.trim().strip_prefix("mod\t"))
        .unwrap();
    let mut words = module.split('\t');
    let module = format!("{}@{}", words.next().unwrap(), words.next().unwrap());
    let said = output(Command::new("go").args(["mod", "download", "-json", &module]));
    let said: serde_json::Value = serde_json::from_str(&said).unwrap();
    let folder = PathBuf::from(said["Dir"].as_str().unwrap());
    let mut cases = Vec::new();
    for place in ["testdata", "testdata/acceptance"] {
        for entry in fs::read_dir(folder.join(place)).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            let text = match path.extension().and_then(|extension| extension.to_str()) {
                Some("yaml") => fs::read_to_string(&path).unwrap(),
                _ => continue,
            };
            // A changelog is no configuration.
            if !text.contains("version:") {
                continue;
            }
            let name = format!("{place}/{name}");
            let folder = folder.clone();
            cases.push(Case { name, text, folder });
        }
    }
    cases.sort_by(|a, b| a.name.cmp(&b.name));
    cases
}

/// What the published examples leave out.
fn everything(scratch: &Path) -> Case {
    let folder = scratch.join("everything");
    for (name, mode) in [
        ("tree/usr/share/x/a.txt", 0o664),
        ("tree/usr/share/x/run.sh", 0o775),
        ("tree/usr/share/x/sub/b.txt", 0o600),
        ("very/long.txt", 0o644),
        ("LICENSE", 0o644),
        ("script.sh", 0o755),
    ] {
        let path = folder.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, format!("#!/bin/sh\n# {name}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    }
    for name in [
        "tree",
        "tree/usr",
        "tree/usr/share",
        "tree/usr/share/x",
        "tree/usr/share/x/sub",
    ] {
        fs::set_permissions(folder.join(name), fs::Permissions::from_mode(0o775)).unwrap();
    }
    std::os::unix::fs::symlink("a.txt", folder.join("tree/usr/share/x/link")).unwrap();
    Case {
        name: "everything".to_owned(),
        text: include_str!("everything.yaml").replace("LONG", &"long-name/".repeat(14)),
        folder,
    }
}

/// What nfpm makes of it, or what it says.
fn nfpm(case: &Case, scratch: &Path) -> Result<Facts, String> {
    let output = scratch.join("theirs.deb");
    let recipe = scratch.join("recipe.yaml");
    fs::write(&recipe, with_maintainer(&case.text)).unwrap();
    let mut command = Command::new("nfpm");
    command.current_dir(&case.folder).envs(ENVIRONMENT);
    command.args(["package", "--packager", "deb", "--config"]);
    command.arg(&recipe).arg("--target").arg(&output);
    let said = command.output().unwrap();
    if !said.status.success() {
        return Err(String::from_utf8_lossy(&said.stderr).into_owned());
    }
    Ok(Facts::of(&output))
}

/// What we make of it, or what we say.
fn ours(case: &Case, scratch: &Path) -> Result<Facts, String> {
    let recipe = scratch.join("recipe.yaml");
    fs::write(&recipe, with_maintainer(&case.text)).unwrap();
    let environment: BTreeMap<&str, &str> = ENVIRONMENT.into();
    let variable = |name: &str| environment.get(name).map(|&value| value.to_owned());
    let reporter = Reporter::new(true);
    let made = standalone::packages(&recipe, &[], &case.folder, &variable, &reporter)
        .and_then(|packages| standalone::write(&packages, &scratch.join("ours"), &reporter));
    match made {
        Ok(written) => Ok(Facts::of(&written[0])),
        Err(error) => {
            assert_eq!(pkgbuilder::failure::exit_code(&error), 2, "{error:#}");
            Err(format!("{error:#}"))
        }
    }
}

/// nfpm makes up a maintainer where there is none, and says that it will not for long; we refuse. For everything else to
/// be compared, both get one.
fn with_maintainer(text: &str) -> String {
    if text.contains("\nmaintainer:") {
        text.to_owned()
    } else {
        format!("{}\nmaintainer: A Person <a@example.org>\n", text.trim_end())
    }
}

/// Facts that are not the same, with both sides.
fn differences(theirs: &Result<Facts, String>, ours: &Result<Facts, String>) -> Vec<(String, String)> {
    let (theirs, ours) = match (theirs, ours) {
        (Ok(theirs), Ok(ours)) => (theirs, ours),
        (Err(_), Err(_)) => return Vec::new(),
        (Ok(_), Err(error)) => return vec![("refused".to_owned(), error.clone())],
        (Err(error), Ok(_)) => return vec![("refused by nfpm".to_owned(), error.clone())],
    };
    let absent = "nothing".to_owned();
    let mut names: Vec<&String> = theirs.0.keys().chain(ours.0.keys()).collect();
    names.sort();
    names.dedup();
    names
        .into_iter()
        .map(|name| {
            (
                name,
                theirs.0.get(name).unwrap_or(&absent),
                ours.0.get(name).unwrap_or(&absent),
            )
        })
        .filter(|(_, theirs, ours)| theirs != ours)
        .map(|(name, theirs, ours)| (name.clone(), format!("nfpm: {theirs:?}, ours: {ours:?}")))
        .collect()
}

/// A line of `explained.txt`.
struct Explained {
    line: String,
    case: globset::GlobMatcher,
    fact: globset::GlobMatcher,
    used: bool,
}

fn explained() -> Vec<Explained> {
    include_str!("explained.txt")
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(|line| {
            let parts: Vec<&str> = line.split(" | ").collect();
            let [case, fact, reason] = parts[..] else {
                panic!("`{line}` is not `case | fact | reason`")
            };
            assert!(!reason.trim().is_empty(), "`{line}` has no reason");
            let glob = |text: &str| globset::Glob::new(text).unwrap().compile_matcher();
            Explained {
                line: line.to_owned(),
                case: glob(case),
                fact: glob(fact),
                used: false,
            }
        })
        .collect()
}

fn explain(explained: &mut [Explained], case: &str, fact: &str) -> bool {
    let mut found = false;
    for rule in explained {
        if rule.case.is_match(case) && rule.fact.is_match(fact) {
            rule.used = true;
            found = true;
        }
    }
    found
}

#[track_caller]
fn output(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(
        output.status.success(),
        "{command:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}
