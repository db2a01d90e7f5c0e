//! What types look for in files: `<magic>`, and the file of that name.

use super::sources::{Database, hundredth};
use crate::generators::markup::Element;

/// What says that a type has nothing of what other directories look for.
const NO_MAGIC: &str = "__NOMAGIC__";

/// What one type looks for.
#[derive(Debug)]
pub(super) struct Magic {
    pub(super) kind: usize,
    pub(super) priority: i32,
    pub(super) matches: Vec<Match>,
    /// Whether it takes away what other directories look for.
    pub(super) deletes: bool,
}

/// Bytes somewhere in a file.
#[derive(Debug)]
pub(super) struct Match {
    pub(super) start: u32,
    /// At how many places from there on.
    pub(super) places: u32,
    /// Bytes of a number in the order of the machine; 1 otherwise.
    pub(super) word: u8,
    pub(super) data: Vec<u8>,
    pub(super) mask: Option<Vec<u8>>,
    /// Of which one has to be there too.
    pub(super) matches: Vec<Self>,
}

/// `<magic-deleteall>`
pub(super) fn deleting(kind: usize) -> Magic {
    let only = Match {
        start: 0,
        places: 1,
        word: 1,
        data: NO_MAGIC.as_bytes().to_vec(),
        mask: None,
        matches: Vec::new(),
    };
    Magic {
        kind,
        priority: 0,
        matches: vec![only],
        deletes: true,
    }
}

/// `<magic>`
pub(super) fn read(kind: usize, element: &Element) -> Result<Magic, String> {
    let magic = Magic {
        kind,
        priority: hundredth(element, "priority")?,
        matches: read_matches(element)?,
        deletes: false,
    };
    if magic.matches.is_empty() {
        return Err("<magic> with nothing in it".to_owned());
    }
    Ok(magic)
}

fn read_matches(parent: &Element) -> Result<Vec<Match>, String> {
    parent.elements().map(read_match).collect()
}

fn read_match(element: &Element) -> Result<Match, String> {
    if element.namespace() != Some(super::sources::NAMESPACE) || element.local_name() != "match" {
        return Err(format!("<{}> where <match> has to be", element.name));
    }
    let attribute = |name: &str| element.attribute(name).filter(|text| !text.is_empty());
    let needed = |name: &str| attribute(name).ok_or_else(|| format!("<match> without `{name}`"));
    let offset = needed("offset")?;
    let (first, last) = offset.split_once(':').unwrap_or((offset, offset));
    let [Ok(start), Ok(end)] = [first, last].map(|text| text.trim_start().parse::<u32>()) else {
        return Err(format!("`{offset}` is no offset"));
    };
    let places = end.checked_sub(start).and_then(|more| more.checked_add(1));
    let places = places.ok_or_else(|| format!("`{offset}` is no offset"))?;
    let (value, mask) = (needed("value")?, element.attribute("mask"));
    let kind = needed("type")?;
    let (data, mask) = if kind == "string" {
        let data = unescaped(value);
        let mask = mask.map(|mask| string_mask(mask, data.len())).transpose()?;
        (data, mask)
    } else {
        let size = match kind {
            "byte" => 1,
            "host16" | "big16" | "little16" => 2,
            "host32" | "big32" | "little32" => 4,
            _ => return Err(format!("`{kind}` is no type of <match>")),
        };
        let is_big = kind != "byte" && !kind.starts_with('l');
        let data = number(value, size, is_big)?;
        (data, mask.map(|mask| number(mask, size, is_big)).transpose()?)
    };
    Ok(Match {
        start,
        places,
        word: match kind {
            "host16" => 2,
            "host32" => 4,
            _ => 1,
        },
        data,
        mask,
        matches: read_matches(element)?,
    })
}

/// A number as C's `strtoul` with base 0 reads it, in as many bytes.
fn number(text: &str, size: usize, is_big: bool) -> Result<Vec<u8>, String> {
    let wrong = || format!("`{text}` is no number of {size} bytes");
    let digits = text.trim_start();
    let number = if let Some(hex) = digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X")) {
        u64::from_str_radix(hex, 16)
    } else if digits.len() > 1 && digits.starts_with('0') {
        u64::from_str_radix(digits, 8)
    } else {
        digits.parse()
    };
    let number = number.map_err(|_| wrong())?;
    // Of four bytes, what is too much is cut off.
    if size < 4 && number >> (size * 8) != 0 {
        return Err(wrong());
    }
    let mut bytes = number.to_le_bytes()[..size].to_vec();
    if is_big {
        bytes.reverse();
    }
    Ok(bytes)
}

/// The bytes of a string with C's escapes.
fn unescaped(text: &str) -> Vec<u8> {
    let text = text.as_bytes();
    let (mut bytes, mut at) = (Vec::new(), 0);
    while let Some(&byte) = text.get(at) {
        at += 1;
        if byte != b'\\' {
            bytes.push(byte);
            continue;
        }
        let Some(&escaped) = text.get(at) else {
            break;
        };
        let digits = |from: usize, most: usize, radix: u32| {
            let digits = text[from..]
                .iter()
                .take(most)
                .map_while(|digit| char::from(*digit).to_digit(radix));
            digits.fold((0, 0_u32), |(count, number), digit| (count + 1, number * radix + digit))
        };
        at += 1;
        match escaped {
            b'n' => bytes.push(b'\n'),
            b'r' => bytes.push(b'\r'),
            b'b' => bytes.push(8),
            b't' => bytes.push(b'\t'),
            b'f' => bytes.push(12),
            b'v' => bytes.push(11),
            b'0'..=b'7' => {
                let (count, number) = digits(at - 1, 3, 8);
                at += count - 1;
                bytes.push(number.to_le_bytes()[0]);
            }
            b'x' => {
                let (count, number) = digits(at, 2, 16);
                at += count;
                bytes.push(if count == 0 { b'x' } else { number.to_le_bytes()[0] });
            }
            other => bytes.push(other),
        }
    }
    bytes
}

/// The mask of a string, in base 16, filled up with zeros.
fn string_mask(text: &str, length: usize) -> Result<Vec<u8>, String> {
    let wrong = || format!("`{text}` is no mask for {length} bytes");
    let digits = text.strip_prefix("0x").ok_or_else(wrong)?;
    if digits.len() > length * 2 {
        return Err(wrong());
    }
    let mut mask = vec![0; length];
    for (at, digit) in digits.chars().enumerate() {
        let digit = digit
            .to_digit(16)
            .and_then(|digit| u8::try_from(digit).ok())
            .ok_or_else(wrong)?;
        mask[at / 2] |= if at % 2 == 0 { digit << 4 } else { digit };
    }
    Ok(mask)
}

/// The file `magic`.
pub(super) fn to_bytes(database: &Database) -> Vec<u8> {
    let mut bytes = b"MIME-Magic\0\n".to_vec();
    for magic in &database.magic {
        let line = format!("[{}:{}]\n", magic.priority, database.types[magic.kind].name);
        bytes.extend_from_slice(line.as_bytes());
        write(&magic.matches, 0, &mut bytes);
    }
    bytes
}

fn write(matches: &[Match], depth: usize, bytes: &mut Vec<u8>) {
    for part in matches {
        if depth > 0 {
            bytes.extend_from_slice(depth.to_string().as_bytes());
        }
        bytes.extend_from_slice(format!(">{}=", part.start).as_bytes());
        let length = u16::try_from(part.data.len()).unwrap_or(u16::MAX);
        bytes.extend_from_slice(&length.to_be_bytes());
        bytes.extend_from_slice(&part.data);
        if let Some(mask) = &part.mask {
            bytes.push(b'&');
            bytes.extend_from_slice(mask);
        }
        if part.word != 1 {
            bytes.extend_from_slice(format!("~{}", part.word).as_bytes());
        }
        if part.places != 1 {
            bytes.extend_from_slice(format!("+{}", part.places).as_bytes());
        }
        bytes.push(b'\n');
        write(&part.matches, depth + 1, bytes);
    }
}
