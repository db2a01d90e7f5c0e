//! A finished image, opened: what lies in it is read out of its own partitions, whatever lies beside it.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom, Write};
use std::path::Path;

use anyhow::{Context, Result};
use computatom_spec::manifest::{FileRecord, Manifest};
use computatom_spec::paths;

use super::manifest;
use super::squashfs::FileSystem;
use crate::assemble::fat::Volume;
use crate::assemble::partitions::{Kind, Table};
use crate::provenance::{self, Root, licenses};
use crate::reporter::Reporter;
use crate::{bail_input, input_error, interrupt};

const ZSTD_MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
/// Bytes decompressed at once.
const CHUNK: usize = 1 << 20;
/// Granularity in which zeros are left out of what was decompressed.
const HOLE: usize = 64 << 10;
/// A compressed image that becomes larger than this is none of ours.
const LARGEST: u64 = 256 << 30;

/// An image whose partitions can be read.
#[derive(Debug)]
pub struct Opened {
    /// What to call it.
    name: String,
    file: File,
    table: Table,
    root: FileSystem,
    /// Bytes of the compressed file.
    compressed: Option<u64>,
}

impl Opened {
    /// Opens the image at `path`, raw or compressed by zstd; that is decompressed into a temporary file first.
    ///
    /// # Errors
    ///
    /// What is no image that `pkgbuilder build` could have made is wrong input.
    pub fn open(path: &Path, reporter: &Reporter) -> Result<Self> {
        let name = path.display().to_string();
        let (file, compressed) = decompressed(path, reporter)?;
        let table = Table::read(&file).map_err(|error| wrong(&name, &error))?;
        let mut starts = table.partitions.iter().map(|partition| partition.start);
        let Some(start) = starts.find(|start| FileSystem::is_at(&file, *start)) else {
            bail_input!("{name} is no image that `pkgbuilder build` makes: no partition of it holds a squashfs");
        };
        let handle = file.try_clone().with_context(|| format!("reading {name}"))?;
        let root = FileSystem::open(handle, start).map_err(|error| wrong(&name, &error))?;
        Ok(Self {
            name,
            file,
            table,
            root,
            compressed,
        })
    }

    /// The root file system.
    pub fn root(&self) -> &FileSystem {
        &self.root
    }

    /// Bytes of the compressed file, where it is one.
    pub fn compressed(&self) -> Option<u64> {
        self.compressed
    }

    /// The manifest that the image carries: without files, which it cannot know of itself.
    ///
    /// # Errors
    ///
    /// An image without a manifest of this version's format is wrong input.
    pub fn manifest(&self) -> Result<Manifest> {
        let tree = self.root.tree();
        let found = tree.lookup(paths::MANIFEST, computatom_compose::tree::Follow::Yes);
        let Ok(id) = found else {
            bail_input!(
                "the root of {} has no {}: another tool made it, or somebody took it out",
                self.name,
                paths::MANIFEST
            );
        };
        let text = self.root.content(id).map_err(|error| wrong(&self.name, &error))?;
        manifest::parse(&format!("{} of {}", paths::MANIFEST, self.name), &text)
    }

    /// The manifest whole: as `build` wrote it beside the image, if image and manifest are of one build.
    ///
    /// # Errors
    ///
    /// As for [`Self::manifest`]; also fails where a file of the image cannot be read.
    pub fn whole_manifest(&self) -> Result<Manifest> {
        let mut manifest = self.manifest()?;
        manifest.files = provenance::records(&self.root).map_err(|error| self.damage(error))?;
        manifest.volumes = self.volumes().map_err(|error| self.damage(error))?;
        Ok(manifest)
    }

    /// Texts of the licences that are not on SPDX' list, from the packages' copyright files.
    ///
    /// # Errors
    ///
    /// Fails where such a file cannot be read.
    pub fn texts(&self, manifest: &Manifest) -> Result<licenses::Texts> {
        let names = manifest.packages.iter().map(|package| package.name.as_str());
        licenses::texts(&self.root, names).map_err(|error| self.damage(error))
    }

    /// Bytes as stored of each file of the root, by path; other names of one inode are left out.
    pub fn stored(&self) -> BTreeMap<String, u64> {
        let mut left = self.root.stored();
        let mut entries = self.root.tree().walk("/").unwrap_or_default();
        entries.sort();
        let entries = entries.into_iter();
        entries
            .filter_map(|(path, id)| Some((path, left.remove(&id)?)))
            .collect()
    }

    fn volumes(&self) -> Result<BTreeMap<String, BTreeMap<String, FileRecord>>> {
        let mut volumes = BTreeMap::new();
        for partition in self
            .table
            .partitions
            .iter()
            .filter(|partition| partition.kind == Kind::Fat)
        {
            interrupt::check()?;
            let volume = Volume::open(&self.file, *partition)?;
            let mut files = BTreeMap::new();
            for path in volume.files()? {
                let content = volume.read(&path)?.with_context(|| format!("{path} is gone again"))?;
                files.insert(path, provenance::content(&content));
            }
            volumes.insert(volume.label().to_owned(), files);
        }
        Ok(volumes)
    }

    fn damage(&self, error: anyhow::Error) -> anyhow::Error {
        if crate::failure::exit_code(&error) == 130 {
            error
        } else {
            wrong(&self.name, &error)
        }
    }
}

/// The bytes of the image at `path`: the file itself, or a temporary one that it was decompressed into.
///
/// # Errors
///
/// A file that cannot be opened or decompressed is wrong input.
pub fn raw(path: &Path, reporter: &Reporter) -> Result<File> {
    Ok(decompressed(path, reporter)?.0)
}

/// Writes the bytes of the image at `path` to a new file `to`, zeros as holes.
///
/// # Errors
///
/// An image that cannot be opened or decompressed is wrong input.
pub fn unpack(path: &Path, to: &Path, reporter: &Reporter) -> Result<()> {
    let name = path.display().to_string();
    let (file, compressed) = open(path)?;
    let size = file.metadata().with_context(|| format!("looking at {name}"))?.len();
    let out = File::create(to).with_context(|| format!("making {}", to.display()))?;
    let bar = reporter.bytes("unpacking the image", size);
    let source = BufReader::with_capacity(CHUNK, bar.wrap_read(file));
    if compressed {
        let decoder = zstd::Decoder::with_buffer(source).context("starting zstd")?;
        copy_sparse(decoder, &name, out)
    } else {
        copy_sparse(source, &name, out)
    }
    .with_context(|| format!("writing {}", to.display()))?;
    Ok(())
}

/// The bytes of the image, and how many the compressed file has, where it is one.
fn decompressed(path: &Path, reporter: &Reporter) -> Result<(File, Option<u64>)> {
    let name = path.display().to_string();
    let (file, compressed) = open(path)?;
    if !compressed {
        return Ok((file, None));
    }
    let size = file.metadata().with_context(|| format!("looking at {name}"))?.len();
    let bar = reporter.bytes("decompressing the image", size);
    let source = BufReader::with_capacity(CHUNK, bar.wrap_read(file));
    let decoder = zstd::Decoder::with_buffer(source).context("starting zstd")?;
    let out = tempfile::tempfile().context("creating a temporary file (is $TMPDIR writable?)")?;
    let out = copy_sparse(decoder, &name, out)
        .context("writing the decompressed image to a temporary file (is there room in $TMPDIR?)")?;
    Ok((out, Some(size)))
}

/// An image's file, and whether it is compressed by zstd.
fn open(path: &Path) -> Result<(File, bool)> {
    let name = path.display().to_string();
    let mut file = File::open(path).map_err(|error| input_error!("cannot open {name}: {error}"))?;
    if file.metadata().with_context(|| format!("looking at {name}"))?.is_dir() {
        bail_input!("{name} is a folder: name an image in it");
    }
    let mut magic = [0; 4];
    let begins = file.read_exact(&mut magic).is_ok();
    file.seek(SeekFrom::Start(0))
        .with_context(|| format!("reading {name}"))?;
    Ok((file, begins && magic == ZSTD_MAGIC))
}

fn wrong(name: &str, error: &anyhow::Error) -> anyhow::Error {
    input_error!("{name} is not an image that `pkgbuilder build` made, or it is damaged: {error:#}")
}

/// Copies an image, zeros as holes. `name` is the file that it comes from.
fn copy_sparse(mut from: impl Read, name: &str, mut out: File) -> Result<File> {
    let mut chunk = vec![0; CHUNK];
    let mut length = 0_u64;
    loop {
        interrupt::check()?;
        let count = from.read(&mut chunk).map_err(|error| {
            input_error!("{name} is damaged or ends early, so that zstd cannot decompress it: {error}")
        })?;
        if count == 0 {
            break;
        }
        length += count as u64;
        if length > LARGEST {
            bail_input!("{name} has more than {LARGEST} bytes when it is decompressed: it is no image of ours");
        }
        for part in chunk[..count].chunks(HOLE) {
            if part.iter().all(|byte| *byte == 0) {
                out.seek(SeekFrom::Current(i64::try_from(part.len())?))?;
            } else {
                out.write_all(part)?;
            }
        }
    }
    out.set_len(length)?;
    Ok(out)
}
