//! Packages without an image: each component for each architecture, and one that fails does not hide the others.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use computatom_spec::arch::Arch;
use computatom_spec::manifest::PackageRecord;

use super::{Workshop, of_apt};
use crate::definition::Image;
use crate::definition::image::Component;
use crate::failure::{InputError, Interrupted, exit_code};
use crate::housekeeping::space;
use crate::package::{self, Options, room};
use crate::resolve::{self, Policy};
use crate::{atomic, bail_input, interrupt};

/// What Debian puts before the names of Prometheus' exporters.
const PREFIX: &str = "prometheus-";

/// What came of making packages.
#[derive(Debug, Default)]
pub struct Made {
    /// The packages.
    pub packages: Vec<PackageRecord>,
    /// Why others could not be made, each with its component and architecture.
    pub failures: Vec<(String, Arch, anyhow::Error)>,
}

impl Made {
    /// One error for all that failed: the only one as it is, several as a list. It is the input's fault if every one
    /// is.
    pub fn into_result(mut self) -> Result<Vec<PackageRecord>> {
        if self.failures.len() == 1
            && let Some((_, _, error)) = self.failures.pop()
        {
            return Err(error);
        }
        if self.failures.is_empty() {
            return Ok(self.packages);
        }
        let of = self.packages.len() + self.failures.len();
        let lines: Vec<String> = self
            .failures
            .iter()
            .map(|(name, arch, error)| format!("{name} for {arch}: {error:#}").replace('\n', "\n  "))
            .collect();
        let text = format!(
            "{} of {of} packages could not be made:\n  {}",
            lines.len(),
            lines.join("\n  ")
        );
        if self.failures.iter().all(|(_, _, error)| exit_code(error) == 2) {
            return Err(anyhow::Error::new(InputError(text)));
        }
        Err(anyhow::Error::msg(text))
    }
}

impl Workshop {
    /// Keeps only the components named, by their packages' names or as upstream writes them (`node_exporter`). Of
    /// those that come from Debian, [`Workshop::packages`] then gets Debian's own package.
    pub fn select(&mut self, names: &[String]) -> Result<()> {
        let known: Vec<String> = self.image.components.iter().map(|known| known.name.clone()).collect();
        for name in names {
            if !known.iter().any(|known| is_called(known, name)) {
                let upstreams = known.iter().filter_map(|known| known.strip_prefix(PREFIX));
                let spellings: Vec<String> = known.iter().cloned().chain(upstreams.map(str::to_owned)).collect();
                let nearest = crate::definition::nearest(&name.replace('_', "-"), &spellings);
                bail_input!(
                    "there is no component `{name}`{nearest}; there are {}",
                    known.join(", ")
                );
            }
        }
        self.image
            .components
            .retain(|known| names.iter().any(|name| is_called(&known.name, name)));
        self.selected = true;
        Ok(())
    }

    /// The definition, with the components that were selected.
    pub fn definition(&self) -> &Image {
        &self.image
    }

    /// Makes the packages of all components for `architectures` (none: those of the targets, or this machine's where
    /// components were selected) in `out`/packages. What fails is told at the end.
    pub fn packages(&mut self, architectures: &[Arch], out: &Path) -> Result<Made> {
        let mut architectures = architectures.to_vec();
        if architectures.is_empty() {
            architectures = match Arch::host().filter(|_| self.selected) {
                Some(host) => vec![host],
                None => self.image.targets.iter().map(|target| target.arch).collect(),
            };
        }
        architectures.sort_unstable();
        architectures.dedup();
        let before = self.lock.clone();
        let folder = out.join("packages");
        let options = self.options(Some(folder.clone()));
        package::check_choices(&self.image, &options)?;
        let (fetcher, image) = (&self.fetcher, &self.image);
        space::check(&room::to_make(
            fetcher,
            image,
            &architectures,
            &self.lock,
            &options,
            &folder,
        )?)?;
        let mut made = Made::default();
        for arch in architectures {
            for component in self.image.components.clone() {
                interrupt::check()?;
                match self.package(&component, arch, &options, &folder) {
                    Ok(records) => made.packages.extend(records),
                    Err(error) if error.is::<Interrupted>() => return Err(error),
                    Err(error) => made.failures.push((component.name, arch, error)),
                }
            }
        }
        self.save_lock(&before)?;
        Ok(made)
    }

    /// Makes one package; nothing where Debian has it and nobody asked for it by name.
    fn package(
        &mut self,
        component: &Component,
        arch: Arch,
        options: &Options,
        folder: &Path,
    ) -> Result<Vec<PackageRecord>> {
        let mut found = package::Components::default();
        package::resolve_component(&self.fetcher, component, arch, Some(&self.lock), options, &mut found)?;
        self.lock.components.append(&mut found.locked);
        let mut records: Vec<PackageRecord> = found.debs.into_iter().map(|deb| deb.record).collect();
        if self.selected && !found.debian.is_empty() {
            if self.settings.policy == Policy::Locked {
                bail_input!(
                    "{} comes from Debian, and no lock says in which version: leave out `--locked`",
                    component.name
                );
            }
            let debs = resolve::newest(&self.fetcher, &self.settings, &self.image, arch, &found.debian)?;
            for deb in &debs {
                let locked = deb.locked();
                let name = locked.filename.rsplit('/').next().unwrap_or(&locked.filename);
                let path: PathBuf = folder.join(name);
                let content = fs::read(deb.path()).with_context(|| format!("reading {}", deb.path().display()))?;
                atomic::write(&path, &content)?;
                records.push(of_apt(deb, &self.image).record);
            }
        }
        Ok(records)
    }
}

/// The full name of the component that a person means by `given`; `given` itself where there is none.
pub(super) fn meant(image: &Image, given: String) -> String {
    let mut names = image.components.iter().map(|component| &component.name);
    if names.clone().any(|name| *name == given) {
        return given;
    }
    names.find(|name| is_called(name, &given)).cloned().unwrap_or(given)
}

/// Whether a person who writes `given` means the package `name`: `node_exporter` is `prometheus-node-exporter`.
fn is_called(name: &str, given: &str) -> bool {
    let given = given.replace('_', "-");
    name == given || name.strip_prefix(PREFIX).is_some_and(|rest| rest == given)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::input_error;

    #[test]
    fn upstreams_names_are_understood() {
        assert!(is_called("prometheus-node-exporter", "node_exporter"));
        assert!(is_called("prometheus-alertmanager", "alertmanager"));
        assert!(is_called("cni-plugins", "cni-plugins"));
        assert!(!is_called("prometheus", "prometheus-node-exporter"));
        assert!(!is_called("prometheus-node-exporter", "prometheus"));
    }

    #[test]
    fn several_failures_are_told_as_one_whose_fault_is_the_worlds_if_one_is() {
        let wrong = || ("a".to_owned(), Arch::Armel, input_error!("it does not exist"));
        let down = ("b".to_owned(), Arch::Arm64, anyhow::anyhow!("the host is down"));
        let made = |failures| Made {
            packages: Vec::new(),
            failures,
        };
        let alone = made(vec![wrong()]).into_result().unwrap_err();
        assert_eq!(
            (exit_code(&alone), alone.to_string().as_str()),
            (2, "it does not exist")
        );
        let both = made(vec![wrong(), wrong()]).into_result().unwrap_err();
        assert_eq!(exit_code(&both), 2);
        let mixed = made(vec![wrong(), down]).into_result().unwrap_err();
        assert_eq!(exit_code(&mixed), 1);
        assert_eq!(
            mixed.to_string(),
            "2 of 2 packages could not be made:\n  a for armel: it does not exist\n  b for arm64: the host is down"
        );
        assert!(made(Vec::new()).into_result().unwrap().is_empty());
    }
}
