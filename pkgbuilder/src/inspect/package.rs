//! A single .deb: what it says of itself, and an SBOM of it.

use std::path::Path;

use anyhow::{Context, Result};
use computatom_compose::deb::{Deb, EntryKind};
use computatom_spec::manifest::PackageRecord;
use serde_json::Value;

use crate::assemble::outputs::spdx;
use crate::housekeeping::quantity::bytes;
use crate::input_error;
use crate::provenance::licenses::{self, Texts};
use crate::verify::Sha256;

/// A .deb that was read.
#[derive(Clone, Debug)]
pub struct PackageFile {
    record: PackageRecord,
    texts: Texts,
    /// The newest of its files, seconds since 1970.
    epoch: i64,
    files: u64,
    size: u64,
}

impl PackageFile {
    /// Reads the .deb at `path`.
    ///
    /// # Errors
    ///
    /// What is no .deb, or is damaged, is wrong input.
    pub fn open(path: &Path) -> Result<Self> {
        let name = path.display();
        let bytes = std::fs::read(path).map_err(|error| input_error!("cannot open {name}: {error}"))?;
        let digest = Sha256::of(&bytes);
        let package = Deb::open(&bytes.into())
            .and_then(|deb| deb.unpack())
            .map_err(|error| input_error!("{name} is no Debian package, or it is damaged: {error:#}"))?;
        let control = &package.control;
        let wanted = format!("/usr/share/doc/{}/copyright", control.name);
        let mut found = licenses::Found {
            from: "no copyright file in the package".to_owned(),
            ..licenses::Found::default()
        };
        let (mut files, mut size, mut epoch) = (0, 0, 0);
        for entry in &package.entries {
            epoch = epoch.max(entry.mtime);
            if let EntryKind::File(content) = &entry.kind {
                files += 1;
                size += content.len() as u64;
                if entry.path == wanted {
                    found = licenses::parse(&String::from_utf8_lossy(content));
                }
            }
        }
        let record = PackageRecord {
            name: control.name.clone(),
            version: control.version.to_string(),
            architecture: control.architecture.clone(),
            digest: format!("sha256:{digest}"),
            source: "file".to_owned(),
            section: control.stanza.get("Section").unwrap_or_default().to_owned(),
            license: found.expression,
            license_from: found.from,
            ..PackageRecord::default()
        };
        Ok(Self {
            record,
            texts: found.texts,
            epoch,
            files,
            size,
        })
    }

    /// What a manifest would say of it.
    pub fn record(&self) -> &PackageRecord {
        &self.record
    }

    /// Its SBOM, as SPDX 2.3.
    pub fn spdx(&self) -> Value {
        spdx::of_package(&self.record, &self.texts, self.epoch)
    }

    /// For people.
    pub fn table(&self) -> String {
        let record = &self.record;
        let license = if record.license.is_empty() {
            "not told"
        } else {
            &record.license
        };
        format!(
            "{} {} ({})\nsection  {}\nlicence  {license} ({})\nfiles    {}, {}\ndigest   {}\n",
            record.name,
            record.version,
            record.architecture,
            record.section,
            record.license_from,
            self.files,
            bytes(self.size),
            record.digest
        )
    }
}

/// The SBOM of an image, as it lies beside it.
///
/// # Errors
///
/// Fails where the image cannot be read.
pub fn of_image(image: &super::image::Opened) -> Result<Value> {
    let manifest = image.whole_manifest()?;
    let texts = image.texts(&manifest).context("collecting licences")?;
    Ok(spdx::document(&manifest, &texts))
}
