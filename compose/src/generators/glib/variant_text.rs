//! Values as text, as defaults are written in schemas (<https://docs.gtk.org/glib/gvariant-text-format.html>).

use super::variant::{Type, Value};
use super::variant_guess::guess;

/// Values within values.
const DEPTH: usize = 100;

/// Types that a value can be given by a word in front of it.
const KEYWORDS: [(&str, u8); 12] = [
    ("boolean", b'b'),
    ("byte", b'y'),
    ("int16", b'n'),
    ("uint16", b'q'),
    ("int32", b'i'),
    ("handle", b'h'),
    ("uint32", b'u'),
    ("int64", b'x'),
    ("uint64", b't'),
    ("double", b'd'),
    ("string", b's'),
    ("objectpath", b'o'),
];

/// What is written, before its type is known.
#[derive(Clone, Debug)]
pub(super) enum Written {
    Number(String),
    String(String),
    Bytes(Vec<u8>),
    Boolean(bool),
    Nothing,
    Just(Box<Self>),
    Array(Vec<Self>),
    Tuple(Vec<Self>),
    /// `{k: v, …}`
    Dictionary(Vec<(Self, Self)>),
    /// `{k, v}`
    Entry(Box<(Self, Self)>),
    Variant(Box<Self>),
    Typed(Type, Box<Self>),
}

/// Reads the text of a value of type `kind`.
pub(super) fn parse(kind: &Type, text: &str) -> Result<Value, String> {
    let mut reader = Reader { text, at: 0 };
    let written = reader.value(DEPTH)?;
    reader.spaces();
    if !reader.rest().is_empty() {
        return Err(format!("`{}` behind the value", reader.rest().trim_end()));
    }
    value_of(kind, &written)
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Reader<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn spaces(&mut self) {
        let rest = self.rest();
        let left = rest.trim_start_matches(|c: char| c.is_ascii_whitespace() || c == '\u{b}');
        self.at += rest.len() - left.len();
    }

    fn eat(&mut self, token: char) -> bool {
        self.spaces();
        let found = self.rest().starts_with(token);
        if found {
            self.at += token.len_utf8();
        }
        found
    }

    fn need(&mut self, token: char) -> Result<(), String> {
        if self.eat(token) {
            return Ok(());
        }
        Err(format!("`{token}` expected before `{}`", self.rest()))
    }

    /// Takes a word of letters and digits, and of what numbers have.
    fn word(&mut self) -> &'a str {
        let rest = self.rest();
        let end = rest
            .find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '+' | '.')))
            .unwrap_or(rest.len());
        self.at += end;
        &rest[..end]
    }

    fn value(&mut self, depth: usize) -> Result<Written, String> {
        let depth = depth.checked_sub(1).ok_or("too many values within each other")?;
        self.spaces();
        let rest = self.rest();
        if rest.starts_with("b'") || rest.starts_with("b\"") {
            self.at += 1;
            return Ok(Written::Bytes(self.bytes()?));
        }
        match rest.chars().next() {
            None => Err("the value is missing".to_owned()),
            Some('\'' | '"') => Ok(Written::String(self.string()?)),
            Some('[') => Ok(Written::Array(self.array(depth)?)),
            Some('(') => Ok(Written::Tuple(self.tuple(depth)?)),
            Some('{') => self.dictionary(depth),
            Some('<') => {
                self.at += 1;
                let inner = self.value(depth)?;
                self.need('>')?;
                Ok(Written::Variant(Box::new(inner)))
            }
            Some('@') => {
                self.at += 1;
                let (kind, length) = Type::prefix(self.rest().as_bytes()).ok_or("a type is missing behind `@`")?;
                self.at += length;
                Ok(Written::Typed(kind, Box::new(self.value(depth)?)))
            }
            Some(_) => self.word_value(depth),
        }
    }

    fn word_value(&mut self, depth: usize) -> Result<Written, String> {
        let word = self.word();
        match word {
            "true" | "false" => return Ok(Written::Boolean(word == "true")),
            "nothing" => return Ok(Written::Nothing),
            "just" => return Ok(Written::Just(Box::new(self.value(depth)?))),
            "signature" => return Ok(Written::Typed(Type::Basic(b'g'), Box::new(self.value(depth)?))),
            _ => {}
        }
        if let Some((_, kind)) = KEYWORDS.iter().find(|(name, _)| *name == word) {
            return Ok(Written::Typed(Type::Basic(*kind), Box::new(self.value(depth)?)));
        }
        let unsigned = word.trim_start_matches(['-', '+']);
        if unsigned.starts_with(|c: char| c.is_ascii_digit() || c == '.') || matches!(unsigned, "inf" | "nan") {
            return Ok(Written::Number(word.to_owned()));
        }
        Err(format!(
            "`{}` is no value",
            if word.is_empty() { self.rest() } else { word }
        ))
    }

    fn array(&mut self, depth: usize) -> Result<Vec<Written>, String> {
        self.need('[')?;
        let mut elements = Vec::new();
        while !self.eat(']') {
            if !elements.is_empty() {
                self.need(',')?;
            }
            elements.push(self.value(depth)?);
        }
        Ok(elements)
    }

    fn tuple(&mut self, depth: usize) -> Result<Vec<Written>, String> {
        self.need('(')?;
        let mut members = Vec::new();
        while !self.eat(')') {
            if members.len() > 1 {
                self.need(',')?;
            }
            members.push(self.value(depth)?);
            // A tuple of one has a comma too.
            if members.len() == 1 {
                self.need(',')?;
            }
        }
        Ok(members)
    }

    fn dictionary(&mut self, depth: usize) -> Result<Written, String> {
        self.need('{')?;
        let mut entries = Vec::new();
        while !self.eat('}') {
            if !entries.is_empty() {
                self.need(',')?;
            }
            let key = self.value(depth)?;
            if entries.is_empty() && self.eat(',') {
                let value = self.value(depth)?;
                self.need('}')?;
                return Ok(Written::Entry(Box::new((key, value))));
            }
            self.need(':')?;
            entries.push((key, self.value(depth)?));
        }
        Ok(Written::Dictionary(entries))
    }

    /// What is between quotes, and what `escaped` makes of each character behind a backslash.
    fn string(&mut self) -> Result<String, String> {
        let mut chars = self.rest().char_indices();
        let quote = chars.next().map(|(_, quote)| quote);
        let mut text = String::new();
        while let Some((at, c)) = chars.next() {
            if Some(c) == quote {
                self.at += at + 1;
                return Ok(text);
            }
            if c != '\\' {
                text.push(c);
                continue;
            }
            let (_, escaped) = chars.next().ok_or("a string without an end")?;
            let digits = match escaped {
                'u' => 4,
                'U' => 8,
                '\n' => continue,
                _ => {
                    text.push(control(escaped).map_or(escaped, char::from));
                    continue;
                }
            };
            let code: String = chars.by_ref().take(digits).map(|(_, digit)| digit).collect();
            let character = u32::from_str_radix(&code, 16).ok().filter(|_| code.len() == digits);
            let character = character.and_then(char::from_u32).filter(|c| *c != '\0');
            text.push(character.ok_or_else(|| format!("`\\{escaped}{code}` is no character"))?);
        }
        Err("a string without an end".to_owned())
    }

    /// A string of bytes, behind its `b`.
    fn bytes(&mut self) -> Result<Vec<u8>, String> {
        let rest = self.rest().as_bytes();
        let mut bytes = Vec::new();
        let mut at = 1;
        while let Some(byte) = rest.get(at) {
            at += 1;
            if *byte == rest[0] {
                self.at += at;
                return Ok(bytes);
            }
            if *byte != b'\\' {
                bytes.push(*byte);
                continue;
            }
            let escaped = *rest.get(at).ok_or("a string without an end")?;
            let octal: Vec<u8> = rest[at..]
                .iter()
                .copied()
                .take(3)
                .take_while(|digit| (b'0'..=b'7').contains(digit))
                .collect();
            if octal.is_empty() {
                at += 1;
                if escaped != b'\n' {
                    bytes.push(control(char::from(escaped)).unwrap_or(escaped));
                }
            } else {
                at += octal.len();
                let number = octal
                    .iter()
                    .fold(0_u32, |number, digit| number * 8 + u32::from(digit - b'0'));
                bytes.push(number.to_le_bytes()[0]);
            }
        }
        Err("a string without an end".to_owned())
    }
}

/// The byte that a letter behind a backslash stands for.
fn control(letter: char) -> Option<u8> {
    match letter {
        'a' => Some(7),
        'b' => Some(8),
        't' => Some(9),
        'n' => Some(10),
        'v' => Some(11),
        'f' => Some(12),
        'r' => Some(13),
        _ => None,
    }
}

/// What is written as a value of type `kind`.
fn value_of(kind: &Type, written: &Written) -> Result<Value, String> {
    match (kind, written) {
        (_, Written::Typed(declared, inner)) if declared == kind => value_of(kind, inner),
        (Type::Maybe(_), Written::Nothing) => Ok(Value::Maybe(None)),
        (Type::Maybe(of), Written::Just(inner)) => Ok(Value::Maybe(Some(Box::new(value_of(of, inner)?)))),
        (Type::Maybe(of), _) => Ok(Value::Maybe(Some(Box::new(value_of(of, written)?)))),
        (Type::Basic(b'b'), Written::Boolean(truth)) => Ok(Value::Integer(i128::from(*truth))),
        (Type::Basic(b's'), Written::String(text)) => Ok(Value::String(text.clone())),
        (Type::Basic(b'o'), Written::String(text)) if is_object_path(text) => Ok(Value::String(text.clone())),
        (Type::Basic(b'g'), Written::String(text)) if is_signature(text) => Ok(Value::String(text.clone())),
        (Type::Basic(kind), Written::Number(number)) => numeric(*kind, number),
        (Type::Basic(b'v'), Written::Variant(inner)) => {
            let kind = guess(inner)?.definite()?;
            let value = value_of(&kind, inner)?;
            Ok(Value::Variant(Box::new((kind, value))))
        }
        (Type::Array(of), Written::Array(elements)) => {
            let elements: Result<_, _> = elements.iter().map(|element| value_of(of, element)).collect();
            Ok(Value::Array(elements?))
        }
        (Type::Array(of), Written::Bytes(bytes)) if **of == Type::Basic(b'y') => {
            let bytes = bytes.iter().chain(&[0]);
            Ok(Value::Array(
                bytes.map(|byte| Value::Integer(i128::from(*byte))).collect(),
            ))
        }
        (Type::Array(of), Written::Dictionary(entries)) => {
            let Type::Entry(of) = &**of else {
                return mismatch(kind);
            };
            let entry = |(key, value)| Ok(Value::Tuple(vec![value_of(&of.0, key)?, value_of(&of.1, value)?]));
            let entries: Result<_, String> = entries.iter().map(|(key, value)| entry((key, value))).collect();
            Ok(Value::Array(entries?))
        }
        (Type::Entry(of), Written::Entry(entry)) => {
            let (key, value) = (value_of(&of.0, &entry.0)?, value_of(&of.1, &entry.1)?);
            Ok(Value::Tuple(vec![key, value]))
        }
        (Type::Tuple(kinds), Written::Tuple(members)) if kinds.len() == members.len() => {
            let members: Result<_, _> = kinds
                .iter()
                .zip(members)
                .map(|(kind, member)| value_of(kind, member))
                .collect();
            Ok(Value::Tuple(members?))
        }
        _ => mismatch(kind),
    }
}

fn mismatch<T>(kind: &Type) -> Result<T, String> {
    Err(format!("this is no value of type `{kind}`"))
}

/// A number as C's `strtoull` with base 0 and `strtod` read it.
fn numeric(kind: u8, text: &str) -> Result<Value, String> {
    let wrong = || format!("`{text}` is no value of type `{}`", char::from(kind));
    if kind == b'd' {
        return text.parse().map(Value::Double).map_err(|_| wrong());
    }
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let magnitude = if let Some(hex) = digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X")) {
        u64::from_str_radix(hex, 16)
    } else if digits.len() > 1 && digits.starts_with('0') {
        u64::from_str_radix(digits, 8)
    } else {
        digits.parse()
    };
    let magnitude = i128::from(magnitude.map_err(|_| wrong())?);
    let number = if negative { -magnitude } else { magnitude };
    let (least, most) = range(kind).ok_or_else(wrong)?;
    if (least..=most).contains(&number) {
        Ok(Value::Integer(number))
    } else {
        Err(format!("{number} is out of the range of type `{}`", char::from(kind)))
    }
}

/// Least and largest value of a type of whole numbers.
pub(super) fn range(kind: u8) -> Option<(i128, i128)> {
    match kind {
        b'y' => Some((0, 0xff)),
        b'n' => Some((i16::MIN.into(), i16::MAX.into())),
        b'q' => Some((0, u16::MAX.into())),
        b'i' | b'h' => Some((i32::MIN.into(), i32::MAX.into())),
        b'u' => Some((0, u32::MAX.into())),
        b'x' => Some((i64::MIN.into(), i64::MAX.into())),
        b't' => Some((0, u64::MAX.into())),
        _ => None,
    }
}

fn is_object_path(text: &str) -> bool {
    let of_path = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let element = |element: &str| !element.is_empty() && element.chars().all(of_path);
    text == "/" || text.strip_prefix('/').is_some_and(|path| path.split('/').all(element))
}

fn is_signature(text: &str) -> bool {
    Type::parse(&format!("({text})")).is_some()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::generators::glib::variant::in_variant;

    fn read(kind: &str, text: &str) -> Result<Value, String> {
        parse(&Type::parse(kind).unwrap(), text)
    }

    #[test]
    fn values_are_read_as_their_type_says() {
        let text = |text: &str| Value::String(text.to_owned());
        assert_eq!(read("b", " true\n"), Ok(Value::Integer(1)));
        assert_eq!(read("u", "0x10"), Ok(Value::Integer(16)));
        assert_eq!(read("i", "-010"), Ok(Value::Integer(-8)));
        assert_eq!(read("x", "int64 5"), Ok(Value::Integer(5)));
        assert_eq!(read("d", "1"), Ok(Value::Double(1.0)));
        assert_eq!(read("d", "-inf"), Ok(Value::Double(f64::NEG_INFINITY)));
        assert_eq!(read("s", r#""a\"\u00e4\n\q""#), Ok(text("a\"\u{e4}\nq")));
        assert_eq!(read("as", "@as []"), Ok(Value::Array(Vec::new())));
        assert_eq!(read("ms", "nothing"), Ok(Value::Maybe(None)));
        assert_eq!(read("ms", "'x'"), Ok(Value::Maybe(Some(Box::new(text("x"))))));
        assert_eq!(
            read("a{su}", "{'a': 1}"),
            Ok(Value::Array(vec![Value::Tuple(vec![text("a"), Value::Integer(1)])]))
        );
        assert_eq!(read("(s)", "('a',)"), Ok(Value::Tuple(vec![text("a")])));
        assert_eq!(
            read("ay", r"b'a\101\n'"),
            Ok(Value::Array([97, 65, 10, 0].map(Value::Integer).to_vec()))
        );
        let inside = |text: &str| in_variant(&Type::Basic(b'v'), &read("v", text).unwrap());
        assert!(inside("<[1, uint16 2]>").ends_with(b"\0aq\0v"));
        assert!(inside("<{'a': <1.5>}>").ends_with(b"\0a{sv}\0v"));
        assert!(inside("<('a', 1, true)>").ends_with(b"\0(sib)\0v"));
    }

    #[test]
    fn what_does_not_fit_its_type_is_refused() {
        for (kind, text) in [
            ("i", "2147483648"),
            ("u", "-1"),
            ("y", "256"),
            ("i", "1.0"),
            ("b", "1"),
            ("s", "x"),
            ("s", "'x"),
            ("as", "['a',]"),
            ("(s)", "('a')"),
            ("as", "@ai []"),
            ("v", "<[]>"),
            ("v", "<[1, 'a']>"),
            ("o", "'a/b'"),
            ("i", "1 2"),
            ("s", ""),
        ] {
            assert!(read(kind, text).is_err(), "{kind} {text}");
        }
        assert!(read("v", &"<".repeat(10_000)).is_err());
    }

    proptest! {
        #[test]
        fn nothing_makes_it_panic(kind in "[a(){}smvy]{1,6}", text in "[\\[\\](){}<>@a-z0-9'\"\\\\,:.-]{0,30}") {
            if let Some(kind) = Type::parse(&kind) && let Ok(value) = parse(&kind, &text) {
                in_variant(&kind, &value);
            }
        }
    }
}
