//! Patterns that are `*` and an end, as a tree of the letters from the last on.

use super::sources::Database;

/// A letter, or the end of the pattern with a type.
#[derive(Debug)]
pub(super) struct Suffix {
    /// None where the pattern is complete.
    pub(super) letter: Option<char>,
    pub(super) kind: usize,
    pub(super) weight: i32,
    pub(super) case_sensitive: bool,
    pub(super) children: Vec<Self>,
}

/// The tree of all such patterns.
pub(super) fn tree(database: &Database) -> Vec<Suffix> {
    let mut roots = Vec::new();
    for (pattern, globs) in database.globs.iter() {
        let end = pattern
            .strip_prefix('*')
            .filter(|end| !end.is_empty() && !end.contains(['\\', '[', '?', '*']));
        let Some(end) = end else {
            continue;
        };
        let letters: Vec<char> = end.chars().rev().collect();
        for glob in globs {
            let leaf = Suffix {
                letter: None,
                kind: glob.kind,
                weight: glob.weight,
                case_sensitive: glob.case_sensitive,
                children: Vec::new(),
            };
            insert(&mut roots, &letters, leaf);
        }
    }
    roots
}

fn insert(siblings: &mut Vec<Suffix>, letters: &[char], leaf: Suffix) {
    let [letter, rest @ ..] = letters else {
        // Types of one pattern keep the order in which they come, before what is longer.
        let leaves = siblings.partition_point(|sibling| sibling.letter.is_none());
        match siblings[..leaves].iter_mut().find(|known| known.kind == leaf.kind) {
            Some(known) => known.weight = known.weight.max(leaf.weight),
            None => siblings.insert(leaves, leaf),
        }
        return;
    };
    let at = siblings.partition_point(|sibling| sibling.letter < Some(*letter));
    if siblings.get(at).is_none_or(|sibling| sibling.letter != Some(*letter)) {
        let inner = Suffix {
            letter: Some(*letter),
            kind: 0,
            weight: 0,
            case_sensitive: false,
            children: Vec::new(),
        };
        siblings.insert(at, inner);
    }
    insert(&mut siblings[at].children, rest, leaf);
}
