//! Digests of contents, each taken once: the manifest tells them, and the root's blocks are known by them.

use std::collections::HashMap;

use bytes::Bytes;
use computatom_compose::tree::{Kind, Tree};
use rayon::prelude::*;

use crate::verify::Sha256;

/// Bytes of a block: those of squashfs, by default.
pub const BLOCK: usize = 128 << 10;

/// The digests of a content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sums {
    /// Of all of it.
    pub whole: Sha256,
    /// Of each [`BLOCK`] of it, the last one perhaps shorter; none of an empty one.
    pub blocks: Vec<Sha256>,
}

impl Sums {
    /// Takes the digests of a content.
    pub fn of(content: &[u8]) -> Self {
        let blocks = blocks_of(content);
        let whole = match blocks.as_slice() {
            [only] => *only,
            _ => Sha256::of(content),
        };
        Self { whole, blocks }
    }
}

fn blocks_of(content: &[u8]) -> Vec<Sha256> {
    content.chunks(BLOCK).map(Sha256::of).collect()
}

/// The digests of contents in memory, found by where these lie.
///
/// Of each a reference is held, so that nothing else comes to lie there.
#[derive(Debug, Default)]
pub struct Digests {
    known: HashMap<(usize, usize), (Bytes, Sums)>,
}

impl Digests {
    /// Takes the digests of all files of a tree, on all cores.
    pub fn of_tree(tree: &Tree) -> Self {
        let contents: HashMap<(usize, usize), &Bytes> = tree
            .inodes()
            .iter()
            .filter_map(|inode| match &inode.kind {
                Kind::File(content) => Some((place(content), content)),
                _ => None,
            })
            .collect();
        let known = contents
            .into_par_iter()
            .map(|(place, content)| (place, (content.clone(), Sums::of(content))))
            .collect();
        Self { known }
    }

    /// Remembers the digests of a content.
    pub fn add(&mut self, content: Bytes, sums: Sums) {
        self.known.insert(place(&content), (content, sums));
    }

    /// The digests of a content, which are taken now if they are not known.
    pub fn of(&self, content: &Bytes) -> Sums {
        match self.known.get(&place(content)) {
            Some((_, sums)) => sums.clone(),
            None => Sums::of(content),
        }
    }

    /// The digests of its blocks alone, which are taken now if they are not known.
    pub fn of_blocks(&self, content: &Bytes) -> Vec<Sha256> {
        match self.known.get(&place(content)) {
            Some((_, sums)) => sums.blocks.clone(),
            None => blocks_of(content),
        }
    }
}

/// Where a content lies. Contents of no bytes may lie anywhere, and are all the same.
fn place(content: &Bytes) -> (usize, usize) {
    match content.len() {
        0 => (0, 0),
        length => (content.as_ptr() as usize, length),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_ones_are_those_that_would_be_taken() {
        let long = Bytes::from(vec![7; BLOCK + 1]);
        let mut tree = Tree::new(1);
        tree.write("/long", long.clone(), 0o644).unwrap();
        tree.write("/short", long.slice(1..100), 0o644).unwrap();
        tree.write("/empty", "", 0o644).unwrap();
        let digests = Digests::of_tree(&tree);
        for content in [
            long.clone(),
            long.slice(1..100),
            Bytes::new(),
            Bytes::from_static(b"new"),
        ] {
            assert_eq!(digests.of(&content), Sums::of(&content));
            assert_eq!(digests.of_blocks(&content), Sums::of(&content).blocks);
        }
        let sums = digests.of(&long);
        assert_eq!(sums.blocks.len(), 2);
        assert_eq!(sums.blocks[1], Sha256::of(&[7]));
        assert!(Sums::of(b"").blocks.is_empty());
    }
}
