//! The common `ar` format, as far as `deb(5)` uses it: short names, no symbol table.

use anyhow::{Result, bail};
use bytes::Bytes;

const MAGIC: &[u8] = b"!<arch>\n";
const HEADER: usize = 60;

/// The members of an archive with their contents, which share the memory of `bytes`.
pub(super) fn members(bytes: &Bytes) -> Result<Vec<(String, Bytes)>> {
    if !bytes.starts_with(MAGIC) {
        bail!("not an ar archive");
    }
    let mut found = Vec::new();
    let mut at = MAGIC.len();
    while at < bytes.len() {
        let Some(header) = bytes.get(at..at + HEADER) else {
            bail!("cut short in the header of member {}", found.len() + 1);
        };
        if header[58..] != *b"`\n" {
            bail!("damaged header of member {}", found.len() + 1);
        }
        let text = |range: std::ops::Range<usize>| std::str::from_utf8(&header[range]).map(str::trim_end);
        let (Ok(name), Ok(size)) = (text(0..16), text(48..58)) else {
            bail!("damaged header of member {}", found.len() + 1);
        };
        let Ok(size) = size.parse::<usize>() else {
            bail!("member `{name}` has the size `{size}`, which is not a number");
        };
        at += HEADER;
        if bytes.len() - at < size {
            bail!("cut short in member `{name}`");
        }
        // GNU ar writes a slash behind names; dpkg-deb does not, but reads it.
        found.push((
            name.strip_suffix('/').unwrap_or(name).to_owned(),
            bytes.slice(at..at + size),
        ));
        at += size + size % 2;
    }
    Ok(found)
}
