//! The source `release`: an archive of the publisher's, with a pinned digest.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use anyhow::{Context, Result};
use computatom_spec::arch::Arch;

use super::published::Published;
use super::{Attempt, Workbench};
use crate::definition::image::{Component, Source, Sums as List};
use crate::fetch::Request;
use crate::package::recipe::{self, Payload};
use crate::package::{date, dropped};
use crate::resolve::lock::{LockedComponent, LockedRelease};
use crate::verify::Sha256;
use crate::{bail_input, input_error};

/// The largest file taken out of an archive: Nomad and Consul are an eighth of it.
const LARGEST: u64 = 1 << 30;

/// The archive's digest: it is the same wherever it lies.
pub fn identity(bench: &Workbench<'_>, pinned: &LockedComponent) -> Option<String> {
    let release = pinned.release.get(&bench.arch)?;
    Some(format!("release sha256:{}", release.sha256))
}

/// Whether the archive is in the cache.
pub fn ready(bench: &Workbench<'_>, pinned: &LockedComponent) -> Result<bool> {
    let Some(release) = pinned.release.get(&bench.arch) else {
        return Ok(false);
    };
    Ok(bench.fetcher.cache().get(&release.sha256.parse()?).is_some())
}

/// Fetches the archive and takes out what the recipe wants. Where the publisher signs a list of digests, that must say
/// what is pinned.
pub fn give(
    bench: &Workbench<'_>,
    component: &Component,
    source: &Source,
    pinned: &mut LockedComponent,
) -> Result<Attempt> {
    let (name, version, arch) = (&component.name, &component.version, bench.arch);
    // A list that its publisher signed may pin by itself; any other only when somebody says `lock`. Where upstream has
    // nothing, its list need not be asked.
    if is_signed(source)
        && dropped(component, arch).is_none()
        && url(source, version, arch).is_some()
        && let Some(attempt) = pin(bench, component, source, pinned)?
    {
        return Ok(attempt);
    }
    let Some(release) = pinned.release.get(&arch) else {
        return Ok(Attempt::Absent(format!("no archive of {version} for {arch} is pinned")));
    };
    let sha256: Sha256 = release.sha256.parse()?;
    // A list that nobody signed says no more than the archive itself.
    match confirm(bench, component, source, pinned)? {
        Some(Attempt::Absent(reason)) => return Ok(Attempt::Unreachable(reason)),
        Some(attempt) => return Ok(attempt),
        None => {}
    }
    let request = Request {
        urls: vec![release.url.clone()],
        sha256: Some(sha256),
        size: None,
        label: format!("{name} {version} for {arch}"),
    };
    let fetched = match bench.fetcher.fetch(request)? {
        Ok(fetched) => fetched,
        Err(unreachable) => return Ok(Attempt::Unreachable(unreachable.reasons.join("; "))),
    };
    let recipe = component
        .recipe
        .as_ref()
        .ok_or_else(|| input_error!("{name} has no recipe"))?;
    let wanted = recipe::wanted(recipe);
    let label = file_name(&release.url);
    let (files, epoch) = unpack(&fetched.path, label, &wanted).with_context(|| format!("unpacking {label}"))?;
    let payload = Payload {
        files: files
            .into_iter()
            .map(|(name, content)| (name, content.into()))
            .collect(),
        origin: format!("{} sha256:{sha256}", release.url),
        epoch,
    };
    let identity = format!("release sha256:{sha256}");
    Ok(Attempt::Payload { payload, identity })
}

/// Pins the archives of all architectures that the publisher's list of digests has; what came of it where that is
/// impossible now.
pub fn pin(
    bench: &Workbench<'_>,
    component: &Component,
    source: &Source,
    pinned: &mut LockedComponent,
) -> Result<Option<Attempt>> {
    let Some(list) = unpinned(bench, source, pinned) else {
        return Ok(None);
    };
    match Published::get(bench, component, list)? {
        Ok(published) => {
            pin_from(&published, component, source, pinned)?;
            Ok(None)
        }
        Err(attempt) => Ok(Some(attempt)),
    }
}

/// The list that pins are to be taken from, if they are. Where a definition pins some architectures of a version out of a
/// signed list, there are no others.
fn unpinned<'a>(bench: &Workbench<'_>, source: &'a Source, pinned: &LockedComponent) -> Option<&'a List> {
    let Source::Release { sha256, sums, .. } = source else {
        return None;
    };
    if bench.locked || pinned.release.contains_key(&bench.arch) {
        return None;
    }
    sums.as_ref().filter(|list| list.key.is_none() || sha256.is_empty())
}

/// Pins what a signed list in the cache says, so that what was fetched and packaged before is found again.
pub fn recall(
    bench: &Workbench<'_>,
    component: &Component,
    source: &Source,
    pinned: &mut LockedComponent,
) -> Result<()> {
    let Some(list) = unpinned(bench, source, pinned).filter(|list| list.key.is_some()) else {
        return Ok(());
    };
    if let Some(published) = Published::remembered(bench, component, list)? {
        pin_from(&published, component, source, pinned)?;
    }
    Ok(())
}

/// Pins the archives of all architectures that a list has.
fn pin_from(published: &Published, component: &Component, source: &Source, pinned: &mut LockedComponent) -> Result<()> {
    for arch in Arch::ALL {
        let Some(url) = url(source, &component.version, arch) else {
            continue;
        };
        if let Some(sha256) = published.digest(file_name(&url)) {
            let sha256 = sha256.hex();
            pinned.release.entry(arch).or_insert(LockedRelease { url, sha256 });
            published.remember()?;
        }
    }
    Ok(())
}

/// Fails if a signed list of digests says otherwise than what is pinned for the architecture: a definition may still pin
/// another version's archive. What came of it where the list cannot be had now.
pub fn confirm(
    bench: &Workbench<'_>,
    component: &Component,
    source: &Source,
    pinned: &LockedComponent,
) -> Result<Option<Attempt>> {
    let Source::Release { sums: Some(list), .. } = source else {
        return Ok(None);
    };
    let (Some(release), true) = (pinned.release.get(&bench.arch), list.key.is_some()) else {
        return Ok(None);
    };
    match Published::get(bench, component, list)? {
        Ok(published) => {
            published.confirm(component, file_name(&release.url), &release.sha256.parse()?)?;
            Ok(None)
        }
        Err(attempt) => Ok(Some(attempt)),
    }
}

/// The address of a source's archive of a version for an architecture; `None` where it has none that runs there.
pub fn url(source: &Source, version: &str, arch: Arch) -> Option<String> {
    let Source::Release {
        url,
        arch_names,
        architectures,
        ..
    } = source
    else {
        return None;
    };
    if architectures.as_ref().is_some_and(|known| !known.contains(&arch)) {
        return None;
    }
    let names = arch.names();
    let spelled = match arch_names.as_str() {
        "hashicorp" => names.hashicorp,
        "goreleaser" => names.goreleaser,
        _ => names.debian,
    };
    Some(url.replace("{version}", version).replace("{arch}", spelled))
}

fn is_signed(source: &Source) -> bool {
    matches!(source, Source::Release { sums: Some(list), .. } if list.key.is_some())
}

/// The last part of a URL.
fn file_name(url: &str) -> &str {
    url.rsplit('/').next().unwrap_or(url)
}

/// Takes the wanted files out of an archive whose kind `name` tells; also the newest time stamp in it.
fn unpack(path: &Path, name: &str, wanted: &[&str]) -> Result<(BTreeMap<String, Vec<u8>>, i64)> {
    let file = BufReader::new(File::open(path).with_context(|| format!("opening {}", path.display()))?);
    match name.rsplit('.').next() {
        Some("zip") => unzip(file, wanted),
        Some("gz" | "tgz") => untar(flate2::read::GzDecoder::new(file), wanted),
        _ => bail_input!("{name} is neither a .zip nor a .tar.gz"),
    }
}

/// The wanted name of an archive's entry: its own, or the one inside the archive's only folder.
fn wanted_name(entry: &str, wanted: &[&str]) -> Option<String> {
    let inside = entry.split_once('/').map_or(entry, |(_, inside)| inside);
    [entry, inside]
        .into_iter()
        .find(|name| wanted.contains(name))
        .map(str::to_owned)
}

fn unzip(file: BufReader<File>, wanted: &[&str]) -> Result<(BTreeMap<String, Vec<u8>>, i64)> {
    let mut archive = zip::ZipArchive::new(file).map_err(|error| input_error!("it is not a zip archive: {error}"))?;
    let mut files = BTreeMap::new();
    let mut newest = 0;
    for index in 0..archive.len() {
        let mut entry = archive.by_index(index).context("reading an entry")?;
        // Zip holds local time without a zone; HashiCorp's are in UTC.
        let modified = entry.last_modified().and_then(|time| {
            let (year, month, day) = (i64::from(time.year()), time.month(), time.day());
            date::seconds(year, month, day, time.hour(), time.minute(), time.second())
        });
        newest = newest.max(modified.unwrap_or(0));
        let name = entry.name().context("reading the name of an entry")?.into_owned();
        if let Some(name) = wanted_name(&name, wanted) {
            files.insert(name, read(&mut entry)?);
        }
    }
    Ok((files, newest))
}

fn untar(reader: impl Read, wanted: &[&str]) -> Result<(BTreeMap<String, Vec<u8>>, i64)> {
    let mut archive = tar::Archive::new(reader);
    let mut files = BTreeMap::new();
    let mut newest = 0;
    for entry in archive.entries().context("reading the archive")? {
        let mut entry = entry.context("reading an entry")?;
        newest = newest.max(entry.header().mtime().unwrap_or(0));
        if !entry.header().entry_type().is_file() {
            continue;
        }
        let path = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        if let Some(name) = wanted_name(path.trim_start_matches("./"), wanted) {
            files.insert(name, read(&mut entry)?);
        }
    }
    Ok((files, i64::try_from(newest).unwrap_or(0)))
}

fn read(entry: &mut impl Read) -> Result<Vec<u8>> {
    let mut content = Vec::new();
    entry
        .take(LARGEST + 1)
        .read_to_end(&mut content)
        .context("reading an entry")?;
    if content.len() as u64 > LARGEST {
        bail_input!("a file in it is larger than {} MiB: this is no release", LARGEST >> 20);
    }
    Ok(content)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn zip_and_tar_give_the_same_files() {
        let folder = tempfile::tempdir().unwrap();
        let zip_path = folder.path().join("x.zip");
        let mut writer = zip::ZipWriter::new(File::create(&zip_path).unwrap());
        let time = zip::DateTime::from_date_and_time(2025, 9, 9, 14, 36, 44).unwrap();
        let options = zip::write::SimpleFileOptions::default().last_modified_time(time);
        for (name, content) in [("LICENSE.txt", "free"), ("nomad", "binary"), ("other", "x")] {
            writer.start_file(name, options).unwrap();
            writer.write_all(content.as_bytes()).unwrap();
        }
        writer.finish().unwrap();

        let tar_path = folder.path().join("x.tar.gz");
        let gz = flate2::write::GzEncoder::new(File::create(&tar_path).unwrap(), flate2::Compression::fast());
        let mut builder = tar::Builder::new(gz);
        for (name, content) in [
            ("nomad-1/LICENSE.txt", "free"),
            ("nomad-1/nomad", "binary"),
            ("nomad-1/d/nomad", "x"),
        ] {
            let mut header = tar::Header::new_gnu();
            header.set_size(content.len() as u64);
            header.set_mtime(1_757_428_604);
            header.set_mode(0o644);
            builder.append_data(&mut header, name, content.as_bytes()).unwrap();
        }
        builder.into_inner().unwrap().finish().unwrap();

        let wanted = ["nomad", "LICENSE.txt"];
        let zipped = unpack(&zip_path, "x.zip", &wanted).unwrap();
        assert_eq!(zipped, unpack(&tar_path, "x.tar.gz", &wanted).unwrap());
        assert_eq!(zipped.1, 1_757_428_604);
        assert_eq!(zipped.0["nomad"], b"binary");
        assert_eq!(zipped.0.len(), 2);
        let error = unpack(&tar_path, "x.zip", &wanted).unwrap_err();
        assert_eq!(crate::failure::exit_code(&error), 2);
    }
}
