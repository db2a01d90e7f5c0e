//! `Packages`, one for each architecture.

use std::io::Write;

use anyhow::{Context, Result};
use liblzma::stream::{Check, Filters, LzmaOptions, Stream};
use liblzma::write::XzEncoder;

use super::listing::Listed;

/// xz preset: Debian's default, and an index is small.
const PRESET: u32 = 6;

/// The stanzas of the packages that a machine of `architecture` can install: its own and those for all.
pub(super) fn text(packages: &[Listed], architecture: &str) -> String {
    let stanzas: Vec<&str> = packages
        .iter()
        .filter(|listed| listed.architecture == architecture || listed.architecture == "all")
        .map(|listed| listed.stanza.as_str())
        .collect();
    let mut text = stanzas.join("\n");
    if !text.is_empty() {
        text.push('\n');
    }
    text
}

/// An encoder for `length` bytes. A dictionary that is no larger than them costs nothing in size, and spares a small index
/// the preset's own of 8 MiB with its tables.
fn xz(length: usize) -> Result<Stream> {
    let mut options = LzmaOptions::new_preset(PRESET)?;
    let length = u32::try_from(length).unwrap_or(u32::MAX);
    options.dict_size(length.clamp(4 << 10, 8 << 20));
    Ok(Stream::new_stream_encoder(
        Filters::new().lzma2(&options),
        Check::Crc64,
    )?)
}

/// The index in each form that it is offered in, with the ending of its name; the same text gives the same bytes.
pub(super) fn compressed(text: &str) -> Result<[(&'static str, Vec<u8>); 3]> {
    let compressing = "compressing a package index";
    // No name and no time stamp, which gzip would otherwise hold.
    let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    gz.write_all(text.as_bytes()).context(compressing)?;
    let mut xz = XzEncoder::new_stream(Vec::new(), xz(text.len()).context(compressing)?);
    xz.write_all(text.as_bytes()).context(compressing)?;
    Ok([
        ("", text.as_bytes().to_vec()),
        (".gz", gz.finish().context(compressing)?),
        (".xz", xz.finish().context(compressing)?),
    ])
}
