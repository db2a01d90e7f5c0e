//! Where the suites of a question lie, and whose signatures count there: Debian's own archive, and every further
//! source by itself.

use std::borrow::Cow;
use std::collections::BTreeMap;

use anyhow::Result;
use computatom_spec::arch::Arch;
use serde::Serialize;

use crate::definition::image::{AptSource, Debian};
use crate::fetch::apt_sources::AptSources;
use crate::fetch::mirror::Mirror;
use crate::verify::openpgp::Keyring;
use crate::verify::release::Expected;

/// A further source, as far as it decides what is chosen: where it is does not.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Further {
    pub(super) name: String,
    /// With the components that it inherits, and without its place.
    #[serde(flatten)]
    source: AptSource,
    #[serde(skip)]
    uris: Vec<String>,
}

impl Further {
    /// The further sources of `debian` that have packages for `arch`.
    pub(super) fn of(debian: &Debian, arch: Arch) -> Vec<Self> {
        let serving = debian.sources.iter().filter(|(_, source)| source.serves(arch));
        serving
            .map(|(name, source)| {
                let mut source = source.clone();
                if source.is_debian() && source.components.is_empty() {
                    source.components.clone_from(&debian.components);
                }
                // Which machines it also serves is no part of what is asked for this one.
                source.architectures.clear();
                Self {
                    name: name.clone(),
                    uris: std::mem::take(&mut source.uris),
                    source,
                }
            })
            .collect()
    }
}

/// Suites at one place, signed by the same keys.
#[derive(Debug)]
pub(super) struct Origin<'a> {
    /// Name of the further source; `None` for Debian's own suites.
    pub(super) source: Option<&'a str>,
    pub(super) suites: &'a [String],
    pub(super) components: &'a [String],
    keyring: Cow<'a, Keyring>,
    mirror: &'a Mirror,
    /// Base URLs that are not the mirror's.
    uris: Option<Vec<String>>,
}

impl<'a> Origin<'a> {
    /// Debian's own suites.
    pub(super) fn debian(
        mirror: &'a Mirror,
        keyring: &'a Keyring,
        suites: &'a [String],
        components: &'a [String],
    ) -> Self {
        Self {
            source: None,
            suites,
            components,
            keyring: Cow::Borrowed(keyring),
            mirror,
            uris: None,
        }
    }

    /// A further source: with a key of its own no other counts, `debian`'s neither.
    pub(super) fn further(
        further: &'a Further,
        mirror: &'a Mirror,
        debian: &'a Keyring,
        places: &AptSources,
    ) -> Result<Self> {
        let Further { name, source, uris } = further;
        let located = places.locate(
            name,
            &AptSource {
                uris: uris.clone(),
                ..source.clone()
            },
        )?;
        Ok(Self {
            source: Some(name),
            suites: &source.suites,
            components: &source.components,
            keyring: match &source.signed_by {
                Some(armored) => Cow::Owned(Keyring::read(armored.as_bytes())?),
                None => Cow::Borrowed(debian),
            },
            mirror,
            uris: located,
        })
    }

    /// URLs of `path` (below the folder of `dists/` and `pool/`), tried in this order.
    pub(super) fn urls(&self, suite: &str, path: &str) -> Vec<String> {
        match &self.uris {
            Some(uris) => uris.iter().map(|base| format!("{base}/{path}")).collect(),
            None => vec![format!("{}/{path}", self.mirror.base(suite))],
        }
    }

    /// What is expected of the table of contents of `suite`.
    pub(super) fn expected<'b>(&'b self, suite: &'b str) -> Expected<'b> {
        Expected {
            suite,
            source: self.source,
            keyring: &self.keyring,
        }
    }

    /// What is being done when it does not answer, for the context of an error.
    pub(super) fn question(&self) -> String {
        match (&self.source, &self.uris) {
            (Some(name), Some(uris)) => asking(name, uris),
            _ => self.mirror.question(),
        }
    }

    /// How another place is named.
    pub(super) fn remedy(&self) -> String {
        self.expected("").remedy()
    }
}

/// What is being done when a further source does not answer.
pub(in crate::resolve) fn asking(name: &str, uris: &[String]) -> String {
    format!(
        "asking the apt source {name} at {} (`--apt-source {name}=URL` names another place)",
        uris.join(", ")
    )
}

/// The places of the further sources of a definition that are not on the Debian mirror, by name.
pub(in crate::resolve) fn located(
    sources: &BTreeMap<String, AptSource>,
    places: &AptSources,
    name: &str,
) -> Result<Option<Vec<String>>> {
    match sources.get(name) {
        Some(source) => places.locate(name, source),
        None => crate::bail_input!("the lock names the apt source `{name}`, which the definition does not have"),
    }
}
