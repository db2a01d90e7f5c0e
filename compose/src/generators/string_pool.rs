//! The string table in systemd's binary databases: every string once, and none that ends another one stored before.

/// NUL-terminated strings; the empty one is at 0.
#[derive(Debug)]
pub(super) struct StringPool {
    bytes: Vec<u8>,
    /// Stored strings in a trie over their bytes from the last to the first.
    nodes: Vec<Node>,
}

#[derive(Debug, Default)]
struct Node {
    offset: usize,
    len: usize,
    /// Sorted by byte.
    children: Vec<(u8, usize)>,
}

impl StringPool {
    pub(super) fn new() -> Self {
        Self {
            bytes: vec![0],
            nodes: vec![Node::default()],
        }
    }

    /// All strings, as they are written to the file.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The string that starts at `offset`.
    pub(super) fn at(&self, offset: usize) -> &[u8] {
        let rest = &self.bytes[offset..];
        let end = memchr::memchr(0, rest).unwrap_or(rest.len());
        &rest[..end]
    }

    /// Where `text` is, added if no stored string ends with it. It ends at its first NUL.
    pub(super) fn add(&mut self, text: &[u8]) -> usize {
        let text = &text[..memchr::memchr(0, text).unwrap_or(text.len())];
        if text.is_empty() {
            return 0;
        }
        let mut node = 0;
        let mut place = None;
        for depth in 0..=text.len() {
            let Node { offset, len, children } = &self.nodes[node];
            let stored = &self.bytes[*offset..offset + len];
            if stored.ends_with(text) {
                return offset + len - text.len();
            }
            // Every string passes through the nodes of its ends, so at its whole length something was found.
            let Some(&byte) = text.iter().rev().nth(depth) else {
                return offset + len - text.len();
            };
            match children.binary_search_by_key(&byte, |child| child.0) {
                Ok(at) => node = children[at].1,
                Err(at) => {
                    place = Some((at, byte));
                    break;
                }
            }
        }
        let offset = self.bytes.len();
        self.bytes.extend_from_slice(text);
        self.bytes.push(0);
        if let Some((at, byte)) = place {
            let new = self.nodes.len();
            self.nodes.push(Node {
                offset,
                len: text.len(),
                children: Vec::new(),
            });
            self.nodes[node].children.insert(at, (byte, new));
        }
        offset
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ends_of_stored_strings_are_shared() {
        let mut pool = StringPool::new();
        assert_eq!(pool.add(b""), 0);
        assert_eq!(pool.add(b"foobar"), 1);
        assert_eq!(pool.add(b"bar"), 4);
        assert_eq!(pool.add(b"bar"), 4);
        assert_eq!(pool.add(b"xbar"), 8);
        assert_eq!(pool.bytes(), b"\0foobar\0xbar\0");
    }

    proptest! {
        #[test]
        fn what_was_added_is_where_it_was_said_to_be(texts in prop::collection::vec("[ab]{0,6}", 0..60)) {
            let mut pool = StringPool::new();
            let places: Vec<usize> = texts.iter().map(|text| pool.add(text.as_bytes())).collect();
            for (text, place) in texts.iter().zip(places) {
                prop_assert_eq!(pool.at(place), text.as_bytes());
            }
        }
    }
}
