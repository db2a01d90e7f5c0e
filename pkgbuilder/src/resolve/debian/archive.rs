//! What the archive and the further sources have: from the signed tables of contents to the package indexes.

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};
use computatom_spec::arch::Arch;
use rayon::prelude::*;

use super::Question;
use super::index::{Compression, Text};
use super::origin::Origin;
use crate::definition::apt_source::is_flat;
use crate::failure::exit_code;
use crate::fetch::apt_sources::AptSources;
use crate::fetch::mirror::Mirror;
use crate::fetch::{Fetched, Fetcher, Outcome, Request};
use crate::verify::Sha256;
use crate::verify::openpgp::Keyring;
use crate::verify::release::Release;
use crate::{bail_input, input_error};

/// An archive that is believed because of a keyring.
#[derive(Debug)]
pub struct Archive<'a> {
    /// Gets the files.
    pub fetcher: &'a Fetcher,
    /// Where they lie.
    pub mirror: &'a Mirror,
    /// Who may sign them.
    pub keyring: &'a Keyring,
    /// Where further sources are that the definition does not say, or says otherwise.
    pub places: &'a AptSources,
    /// Whether a table of contents past its `Valid-Until` is only warned about.
    pub allow_expired: bool,
}

impl Archive<'_> {
    /// What the archive and the further sources have now for the suites, components, architecture and local packages of
    /// a question, and the newest `Date` among the suites: for whoever asks more than one question of it.
    pub fn texts(&self, question: &Question) -> Result<(Vec<Text>, i64)> {
        let mut origins = vec![Origin::debian(
            self.mirror,
            self.keyring,
            &question.suites,
            &question.components,
        )];
        for further in &question.sources {
            origins.push(Origin::further(further, self.mirror, self.keyring, self.places)?);
        }
        let releases = self.releases(&origins)?;
        let epoch = releases.iter().map(|of| of.release.date).max();
        let epoch = epoch.ok_or_else(|| input_error!("the definition names no Debian suite"))?;
        let mut texts = self.indexes(question.arch, &releases)?;
        texts.push(Text::of_local(&question.local));
        Ok((texts, epoch))
    }

    /// Fetches and verifies the table of contents of each suite.
    fn releases<'o>(&self, origins: &'o [Origin<'o>]) -> Result<Vec<Contents<'o>>> {
        let wanted: Vec<(&Origin<'_>, &String)> = origins
            .iter()
            .flat_map(|origin| origin.suites.iter().map(move |suite| (origin, suite)))
            .collect();
        let requests = wanted
            .iter()
            .map(|(origin, suite)| unnamed(origin, suite, "InRelease"))
            .collect();
        let mut messages = Vec::new();
        for ((origin, suite), outcome) in wanted.into_iter().zip(self.fetcher.fetch_all(requests)?) {
            messages.push((origin, suite, self.message(origin, suite, outcome)?));
        }
        let now = seconds_since_1970();
        messages
            .par_iter()
            .map(|(origin, suite, message)| {
                let expected = origin.expected(suite);
                let release = match &message.signature {
                    None => Release::verify(&expected, &message.text, now),
                    Some(signature) => Release::verify_detached(&expected, &message.text, signature, now),
                }
                .inspect_err(|_| self.fetcher.cache().remove(&message.sha256))?;
                match release.check_validity(now, &origin.remedy()) {
                    Err(error) if self.allow_expired => self
                        .fetcher
                        .reporter()
                        .warn(format_args!("taken all the same, as `--allow-expired` says: {error}")),
                    checked => checked?,
                }
                Ok(Contents { origin, suite, release })
            })
            .collect()
    }

    /// A fetched `InRelease`; where somebody's repository has none, as before 2009, `Release` with `Release.gpg`.
    fn message(&self, origin: &Origin<'_>, suite: &str, outcome: Outcome) -> Result<Message> {
        let read =
            |file: &Fetched| std::fs::read(&file.path).with_context(|| format!("reading {}", file.path.display()));
        if origin.source.is_some() && outcome.as_ref().is_err_and(|failure| failure.gone) {
            let requests = ["Release", "Release.gpg"].map(|name| unnamed(origin, suite, name));
            let mut outcomes = self.fetcher.fetch_all(requests.into())?.into_iter();
            if let (Some(Ok(text)), Some(Ok(signature))) = (outcomes.next(), outcomes.next()) {
                return Ok(Message {
                    sha256: text.sha256,
                    text: read(&text)?,
                    signature: Some(read(&signature)?),
                });
            }
        }
        let file = outcome.with_context(|| origin.question())?;
        Ok(Message {
            sha256: file.sha256,
            text: read(&file)?,
            signature: None,
        })
    }

    /// Fetches the package indexes that the tables of contents list.
    fn indexes(&self, arch: Arch, releases: &[Contents<'_>]) -> Result<Vec<Text>> {
        let mut listed = Vec::new();
        for of in releases {
            if is_flat(of.suite) {
                listed.push(listed_at(of, "", &format!("package index of {}", of.name()), arch)?);
                continue;
            }
            for component in of.origin.components {
                let label = format!("package index of {}/{component} for {arch}", of.name());
                listed.push(listed_at(of, &format!("{component}/binary-{arch}/"), &label, arch)?);
            }
        }
        let mut files = Vec::new();
        let outcomes = self
            .fetcher
            .fetch_all(listed.iter().map(|index| index.request.clone()).collect())?;
        for (index, outcome) in listed.iter().zip(outcomes) {
            files.push(match outcome {
                Err(failure) if failure.gone => self.by_name(index)?,
                outcome => outcome.with_context(|| index.of.origin.question())?,
            });
        }
        files
            .par_iter()
            .zip(&listed)
            .map(|(file, index)| {
                let cache = self.fetcher.cache();
                let text = Text::load(cache, index.of.suite, &file.path, &file.sha256, index.compression)?;
                Ok(match index.of.origin.source {
                    Some(source) => text.of_source(source, arch),
                    None => text,
                })
            })
            .collect()
    }

    /// An index that is not there under its digest: simple mirrors have it under its name only. There other bytes
    /// are no attack but a mirror whose parts were copied at different times.
    fn by_name(&self, index: &Listed<'_>) -> Result<Fetched> {
        let request = Request {
            urls: index.by_name.clone(),
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
             again in a few minutes, or take another mirror by {}",
            index
                .of
                .origin
                .urls(index.of.suite, "")
                .join(", ")
                .trim_end_matches('/'),
            index.request.label,
            index.of.origin.remedy()
        )
    }
}

/// A table of contents, and whose.
struct Contents<'o> {
    origin: &'o Origin<'o>,
    suite: &'o str,
    release: Release,
}

impl Contents<'_> {
    /// The suite, for messages.
    fn name(&self) -> String {
        match self.origin.source {
            Some(source) => format!("{} (apt source `{source}`)", self.suite),
            None => self.suite.to_owned(),
        }
    }
}

/// A table of contents as it came.
struct Message {
    sha256: Sha256,
    text: Vec<u8>,
    /// Where it is not in the text.
    signature: Option<Vec<u8>>,
}

/// A file of a suite whose digest nobody has told.
fn unnamed(origin: &Origin<'_>, suite: &str, name: &str) -> Request {
    let label = origin.expected(suite).name().replacen("InRelease", name, 1);
    Request {
        urls: origin.urls(suite, &format!("{}{name}", folder_of(suite))),
        sha256: None,
        size: None,
        label,
    }
}

/// The folder of a suite, below that of `dists/`, with a slash at its end unless it is empty.
fn folder_of(suite: &str) -> String {
    if is_flat(suite) {
        suite.trim_start_matches("./").to_owned()
    } else {
        format!("dists/{suite}/")
    }
}

/// An index that a table of contents lists.
struct Listed<'r> {
    of: &'r Contents<'r>,
    compression: Compression,
    /// For the URLs by digest, if the mirror has such.
    request: Request,
    /// The URLs by name.
    by_name: Vec<String>,
}

/// The best compressed index in a folder that a release lists.
fn listed_at<'r>(of: &'r Contents<'r>, folder: &str, label: &str, arch: Arch) -> Result<Listed<'r>> {
    let found = Compression::ALL.into_iter().find_map(|(compression, ending)| {
        let path = format!("{folder}Packages{ending}");
        // Flat repositories have it both ways.
        let index = of
            .release
            .index(&path)
            .or_else(|| of.release.index(&format!("./{path}")))?;
        Some((compression, path, index))
    });
    let Some((compression, path, index)) = found else {
        bail_input!(
            "suite {} has no packages of component `{}` for {arch}",
            of.name(),
            folder.split("/binary-").next().unwrap_or_default()
        );
    };
    let below = folder_of(of.suite);
    let by_name = of.origin.urls(of.suite, &format!("{below}{path}"));
    let urls = if of.release.by_hash {
        // Under its digest an index stays the same while the mirror is being updated.
        let hashed = format!("{below}{folder}by-hash/SHA256/{}", index.sha256);
        of.origin.urls(of.suite, &hashed)
    } else {
        by_name.clone()
    };
    let request = Request {
        urls,
        sha256: Some(index.sha256),
        size: Some(index.size),
        label: label.to_owned(),
    };
    Ok(Listed {
        of,
        compression,
        request,
        by_name,
    })
}

/// The clock of this machine.
fn seconds_since_1970() -> i64 {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(elapsed.as_secs()).unwrap_or(i64::MAX)
}
