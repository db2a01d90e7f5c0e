//! The elements of a file of schemas.

use super::hash_table::HashTable;
use super::key::{Key, Strings, Translated};
use super::schemas::{Compiler, Member, Schema};
use super::string_info::StringInfo;
use super::variant::{Type, Value};
use super::variant_text;
use crate::generators::markup::{self, Element, Node};

impl Compiler {
    /// Adds what a file defines: all of it, or nothing.
    pub(super) fn add_file(&mut self, text: &str) -> Result<(), String> {
        let root = markup::parse(text).map_err(|error| error.to_string())?;
        if root.name != "schemalist" {
            return Err(wrong(&root, "the root element is not <schemalist>"));
        }
        let [domain] = attributes(&root, &[], ["gettext-domain"])?;
        let (mut schemas, mut values) = (Vec::new(), Vec::new());
        let mut added = || {
            for element in parts(&root)? {
                match element.name.as_str() {
                    "schema" => self.add_schema(element, domain, &mut schemas)?,
                    "enum" | "flags" => values.push(self.add_values(element)?),
                    _ => return Err(wrong(element, "it may not be within <schemalist>")),
                }
            }
            Ok(())
        };
        let result = added();
        if result.is_err() {
            for id in schemas.iter().rev() {
                self.schemas.remove(id);
            }
            for key in values {
                self.values.remove(&key);
            }
        }
        result
    }

    fn add_values(&mut self, element: &Element) -> Result<(bool, String), String> {
        let is_flags = element.name == "flags";
        let [id] = attributes(element, &["id"], ["id"])?;
        let key = (is_flags, id.unwrap_or_default().to_owned());
        if self.values.contains_key(&key) {
            return Err(wrong(element, "it is already there"));
        }
        let mut info = StringInfo::default();
        for part in parts(element)? {
            if part.name != "value" {
                return Err(wrong(part, "it may not be here"));
            }
            let [nick, value] = attributes(part, &["nick", "value"], ["nick", "value"])?.map(Option::unwrap_or_default);
            // As `strtoll` reads it; flags are unsigned.
            let kind = Type::Basic(if is_flags { b'u' } else { b'i' });
            let Ok(Value::Integer(number)) = variant_text::parse(&kind, value) else {
                return Err(wrong(part, &format!("`{value}` is no number for it")));
            };
            let number = u32::try_from(number & 0xffff_ffff).unwrap_or_default();
            if nick.len() < 2 || info.contains(nick) || info.contains_number(number) {
                return Err(wrong(part, "its nick is too short, or it is already there"));
            }
            if is_flags && number == 0 {
                continue;
            }
            if is_flags && !number.is_power_of_two() {
                return Err(wrong(part, "a flag has one bit"));
            }
            info.add(nick, number).map_err(|why| wrong(part, &why))?;
        }
        if info.is_empty() {
            return Err(wrong(element, "it has no value"));
        }
        self.values.insert(key.clone(), info);
        Ok(key)
    }

    fn add_schema(&mut self, element: &Element, domain: Option<&str>, added: &mut Vec<String>) -> Result<(), String> {
        let known = ["id", "path", "gettext-domain", "extends", "list-of"];
        let [id, path, own_domain, extends, list_of] = attributes(element, &["id"], known)?;
        let id = id.unwrap_or_default();
        if self.schemas.get(id).is_some() {
            return Err(wrong(element, "it is already there"));
        }
        let list_of = self.list_of(extends, list_of).map_err(|why| wrong(element, &why))?;
        if let Some(path) = path
            && !(path.starts_with('/') && path.ends_with(if list_of.is_some() { ":/" } else { "/" }))
        {
            return Err(wrong(element, "its path does not begin and end as a path does"));
        }
        let schema = Schema {
            path: path.map(str::to_owned),
            domain: own_domain.or(domain).map(str::to_owned),
            extends: extends.map(str::to_owned),
            list_of,
            members: HashTable::default(),
        };
        self.schemas.insert(id, schema);
        added.push(id.to_owned());
        for part in parts(element)? {
            let (name, member) = match part.name.as_str() {
                "key" => self.key(id, part)?,
                "child" => child(part)?,
                "override" => self.overriding(id, part)?,
                _ => return Err(wrong(part, "it may not be within <schema>")),
            };
            let members = &mut self.schemas.get_mut(id).expect("it was put in above").members;
            if members.get(&name).is_some() {
                return Err(wrong(part, &format!("`{name}` is already there")));
            }
            members.insert(&name, member);
        }
        Ok(())
    }

    /// What a schema is a list of, if what it refers to is there and fits.
    fn list_of(&self, extends: Option<&str>, list_of: Option<&str>) -> Result<Option<String>, String> {
        let find = |id: &str| {
            self.schemas
                .get(id)
                .ok_or_else(|| format!("there is no schema `{id}` yet"))
        };
        if let Some(id) = list_of
            && find(id)?.path.is_some()
        {
            return Err(format!("`{id}` has a path, and no list is made of such"));
        }
        let Some(parent) = extends.map(find).transpose()? else {
            return Ok(list_of.map(str::to_owned));
        };
        if parent.path.is_some() {
            return Err("a schema with a path is not extended".to_owned());
        }
        let Some(id) = list_of else {
            return Ok(parent.list_of.clone());
        };
        let wanted = parent.list_of.as_deref().ok_or("what it extends is not a list")?;
        if !self.ancestors(id).any(|ancestor| ancestor == wanted) {
            return Err(format!("`{id}` does not extend `{wanted}`"));
        }
        Ok(Some(id.to_owned()))
    }

    /// A schema, that which it extends, and so on.
    fn ancestors<'a>(&'a self, id: &'a str) -> impl Iterator<Item = &'a str> {
        std::iter::successors(Some(id), |id| self.schemas.get(id)?.extends.as_deref())
    }

    /// A key of that name of a schema that the given one extends.
    fn inherited(&self, id: &str, name: &str) -> Option<&Key> {
        self.ancestors(id)
            .skip(1)
            .find_map(|id| match self.schemas.get(id)?.members.get(name)? {
                Member::Key(key) => Some(&**key),
                Member::Child(_) => None,
            })
    }

    fn key(&self, id: &str, element: &Element) -> Result<(String, Member), String> {
        let known = ["name", "type", "enum", "flags"];
        let [name, kind, enumeration, flags] = attributes(element, &["name"], known)?;
        let name = name.unwrap_or_default();
        let schema = self.schemas.get(id).expect("its element is being read");
        if schema.list_of.is_some() || self.inherited(id, name).is_some() {
            return Err(wrong(element, "there can be no such key in this schema"));
        }
        check_name(name).map_err(|why| wrong(element, &why))?;
        let (kind, strings, info) = match (kind, enumeration, flags) {
            (Some(kind), None, None) => (Type::parse(kind), Strings::Choices, Some(StringInfo::default())),
            (None, Some(id), None) => {
                let info = self.values.get(&(false, id.to_owned()));
                (Some(Type::string()), Strings::Enum, info.cloned())
            }
            (None, None, Some(id)) => {
                let info = self.values.get(&(true, id.to_owned()));
                (Type::parse("as"), Strings::Flags, info.cloned())
            }
            _ => return Err(wrong(element, "it has one of `type`, `enum` and `flags`")),
        };
        let (Some(kind), Some(info)) = (kind, info) else {
            return Err(wrong(element, "its type is not known"));
        };
        let mut key = Key::new(kind, strings, info);
        for part in parts(element)? {
            add_to_key(&mut key, part, schema.domain.is_some())?;
        }
        if key.default.is_none() {
            return Err(wrong(element, "it has no default"));
        }
        Ok((name.to_owned(), Member::Key(Box::new(key))))
    }

    fn overriding(&self, id: &str, element: &Element) -> Result<(String, Member), String> {
        let [name, _, _] = attributes(element, &["name"], ["name", "l10n", "context"])?;
        let name = name.unwrap_or_default();
        let Some(original) = self.inherited(id, name) else {
            return Err(wrong(element, "what it extends has no such key"));
        };
        let mut key = original.overriding();
        let domain = self.schemas.get(id).and_then(|schema| schema.domain.as_ref());
        set_default(&mut key, element, domain.is_some())?;
        Ok((name.to_owned(), Member::Key(Box::new(key))))
    }
}

fn child(element: &Element) -> Result<(String, Member), String> {
    let [name, schema] = attributes(element, &["name", "schema"], ["name", "schema"])?.map(Option::unwrap_or_default);
    check_name(name).map_err(|why| wrong(element, &why))?;
    Ok((format!("{name}/"), Member::Child(schema.to_owned())))
}

/// The rules for names of keys and children.
fn check_name(name: &str) -> Result<(), String> {
    let allowed = |c: char| c == '-' || c.is_ascii_lowercase() || c.is_ascii_digit();
    let good = name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.chars().all(allowed)
        && !name.contains("--")
        && !name.ends_with('-')
        && name.len() <= 1024;
    if good {
        Ok(())
    } else {
        Err(format!("`{name}` is no name for it"))
    }
}

/// What an element within `<key>` says.
fn add_to_key(key: &mut Key, element: &Element, has_domain: bool) -> Result<(), String> {
    let at = |why: String| wrong(element, &why);
    match element.name.as_str() {
        "default" => return set_default(key, element, has_domain),
        "summary" | "description" => {
            let [] = attributes(element, &[], [])?;
            text_of(element)?;
            return Ok(());
        }
        "range" => set_range(key, element)?,
        "choices" => {
            let [] = attributes(element, &[], [])?;
            let mut kind = &key.kind;
            while let Type::Maybe(of) | Type::Array(of) = kind {
                kind = of;
            }
            if key.strings != Strings::Choices || !key.string_info.is_empty() || *kind != Type::string() {
                return Err(wrong(element, "it is for keys of strings that have no values yet"));
            }
            for part in parts(element)? {
                let [value] = attributes(part, &["value"], ["value"])?;
                let value = value.unwrap_or_default();
                if part.name != "choice" || key.string_info.contains(value) {
                    return Err(wrong(part, "it may not be here, or is here already"));
                }
                key.string_info.add(value, 0).map_err(|why| wrong(part, &why))?;
            }
        }
        "aliases" => {
            let [] = attributes(element, &[], [])?;
            if key.string_info.is_empty() {
                return Err(wrong(element, "it is for keys that have values"));
            }
            for part in parts(element)? {
                let [value, target] =
                    attributes(part, &["value", "target"], ["value", "target"])?.map(Option::unwrap_or_default);
                if part.name != "alias" || key.string_info.contains(value) {
                    return Err(wrong(part, "it may not be here, or is here already"));
                }
                key.string_info
                    .add_alias(value, target)
                    .map_err(|why| wrong(part, &why))?;
            }
        }
        _ => return Err(wrong(element, "it may not be within <key>")),
    }
    if element.name != "range" && element.elements().next().is_none() {
        return Err(wrong(element, "nothing is in it"));
    }
    key.default
        .as_ref()
        .map_or(Ok(()), |default| key.check(default).map_err(at))
}

fn set_range(key: &mut Key, element: &Element) -> Result<(), String> {
    let [min, max] = attributes(element, &[], ["min", "max"])?;
    let Type::Basic(letter) = key.kind else {
        return Err(wrong(element, "it is for numbers"));
    };
    let (least, most) = match variant_text::range(letter) {
        Some((least, most)) if letter != b'h' => (Value::Integer(least), Value::Integer(most)),
        _ if letter == b'd' => (Value::Double(f64::NEG_INFINITY), Value::Double(f64::INFINITY)),
        _ => return Err(wrong(element, "it is for numbers")),
    };
    if key.range.is_some() {
        return Err(wrong(element, "it is already there"));
    }
    let bound = |text: Option<&str>, default: Value| match text {
        Some(text) => variant_text::parse(&key.kind, text).map_err(|why| wrong(element, &why)),
        None => Ok(default),
    };
    let (least, most) = (bound(min, least)?, bound(max, most)?);
    if least.compare(&most).is_some_and(std::cmp::Ordering::is_gt) {
        return Err(wrong(element, "its least value is greater than its largest"));
    }
    key.range = Some((least, most));
    Ok(())
}

/// `<default>`, or `<override>`.
fn set_default(key: &mut Key, element: &Element, has_domain: bool) -> Result<(), String> {
    let [_, l10n, context] = attributes(element, &[], ["name", "l10n", "context"])?;
    let category = match l10n {
        None if context.is_some() => return Err(wrong(element, "a context without a category")),
        None => None,
        Some(_) if !has_domain => return Err(wrong(element, "nothing says which translations there are")),
        Some("messages") => Some(b'm'),
        Some("time") => Some(b't'),
        Some(_) => return Err(wrong(element, "its category is not known")),
    };
    let text = text_of(element)?;
    key.default = Some(key.parse(&text).map_err(|why| wrong(element, &why))?);
    key.translated = category.map(|category| Translated {
        category,
        context: context.map(str::to_owned),
        text,
    });
    Ok(())
}

/// Checks that an element has no attributes but these, and those that are needed.
fn attributes<'a, const N: usize>(
    element: &'a Element,
    needed: &[&str],
    known: [&str; N],
) -> Result<[Option<&'a str>; N], String> {
    let all = element.attributes.iter().map(|(name, _)| name.as_str());
    // Qualified ones are passed over.
    if let Some(other) = all
        .filter(|name| !name.contains(':'))
        .find(|name| !known.contains(name))
    {
        return Err(wrong(element, &format!("it has no attribute `{other}`")));
    }
    if let Some(missing) = needed.iter().find(|name| element.attribute(name).is_none()) {
        return Err(wrong(element, &format!("the attribute `{missing}` is missing")));
    }
    Ok(known.map(|name| element.attribute(name)))
}

fn wrong(element: &Element, why: &str) -> String {
    format!("line {}: <{}>: {why}", element.line, element.name)
}

/// The elements in one that has no text of its own.
fn parts(element: &Element) -> Result<Vec<&Element>, String> {
    for node in &element.children {
        match node {
            Node::Text(text) if !text.trim_ascii().is_empty() => return Err(wrong(element, "text may not be here")),
            _ => {}
        }
    }
    // Those of other namespaces are passed over.
    Ok(element.elements().filter(|part| !part.name.contains(':')).collect())
}

/// The text of an element that has nothing but that.
fn text_of(element: &Element) -> Result<String, String> {
    match element.elements().find(|part| !part.name.contains(':')) {
        Some(part) => Err(wrong(part, &format!("it may not be within <{}>", element.name))),
        None => Ok(element.children.iter().fold(String::new(), |text, node| match node {
            Node::Text(more) => text + more,
            Node::Element(_) => text,
        })),
    }
}
