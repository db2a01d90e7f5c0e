//! Inodes and directories.
//!
//! Inodes are numbered with the entries of a directory in a row (their numbers are stored as small differences), and
//! written children first, as a directory names the positions of its entries' inodes.

use std::collections::{BTreeMap, HashMap};

use anyhow::{Context, Result, bail};
use computatom_compose::tree::{Inode, InodeId, Kind, Tree};

use super::blocks::{Content, Data};
use super::metadata::Table;
use super::tables::{NO_XATTRS, Xattrs};
use super::time;

/// Types of inodes; the extended form of one is its number plus [`EXTENDED`].
const DIRECTORY: u16 = 1;
const FILE: u16 = 2;
const SYMLINK: u16 = 3;
const BLOCK_DEVICE: u16 = 4;
const CHARACTER_DEVICE: u16 = 5;
const FIFO: u16 = 6;
const EXTENDED: u16 = 7;

/// Entries behind one directory header.
const MAX_RUN: usize = 256;
/// Longest name (`SQUASHFS_NAME_LEN`).
const MAX_NAME: usize = 256;

/// The encoded tables.
pub(super) struct Encoded {
    pub(super) inode_table: Vec<u8>,
    pub(super) directory_table: Vec<u8>,
    /// Position of the root's inode.
    pub(super) root: u64,
    pub(super) count: u32,
    pub(super) ids: Vec<u32>,
    pub(super) xattrs: Xattrs,
}

/// Where an inode was written.
#[derive(Clone, Copy)]
struct Place {
    block: u64,
    offset: u16,
    kind: u16,
}

struct Encoder<'a> {
    tree: &'a Tree,
    data: &'a Data,
    numbers: HashMap<InodeId, u32>,
    links: HashMap<InodeId, u32>,
    places: HashMap<InodeId, Place>,
    inodes: Table,
    directories: Table,
    ids: Vec<u32>,
    id_index: BTreeMap<u32, u16>,
    xattrs: Xattrs,
}

/// Encodes all inodes and directories of `tree`, whose contents lie where `data` says.
pub(super) fn encode(tree: &Tree, data: &Data, level: i32) -> Result<Encoded> {
    let mut encoder = Encoder {
        tree,
        data,
        numbers: HashMap::new(),
        links: HashMap::new(),
        places: HashMap::new(),
        inodes: Table::new(level)?,
        directories: Table::new(level)?,
        ids: Vec::new(),
        id_index: BTreeMap::new(),
        xattrs: Xattrs::default(),
    };
    encoder.numbers.insert(Tree::root(), 1);
    encoder.number(Tree::root())?;
    let count = u32::try_from(encoder.numbers.len()).context("more than 2^32 inodes")?;
    // The root's parent is, by custom, the number behind the last.
    encoder.directory(Tree::root(), count + 1, "/")?;
    let root = encoder.places[&Tree::root()];
    Ok(Encoded {
        inode_table: encoder.inodes.finish()?.0,
        directory_table: encoder.directories.finish()?.0,
        root: root.block << 16 | u64::from(root.offset),
        count,
        ids: encoder.ids,
        xattrs: encoder.xattrs,
    })
}

impl Encoder<'_> {
    /// Numbers everything below a directory and counts links.
    fn number(&mut self, directory: InodeId) -> Result<()> {
        let tree = self.tree;
        let Kind::Dir(entries) = &tree.inode(directory).kind else {
            return Ok(());
        };
        for &child in entries.values() {
            let next = u32::try_from(self.numbers.len() + 1).context("more than 2^32 inodes")?;
            self.numbers.entry(child).or_insert(next);
            *self.links.entry(child).or_insert(0) += 1;
        }
        for &child in entries.values() {
            self.number(child)?;
        }
        Ok(())
    }

    /// Writes everything in a directory, then its listing and its own inode.
    fn directory(&mut self, id: InodeId, parent: u32, path: &str) -> Result<()> {
        let tree = self.tree;
        let inode = tree.inode(id);
        let Kind::Dir(entries) = &inode.kind else {
            unreachable!("called for directories only");
        };
        let number = self.numbers[&id];
        let mut subdirectories = 0_u32;
        for (name, &child) in entries {
            if name.len() > MAX_NAME {
                bail!("the name {path}{name} is longer than squashfs allows ({MAX_NAME} bytes)");
            }
            if tree.inode(child).is_dir() {
                subdirectories += 1;
                self.directory(child, number, &format!("{path}{name}/"))?;
            } else if !self.places.contains_key(&child) {
                self.leaf(child).with_context(|| format!("encoding {path}{name}"))?;
            }
        }
        let (block, offset) = self.directories.position();
        let listing = self.listing(entries)?;
        self.directories.write(&listing)?;
        let block = u32::try_from(block).context("the directory table is larger than 4 GiB")?;
        // Three bytes stand for `.` and `..`.
        let size = u32::try_from(listing.len() + 3).context("a directory is larger than 4 GiB")?;
        let xattr = self.xattrs.number(&inode.xattrs);
        let links = 2 + subdirectories;
        let mut body = Vec::new();
        let kind = if let (Ok(size), NO_XATTRS) = (u16::try_from(size), xattr) {
            body.extend(block.to_le_bytes());
            body.extend(links.to_le_bytes());
            body.extend(size.to_le_bytes());
            body.extend(offset.to_le_bytes());
            body.extend(parent.to_le_bytes());
            DIRECTORY
        } else {
            body.extend(links.to_le_bytes());
            body.extend(size.to_le_bytes());
            body.extend(block.to_le_bytes());
            body.extend(parent.to_le_bytes());
            body.extend(0_u16.to_le_bytes());
            body.extend(offset.to_le_bytes());
            body.extend(xattr.to_le_bytes());
            DIRECTORY + EXTENDED
        };
        self.put(id, inode, kind, DIRECTORY, &body)
    }

    /// The entries in byte order, in runs that share a block of the inode table.
    fn listing(&self, entries: &BTreeMap<String, InodeId>) -> Result<Vec<u8>> {
        let rows: Vec<(&str, Place, u32)> = entries
            .iter()
            .map(|(name, id)| (name.as_str(), self.places[id], self.numbers[id]))
            .collect();
        let mut listing = Vec::new();
        let mut rest = rows.as_slice();
        while let Some(&(_, first, base)) = rest.first() {
            let run = rest
                .iter()
                .take(MAX_RUN)
                .take_while(|(_, place, number)| {
                    place.block == first.block && i16::try_from(i64::from(*number) - i64::from(base)).is_ok()
                })
                .count();
            listing.extend(u32::try_from(run - 1).expect("at most 256").to_le_bytes());
            listing.extend(
                u32::try_from(first.block)
                    .context("the inode table is larger than 4 GiB")?
                    .to_le_bytes(),
            );
            listing.extend(base.to_le_bytes());
            for &(name, place, number) in &rest[..run] {
                let difference = i16::try_from(i64::from(number) - i64::from(base)).expect("checked above");
                listing.extend(place.offset.to_le_bytes());
                listing.extend(difference.to_le_bytes());
                listing.extend(place.kind.to_le_bytes());
                listing.extend(u16::try_from(name.len() - 1).expect("at most 256 bytes").to_le_bytes());
                listing.extend_from_slice(name.as_bytes());
            }
            rest = &rest[run..];
        }
        Ok(listing)
    }

    /// Writes an inode that is not a directory.
    fn leaf(&mut self, id: InodeId) -> Result<()> {
        let tree = self.tree;
        let inode = tree.inode(id);
        let links = self.links[&id];
        let xattr = self.xattrs.number(&inode.xattrs);
        let mut body = Vec::new();
        let basic = match &inode.kind {
            Kind::File(bytes) => {
                let content = &self.data.contents[&id];
                let extended = file_body(&mut body, content, bytes.len() as u64, links, xattr);
                let kind = if extended { FILE + EXTENDED } else { FILE };
                return self.put(id, inode, kind, FILE, &body);
            }
            Kind::Symlink(target) => {
                body.extend(links.to_le_bytes());
                body.extend(u32::try_from(target.len())?.to_le_bytes());
                body.extend_from_slice(target.as_bytes());
                SYMLINK
            }
            Kind::Block { major, minor } => {
                body.extend(links.to_le_bytes());
                body.extend(device(*major, *minor).to_le_bytes());
                BLOCK_DEVICE
            }
            Kind::Char { major, minor } => {
                body.extend(links.to_le_bytes());
                body.extend(device(*major, *minor).to_le_bytes());
                CHARACTER_DEVICE
            }
            Kind::Fifo => {
                body.extend(links.to_le_bytes());
                FIFO
            }
            Kind::Dir(_) => unreachable!("directories are written by `directory`"),
        };
        if xattr == NO_XATTRS {
            return self.put(id, inode, basic, basic, &body);
        }
        body.extend(xattr.to_le_bytes());
        self.put(id, inode, basic + EXTENDED, basic, &body)
    }

    fn put(&mut self, id: InodeId, inode: &Inode, kind: u16, basic: u16, body: &[u8]) -> Result<()> {
        let (block, offset) = self.inodes.position();
        self.places.insert(
            id,
            Place {
                block,
                offset,
                kind: basic,
            },
        );
        let mut head = kind.to_le_bytes().to_vec();
        head.extend(u16::try_from(inode.mode & 0o7777).expect("twelve bits").to_le_bytes());
        head.extend(self.id_number(inode.uid)?.to_le_bytes());
        head.extend(self.id_number(inode.gid)?.to_le_bytes());
        head.extend(time(inode.mtime).to_le_bytes());
        head.extend(self.numbers[&id].to_le_bytes());
        self.inodes.write(&head)?;
        self.inodes.write(body)
    }

    /// The place of a user or group number in the id table.
    fn id_number(&mut self, id: u32) -> Result<u16> {
        if let Some(&number) = self.id_index.get(&id) {
            return Ok(number);
        }
        let number = u16::try_from(self.ids.len()).context("more than 65535 owners")?;
        self.ids.push(id);
        self.id_index.insert(id, number);
        Ok(number)
    }
}

/// The part of a file's inode behind the common head; says whether it is the extended form.
fn file_body(body: &mut Vec<u8>, content: &Content, size: u64, links: u32, xattr: u32) -> bool {
    let small = (u32::try_from(content.start), u32::try_from(size));
    let extended = match small {
        (Ok(start), Ok(size)) if links == 1 && xattr == NO_XATTRS && content.sparse == 0 => {
            body.extend(start.to_le_bytes());
            body.extend(content.fragment.to_le_bytes());
            body.extend(content.offset.to_le_bytes());
            body.extend(size.to_le_bytes());
            false
        }
        _ => {
            body.extend(content.start.to_le_bytes());
            body.extend(size.to_le_bytes());
            body.extend(content.sparse.to_le_bytes());
            body.extend(links.to_le_bytes());
            body.extend(content.fragment.to_le_bytes());
            body.extend(content.offset.to_le_bytes());
            body.extend(xattr.to_le_bytes());
            true
        }
    };
    for size in &content.sizes {
        body.extend(size.to_le_bytes());
    }
    extended
}

/// A device number as Linux writes it to disk (`new_encode_dev`).
fn device(major: u32, minor: u32) -> u32 {
    (minor & 0xff) | (major << 8) | ((minor & !0xff) << 12)
}
