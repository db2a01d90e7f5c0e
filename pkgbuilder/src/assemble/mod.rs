//! Stage 7: a composed tree to a disk image and its companions.
//!
//! No root, no loop device, no emulation, no external program: every byte of the image is written by this stage.
//! [`assemble`] is the recipe.

/// The boards an image can be for.
pub mod boards;

/// What happens to a composed tree before it becomes the root.
pub mod rootfs;

/// Device trees.
pub mod device_tree;

/// The initramfs.
pub mod initramfs;

/// What an image is written to.
pub mod medium;

/// The partition table.
pub mod partitions;

/// Identifiers that are the same in every build.
mod guid;

/// FAT file systems inside an image.
pub mod fat;

/// The squashfs writer.
pub mod squashfs;

/// Unified kernel images.
pub mod uki;

/// The hash tree behind the root.
pub mod verity;

/// What is said of a root that is larger than its partition.
mod overflow;

/// Nodes in containers.
pub mod container;

/// The boot model: what a board's firmware would start.
pub mod firmware;

/// The files a build leaves.
pub mod outputs;

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result};
use computatom_spec::arch::Arch;
use computatom_spec::manifest::{FORMAT, Manifest, PackageRecord};

use self::boards::{Board, BootInput, BootVolume};
use self::medium::{Layout, Medium};
use self::outputs::{Folder, Papers, Ranges};
use self::partitions::{Partition, Table};
use self::squashfs::BlockCache;
use crate::bail_input;
use crate::compose::{Reading, Rootfs};
use crate::definition::format::Format;
use crate::definition::image::{Image, Target};
use crate::failure::Interrupted;
use crate::fetch::cache::Cache;
use crate::provenance;
use crate::provenance::licenses::Texts;
use crate::reporter::Reporter;
use crate::resolve::Lock;
use crate::verify::Sha256;

pub use self::boards::names as board_names;
pub use self::outputs::DiskImage;

/// So much is written of a partition to come.
const SECTOR: u64 = partitions::SECTOR;

/// What an image is made of besides the root file system, and where it goes.
#[derive(Clone, Copy, Debug)]
pub struct Job<'a> {
    /// The definition.
    pub image: &'a Image,
    /// Which of its targets.
    pub target: &'a Target,
    /// Epoch and disk signature.
    pub lock: &'a Lock,
    /// Every package in the root.
    pub packages: &'a [PackageRecord],
    /// The output folder.
    pub out: &'a Path,
    /// Where compressed blocks and frames are kept.
    pub cache: &'a Cache,
    /// zstd level of the root, [`squashfs::LEVEL`] by default.
    pub level: i32,
    /// What is made of the image: see [`boards::formats`].
    pub formats: &'a [Format],
}

/// Makes the disk image of a composed root file system.
///
/// # Errors
///
/// Wrong input if the definition does not fit the root (no kernel, a unit that is not there, a root larger than its
/// partition); else fails if a file cannot be written, the person interrupts, the finished image would not boot, or what the
/// tree lies in is not what was written. Nothing is left under the final names then.
pub fn assemble(mut rootfs: Rootfs, job: &Job<'_>, reporter: &Reporter) -> Result<DiskImage> {
    let mut reading = std::mem::take(&mut rootfs.reading);
    let folder = Folder::open(job.out, reporter)?;
    let made = match container::arch(&job.target.name) {
        Some(arch) => make_container(rootfs, &mut reading, arch, job, &folder, reporter),
        None => make(rootfs, &mut reading, job, &folder, reporter),
    };
    made.map_err(|error| explain_full_disk(explain_rot(error, &mut reading), job.out))
}

fn make_container(
    mut rootfs: Rootfs,
    reading: &mut Reading,
    arch: Arch,
    job: &Job<'_>,
    folder: &Folder,
    reporter: &Reporter,
) -> Result<DiskImage> {
    check_arch(&job.target.name, arch, job)?;
    let (manifest, texts) = finish_root(&mut rootfs, job)?;
    let papers = Papers {
        manifest: &manifest,
        texts: &texts,
    };
    let stem = format!("{}-{}", job.image.name, job.target.name);
    reading.finish()?;
    folder.publish_container(&stem, &rootfs, &papers, job, reporter)
}

fn make(
    mut rootfs: Rootfs,
    reading: &mut Reading,
    job: &Job<'_>,
    folder: &Folder,
    reporter: &Reporter,
) -> Result<DiskImage> {
    let board = boards::find(&job.target.name)?;
    check_arch(board.name(), board.arch(), job)?;
    let signature = partitions::parse_signature(&job.lock.disk_signature)?;
    let table = board.partitions(&job.image.partitions, signature)?;
    check_virtual_size(table.disk_size(), job)?;
    let pieces = board.boot(&rootfs.tree, job.lock.epoch)?;
    let (mut manifest, texts) = finish_root(&mut rootfs, job)?;

    let stem = format!("{}-{}", job.image.name, job.target.name);
    let mut draft = Draft::new(board, table)?;
    let (partition, written) = draft.write_root(&rootfs, job, reporter)?;
    drop(rootfs);
    let root_hash = draft.write_hash_tree(partition, written.bytes, signature, &manifest)?;
    let boot = BootInput {
        table: &draft.table,
        root_hash,
        cmdline: &job.image.cmdline,
    };
    for (at, bytes) in pieces.raw()? {
        draft
            .layout
            .write_shared(&bytes, at)
            .context("writing the boot loader")?;
        draft.mapped.add(at..at + bytes.len() as u64);
    }
    let volumes = pieces.volumes(&boot)?;
    drop(pieces);
    draft.write_volumes(&volumes)?;
    manifest.volumes = volumes.iter().map(BootVolume::records).collect();
    drop(volumes);
    board
        .check(&draft.layout)
        .context("booting the finished image in the firmware model")?;
    let papers = Papers {
        manifest: &manifest,
        texts: &texts,
    };
    reading.finish()?;
    folder.publish(&stem, &draft.layout, &draft.mapped, &papers, job, reporter)
}

/// Makes the composed tree the root of a node; gives the manifest of it.
fn finish_root(rootfs: &mut Rootfs, job: &Job<'_>) -> Result<(Manifest, Texts)> {
    let (mut manifest, texts) = manifest(rootfs, job)?;
    rootfs::finish(
        &mut rootfs.tree,
        &rootfs::Input {
            image: job.image,
            manifest: &manifest,
            container: container::arch(&job.target.name).is_some(),
            epoch: job.lock.epoch,
        },
    )?;
    manifest.files = provenance::records(rootfs)?;
    Ok((manifest, texts))
}

fn check_arch(name: &str, arch: Arch, job: &Job<'_>) -> Result<()> {
    if arch != job.target.arch {
        bail_input!("target {name} is {arch}, not {}", job.target.arch);
    }
    Ok(())
}

/// The disk of a virtual machine holds the image and has room for DATA.
fn check_virtual_size(size: u64, job: &Job<'_>) -> Result<()> {
    let gib = job.image.disk_gib;
    if job.formats.iter().any(|format| format.is_virtual()) && gib << 30 <= size {
        bail_input!(
            "the image has {} MiB, and `disk_gib` says that virtual machines have a disk of {gib} GiB: raise it to at \
             least {}, for there is the data of the node as well",
            size.div_ceil(1 << 20),
            (size >> 30) + 2
        );
    }
    Ok(())
}

/// What the image holds but for its files, and the texts of licences that SPDX does not list.
fn manifest(rootfs: &Rootfs, job: &Job<'_>) -> Result<(Manifest, Texts)> {
    let mut packages = job.packages.to_vec();
    packages.sort_by(|a, b| (&a.name, &a.architecture).cmp(&(&b.name, &b.architecture)));
    let texts = provenance::complete(rootfs, &mut packages, &|package| declared(job.image, package))
        .context("collecting sections and licences")?;
    let manifest = Manifest {
        format: FORMAT,
        image: job.image.name.clone(),
        target: job.target.name.clone(),
        tool: env!("CARGO_PKG_VERSION").to_owned(),
        epoch: job.lock.epoch,
        definition: serde_json::to_value(job.image).context("writing the definition into the manifest")?,
        packages,
        files: BTreeMap::new(),
        volumes: BTreeMap::new(),
    };
    Ok((manifest, texts))
}

/// The licence of a package of our own: the catalog has it as SPDX writes it.
fn declared(image: &Image, package: &PackageRecord) -> Option<String> {
    if package.is_from_apt() {
        return None;
    }
    let mut components = image.components.iter();
    let component = components.find(|component| component.name == package.name)?;
    Some(component.license.clone())
}

/// An image as far as it is written.
struct Draft {
    board: &'static dyn Board,
    table: Table,
    layout: Layout,
    /// What counts of it.
    mapped: Ranges,
}

impl Draft {
    /// An image with a partition table.
    fn new(board: &'static dyn Board, table: Table) -> Result<Self> {
        let layout = Layout::new(table.disk_size());
        table.write(&layout)?;
        let mut mapped = Ranges::default();
        for range in table.written() {
            mapped.add(range);
        }
        // A root of an earlier use of the card must not be mistaken for one of this image.
        for idle in board.idle_roots() {
            let idle = table.get(*idle)?;
            mapped.add(idle.start..idle.start + SECTOR);
        }
        Ok(Self {
            board,
            table,
            layout,
            mapped,
        })
    }

    /// Writes the root that a fresh image boots, and says where.
    fn write_root(
        &self,
        rootfs: &Rootfs,
        job: &Job<'_>,
        reporter: &Reporter,
    ) -> Result<(Partition, squashfs::Written)> {
        let partition = self.table.get(self.board.root())?;
        let cache = Arc::new(BlockCache::open(&job.cache.root().join("squashfs"), job.level)?);
        let options = squashfs::Options {
            level: job.level,
            epoch: job.lock.epoch,
        };
        let bar = reporter.bytes("compressing the root", squashfs::content_size(&rootfs.tree)?);
        let progress = |done| bar.inc(done);
        let write = |image: &Layout| squashfs::write(rootfs, image, partition.start, options, Some(&cache), &progress);
        let written = match write(&self.layout) {
            // Longer than all that comes behind its beginning: how long it is tells an image without an end.
            Err(error) if kinds(&error).any(|kind| kind == ErrorKind::FileTooLarge) => write(&Layout::new(u64::MAX))?,
            written => written?,
        };
        reporter.step(format_args!(
            "root file system: {} MiB, {} of {} blocks from the cache",
            written.bytes.div_ceil(1 << 20),
            written.cached,
            written.blocks
        ));
        Ok((partition, written))
    }

    /// Writes the hash tree behind a root of so many bytes, and gives its root hash; `manifest` says what is in it.
    fn write_hash_tree(
        &mut self,
        partition: Partition,
        bytes: u64,
        signature: u32,
        manifest: &Manifest,
    ) -> Result<Sha256> {
        let needed = verity::needed(bytes);
        if needed > partition.size {
            return Err(overflow::of_root(needed, partition.size, manifest));
        }
        self.mapped.add(partition.start..partition.start + needed);
        verity::write(&self.layout, partition.start, bytes, signature)
    }

    fn write_volumes(&mut self, volumes: &[BootVolume]) -> Result<()> {
        for volume in volumes {
            let partition = self.table.get(volume.partition)?;
            let serial = self.table.serial(volume.partition);
            let used = fat::write(&self.layout, partition, volume.label, serial, &volume.files)?;
            self.mapped.add(partition.start..partition.start + used);
        }
        Ok(())
    }
}

/// Of rotten packages nothing can be made, or something wrong: whatever failed then, it is they that are told and removed.
/// Who interrupts does not wait for that.
fn explain_rot(error: anyhow::Error, reading: &mut Reading) -> anyhow::Error {
    if error.is::<Interrupted>() {
        return error;
    }
    reading.finish().err().unwrap_or(error)
}

/// A full disk gets a next step.
fn explain_full_disk(error: anyhow::Error, out: &Path) -> anyhow::Error {
    let full = kinds(&error).any(|kind| matches!(kind, ErrorKind::StorageFull | ErrorKind::QuotaExceeded));
    if full {
        error.context(format!(
            "there is no space left for the image in {}: free some or choose another folder with `--out`",
            out.display()
        ))
    } else {
        error
    }
}

/// What the system said.
fn kinds(error: &anyhow::Error) -> impl Iterator<Item = ErrorKind> + '_ {
    let causes = error.chain();
    causes.filter_map(|cause| Some(cause.downcast_ref::<std::io::Error>()?.kind()))
}

#[cfg(test)]
pub(crate) mod testing;

#[cfg(test)]
mod tests;
