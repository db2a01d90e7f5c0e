//! The tables behind the directories: fragments, owners, extended attributes.

use std::collections::BTreeMap;

use anyhow::{Result, bail};

use super::blocks::Fragment;
use super::metadata::Table;
use super::{NO_TABLE, Output};

/// Extended attributes in the order their sets were first seen.
#[derive(Default)]
pub(super) struct Xattrs {
    sets: Vec<BTreeMap<String, Vec<u8>>>,
    index: BTreeMap<Vec<(String, Vec<u8>)>, u32>,
}

/// Says that an inode has no extended attributes.
pub(super) const NO_XATTRS: u32 = u32::MAX;

impl Xattrs {
    /// The number of a set, equal sets sharing one.
    pub(super) fn number(&mut self, set: &BTreeMap<String, Vec<u8>>) -> u32 {
        if set.is_empty() {
            return NO_XATTRS;
        }
        let key: Vec<(String, Vec<u8>)> = set.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
        let next = u32::try_from(self.sets.len()).expect("fewer sets than inodes");
        let number = *self.index.entry(key).or_insert(next);
        if number == next {
            self.sets.push(set.clone());
        }
        number
    }
}

/// Writes the fragment table and returns where its index begins.
pub(super) fn write_fragments(out: &mut Output<'_>, fragments: &[Fragment], level: i32) -> Result<u64> {
    let mut table = Table::new(level)?;
    for fragment in fragments {
        table.write(&fragment.start.to_le_bytes())?;
        table.write(&fragment.size.to_le_bytes())?;
        table.write(&0_u32.to_le_bytes())?;
    }
    write_indexed(out, table)
}

/// Writes the table of owners and groups.
pub(super) fn write_ids(out: &mut Output<'_>, ids: &[u32], level: i32) -> Result<u64> {
    let mut table = Table::new(level)?;
    for id in ids {
        table.write(&id.to_le_bytes())?;
    }
    write_indexed(out, table)
}

/// Writes names and values, the table of sets, and its index.
pub(super) fn write_xattrs(out: &mut Output<'_>, xattrs: &Xattrs, level: i32) -> Result<u64> {
    if xattrs.sets.is_empty() {
        return Ok(NO_TABLE);
    }
    let mut pairs = Table::new(level)?;
    let mut sets = Table::new(level)?;
    for set in &xattrs.sets {
        let (block, offset) = pairs.position();
        let mut size = 0;
        for (name, value) in set {
            let entry = encode_xattr(name, value)?;
            size += entry.len();
            pairs.write(&entry)?;
        }
        sets.write(&(block << 16 | u64::from(offset)).to_le_bytes())?;
        sets.write(&u32::try_from(set.len())?.to_le_bytes())?;
        sets.write(&u32::try_from(size)?.to_le_bytes())?;
    }
    let pairs_start = out.position;
    out.write(&pairs.finish()?.0)?;
    let sets_start = out.position;
    let (bytes, starts) = sets.finish()?;
    out.write(&bytes)?;
    let header = out.position;
    out.write(&pairs_start.to_le_bytes())?;
    out.write(&u32::try_from(xattrs.sets.len())?.to_le_bytes())?;
    out.write(&0_u32.to_le_bytes())?;
    for start in starts {
        out.write(&(sets_start + start).to_le_bytes())?;
    }
    Ok(header)
}

/// One name and value; the name's prefix is a number.
fn encode_xattr(name: &str, value: &[u8]) -> Result<Vec<u8>> {
    let (kind, rest) = match name.split_once('.') {
        Some(("user", rest)) => (0_u16, rest),
        Some(("trusted", rest)) => (1, rest),
        Some(("security", rest)) => (2, rest),
        _ => bail!("squashfs has no place for the extended attribute `{name}` (only user., trusted., security.)"),
    };
    let mut entry = kind.to_le_bytes().to_vec();
    entry.extend(u16::try_from(rest.len())?.to_le_bytes());
    entry.extend_from_slice(rest.as_bytes());
    entry.extend(u32::try_from(value.len())?.to_le_bytes());
    entry.extend_from_slice(value);
    Ok(entry)
}

/// A table's blocks and, behind them, their positions: that index is what the superblock points to.
fn write_indexed(out: &mut Output<'_>, table: Table) -> Result<u64> {
    let (bytes, starts) = table.finish()?;
    let base = out.position;
    out.write(&bytes)?;
    let index = out.position;
    for start in starts {
        out.write(&(base + start).to_le_bytes())?;
    }
    Ok(index)
}
