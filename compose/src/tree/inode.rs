//! What the tree consists of.

use std::collections::BTreeMap;

use bytes::Bytes;

/// Identity of an inode; hard links are directory entries with the same id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct InodeId(pub(super) u32);

/// What an inode is and holds.
#[derive(Clone, Debug)]
pub enum Kind {
    /// A directory: entry name to inode, in byte order.
    Dir(BTreeMap<String, InodeId>),
    /// A regular file.
    File(Bytes),
    /// A symbolic link with its target as written.
    Symlink(String),
    /// A character device.
    Char {
        /// Major number.
        major: u32,
        /// Minor number.
        minor: u32,
    },
    /// A block device.
    Block {
        /// Major number.
        major: u32,
        /// Minor number.
        minor: u32,
    },
    /// A named pipe.
    Fifo,
}

/// One file-system object with its metadata.
#[derive(Clone, Debug)]
pub struct Inode {
    /// Type and content.
    pub kind: Kind,
    /// The low twelve bits of `st_mode`: permissions, setuid, setgid, sticky.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Modification time, seconds since 1970.
    pub mtime: i64,
    /// Extended attributes by full name (`security.capability`).
    pub xattrs: BTreeMap<String, Vec<u8>>,
}

impl Inode {
    /// An inode owned by root with no attributes.
    pub fn new(kind: Kind, mode: u32, mtime: i64) -> Self {
        Self {
            kind,
            mode: mode & 0o7777,
            uid: 0,
            gid: 0,
            mtime,
            xattrs: BTreeMap::new(),
        }
    }

    /// Whether this is a directory.
    pub fn is_dir(&self) -> bool {
        matches!(self.kind, Kind::Dir(_))
    }

    /// Whether this is a regular file.
    pub fn is_file(&self) -> bool {
        matches!(self.kind, Kind::File(_))
    }

    /// Whether this is a symbolic link.
    pub fn is_symlink(&self) -> bool {
        matches!(self.kind, Kind::Symlink(_))
    }
}
