//! Inodes and directories to a tree, in which files have no content.

use std::collections::HashMap;

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use computatom_compose::tree::{Inode, InodeId, Kind, Tree};

use super::metadata::{Cursor, Metadata};
use super::{Blocks, NO_FRAGMENT, u16_at, u32_at, u64_at};

/// Added to the type of an inode in its extended form.
const EXTENDED: u16 = 7;
/// Bytes that every inode begins with.
const HEAD: usize = 16;
/// Longest name.
const LONGEST_NAME: usize = 256;
/// Longest target of a link (`PATH_MAX`).
const LONGEST_LINK: u32 = 4096;
/// Directories in each other beyond which there is damage.
const DEEPEST: usize = 128;
/// More entries than these are an attack or an accident.
const MOST: usize = 4 << 20;

/// Where things begin, as the superblock says.
pub(super) struct Layout {
    pub(super) root: u64,
    pub(super) inode_table: u64,
    pub(super) directory_table: u64,
    pub(super) block_size: u64,
    pub(super) epoch: i64,
}

struct Reader<'a, 'm> {
    metadata: &'a mut Metadata<'m>,
    layout: &'a Layout,
    ids: &'a [u32],
    tree: Tree,
    files: HashMap<InodeId, Blocks>,
    /// The first path of each inode's number.
    paths: HashMap<u32, String>,
    entries: usize,
}

/// What an inode is, before it is in the tree.
enum What {
    Directory { cursor: Cursor, length: usize },
    File(Blocks),
    Other(Kind),
}

struct Found {
    inode: Inode,
    number: u32,
    what: What,
}

/// Reads everything that the root leads to.
pub(super) fn read(
    metadata: &mut Metadata<'_>,
    layout: &Layout,
    ids: &[u32],
) -> Result<(Tree, HashMap<InodeId, Blocks>)> {
    let mut reader = Reader {
        metadata,
        layout,
        ids,
        tree: Tree::new(layout.epoch),
        files: HashMap::new(),
        paths: HashMap::new(),
        entries: 0,
    };
    let root = reader.inode(layout.root)?;
    let What::Directory { cursor, length } = root.what else {
        bail!("its root is no directory");
    };
    reader.paths.insert(root.number, "/".to_owned());
    copy_head(&root.inode, reader.tree.inode_mut(Tree::root()));
    reader.directory(cursor, length, "", 0)?;
    Ok((reader.tree, reader.files))
}

fn copy_head(from: &Inode, to: &mut Inode) {
    (to.mode, to.uid, to.gid, to.mtime) = (from.mode, from.uid, from.gid, from.mtime);
}

impl Reader<'_, '_> {
    fn inode(&mut self, reference: u64) -> Result<Found> {
        let block = self.layout.inode_table.checked_add(reference >> 16);
        let mut cursor = Cursor {
            block: block.context("an inode lies outside the file system")?,
            offset: usize::from(u16_at(&reference.to_le_bytes(), 0)),
        };
        let head = self.metadata.read(&mut cursor, HEAD)?;
        let kind = u16_at(&head, 0);
        let what = match kind {
            1 | 8 => self.directory_inode(&mut cursor, kind > EXTENDED)?,
            2 | 9 => What::File(self.file_inode(&mut cursor, kind > EXTENDED)?),
            3 | 10 => {
                let body = self.metadata.read(&mut cursor, 8)?;
                let length = u32_at(&body, 4);
                if length > LONGEST_LINK {
                    bail!("a link has a target of {length} bytes");
                }
                let target = self.metadata.read(&mut cursor, length as usize)?;
                What::Other(Kind::Symlink(text(target)?))
            }
            4 | 5 | 11 | 12 => {
                let body = self.metadata.read(&mut cursor, 8)?;
                // `new_decode_dev` of Linux.
                let device = u32_at(&body, 4);
                let (major, minor) = ((device >> 8) & 0xfff, (device & 0xff) | ((device >> 12) & 0xf_ff00));
                What::Other(match kind {
                    4 | 11 => Kind::Block { major, minor },
                    _ => Kind::Char { major, minor },
                })
            }
            6 | 13 => What::Other(Kind::Fifo),
            other => bail!("an inode is of type {other}, which `pkgbuilder build` does not write"),
        };
        let owner = |at: usize| {
            let number = usize::from(u16_at(&head, at));
            self.ids.get(number).copied().context("an owner is not in the table")
        };
        let empty = match &what {
            What::Directory { .. } => Kind::Dir(std::collections::BTreeMap::new()),
            What::File(_) => Kind::File(Bytes::new()),
            What::Other(kind) => kind.clone(),
        };
        let mut inode = Inode::new(empty, u32::from(u16_at(&head, 2)), i64::from(u32_at(&head, 8)));
        (inode.uid, inode.gid) = (owner(4)?, owner(6)?);
        Ok(Found {
            inode,
            number: u32_at(&head, 12),
            what,
        })
    }

    fn directory_inode(&mut self, cursor: &mut Cursor, extended: bool) -> Result<What> {
        let body = self.metadata.read(cursor, if extended { 24 } else { 16 })?;
        let (block, size, offset) = if extended {
            (u32_at(&body, 8), u32_at(&body, 4), u16_at(&body, 18))
        } else {
            (u32_at(&body, 0), u32::from(u16_at(&body, 8)), u16_at(&body, 10))
        };
        let block = self.layout.directory_table.checked_add(u64::from(block));
        let cursor = Cursor {
            block: block.context("a directory lies outside the file system")?,
            offset: usize::from(offset),
        };
        // Three bytes stand for `.` and `..`.
        let length = (size as usize).saturating_sub(3);
        Ok(What::Directory { cursor, length })
    }

    fn file_inode(&mut self, cursor: &mut Cursor, extended: bool) -> Result<Blocks> {
        let body = self.metadata.read(cursor, if extended { 40 } else { 16 })?;
        let (start, size, fragment, offset) = if extended {
            (u64_at(&body, 0), u64_at(&body, 8), u32_at(&body, 28), u32_at(&body, 32))
        } else {
            let (start, size) = (u64::from(u32_at(&body, 0)), u64::from(u32_at(&body, 12)));
            (start, size, u32_at(&body, 4), u32_at(&body, 8))
        };
        let count = if fragment == NO_FRAGMENT {
            size.div_ceil(self.layout.block_size)
        } else {
            size / self.layout.block_size
        };
        // The list ends with the metadata, whatever an inode says of its size.
        let mut sizes = Vec::new();
        for _ in 0..count {
            sizes.push(u32_at(&self.metadata.read(cursor, 4)?, 0));
        }
        Ok(Blocks {
            start,
            size,
            sizes,
            fragment,
            offset,
        })
    }

    /// Reads the entries of a directory into the tree.
    fn directory(&mut self, mut cursor: Cursor, mut left: usize, path: &str, depth: usize) -> Result<()> {
        if depth > DEEPEST {
            bail!("its directories are deeper than {DEEPEST}");
        }
        while left > 0 {
            let head = self.metadata.read(&mut cursor, 12)?;
            left = left.checked_sub(12).context("a directory ends early")?;
            let block = u64::from(u32_at(&head, 4));
            for _ in 0..=u32_at(&head, 0) {
                let entry = self.metadata.read(&mut cursor, 8)?;
                let length = usize::from(u16_at(&entry, 6)) + 1;
                if length > LONGEST_NAME {
                    bail!("a name has {length} bytes");
                }
                let name = text(self.metadata.read(&mut cursor, length)?)?;
                left = left.checked_sub(8 + length).context("a directory ends early")?;
                if name.contains(['/', '\0']) || name == "." || name == ".." {
                    bail!("`{}` is not a name that a file can have", name.escape_default());
                }
                self.entries += 1;
                if self.entries > MOST {
                    bail!("it has more than {MOST} entries");
                }
                let reference = block << 16 | u64::from(u16_at(&entry, 0));
                let path = format!("{path}/{name}");
                self.entry(reference, &path, depth)
                    .with_context(|| format!("reading {}", path.escape_default()))?;
            }
        }
        Ok(())
    }

    fn entry(&mut self, reference: u64, path: &str, depth: usize) -> Result<()> {
        let found = self.inode(reference)?;
        if let Some(first) = self.paths.get(&found.number) {
            if matches!(found.what, What::Directory { .. }) {
                bail!("the directory is also {first}");
            }
            return Ok(self.tree.link(first, path)?);
        }
        self.paths.insert(found.number, path.to_owned());
        let id = self.tree.create(path, found.inode)?;
        match found.what {
            What::Directory { cursor, length } => self.directory(cursor, length, path, depth + 1)?,
            What::File(blocks) => {
                self.files.insert(id, blocks);
            }
            What::Other(_) => {}
        }
        Ok(())
    }
}

fn text(bytes: Vec<u8>) -> Result<String> {
    String::from_utf8(bytes).ok().context("a name is not UTF-8")
}
