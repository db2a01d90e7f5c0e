//! The squashfs writer alone, on a folder: `squashfs FOLDER FILE LEVEL`. For `scripts/bench image`, which sets it beside
//! mksquashfs; owners and devices are those of the folder.

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File, Metadata};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use computatom_compose::tree::{Inode, Kind, Tree};
use pkgbuilder::assemble::squashfs::{self, Options};
use pkgbuilder::compose::{Digests, Reading, Rootfs};
use rayon::prelude::*;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, folder, file, level] = arguments.as_slice() else {
        bail!("usage: squashfs FOLDER FILE LEVEL");
    };
    let tree = tree(Path::new(folder))?;
    // Blocks' digests alone are taken as they are needed: there is no manifest that tells files'.
    let digests = Digests::default();
    let reading = Reading::default();
    let rootfs = Rootfs { tree, digests, reading };
    let out = File::create(file).with_context(|| format!("creating {file}"))?;
    let options = Options {
        level: level.parse().context("reading the level")?,
        epoch: 0,
    };
    squashfs::write(&rootfs, &out, 0, options, None, &|_| {})?;
    Ok(())
}

/// What is found in a folder: where, its path in the tree, and what it is.
type Found = (PathBuf, String, Metadata);

/// A folder as a tree; files are read on all cores.
fn tree(folder: &Path) -> Result<Tree> {
    let mut found = Vec::new();
    list(folder, "", &mut found)?;
    let kinds: Vec<Kind> = found.par_iter().map(kind).collect::<Result<_>>()?;
    let mut tree = Tree::new(0);
    let mut links: HashMap<u64, String> = HashMap::new();
    for ((_, at, about), kind) in found.into_iter().zip(kinds) {
        if about.nlink() > 1 && !about.is_dir() {
            if let Some(first) = links.get(&about.ino()) {
                tree.link(first, &at)?;
                continue;
            }
            links.insert(about.ino(), at.clone());
        }
        let mut inode = Inode::new(kind, about.mode() & 0o7777, about.mtime());
        (inode.uid, inode.gid) = (about.uid(), about.gid());
        tree.create(&at, inode)?;
    }
    Ok(tree)
}

/// Lists what is in a folder and below.
fn list(folder: &Path, path: &str, found: &mut Vec<Found>) -> Result<()> {
    for entry in fs::read_dir(folder).with_context(|| format!("listing {}", folder.display()))? {
        let entry = entry?;
        let (from, about) = (entry.path(), entry.metadata()?);
        let name = entry.file_name();
        let name = std::str::from_utf8(name.as_bytes()).context("a name that is no UTF-8")?;
        let at = format!("{path}/{name}");
        let is_folder = about.is_dir();
        found.push((from.clone(), at.clone(), about));
        if is_folder {
            list(&from, &at, found)?;
        }
    }
    Ok(())
}

fn kind((from, _, about): &Found) -> Result<Kind> {
    let (major, minor) = (rustix::fs::major(about.rdev()), rustix::fs::minor(about.rdev()));
    Ok(match about.file_type() {
        kind if kind.is_dir() => Kind::Dir(BTreeMap::new()),
        kind if kind.is_symlink() => Kind::Symlink(fs::read_link(from)?.display().to_string()),
        kind if kind.is_char_device() => Kind::Char { major, minor },
        kind if kind.is_block_device() => Kind::Block { major, minor },
        kind if kind.is_fifo() => Kind::Fifo,
        _ => Kind::File(content(from).with_context(|| format!("reading {}", from.display()))?),
    })
}

/// The content of a file: mapped, as a build has what it has unpacked, unless that is more work than to read it.
#[allow(unsafe_code, reason = "the only way to map a file")]
fn content(path: &Path) -> std::io::Result<Bytes> {
    const WORTH_IT: u64 = 64 << 10;
    let file = File::open(path)?;
    if file.metadata()?.len() < WORTH_IT {
        return Ok(Bytes::from(fs::read(path)?));
    }
    // SAFETY: nobody writes the folder meanwhile: it is the benchmark's own.
    Ok(Bytes::from_owner(unsafe { memmap2::Mmap::map(&file) }?))
}
