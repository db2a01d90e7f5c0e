//! The packages of a folder: files that are called as Debian calls packages, `NAME_VERSION_ARCH.deb` (`dpkg-name(1)`).

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use computatom_compose::deb::Deb;
use debversion::Version;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::{PUBLIC_KEY, SOURCES};
use crate::fetch::Cache;
use crate::verify::Sha256;
use crate::{atomic, bail_input, input_error, interrupt};

/// Name of what was read in the cache; a new number for every change of what it holds.
const KIND: &str = "listed-1";

/// A file that changed less than so many seconds ago may change again without a new time stamp, on file systems whose
/// clock is coarse: what was read of it is not kept.
const SETTLED: i64 = 2;

/// A package of the folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Listed {
    /// Name.
    pub(super) name: String,
    /// Version, as written.
    pub(super) version: String,
    /// `Architecture`, `all` included.
    pub(super) architecture: String,
    /// Its stanza of `Packages`.
    pub(super) stanza: String,
    /// The time stamp of its first member, seconds since 1970: when its content was made, whatever the file's own says.
    pub(super) epoch: i64,
}

/// What lies in a folder.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Its packages by name, version and architecture.
    pub(super) packages: Vec<Listed>,
    /// Names of what is no part of a repository.
    pub(super) foreign: Vec<String>,
}

/// Reads the packages of `folder`. A file that is called like a package but is none is an error: a repository must not
/// silently lack what it seems to have.
pub(super) fn scan(folder: &Path, cache: &Cache) -> Result<Found> {
    let reading = || format!("reading the folder {}", folder.display());
    let mut found = Found::default();
    let mut debs = Vec::new();
    for entry in fs::read_dir(folder).with_context(reading)? {
        let path = entry.with_context(reading)?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let ours = name.starts_with('.') || [PUBLIC_KEY, SOURCES, "dists"].contains(&name.as_str());
        if looks_like_a_package(&name) && path.is_file() {
            debs.push((path, name));
        } else if !ours {
            found.foreign.push(name);
        }
    }
    found.foreign.sort_unstable();
    let listed: Result<Vec<Option<Listed>>> = debs.par_iter().map(|(path, name)| list(path, name, cache)).collect();
    found.packages = listed?.into_iter().flatten().collect();
    found.packages.sort_by(|a, b| {
        let version = |listed: &Listed| listed.version.parse::<Version>().ok();
        (&a.name, version(a), &a.version, &a.architecture).cmp(&(&b.name, version(b), &b.version, &b.architecture))
    });
    Ok(found)
}

/// Whether a file's name is `NAME_VERSION_ARCH.deb` in the letters that Policy 5.6 allows; apt would have to quote others.
fn looks_like_a_package(name: &str) -> bool {
    let Some(stem) = name.strip_suffix(".deb") else {
        return false;
    };
    let parts: Vec<&str> = stem.split('_').collect();
    let plain = |part: &&str| {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b".+-~".contains(&byte);
        part.starts_with(|first: char| first.is_ascii_alphanumeric()) && part.bytes().all(allowed)
    };
    parts.len() == 3 && parts.iter().all(plain)
}

/// The package in a file, from the cache if it was read before; `None` if the file is gone meanwhile.
fn list(path: &Path, name: &str, cache: &Cache) -> Result<Option<Listed>> {
    interrupt::check()?;
    let Ok(metadata) = fs::metadata(path) else {
        return Ok(None);
    };
    let state = format!(
        "{} {} {} {} {} {}.{:09}",
        name,
        metadata.dev(),
        metadata.ino(),
        metadata.len(),
        metadata.mtime_nsec(),
        metadata.ctime(),
        metadata.ctime_nsec()
    );
    let kept = cache.derived(KIND, &Sha256::of(state.as_bytes()).hex())?;
    // Whatever is wrong with what was kept, the package can be read again.
    if let Some(listed) = fs::read(&kept).ok().and_then(|text| serde_json::from_slice(&text).ok()) {
        return Ok(Some(listed));
    }
    let listed = read(path, name)?;
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs();
    if i64::try_from(now).unwrap_or(0) - metadata.ctime() > SETTLED {
        atomic::write(&kept, &serde_json::to_vec(&listed)?)?;
    }
    Ok(Some(listed))
}

fn read(path: &Path, name: &str) -> Result<Listed> {
    let bytes = bytes::Bytes::from(fs::read(path).with_context(|| format!("reading {}", path.display()))?);
    let refused = |reason: &dyn std::fmt::Display| {
        input_error!(
            "{} is not a package ({reason}): the repository was left as it was; move the file away, or make it anew, and \
             run this again",
            path.display()
        )
    };
    let deb = Deb::open(&bytes).map_err(|error| refused(&format!("{error:#}")))?;
    let epoch = epoch(&bytes).ok_or_else(|| refused(&"its first member has no time stamp"))?;
    let control = deb.control();
    let version = control.version.to_string();
    // An epoch's colon has no place in a file name.
    let plain = version.split_once(':').map_or(version.as_str(), |(_, rest)| rest);
    let proper = format!("{}_{plain}_{}.deb", control.name, control.architecture);
    if proper != name {
        bail_input!(
            "{} holds {} {version} for {}: the repository was left as it was; call the file {proper}, or move it away, and \
             run this again",
            path.display(),
            control.name,
            control.architecture
        );
    }
    let mut stanza = String::new();
    let mut description = None;
    for (field, value) in control.stanza.iter() {
        if field.eq_ignore_ascii_case("Description") {
            description = Some(value);
        } else {
            stanza.extend([field, ": ", value, "\n"]);
        }
    }
    let own = [
        ("Filename", name.to_owned()),
        ("Size", bytes.len().to_string()),
        ("SHA256", Sha256::of(&bytes).hex()),
    ];
    for (field, value) in &own {
        stanza.extend([*field, ": ", value, "\n"]);
    }
    if let Some(description) = description {
        stanza.extend(["Description: ", description, "\n"]);
    }
    Ok(Listed {
        name: control.name.clone(),
        version,
        architecture: control.architecture.clone(),
        stanza,
        epoch,
    })
}

/// The time stamp of the first member of an `ar` archive (`ar(5)`): 12 digits after the magic and the name.
fn epoch(bytes: &[u8]) -> Option<i64> {
    let field = bytes.get(24..36)?;
    std::str::from_utf8(field)
        .ok()?
        .trim_end()
        .parse()
        .ok()
        .filter(|epoch| *epoch >= 0)
}
