//! Any package of the archive may be named in a definition: what people put on servers and small boards is composed,
//! each with all it needs, for arm64.
//!
//! `packages.txt` says what is surveyed. `cargo test -p pkgbuilder --features archive --test survey -- --ignored
//! record` writes what came of it into docs/composition.md, and into `surveyed.txt` the versions it came of.

#![allow(clippy::unwrap_used, reason = "tests")]

#[path = "../report/mod.rs"]
mod report;

/// What came of it, as text.
mod table;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use computatom_compose::deb::Package;
use computatom_compose::{Composed, Options};
use pkgbuilder::compose;
use pkgbuilder::definition::{self, Image, exclude};
use pkgbuilder::fetch::apt_sources::AptSources;
use pkgbuilder::fetch::mirror::Mirror;
use pkgbuilder::fetch::{Cache, Fetcher};
use pkgbuilder::reporter::Reporter;
use pkgbuilder::resolve::debian::index::Index;
use pkgbuilder::resolve::debian::{Archive, Question, choose};
use pkgbuilder::resolve::lock::LockedDeb;
use pkgbuilder::resolve::{self, Lock, Policy, Settings};
use pkgbuilder::verify::openpgp::Keyring;
use rayon::prelude::*;

use self::report::{is_of_the_mirror, report};

/// Of what is surveyed, in per cent: as many of the packages named, and as many of these and all they need.
const GOAL: usize = 97;

/// The versions that docs/composition.md is about.
const VERSIONS: &str = "surveyed.txt";

/// What was surveyed, and what came of it.
#[derive(Debug, Default)]
struct Survey {
    /// Date of the archive, seconds since 1970.
    epoch: i64,
    /// What all definitions have in common.
    base: BTreeSet<String>,
    /// By the name asked for: what it comes to, or why it comes to nothing.
    asked: BTreeMap<String, Result<Asked, String>>,
    /// Every package of any definition.
    packages: BTreeMap<String, Surveyed>,
    /// What generators left out, and of which names that were asked for.
    notes: BTreeMap<String, BTreeSet<String>>,
}

/// A definition.
#[derive(Debug)]
struct Asked {
    /// All its packages.
    closure: BTreeSet<String>,
    /// Why no root came of them, beside what is the fault of one package.
    refused: Option<String>,
}

/// A package.
#[derive(Debug, Default)]
struct Surveyed {
    version: String,
    /// Why its scripts could not be interpreted, or failed.
    failures: BTreeSet<String>,
    /// What its scripts asked for and was knowingly left out.
    notes: BTreeSet<String>,
}

impl Survey {
    /// Why a package that was asked for does not compose; empty if it does.
    fn faults(&self, name: &str) -> Vec<String> {
        match &self.asked[name] {
            Err(refused) => vec![refused.clone()],
            Ok(asked) => {
                let faulty = |package: &&String| !self.packages[*package].failures.is_empty();
                let of_packages = asked
                    .closure
                    .iter()
                    .filter(faulty)
                    .map(|package| format!("needs {package}"));
                asked.refused.iter().cloned().chain(of_packages).collect()
            }
        }
    }

    /// Names asked for that compose.
    fn good(&self) -> Vec<&str> {
        let names = self.asked.keys().map(String::as_str);
        names.filter(|name| self.faults(name).is_empty()).collect()
    }

    /// All packages that compose.
    fn good_packages(&self) -> usize {
        let good = |package: &&Surveyed| package.failures.is_empty();
        self.packages.values().filter(good).count()
    }
}

fn here(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/survey").join(file)
}

/// The names in `packages.txt`, each with what is left out of the base for it.
fn wanted() -> Vec<(String, Vec<String>)> {
    let text = fs::read_to_string(here("packages.txt")).unwrap();
    let wanted: Vec<(String, Vec<String>)> = text
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(|line| {
            let mut words = line.split(' ');
            let name = words.next().unwrap().to_owned();
            let without = words.map(|word| word.strip_prefix('-').expect("-name").to_owned());
            (name, without.collect())
        })
        .collect();
    let distinct: BTreeSet<&String> = wanted.iter().map(|(name, _)| name).collect();
    assert_eq!(distinct.len(), wanted.len(), "packages.txt has a name twice");
    wanted
}

/// What all definitions of the survey have in common.
fn plain() -> Image {
    definition::load(&here("survey.jsonnet"), None, &["raspberrypi-arm64"]).unwrap()
}

/// Solves, fetches and composes everything.
fn survey(wanted: Vec<(String, Vec<String>)>) -> Result<Survey> {
    let fetcher = Fetcher::new(Cache::open()?, Reporter::new(true))?;
    let (mirror, keyring) = (Mirror::find(None, None)?, Keyring::debian()?);
    let archive = Archive {
        fetcher: &fetcher,
        mirror: &mirror,
        keyring: &keyring,
        places: &AptSources::default(),
        allow_expired: false,
    };
    let plain = plain();
    let question = |image: &Image| Question::new(image, &image.targets[0], &[], &[]);
    let (texts, epoch) = archive.texts(&question(&plain))?;
    let index = Index::new(&texts)?;
    let base = choose(&index, &question(&plain))?;
    let (names, chosen): (Vec<String>, Vec<Result<Vec<LockedDeb>>>) = wanted
        .into_par_iter()
        .map(|(name, without)| {
            let mut image = plain.clone();
            image.debian.packages.retain(|package| !without.contains(package));
            image.debian.packages.push(name.clone());
            let chosen = choose(&index, &question(&image));
            (name, chosen)
        })
        .unzip();
    let all: BTreeMap<String, LockedDeb> = chosen
        .iter()
        .flatten()
        .flatten()
        .map(|deb| (deb.name.clone(), deb.clone()))
        .collect();
    let packages = packages(&fetcher, &plain, epoch, all.values().cloned().collect())?;
    let mut survey = Survey {
        epoch,
        base: base.into_iter().map(|deb| deb.name).collect(),
        ..Survey::default()
    };
    for (name, deb) in all {
        let version = deb.version;
        survey.packages.insert(
            name,
            Surveyed {
                version,
                ..Surveyed::default()
            },
        );
    }
    let results: Vec<Result<(BTreeSet<String>, Result<Composed>)>> = names
        .par_iter()
        .zip(chosen)
        .map(|(name, chosen)| {
            let closure: BTreeSet<String> = chosen?.into_iter().map(|deb| deb.name).collect();
            let composed = composed(&plain, epoch, name, &closure, &packages);
            Ok((closure, composed))
        })
        .collect();
    for (name, result) in names.into_iter().zip(results) {
        survey.add(name, result);
    }
    Ok(survey)
}

impl Survey {
    fn add(&mut self, name: String, result: Result<(BTreeSet<String>, Result<Composed>)>) {
        let (closure, composed) = match result {
            Ok(result) => result,
            Err(refused) => {
                self.asked.insert(name, Err(format!("{refused:#}")));
                return;
            }
        };
        let mut refused = None;
        match composed {
            Ok(composed) => {
                for failure in composed.failures {
                    let package = self.packages.get_mut(&failure.package).unwrap();
                    package.failures.insert(failure.text);
                }
                for mut note in composed.notes {
                    // Messages differ by what they are about.
                    if note.text.starts_with("logged: ") {
                        "messages for the system log".clone_into(&mut note.text);
                    }
                    match self.packages.get_mut(&note.package) {
                        Some(package) => package.notes.insert(note.text),
                        None => self.notes.entry(note.text).or_default().insert(name.clone()),
                    };
                }
            }
            Err(error) => refused = Some(format!("{error:#}")),
        }
        self.asked.insert(name, Ok(Asked { closure, refused }));
    }
}

/// Fetches, verifies and opens packages, by name.
fn packages(fetcher: &Fetcher, image: &Image, epoch: i64, debs: Vec<LockedDeb>) -> Result<HashMap<String, Package>> {
    let target = &image.targets[0];
    let mut lock = Lock::new(&image.name);
    lock.epoch = epoch;
    lock.request
        .insert(target.name.clone(), Question::new(image, target, &[], &[]).digest()?);
    lock.debian.insert(target.name.clone(), debs);
    let settings = Settings {
        policy: Policy::Locked,
        ..Settings::default()
    };
    let debs = resolve::debian(fetcher, &settings, image, target, &[], &[], &mut lock)?;
    debs.par_iter()
        .map(|deb| {
            let name = deb.locked().name.clone();
            let package = compose::open(deb, fetcher.cache()).with_context(|| format!("unpacking {name}"))?;
            Ok((name, package))
        })
        .collect()
}

/// The root of a definition that asks for `name`.
fn composed(
    image: &Image,
    epoch: i64,
    name: &str,
    closure: &BTreeSet<String>,
    packages: &HashMap<String, Package>,
) -> Result<Composed> {
    let packages: Vec<Package> = closure.iter().map(|name| packages[name].clone()).collect();
    let options = Options {
        arch: image.targets[0].arch.to_string(),
        epoch,
        keep_going: true,
        path_rules: exclude::rules(&image.exclude).map_err(anyhow::Error::msg)?,
        auto_installed: closure.iter().filter(|package| *package != name).cloned().collect(),
    };
    computatom_compose::compose(&packages, &options, &mut |_| Ok(()))
}

/// Writes what came of the survey where people read it.
#[test]
#[ignore = "writes docs/composition.md"]
fn record() {
    let survey = survey(wanted()).unwrap();
    table::write(&survey);
    let mut versions = String::new();
    for (name, package) in &survey.packages {
        writeln!(versions, "{name} {}", package.version).unwrap();
    }
    fs::write(here(VERSIONS), versions).unwrap();
}

/// What people put on servers composes, as docs/composition.md says.
#[test]
fn what_people_put_on_servers_composes() {
    let wanted = wanted();
    let named: BTreeSet<String> = wanted.iter().map(|(name, _)| name.clone()).collect();
    let survey = match survey(wanted) {
        Err(error) if is_of_the_mirror(&format!("{error:#}")) => {
            return report(&format!("the survey was not made: {error:#}"));
        }
        survey => survey.unwrap(),
    };
    let (good, packages) = (survey.good(), survey.packages.len());
    let faults = || {
        named
            .iter()
            .map(|name| (name, survey.faults(name)))
            .filter(|(_, faults)| !faults.is_empty())
    };
    assert!(
        named.len() >= 150 && packages >= 800,
        "{} named, {packages} packages",
        named.len()
    );
    assert!(
        good.len() * 100 >= named.len() * GOAL,
        "{} of {}: {:#?}",
        good.len(),
        named.len(),
        faults().collect::<Vec<_>>()
    );
    assert!(
        survey.good_packages() * 100 >= packages * GOAL,
        "{} of {packages}",
        survey.good_packages()
    );

    let recorded: BTreeSet<String> = &table::recorded_good() | &table::recorded_failures();
    let absent: Vec<&String> = named
        .iter()
        .filter(|name| !recorded.contains(*name) && survey.faults(name).is_empty())
        .collect();
    assert!(
        absent.is_empty(),
        "docs/composition.md does not know {absent:?}: run `record`"
    );
    let text = fs::read_to_string(here(VERSIONS)).unwrap();
    let versions: BTreeMap<&str, &str> = text.lines().filter_map(|line| line.split_once(' ')).collect();
    let moved = |name: &String| versions.get(name.as_str()).copied() != Some(survey.packages[name].version.as_str());
    for name in table::recorded_good().iter().filter(|name| named.contains(*name)) {
        let faults = survey.faults(name);
        if faults.is_empty() {
            continue;
        }
        let text = format!("{name} does not compose any more: {}", faults.join("; "));
        let explained = survey.asked[name]
            .as_ref()
            .map_or(true, |asked| asked.closure.iter().any(moved));
        assert!(explained, "{text}");
        report(&text);
    }
    for name in table::recorded_failures() {
        if survey
            .packages
            .get(&name)
            .is_some_and(|package| package.failures.is_empty())
        {
            report(&format!("{name} composes now: run `record` (pkgbuilder/tests/survey)"));
        }
    }
}

/// `COMPUTATOM_SURVEY='apache2 squid' cargo test … --test survey -- --ignored --nocapture look`: some of them, or others,
/// as a person wants to see it.
#[test]
#[ignore = "for whoever mends a package"]
fn look() {
    let named = std::env::var("COMPUTATOM_SURVEY").expect("COMPUTATOM_SURVEY names packages");
    let wanted = named
        .split_whitespace()
        .map(|name| (name.to_owned(), Vec::new()))
        .collect();
    let survey = survey(wanted).unwrap();
    for (name, package) in &survey.packages {
        for (what, texts) in [("failed", &package.failures), ("note", &package.notes)] {
            for text in texts {
                std::io::stderr()
                    .write_all(format!("{what}: {name}: {text}\n").as_bytes())
                    .unwrap();
            }
        }
    }
    for name in survey.asked.keys() {
        let line = format!("{name}: {}\n", survey.faults(name).join("; "));
        std::io::stderr().write_all(line.as_bytes()).unwrap();
    }
}
