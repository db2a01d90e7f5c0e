//! `mime.cache`, version 1.2: everything in one file, to be mapped into memory; numbers are big-endian
//! (shared-mime-info-spec, "The mime.cache files").

use super::magic::Match;
use super::sources::{Database, Glob};
use super::suffixes::{self, Suffix};
use crate::generators::glib::hash_table::HashTable;

const HEADER: usize = 44;
const VERSION: [u8; 4] = [0, 1, 0, 2];
const CASE_SENSITIVE: u32 = 0x100;

/// The file under construction.
struct Cache<'a> {
    database: &'a Database,
    bytes: Vec<u8>,
    /// Where strings are.
    strings: HashTable<u32>,
}

/// The file.
pub(super) fn to_bytes(database: &Database) -> Vec<u8> {
    let mut cache = Cache {
        database,
        bytes: vec![0; HEADER],
        strings: strings(database),
    };
    cache.write_strings();
    let sections: [fn(&mut Cache<'_>); 10] = [
        |cache| cache.write_aliases(),
        |cache| cache.write_parents(),
        |cache| cache.write_globs(&Shape::Literal),
        |cache| cache.write_suffixes(),
        |cache| cache.write_globs(&Shape::Full),
        |cache| cache.write_magic(),
        |cache| cache.write_namespaces(),
        |cache| cache.write_icons(&cache.database.icons),
        |cache| cache.write_icons(&cache.database.generic_icons),
        |cache| cache.write_types(),
    ];
    let mut header = VERSION.to_vec();
    for write in sections {
        header.extend_from_slice(&word(cache.bytes.len()).to_be_bytes());
        write(&mut cache);
    }
    cache.bytes[..HEADER].copy_from_slice(&header);
    cache.bytes
}

fn word(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// How a pattern is looked for.
#[derive(PartialEq, Eq)]
enum Shape {
    Literal,
    /// `*` and an end.
    Suffix,
    Full,
}

fn shape(pattern: &str) -> Shape {
    match pattern.strip_prefix('*') {
        _ if pattern
            .char_indices()
            .any(|(at, c)| matches!(c, '\\' | '[' | '?') || (c == '*' && at > 0)) =>
        {
            Shape::Full
        }
        Some(_) => Shape::Suffix,
        None => Shape::Literal,
    }
}

/// All strings, in the order of the table that they are collected in.
fn strings(database: &Database) -> HashTable<u32> {
    let mut strings = HashTable::default();
    let mut add = |text: &str| strings.insert(text, 0);
    let name = |kind: usize| database.types[kind].name.as_str();
    for (alias, kind) in database.aliases.iter() {
        add(alias);
        add(name(*kind));
    }
    for (kind, parents) in database.parents.iter() {
        add(kind);
        for parent in parents {
            add(parent);
        }
    }
    for (pattern, globs) in database.globs.iter() {
        if shape(pattern) != Shape::Suffix {
            add(pattern);
        }
        for glob in globs {
            add(name(glob.kind));
        }
    }
    for magic in &database.magic {
        add(name(magic.kind));
    }
    for (key, kind) in database.namespaces.iter() {
        add(name(*kind));
        let (uri, local) = key.split_once(' ').unwrap_or((key, ""));
        add(uri);
        add(local);
    }
    for (kind, icon) in database.generic_icons.iter().chain(database.icons.iter()) {
        add(kind);
        add(icon);
    }
    strings
}

/// Keys of a table in their order as bytes.
fn sorted<V>(table: &HashTable<V>) -> Vec<(&str, &V)> {
    let mut entries: Vec<(&str, &V)> = table.iter().collect();
    entries.sort_by_key(|(key, _)| *key);
    entries
}

impl Cache<'_> {
    fn write_words(&mut self, words: impl IntoIterator<Item = usize>) {
        for number in words {
            self.bytes.extend_from_slice(&word(number).to_be_bytes());
        }
    }

    /// Where a string is.
    fn string(&self, text: &str) -> usize {
        self.strings.get(text).map_or(0, |at| *at as usize)
    }

    fn kind(&self, kind: usize) -> usize {
        self.string(&self.database.types[kind].name)
    }

    /// Appends bytes, filled up to whole words.
    fn write_data(&mut self, data: &[u8]) {
        self.bytes.extend_from_slice(data);
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }

    fn write_strings(&mut self) {
        let texts: Vec<String> = self.strings.iter().map(|(text, _)| text.to_owned()).collect();
        for text in texts {
            self.strings.insert(&text, word(self.bytes.len()));
            self.bytes.extend_from_slice(text.as_bytes());
            self.write_data(&[0]);
        }
    }

    fn write_aliases(&mut self) {
        let aliases = sorted(&self.database.aliases);
        self.write_words([aliases.len()]);
        for (alias, kind) in aliases {
            self.write_words([self.string(alias), self.kind(*kind)]);
        }
    }

    fn write_parents(&mut self) {
        let all = sorted(&self.database.parents);
        let mut at = self.bytes.len() + 4 + all.len() * 8;
        self.write_words([all.len()]);
        for (kind, parents) in &all {
            self.write_words([self.string(kind), at]);
            at += 4 + 4 * parents.len();
        }
        for (_, parents) in all {
            let parents: Vec<usize> = parents.iter().map(|parent| self.string(parent)).collect();
            self.write_words(std::iter::once(parents.len()).chain(parents));
        }
    }

    fn write_globs(&mut self, wanted: &Shape) {
        let all = sorted(&self.database.globs);
        let globs = all.into_iter().filter(|(pattern, _)| shape(pattern) == *wanted);
        let globs: Vec<&Glob> = globs.flat_map(|(_, globs)| globs).collect();
        self.write_words([globs.len()]);
        for glob in globs {
            let flags = flags(glob.weight, glob.case_sensitive);
            self.write_words([self.string(&glob.pattern), self.kind(glob.kind), flags]);
        }
    }

    fn write_suffixes(&mut self) {
        let roots = suffixes::tree(self.database);
        let first = self.bytes.len() + 8;
        self.write_words([roots.len(), first]);
        // A level after the other, each entry pointing to its children in the next.
        let mut level: Vec<&Suffix> = roots.iter().collect();
        let mut next = first + 12 * level.len();
        while !level.is_empty() {
            for suffix in &level {
                if let Some(letter) = suffix.letter {
                    self.write_words([letter as usize, suffix.children.len(), next]);
                } else {
                    let flags = flags(suffix.weight, suffix.case_sensitive);
                    self.write_words([0, self.kind(suffix.kind), flags]);
                }
                next += 12 * suffix.children.len();
            }
            level = level.iter().flat_map(|suffix| &suffix.children).collect();
        }
    }

    fn write_magic(&mut self) {
        let magic = &self.database.magic;
        let (mut all, mut firsts) = (Vec::new(), Vec::new());
        for magic in magic {
            firsts.push(all.len());
            collect(&magic.matches, &mut all);
        }
        let extent = all
            .iter()
            .map(|(part, _)| part.data.len() + part.start as usize + part.places as usize);
        let head = self.bytes.len() + 12;
        let lets = head + 16 * magic.len();
        self.write_words([magic.len(), extent.max().unwrap_or(0), head]);
        for (magic, first) in magic.iter().zip(firsts) {
            let priority = usize::try_from(magic.priority).unwrap_or_default();
            self.write_words([priority, self.kind(magic.kind), magic.matches.len(), lets + 32 * first]);
        }
        let mut data = lets + 32 * all.len();
        for (part, first) in &all {
            let size = part.data.len().next_multiple_of(4);
            let mask = part.mask.as_ref().map_or(0, |_| data + size);
            let inner = if part.matches.is_empty() { 0 } else { lets + 32 * first };
            let (start, places) = (part.start as usize, part.places as usize);
            self.write_words([start, places, part.word.into(), part.data.len(), data, mask]);
            self.write_words([part.matches.len(), inner]);
            data += if mask == 0 { size } else { 2 * size };
        }
        for (part, _) in all {
            self.write_data(&part.data);
            if let Some(mask) = &part.mask {
                self.write_data(mask);
            }
        }
    }

    fn write_namespaces(&mut self) {
        let namespaces = sorted(&self.database.namespaces);
        self.write_words([namespaces.len()]);
        for (key, kind) in namespaces {
            let (uri, local) = key.split_once(' ').unwrap_or((key, ""));
            self.write_words([self.string(uri), self.string(local), self.kind(*kind)]);
        }
    }

    /// The real tool looks the names up with their line ends, and finds none.
    fn write_types(&mut self) {
        let count = self.database.types.len();
        self.write_words([count]);
        self.write_words(std::iter::repeat_n(0, count));
    }

    fn write_icons(&mut self, icons: &HashTable<String>) {
        let icons = sorted(icons);
        self.write_words([icons.len()]);
        for (kind, icon) in icons {
            self.write_words([self.string(kind), self.string(icon)]);
        }
    }
}

fn flags(weight: i32, case_sensitive: bool) -> usize {
    let weight = u32::from(weight.to_le_bytes()[0]);
    (weight | if case_sensitive { CASE_SENSITIVE } else { 0 }) as usize
}

/// Lists matches, and behind them those within each, with the place of the first of those.
fn collect<'a>(matches: &'a [Match], all: &mut Vec<(&'a Match, usize)>) {
    let here = all.len();
    all.extend(matches.iter().map(|part| (part, 0)));
    for (at, part) in matches.iter().enumerate() {
        all[here + at].1 = all.len();
        collect(&part.matches, all);
    }
}
