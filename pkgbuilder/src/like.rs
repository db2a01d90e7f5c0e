//! `build --like MANIFEST`: the image of a manifest again, from exactly the sources that it records, or a sentence that
//! says why that cannot be.
//!
//! The manifest says which source each component came from, with which toolchain, and what came out; the lock, which lies
//! beside the definition in version control, pins what those sources give.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Result, bail};
use computatom_spec::arch::Arch;
use computatom_spec::manifest::{Manifest, PackageRecord};
use serde_json::Value;

use crate::definition::Image;
use crate::definition::image::{Component, Source};
use crate::package::sources;
use crate::resolve::Lock;
use crate::{bail_input, input_error, inspect};

/// A manifest to be repeated.
#[derive(Clone, Debug)]
pub struct Like {
    manifest: Manifest,
}

impl Like {
    /// Reads the manifest at `path`, which may also be that of the image or of another of its companions.
    pub fn read(path: &Path) -> Result<Self> {
        let manifest = inspect::manifest_of(path)?.ok_or_else(|| {
            input_error!(
                "{} is no manifest: name a .manifest.json, or the image that it lies beside",
                path.display()
            )
        })?;
        Ok(Self { manifest })
    }

    /// The target that was built.
    pub fn target(&self) -> &str {
        &self.manifest.target
    }

    /// Fails unless `image` with `lock`, on this machine, can only give what the manifest records; gives the source of
    /// each component.
    pub fn choices(&self, image: &Image, lock: &Lock) -> Result<BTreeMap<String, String>> {
        let manifest = &self.manifest;
        let tool = env!("CARGO_PKG_VERSION");
        if manifest.tool != tool {
            bail!(
                "{} was built by pkgbuilder {}, and this is {tool}: take that one",
                self.name(),
                manifest.tool
            );
        }
        if manifest.image != image.name {
            bail_input!(
                "the manifest is of the image `{}`, not of `{}`",
                manifest.image,
                image.name
            );
        }
        if let Some(place) = difference(&manifest.definition, &serde_json::to_value(image)?) {
            bail_input!(
                "{} was built from another definition: `{place}` differs; check out the commit that it was built from, \
                 and name the same site settings by `--site`",
                self.name()
            );
        }
        let Some(target) = image.targets.iter().find(|target| target.name == manifest.target) else {
            bail_input!("{} has no target `{}`", image.name, manifest.target);
        };
        self.check_lock(lock)?;
        let mut choices = BTreeMap::new();
        for component in &image.components {
            let (source, record) = self.source(component)?;
            check_toolchain(component, source, record, target.arch)?;
            choices.insert(component.name.clone(), source.name().to_owned());
        }
        Ok(choices)
    }

    /// Fails unless `records` are the packages of the manifest.
    pub fn check_packages(&self, records: &[PackageRecord]) -> Result<()> {
        let by_name = |records: &[PackageRecord]| -> BTreeMap<String, PackageRecord> {
            let records = records.iter();
            records.map(|record| (record.name.clone(), record.clone())).collect()
        };
        let (then, now) = (by_name(&self.manifest.packages), by_name(records));
        for (name, was) in &then {
            let Some(is) = now.get(name) else {
                bail_input!("{} has {name} {}, which this build does not", self.name(), was.version);
            };
            if is.digest != was.digest {
                bail_input!(
                    "{name} {} came out with the {} ({}), and {} records {} with the {} ({})",
                    is.version,
                    is.digest,
                    is.origin,
                    self.name(),
                    was.version,
                    was.digest,
                    was.origin
                );
            }
        }
        if let Some((name, is)) = now.iter().find(|(name, _)| !then.contains_key(*name)) {
            bail_input!("{} has no {name}, and this build has {}", self.name(), is.version);
        }
        Ok(())
    }

    /// What to call the manifest in a sentence.
    fn name(&self) -> String {
        format!(
            "the image of the manifest ({} for {})",
            self.manifest.image, self.manifest.target
        )
    }

    fn record(&self, package: &str, debian: bool) -> Option<&PackageRecord> {
        let mut records = self.manifest.packages.iter();
        records.find(|record| record.name == package && record.is_from_apt() == debian)
    }

    /// Which of its sources a component came from.
    fn source<'a>(&self, component: &'a Component) -> Result<(&'a Source, &PackageRecord)> {
        for source in &component.sources {
            let record = match source {
                Source::Debian { package } => self.record(package, true),
                _ => self
                    .record(&component.name, false)
                    .filter(|record| record.source == source.name()),
            };
            if let Some(record) = record {
                return Ok((source, record));
            }
        }
        bail_input!("{} holds no package of the component {}", self.name(), component.name)
    }

    /// The lock must name the very packages of Debian, as of the same time.
    fn check_lock(&self, lock: &Lock) -> Result<()> {
        const NEXT: &str = "check out the lock that it was built with";
        let manifest = &self.manifest;
        let locked = lock.debian.get(&manifest.target).map(Vec::as_slice).unwrap_or_default();
        for record in manifest.packages.iter().filter(|record| record.is_from_apt()) {
            let same = locked.iter().find(|deb| deb.name == record.name);
            match same {
                Some(deb) if record.digest == format!("sha256:{}", deb.sha256) => {}
                Some(deb) => bail_input!(
                    "{} has {} {}, and the lock names {}: {NEXT}",
                    self.name(),
                    record.name,
                    record.version,
                    deb.version
                ),
                None => bail_input!(
                    "{} has {} {}, and the lock does not name it: {NEXT}",
                    self.name(),
                    record.name,
                    record.version
                ),
            }
        }
        if lock.epoch != manifest.epoch {
            bail_input!(
                "{} bears the time {}, and the lock {} (seconds since 1970): {NEXT}",
                self.name(),
                manifest.epoch,
                lock.epoch
            );
        }
        Ok(())
    }
}

/// The toolchain is a part of what a module's build gives: asked before that build, which takes minutes.
fn check_toolchain(component: &Component, source: &Source, record: &PackageRecord, arch: Arch) -> Result<()> {
    let Some(toolchain) = sources::toolchain(source, arch)? else {
        return Ok(());
    };
    let name = &component.name;
    match toolchain {
        Ok(toolchain) if record.origin.ends_with(&format!(" {toolchain}")) => Ok(()),
        Ok(toolchain) => bail!(
            "{name} was made from {}, and this machine has {toolchain}: install the other one, or build without \
             `--like`",
            record.origin
        ),
        Err(reason) => bail!("{name} was made from {}: {reason}", record.origin),
    }
}

/// Where two values differ first, as the path of keys (`debian.packages[3]`); empty for the whole.
fn difference(then: &Value, now: &Value) -> Option<String> {
    let below = |key: String, then: Option<&Value>, now: Option<&Value>| {
        let inside = difference(then.unwrap_or(&Value::Null), now.unwrap_or(&Value::Null))?;
        let dot = if inside.is_empty() || inside.starts_with('[') {
            ""
        } else {
            "."
        };
        Some(format!("{key}{dot}{inside}"))
    };
    match (then, now) {
        (Value::Object(then), Value::Object(now)) => then
            .keys()
            .chain(now.keys())
            .find_map(|key| below(key.clone(), then.get(key), now.get(key))),
        (Value::Array(then), Value::Array(now)) => {
            (0..then.len().max(now.len())).find_map(|at| below(format!("[{at}]"), then.get(at), now.get(at)))
        }
        (then, now) => (then != now).then(String::new),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_first_difference_is_named_by_its_path() {
        let value = json!({ "debian": { "packages": ["a", "b"] }, "name": "x" });
        assert_eq!(difference(&value, &value), None);
        let of = |now: Value| difference(&value, &now).unwrap();
        assert_eq!(
            of(json!({ "debian": { "packages": ["a", "c"] }, "name": "x" })),
            "debian.packages[1]"
        );
        assert_eq!(
            of(json!({ "debian": { "packages": ["a"] }, "name": "x" })),
            "debian.packages[1]"
        );
        assert_eq!(of(json!({ "debian": { "packages": ["a", "b"] }, "name": "y" })), "name");
        assert_eq!(
            of(json!({ "debian": { "packages": ["a", "b"] }, "name": "x", "z": 1 })),
            "z"
        );
    }
}
