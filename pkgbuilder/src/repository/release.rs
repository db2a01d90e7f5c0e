//! `Release`: what the repository is, and the digest of each index.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use super::{COMPONENT, SUITE};
use crate::package::date::ReleaseDate;
use crate::verify::Sha256;
use crate::verify::release::parse_date;

/// How we know our own.
const ORIGIN: &str = "Origin: Computatom\n";

/// Digest and size of an index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sum {
    pub(super) sha256: Sha256,
    pub(super) size: usize,
}

impl Sum {
    pub(super) fn of(content: &[u8]) -> Self {
        Self {
            sha256: Sha256::of(content),
            size: content.len(),
        }
    }
}

/// What a `Release` says.
#[derive(Clone, Debug)]
pub(super) struct Release {
    pub(super) architectures: BTreeSet<String>,
    /// By path below the suite's folder.
    pub(super) sums: BTreeMap<String, Sum>,
}

impl Release {
    /// The text, and its `Date` in seconds since 1970.
    ///
    /// The date is that of the newest package, so that equal folders give equal bytes. apt ignores a `Release` older than
    /// the one it has: one that differs from `before` is younger than that by at least a second, one that does not keeps
    /// its date.
    pub(super) fn render(&self, newest: i64, before: Option<&str>) -> (String, i64) {
        let date = match before.and_then(|before| Some((before, date_of(before)?))) {
            Some((before, date)) if self.text(date) == before => date,
            Some((_, date)) => newest.max(date + 1),
            None => newest,
        };
        (self.text(date), date)
    }

    fn text(&self, date: i64) -> String {
        let architectures: Vec<&str> = self.architectures.iter().map(String::as_str).collect();
        let mut text = format!(
            "{ORIGIN}Label: Computatom\nSuite: {SUITE}\nCodename: {SUITE}\nDate: {}\nAcquire-By-Hash: yes\n\
             Architectures: {}\nComponents: {COMPONENT}\nDescription: packages made by pkgbuilder\nSHA256:\n",
            ReleaseDate(date),
            architectures.join(" "),
        );
        for (path, Sum { sha256, size }) in &self.sums {
            writeln!(text, " {sha256} {size} {path}").expect("a string takes all");
        }
        text
    }
}

/// Whether a `Release` is one that we wrote.
pub(super) fn is_ours(text: &str) -> bool {
    text.starts_with(ORIGIN)
}

fn date_of(text: &str) -> Option<i64> {
    let line = text.lines().find_map(|line| line.strip_prefix("Date: "))?;
    parse_date(line).ok()
}

/// The text inside an `InRelease`, whoever signed it.
pub(super) fn signed_text(message: &str) -> Option<String> {
    let (_, rest) = message.split_once("\n\n")?;
    let (text, _) = rest.split_once("-----BEGIN PGP SIGNATURE-----")?;
    Some(format!("{}\n", text.trim_end()))
}

/// The digests that a `Release` names.
pub(super) fn digests(text: &str) -> BTreeSet<&str> {
    let words = text
        .lines()
        .filter_map(|line| line.strip_prefix(' ')?.split(' ').next());
    words.filter(|word| is_digest(word)).collect()
}

/// Whether a name is the hex of a SHA-256 digest, as in `by-hash/SHA256`.
pub(super) fn is_digest(name: &str) -> bool {
    name.len() == 64 && name.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}
