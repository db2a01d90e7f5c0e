//! A key of a schema, and the value in which it is kept.

use super::hash_table::HashTable;
use super::string_info::StringInfo;
use super::variant::{Type, Value};
use super::variant_text;

/// Which strings a key may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Strings {
    Choices,
    Enum,
    Flags,
}

impl Strings {
    fn letter(self) -> u8 {
        match self {
            Self::Choices => b'c',
            Self::Enum => b'e',
            Self::Flags => b'f',
        }
    }
}

/// Under which category a default is translated, and what is.
#[derive(Debug)]
pub(super) struct Translated {
    /// `m` for messages, `t` for time.
    pub(super) category: u8,
    pub(super) context: Option<String>,
    pub(super) text: String,
}

/// A key.
#[derive(Debug)]
pub(super) struct Key {
    pub(super) kind: Type,
    pub(super) default: Option<Value>,
    pub(super) translated: Option<Translated>,
    pub(super) strings: Strings,
    pub(super) string_info: StringInfo,
    pub(super) range: Option<(Value, Value)>,
    /// Defaults by desktop.
    pub(super) desktops: HashTable<(Type, Value)>,
    /// Whether it gives a key of the schema that is extended another default.
    pub(super) is_override: bool,
}

impl Key {
    pub(super) fn new(kind: Type, strings: Strings, string_info: StringInfo) -> Self {
        Self {
            kind,
            default: None,
            translated: None,
            strings,
            string_info,
            range: None,
            desktops: HashTable::default(),
            is_override: false,
        }
    }

    /// The key that overrides this one.
    pub(super) fn overriding(&self) -> Self {
        let mut key = Self::new(self.kind.clone(), self.strings, self.string_info.clone());
        key.range.clone_from(&self.range);
        key.is_override = true;
        key
    }

    /// Reads a value that the key may have.
    pub(super) fn parse(&self, text: &str) -> Result<Value, String> {
        let value = variant_text::parse(&self.kind, text)?;
        self.check(&value)?;
        Ok(value)
    }

    /// Checks that the key may have a value.
    pub(super) fn check(&self, value: &Value) -> Result<(), String> {
        if let Some((least, most)) = &self.range {
            let outside = value.compare(least).is_some_and(std::cmp::Ordering::is_lt)
                || value.compare(most).is_some_and(std::cmp::Ordering::is_gt);
            return if outside {
                Err("the value is outside of the range".to_owned())
            } else {
                Ok(())
            };
        }
        if !self.string_info.is_empty() && !self.are_valid(value) {
            return Err("the value is none of those that the key may have".to_owned());
        }
        Ok(())
    }

    fn are_valid(&self, value: &Value) -> bool {
        match value {
            Value::String(text) => self.string_info.is_valid(text),
            Value::Array(elements) => elements.iter().all(|element| self.are_valid(element)),
            Value::Maybe(inner) => inner.iter().all(|inner| self.are_valid(inner)),
            _ => false,
        }
    }

    /// The tuple that the key is kept as: its default, then what else is known of it.
    pub(super) fn stored(&self) -> Option<(Type, Value)> {
        let mut kinds = vec![self.kind.clone()];
        let mut values = vec![self.default.clone()?];
        let mut add = |letter: u8, kind: Type, value: Value| {
            kinds.push(Type::Tuple(vec![Type::Basic(b'y'), kind]));
            values.push(Value::Tuple(vec![Value::Integer(letter.into()), value]));
        };
        if let Some(translated) = &self.translated {
            // As it is in the catalog of translations, with the context in front of it.
            let text = translated
                .text
                .trim_matches(|c: char| c.is_ascii_whitespace() || c == '\u{b}');
            let text = match &translated.context {
                Some(context) => format!("{context}\u{4}{text}"),
                None => text.to_owned(),
            };
            let kind = Type::Tuple(vec![Type::Basic(b'y'), Type::string()]);
            let category = Value::Integer(translated.category.into());
            add(b'l', kind, Value::Tuple(vec![category, Value::String(text)]));
        }
        if !self.string_info.is_empty() {
            let words = self.string_info.words().iter();
            let words = words.map(|word| Value::Integer((*word).into())).collect();
            let kind = Type::Array(Box::new(Type::Basic(b'u')));
            add(self.strings.letter(), kind, Value::Array(words));
        }
        if let Some((least, most)) = &self.range {
            let kind = Type::Tuple(vec![self.kind.clone(), self.kind.clone()]);
            add(b'r', kind, Value::Tuple(vec![least.clone(), most.clone()]));
        }
        if self.desktops.len() > 0 {
            let variant = Type::Basic(b'v');
            let entry = |(desktop, (kind, value)): (&str, &(Type, Value))| {
                let value = Value::Variant(Box::new((kind.clone(), value.clone())));
                Value::Tuple(vec![Value::String(desktop.to_owned()), value])
            };
            let entries = self.desktops.iter().map(entry).collect();
            let kind = Type::Array(Box::new(Type::Entry(Box::new((Type::string(), variant)))));
            add(b'd', kind, Value::Array(entries));
        }
        Some((Type::Tuple(kinds), Value::Tuple(values)))
    }
}
