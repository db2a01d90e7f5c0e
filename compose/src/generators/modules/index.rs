//! kmod's binary indexes: a trie of keys, each with values in the order of their priorities.
//!
//! All numbers are big-endian. A node is known by its offset, whose high bits say which parts it has: the rest of the
//! key that leads to it, its children, its values (`libkmod-index.h`).

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, bail};

const MAGIC: u32 = 0xb007_f457;
const VERSION: u32 = 0x0002_0001;
const HAS_PREFIX: u32 = 0x8000_0000;
const HAS_VALUES: u32 = 0x4000_0000;
const HAS_CHILDREN: u32 = 0x2000_0000;
/// Offsets have 28 bits.
const MAX_SIZE: usize = 0x0fff_ffff;

/// Keys and their values.
#[derive(Debug, Default)]
pub(super) struct Index {
    keys: BTreeMap<String, Vec<(u32, String)>>,
}

/// A node with the keys below it, the part of them that is behind it cut off.
struct Node<'a> {
    prefix: &'a str,
    values: &'a [(u32, String)],
    children: Vec<(u8, Node<'a>)>,
}

impl Index {
    /// Adds a value; of equal priorities the last comes first, as in depmod.
    pub(super) fn insert(&mut self, key: &str, value: &str, priority: u32) -> Result<()> {
        if !key.is_ascii() || !value.is_ascii() || key.contains('\0') {
            bail!("`{key}` with value `{value}` is not ASCII, which indexes of kernel modules need");
        }
        let values = self.keys.entry(key.to_owned()).or_default();
        let at = values.partition_point(|(other, _)| *other < priority);
        values.insert(at, (priority, value.to_owned()));
        Ok(())
    }

    /// The file.
    pub(super) fn encode(&self) -> Result<Vec<u8>> {
        let keys: Vec<(&str, &[(u32, String)])> = self
            .keys
            .iter()
            .map(|(key, values)| (key.as_str(), &values[..]))
            .collect();
        let mut out = Vec::new();
        for word in [MAGIC, VERSION, 0] {
            out.extend(word.to_be_bytes());
        }
        // The root has no prefix, even where all keys begin alike.
        let root = Node::new("", &keys);
        let root = root.write(&mut out)?;
        out[8..12].copy_from_slice(&root.to_be_bytes());
        Ok(out)
    }
}

impl<'a> Node<'a> {
    /// The node for sorted `keys`, which all begin with `prefix`.
    fn new(prefix: &'a str, keys: &[(&'a str, &'a [(u32, String)])]) -> Self {
        let mut rest = keys
            .iter()
            .map(|(key, values)| (&key[prefix.len()..], *values))
            .peekable();
        let values = rest
            .next_if(|(key, _)| key.is_empty())
            .map_or(&[][..], |(_, values)| values);
        let rest: Vec<_> = rest.collect();
        let groups = rest.chunk_by(|(a, _), (b, _)| a.as_bytes()[0] == b.as_bytes()[0]);
        let child = |group: &[(&'a str, &'a [(u32, String)])]| {
            let below: Vec<_> = group.iter().map(|(key, values)| (&key[1..], *values)).collect();
            let (first, last) = (below[0].0, below[below.len() - 1].0);
            let shared = first.bytes().zip(last.bytes()).take_while(|(a, b)| a == b).count();
            (group[0].0.as_bytes()[0], Self::new(&first[..shared], &below))
        };
        let children = groups.map(child).collect();
        Self {
            prefix,
            values,
            children,
        }
    }

    /// Writes the node, then those below it; answers its offset with the flags.
    fn write(&self, out: &mut Vec<u8>) -> Result<u32> {
        if out.len() > MAX_SIZE {
            bail!("an index of kernel modules is larger than its format allows");
        }
        let mut offset = u32::try_from(out.len()).context("measuring an index")?;
        if !self.prefix.is_empty() {
            out.extend_from_slice(self.prefix.as_bytes());
            out.push(0);
            offset |= HAS_PREFIX;
        }
        let mut table = None;
        if let (Some((first, _)), Some((last, _))) = (self.children.first(), self.children.last()) {
            out.extend([*first, *last]);
            table = Some((out.len(), *first));
            out.resize(out.len() + 4 * (usize::from(last - first) + 1), 0);
            offset |= HAS_CHILDREN;
        }
        if !self.values.is_empty() {
            out.extend(
                u32::try_from(self.values.len())
                    .context("counting values")?
                    .to_be_bytes(),
            );
            for (priority, value) in self.values {
                out.extend(priority.to_be_bytes());
                out.extend_from_slice(value.as_bytes());
                out.push(0);
            }
            offset |= HAS_VALUES;
        }
        for (letter, child) in &self.children {
            let (table, first) = table.expect("a node with children has their table");
            let at = table + 4 * usize::from(letter - first);
            let child = child.write(out)?;
            out[at..at + 4].copy_from_slice(&child.to_be_bytes());
        }
        Ok(offset)
    }
}

/// Reads an index back: keys with their values in order.
#[cfg(test)]
pub(super) fn decode(file: &[u8]) -> BTreeMap<String, Vec<(u32, String)>> {
    fn word(file: &[u8], at: usize) -> u32 {
        u32::from_be_bytes(file[at..at + 4].try_into().unwrap())
    }
    fn text(file: &[u8], at: &mut usize) -> String {
        let end = *at + file[*at..].iter().position(|&byte| byte == 0).unwrap();
        let text = String::from_utf8(file[*at..end].to_vec()).unwrap();
        *at = end + 1;
        text
    }
    fn node(file: &[u8], offset: u32, mut key: String, found: &mut BTreeMap<String, Vec<(u32, String)>>) {
        let mut at = (offset & 0x0fff_ffff) as usize;
        if offset & HAS_PREFIX != 0 {
            key += &text(file, &mut at);
        }
        if offset & HAS_CHILDREN != 0 {
            let (first, last) = (file[at], file[at + 1]);
            at += 2;
            for letter in first..=last {
                let child = word(file, at);
                at += 4;
                if child != 0 {
                    node(file, child, format!("{key}{}", char::from(letter)), found);
                }
            }
        }
        if offset & HAS_VALUES != 0 {
            let count = word(file, at);
            at += 4;
            for _ in 0..count {
                let priority = word(file, at);
                at += 4;
                let value = text(file, &mut at);
                found.entry(key.clone()).or_default().push((priority, value));
            }
        }
    }
    assert_eq!((word(file, 0), word(file, 4)), (MAGIC, VERSION));
    let mut found = BTreeMap::new();
    node(file, word(file, 8), String::new(), &mut found);
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn what_is_written_can_be_read(keys in proptest::collection::vec(("[a-c_]{1,6}", "[a-z]{0,3}", 0_u32..3), 0..40)) {
            let mut index = Index::default();
            for (key, value, priority) in &keys {
                index.insert(key, value, *priority).unwrap();
            }
            proptest::prop_assert_eq!(decode(&index.encode().unwrap()), index.keys);
        }
    }
}
