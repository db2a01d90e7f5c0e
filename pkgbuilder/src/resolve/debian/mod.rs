//! The Debian side: from the archive's signed tables of contents to a list of packages.

/// `Packages` indexes.
pub mod index;

/// Packages of our own.
mod local;

/// Dependency syntax.
pub mod relation;

/// What is taken from further sources.
pub mod pins;

/// Where suites lie and who signs them.
mod origin;

/// What is there.
mod archive;

/// Names that nothing has.
mod known;

/// The choice of packages.
pub mod solve;

use anyhow::{Context, Result};
use computatom_spec::arch::Arch;
use serde::Serialize;

pub use self::archive::Archive;
use self::index::{Index, LOCAL, LocalPackage, Text};
use self::origin::Further;
pub(super) use self::origin::{asking, located};
use self::pins::{Pins, written};
use self::solve::Wanted;
use super::lock::LockedDeb;
use crate::definition::Image;
use crate::definition::image::{Debian, Pin, Target};
use crate::failure::exit_code;
use crate::verify::Sha256;
use crate::{bail_input, input_error};

/// What decides which packages are chosen, given the archive.
#[derive(Clone, Debug, Serialize)]
pub struct Question {
    /// Version of this form.
    format: u32,
    arch: Arch,
    suites: Vec<String>,
    components: Vec<String>,
    relations: Vec<String>,
    local: Vec<LocalPackage>,
    prefer: Vec<String>,
    avoid: Vec<String>,
    recommends: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    sources: Vec<Further>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pins: Vec<Pin>,
}

impl Question {
    /// What a definition asks for one target; `extra` are relationships beside its lists, `local` the
    /// packages that are here already: they are taken, and what they need and provide counts.
    pub fn new(image: &Image, target: &Target, extra: &[String], local: &[LocalPackage]) -> Self {
        let debian = &image.debian;
        let mut relations: Vec<String> = [&debian.packages, &target.packages]
            .into_iter()
            .flatten()
            .chain(extra)
            .cloned()
            .chain(local.iter().map(|package| package.name.clone()))
            .collect();
        relations.sort_unstable();
        relations.dedup();
        Self {
            format: 2,
            arch: target.arch,
            suites: debian.suites.clone(),
            components: debian.components.clone(),
            relations,
            local: local.to_vec(),
            prefer: debian.prefer.clone(),
            avoid: debian.avoid.clone(),
            recommends: debian.recommends,
            sources: Further::of(debian, target.arch),
            pins: debian.pins.clone(),
        }
    }

    /// `sha256:` and the digest of the question: a changed definition asks another one.
    pub fn digest(&self) -> Result<String> {
        let text = serde_json::to_string(self).context("writing down what is asked of the solver")?;
        Ok(format!("sha256:{}", Sha256::of(text.as_bytes())))
    }
}

/// The answer to a [`Question`].
#[derive(Clone, Debug)]
pub struct Answer {
    /// The packages, sorted by name.
    pub debs: Vec<LockedDeb>,
    /// The newest `Date` among the suites, seconds since 1970.
    pub epoch: i64,
}

impl Archive<'_> {
    /// Chooses packages from the archive as it is now.
    pub fn solve(&self, question: &Question) -> Result<Answer> {
        let reporter = self.fetcher.reporter();
        reporter.step(format_args!("choosing Debian packages for {}", question.arch));
        let (texts, epoch) = self.texts(question)?;
        let pins = Pins::new(&question.pins)?;
        let index = Index::pinned(&texts, &pins)?;
        self.check_pins(&index, &pins, question)?;
        let debs = choose(&index, question).map_err(|error| explained(error, &texts, &pins, question))?;
        Ok(Answer { debs, epoch })
    }

    /// The newest version of each package, or that of the source it is pinned to, wherever its dependencies are.
    pub fn newest(&self, debian: &Debian, arch: Arch, names: &[String]) -> Result<Answer> {
        let question = Question {
            format: 2,
            arch,
            suites: debian.suites.clone(),
            components: debian.components.clone(),
            relations: Vec::new(),
            local: Vec::new(),
            prefer: Vec::new(),
            avoid: Vec::new(),
            recommends: false,
            sources: Further::of(debian, arch),
            pins: debian.pins.clone(),
        };
        let (texts, epoch) = self.texts(&question)?;
        let index = Index::pinned(&texts, &Pins::new(&debian.pins)?)?;
        let debs = names
            .iter()
            .map(|name| {
                let newest = index.by_name.get(name.as_str()).and_then(|versions| versions.first());
                let newest = newest.ok_or_else(|| {
                    input_error!(
                        "Debian has no package {name} for {arch} in {}",
                        debian.suites.join(", ")
                    )
                })?;
                lock(&index.packages[*newest])
            })
            .collect::<Result<_>>()?;
        Ok(Answer { debs, epoch })
    }

    /// A pin that takes nothing is a mistake: told, and refused where the very package was asked for.
    fn check_pins(&self, index: &Index<'_>, pins: &Pins, question: &Question) -> Result<()> {
        let sources: Vec<&str> = question.sources.iter().map(|further| further.name.as_str()).collect();
        for (glob, source) in pins.idle(&index.offered, &sources) {
            if question.relations.iter().any(|asked| asked == glob) {
                bail_input!(
                    "the package `{glob}` is pinned to the apt source `{source}`, which does not have it for {}: remove \
                     the pin, or correct the name",
                    question.arch
                );
            }
            self.fetcher.reporter().warn(format_args!(
                "a pin takes nothing: the apt source `{source}` has no package `{glob}` for {}",
                question.arch
            ));
        }
        Ok(())
    }
}

/// The error of a choice with the pins that would have helped, if there are such.
fn explained(error: anyhow::Error, texts: &[Text], pins: &Pins, question: &Question) -> anyhow::Error {
    if exit_code(&error) != 2 || question.sources.is_empty() {
        return error;
    }
    let relaxed = Index::relaxed(texts, pins).and_then(|index| {
        let debs = choose(&index, question)?;
        let taken = |name: &str, source: &str| index.offered.admits(pins, name, Some(source));
        let missing = debs.iter().filter_map(|deb| {
            let source = deb.source.as_deref()?;
            (!taken(&deb.name, source)).then(|| (deb.name.clone(), source.to_owned()))
        });
        Ok(missing.collect::<Vec<_>>())
    });
    match relaxed {
        Ok(missing) if !missing.is_empty() => {
            let pins = written(missing.iter().map(|(name, source)| (name.as_str(), source.as_str())));
            input_error!("{error:#}\nwhat is missing is in a further apt source, and would be taken with {pins}")
        }
        _ => error,
    }
}

/// Chooses packages from an index, sorted by name.
pub fn choose(index: &Index<'_>, question: &Question) -> Result<Vec<LockedDeb>> {
    let mut relations = question.relations.clone();
    // Ours, even where the archive has a newer one of the same name.
    relations.extend(
        question
            .local
            .iter()
            .map(|ours| format!("{} (= {})", ours.name, ours.version)),
    );
    let wanted = Wanted {
        relations,
        prefer: question.prefer.clone(),
        avoid: question.avoid.clone(),
        recommends: question.recommends,
    };
    let chosen = solve::solve(index, &wanted)?;
    chosen
        .iter()
        .map(|&at| &index.packages[at])
        .filter(|package| package.suite != LOCAL)
        .map(lock)
        .collect()
}

fn lock(package: &index::Package<'_>) -> Result<LockedDeb> {
    let sha256: Sha256 = package
        .sha256
        .parse()
        .with_context(|| format!("reading the digest of package {}", package.name))?;
    Ok(LockedDeb {
        name: package.name.to_owned(),
        version: package.version_text.to_owned(),
        architecture: package.architecture.to_owned(),
        source: package.source.map(str::to_owned),
        suite: package.suite.to_owned(),
        filename: package.filename.to_owned(),
        size: package.size,
        sha256: sha256.hex(),
    })
}
