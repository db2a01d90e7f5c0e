//! XML as packages ship it: a small, strict reader, for what GLib and shared-mime-info compile.
//!
//! Well-formedness is checked (<https://www.w3.org/TR/xml/>), and namespaces are resolved; document types are passed
//! over, so that only the five predefined entities and character references are known.

use std::fmt;

/// Elements within elements; deeper ones are refused.
const DEPTH: usize = 128;

/// Namespace of `xml:lang`.
pub(super) const XML: &str = "http://www.w3.org/XML/1998/namespace";

/// An element and what is in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Element {
    /// Its name as it is written, prefix included.
    pub(super) name: String,
    /// Attributes in their order, declarations of namespaces included, by name as it is written.
    pub(super) attributes: Vec<(String, String)>,
    /// What is in it, in order.
    pub(super) children: Vec<Node>,
    /// The namespaces in scope: prefix (empty: the default) and name.
    pub(super) namespaces: Vec<(String, String)>,
    /// Where it begins, from 1.
    pub(super) line: usize,
}

/// A part of an element's content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Node {
    Element(Element),
    /// Characters between two tags, entities resolved, comments taken out.
    Text(String),
}

/// What is wrong, and where.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Malformed {
    pub(super) line: usize,
    pub(super) text: String,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.text)
    }
}

impl Element {
    /// Its child elements.
    pub(super) fn elements(&self) -> impl Iterator<Item = &Self> {
        self.children.iter().filter_map(|node| match node {
            Node::Element(element) => Some(element),
            Node::Text(_) => None,
        })
    }

    /// The value of an attribute, by its name as it is written.
    pub(super) fn attribute(&self, name: &str) -> Option<&str> {
        let found = self.attributes.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }

    /// Its name without a prefix.
    pub(super) fn local_name(&self) -> &str {
        self.name.split_once(':').map_or(&*self.name, |(_, name)| name)
    }

    /// Name of the namespace it is in.
    pub(super) fn namespace(&self) -> Option<&str> {
        let prefix = self.name.split_once(':').map_or("", |(prefix, _)| prefix);
        self.namespace_of(prefix)
    }

    /// Name of the namespace that a prefix stands for here.
    pub(super) fn namespace_of(&self, prefix: &str) -> Option<&str> {
        if prefix == "xml" {
            return Some(XML);
        }
        let found = self.namespaces.iter().rev().find(|(known, _)| known == prefix);
        found.map(|(_, name)| name.as_str()).filter(|name| !name.is_empty())
    }
}

/// Reads a document; its root element.
pub(super) fn parse(text: &str) -> Result<Element, Malformed> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let reader = Reader {
        text,
        at: 0,
        counted: (0, 1),
    };
    reader.document()
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
    /// A place, and the number of its line: the last that was asked for.
    counted: (usize, usize),
}

impl<'a> Reader<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn line(&self) -> usize {
        let (counted, line) = self.counted;
        line + self.text[counted..self.at].matches('\n').count()
    }

    fn wrong<T>(&self, text: impl Into<String>) -> Result<T, Malformed> {
        Err(Malformed {
            line: self.line(),
            text: text.into(),
        })
    }

    fn eat(&mut self, token: &str) -> bool {
        let found = self.rest().starts_with(token);
        if found {
            self.at += token.len();
        }
        found
    }

    /// What is before `end`, behind which it goes on.
    fn until(&mut self, end: &str, of: &str) -> Result<&'a str, Malformed> {
        let rest = self.rest();
        let Some(length) = rest.find(end) else {
            return self.wrong(format!("{of} without an end"));
        };
        self.at += length + end.len();
        Ok(&rest[..length])
    }

    fn spaces(&mut self) {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start_matches([' ', '\t', '\r', '\n']).len();
    }

    fn document(mut self) -> Result<Element, Malformed> {
        let mut open: Vec<Element> = Vec::new();
        let mut root = None;
        while !self.rest().is_empty() {
            if !self.rest().starts_with('<') {
                let text = self.characters()?;
                match open.last_mut() {
                    Some(element) => push_text(element, text),
                    None if text.trim().is_empty() => {}
                    None => return self.wrong("text outside of the root element"),
                }
            } else if self.eat("<!--") {
                self.until("-->", "a comment")?;
            } else if self.eat("<![CDATA[") {
                let text = self.until("]]>", "a CDATA section")?.to_owned();
                match open.last_mut() {
                    Some(element) => push_text(element, text),
                    None => return self.wrong("a CDATA section outside of the root element"),
                }
            } else if self.eat("<?") {
                self.until("?>", "a processing instruction")?;
            } else if root.is_none() && open.is_empty() && self.eat("<!DOCTYPE") {
                self.doctype()?;
            } else {
                let closed = if self.eat("</") {
                    self.end_tag(&mut open)?
                } else {
                    if root.is_some() && open.is_empty() {
                        return self.wrong("a second root element");
                    }
                    self.start_tag(&mut open)?
                };
                match (closed, open.last_mut()) {
                    (Some(element), Some(parent)) => parent.children.push(Node::Element(element)),
                    (Some(element), None) => root = Some(element),
                    (None, _) => {}
                }
            }
        }
        match (open.last(), root) {
            (Some(element), _) => self.wrong(format!("<{}> is not closed", element.name)),
            (None, None) => self.wrong("no element"),
            (None, Some(root)) => Ok(root),
        }
    }

    /// A start tag, behind its `<`; the element if it is an empty one.
    fn start_tag(&mut self, open: &mut Vec<Element>) -> Result<Option<Element>, Malformed> {
        let line = self.line();
        self.counted = (self.at, line);
        self.at += 1;
        let mut element = Element {
            name: self.name()?,
            namespaces: open.last().map(|parent| parent.namespaces.clone()).unwrap_or_default(),
            line,
            ..Element::default()
        };
        if open.len() == DEPTH {
            return self.wrong(format!("more than {DEPTH} elements within each other"));
        }
        loop {
            let before = self.at;
            self.spaces();
            if self.eat("/>") {
                return Ok(Some(element));
            }
            if self.eat(">") {
                open.push(element);
                return Ok(None);
            }
            if self.at == before {
                return self.wrong(format!("<{}> does not end", element.name));
            }
            let (name, value) = self.attribute()?;
            if element.attribute(&name).is_some() {
                return self.wrong(format!("the attribute `{name}` is there twice"));
            }
            if name == "xmlns" {
                element.namespaces.push((String::new(), value.clone()));
            } else if let Some(prefix) = name.strip_prefix("xmlns:") {
                element.namespaces.push((prefix.to_owned(), value.clone()));
            }
            element.attributes.push((name, value));
        }
    }

    /// An end tag, behind its `</`; the element that it ends.
    fn end_tag(&mut self, open: &mut Vec<Element>) -> Result<Option<Element>, Malformed> {
        let name = self.name()?;
        self.spaces();
        if !self.eat(">") {
            return self.wrong(format!("</{name} does not end"));
        }
        match open.pop() {
            Some(element) if element.name == name => Ok(Some(element)),
            Some(element) => self.wrong(format!("</{name}> where <{}> is open", element.name)),
            None => self.wrong(format!("</{name}> where nothing is open")),
        }
    }

    fn attribute(&mut self) -> Result<(String, String), Malformed> {
        let name = self.name()?;
        self.spaces();
        if !self.eat("=") {
            return self.wrong(format!("the attribute `{name}` has no value"));
        }
        self.spaces();
        let quote = if self.eat("\"") {
            "\""
        } else if self.eat("'") {
            "'"
        } else {
            return self.wrong(format!("the value of `{name}` is not quoted"));
        };
        let raw = self.until(quote, "a value")?;
        if raw.contains('<') {
            return self.wrong(format!("`<` in the value of `{name}`"));
        }
        // Line ends and tabs of a value are spaces (XML, section 3.3.3).
        let raw = raw.replace("\r\n", " ").replace(['\n', '\r', '\t'], " ");
        Ok((name, self.resolved(&raw)?))
    }

    fn name(&mut self) -> Result<String, Malformed> {
        let rest = self.rest();
        let end = rest
            .find(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | ':')))
            .unwrap_or(rest.len());
        let name = &rest[..end];
        if !name.starts_with(|c: char| c.is_alphabetic() || matches!(c, '_' | ':')) {
            return self.wrong("a name is missing");
        }
        self.at += end;
        Ok(name.to_owned())
    }

    /// Characters up to the next tag.
    fn characters(&mut self) -> Result<String, Malformed> {
        let rest = self.rest();
        let length = rest.find('<').unwrap_or(rest.len());
        let text = self.resolved(&rest[..length].replace("\r\n", "\n"))?;
        self.at += length;
        Ok(text)
    }

    /// A document type, behind its `<!DOCTYPE`, with what it declares.
    fn doctype(&mut self) -> Result<(), Malformed> {
        let (mut depth, mut quote) = (0_usize, None);
        for (at, byte) in self.rest().bytes().enumerate() {
            match (byte, quote) {
                (b'"' | b'\'', None) => quote = Some(byte),
                (_, Some(open)) => quote = quote.filter(|_| byte != open),
                (b'[' | b'<', None) => depth += 1,
                (b']', None) => depth = depth.saturating_sub(1),
                (b'>', None) if depth == 0 => {
                    self.at += at + 1;
                    return Ok(());
                }
                (b'>', None) => depth -= 1,
                _ => {}
            }
        }
        self.wrong("a declaration without an end")
    }

    /// Text with its references resolved.
    fn resolved(&self, raw: &str) -> Result<String, Malformed> {
        let mut pieces = raw.split('&');
        let mut text = pieces.next().unwrap_or_default().to_owned();
        for piece in pieces {
            let Some((name, rest)) = piece.split_once(';') else {
                return self.wrong("`&` without a reference");
            };
            let character = match name {
                "lt" => Some('<'),
                "gt" => Some('>'),
                "amp" => Some('&'),
                "quot" => Some('"'),
                "apos" => Some('\''),
                _ => numbered(name),
            };
            let Some(character) = character else {
                return self.wrong(format!("the entity `&{name};` is not known"));
            };
            text.push(character);
            text += rest;
        }
        Ok(text)
    }
}

/// The character of a reference by number: `#10`, `#xA`.
fn numbered(name: &str) -> Option<char> {
    let number = name.strip_prefix('#')?;
    let code = match number.strip_prefix('x') {
        Some(digits) if digits.bytes().all(|byte| byte.is_ascii_hexdigit()) => u32::from_str_radix(digits, 16).ok()?,
        None if number.bytes().all(|byte| byte.is_ascii_digit()) => number.parse().ok()?,
        _ => return None,
    };
    char::from_u32(code).filter(|character| *character != '\0')
}

/// Adds characters; those on both sides of a comment are one text.
fn push_text(element: &mut Element, text: String) {
    match element.children.last_mut() {
        Some(Node::Text(before)) => *before += &text,
        _ => element.children.push(Node::Text(text)),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn documents_are_read() {
        let text = "<?xml version='1.0'?>\n<!DOCTYPE a [<!ELEMENT a (b)>]>\n<!-- c -->\n<a xmlns='urn:x' k=\"1 &amp; 2\n3\">\n\
                    x<b/>&#65;<!-- c -->&#x42;<![CDATA[<&]]><x:c xmlns:x='urn:y' xml:lang='de'>z</x:c></a>\n";
        let root = parse(text).unwrap();
        assert_eq!((root.name.as_str(), root.line), ("a", 4));
        assert_eq!(root.attribute("k"), Some("1 & 2 3"));
        assert_eq!(root.children[2], Node::Text("AB<&".to_owned()));
        let names: Vec<_> = root.elements().map(|it| (it.local_name(), it.namespace())).collect();
        assert_eq!(names, [("b", Some("urn:x")), ("c", Some("urn:y"))]);
        assert_eq!(root.namespace_of("xml"), Some(XML));
    }

    #[test]
    fn what_is_not_well_formed_is_refused() {
        for (text, why) in [
            ("", "line 1: no element"),
            ("<a>\n<b>", "line 2: <b> is not closed"),
            ("<a></b>", "line 1: </b> where <a> is open"),
            ("<a/><b/>", "line 1: a second root element"),
            ("<a x='1' x='2'/>", "line 1: the attribute `x` is there twice"),
            ("<a x=1/>", "line 1: the value of `x` is not quoted"),
            ("<a>&nbsp;</a>", "line 1: the entity `&nbsp;` is not known"),
            ("<a>&#0;</a>", "line 1: the entity `&#0;` is not known"),
            ("a<a/>", "line 1: text outside of the root element"),
            ("<a><!b></a>", "line 1: a name is missing"),
        ] {
            assert_eq!(parse(text).unwrap_err().to_string(), why, "{text}");
        }
        assert!(parse(&"<a>".repeat(100_000)).is_err());
    }

    proptest! {
        #[test]
        fn nothing_makes_it_panic(text in "[<>/!a&;#x'\" \\[\\]=?-]{0,40}") {
            let _ = parse(&text);
        }
    }
}
