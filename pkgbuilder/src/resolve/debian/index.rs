//! The archive's `Packages` indexes, reduced to what the solver asks for.
//!
//! An index of trixie has 56 MB. What the solver needs of it is kept beside the cache's objects as a shorter
//! text under the digest of the compressed index, so only a new index is decompressed and read in full.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;

use anyhow::{Context, Result};
use computatom_spec::arch::Arch;
use deb822_fast::borrowed::{BorrowedParagraph, BorrowedParser};
use debversion::Version;

pub use super::local::LocalPackage;
use super::pins::{Offered, Pins};
use super::relation::{parse_list, parse_version};
use crate::fetch::Cache;
use crate::verify::Sha256;
use crate::{atomic, input_error, interrupt};

/// Fields that are kept, in the spelling of the archive.
const FIELDS: [&str; 14] = [
    "Package",
    "Version",
    "Architecture",
    "Essential",
    "Priority",
    "Pre-Depends",
    "Depends",
    "Recommends",
    "Provides",
    "Conflicts",
    "Breaks",
    "Filename",
    "Size",
    "SHA256",
];
/// Name of the reduced form in the cache; a new number for every change of what it holds.
const KIND: &str = "index-1";

/// The suite of packages that come from no archive.
pub const LOCAL: &str = "local";

/// How an index is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// `Packages.xz`
    Xz,
    /// `Packages.gz`
    Gzip,
    /// `Packages`
    None,
}

impl Compression {
    /// All, the best first, with the file name's ending.
    pub const ALL: [(Self, &'static str); 3] = [(Self::Xz, ".xz"), (Self::Gzip, ".gz"), (Self::None, "")];

    fn reader<'a>(self, reader: impl BufRead + 'a) -> Box<dyn Read + 'a> {
        match self {
            Self::Xz => Box::new(liblzma::bufread::XzDecoder::new(reader)),
            Self::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(reader)),
            Self::None => Box::new(reader),
        }
    }
}

/// The reduced text of one verified index file with the suite it belongs to.
#[derive(Debug)]
pub struct Text {
    /// Suite (`trixie-updates`).
    pub suite: String,
    /// The further source that it is of; `None` for Debian's own suites and for what is here already.
    pub source: Option<String>,
    content: String,
}

impl Text {
    /// Reads the index file `path` (whose digest `sha256` was checked), or its reduced form if there is one.
    pub fn load(cache: &Cache, suite: &str, path: &Path, sha256: &Sha256, compression: Compression) -> Result<Self> {
        let reduced = cache.derived(KIND, &sha256.hex())?;
        // Whatever is wrong with the reduced form, it can be made again.
        let text = if let Ok(text) = std::fs::read_to_string(&reduced) {
            text
        } else {
            let reading = || format!("reading the package index {}", path.display());
            let file = std::fs::File::open(path).with_context(reading)?;
            let text = reduce(compression.reader(BufReader::new(file))).with_context(reading)?;
            atomic::write(&reduced, text.as_bytes())?;
            text
        };
        Ok(Self {
            suite: suite.to_owned(),
            source: None,
            content: text,
        })
    }

    /// The index as one of a further source's, for machines of `arch`: others' packages, which the index of a flat
    /// repository has as well, are left out.
    #[must_use]
    pub fn of_source(self, source: &str, arch: Arch) -> Self {
        let native = format!("Architecture: {arch}");
        let fits = |stanza: &&str| {
            let mut lines = stanza.lines();
            lines.any(|line| line == native || line == "Architecture: all")
        };
        let kept: Vec<&str> = self.content.split_inclusive("\n\n").filter(fits).collect();
        Self {
            source: Some(source.to_owned()),
            content: kept.concat(),
            ..self
        }
    }

    fn stanzas(&self) -> Result<Vec<BorrowedParagraph<'_>>> {
        BorrowedParser::new(&self.content)
            .parse_all()
            .map_err(|error| input_error!("the package index of {} cannot be read: {error}", self.suite))
    }

    /// An index of packages that are here already: of their control stanzas what [`Index`] reads, and in place of a
    /// file nothing.
    pub fn of_local(packages: &[LocalPackage]) -> Self {
        let mut text = String::new();
        let nothing = "0".repeat(64);
        for package in packages {
            let own = [
                ("Package", package.name.as_str()),
                ("Version", &package.version),
                ("Architecture", &package.architecture),
                ("Filename", "-"),
                ("Size", "0"),
                ("SHA256", &nothing),
            ];
            let relations = package.relations.iter();
            let relations = relations.map(|(field, value)| (field.as_str(), value.as_str()));
            for (field, value) in own.into_iter().chain(relations) {
                text.extend([field, ": ", value, "\n"]);
            }
            text.push('\n');
        }
        Self {
            suite: LOCAL.to_owned(),
            source: None,
            content: text,
        }
    }
}

/// Keeps the fields that are needed, each on one line, stanzas ended by an empty line.
fn reduce(index: impl Read) -> Result<String> {
    let mut lines = BufReader::with_capacity(256 << 10, index);
    let mut reduced = Vec::new();
    let mut line = Vec::new();
    let mut kept = false;
    loop {
        line.clear();
        if lines.read_until(b'\n', &mut line)? == 0 {
            break;
        }
        let content = line.trim_ascii_end();
        match content.first() {
            None => {
                interrupt::check()?;
                kept = false;
                if !reduced.ends_with(b"\n\n") {
                    reduced.push(b'\n');
                }
            }
            Some(b' ' | b'\t') if kept => {
                reduced.pop();
                reduced.push(b' ');
                reduced.extend_from_slice(content.trim_ascii_start());
                reduced.push(b'\n');
            }
            Some(b' ' | b'\t') => {}
            Some(_) => {
                let colon = content.iter().position(|byte| *byte == b':');
                let name = colon.map_or(b"".as_slice(), |colon| &content[..colon]);
                kept = FIELDS.iter().any(|field| field.as_bytes().eq_ignore_ascii_case(name));
                if kept {
                    writeln!(reduced, "{}", String::from_utf8_lossy(content))?;
                }
            }
        }
    }
    Ok(String::from_utf8(reduced)?)
}

/// A package of the archive, borrowed from a [`Text`].
#[derive(Clone, Debug)]
pub struct Package<'a> {
    /// Name.
    pub name: &'a str,
    /// Version.
    pub version: Version,
    /// Version as written.
    pub version_text: &'a str,
    /// `Architecture`, `all` included.
    pub architecture: &'a str,
    /// Suite it is in.
    pub suite: &'a str,
    /// The further source that it is of; `None` for Debian's own suites.
    pub source: Option<&'a str>,
    /// Whether no pin takes it: see [`Index::relaxed`].
    pub unpinned: bool,
    /// `Essential: yes`
    pub essential: bool,
    /// Rank of its `Priority`: 0 is `required`.
    pub priority: u8,
    /// `Pre-Depends` and `Depends`, unparsed.
    pub depends: [&'a str; 2],
    /// `Recommends`, unparsed.
    pub recommends: &'a str,
    /// `Conflicts` and `Breaks`, unparsed.
    pub conflicts: [&'a str; 2],
    /// `Filename`
    pub filename: &'a str,
    /// `Size`
    pub size: u64,
    /// `SHA256`
    pub sha256: &'a str,
}

/// Something that a package provides.
#[derive(Clone, Debug)]
pub struct Provision {
    /// Index of the package.
    pub package: usize,
    /// Version of what is provided, if it has one.
    pub version: Option<Version>,
}

/// All packages that can be installed, by name and by what they provide.
#[derive(Debug, Default)]
pub struct Index<'a> {
    /// The packages; other tables refer to places in here.
    pub packages: Vec<Package<'a>>,
    /// By name, newest version first, and what no pin takes behind all others.
    pub by_name: HashMap<&'a str, Vec<usize>>,
    /// By provided name, in the order of the packages.
    pub provided: HashMap<&'a str, Vec<Provision>>,
    /// What the further sources have, whether it is taken or not.
    pub offered: Offered<'a>,
}

impl<'a> Index<'a> {
    /// Joins index texts; of the same version in several suites the later text counts. Of further sources nothing is taken.
    pub fn new(texts: &'a [Text]) -> Result<Self> {
        Self::pinned(texts, &Pins::default())
    }

    /// As [`Index::new`], with what `pins` take from further sources in place of what Debian has.
    pub fn pinned(texts: &'a [Text], pins: &Pins) -> Result<Self> {
        Self::build(texts, pins, false)
    }

    /// As [`Index::pinned`], and behind all that, as if there were nothing better, what no pin takes.
    pub fn relaxed(texts: &'a [Text], pins: &Pins) -> Result<Self> {
        Self::build(texts, pins, true)
    }

    fn build(texts: &'a [Text], pins: &Pins, relaxed: bool) -> Result<Self> {
        let mut index = Self::default();
        let reading = |text: &Text| match &text.source {
            Some(source) => format!("reading the package index of {} (apt source `{source}`)", text.suite),
            None => format!("reading the package index of {}", text.suite),
        };
        // Before Debian's own: which of those count depends on what the further sources have.
        let mut further = Vec::new();
        for text in texts {
            let Some(source) = &text.source else { continue };
            for stanza in &text.stanzas()? {
                let (package, provides) = read(text, stanza).with_context(|| reading(text))?;
                index.offered.add(package.name, source);
                further.push((package, provides));
            }
        }
        for text in texts.iter().filter(|text| text.source.is_none()) {
            for stanza in &text.stanzas()? {
                let (package, provides) = read(text, stanza).with_context(|| reading(text))?;
                // What is here already is taken, whatever the pins say.
                if text.suite == LOCAL || index.offered.admits(pins, package.name, None) {
                    index.add(package, provides).with_context(|| reading(text))?;
                }
            }
        }
        let (taken, left): (Vec<_>, Vec<_>) = further
            .into_iter()
            .partition(|(package, _)| index.offered.admits(pins, package.name, package.source));
        for (package, provides) in taken {
            index.add(package, provides)?;
        }
        if relaxed {
            for (mut package, provides) in left {
                package.unpinned = true;
                index.add(package, provides)?;
            }
        }
        let Self { packages, by_name, .. } = &mut index;
        for versions in by_name.values_mut() {
            versions.sort_by(|a, b| {
                let (a, b) = (&packages[*a], &packages[*b]);
                (a.unpinned.cmp(&b.unpinned)).then_with(|| b.version.cmp(&a.version))
            });
        }
        Ok(index)
    }

    fn add(&mut self, package: Package<'a>, provides: &'a str) -> Result<()> {
        let versions = self.by_name.entry(package.name).or_default();
        let same = versions
            .iter()
            .copied()
            .find(|&at| self.packages[at].version == package.version);
        if let Some(at) = same {
            // Equal versions are equal packages: what they provide is known already.
            if !package.unpinned {
                self.packages[at] = package;
            }
            return Ok(());
        }
        let at = self.packages.len();
        versions.push(at);
        for clause in parse_list(provides).with_context(|| format!("reading what {} provides", package.name))? {
            for relation in clause {
                self.provided.entry(relation.name).or_default().push(Provision {
                    package: at,
                    version: relation.version.map(|(_, version)| version),
                });
            }
        }
        self.packages.push(package);
        Ok(())
    }
}

/// Reads one stanza: the package and its `Provides`.
fn read<'a>(index: &'a Text, stanza: &BorrowedParagraph<'a>) -> Result<(Package<'a>, &'a str)> {
    let mut values: [Option<&'a str>; FIELDS.len()] = [None; FIELDS.len()];
    for field in stanza.iter() {
        if let Some(at) = FIELDS.iter().position(|name| name.eq_ignore_ascii_case(field.name())) {
            values[at] = field.as_single_line();
        }
    }
    let name = values[0].ok_or_else(|| input_error!("a package has no name"))?;
    let field = |at: usize| values[at].ok_or_else(|| input_error!("package {name} has no {}", FIELDS[at]));
    let text = |at: usize| values[at].unwrap_or_default();
    let package = Package {
        name,
        version: parse_version(field(1)?)?,
        version_text: field(1)?,
        architecture: field(2)?,
        suite: &index.suite,
        source: index.source.as_deref(),
        unpinned: false,
        essential: text(3) == "yes",
        priority: rank(text(4)),
        depends: [text(5), text(6)],
        recommends: text(7),
        conflicts: [text(9), text(10)],
        filename: field(11)?,
        size: field(12)?
            .parse()
            .map_err(|_| input_error!("package {name} has the size `{}`", text(12)))?,
        sha256: field(13)?,
    };
    Ok((package, text(8)))
}

/// Priorities in the order of Debian Policy 2.5.
fn rank(priority: &str) -> u8 {
    match priority {
        "required" => 0,
        "important" => 1,
        "standard" => 2,
        "optional" => 3,
        _ => 4,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const STANZA: &str = "Package: a\nVersion: 1\nInstalled-Size: 3\nArchitecture: all\nDescription: x\n more\n\
                          Depends: b,\n c\nProvides: v (= 2), w\nFilename: pool/a.deb\nSize: 5\nSHA256: 00\n\n";

    fn text(suite: &str, index: &str) -> Text {
        Text {
            suite: suite.to_owned(),
            source: None,
            content: reduce(index.as_bytes()).unwrap(),
        }
    }

    #[test]
    fn only_what_is_needed_is_kept() {
        assert_eq!(
            reduce(STANZA.as_bytes()).unwrap(),
            "Package: a\nVersion: 1\nArchitecture: all\nDepends: b, c\nProvides: v (= 2), w\n\
             Filename: pool/a.deb\nSize: 5\nSHA256: 00\n\n"
        );
    }

    #[test]
    fn newest_first_and_the_later_suite_for_the_same_version() {
        let texts = [
            text("one", STANZA),
            text("two", &STANZA.replace("Version: 1", "Version: 1.10")),
            text("three", &STANZA.replace("Version: 1", "Version: 1.9")),
            text("four", STANZA),
        ];
        let index = Index::new(&texts).unwrap();
        let found: Vec<_> = index.by_name["a"]
            .iter()
            .map(|at| (index.packages[*at].suite, index.packages[*at].version_text))
            .collect();
        assert_eq!(found, [("two", "1.10"), ("three", "1.9"), ("four", "1")]);
        assert_eq!(index.provided["v"].len(), 3);
        assert_eq!(index.provided["v"][0].version, Some("2".parse().unwrap()));
        assert_eq!(index.provided["w"][0].version, None);
    }

    #[test]
    fn a_line_without_a_colon_is_no_field() {
        assert_eq!(reduce(&b"Package\n !\nSize: 1\n"[..]).unwrap(), "Size: 1\n");
    }

    #[test]
    fn a_stanza_without_a_digest_is_refused() {
        let texts = [text("one", &STANZA.replace("SHA256", "MD5sum"))];
        let error = format!("{:#}", Index::new(&texts).unwrap_err());
        assert!(error.contains("package a has no SHA256"), "{error}");
    }

    proptest! {
        #[test]
        fn no_index_makes_it_panic(lines in proptest::collection::vec("(Package|Provides|Size|X)?:? ?[ -~\t]{0,20}|\\PC{0,5}", 0..20)) {
            let index = lines.join("\n");
            let reduced = reduce(index.as_bytes()).unwrap();
            let texts = [Text { suite: "one".to_owned(), source: None, content: reduced.clone() }];
            let _ = Index::new(&texts);
            prop_assert_eq!(reduce(reduced.as_bytes()).unwrap(), reduced);
        }
    }
}
