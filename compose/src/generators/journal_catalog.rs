//! `/var/lib/systemd/catalog/database`: the explanations of journal messages, as `journalctl --update-catalog`
//! compiles them from `/usr/lib/systemd/catalog/*.catalog` (<https://systemd.io/CATALOG/>).

use std::collections::{BTreeMap, HashMap};

use anyhow::{Result, bail};

use super::string_pool::StringPool;
use crate::system::System;
use crate::tree::Tree;

/// Where sources are looked for; of files with the same name the first counts.
const SOURCES: [&str; 2] = ["/usr/local/lib/systemd/catalog", "/usr/lib/systemd/catalog"];
const DATABASE: &str = "/var/lib/systemd/catalog/database";

/// Bytes of the language in an entry, the NUL included.
const LANGUAGE: usize = 32;
const HEADER: usize = 40;
const ITEM: usize = 56;

/// Message id and language (empty: C).
type Key = (u128, String);

/// Entries in the order they came.
#[derive(Default)]
struct Catalog {
    entries: Vec<(Key, String)>,
    at: HashMap<Key, usize>,
}

/// Compiles the database.
pub(super) fn generate(system: &mut System) -> Result<()> {
    let mut catalog = Catalog::default();
    for path in sources(&system.tree)? {
        let text = system.tree.read_text(&path)?;
        catalog.import(&text, &path)?;
    }
    if catalog.entries.is_empty() {
        return Ok(());
    }
    system.tree.mkdir_all("/var/lib/systemd/catalog", 0o755)?;
    system.tree.write(DATABASE, catalog.to_bytes(), 0o644)?;
    Ok(())
}

fn sources(tree: &Tree) -> Result<Vec<String>> {
    let mut found = BTreeMap::new();
    for dir in SOURCES {
        if !tree.is_dir(dir) {
            continue;
        }
        for (name, _) in tree.read_dir(dir)? {
            let path = format!("{dir}/{name}");
            if name.ends_with(".catalog") && tree.is_file(&path) {
                found.entry(name).or_insert(path);
            }
        }
    }
    Ok(found.into_values().collect())
}

/// `fr` of `systemd.fr.catalog`; none of `systemd.catalog`.
fn language_of(path: &str) -> Option<&str> {
    let stem = path.strip_suffix(".catalog")?;
    let name = stem.rsplit_once('/').map_or(stem, |(_, name)| name);
    let (_, language) = name.rsplit_once('.')?;
    (!language.is_empty() && language.len() < LANGUAGE).then_some(language)
}

/// `-- ID LANGUAGE` in front of an entry.
fn entry_line(line: &str) -> Option<(u128, Option<&str>)> {
    let rest = line.strip_prefix("-- ")?;
    let id = rest.get(..32)?;
    if !id.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let language = match &rest[32..] {
        "" => None,
        rest => Some(rest.strip_prefix(' ')?.trim()),
    };
    Some((u128::from_str_radix(id, 16).ok()?, language))
}

impl Catalog {
    fn import(&mut self, text: &str, path: &str) -> Result<()> {
        let default = language_of(path).unwrap_or_default();
        let mut current: Option<(Key, String)> = None;
        let mut after_empty = true;
        for (number, line) in text.lines().enumerate() {
            if line.is_empty() {
                after_empty = true;
                continue;
            }
            if line.starts_with(['#', ';']) {
                continue;
            }
            if after_empty && let Some((id, language)) = entry_line(line) {
                if language.is_some_and(|language| !(2..LANGUAGE).contains(&language.len())) {
                    bail!("{path}:{}: this is not a language", number + 1);
                }
                self.finish(current.take(), path)?;
                current = Some(((id, language.unwrap_or(default).to_owned()), String::new()));
                after_empty = false;
                continue;
            }
            let Some((_, payload)) = &mut current else {
                bail!("{path}:{}: text in front of the first entry", number + 1);
            };
            if after_empty {
                payload.push('\n');
            }
            payload.push_str(line);
            payload.push('\n');
            after_empty = false;
        }
        self.finish(current, path)
    }

    fn finish(&mut self, entry: Option<(Key, String)>, path: &str) -> Result<()> {
        let Some((key, payload)) = entry else {
            return Ok(());
        };
        if payload.is_empty() {
            bail!("{path}: entry {:032x} has no text", key.0);
        }
        if let Some(&at) = self.at.get(&key) {
            let earlier = &mut self.entries[at].1;
            *earlier = combined(&payload, earlier);
        } else {
            self.at.insert(key.clone(), self.entries.len());
            self.entries.push((key, payload));
        }
        Ok(())
    }

    fn to_bytes(&self) -> Vec<u8> {
        let mut strings = StringPool::new();
        let mut items: Vec<(&Key, usize)> = Vec::new();
        for (key, payload) in &self.entries {
            items.push((key, strings.add(payload.as_bytes())));
        }
        items.sort();
        let mut bytes = b"RHHHKSLP".to_vec();
        // No compatible and no incompatible flags.
        bytes.extend_from_slice(&[0; 8]);
        for number in [HEADER, items.len(), ITEM] {
            bytes.extend_from_slice(&(number as u64).to_le_bytes());
        }
        for ((id, language), offset) in items {
            bytes.extend_from_slice(&id.to_be_bytes());
            let mut field = [0; LANGUAGE];
            field[..language.len()].copy_from_slice(language.as_bytes());
            bytes.extend_from_slice(&field);
            bytes.extend_from_slice(&(offset as u64).to_le_bytes());
        }
        bytes.extend_from_slice(strings.bytes());
        bytes
    }
}

/// An entry that came twice: the headers of both, the later ones first, and the body of the later one if it has any.
fn combined(later: &str, earlier: &str) -> String {
    let (later_head, later_body) = later.split_at(end_of_headers(later));
    let (earlier_head, earlier_body) = earlier.split_at(end_of_headers(earlier));
    let body = if later_body.is_empty() {
        earlier_body
    } else {
        later_body
    };
    [later_head, earlier_head, body].concat()
}

/// Headers end at the first empty line.
fn end_of_headers(text: &str) -> usize {
    let mut at = 0;
    while let Some(length) = text[at..].find('\n') {
        if length == 0 {
            break;
        }
        at += length + 1;
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = "# c\n\n-- 00000000000000000000000000000001\nSubject: one\nDefined-By: x\n\nBody one.\n\n\
                       -- 00000000000000000000000000000002 de\nSubject: zwei\n\nText.\n";
    const TWO: &str = "-- 00000000000000000000000000000001\nSupport: y\n";

    #[test]
    fn entries_that_come_twice_are_combined() {
        let mut catalog = Catalog::default();
        catalog.import(ONE, "/a/one.catalog").unwrap();
        catalog.import(TWO, "/a/two.catalog").unwrap();
        assert_eq!(
            catalog.entries[0].1,
            "Support: y\nSubject: one\nDefined-By: x\n\nBody one.\n"
        );
        assert_eq!(catalog.entries[1].0, (2, "de".to_owned()));
        assert!(Catalog::default().import("text\n", "/a/b.catalog").is_err());
        assert_eq!(language_of("/a/systemd.pt_BR.catalog"), Some("pt_BR"));
        assert_eq!(language_of("/a.b/systemd.catalog"), None);
    }

    /// `journalctl` compiles the same files in a scratch root.
    #[test]
    fn the_real_tool_makes_the_same_bytes() {
        let dir = tempfile::tempdir().unwrap();
        let sources = dir.path().join("usr/lib/systemd/catalog");
        std::fs::create_dir_all(&sources).unwrap();
        let mut system = System::new("arm64", 0);
        system.tree.mkdir_all("/usr/lib/systemd/catalog", 0o755).unwrap();
        for (name, text) in [("a.catalog", ONE), ("b.catalog", TWO), ("c.fr.catalog", TWO)] {
            std::fs::write(sources.join(name), text).unwrap();
            let path = format!("/usr/lib/systemd/catalog/{name}");
            system.tree.write(&path, text, 0o644).unwrap();
        }
        let root = format!("--root={}", dir.path().display());
        let real = std::process::Command::new("journalctl")
            .args(["--update-catalog", &root])
            .output()
            .expect("journalctl is the judge here: install it (package systemd)");
        assert!(real.status.success(), "{}", String::from_utf8_lossy(&real.stderr));
        generate(&mut system).unwrap();
        let theirs = std::fs::read(dir.path().join("var/lib/systemd/catalog/database")).unwrap();
        assert!(system.tree.read(DATABASE).unwrap() == theirs);
    }
}
