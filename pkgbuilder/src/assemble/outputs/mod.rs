//! What a build leaves in the output folder, one file per kind.
//!
//! Nothing has its final name before all of it is complete; a lock on the folder keeps two builds apart.

mod bmap;
mod compressed;

/// What containers are started from.
pub mod oci;

mod output;
mod qcow2;
mod ranges;
mod source;

/// `.spdx.json`
pub mod spdx;

mod sums;
mod vagrant;
mod vmdk;
mod xz;

use std::collections::BTreeMap;
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use computatom_spec::manifest::Manifest;
use serde::Serialize;

use self::output::Output;
pub use self::ranges::Ranges;
use self::source::Source;
use super::Job;
use super::medium::{Layout, Medium};
use super::rootfs::json;
use crate::atomic::{self, Pending};
use crate::definition::format::Format;
use crate::interrupt;
use crate::provenance::licenses::Texts;
use crate::reporter::Reporter;
use crate::verify::Sha256;

/// What the names of these end with.
const MANIFEST: &str = "manifest.json";
const SBOM: &str = "spdx.json";

/// A finished image and its companions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DiskImage {
    /// What was made of it, by format.
    pub files: BTreeMap<Format, PathBuf>,
    /// `.bmap`: which blocks of the image count; only beside those that are written to cards.
    pub bmap: Option<PathBuf>,
    /// `.box.json`: where Vagrant finds the boxes; only beside such.
    pub catalogue: Option<PathBuf>,
    /// `.manifest.json`
    pub manifest: PathBuf,
    /// `.spdx.json`
    pub sbom: PathBuf,
    /// `SHA256SUMS`, of everything in the folder.
    pub sums: PathBuf,
    /// Size of the image on a card, of a container's files without compression, in bytes.
    pub size: u64,
}

impl DiskImage {
    /// The file of a format, if it was asked for.
    pub fn file(&self, format: Format) -> Option<&Path> {
        self.files.get(&format).map(PathBuf::as_path)
    }

    /// What was made and what to do with it, for people.
    pub fn summary(&self) -> String {
        let mib = |bytes: u64| bytes.div_ceil(1 << 20);
        let mut lines = Vec::new();
        for (format, path) in &self.files {
            let shown = path.display();
            let length = path.metadata().map_or(0, |found| found.len());
            let unpacked = if *format == Format::Oci {
                "unpacked"
            } else {
                "on a card"
            };
            let most = match format {
                Format::Zst | Format::Xz | Format::Oci => format!(", {} MiB {unpacked}", mib(self.size)),
                _ => String::new(),
            };
            lines.push(format!("made {shown} ({} MiB{most})", mib(length)));
            match format {
                Format::Zst => lines.push(format!(
                    "write it to a card (it lists what there is):\n  pkgbuilder burn {shown}\nor, without its checks:\n  \
                     zstdcat {shown} | sudo dd of=/dev/sdX bs=4M conv=fsync status=progress"
                )),
                Format::Oci => lines.push(format!("load it:\n  podman load --input {shown}")),
                _ => {}
            }
        }
        if let Some(catalogue) = &self.catalogue {
            lines.push(format!(
                "give it to Vagrant:\n  vagrant box add {}",
                catalogue.display()
            ));
        }
        lines.join("\n")
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
                "removed {left} unfinished file{} that a killed build had left in {}",
                if left == 1 { "" } else { "s" },
                path.display()
            ));
        }
        Ok(Self {
            path: path.to_owned(),
            _lock: lock,
        })
    }

    fn file(&self, stem: &str, suffix: &str) -> PathBuf {
        self.path.join(format!("{stem}.{suffix}"))
    }

    /// Makes of the image, of which `mapped` counts, what is asked for, with its companions, and gives all of them their
    /// names; `stem` is what these begin with (`home-raspberrypi-arm64`).
    ///
    /// # Errors
    ///
    /// Fails if the disk is full or the person interrupts; then nothing has changed under the final names.
    pub fn publish(
        &self,
        stem: &str,
        image: &Layout,
        mapped: &Ranges,
        papers: &Papers<'_>,
        job: &Job<'_>,
        reporter: &Reporter,
    ) -> Result<DiskImage> {
        let size = image.size().context("measuring the image")?;
        let mut files = Files::new(self, stem);
        let asked = |format| job.formats.contains(&format);
        let bmap = if asked(Format::Zst) {
            let mut compressed = Pending::create(&self.file(stem, Format::Zst.suffix()))?;
            let bar = reporter.bytes("compressing the image", mapped.total());
            let target = compressed.file();
            let (packed, bmap) = rayon::join(
                || compressed::write(image, mapped, target, job.cache, &|done| bar.inc(done)),
                || bmap::describe(image, mapped),
            );
            files.add(Format::Zst.suffix(), compressed, packed?);
            bmap?
        } else {
            bmap::describe(image, mapped)?
        };
        let source = Source { image, size, mapped };
        let subject = vagrant::Subject {
            source: &source,
            virtual_size: job.image.disk_gib << 30,
            name: &job.image.name,
            description: &job.image.description,
            arch: job.target.arch,
            epoch: job.lock.epoch,
            content: Sha256::of([env!("CARGO_PKG_VERSION"), &bmap].concat().as_bytes()),
        };
        self.more_formats(&mut files, &subject, job.formats, reporter)?;
        if [Format::Img, Format::Zst, Format::Xz].into_iter().any(asked) {
            files.write("bmap", bmap.as_bytes())?;
        }
        if asked(Format::Img) {
            let digest = compressed::digest(image, mapped)?;
            let mut raw = Pending::create(&self.file(stem, Format::Img.suffix()))?;
            image.save(raw.file(), mapped)?;
            files.add(Format::Img.suffix(), raw, digest);
        }
        files.papers(papers)?;
        files.commit(job.formats, size, reporter)
    }

    /// Makes what is neither the image itself nor its frames of zstd, one after the other.
    fn more_formats(
        &self,
        files: &mut Files<'_>,
        subject: &vagrant::Subject<'_>,
        formats: &[Format],
        reporter: &Reporter,
    ) -> Result<()> {
        let mut boxes = Vec::new();
        for format in formats {
            let (source, size) = (subject.source, subject.virtual_size);
            let path = self.file(files.stem, format.suffix());
            let bar = reporter.busy(format!("writing {}", path.display()));
            let mut out = match format {
                Format::Img | Format::Zst | Format::Oci => continue,
                _ => Output::create(&path)?,
            };
            match format {
                Format::Xz => xz::write(source, &mut out)?,
                Format::Qcow2 => qcow2::Plan::of(*source, size)?.write(&mut out)?,
                Format::Vmdk => vmdk::write(source, size, vagrant::id(subject.content), &mut out)?,
                _ => vagrant::write(subject, *format, &mut out, &self.path)?,
            }
            let written = out.complete()?;
            bar.finish_and_clear();
            if matches!(format, Format::BoxLibvirt | Format::BoxVirtualbox) {
                boxes.push((*format, path, written.sha256));
            }
            files.add(format.suffix(), written.pending, written.sha256.hex());
        }
        if !boxes.is_empty() {
            files.write("box.json", &vagrant::catalogue(subject, &boxes)?)?;
            // It says where the boxes are, and their digests: nothing to compare with another machine's.
            files.sums.remove(&format!("{}.box.json", files.stem));
        }
        Ok(())
    }
}

/// What a build has made of one image, complete but for the names.
struct Files<'a> {
    folder: &'a Folder,
    stem: &'a str,
    /// By what their names end with.
    pending: Vec<(&'static str, Pending)>,
    sums: BTreeMap<String, String>,
}

impl<'a> Files<'a> {
    fn new(folder: &'a Folder, stem: &'a str) -> Self {
        Self {
            folder,
            stem,
            pending: Vec::new(),
            sums: BTreeMap::new(),
        }
    }

    fn add(&mut self, suffix: &'static str, pending: Pending, sha256: String) {
        self.sums.insert(format!("{}.{suffix}", self.stem), sha256);
        self.pending.push((suffix, pending));
    }

    fn write(&mut self, suffix: &'static str, content: &[u8]) -> Result<()> {
        let mut pending = Pending::create(&self.folder.file(self.stem, suffix))?;
        std::io::Write::write_all(pending.file(), content)
            .with_context(|| format!("writing {}.{suffix}", self.stem))?;
        self.add(suffix, pending, Sha256::of(content).hex());
        Ok(())
    }

    fn papers(&mut self, papers: &Papers<'_>) -> Result<()> {
        self.write(MANIFEST, &json(papers.manifest)?)?;
        self.write(SBOM, &json(&spdx::document(papers.manifest, papers.texts))?)
    }

    /// Gives everything its name. What an earlier build has made of the image and this one has not is named: it is old.
    fn commit(self, formats: &[Format], size: u64, reporter: &Reporter) -> Result<DiskImage> {
        let sums = sums::merge(&self.folder.path, self.stem, &self.sums)?;
        interrupt::check()?;
        let mut paths = BTreeMap::new();
        for (suffix, pending) in self.pending {
            paths.insert(suffix, pending.commit()?);
        }
        let sums = sums.commit()?;
        for format in Format::ALL.into_iter().filter(|format| !formats.contains(format)) {
            let old = self.folder.file(self.stem, format.suffix());
            if old.exists() {
                reporter.warn(format_args!(
                    "{} is of an earlier build; this one did not make it",
                    old.display()
                ));
            }
        }
        let mut take = |suffix| paths.remove(suffix);
        Ok(DiskImage {
            bmap: take("bmap"),
            catalogue: take("box.json"),
            manifest: take(MANIFEST).context("a build without a manifest")?,
            sbom: take(SBOM).context("a build without an SBOM")?,
            files: formats
                .iter()
                .filter_map(|format| Some((*format, take(format.suffix())?)))
                .collect(),
            sums,
            size,
        })
    }
}

#[cfg(test)]
mod tests;
