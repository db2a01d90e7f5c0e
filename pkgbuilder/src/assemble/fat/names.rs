//! Names in a FAT directory: eleven bytes in capitals, and long names in entries of their own before them.

use std::collections::BTreeSet;

use anyhow::{Result, bail};

/// The base is shown in small letters (an extension of Windows NT that Linux and the Pi's firmware know).
const LOWER_BASE: u8 = 0x08;
/// The extension is shown in small letters.
const LOWER_EXTENSION: u8 = 0x10;
const ATTRIBUTE_LONG: u8 = 0x0f;
/// UTF-16 units of a long name in one entry.
const UNITS: usize = 13;

/// One name as it is stored.
pub(super) struct Encoded {
    pub(super) short: [u8; 11],
    /// The case of the short name.
    pub(super) case: u8,
    /// The long name's entries; empty where the short name says it all.
    pub(super) long: Vec<u8>,
}

/// The names of one folder, in the order given.
pub(super) struct Names(Vec<Encoded>);

impl Names {
    pub(super) fn new<'n>(names: impl Iterator<Item = &'n str> + Clone) -> Result<Self> {
        let mut taken: BTreeSet<[u8; 11]> = names.clone().filter_map(short).map(|(short, _)| short).collect();
        let mut seen = BTreeSet::new();
        let mut encoded = Vec::new();
        for name in names {
            let forbidden = |c: char| c.is_control() || "\"*/:<>?\\|".contains(c);
            if name.is_empty() || name.ends_with(['.', ' ']) || name.len() > 255 || name.contains(forbidden) {
                bail!("`{name}` is not a name that a FAT file system can hold");
            }
            if !seen.insert(name.to_lowercase()) {
                bail!("`{name}` differs from another name in its folder by case only, which FAT does not tell apart");
            }
            encoded.push(if let Some((short, case)) = short(name) {
                Encoded {
                    short,
                    case,
                    long: Vec::new(),
                }
            } else {
                let short = alias(name, &taken)?;
                taken.insert(short);
                Encoded {
                    short,
                    case: 0,
                    long: long(name, &short),
                }
            });
        }
        Ok(Self(encoded))
    }

    /// Directory entries that all names take together.
    pub(super) fn entries(&self) -> usize {
        self.0.iter().map(|name| 1 + name.long.len() / super::ENTRY).sum()
    }

    pub(super) fn encoded(&self) -> &[Encoded] {
        &self.0
    }
}

/// A name that fits eight and three characters, each part in one case.
fn short(name: &str) -> Option<([u8; 11], u8)> {
    let (base, extension) = name.rsplit_once('.').unwrap_or((name, ""));
    let fits = |part: &str, length: usize| part.len() <= length && part.bytes().all(allowed);
    if base.is_empty() || !fits(base, 8) || !fits(extension, 3) || name.ends_with('.') {
        return None;
    }
    let mut case = 0;
    for (part, flag) in [(base, LOWER_BASE), (extension, LOWER_EXTENSION)] {
        let lower = part.bytes().any(|byte| byte.is_ascii_lowercase());
        if lower && part.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return None;
        }
        case |= if lower { flag } else { 0 };
    }
    Some((padded(base, extension), case))
}

fn allowed(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"$%'-_@~`!(){}^#&".contains(&byte)
}

fn padded(base: &str, extension: &str) -> [u8; 11] {
    let mut name = [b' '; 11];
    for (to, from) in name[..8].iter_mut().zip(base.bytes()) {
        *to = from.to_ascii_uppercase();
    }
    for (to, from) in name[8..].iter_mut().zip(extension.bytes()) {
        *to = from.to_ascii_uppercase();
    }
    name
}

/// The short name beside a long one: `BCM271~1.DTB` (specification, page 31).
fn alias(name: &str, taken: &BTreeSet<[u8; 11]>) -> Result<[u8; 11]> {
    let (base, extension) = name.rsplit_once('.').unwrap_or((name, ""));
    let clean = |part: &str| -> String {
        part.chars()
            .filter(|c| !matches!(c, ' ' | '.'))
            .map(|c| match u8::try_from(c) {
                Ok(byte) if allowed(byte) => c,
                _ => '_',
            })
            .collect()
    };
    let (base, extension) = (clean(base), clean(extension));
    (1..1_000_000_u32)
        .map(|number| {
            let tail = format!("~{number}");
            let kept = base.len().min(8 - tail.len());
            padded(&format!("{}{tail}", &base[..kept]), &extension)
        })
        .find(|short| !taken.contains(short))
        .ok_or_else(|| anyhow::anyhow!("`{name}` has too many neighbours with similar names for FAT"))
}

/// The entries of a long name, its end first (specification, page 28).
fn long(name: &str, short: &[u8; 11]) -> Vec<u8> {
    let checksum = short
        .iter()
        .fold(0_u8, |sum, byte| sum.rotate_right(1).wrapping_add(*byte));
    let mut units: Vec<u16> = name.encode_utf16().collect();
    if !units.len().is_multiple_of(UNITS) {
        units.push(0);
        units.resize(units.len().next_multiple_of(UNITS), 0xffff);
    }
    let count = units.len() / UNITS;
    let mut entries = Vec::new();
    for (index, part) in units.chunks(UNITS).enumerate().rev() {
        let order = u8::try_from(index + 1).expect("at most 255 characters");
        let mut entry = [0; super::ENTRY];
        entry[0] = if index + 1 == count { 0x40 | order } else { order };
        entry[11] = ATTRIBUTE_LONG;
        entry[13] = checksum;
        let places = (1..11).step_by(2).chain((14..26).step_by(2)).chain([28, 30]);
        for (place, unit) in places.zip(part) {
            entry[place..place + 2].copy_from_slice(&unit.to_le_bytes());
        }
        entries.extend(entry);
    }
    entries
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_names_keep_their_case_long_ones_get_an_alias() {
        let list = [
            "README",
            "autoboot.txt",
            "bcm2710-rpi-3-b-plus.dtb",
            "bcm2710-rpi-3-b.dtb",
            "fixup4.dat",
            "Mixed.txt",
        ];
        let names = Names::new(list.into_iter()).unwrap();
        let short: Vec<String> = names
            .encoded()
            .iter()
            .map(|name| String::from_utf8(name.short.to_vec()).unwrap())
            .collect();
        assert_eq!(
            short,
            [
                "README     ",
                "AUTOBOOTTXT",
                "BCM271~1DTB",
                "BCM271~2DTB",
                "FIXUP4  DAT",
                "MIXED~1 TXT"
            ]
        );
        assert_eq!(names.encoded()[1].case, LOWER_BASE | LOWER_EXTENSION);
        assert_eq!(names.entries(), 6 + 2 + 2 + 1);
    }

    #[test]
    fn impossible_names_are_refused() {
        for wrong in [vec!["a:b"], vec!["dot."], vec!["config.txt", "CONFIG.TXT"], vec![""]] {
            assert!(Names::new(wrong.iter().copied()).is_err(), "{wrong:?}");
        }
    }
}
