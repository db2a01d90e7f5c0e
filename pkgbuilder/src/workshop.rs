//! The stages in order, for one definition: what `build`, `image`, `packages` and `lock` have in common.

/// What `packages` makes.
mod packages;

/// Newer versions, and whether the lock is up to date.
mod update;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Result;
use computatom_spec::arch::Arch;
use computatom_spec::manifest::PackageRecord;

use crate::assemble::{self, DiskImage, squashfs};
use crate::compose::Input;
use crate::definition::format::Format;
use crate::definition::image::Target;
use crate::definition::{self, Image};
use crate::fetch::cache::Cache;
use crate::fetch::{Fetcher, ReleaseHosts};
use crate::housekeeping::space::{self, Demand};
use crate::like::Like;
use crate::package::pins::{moves as component_moves, pin_components};
use crate::package::{self, Components, room};
use crate::reporter::Reporter;
use crate::repository::{self, SigningKey};
use crate::resolve::lock::LockedDeb;
use crate::resolve::{self, LocalPackage, Lock, Policy, Settings};
use crate::verify::deb::VerifiedDeb;
use crate::{bail_input, compose, interrupt};

pub use self::packages::Made;

/// A definition, its lock, and where its inputs come from.
#[derive(Debug)]
pub struct Workshop {
    image: Image,
    lock: Lock,
    lock_path: PathBuf,
    root: PathBuf,
    settings: Settings,
    sources: BTreeMap<String, String>,
    fetcher: Fetcher,
    reporter: Reporter,
    like: Option<Like>,
    /// Whether single components were asked for by name.
    selected: bool,
}

/// Everything that goes into an image of one target, verified.
#[derive(Debug)]
pub struct Inputs {
    packages: Vec<Input>,
}

impl Inputs {
    /// What manifests say about the packages.
    pub fn records(&self) -> Vec<PackageRecord> {
        self.packages.iter().map(|deb| deb.record.clone()).collect()
    }
}

impl Workshop {
    /// Opens the definition at `path`, already loaded as `image`, with its lock beside it.
    pub fn open(
        path: &Path,
        image: Image,
        settings: Settings,
        sources: BTreeMap<String, String>,
        reporter: &Reporter,
    ) -> Result<Self> {
        let lock_path = path.with_extension("lock.json");
        let lock = Lock::load(&lock_path, &image.name)?.unwrap_or_else(|| Lock::new(&image.name));
        let hosts = ReleaseHosts::find(&settings.release_hosts)?;
        let fetcher = Fetcher::through(Cache::open()?, reporter.clone(), hosts)?;
        let root = definition::root_of(path)?;
        let reporter = reporter.clone();
        let sources = sources.into_iter();
        let sources = sources
            .map(|(name, source)| (packages::meant(&image, name), source))
            .collect();
        Ok(Self {
            image,
            lock,
            lock_path,
            root,
            settings,
            sources,
            fetcher,
            reporter,
            like: None,
            selected: false,
        })
    }

    /// From here on what `like` records is repeated, or refused.
    pub fn repeat(&mut self, like: Like) -> Result<()> {
        self.sources = like.choices(&self.image, &self.lock)?;
        self.settings.policy = Policy::Locked;
        self.like = Some(like);
        Ok(())
    }

    /// The targets to build: all of the definition, or the one named.
    pub fn targets(&self, name: Option<&str>) -> Result<Vec<Target>> {
        let targets = &self.image.targets;
        let Some(name) = name else { return Ok(targets.clone()) };
        if let Some(target) = targets.iter().find(|target| target.name == name) {
            return Ok(vec![target.clone()]);
        }
        let names: Vec<String> = targets.iter().map(|target| target.name.clone()).collect();
        bail_input!(
            "{} has no target `{name}`; it has {}",
            self.image.name,
            names.join(", ")
        )
    }

    /// Resolves, fetches, verifies and packages what `target` needs; saves the lock where something was chosen anew.
    /// Packages of ours are also put into `output`, if given.
    pub fn inputs(&mut self, target: &Target, output: Option<PathBuf>) -> Result<Inputs> {
        let before = self.lock.clone();
        let Components {
            debian,
            debs: own,
            stanzas,
            locked,
        } = self.components(target.arch, output)?;
        self.lock.components.extend(locked);
        let chosen = self.debian(target, &debian, &stanzas)?;
        self.save_lock(&before)?;
        let own = own.into_iter().map(|deb| Input {
            path: deb.path,
            record: deb.record,
        });
        let inputs = Inputs {
            packages: own.chain(chosen.iter().map(|deb| of_apt(deb, &self.image))).collect(),
        };
        if let Some(like) = &self.like {
            like.check_packages(&inputs.records())?;
        }
        Ok(inputs)
    }

    /// Pins every input of every target anew, without building anything, and says what moved.
    pub fn lock(&mut self) -> Result<()> {
        let before = self.lock.clone();
        let options = self.options(None);
        space::check(&room::to_pin(&self.image, &self.lock, &options)?)?;
        self.lock_from(&before)
    }

    /// As [`Workshop::lock`], where the lock said `before`.
    fn lock_from(&mut self, before: &Lock) -> Result<()> {
        let mut locked = BTreeMap::new();
        for target in self.image.targets.clone() {
            let options = self.options(None);
            let pins = pin_components(&self.fetcher, &self.image, target.arch, Some(&self.lock), &options)?;
            self.lock.components.extend(pins.locked.clone());
            locked.extend(pins.locked);
            self.debian(&target, &pins.debian, &pins.stanzas)?;
        }
        if self.settings.policy == Policy::Renew {
            // What the definition no longer names need not be kept.
            let named = |target: &String| self.image.targets.iter().any(|known| known.name == *target);
            self.lock.debian.retain(|target, _| named(target));
            self.lock.request.retain(|target, _| named(target));
            self.lock.components = locked;
        }
        for line in component_moves(&before.components, &self.lock.components) {
            self.reporter.step(format_args!("  {line}"));
        }
        if self.lock == *before {
            self.reporter.step(format_args!(
                "nothing moved: {} stands as it is",
                self.lock_path.display()
            ));
        }
        self.save_lock(before)
    }

    /// Makes the folder of packages an apt repository of all that lie there, signed by `key`.
    pub fn repository(&self, folder: &Path, key: &SigningKey) -> Result<()> {
        let made = repository::update(folder, key, self.fetcher.cache(), &self.reporter)?;
        if made.changed {
            let architectures: Vec<&str> = made.architectures.iter().map(String::as_str).collect();
            self.reporter.step(format_args!(
                "{} is an apt repository of {} package{} ({}), signed by {}",
                folder.display(),
                made.packages,
                if made.packages == 1 { "" } else { "s" },
                architectures.join(", "),
                key.fingerprint()
            ));
        }
        Ok(())
    }

    /// Fails unless there is room for images of `targets` in `out`, as far as the lock tells what they take.
    pub fn check_room(&self, targets: &[Target], out: &Path) -> Result<()> {
        let mut demands: Vec<Demand> = targets
            .iter()
            .flat_map(|target| space::of_image(&self.lock, target, self.fetcher.cache(), out))
            .collect();
        let architectures: Vec<Arch> = targets.iter().map(|target| target.arch).collect();
        let options = self.options(None);
        let (fetcher, image) = (&self.fetcher, &self.image);
        demands.extend(room::to_make(
            fetcher,
            image,
            &architectures,
            &self.lock,
            &options,
            out,
        )?);
        space::check(&demands)
    }

    /// Composes the root and makes these formats of the image, with its companions, in `out`.
    pub fn image(&self, target: &Target, inputs: &Inputs, formats: &[Format], out: &Path) -> Result<DiskImage> {
        interrupt::check()?;
        self.reporter.step(format_args!(
            "composing {} from {} packages",
            target.name,
            inputs.packages.len()
        ));
        let asked: Vec<String> = [&self.image.debian.packages, &target.packages]
            .into_iter()
            .flatten()
            .cloned()
            .chain(self.image.components.iter().map(|component| component.name.clone()))
            .collect();
        let cache = self.fetcher.cache();
        let rootfs = compose::compose(
            &inputs.packages,
            &self.image,
            target,
            &asked,
            self.lock.epoch,
            cache,
            &self.reporter,
        )?;
        let packages = inputs.records();
        let job = assemble::Job {
            image: &self.image,
            target,
            lock: &self.lock,
            packages: &packages,
            out,
            cache,
            level: squashfs::LEVEL,
            formats,
        };
        assemble::assemble(rootfs, &job, &self.reporter)
    }

    fn options(&self, output: Option<PathBuf>) -> package::Options {
        package::Options {
            root: self.root.clone(),
            output,
            only: self.sources.clone(),
            locked: self.settings.policy == Policy::Locked,
        }
    }

    fn components(&self, arch: Arch, output: Option<PathBuf>) -> Result<Components> {
        let options = self.options(output);
        package::resolve_components(&self.fetcher, &self.image, arch, Some(&self.lock), &options)
    }

    /// The Debian side of a target, besides packages of ours with these control stanzas.
    fn debian(&mut self, target: &Target, asked: &[String], stanzas: &[String]) -> Result<Vec<VerifiedDeb>> {
        let local = stanzas
            .iter()
            .map(|stanza| LocalPackage::parse(stanza))
            .collect::<Result<Vec<_>>>()?;
        let (fetcher, settings, image) = (&self.fetcher, &self.settings, &self.image);
        resolve::debian(fetcher, settings, image, target, asked, &local, &mut self.lock)
    }

    fn save_lock(&mut self, before: &Lock) -> Result<()> {
        if self.lock == *before || self.settings.policy == Policy::Locked {
            return Ok(());
        }
        let _guard = Lock::guard(self.fetcher.cache(), &self.lock_path)?;
        // A build takes long: what another process has pinned meanwhile stays.
        if let Some(now) = Lock::load(&self.lock_path, &self.image.name)? {
            self.lock = self.lock.clone().over(before, now);
        }
        self.lock.save(&self.lock_path)?;
        self.reporter.step(format_args!("wrote {}", self.lock_path.display()));
        Ok(())
    }
}

fn of_apt(deb: &VerifiedDeb, image: &Image) -> Input {
    Input {
        path: deb.path().to_owned(),
        record: recorded(deb.locked(), image),
    }
}

/// What manifests say about a locked package.
fn recorded(locked: &LockedDeb, image: &Image) -> PackageRecord {
    let place = format!("{} {}", locked.suite, locked.filename);
    let name = locked.source.as_deref().unwrap_or_default();
    // A further suite of Debian's is Debian's as well: its name tells.
    let vendor = image.debian.sources.get(name).filter(|source| !source.is_debian());
    let (source, origin, verified) = match vendor {
        None => ("debian", place, package::sources::DEBIAN.to_owned()),
        Some(source) => ("apt", format!("{name} {place}"), package::sources::of_vendor(source)),
    };
    PackageRecord {
        name: locked.name.clone(),
        version: locked.version.clone(),
        architecture: locked.architecture.clone(),
        digest: format!("sha256:{}", locked.sha256),
        source: source.to_owned(),
        origin,
        verified,
        ..PackageRecord::default()
    }
}
