//! What a build leaves in the output folder, one file per kind.
//!
//! Nothing has its final name before all of it is complete; a lock on the folder keeps two builds apart.

mod bmap;
mod compressed;
mod ranges;

/// `.spdx.json`
pub mod spdx;

mod sums;

use std::collections::BTreeMap;
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use computatom_spec::manifest::Manifest;
use serde::Serialize;

pub use self::ranges::Ranges;
use super::Job;
use super::rootfs::json;
use crate::atomic::{self, Pending};
use crate::interrupt;
use crate::provenance::licenses::Texts;
use crate::reporter::Reporter;
use crate::verify::Sha256;

/// A finished disk image and its companions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DiskImage {
    /// `.img.zst`
    pub compressed: PathBuf,
    /// `.img`, if it was asked for.
    pub raw: Option<PathBuf>,
    /// `.bmap`: which blocks of the image count.
    pub bmap: PathBuf,
    /// `.manifest.json`
    pub manifest: PathBuf,
    /// `.spdx.json`
    pub sbom: PathBuf,
    /// `SHA256SUMS`, of everything in the folder.
    pub sums: PathBuf,
    /// Size of the image on a card, in bytes.
    pub size: u64,
    /// Size of the compressed file, in bytes.
    pub compressed_size: u64,
}

impl DiskImage {
    /// What was made and what to do with it, for people.
    pub fn summary(&self) -> String {
        let mib = |bytes: u64| bytes.div_ceil(1 << 20);
        let image = self.compressed.display();
        format!(
            "made {image} ({} MiB, {} MiB on a card)\nwrite it to a card (it lists what there is):\n  pkgbuilder burn {image}\nor, without its checks:\n  \
             zstdcat {image} | sudo dd of=/dev/sdX bs=4M conv=fsync status=progress",
            mib(self.compressed_size),
            mib(self.size)
        )
    }
}

/// What is written down about an image.
#[derive(Clone, Copy, Debug)]
pub struct Papers<'a> {
    /// What it holds.
    pub manifest: &'a Manifest,
    /// Texts of the licences that are not on SPDX' list.
    pub texts: &'a Texts,
}

/// An output folder, ours until this is dropped.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    _lock: File,
}

impl Folder {
    /// Opens (or makes) a folder, and waits while another build has it.
    ///
    /// # Errors
    ///
    /// Fails if it cannot be written to, or the person interrupts.
    pub fn open(path: &Path, reporter: &Reporter) -> Result<Self> {
        const INTERVAL: Duration = Duration::from_millis(200);
        std::fs::create_dir_all(path).with_context(|| format!("creating the output folder {}", path.display()))?;
        let file = path.join(".lock");
        let context = || format!("opening {} (is the output folder writable?)", file.display());
        let lock = File::options()
            .create(true)
            .write(true)
            .truncate(false)
            .open(&file)
            .with_context(context)?;
        let mut told = false;
        loop {
            match lock.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) => {}
                Err(TryLockError::Error(error)) => return Err(error).with_context(context),
            }
            if !told {
                reporter.step(format_args!("waiting for another build in {}", path.display()));
                told = true;
            }
            interrupt::check()?;
            std::thread::sleep(INTERVAL);
        }
        let left = atomic::sweep(path);
        if left > 0 {
            reporter.step(format_args!(
                "removed {left} unfinished files that a killed build had left in {}",
                path.display()
            ));
        }
        Ok(Self {
            path: path.to_owned(),
            _lock: lock,
        })
    }

    /// Begins the image `stem` (`home-raspberrypi-arm64`).
    ///
    /// # Errors
    ///
    /// Fails if the folder cannot be written to.
    pub fn begin(&self, stem: &str) -> Result<Pending> {
        Pending::create(&self.file(stem, "img"))
    }

    fn file(&self, stem: &str, suffix: &str) -> PathBuf {
        self.path.join(format!("{stem}.{suffix}"))
    }

    /// Writes the companions of the image in `raw`, of which `mapped` counts, and gives all of them their names.
    ///
    /// # Errors
    ///
    /// Fails if the disk is full or the person interrupts; then nothing has changed under the final names.
    pub fn publish(
        &self,
        stem: &str,
        mut raw: Pending,
        mapped: &Ranges,
        papers: &Papers<'_>,
        job: &Job<'_>,
        reporter: &Reporter,
    ) -> Result<DiskImage> {
        let size = raw.file().metadata().context("measuring the image")?.len();
        let mut sums = BTreeMap::new();
        let mut compressed = Pending::create(&self.file(stem, "img.zst"))?;
        let bar = reporter.bytes("compressing the image", mapped.total());
        let (image, target): (&File, &mut File) = (raw.file(), compressed.file());
        let (packed, bmap) = rayon::join(
            || compressed::write(image, size, mapped, target, job.cache, &|done| bar.inc(done)),
            || bmap::describe(image, size, mapped),
        );
        let (packed, bmap) = (packed?, bmap?);
        sums.insert(format!("{stem}.img.zst"), packed.sha256);

        let mut texts = Vec::new();
        for (suffix, content) in [
            ("bmap", bmap.into_bytes()),
            ("manifest.json", json(papers.manifest)?),
            ("spdx.json", json(&spdx::document(papers.manifest, papers.texts))?),
        ] {
            sums.insert(format!("{stem}.{suffix}"), Sha256::of(&content).hex());
            let mut pending = Pending::create(&self.file(stem, suffix))?;
            std::io::Write::write_all(pending.file(), &content).with_context(|| format!("writing {stem}.{suffix}"))?;
            texts.push(pending);
        }
        let raw = if job.keep_raw {
            sums.insert(format!("{stem}.img"), compressed::digest(raw.file(), size, mapped)?);
            Some(raw)
        } else {
            None
        };
        let sums = sums::merge(&self.path, stem, &sums)?;

        interrupt::check()?;
        let compressed = compressed.commit()?;
        let raw = raw.map(Pending::commit).transpose()?;
        let mut texts = texts.into_iter().map(Pending::commit);
        let mut next = || texts.next().expect("three were pushed");
        let (bmap, manifest, sbom) = (next()?, next()?, next()?);
        Ok(DiskImage {
            compressed,
            raw,
            bmap,
            manifest,
            sbom,
            sums: sums.commit()?,
            size,
            compressed_size: packed.size,
        })
    }
}
