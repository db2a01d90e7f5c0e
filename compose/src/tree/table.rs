//! The inodes themselves, for whoever keeps a tree on disk.

use super::{Inode, InodeId, Kind, Tree};

impl InodeId {
    /// Its place among [`Tree::inodes`].
    pub fn index(self) -> usize {
        self.0 as usize
    }

    /// The identity of the inode at a place among [`Tree::inodes`]; good for one tree only.
    pub fn at(index: u32) -> Self {
        Self(index)
    }
}

impl Tree {
    /// All inodes by [`InodeId::index`], the root first; those that no directory names any more among them.
    pub fn inodes(&self) -> &[Inode] {
        &self.inodes
    }

    /// The tree of these inodes, the root first; nothing unless the root is a directory and every directory names
    /// inodes that are there.
    pub fn of_inodes(inodes: Vec<Inode>, now: i64) -> Option<Self> {
        let sound = |inode: &Inode| match &inode.kind {
            Kind::Dir(entries) => entries.values().all(|id| id.index() < inodes.len()),
            _ => true,
        };
        let whole = inodes.first().is_some_and(Inode::is_dir) && inodes.iter().all(sound);
        whole.then_some(Self {
            inodes,
            now,
            acting: None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_is_its_inodes() {
        let mut tree = Tree::new(7);
        tree.mkdir_all("/usr/bin", 0o755).unwrap();
        tree.write("/usr/bin/sh", "#", 0o755).unwrap();
        let again = Tree::of_inodes(tree.inodes().to_vec(), tree.now).unwrap();
        assert_eq!(again.walk("/").unwrap(), tree.walk("/").unwrap());
        assert_eq!(again.read("/usr/bin/sh").unwrap(), tree.read("/usr/bin/sh").unwrap());
    }

    #[test]
    fn what_points_nowhere_is_no_tree() {
        let mut tree = Tree::new(7);
        tree.write("/file", "", 0o644).unwrap();
        assert!(Tree::of_inodes(tree.inodes()[..1].to_vec(), 7).is_none());
        assert!(Tree::of_inodes(tree.inodes()[1..].to_vec(), 7).is_none());
        assert!(Tree::of_inodes(Vec::new(), 7).is_none());
    }
}
