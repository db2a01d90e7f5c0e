//! The lock: `images/<name>.lock.json`, sorted, newline-ended, committed.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::ErrorKind;
use std::path::Path;

use anyhow::{Context, Result};
use computatom_spec::arch::Arch;
use serde::{Deserialize, Serialize};

use crate::definition::{Image, range};
use crate::fetch::Cache;
use crate::verify::Sha256;
use crate::{atomic, bail_input, input_error};

/// Version of the format without further apt sources.
const FORMAT: u32 = 1;
/// Version of the format in which packages name the further source that they are of. What needs less is written as
/// [`FORMAT`], which programs of before there were such sources read as well.
const FORMAT_SOURCES: u32 = 2;

/// Everything a build of one image takes in, pinned.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lock {
    /// Version of this format.
    pub format: u32,
    /// Definition name.
    pub image: String,
    /// `SOURCE_DATE_EPOCH`: the newest `Date` among the suites at solving time, seconds since 1970.
    pub epoch: i64,
    /// MBR disk signature, 8 hex digits; derived from the image name once, then kept.
    pub disk_signature: String,
    /// Pinned components by name.
    pub components: BTreeMap<String, LockedComponent>,
    /// Pinned Debian packages by target name.
    pub debian: BTreeMap<String, Vec<LockedDeb>>,
    /// Digest (`sha256:`) of what the solver was asked, so that a changed definition is noticed.
    pub request: BTreeMap<String, String>,
}

/// One component with every source it may come from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LockedComponent {
    /// Upstream version.
    pub version: String,
    /// Release archives by architecture: URL and `sha256`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub release: BTreeMap<Arch, LockedRelease>,
    /// Go module sums.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub go_module: Option<LockedModule>,
}

/// A pinned release archive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LockedRelease {
    /// Where it is published.
    pub url: String,
    /// Digest, hex.
    pub sha256: String,
}

/// A pinned Go module.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LockedModule {
    /// Module path.
    pub module: String,
    /// Module version (`v1.10.5`).
    pub version: String,
    /// When the version was made, seconds since 1970: the date of the package's files.
    pub time: i64,
    /// `h1:` sum of the module's files.
    pub sum: String,
    /// `h1:` sum of its go.mod.
    pub go_mod_sum: String,
    /// Digest (hex sha256) of the go.sum that the build ends with: it pins every dependency.
    pub go_sum_sha256: String,
    /// Replacements: module to version.
    pub replace: BTreeMap<String, String>,
}

/// A pinned package of the Debian archive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LockedDeb {
    /// Package name.
    pub name: String,
    /// Debian version.
    pub version: String,
    /// Architecture of the package (`all` included).
    pub architecture: String,
    /// The further apt source that it is of; `None` for Debian's own suites.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// Suite it was taken from: says which part of the mirror it lies on.
    pub suite: String,
    /// `Filename` of the index, relative to the mirror or the source.
    pub filename: String,
    /// Size in bytes.
    pub size: u64,
    /// Digest, hex.
    pub sha256: String,
}

impl Lock {
    /// A lock that pins nothing yet. The disk signature comes from the image's name, so that two images differ.
    pub fn new(image: &str) -> Self {
        let digest = Sha256::of(format!("computatom disk signature of {image}").as_bytes());
        Self {
            format: FORMAT,
            image: image.to_owned(),
            epoch: 0,
            disk_signature: digest.hex()[..8].to_owned(),
            components: BTreeMap::new(),
            debian: BTreeMap::new(),
            request: BTreeMap::new(),
        }
    }

    /// Reads the lock of `image` at `path`; `None` if there is none yet.
    pub fn load(path: &Path, image: &str) -> Result<Option<Self>> {
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error).with_context(|| format!("reading lock {}", path.display())),
        };
        let name = path.display();
        // The format first: another one is the more helpful message than its unknown keys.
        let anew = format!("restore it from version control, or remove it and run `pkgbuilder lock {image}`");
        let document: serde_json::Value =
            serde_json::from_str(&text).map_err(|error| input_error!("lock {name} is not JSON: {error}; {anew}"))?;
        let format = document.get("format").and_then(serde_json::Value::as_u64);
        if ![FORMAT, FORMAT_SOURCES]
            .map(|known| Some(u64::from(known)))
            .contains(&format)
        {
            bail_input!("lock {name} is neither of format {FORMAT} nor {FORMAT_SOURCES}: {anew}");
        }
        let lock: Self = serde_json::from_value(document)
            .map_err(|error| input_error!("lock {name} is damaged: {error}; {anew}"))?;
        if lock.image != image {
            bail_input!(
                "lock {name} belongs to image `{}`, not to `{image}`: {anew}",
                lock.image
            );
        }
        Ok(Some(lock))
    }

    /// Versions of components that were chosen by `pkgbuilder lock --update`: those that are not the definition's own, but
    /// inside its ranges and not refused.
    pub fn chosen(&self, image: &Image) -> BTreeMap<String, String> {
        let mut chosen = BTreeMap::new();
        for component in &image.components {
            let (Some(range), Some(locked)) = (&component.range, self.components.get(&component.name)) else {
                continue;
            };
            let allowed = range::parse(&locked.version).is_some_and(|version| range.holds(&version))
                && !component.refused.contains_key(&locked.version);
            if allowed && locked.version != component.version {
                chosen.insert(component.name.clone(), locked.version.clone());
            }
        }
        chosen
    }

    /// Waits until no other process reads, changes and writes the lock at `path`; until the guard is dropped, none does.
    pub fn guard(cache: &Cache, path: &Path) -> Result<File> {
        let absolute = std::path::absolute(path).with_context(|| format!("finding {}", path.display()))?;
        // In the cache, so that nothing but the lock itself lies beside the definitions.
        cache.lock(&format!("lock-{}", Sha256::of(absolute.as_os_str().as_encoded_bytes())))
    }

    /// What this lock says otherwise than `before`, from which it was made, put over `now`, which others have made of
    /// `before` since.
    #[must_use]
    pub fn over(self, before: &Self, mut now: Self) -> Self {
        rebase(self.components, &before.components, &mut now.components);
        rebase(self.debian, &before.debian, &mut now.debian);
        rebase(self.request, &before.request, &mut now.request);
        Self {
            epoch: self.epoch.max(now.epoch),
            disk_signature: self.disk_signature,
            ..now
        }
    }

    /// Writes the lock: sorted, ended by a newline, whole or not at all.
    pub fn save(&self, path: &Path) -> Result<()> {
        let mut sorted = self.clone();
        for debs in sorted.debian.values_mut() {
            debs.sort_by(|a, b| a.name.cmp(&b.name));
        }
        let sourced = sorted.debian.values().flatten().any(|deb| deb.source.is_some());
        sorted.format = if sourced { FORMAT_SOURCES } else { FORMAT };
        let mut text = serde_json::to_string_pretty(&sorted).context("writing the lock")?;
        text.push('\n');
        atomic::write(path, text.as_bytes()).with_context(|| format!("writing lock {}", path.display()))
    }
}

/// Puts over `now` what `ours` has otherwise than `before`.
fn rebase<T: PartialEq>(ours: BTreeMap<String, T>, before: &BTreeMap<String, T>, now: &mut BTreeMap<String, T>) {
    now.retain(|key, _| ours.contains_key(key) || !before.contains_key(key));
    for (key, value) in ours {
        if before.get(&key) != Some(&value) {
            now.insert(key, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_two_processes_pin_is_joined() {
        let with = |targets: &[(&str, &str)], epoch: i64| {
            let mut lock = Lock::new("x");
            lock.epoch = epoch;
            for (target, digest) in targets {
                lock.request.insert((*target).to_owned(), (*digest).to_owned());
            }
            lock
        };
        let before = with(&[("moved", "1"), ("theirs", "1"), ("dropped", "1")], 1);
        let ours = with(&[("moved", "2"), ("theirs", "1"), ("new", "1")], 2);
        let now = with(&[("moved", "1"), ("theirs", "3"), ("dropped", "1"), ("other", "1")], 3);
        let joined = with(&[("moved", "2"), ("theirs", "3"), ("new", "1"), ("other", "1")], 3);
        assert_eq!(ours.over(&before, now), joined);
    }

    fn deb(name: &str) -> LockedDeb {
        LockedDeb {
            name: name.to_owned(),
            version: "1".to_owned(),
            architecture: "all".to_owned(),
            source: None,
            suite: "trixie".to_owned(),
            filename: format!("pool/{name}.deb"),
            size: 1,
            sha256: Sha256::of(name.as_bytes()).hex(),
        }
    }

    #[test]
    fn it_is_written_sorted_and_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("images/x.lock.json");
        assert_eq!(Lock::load(&path, "x").unwrap(), None);
        let mut lock = Lock::new("x");
        lock.debian.insert("uefi-amd64".to_owned(), vec![deb("b"), deb("a")]);
        lock.save(&path).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.ends_with("}\n"));
        let read = Lock::load(&path, "x").unwrap().unwrap();
        assert_eq!(read.debian["uefi-amd64"], [deb("a"), deb("b")]);
        read.save(&path).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
    }

    #[test]
    fn a_lock_is_of_the_oldest_format_that_can_say_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.lock.json");
        let mut lock = Lock::new("x");
        lock.debian.insert("uefi-amd64".to_owned(), vec![deb("a")]);
        lock.save(&path).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains("\"format\": 1") && !text.contains("\"source\""), "{text}");
        let of_vendor = LockedDeb {
            source: Some("vendor".to_owned()),
            ..deb("b")
        };
        lock.debian.insert("uefi-arm64".to_owned(), vec![of_vendor.clone()]);
        lock.save(&path).unwrap();
        assert!(std::fs::read_to_string(&path).unwrap().contains("\"format\": 2"));
        let read = Lock::load(&path, "x").unwrap().unwrap();
        assert_eq!(read.debian["uefi-arm64"], [of_vendor]);
        lock.debian.remove("uefi-arm64");
        lock.save(&path).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
    }

    #[test]
    fn what_is_not_our_lock_is_refused_with_the_next_step() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.lock.json");
        let refused = |text: &str, image: &str| {
            std::fs::write(&path, text).unwrap();
            let error = Lock::load(&path, image).unwrap_err();
            assert_eq!(crate::failure::exit_code(&error), 2);
            format!("{error:#}")
        };
        assert!(refused("{", "x").contains("not JSON"));
        assert!(refused(r#"{"format": 7}"#, "x").contains("pkgbuilder lock x"));
        assert!(refused(r#"{"format": 1, "image": "x"}"#, "x").contains("damaged"));
        let other = serde_json::to_string(&Lock::new("y")).unwrap();
        assert!(refused(&other, "x").contains("belongs to image `y`"));
    }

    #[test]
    fn images_have_different_disk_signatures() {
        let (home, core) = (Lock::new("home"), Lock::new("core"));
        assert_ne!(home.disk_signature, core.disk_signature);
        assert!(u32::from_str_radix(&home.disk_signature, 16).is_ok_and(|signature| signature != 0));
    }
}
