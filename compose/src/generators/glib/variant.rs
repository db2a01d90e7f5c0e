//! GVariant: types, values and their bytes, little-endian (<https://docs.gtk.org/glib/gvariant-format-strings.html>;
//! the layout is that of "GVariant Serialisation", chapter 2).

use std::cmp::Ordering;
use std::fmt;

/// Types within types; GLib's own bound.
const DEPTH: usize = 128;

/// A definite type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Type {
    /// One of `bynqiuxthdsogv`.
    Basic(u8),
    Maybe(Box<Self>),
    Array(Box<Self>),
    Tuple(Vec<Self>),
    Entry(Box<(Self, Self)>),
}

/// A value, without its type.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    /// `b` and all whole numbers.
    Integer(i128),
    Double(f64),
    /// `s`, `o`, `g`.
    String(String),
    Maybe(Option<Box<Self>>),
    Array(Vec<Self>),
    /// Tuples and entries of dictionaries.
    Tuple(Vec<Self>),
    Variant(Box<(Type, Self)>),
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Basic(kind) => write!(f, "{}", char::from(*kind)),
            Self::Maybe(of) => write!(f, "m{of}"),
            Self::Array(of) => write!(f, "a{of}"),
            Self::Tuple(members) => {
                write!(f, "(")?;
                members.iter().try_for_each(|member| write!(f, "{member}"))?;
                write!(f, ")")
            }
            Self::Entry(of) => write!(f, "{{{}{}}}", of.0, of.1),
        }
    }
}

impl Type {
    /// `s`
    pub(super) const fn string() -> Self {
        Self::Basic(b's')
    }

    /// Reads a type string, all of it.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (found, length) = Self::prefix(text.as_bytes())?;
        (length == text.len()).then_some(found)
    }

    /// Reads the type at the beginning, and says how long its string is.
    pub(super) fn prefix(bytes: &[u8]) -> Option<(Self, usize)> {
        let mut at = 0;
        let found = Self::at(bytes, &mut at, DEPTH)?;
        Some((found, at))
    }

    fn at(bytes: &[u8], at: &mut usize, depth: usize) -> Option<Self> {
        let depth = depth.checked_sub(1)?;
        let kind = *bytes.get(*at)?;
        *at += 1;
        match kind {
            b'b' | b'y' | b'n' | b'q' | b'i' | b'u' | b'x' | b't' | b'h' | b'd' | b's' | b'o' | b'g' | b'v' => {
                Some(Self::Basic(kind))
            }
            b'm' => Some(Self::Maybe(Box::new(Self::at(bytes, at, depth)?))),
            b'a' => Some(Self::Array(Box::new(Self::at(bytes, at, depth)?))),
            b'(' => {
                let mut members = Vec::new();
                while *bytes.get(*at)? != b')' {
                    members.push(Self::at(bytes, at, depth)?);
                }
                *at += 1;
                Some(Self::Tuple(members))
            }
            b'{' => {
                let key = Self::at(bytes, at, depth)?;
                let value = Self::at(bytes, at, depth)?;
                let closed = bytes.get(*at) == Some(&b'}');
                *at += 1;
                (closed && matches!(key, Self::Basic(kind) if kind != b'v'))
                    .then(|| Self::Entry(Box::new((key, value))))
            }
            _ => None,
        }
    }

    /// The types of a tuple's or an entry's members.
    pub(super) fn members(&self) -> Vec<&Self> {
        match self {
            Self::Tuple(members) => members.iter().collect(),
            Self::Entry(of) => vec![&of.0, &of.1],
            _ => Vec::new(),
        }
    }

    /// What a value's first byte is aligned to.
    fn alignment(&self) -> usize {
        match self {
            Self::Basic(b'n' | b'q') => 2,
            Self::Basic(b'i' | b'u' | b'h') => 4,
            Self::Basic(b'x' | b't' | b'd' | b'v') => 8,
            Self::Basic(_) => 1,
            Self::Maybe(of) | Self::Array(of) => of.alignment(),
            Self::Tuple(_) | Self::Entry(_) => {
                let of_members = self.members().into_iter().map(Self::alignment);
                of_members.max().unwrap_or(1)
            }
        }
    }

    /// Bytes of every value, for types whose values all have as many.
    fn fixed_size(&self) -> Option<usize> {
        match self {
            Self::Basic(b'b' | b'y') => Some(1),
            Self::Basic(b's' | b'o' | b'g' | b'v') | Self::Maybe(_) | Self::Array(_) => None,
            Self::Basic(_) => Some(self.alignment()),
            Self::Tuple(_) | Self::Entry(_) => {
                let mut size: usize = 0;
                for member in self.members() {
                    size = size.next_multiple_of(member.alignment()) + member.fixed_size()?;
                }
                Some(size.next_multiple_of(self.alignment()).max(1))
            }
        }
    }
}

impl Value {
    /// Which of two numbers is larger; other values are not compared.
    pub(super) fn compare(&self, other: &Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Integer(a), Self::Integer(b)) => Some(a.cmp(b)),
            (Self::Double(a), Self::Double(b)) => a.partial_cmp(b),
            _ => None,
        }
    }
}

/// The bytes of a variant that holds the value.
pub(super) fn in_variant(kind: &Type, value: &Value) -> Vec<u8> {
    let mut bytes = Vec::new();
    write(kind, value, &mut bytes);
    bytes.push(0);
    bytes.extend_from_slice(kind.to_string().as_bytes());
    bytes
}

/// Appends the bytes of a value, where `bytes` is aligned as it has to be.
fn write(kind: &Type, value: &Value, bytes: &mut Vec<u8>) {
    match (kind, value) {
        (_, Value::Integer(number)) => {
            let size = kind.fixed_size().unwrap_or_default();
            bytes.extend_from_slice(&number.to_le_bytes()[..size]);
        }
        (_, Value::Double(number)) => bytes.extend_from_slice(&number.to_le_bytes()),
        (_, Value::String(text)) => {
            bytes.extend_from_slice(text.as_bytes());
            bytes.push(0);
        }
        (_, Value::Variant(inner)) => bytes.extend_from_slice(&in_variant(&inner.0, &inner.1)),
        (Type::Maybe(of), Value::Maybe(Some(inner))) => {
            write(of, inner, bytes);
            if of.fixed_size().is_none() {
                bytes.push(0);
            }
        }
        (Type::Array(of), Value::Array(elements)) => {
            let start = bytes.len();
            let mut ends = Vec::new();
            for element in elements {
                pad(of, start, bytes);
                write(of, element, bytes);
                ends.push(bytes.len() - start);
            }
            if of.fixed_size().is_none() {
                write_ends(&ends, start, bytes);
            }
        }
        (_, Value::Tuple(values)) => {
            let (start, members) = (bytes.len(), kind.members());
            let mut ends = Vec::new();
            for (number, (member, value)) in members.iter().zip(values).enumerate() {
                pad(member, start, bytes);
                write(member, value, bytes);
                if member.fixed_size().is_none() && number + 1 < members.len() {
                    ends.insert(0, bytes.len() - start);
                }
            }
            match kind.fixed_size() {
                Some(size) => bytes.resize(start + size, 0),
                None => write_ends(&ends, start, bytes),
            }
        }
        // Nothing, and no value of another type comes here.
        _ => {}
    }
}

/// Fills up to where a value may begin.
fn pad(kind: &Type, start: usize, bytes: &mut Vec<u8>) {
    let length = (bytes.len() - start).next_multiple_of(kind.alignment());
    bytes.resize(start + length, 0);
}

/// Appends where the parts end, in words as small as the whole allows.
fn write_ends(ends: &[usize], start: usize, bytes: &mut Vec<u8>) {
    let body = bytes.len() - start;
    let size = [(1, 0xff), (2, 0xffff), (4, 0xffff_ffff)]
        .into_iter()
        .find(|(size, largest)| body + size * ends.len() <= *largest)
        .map_or(8, |(size, _)| size);
    for end in ends {
        bytes.extend_from_slice(&(*end as u64).to_le_bytes()[..size]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The examples of "GVariant Serialisation", section 2.5.
    #[test]
    fn values_have_the_bytes_of_the_specification() {
        let text = |text: &str| Value::String(text.to_owned());
        let bytes = |kind: &str, value: &Value| {
            let mut bytes = Vec::new();
            write(&Type::parse(kind).unwrap(), value, &mut bytes);
            bytes
        };
        let just = Value::Maybe(Some(Box::new(text("hello world"))));
        assert_eq!(bytes("ms", &just), b"hello world\0\0");
        let flags = Value::Array([1, 0, 0, 1, 1].map(Value::Integer).to_vec());
        assert_eq!(bytes("ab", &flags), [1, 0, 0, 1, 1]);
        let tuple = Value::Tuple(vec![text("foo"), Value::Integer(-1)]);
        assert_eq!(bytes("(si)", &tuple), b"foo\0\xff\xff\xff\xff\x04");
        let pairs = Value::Array(vec![
            Value::Tuple(vec![text("hi"), Value::Integer(-2)]),
            Value::Tuple(vec![text("bye"), Value::Integer(-1)]),
        ]);
        let expected = b"hi\0\0\xfe\xff\xff\xff\x03\0\0\0bye\0\xff\xff\xff\xff\x04\x09\x15";
        assert_eq!(bytes("a(si)", &pairs), expected);
        let strings = Value::Array(["i", "can", "has", "strings?"].map(text).to_vec());
        assert_eq!(bytes("as", &strings), b"i\0can\0has\0strings?\0\x02\x06\x0a\x13");
        let nested = Value::Tuple(vec![Value::Integer(0x70), Value::Integer(0x80)]);
        assert_eq!(bytes("(iy)", &nested), [0x70, 0, 0, 0, 0x80, 0, 0, 0]);
        assert_eq!(bytes("()", &Value::Tuple(Vec::new())), [0]);
        assert_eq!(in_variant(&Type::string(), &text("x")), b"x\0\0s");
    }

    #[test]
    fn types_are_read() {
        for kind in ["s", "a{sv}", "(ii)", "m(da(yb))", "()", "aa{ua(ss)}"] {
            assert_eq!(Type::parse(kind).unwrap().to_string(), kind);
        }
        for kind in ["", "a", "(i", "{sv", "a{vs}", "ss", "{sss}", "z"] {
            assert_eq!(Type::parse(kind), None, "{kind}");
        }
        assert_eq!(Type::parse(&"a".repeat(1000)), None);
    }
}
