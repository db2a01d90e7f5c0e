//! The squashfs writer alone, on a folder: `squashfs FOLDER FILE LEVEL`. For `scripts/bench image`, which sets it beside
//! mksquashfs; owners and devices are those of the folder.

use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use anyhow::{Context, Result, bail};
use computatom_compose::tree::{Follow, Inode, Kind, Tree};
use pkgbuilder::assemble::squashfs::{self, Options};
use pkgbuilder::compose::{Digests, Rootfs};

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, folder, file, level] = arguments.as_slice() else {
        bail!("usage: squashfs FOLDER FILE LEVEL");
    };
    let mut tree = Tree::new(0);
    let mut links = std::collections::HashMap::new();
    add(&mut tree, Path::new(folder), "", &mut links)?;
    let digests = Digests::of_tree(&tree);
    let rootfs = Rootfs { tree, digests };
    let out = File::create(file).with_context(|| format!("creating {file}"))?;
    let options = Options {
        level: level.parse().context("reading the level")?,
        epoch: 0,
    };
    squashfs::write(&rootfs, &out, 0, options, None, &|_| {})?;
    Ok(())
}

/// Adds what is in a folder at a path of the tree; `links` knows the files that have several names.
fn add(tree: &mut Tree, folder: &Path, path: &str, links: &mut std::collections::HashMap<u64, String>) -> Result<()> {
    for entry in fs::read_dir(folder).with_context(|| format!("listing {}", folder.display()))? {
        let entry = entry?;
        let (from, about) = (entry.path(), entry.metadata()?);
        let name = entry.file_name();
        let name = std::str::from_utf8(name.as_bytes()).context("a name that is no UTF-8")?;
        let at = format!("{path}/{name}");
        if about.nlink() > 1 && !about.is_dir() {
            if let Some(first) = links.get(&about.ino()) {
                tree.link(first, &at)?;
                continue;
            }
            links.insert(about.ino(), at.clone());
        }
        let device = || {
            let (major, minor) = (rustix::fs::major(about.rdev()), rustix::fs::minor(about.rdev()));
            (major, minor)
        };
        let kind = match about.file_type() {
            kind if kind.is_dir() => Kind::Dir(std::collections::BTreeMap::new()),
            kind if kind.is_symlink() => Kind::Symlink(fs::read_link(&from)?.display().to_string()),
            kind if kind.is_char_device() => {
                let (major, minor) = device();
                Kind::Char { major, minor }
            }
            kind if kind.is_block_device() => {
                let (major, minor) = device();
                Kind::Block { major, minor }
            }
            kind if kind.is_fifo() => Kind::Fifo,
            _ => Kind::File(fs::read(&from)?.into()),
        };
        let is_folder = matches!(kind, Kind::Dir(_));
        let mut inode = Inode::new(kind, about.mode() & 0o7777, about.mtime());
        (inode.uid, inode.gid) = (about.uid(), about.gid());
        tree.create(&at, inode)?;
        debug_assert!(tree.lookup(&at, Follow::No).is_ok());
        if is_folder {
            add(tree, &from, &at, links)?;
        }
    }
    Ok(())
}
