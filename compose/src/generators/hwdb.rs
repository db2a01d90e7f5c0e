//! `hwdb.bin`: udev's hardware database, as `systemd-hwdb update --usr` compiles it from `hwdb.d/*.hwdb` (hwdb(7)).
//!
//! Without it a node would compile it on every boot: its `/etc` always looks older than `/usr`.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};

use super::string_pool::StringPool;
use crate::system::System;
use crate::tree::{Inode, Kind, Tree};

/// Where sources are looked for; of files with the same name the first counts.
const SOURCES: [&str; 2] = ["/etc/udev/hwdb.d", "/usr/lib/udev/hwdb.d"];
const DATABASE: &str = "/usr/lib/udev/hwdb.bin";

// Sizes of the structures in the file, in bytes.
const HEADER: usize = 80;
const NODE: usize = 24;
const CHILD: usize = 16;
const VALUE: usize = 32;

/// Compiles the database.
pub(super) fn generate(system: &mut System) -> Result<()> {
    let mut trie = Trie::new();
    for (priority, path) in (1..).zip(sources(&system.tree)?) {
        let text = system.tree.read(&path)?;
        trie.import(&text, &path, priority);
    }
    if trie.nodes.len() == 1 {
        return Ok(());
    }
    let bytes = trie.to_bytes(version(&system.tree)?);
    let inode = Inode::new(Kind::File(bytes.into()), 0o444, system.tree.now);
    system.tree.replace(DATABASE, inode)?;
    Ok(())
}

/// The files to compile, in order of their names without the directory.
fn sources(tree: &Tree) -> Result<Vec<String>> {
    let mut found = BTreeMap::new();
    for dir in SOURCES {
        if !tree.is_dir(dir) {
            continue;
        }
        for (name, _) in tree.read_dir(dir)? {
            let path = format!("{dir}/{name}");
            if name.strip_suffix(".hwdb").is_some() && tree.is_file(&path) {
                found.entry(name).or_insert(path);
            }
        }
    }
    Ok(found.into_values().collect())
}

/// The major version of systemd, which the file names as the tool that made it.
fn version(tree: &Tree) -> Result<u64> {
    let status = tree.read_text("/var/lib/dpkg/status")?;
    let mut stanza = status
        .split("\n\n")
        .filter(|stanza| stanza.starts_with("Package: udev\n"));
    let lines = stanza
        .next()
        .context("package udev, which has the hardware database, is not installed")?;
    let version = lines
        .lines()
        .find_map(|line| line.strip_prefix("Version: "))
        .unwrap_or_default();
    let digits = version.find(|c: char| !c.is_ascii_digit()).unwrap_or(version.len());
    version[..digits]
        .parse()
        .with_context(|| format!("reading the version of udev, `{version}`"))
}

struct Property {
    key: usize,
    value: usize,
    file: usize,
    line: u32,
    priority: u16,
}

#[derive(Default)]
struct Node {
    /// What all matches below have in common, behind the byte that leads here.
    prefix: usize,
    /// Sorted by byte.
    children: Vec<(u8, usize)>,
    /// Sorted by key.
    properties: Vec<Property>,
}

/// Matches as a radix tree.
struct Trie {
    nodes: Vec<Node>,
    strings: StringPool,
}

/// Where in a record the reader is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Outside,
    Matches,
    Properties,
}

impl Trie {
    fn new() -> Self {
        Self {
            nodes: vec![Node::default()],
            strings: StringPool::new(),
        }
    }

    /// Reads a file: records of match lines, then indented properties, ended by an empty line. What is not in
    /// its place is skipped, as systemd-hwdb does.
    fn import(&mut self, text: &[u8], path: &str, priority: u16) {
        let mut place = Place::Outside;
        let mut matches: Vec<&[u8]> = Vec::new();
        for (number, line) in (1..).zip(text.split(|&byte| byte == b'\n')) {
            if line.first() == Some(&b'#') {
                continue;
            }
            let line = &line[..memchr::memchr(b'#', line).unwrap_or(line.len())];
            let line = line.trim_ascii_end();
            let indented = line.first() == Some(&b' ');
            place = match (place, line.is_empty(), indented) {
                (Place::Outside, true, _) | (Place::Outside, _, true) => Place::Outside,
                (_, true, _) | (Place::Properties, _, false) => {
                    matches.clear();
                    Place::Outside
                }
                (Place::Outside | Place::Matches, _, false) => {
                    matches.push(line);
                    Place::Matches
                }
                (Place::Matches | Place::Properties, _, true) => {
                    self.add_property(&matches, line, path, priority, number);
                    Place::Properties
                }
            };
        }
    }

    fn add_property(&mut self, matches: &[&[u8]], line: &[u8], path: &str, priority: u16, number: u32) {
        let Some(equals) = memchr::memchr(b'=', line) else {
            return;
        };
        let (mut key, value) = (&line[..equals], &line[equals + 1..]);
        // One blank stays in front of the key: libudev looks for it.
        while key.len() > 1 && is_blank(key[0]) && is_blank(key[1]) {
            key = &key[1..];
        }
        for &pattern in matches {
            let node = self.node_of(pattern);
            let property = Property {
                key: self.strings.add(key),
                value: self.strings.add(value),
                file: self.strings.add(path.as_bytes()),
                line: number,
                priority,
            };
            let properties = &mut self.nodes[node].properties;
            match properties.binary_search_by(|known| self.strings.at(known.key).cmp(key)) {
                Ok(at) => {
                    properties[at] = Property {
                        key: properties[at].key,
                        ..property
                    }
                }
                Err(at) => properties.insert(at, property),
            }
        }
    }

    /// The node for a match, made if there is none.
    fn node_of(&mut self, pattern: &[u8]) -> usize {
        let mut node = 0;
        let mut rest = pattern;
        loop {
            let prefix = self.strings.at(self.nodes[node].prefix);
            let common = prefix.iter().zip(rest).take_while(|(a, b)| a == b).count();
            if common < prefix.len() {
                self.split(node, common);
            }
            rest = &rest[common..];
            let Some((&byte, behind)) = rest.split_first() else {
                return node;
            };
            match self.nodes[node].children.binary_search_by_key(&byte, |child| child.0) {
                Ok(at) => {
                    node = self.nodes[node].children[at].1;
                    rest = behind;
                }
                Err(at) => {
                    let prefix = self.strings.add(behind);
                    let new = self.nodes.len();
                    self.nodes.push(Node {
                        prefix,
                        ..Node::default()
                    });
                    self.nodes[node].children.insert(at, (byte, new));
                    return new;
                }
            }
        }
    }

    /// Cuts a node's prefix after `common` bytes: what it held moves into a child.
    fn split(&mut self, node: usize, common: usize) {
        let old = std::mem::take(&mut self.nodes[node]);
        let prefix = self.strings.at(old.prefix);
        let (head, byte) = (prefix[..common].to_vec(), prefix[common]);
        let child = self.nodes.len();
        self.nodes[node] = Node {
            prefix: self.strings.add(&head),
            children: vec![(byte, child)],
            properties: Vec::new(),
        };
        self.nodes.push(Node {
            prefix: old.prefix + common + 1,
            ..old
        });
    }

    fn to_bytes(&self, version: u64) -> Vec<u8> {
        let size = |node: &Node| NODE + node.children.len() * CHILD + node.properties.len() * VALUE;
        let strings = HEADER + self.nodes.iter().map(size).sum::<usize>();
        let mut bytes = vec![0; HEADER];
        let root = self.write_node(0, strings, &mut bytes);
        let nodes_len = bytes.len() - HEADER;
        bytes.extend_from_slice(self.strings.bytes());
        let mut header = b"KSLPHHRH".to_vec();
        header.extend_from_slice(&version.to_le_bytes());
        for number in [
            bytes.len(),
            HEADER,
            NODE,
            CHILD,
            VALUE,
            root,
            nodes_len,
            self.strings.bytes().len(),
        ] {
            put(&mut header, number);
        }
        bytes[..HEADER].copy_from_slice(&header);
        bytes
    }

    /// Writes what is below a node, then the node; where it begins.
    fn write_node(&self, node: usize, strings: usize, bytes: &mut Vec<u8>) -> usize {
        let Node {
            prefix,
            children,
            properties,
        } = &self.nodes[node];
        let mut offsets = Vec::with_capacity(children.len());
        for &(byte, child) in children {
            offsets.push((byte, self.write_node(child, strings, bytes)));
        }
        let start = bytes.len();
        put(bytes, strings + prefix);
        bytes.push(u8::try_from(children.len()).unwrap_or(u8::MAX));
        bytes.extend_from_slice(&[0; 7]);
        put(bytes, properties.len());
        for (byte, offset) in offsets {
            bytes.push(byte);
            bytes.extend_from_slice(&[0; 7]);
            put(bytes, offset);
        }
        for value in properties {
            put(bytes, strings + value.key);
            put(bytes, strings + value.value);
            put(bytes, strings + value.file);
            bytes.extend_from_slice(&value.line.to_le_bytes());
            bytes.extend_from_slice(&value.priority.to_le_bytes());
            bytes.extend_from_slice(&[0; 2]);
        }
        start
    }
}

fn put(bytes: &mut Vec<u8>, number: usize) {
    bytes.extend_from_slice(&(number as u64).to_le_bytes());
}

fn is_blank(byte: u8) -> bool {
    byte == b' ' || byte == b'\t'
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str =
        "# c\nusb:v1*\nusb:v12*\n ID_A=1\n  ID_B=2 # two\n\n skipped\nusb:v1*\n ID_A=3\n\nlonely\n\nusb:x\n ID_C=\n";

    /// Reads the file as libudev does: the properties of the node that a text leads to.
    fn look_up(bytes: &[u8], text: &[u8]) -> Vec<(String, String)> {
        let number = |at: usize| {
            let number = u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap());
            usize::try_from(number).unwrap()
        };
        let string = |at: usize| {
            let end = at + bytes[at..].iter().position(|&byte| byte == 0).unwrap();
            String::from_utf8(bytes[at..end].to_vec()).unwrap()
        };
        let (mut node, mut rest) = (number(56), text);
        loop {
            rest = rest.strip_prefix(string(number(node)).as_bytes()).unwrap();
            let (children, values) = (usize::from(bytes[node + 8]), number(node + 16));
            let Some((first, behind)) = rest.split_first() else {
                let first = node + 24 + children * 16;
                let pair = |at: usize| (string(number(at)), string(number(at + 8)));
                return (0..values).map(|index| pair(first + index * 32)).collect();
            };
            let mut entries = (0..children).map(|index| node + 24 + index * 16);
            node = number(entries.find(|&at| bytes[at] == *first).unwrap() + 8);
            rest = behind;
        }
    }

    #[test]
    fn the_file_holds_what_the_sources_say() {
        let mut system = System::new("arm64", 0);
        let tree = &mut system.tree;
        for dir in ["/usr/lib/udev/hwdb.d", "/etc/udev/hwdb.d", "/var/lib/dpkg"] {
            tree.mkdir_all(dir, 0o755).unwrap();
        }
        tree.write(
            "/var/lib/dpkg/status",
            "Package: udev\nVersion: 257.13-1~deb13u1\n\n",
            0o644,
        )
        .unwrap();
        tree.write("/usr/lib/udev/hwdb.d/20-a.hwdb", "usb:v1*\n ID_A=0\n ID_D=4\n", 0o644)
            .unwrap();
        tree.write("/usr/lib/udev/hwdb.d/60-b.hwdb", "hidden\n A=1\n", 0o644)
            .unwrap();
        tree.write("/etc/udev/hwdb.d/60-b.hwdb", TEXT, 0o644).unwrap();
        generate(&mut system).unwrap();
        let bytes = system.tree.read(DATABASE).unwrap();
        assert_eq!(bytes[8..16], 257u64.to_le_bytes());
        assert_eq!(bytes[16..24], (bytes.len() as u64).to_le_bytes());
        let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        assert_eq!(
            look_up(&bytes, b"usb:v1*"),
            [pair(" ID_A", "3"), pair(" ID_B", "2"), pair(" ID_D", "4")]
        );
        assert_eq!(look_up(&bytes, b"usb:v12*"), [pair(" ID_A", "1"), pair(" ID_B", "2")]);
        assert_eq!(look_up(&bytes, b"usb:x"), [pair(" ID_C", "")]);
        assert_eq!(look_up(&bytes, b"usb:"), []);
    }

    #[test]
    fn matches_share_prefixes_and_later_files_win() {
        let mut trie = Trie::new();
        trie.import(TEXT.as_bytes(), "/a", 1);
        let node = trie.node_of(b"usb:v1*");
        let text = |offset| String::from_utf8(trie.strings.at(offset).to_vec()).unwrap();
        let values: Vec<(String, String)> = trie.nodes[node]
            .properties
            .iter()
            .map(|value| (text(value.key), text(value.value)))
            .collect();
        let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        assert_eq!(values, [pair(" ID_A", "3"), pair(" ID_B", "2")]);
        assert!(!trie.strings.bytes().windows(6).any(|bytes| bytes == b"lonely"));
    }
}
