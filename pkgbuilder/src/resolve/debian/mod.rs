//! The Debian side: from the archive's signed tables of contents to a list of packages.

/// `Packages` indexes.
pub mod index;

/// Dependency syntax.
pub mod relation;

/// The choice of packages.
pub mod solve;

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};
use computatom_spec::arch::Arch;
use rayon::prelude::*;
use serde::Serialize;

use self::index::{Compression, Index, LOCAL, LocalPackage, Text};
use self::solve::Wanted;
use super::lock::LockedDeb;
use crate::definition::Image;
use crate::definition::image::{Debian, Target};
use crate::failure::exit_code;
use crate::fetch::mirror::Mirror;
use crate::fetch::{Fetched, Fetcher, Request};
use crate::input_error;
use crate::verify::Sha256;
use crate::verify::openpgp::Keyring;
use crate::verify::release::Release;

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

/// An archive that is believed because of a keyring.
#[derive(Debug)]
pub struct Archive<'a> {
    /// Gets the files.
    pub fetcher: &'a Fetcher,
    /// Where they lie.
    pub mirror: &'a Mirror,
    /// Who may sign them.
    pub keyring: &'a Keyring,
    /// Whether a table of contents past its `Valid-Until` is only warned about.
    pub allow_expired: bool,
}

impl Archive<'_> {
    /// Chooses packages from the archive as it is now.
    pub fn solve(&self, question: &Question) -> Result<Answer> {
        let reporter = self.fetcher.reporter();
        reporter.step(format_args!("choosing Debian packages for {}", question.arch));
        let (texts, epoch) = self.texts(question)?;
        let debs = choose(&Index::new(&texts)?, question)?;
        Ok(Answer { debs, epoch })
    }

    /// What the archive has now for the suites, components, architecture and local packages of a question, and the
    /// newest `Date` among the suites: for whoever asks more than one question of it.
    pub fn texts(&self, question: &Question) -> Result<(Vec<Text>, i64)> {
        let releases = self.releases(&question.suites)?;
        let epoch = releases.iter().map(|(_, release)| release.date).max();
        let epoch = epoch.ok_or_else(|| input_error!("the definition names no Debian suite"))?;
        let mut texts = self.indexes(&question.components, question.arch, &releases)?;
        texts.push(Text::of_local(&question.local));
        Ok((texts, epoch))
    }

    /// The newest version of each package, wherever its dependencies are.
    pub fn newest(&self, debian: &Debian, arch: Arch, names: &[String]) -> Result<Answer> {
        let releases = self.releases(&debian.suites)?;
        let epoch = releases.iter().map(|(_, release)| release.date).max();
        let epoch = epoch.ok_or_else(|| input_error!("the definition names no Debian suite"))?;
        let texts = self.indexes(&debian.components, arch, &releases)?;
        let index = Index::new(&texts)?;
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

    /// Fetches and verifies the table of contents of each suite.
    fn releases(&self, suites: &[String]) -> Result<Vec<(String, Release)>> {
        let requests = suites
            .iter()
            .map(|suite| Request {
                urls: vec![format!("{}/dists/{suite}/InRelease", self.mirror.base(suite))],
                sha256: None,
                size: None,
                label: format!("InRelease of {suite}"),
            })
            .collect();
        let mut messages = Vec::new();
        for (suite, outcome) in suites.iter().zip(self.fetcher.fetch_all(requests)?) {
            let file = outcome.with_context(|| self.mirror.question())?;
            let message = std::fs::read(&file.path).with_context(|| format!("reading {}", file.path.display()))?;
            messages.push((suite, file.sha256, message));
        }
        let now = seconds_since_1970();
        messages
            .par_iter()
            .map(|(suite, sha256, message)| {
                let release = Release::verify(suite, message, self.keyring, now)
                    .inspect_err(|_| self.fetcher.cache().remove(sha256))?;
                match release.check_validity(now) {
                    Err(error) if self.allow_expired => self
                        .fetcher
                        .reporter()
                        .warn(format_args!("taken all the same, as `--allow-expired` says: {error}")),
                    checked => checked?,
                }
                Ok(((*suite).clone(), release))
            })
            .collect()
    }

    /// Fetches the package indexes that the tables of contents list.
    fn indexes(&self, components: &[String], arch: Arch, releases: &[(String, Release)]) -> Result<Vec<Text>> {
        let mut listed = Vec::new();
        for (suite, release) in releases {
            for component in components {
                listed.push(self.listed(suite, release, component, arch)?);
            }
        }
        let mut files = Vec::new();
        let outcomes = self
            .fetcher
            .fetch_all(listed.iter().map(|index| index.request.clone()).collect())?;
        for (index, outcome) in listed.iter().zip(outcomes) {
            files.push(match outcome {
                Err(failure) if failure.gone => self.by_name(index)?,
                outcome => outcome.with_context(|| self.mirror.question())?,
            });
        }
        files
            .par_iter()
            .zip(&listed)
            .map(|(file, index)| {
                let cache = self.fetcher.cache();
                Text::load(cache, index.suite, &file.path, &file.sha256, index.compression)
            })
            .collect()
    }

    /// The best compressed index of a component that a release lists.
    fn listed<'r>(&self, suite: &'r str, release: &Release, component: &str, arch: Arch) -> Result<Listed<'r>> {
        let folder = format!("{component}/binary-{arch}");
        let found = Compression::ALL.into_iter().find_map(|(compression, ending)| {
            let name = format!("Packages{ending}");
            let index = release.index(&format!("{folder}/{name}"))?;
            Some((compression, name, index))
        });
        let (compression, name, index) =
            found.ok_or_else(|| input_error!("suite {suite} has no packages of component `{component}` for {arch}"))?;
        let folder = format!("{}/dists/{suite}/{folder}", self.mirror.base(suite));
        let by_name = format!("{folder}/{name}");
        let url = if release.by_hash {
            // Under its digest an index stays the same while the mirror is being updated.
            format!("{folder}/by-hash/SHA256/{}", index.sha256)
        } else {
            by_name.clone()
        };
        let request = Request {
            urls: vec![url],
            sha256: Some(index.sha256),
            size: Some(index.size),
            label: format!("package index of {suite}/{component} for {arch}"),
        };
        Ok(Listed {
            suite,
            compression,
            request,
            by_name,
        })
    }

    /// An index that is not there under its digest: simple mirrors have it under its name only. There other bytes
    /// are no attack but a mirror whose parts were copied at different times.
    fn by_name(&self, index: &Listed<'_>) -> Result<Fetched> {
        let request = Request {
            urls: vec![index.by_name.clone()],
            ..index.request.clone()
        };
        let why = match self.fetcher.fetch(request) {
            Ok(Ok(file)) => return Ok(file),
            Ok(Err(failure)) => failure.to_string(),
            Err(error) if exit_code(&error) == 2 => format!("{error:#}"),
            Err(error) => return Err(error),
        };
        bail!(
            "the mirror {} is out of step: it does not have the {} that its own table of contents lists ({why}); try \
             again in a few minutes, or take another mirror by `--mirror URL`",
            self.mirror.base(index.suite),
            index.request.label
        )
    }
}

/// An index that a table of contents lists.
struct Listed<'r> {
    suite: &'r str,
    compression: Compression,
    /// For the URL by digest, if the mirror has such.
    request: Request,
    /// The URL by name.
    by_name: String,
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
        suite: package.suite.to_owned(),
        filename: package.filename.to_owned(),
        size: package.size,
        sha256: sha256.hex(),
    })
}

/// The clock of this machine.
fn seconds_since_1970() -> i64 {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(elapsed.as_secs()).unwrap_or(i64::MAX)
}
