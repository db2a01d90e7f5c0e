//! Newer versions, and whether the lock is up to date.

use std::collections::BTreeMap;

use anyhow::{Result, bail};

use super::Workshop;
use super::packages::meant;
use crate::bail_input;
use crate::definition::{self, Image};
use crate::package;
use crate::package::pins::{of, pin_components};
use crate::package::sources::Workbench;
use crate::package::update::{self, Found};
use crate::resolve::{self, LocalPackage};

impl Workshop {
    /// Looks for newer versions of the components named (none: of all that have a range), without changing anything.
    /// `at` evaluates the definition with these versions of components.
    pub fn updates(
        &self,
        names: &[String],
        at: &dyn Fn(&BTreeMap<String, String>) -> Result<Image>,
    ) -> Result<Vec<Found>> {
        let names = names.iter().map(|name| meant(&self.image, name.clone()));
        let names: Vec<String> = names.collect();
        self.check_names(&names)?;
        let options = self.options(None);
        let benches: Vec<Workbench<'_>> = self
            .image
            .targets
            .iter()
            .map(|target| Workbench {
                fetcher: &self.fetcher,
                root: &self.root,
                arch: target.arch,
                locked: false,
            })
            .collect();
        let mut found = Vec::new();
        let mut silent = Vec::new();
        for component in &self.image.components {
            let name = &component.name;
            if component.range.is_none() || !(names.is_empty() || names.contains(name)) {
                continue;
            }
            let evaluated = |version: &str| {
                let mut versions = self.versions();
                versions.insert(name.clone(), version.to_owned());
                let image = at(&versions)?;
                let component = image.components.into_iter().find(|component| component.name == *name);
                component.ok_or_else(|| crate::input_error!("{name} is there at one version only"))
            };
            match update::find(&benches, component, &options, &evaluated)? {
                Ok(one) => found.push(one),
                Err(reason) => silent.push(format!("{name}: {reason}")),
            }
        }
        if !silent.is_empty() {
            bail!(
                "nobody can be asked for newer versions now:\n  {}\n(`--release-host HOST=URL` and GOPROXY name mirrors; \
                 `--update COMPONENT` asks for one only)",
                silent.join("\n  ")
            );
        }
        Ok(found)
    }

    /// The definition's name.
    pub fn name(&self) -> &str {
        &self.image.name
    }

    /// The versions of the components that have a range: the definition's, or those that the lock has chosen.
    pub fn versions(&self) -> BTreeMap<String, String> {
        let ranged = self
            .image
            .components
            .iter()
            .filter(|component| component.range.is_some());
        ranged
            .map(|component| (component.name.clone(), component.version.clone()))
            .collect()
    }

    /// Names of components that can be updated.
    fn check_names(&self, names: &[String]) -> Result<()> {
        for name in names {
            let Some(component) = self.image.components.iter().find(|component| component.name == *name) else {
                let known: Vec<String> = self.image.components.iter().map(|known| known.name.clone()).collect();
                let nearest = definition::nearest(name, &known);
                bail_input!(
                    "--update {name}: {} has no component `{name}`{nearest}; it has {}",
                    self.image.name,
                    known.join(", ")
                );
            };
            if component.range.is_none() {
                bail_input!(
                    "--update {name}: the definition names {name} {} and no range; add `range: '~1.2'`, or change \
                     `version`",
                    component.version
                );
            }
        }
        Ok(())
    }

    /// Takes the newer versions into the lock; `image` is the definition with them.
    pub fn update(&mut self, image: Image, found: Vec<Found>) -> Result<()> {
        let before = self.lock.clone();
        self.image = image;
        for Found { change, pinned } in found {
            if let Some(pinned) = pinned {
                self.lock.components.insert(change.name, pinned);
            }
        }
        self.lock_from(&before)
    }

    /// Fails, naming what is stale, unless the lock answers what the definition asks.
    pub fn check(&self) -> Result<()> {
        let (path, name) = (self.lock_path.display(), &self.image.name);
        if !self.lock_path.is_file() {
            bail_input!("there is no lock {path}: run `pkgbuilder lock {name}`");
        }
        let stale = self.stale()?;
        if !stale.is_empty() {
            bail_input!(
                "{path} is stale: run `pkgbuilder lock {name}`:\n  {}",
                stale.join("\n  ")
            );
        }
        self.reporter
            .step(format_args!("{path} answers what the definition asks"));
        Ok(())
    }

    fn stale(&self) -> Result<Vec<String>> {
        let mut stale = Vec::new();
        let locked = &self.lock.components;
        for component in &self.image.components {
            let name = &component.name;
            let wanted = of(component, None, false)?;
            match locked.get(name) {
                None if !wanted.release.is_empty() => stale.push(format!("{name} is not in it")),
                Some(locked) if locked.version != wanted.version => stale.push(format!(
                    "{name} is {} in it, the definition asks for {}",
                    locked.version, wanted.version
                )),
                Some(locked) => {
                    let changed = |arch| locked.release.get(arch) != wanted.release.get(arch);
                    for arch in wanted.release.keys().filter(|arch| changed(arch)) {
                        stale.push(format!(
                            "{name} {} has another archive for {arch} in it",
                            locked.version
                        ));
                    }
                }
                None => {}
            }
        }
        for name in locked.keys() {
            if !self.image.components.iter().any(|component| component.name == *name) {
                stale.push(format!("{name} is in it, but not in the definition"));
            }
        }
        for target in self.lock.debian.keys() {
            if !self.image.targets.iter().any(|known| known.name == *target) {
                stale.push(format!(
                    "it has packages for {target}, which the definition does not name"
                ));
            }
        }
        if stale.is_empty() {
            stale = self.stale_packages()?;
        }
        Ok(stale)
    }

    /// Whether the Debian packages were chosen for another question.
    fn stale_packages(&self) -> Result<Vec<String>> {
        let options = package::Options {
            locked: true,
            ..self.options(None)
        };
        let mut stale = Vec::new();
        for target in &self.image.targets {
            let pins = pin_components(&self.fetcher, &self.image, target.arch, Some(&self.lock), &options)?;
            let local = pins
                .stanzas
                .iter()
                .map(|stanza| LocalPackage::parse(stanza))
                .collect::<Result<Vec<_>>>()?;
            stale.extend(resolve::stale(&self.image, target, &pins.debian, &local, &self.lock)?);
        }
        Ok(stale)
    }
}
