//! GVDB, the hash table in a file that GLib maps into memory (`gio/gvdb/gvdb-format.h`), as its builder lays it out.

use super::hash_table::{HashTable, hash};
use super::variant::{Type, Value, in_variant};

const HEADER: usize = 24;
const ITEM: usize = 24;

/// The bits of a word that the reader would shift by in a Bloom filter, which is empty.
const BLOOM_SHIFT: u32 = 5;

/// A table under construction.
#[derive(Debug, Default)]
pub(super) struct Table(HashTable<Item>);

#[derive(Debug)]
enum Item {
    Value(Type, Value),
    Table(Table),
    /// The keys that belong to this one, in their order, for listing.
    List(Vec<String>),
}

impl Table {
    /// A table whose empty key lists the others.
    pub(super) fn with_root() -> Self {
        let mut table = Self::default();
        table.0.insert("", Item::List(Vec::new()));
        table
    }

    fn list(&mut self, key: &str) {
        if let Some(Item::List(keys)) = self.0.get_mut("") {
            let at = keys.partition_point(|known| known.as_str() <= key);
            keys.insert(at, key.to_owned());
        }
    }

    /// Puts a value in that is listed.
    pub(super) fn insert_listed(&mut self, key: &str, kind: Type, value: Value) {
        self.0.insert(key, Item::Value(kind, value));
        self.list(key);
    }

    /// Puts a table in that is listed.
    pub(super) fn insert_table(&mut self, key: &str, table: Self) {
        self.0.insert(key, Item::Table(table));
        self.list(key);
    }

    /// Puts a string in that is not listed.
    pub(super) fn insert_string(&mut self, key: &str, text: &str) {
        self.0
            .insert(key, Item::Value(Type::string(), Value::String(text.to_owned())));
    }

    /// The file.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let mut file = File { bytes: vec![0; HEADER] };
        let root = file.add_table(self);
        // Version and options stay 0.
        file.bytes[..8].copy_from_slice(b"GVariant");
        file.bytes[16..HEADER].copy_from_slice(&root);
        file.bytes
    }
}

/// Begin and end of a chunk.
type Pointer = [u8; 8];

struct File {
    bytes: Vec<u8>,
}

fn word(number: usize) -> [u8; 4] {
    u32::try_from(number).unwrap_or(u32::MAX).to_le_bytes()
}

impl File {
    fn pointer(&self, start: usize) -> Pointer {
        let mut pointer = [0; 8];
        pointer[..4].copy_from_slice(&word(start));
        pointer[4..].copy_from_slice(&word(self.bytes.len()));
        pointer
    }

    fn add(&mut self, alignment: usize, content: &[u8]) -> Pointer {
        if content.is_empty() {
            return [0; 8];
        }
        self.bytes.resize(self.bytes.len().next_multiple_of(alignment), 0);
        let start = self.bytes.len();
        self.bytes.extend_from_slice(content);
        self.pointer(start)
    }

    fn add_table(&mut self, table: &Table) -> Pointer {
        let count = table.0.len();
        // The chain of a bucket begins with what came last.
        let mut buckets: Vec<Vec<(&str, &Item)>> = vec![Vec::new(); count];
        for (key, item) in table.0.iter() {
            buckets[hash(key) as usize % count].insert(0, (key, item));
        }
        let items: Vec<(&str, &Item)> = buckets.iter().flatten().copied().collect();
        let index: std::collections::HashMap<&str, usize> = items
            .iter()
            .enumerate()
            .map(|(index, (key, _))| (*key, index))
            .collect();
        let mut head = (BLOOM_SHIFT << 27).to_le_bytes().to_vec();
        head.extend_from_slice(&word(count));
        let mut first = 0;
        for bucket in &buckets {
            head.extend_from_slice(&word(first));
            first += bucket.len();
        }
        let in_head = head.len();
        head.resize(in_head + count * ITEM, 0);
        let pointer = self.add(4, &head);
        let table_at = self.bytes.len() - count * ITEM;
        let listed: &[String] = match table.0.get("") {
            Some(Item::List(keys)) => keys,
            _ => &[],
        };
        for (number, (key, item)) in items.iter().enumerate() {
            let parent = if listed.binary_search_by(|known| known.as_str().cmp(key)).is_ok() {
                word(index[""])
            } else {
                u32::MAX.to_le_bytes()
            };
            let start = self.bytes.len();
            self.bytes.extend_from_slice(key.as_bytes());
            let (kind, value) = match item {
                Item::Value(kind, value) => (b'v', self.add(8, &in_variant(kind, value))),
                Item::List(keys) if keys.is_empty() => (0, [0; 8]),
                Item::List(keys) => {
                    let children: Vec<u8> = keys.iter().flat_map(|key| word(index[key.as_str()])).collect();
                    (b'L', self.add(4, &children))
                }
                Item::Table(table) => (b'H', self.add_table(table)),
            };
            let length = u16::try_from(key.len()).unwrap_or(u16::MAX);
            let mut entry = Vec::with_capacity(ITEM);
            entry.extend_from_slice(&hash(key).to_le_bytes());
            entry.extend_from_slice(&parent);
            entry.extend_from_slice(&word(start));
            entry.extend_from_slice(&length.to_le_bytes());
            entry.extend_from_slice(&[kind, 0]);
            entry.extend_from_slice(&value);
            let at = table_at + number * ITEM;
            self.bytes[at..at + ITEM].copy_from_slice(&entry);
        }
        pointer
    }
}
