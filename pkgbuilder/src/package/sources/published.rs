//! What a publisher says the digests of a version's archives are, and whether it really was the publisher.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::{Attempt, Workbench};
use crate::definition::image::{Component, Sums as List, SumsKind};
use crate::fetch::{Fetched, Request, Unreachable};
use crate::verify::Sha256;
use crate::verify::openpgp::Keyring;
use crate::verify::release::readable;
use crate::verify::sums::{self, Sums};
use crate::{atomic, bail_input};

/// Where the public keys of publishers lie, below the top of the checkout: each in a file named by its fingerprint.
const KEYS: &str = "jsonnet/keys";

/// A publisher's list of digests of one version: signed by its key, where it has one.
pub(super) struct Published {
    sums: Sums,
    /// Its name: the last part of its URL.
    name: String,
    /// Who signed it; `None` where the publisher does not sign.
    key: Option<String>,
    /// Where it is to be remembered, and what; `None` where it was.
    note: Option<(PathBuf, String)>,
}

impl Published {
    /// The list `list` of a component, from the cache or the publisher; the inner error is what came of it where it
    /// cannot be had now. A list that is not signed as it has to be is an error, and nothing else is tried.
    pub(super) fn get(
        bench: &Workbench<'_>,
        component: &Component,
        list: &List,
    ) -> Result<std::result::Result<Self, Attempt>> {
        Self::find(bench, component, list, true)
    }

    /// The list of an earlier run, if it is still in the cache.
    pub(super) fn remembered(bench: &Workbench<'_>, component: &Component, list: &List) -> Result<Option<Self>> {
        Ok(Self::find(bench, component, list, false)?.ok())
    }

    fn find(
        bench: &Workbench<'_>,
        component: &Component,
        list: &List,
        ask: bool,
    ) -> Result<std::result::Result<Self, Attempt>> {
        let url = list.url.replace("{version}", &component.version);
        let name = url.rsplit('/').next().unwrap_or(&url).to_owned();
        let label = format!("{name} of {} {}", component.name, component.version);
        let keyring = match &list.key {
            Some(key) => Some(Keyring::publisher(&key_file(bench.root, key), key)?),
            None => None,
        };
        let job = Job {
            bench,
            list,
            url,
            label,
        };
        let files = match job.remembered()? {
            Some(files) => files,
            None if !ask => return Ok(Err(Attempt::Absent(format!("{} is not in the cache", job.label)))),
            None => match job.fetch()? {
                Ok(files) => files,
                Err(attempt) => return Ok(Err(attempt)),
            },
        };
        let content = files.read()?;
        if let Some(keyring) = &keyring {
            let signature = files.signature.as_ref().map(fs::read).transpose();
            let signature = signature
                .context("reading a signature in the cache")?
                .unwrap_or_default();
            let signer = keyring.verify_detached(&format!("the signature of {}", job.label), &content, &signature)?;
            if !files.known {
                bench.fetcher.reporter().step(format_args!(
                    "{}: signed by {} on {}",
                    job.label,
                    signer.component,
                    readable(signer.at)
                ));
            }
        }
        let sums = Sums::parse(&job.label, &content)?;
        let note = if files.known {
            None
        } else {
            Some((job.note()?, files.note()))
        };
        Ok(Ok(Self {
            sums,
            name,
            key: list.key.clone(),
            note,
        }))
    }

    /// What it says about `file`, if it lists it.
    pub(super) fn digest(&self, file: &str) -> Option<Sha256> {
        self.sums.get(file)
    }

    /// Remembers it for other runs: only after it turned out to be about the right version. Well signed are the others,
    /// too.
    pub(super) fn remember(&self) -> Result<()> {
        match &self.note {
            Some((path, text)) => atomic::write(path, text.as_bytes()),
            None => Ok(()),
        }
    }

    /// Fails unless it lists `file` with the digest that is pinned.
    pub(super) fn confirm(&self, component: &Component, file: &str, pinned: &Sha256) -> Result<()> {
        let Component { name, version, .. } = component;
        let who = match &self.key {
            Some(key) => format!("{} (signed by {key})", self.name),
            None => self.name.clone(),
        };
        match self.sums.get(file) {
            Some(listed) if listed == *pinned => self.remember(),
            Some(listed) => bail_input!(
                "{name} {version}: {who} says that {file} has the SHA-256 {listed}, but {pinned} is pinned: one of them \
                 is wrong; nothing was fetched: ask the publisher before you change what is pinned"
            ),
            None => bail_input!(
                "{name} {version}: {who} does not list {file}, of which {pinned} is pinned: the definition names another \
                 file than the publisher"
            ),
        }
    }
}

/// The file that holds the key with a fingerprint.
fn key_file(root: &Path, fingerprint: &str) -> PathBuf {
    root.join(KEYS).join(format!("{fingerprint}.asc"))
}

/// One list and where it is.
struct Job<'a> {
    bench: &'a Workbench<'a>,
    list: &'a List,
    url: String,
    label: String,
}

/// A list and its signature in the cache.
struct Files {
    list: PathBuf,
    digest: Sha256,
    signature: Option<PathBuf>,
    signature_digest: Option<Sha256>,
    /// They were there before.
    known: bool,
}

impl Files {
    /// What [`Job::remembered`] reads.
    fn note(&self) -> String {
        let signature = self
            .signature_digest
            .map_or(String::new(), |digest| format!("{digest}\n"));
        format!("{}\n{signature}", self.digest)
    }

    fn read(&self) -> Result<Vec<u8>> {
        let path = &self.list;
        let size = fs::metadata(path).map_or(0, |metadata| metadata.len());
        if size > sums::LARGEST {
            bail_input!("a list of digests of {size} bytes is none: the server answered with something else");
        }
        fs::read(path).with_context(|| format!("reading {}", path.display()))
    }
}

impl Job<'_> {
    /// Where it is written down which list and signature were found good.
    fn note(&self) -> Result<PathBuf> {
        let key = self.list.key.as_deref().unwrap_or_default();
        let name = Sha256::of(format!("{}\n{key}", self.url).as_bytes()).hex();
        self.bench.fetcher.cache().derived("sums", &name)
    }

    /// The list of an earlier run; it is verified again, as nothing in the cache is believed.
    fn remembered(&self) -> Result<Option<Files>> {
        let Ok(text) = fs::read_to_string(self.note()?) else {
            return Ok(None);
        };
        let mut digests = text.lines().map(str::parse::<Sha256>);
        let cache = self.bench.fetcher.cache();
        let Some(Ok(digest)) = digests.next() else {
            return Ok(None);
        };
        let Some(list) = cache.verified(&digest)? else {
            return Ok(None);
        };
        let signature_digest = digests.next().transpose().unwrap_or_default();
        let signature = match &signature_digest {
            Some(digest) => cache.verified(digest)?,
            None => None,
        };
        if signature.is_none() && self.list.key.is_some() {
            return Ok(None);
        }
        Ok(Some(Files {
            list,
            digest,
            signature,
            signature_digest,
            known: true,
        }))
    }

    fn fetch(&self) -> Result<std::result::Result<Files, Attempt>> {
        let list = match self.fetch_one(&self.label, vec![self.url.clone()])? {
            Ok(list) => list,
            Err(unreachable) if unreachable.gone => {
                return Ok(Err(Attempt::Absent(unreachable.reasons.join("; "))));
            }
            Err(unreachable) => return Ok(Err(Attempt::Unreachable(unreachable.reasons.join("; ")))),
        };
        let mut files = Files {
            list: list.path,
            digest: list.sha256,
            signature: None,
            signature_digest: None,
            known: false,
        };
        if let Some(key) = &self.list.key {
            let label = format!("the signature of {}", self.label);
            match self.fetch_one(&label, self.signature_urls(key))? {
                Ok(signature) => {
                    files.signature = Some(signature.path);
                    files.signature_digest = Some(signature.sha256);
                }
                // Whoever can drop the signature can change the list.
                Err(unreachable) if unreachable.gone => bail_input!(
                    "{} carries no signature, and {key} must have signed it: {}; it was not used (a mirror has to carry \
                     the publisher's signatures as well)",
                    self.label,
                    unreachable.reasons.join("; ")
                ),
                Err(unreachable) => return Ok(Err(Attempt::Unreachable(unreachable.reasons.join("; ")))),
            }
        }
        Ok(Ok(files))
    }

    fn fetch_one(&self, label: &str, urls: Vec<String>) -> Result<std::result::Result<Fetched, Unreachable>> {
        self.bench.fetcher.fetch(Request {
            urls,
            sha256: None,
            size: None,
            label: label.to_owned(),
        })
    }

    /// Where the signature may be. HashiCorp's name of the one by a certain key has the last eight digits of its
    /// fingerprint; a version signed anew by another key has both.
    fn signature_urls(&self, key: &str) -> Vec<String> {
        let url = &self.url;
        match self.list.kind {
            SumsKind::Hashicorp => {
                let short = &key[key.len().saturating_sub(8)..];
                vec![format!("{url}.{short}.sig"), format!("{url}.sig")]
            }
            SumsKind::Prometheus | SumsKind::Sha256sum => vec![format!("{url}.asc")],
        }
    }
}
