//! The root file system while it is being composed: inodes in memory, nothing on the host.
//!
//! Paths are absolute, `/`-separated UTF-8. Symbolic links resolve inside the tree, as in a chroot:
//! `..` of the root is the root and an absolute target starts at the root again. File contents are
//! [`bytes::Bytes`], so an unpacked package shares its memory with the archive it came from.

/// Files, directories, links and devices with their metadata.
mod inode;

/// Causes, named as in `errno(3)`.
mod error;

/// From a path to the entry it names.
mod paths;

/// What is there.
mod reading;

/// Entries come, move and go.
mod entries;

/// Contents, permissions and owners change.
mod contents;

/// The tree as a tar archive.
mod tar;

/// Inodes without their names.
mod table;

use std::collections::BTreeMap;

pub use error::{Errno, Result, TreeError};
pub use inode::{Inode, InodeId, Kind};
pub use paths::Follow;

/// A root file system in memory.
#[derive(Clone, Debug)]
pub struct Tree {
    inodes: Vec<Inode>,
    /// Time given to what is created from now on, seconds since 1970.
    pub now: i64,
    /// Who owns what is created from now on (user, group); nobody stands for whom the caller names, which is root.
    pub acting: Option<(u32, u32)>,
}

impl Tree {
    /// An empty root directory (0755, root) whose clock stands at `now`.
    pub fn new(now: i64) -> Self {
        Self {
            inodes: vec![Inode::new(Kind::Dir(BTreeMap::new()), 0o755, now)],
            now,
            acting: None,
        }
    }

    /// The root directory.
    pub fn root() -> InodeId {
        InodeId(0)
    }

    /// The inode behind an id.
    pub fn inode(&self, id: InodeId) -> &Inode {
        &self.inodes[id.0 as usize]
    }

    /// The inode behind an id, to change its metadata.
    pub fn inode_mut(&mut self, id: InodeId) -> &mut Inode {
        &mut self.inodes[id.0 as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree() -> Tree {
        let mut tree = Tree::new(7);
        tree.mkdir_all("/usr/bin", 0o755).unwrap();
        tree.symlink("usr/bin", "/bin").unwrap();
        tree.write("/bin/sh", "#", 0o755).unwrap();
        tree
    }

    #[test]
    fn links_resolve_inside_the_tree() {
        let mut tree = tree();
        tree.symlink("/../../bin/sh", "/usr/bin/out").unwrap();
        assert_eq!(tree.canonical("/bin/out").unwrap(), "/usr/bin/sh");
        assert_eq!(tree.canonical("/bin/new").unwrap(), "/usr/bin/new");
        assert_eq!(tree.canonical_parent("/bin/out").unwrap(), "/usr/bin/out");
        tree.symlink("loop", "/loop").unwrap();
        assert_eq!(tree.stat("/loop").unwrap_err().errno, Errno::Loop);
    }

    #[test]
    fn the_empty_path_is_nothing() {
        assert!(!tree().exists(""));
        assert_eq!(tree().lookup("/bin/sh/", Follow::Yes).unwrap_err().errno, Errno::NotDir);
    }

    #[test]
    fn writing_through_a_link_keeps_the_mode() {
        let mut tree = tree();
        tree.symlink("sh", "/usr/bin/dash").unwrap();
        tree.write("/bin/dash", "new", 0o600).unwrap();
        assert_eq!(tree.stat("/usr/bin/sh").unwrap().mode, 0o755);
        assert_eq!(tree.read_text("/bin/sh").unwrap(), "new");
    }

    #[test]
    fn hard_links_share_their_inode() {
        let mut tree = tree();
        tree.link("/bin/sh", "/usr/bin/dash").unwrap();
        tree.unlink("/bin/sh").unwrap();
        assert_eq!(tree.read_text("/bin/dash").unwrap(), "#");
    }

    #[test]
    fn rename_refuses_to_move_a_directory_into_itself() {
        let mut tree = tree();
        assert_eq!(tree.rename("/usr", "/usr/bin/usr").unwrap_err().errno, Errno::Invalid);
        assert_eq!(tree.rename("/usr", "/bin/usr").unwrap_err().errno, Errno::Invalid);
        tree.rename("/usr/bin/sh", "/dash").unwrap();
        assert!(!tree.exists("/bin/sh"));
    }

    #[test]
    fn walking_is_in_byte_order() {
        let paths: Vec<String> = tree().walk("/").unwrap().into_iter().map(|(path, _)| path).collect();
        assert_eq!(paths, ["/bin", "/usr", "/usr/bin", "/usr/bin/sh"]);
    }
}
