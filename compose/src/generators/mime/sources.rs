//! The sources of the database: what packages say about types.

use super::magic::{self, Magic};
use super::tree_magic::{self, TreeMagic};
use crate::generators::glib::hash_table::HashTable;
use crate::generators::markup::{self, Element, XML};

/// The namespace of the specification's elements.
pub(super) const NAMESPACE: &str = "http://www.freedesktop.org/standards/shared-mime-info";

/// The pattern that says that a type has none of those that other directories give it.
const NO_GLOBS: &str = "__NOGLOBS__";

/// Everything that is known, types by their places in `types`.
#[derive(Debug, Default)]
pub(super) struct Database {
    pub(super) types: Vec<Kind>,
    pub(super) index: HashTable<usize>,
    pub(super) globs: HashTable<Vec<Glob>>,
    pub(super) magic: Vec<Magic>,
    pub(super) tree_magic: Vec<TreeMagic>,
    /// Type to the types that it is one of.
    pub(super) parents: HashTable<Vec<String>>,
    pub(super) aliases: HashTable<usize>,
    /// `namespace name` of a root element to its type.
    pub(super) namespaces: HashTable<usize>,
    pub(super) icons: HashTable<String>,
    pub(super) generic_icons: HashTable<String>,
}

/// A type of files.
#[derive(Debug)]
pub(super) struct Kind {
    pub(super) name: String,
    /// What its own document repeats.
    pub(super) fields: Vec<Element>,
}

/// A pattern of names of files.
#[derive(Debug)]
pub(super) struct Glob {
    pub(super) pattern: String,
    pub(super) kind: usize,
    pub(super) weight: i32,
    pub(super) case_sensitive: bool,
    /// Whether it takes away the patterns of other directories.
    pub(super) deletes: bool,
}

/// A number of 0 to 100, 50 where it is not said.
pub(super) fn hundredth(element: &Element, name: &str) -> Result<i32, String> {
    let Some(text) = element.attribute(name) else {
        return Ok(50);
    };
    let number = text.trim_start().parse().ok();
    number
        .filter(|number| (0..=100).contains(number))
        .ok_or_else(|| format!("`{text}` is no {name}"))
}

impl Database {
    /// Adds what a file says; what is wrong in it. Where something is, the rest of that type is left out.
    pub(super) fn add_file(&mut self, text: &str) -> Vec<String> {
        if text.contains(|c: char| c.is_ascii_control() && !matches!(c, '\t' | '\n' | '\r' | '\u{7f}')) {
            return vec!["a control character, which XML does not have".to_owned()];
        }
        let root = match markup::parse(text) {
            Ok(root) => root,
            Err(error) => return vec![error.to_string()],
        };
        if root.namespace() != Some(NAMESPACE) || root.local_name() != "mime-info" {
            return vec![format!("<{}> is not <mime-info>", root.name)];
        }
        let mut wrong = Vec::new();
        for element in root.elements() {
            if let Err(why) = self.add_type(element) {
                wrong.push(format!("line {}: {why}", element.line));
            }
        }
        wrong
    }

    fn add_type(&mut self, element: &Element) -> Result<(), String> {
        if element.namespace() != Some(NAMESPACE) || element.local_name() != "mime-type" {
            return Err(format!("<{}> is not <mime-type>", element.name));
        }
        let name = element.attribute("type").ok_or("a type without a name")?;
        if name.matches('/').count() != 1 {
            return Err(format!("`{name}` is no type"));
        }
        let known = self.index.get(name).copied();
        let kind = known.unwrap_or(self.types.len());
        if known.is_none() {
            self.index.insert(name, kind);
            self.types.push(Kind {
                name: name.to_owned(),
                fields: Vec::new(),
            });
        }
        for field in element.elements() {
            let is_ours = field.namespace() == Some(NAMESPACE);
            if is_ours && !self.add_field(kind, field)? {
                continue;
            }
            let fields = &mut self.types[kind].fields;
            if is_ours && field.local_name() == "comment" {
                let replaced = |old: &Element| old.name == field.name && language(old) == language(field);
                if let Some(at) = fields.iter().position(replaced) {
                    fields.remove(at);
                }
            }
            fields.push(standalone(field));
        }
        Ok(())
    }

    /// Takes what a field says; whether it is repeated in the type's own document.
    fn add_field(&mut self, kind: usize, field: &Element) -> Result<bool, String> {
        match field.local_name() {
            "glob" => self.add_glob(kind, field)?,
            "glob-deleteall" => {
                let glob = Glob {
                    pattern: NO_GLOBS.to_owned(),
                    kind,
                    weight: 0,
                    case_sensitive: false,
                    deletes: true,
                };
                push(&mut self.globs, NO_GLOBS, glob);
            }
            "magic" => {
                self.magic.push(magic::read(kind, field)?);
                return Ok(false);
            }
            "magic-deleteall" => {
                self.magic.push(magic::deleting(kind));
                return Ok(false);
            }
            "treemagic" => {
                self.tree_magic.push(tree_magic::read(kind, field)?);
                return Ok(false);
            }
            "comment" | "acronym" | "expanded-acronym" => {}
            "alias" | "sub-class-of" => {
                let other = field.attribute("type").filter(|other| other.contains('/'));
                let other = other.ok_or_else(|| format!("<{}> without a type", field.name))?;
                if field.local_name() == "alias" {
                    self.aliases.insert(other, kind);
                } else {
                    let name = self.types[kind].name.clone();
                    push(&mut self.parents, &name, other.to_owned());
                }
            }
            "root-XML" => {
                let [Some(uri), Some(name)] = ["namespaceURI", "localName"].map(|name| field.attribute(name)) else {
                    return Err("<root-XML> without `namespaceURI` and `localName`".to_owned());
                };
                if uri.is_empty() && name.is_empty() || [uri, name].iter().any(|text| text.contains([' ', '\n'])) {
                    return Err("<root-XML> with both names empty, or with spaces".to_owned());
                }
                self.namespaces.insert(&format!("{uri} {name}"), kind);
                return Ok(false);
            }
            "icon" | "generic-icon" => {
                let Some(icon) = field.attribute("name") else {
                    return Ok(false);
                };
                let of_kind = if field.local_name() == "icon" {
                    &mut self.icons
                } else {
                    &mut self.generic_icons
                };
                of_kind.insert(&self.types[kind].name, icon.to_owned());
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn add_glob(&mut self, kind: usize, field: &Element) -> Result<(), String> {
        let weight = hundredth(field, "weight");
        let pattern = field.attribute("pattern").filter(|pattern| !pattern.is_empty());
        let pattern = pattern.ok_or("<glob> without a pattern")?;
        let case_sensitive = field.attribute("case-sensitive") == Some("true");
        let pattern = if case_sensitive {
            pattern.to_owned()
        } else {
            pattern.to_ascii_lowercase()
        };
        let glob = Glob {
            pattern: pattern.clone(),
            kind,
            // One that is wrong is known all the same, and last.
            weight: *weight.as_ref().unwrap_or(&-1),
            case_sensitive,
            deletes: false,
        };
        push(&mut self.globs, &pattern, glob);
        weight.map(drop)
    }

    /// Puts what is looked for in the order in which it is.
    pub(super) fn sort(&mut self) {
        let parts = |kind: usize| {
            let name: &str = &self.types[kind].name;
            name.split_once('/')
                .map(|(media, subtype)| (media.to_owned(), subtype.to_owned()))
        };
        self.magic.sort_by_cached_key(|magic| {
            let order = (-magic.priority, parts(magic.kind));
            (!magic.deletes).then_some(order)
        });
        self.tree_magic
            .sort_by_cached_key(|magic| (-magic.priority, parts(magic.kind)));
    }
}

/// A field that says itself what the prefix of its name stands for.
fn standalone(field: &Element) -> Element {
    let mut field = field.clone();
    if let Some((prefix, _)) = field.name.split_once(':')
        && let Some(namespace) = field.namespace_of(prefix)
    {
        let declaration = (format!("xmlns:{prefix}"), namespace.to_owned());
        if !field.attributes.contains(&declaration) {
            field.attributes.insert(0, declaration);
        }
    }
    field
}

fn push<V>(lists: &mut HashTable<Vec<V>>, key: &str, value: V) {
    match lists.get_mut(key) {
        Some(list) => list.push(value),
        None => lists.insert(key, vec![value]),
    }
}

/// `xml:lang`
fn language(element: &Element) -> Option<&str> {
    let mut attributes = element.attributes.iter();
    let of_language = |(name, _): &&(String, String)| {
        name.split_once(':')
            .is_some_and(|(prefix, name)| name == "lang" && element.namespace_of(prefix) == Some(XML))
    };
    attributes.find(of_language).map(|(_, value)| value.as_str())
}
