//! The layout of `/etc/ld.so.cache` (glibc's `dl-cache.h`): header, entries, strings, extensions.

use std::collections::{BTreeSet, HashMap};

use anyhow::{Context as _, Result};

use super::Entry;

const MAGIC: &[u8] = b"glibc-ld.so.cache1.1";
const EXTENSION_MAGIC: u32 = 0xeaa4_2174;
/// `cache_file_new_flags_endian_little`
const LITTLE_ENDIAN: u8 = 2;
/// `DL_CACHE_HWCAP_EXTENSION`
const HWCAP_EXTENSION: u64 = 1 << 62;
pub(super) const HEADER_SIZE: usize = 48;
pub(super) const ENTRY_SIZE: usize = 24;

/// A string table in which a string that ends another one shares its bytes.
fn strings(wanted: &BTreeSet<&str>) -> (Vec<u8>, HashMap<String, usize>) {
    let mut sorted: Vec<&str> = wanted.iter().copied().collect();
    // Reversed strings in reverse order, longer ones first.
    sorted.sort_by(|a, b| {
        let (a, b) = (a.bytes().rev(), b.bytes().rev());
        b.cmp(a)
    });
    let mut table: Vec<u8> = Vec::new();
    let mut offsets = HashMap::new();
    let mut previous: (&str, usize) = ("", 0);
    for (index, text) in sorted.into_iter().enumerate() {
        let offset = if index > 0 && previous.0.ends_with(text) {
            previous.1 + previous.0.len() - text.len()
        } else {
            let offset = table.len();
            table.extend_from_slice(text.as_bytes());
            table.push(0);
            offset
        };
        offsets.insert(text.to_owned(), offset);
        previous = (text, offset);
    }
    (table, offsets)
}

/// The file. `wanted` are the names of all hwcaps subdirectories: they are among the strings even if nothing is in them.
pub(super) fn encode<'a>(entries: &'a [Entry], mut wanted: BTreeSet<&'a str>, generator: &[u8]) -> Result<Vec<u8>> {
    let hwcaps: BTreeSet<&str> = entries.iter().filter_map(|entry| entry.hwcaps.as_deref()).collect();
    for entry in entries {
        wanted.extend([entry.soname.as_str(), entry.path.as_str()]);
    }
    let (table, offsets) = strings(&wanted);
    let base = HEADER_SIZE + entries.len() * ENTRY_SIZE;
    let place = |text: &str| number(base + offsets[text]);
    let extensions = (base + table.len()).next_multiple_of(4);
    let mut out = MAGIC.to_vec();
    out.extend(number(entries.len())?.to_le_bytes());
    out.extend(number(table.len())?.to_le_bytes());
    out.extend([LITTLE_ENDIAN, 0, 0, 0]);
    out.extend(number(extensions)?.to_le_bytes());
    out.resize(HEADER_SIZE, 0);
    for entry in entries {
        let index = entry
            .hwcaps
            .as_deref()
            .and_then(|name| hwcaps.iter().position(|known| *known == name));
        let hwcap = index.map_or(0, |index| HWCAP_EXTENSION | index as u64);
        out.extend(entry.flags.to_le_bytes());
        out.extend(place(&entry.soname)?.to_le_bytes());
        out.extend(place(&entry.path)?.to_le_bytes());
        out.extend(0_u32.to_le_bytes());
        out.extend(hwcap.to_le_bytes());
    }
    out.extend(table);
    out.resize(extensions, 0);
    // The directory of extensions: generator, and the hwcaps names if there are any.
    let sections: u32 = if hwcaps.is_empty() { 1 } else { 2 };
    let names_at = number(extensions)? + 8 + 16 * sections;
    let names_size = number(hwcaps.len() * 4)?;
    out.extend(EXTENSION_MAGIC.to_le_bytes());
    out.extend(sections.to_le_bytes());
    for field in [0, 0, names_at + names_size, number(generator.len())?] {
        out.extend(field.to_le_bytes());
    }
    if !hwcaps.is_empty() {
        for field in [1, 0, names_at, names_size] {
            out.extend(field.to_le_bytes());
        }
    }
    for name in &hwcaps {
        out.extend(place(name)?.to_le_bytes());
    }
    out.extend_from_slice(generator);
    Ok(out)
}

fn number(value: usize) -> Result<u32> {
    u32::try_from(value).context("measuring the cache: it is larger than 4 GiB")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_share_suffixes() {
        let (table, offsets) = strings(&BTreeSet::from(["libc.so", "/lib/libc.so", "x"]));
        assert_eq!(table, b"x\0/lib/libc.so\0");
        assert_eq!(offsets["libc.so"], offsets["/lib/libc.so"] + 5);
    }
}
