//! Stage 2: which artifact of which version from which source. The answer is the [`Lock`].

/// The committed answer.
pub mod lock;

/// Packages of the Debian archive.
pub mod debian;

use std::collections::BTreeMap;
use std::env;
use std::path::PathBuf;

use anyhow::{Result, bail};
use computatom_spec::arch::Arch;

pub use lock::Lock;

pub use self::debian::index::LocalPackage;
use self::debian::{Archive, Question, asking, located};
use self::lock::LockedDeb;
use crate::bail_input;
use crate::definition::Image;
use crate::definition::image::Target;
use crate::fetch::apt_sources::AptSources;
use crate::fetch::mirror::{Mirror, SNAPSHOT};
use crate::fetch::{Fetcher, Request};
use crate::verify::deb::{VerifiedDeb, verify_all};
use crate::verify::openpgp::Keyring;
use crate::verify::release::timestamp;

/// Environment variable with a file of keys to trust beside Debian's own.
pub const KEYRING: &str = "COMPUTATOM_KEYRING";

/// Packages named in one message.
const NAMED: usize = 12;

/// How much a lock binds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Policy {
    /// `--locked`: exactly what it says, or nothing.
    Locked,
    /// What it says, as long as the definition is the same and the archive still has it; else a new choice.
    #[default]
    Keep,
    /// `lock`: always a new choice.
    Renew,
}

/// Where packages of the archive come from and who is believed.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// `--mirror`: see [`Mirror::find`].
    pub mirror: Option<String>,
    /// A snapshot archive for versions that the mirror has dropped; unset: the one of the environment.
    pub snapshot: Option<String>,
    /// `--keyring`: trusted beside Debian's own keys and those of the environment (`COMPUTATOM_KEYRING`).
    pub keyrings: Vec<PathBuf>,
    /// `--release-host`: stand-ins for publishers' hosts, over those of the environment; see
    /// [`crate::fetch::ReleaseHosts`].
    pub release_hosts: Vec<String>,
    /// `--apt-source`: where further sources are (`NAME=URL`), over those of the environment; see [`AptSources`].
    pub apt_sources: Vec<String>,
    /// Whether a table of contents past its `Valid-Until` is only warned about.
    pub allow_expired: bool,
    /// How much the lock binds.
    pub policy: Policy,
}

impl Settings {
    fn find_mirror(&self) -> Result<Mirror> {
        Mirror::find(self.mirror.as_deref(), self.snapshot.as_deref())
    }

    fn places(&self, image: &Image) -> Result<AptSources> {
        AptSources::find(&self.apt_sources, &image.debian.sources)
    }

    fn keyring(&self) -> Result<Keyring> {
        let mut keyring = Keyring::debian()?;
        let named = env::var_os(KEYRING)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from);
        for path in self.keyrings.iter().chain(&named) {
            keyring.add_file(path)?;
        }
        Ok(keyring)
    }
}

/// The packages of the Debian archive for one target, verified, in the cache, as the lock then names them.
///
/// `extra` are relationships (`libc6 (>= 2.36)`, `prometheus`) of what does not itself come from the definition's
/// package lists; `local` are packages that are here already and take part in the choice. `lock` is changed if, and only if, packages were chosen anew: then the caller saves it.
pub fn debian(
    fetcher: &Fetcher,
    settings: &Settings,
    image: &Image,
    target: &Target,
    extra: &[String],
    local: &[LocalPackage],
    lock: &mut Lock,
) -> Result<Vec<VerifiedDeb>> {
    let question = Question::new(image, target, extra, local);
    let digest = question.digest()?;
    let pinned = lock.debian.get(&target.name);
    let asked = lock.request.get(&target.name);
    let current = pinned.filter(|_| asked == Some(&digest)).cloned();
    match (&current, settings.policy) {
        (Some(debs), Policy::Locked | Policy::Keep) => {
            let missing = match fetch_debs(fetcher, settings, image, lock.epoch, debs)? {
                Debs::Complete(verified) => return Ok(verified),
                Debs::Missing(missing) => missing,
            };
            if settings.policy == Policy::Locked {
                bail!(
                    "{} of the locked packages can no longer be had: {}; build without `--locked` to choose the \
                     versions that the archive has now, or name a snapshot archive in {}",
                    missing.len(),
                    list(&missing),
                    SNAPSHOT
                );
            }
            fetcher.reporter().warn(format_args!(
                "the archive no longer has {} of the locked packages; choosing again",
                missing.len()
            ));
        }
        (None, Policy::Locked) => {
            let why = match pinned {
                Some(_) => "the definition has changed since the lock was written",
                None => "the lock does not know this target",
            };
            bail_input!(
                "{why} ({}, {}): run `pkgbuilder lock {}`, or build without `--locked`",
                image.name,
                target.name,
                image.name
            );
        }
        (None, Policy::Keep) | (_, Policy::Renew) => {}
    }
    choose(fetcher, settings, image, target, &question, digest, lock)
}

/// Why the lock does not answer what the definition asks for `target`, if it does not; `extra` and `local` as for
/// [`debian`].
pub fn stale(
    image: &Image,
    target: &Target,
    extra: &[String],
    local: &[LocalPackage],
    lock: &Lock,
) -> Result<Option<String>> {
    let name = &target.name;
    if !lock.debian.contains_key(name) {
        return Ok(Some(format!("it has no packages for {name}")));
    }
    let digest = Question::new(image, target, extra, local).digest()?;
    let changed = lock.request.get(name) != Some(&digest);
    Ok(changed.then(|| format!("what is asked for {name} has changed since its Debian packages were chosen")))
}

/// Chooses anew, says what moved, and changes the lock.
fn choose(
    fetcher: &Fetcher,
    settings: &Settings,
    image: &Image,
    target: &Target,
    question: &Question,
    digest: String,
    lock: &mut Lock,
) -> Result<Vec<VerifiedDeb>> {
    let mirror = settings.find_mirror()?;
    let keyring = settings.keyring()?;
    let places = settings.places(image)?;
    let archive = Archive {
        fetcher,
        places: &places,
        mirror: &mirror,
        keyring: &keyring,
        allow_expired: settings.allow_expired,
    };
    let answer = archive.solve(question)?;
    if let Some(before) = lock.debian.get(&target.name) {
        for line in moves(before, &answer.debs) {
            fetcher.reporter().step(format_args!("  {line}"));
        }
    }
    match fetch_debs(fetcher, settings, image, answer.epoch, &answer.debs)? {
        Debs::Complete(verified) => {
            lock.epoch = lock.epoch.max(answer.epoch);
            lock.debian.insert(target.name.clone(), answer.debs);
            lock.request.insert(target.name.clone(), digest);
            Ok(verified)
        }
        Debs::Missing(missing) => bail!(
            "the mirror lists {} but does not have them: it is being updated or out of step; try again in a few \
             minutes, or another mirror by `--mirror URL`",
            list(&missing)
        ),
    }
}

/// The newest versions of single packages of the archive, without what they depend on, verified and in the cache.
pub fn newest(
    fetcher: &Fetcher,
    settings: &Settings,
    image: &Image,
    arch: Arch,
    names: &[String],
) -> Result<Vec<VerifiedDeb>> {
    let mirror = settings.find_mirror()?;
    let keyring = settings.keyring()?;
    let places = settings.places(image)?;
    let archive = Archive {
        fetcher,
        places: &places,
        mirror: &mirror,
        keyring: &keyring,
        allow_expired: settings.allow_expired,
    };
    let answer = archive.newest(&image.debian, arch, names)?;
    match fetch_debs(fetcher, settings, image, answer.epoch, &answer.debs)? {
        Debs::Complete(verified) => Ok(verified),
        Debs::Missing(missing) => bail!(
            "the mirror lists {} but does not have them: try again in a few minutes, or another mirror by `--mirror URL`",
            list(&missing)
        ),
    }
}

/// What came of fetching .debs.
#[derive(Debug)]
enum Debs {
    /// All are in the cache and verified.
    Complete(Vec<VerifiedDeb>),
    /// These are nowhere.
    Missing(Vec<LockedDeb>),
}

/// Gets locked .debs from the cache, the mirror or the further source that each is of, and the snapshot archive if there
/// is one.
fn fetch_debs(fetcher: &Fetcher, settings: &Settings, image: &Image, epoch: i64, debs: &[LockedDeb]) -> Result<Debs> {
    let mut found = verify_all(fetcher.cache(), debs)?;
    let absent: Vec<usize> = (0..debs.len()).filter(|&at| found[at].is_none()).collect();
    if !absent.is_empty() {
        let places = settings.places(image)?;
        // Only now, and only if: whoever has everything of the mirror's in the cache needs no mirror.
        let mut mirror = None;
        let mut wanted = Vec::new();
        for &at in &absent {
            let deb = &debs[at];
            let uris = match &deb.source {
                Some(name) => located(&image.debian.sources, &places, name)?.map(|uris| (name, uris)),
                None => None,
            };
            wanted.push(match (uris, &mirror) {
                (Some((name, uris)), _) => (of_source(&uris, deb)?, asking(name, &uris)),
                (None, Some(mirror)) => of_mirror(mirror, epoch, deb)?,
                (None, None) => of_mirror(mirror.insert(settings.find_mirror()?), epoch, deb)?,
            });
        }
        let (requests, questions): (Vec<Request>, Vec<String>) = wanted.into_iter().unzip();
        let outcomes = fetcher.fetch_all(requests)?;
        let came: Vec<usize> = absent
            .iter()
            .zip(&outcomes)
            .filter_map(|(&at, outcome)| outcome.is_ok().then_some(at))
            .collect();
        let new: Vec<LockedDeb> = came.iter().map(|&at| debs[at].clone()).collect();
        for (at, verified) in came.into_iter().zip(verify_all(fetcher.cache(), &new)?) {
            found[at] = verified;
        }
        // A mirror that is down is another matter than one that has moved on.
        for (outcome, question) in outcomes.into_iter().zip(questions) {
            if let Err(failure) = outcome
                && !failure.gone
            {
                return Err(anyhow::Error::new(failure).context(question));
            }
        }
    }
    let missing: Vec<LockedDeb> = debs
        .iter()
        .zip(&found)
        .filter(|(_, found)| found.is_none())
        .map(|(deb, _)| deb.clone())
        .collect();
    if missing.is_empty() {
        Ok(Debs::Complete(found.into_iter().flatten().collect()))
    } else {
        Ok(Debs::Missing(missing))
    }
}

/// A .deb on the Debian mirror, and what is being done when it does not answer.
fn of_mirror(mirror: &Mirror, epoch: i64, deb: &LockedDeb) -> Result<(Request, String)> {
    let mut urls = vec![format!("{}/{}", mirror.base(&deb.suite), deb.filename)];
    if let Some(snapshot) = mirror.snapshot(&deb.suite, &timestamp(epoch)) {
        urls.push(format!("{snapshot}/{}", deb.filename));
    }
    Ok((request(urls, deb)?, mirror.question()))
}

/// A .deb of a further source with these base URLs.
fn of_source(uris: &[String], deb: &LockedDeb) -> Result<Request> {
    let filename = deb.filename.trim_start_matches("./");
    request(uris.iter().map(|base| format!("{base}/{filename}")).collect(), deb)
}

fn request(urls: Vec<String>, deb: &LockedDeb) -> Result<Request> {
    Ok(Request {
        urls,
        sha256: Some(deb.sha256.parse()?),
        size: Some(deb.size),
        label: format!("{} {}", deb.name, deb.version),
    })
}

/// `a 1, b 2 and 3 more`
fn list(debs: &[LockedDeb]) -> String {
    let mut names: Vec<String> = debs
        .iter()
        .take(NAMED)
        .map(|deb| format!("{} {}", deb.name, deb.version))
        .collect();
    let last = match debs.len().saturating_sub(NAMED) {
        0 => names.pop(),
        more => Some(format!("{more} more")),
    };
    match (names.is_empty(), last) {
        (true, last) => last.unwrap_or_default(),
        (false, Some(last)) => format!("{} and {last}", names.join(", ")),
        (false, None) => names.join(", "),
    }
}

/// One line for each package that differs between two choices (`library: 1.0-1 -> 1.0-2`), with the further source that
/// it is of (`app: 2.0-1 -> 2.1-1 of backports`).
pub fn moves(before: &[LockedDeb], after: &[LockedDeb]) -> Vec<String> {
    let version = |deb: &LockedDeb| match &deb.source {
        Some(source) => format!("{} of {source}", deb.version),
        None => deb.version.clone(),
    };
    let by_name = |debs: &[LockedDeb]| -> BTreeMap<String, String> {
        debs.iter().map(|deb| (deb.name.clone(), version(deb))).collect()
    };
    let (before, after) = (by_name(before), by_name(after));
    let mut lines = Vec::new();
    for (name, version) in &after {
        match before.get(name) {
            Some(old) if old == version => {}
            Some(old) => lines.push(format!("{name}: {old} -> {version}")),
            None => lines.push(format!("{name}: new, {version}")),
        }
    }
    for (name, version) in &before {
        if !after.contains_key(name) {
            lines.push(format!("{name}: {version}, no longer needed"));
        }
    }
    lines
}
