//! Options that several subcommands share.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::Args;

use crate::definition::{self, Image};
use crate::reporter::Reporter;
use crate::repository::{self, SigningKey};
use crate::resolve::{Lock, Policy, Settings};
use crate::workshop::Workshop;
use crate::{assemble, catalog, input_error};

/// Which definition, and the site it is for.
#[derive(Debug, Args)]
pub(super) struct Definition {
    /// Name of a definition in images/, or a path to a .jsonnet file.
    #[arg(value_name = "IMAGE")]
    pub(super) name: String,

    /// Site settings [default: site.jsonnet at the top of the repository, where there is one]
    #[arg(long, value_name = "FILE")]
    site: Option<PathBuf>,
}

impl Definition {
    /// The definition called `name`; without a name the whole catalog, as a definition of its own.
    pub(super) fn or_catalog(name: Option<String>, site: Option<PathBuf>) -> Result<Self> {
        let name = match name {
            Some(name) => name,
            None => catalog::path(Path::new("."))?.display().to_string(),
        };
        Ok(Self { name, site })
    }

    /// The path of the definition.
    pub(super) fn path(&self) -> Result<PathBuf> {
        definition::find(&self.name, Path::new("."))
    }

    /// The definition, evaluated and validated, with the versions that its lock has chosen inside its ranges.
    pub(super) fn load(&self) -> Result<Image> {
        let image = self.load_versions(&BTreeMap::new())?;
        let versions = match Lock::load(&self.path()?.with_extension("lock.json"), &image.name)? {
            Some(lock) => lock.chosen(&image),
            None => BTreeMap::new(),
        };
        if versions.is_empty() {
            return Ok(image);
        }
        self.load_versions(&versions)
    }

    /// The definition with these versions of components.
    pub(super) fn load_versions(&self, versions: &BTreeMap<String, String>) -> Result<Image> {
        definition::load_versions(&self.path()?, self.site.as_deref(), assemble::boards::names(), versions)
    }
}

/// Who signs the repository of the packages.
#[derive(Debug, Args)]
pub(super) struct Signing {
    /// OpenPGP secret key that signs the apt repository [default: one made once, in $XDG_DATA_HOME/computatom/]
    #[arg(long = "signing-key", value_name = "FILE")]
    key: Option<PathBuf>,
}

impl Signing {
    /// The key for the repository in `folder`; both are looked at before long work whose result goes there.
    pub(super) fn open(&self, folder: &Path, reporter: &Reporter) -> Result<SigningKey> {
        repository::check(folder)?;
        SigningKey::open(self.key.as_deref(), reporter)
    }
}

/// Where inputs come from.
#[derive(Debug, Args)]
pub(super) struct Inputs {
    /// Take exactly what the lock says, or stop.
    #[arg(long)]
    pub(super) locked: bool,

    /// Debian mirror: a URL, also file:// [default: $COMPUTATOM_MIRROR, else that of this machine's apt sources]
    #[arg(long, value_name = "URL")]
    mirror: Option<String>,

    /// Reach a further apt source of the definition here, as in `vendor=https://mirror.example.org/vendor` (whose
    /// signatures count stays the definition's to say; also in $COMPUTATOM_APT_SOURCES).
    #[arg(long, value_name = "NAME=URL")]
    apt_source: Vec<String>,

    /// Only warn about a table of contents (InRelease) that is past its Valid-Until: the mirror may hide newer versions.
    #[arg(long)]
    allow_expired: bool,

    /// Trust the keys of this file for the Debian archive, beside Debian's own.
    #[arg(long, value_name = "FILE")]
    keyring: Vec<PathBuf>,

    /// Reach a publisher's release host at a mirror, as in `releases.hashicorp.com=https://mirror.example.org/hashicorp`
    /// (digests and signatures stay the publisher's; also in $COMPUTATOM_RELEASE_MIRROR).
    #[arg(long, value_name = "HOST=URL")]
    release_host: Vec<String>,

    /// Take a component from this source only, as in `nomad=go-module` (release, go-module, debian, file).
    #[arg(long, value_name = "COMPONENT=SOURCE")]
    source: Vec<String>,
}

impl Inputs {
    /// A workshop for `definition` with these inputs.
    pub(super) fn workshop(&self, definition: &Definition, renew: bool, reporter: &Reporter) -> Result<Workshop> {
        let policy = match (self.locked, renew) {
            (true, _) => Policy::Locked,
            (false, true) => Policy::Renew,
            (false, false) => Policy::Keep,
        };
        let settings = Settings {
            mirror: self.mirror.clone(),
            keyrings: self.keyring.clone(),
            release_hosts: self.release_host.clone(),
            apt_sources: self.apt_source.clone(),
            allow_expired: self.allow_expired,
            policy,
            ..Settings::default()
        };
        let sources = self
            .source
            .iter()
            .map(|choice| parse_source(choice))
            .collect::<Result<_>>()?;
        let image = definition.load()?;
        for warning in image.site.warnings() {
            reporter.warn(format_args!("site settings: {warning}"));
        }
        Workshop::open(&definition.path()?, image, settings, sources, reporter)
    }
}

fn parse_source(choice: &str) -> Result<(String, String)> {
    let (component, source) = choice
        .split_once('=')
        .ok_or_else(|| input_error!("`--source {choice}`: write it as COMPONENT=SOURCE, as in `nomad=go-module`"))?;
    Ok((component.to_owned(), source.to_owned()))
}
