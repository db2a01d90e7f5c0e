//! Which bytes of an image have to be on a card: those that its `.bmap` names, or all of them.
//!
//! Without a map zeros count too. The free entries of a FAT are zeros, and so is much of what ext4 believes without
//! looking: where a card has been used before, holes left alone would be what somebody else had stored there.

use std::ops::Range;

use anyhow::Result;

use crate::bail_input;
use crate::verify::Sha256;

/// Bytes to write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mapped {
    /// Where they are, in the image and on the card.
    pub range: Range<u64>,
    /// What they are, where the map says it.
    pub digest: Option<Sha256>,
}

/// A block map.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Map {
    /// Size of the image it is for.
    pub size: u64,
    /// In order, apart from each other.
    pub ranges: Vec<Mapped>,
}

impl Map {
    /// All of an image of `size` bytes.
    pub fn whole(size: u64) -> Self {
        let everything = Mapped {
            range: 0..size,
            digest: None,
        };
        Self {
            size,
            ranges: if size > 0 { vec![everything] } else { Vec::new() },
        }
    }

    /// Adds what of a range is in no range yet.
    pub(super) fn add(&mut self, range: Range<u64>) {
        let mut gaps = Vec::new();
        let mut at = range.start;
        for mapped in self.ranges.iter().filter(|mapped| mapped.range.end > range.start) {
            if mapped.range.start >= range.end {
                break;
            }
            gaps.push(at..mapped.range.start);
            at = mapped.range.end;
        }
        gaps.push(at..range.end.min(self.size));
        let gaps = gaps.into_iter().filter(|gap| !gap.is_empty());
        self.ranges.extend(gaps.map(|range| Mapped { range, digest: None }));
        self.ranges.sort_by_key(|mapped| mapped.range.start);
    }

    /// Bytes to write.
    pub fn total(&self) -> u64 {
        self.ranges
            .iter()
            .map(|mapped| mapped.range.end - mapped.range.start)
            .sum()
    }

    /// The parts of `window` that are to be written.
    pub fn within(&self, window: &Range<u64>) -> impl Iterator<Item = Range<u64>> {
        let from = self.ranges.partition_point(|mapped| mapped.range.end <= window.start);
        let (start, end) = (window.start, window.end);
        self.ranges[from..]
            .iter()
            .map(move |mapped| mapped.range.start.max(start)..mapped.range.end.min(end))
            .take_while(move |range| range.start < end)
    }

    /// Reads a `.bmap` of version 1.2 or newer (github.com/yoctoproject/bmaptool).
    ///
    /// # Errors
    ///
    /// What is not one, or damaged by its own checksum, is wrong input.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        let Ok(text) = std::str::from_utf8(bytes) else {
            bail_input!("it is not text");
        };
        let plain = without_comments(text);
        let sha256 = matches!(element(&plain, "ChecksumType"), Some("sha256"));
        if sha256 && let Some(own) = element(&plain, "BmapFileChecksum") {
            let unsigned = text.replacen(own, &"0".repeat(own.len()), 1);
            if Sha256::of(unsigned.as_bytes()).hex() != own {
                bail_input!("its own checksum says that it was damaged or changed");
            }
        }
        let number = |name: &str| element(&plain, name).and_then(|number| number.parse::<u64>().ok());
        let (Some(size), Some(block)) = (number("ImageSize"), number("BlockSize")) else {
            bail_input!("it has no ImageSize and BlockSize, so it is no block map");
        };
        if !block.is_multiple_of(512) || block == 0 || block > 1 << 30 {
            bail_input!("its blocks have {block} bytes, which is no multiple of 512");
        }
        let mut ranges: Vec<Mapped> = Vec::new();
        for (attributes, blocks) in elements(&plain, "Range") {
            let Some(range) = extent(blocks, block, size) else {
                bail_input!("its range `{}` lies outside the image", blocks.trim());
            };
            if ranges.last().is_some_and(|last| last.range.end > range.start) {
                bail_input!("its range `{}` is not behind the one before it", blocks.trim());
            }
            let digest = attribute(attributes, "chksum").filter(|_| sha256);
            let digest = digest.map(str::parse).transpose()?;
            ranges.push(Mapped { range, digest });
        }
        Ok(Self { size, ranges })
    }
}

/// The bytes of blocks `a-b` or `a`.
fn extent(blocks: &str, block: u64, size: u64) -> Option<Range<u64>> {
    let blocks = blocks.trim();
    let (first, last) = blocks.split_once('-').unwrap_or((blocks, blocks));
    let start = first.trim().parse::<u64>().ok()?.checked_mul(block)?;
    let end = last.trim().parse::<u64>().ok()?.checked_add(1)?.checked_mul(block)?;
    let end = end.min(size);
    (start < end).then_some(start..end)
}

/// The content of the first element of a name.
fn element<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    elements(text, name).next().map(|(_, content)| content.trim())
}

/// The text without what stands between `<!--` and `-->`, where bmaptool explains its elements by name.
fn without_comments(text: &str) -> String {
    let mut plain = String::new();
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once("<!--") {
        plain.push_str(before);
        rest = behind.split_once("-->").map_or("", |(_, behind)| behind);
    }
    plain + rest
}

/// Attributes and content of the elements of a name. A block map has no elements of one name within each other, and no
/// entities.
fn elements<'a>(text: &'a str, name: &str) -> impl Iterator<Item = (&'a str, &'a str)> {
    let (open, close) = (format!("<{name}"), format!("</{name}>"));
    let mut rest = text;
    std::iter::from_fn(move || {
        loop {
            let (_, behind) = rest.split_once(&open)?;
            rest = behind;
            if behind.starts_with(['>', ' ', '\n', '\t']) {
                let (attributes, behind) = behind.split_once('>')?;
                let (content, behind) = behind.split_once(&close)?;
                rest = behind;
                return Some((attributes, content));
            }
        }
    })
}

fn attribute<'a>(attributes: &'a str, name: &str) -> Option<&'a str> {
    let (_, value) = attributes.split_once(&format!("{name}=\""))?;
    Some(value.split_once('"')?.0)
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use proptest::prelude::*;

    use super::*;
    use crate::assemble::testing::oracle;

    #[test]
    fn what_bmaptool_makes_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let image = folder.path().join("x.img");
        let file = std::fs::File::create(&image).unwrap();
        file.set_len((1 << 20) + 512).unwrap();
        for (at, byte) in [(0_u64, 1_u8), (40_960, 2), (45_056, 3), (1 << 20, 4)] {
            std::os::unix::fs::FileExt::write_all_at(&file, &[byte; 512], at).unwrap();
        }
        file.sync_all().unwrap();
        let text = oracle(Command::new("bmaptool").arg("create").arg(&image));
        let map = Map::parse(text.as_bytes()).unwrap();
        assert_eq!(map.size, (1 << 20) + 512);
        let found: Vec<Range<u64>> = map.ranges.iter().map(|mapped| mapped.range.clone()).collect();
        assert_eq!(found, [0..4096, 40_960..49_152, 1 << 20..(1 << 20) + 512]);
        let content = std::fs::read(&image).unwrap();
        for Mapped { range, digest } in &map.ranges {
            let bytes = &content[usize::try_from(range.start).unwrap()..usize::try_from(range.end).unwrap()];
            assert_eq!(digest.unwrap(), Sha256::of(bytes));
        }
        let changed = text.replacen("<Range", "<Range ", 1);
        let error = Map::parse(changed.as_bytes()).unwrap_err().to_string();
        assert!(error.contains("damaged or changed"), "{error}");
    }

    #[test]
    fn maps_that_cannot_be_are_refused() {
        let map = |ranges: &str| {
            let head = "<ImageSize> 10000 </ImageSize><BlockSize>4096</BlockSize><BlockMap>";
            Map::parse(format!("{head}{ranges}</BlockMap>").as_bytes())
        };
        assert_eq!(
            map("<Range> 0-1 </Range><Range>2</Range>").unwrap().ranges[1].range,
            8192..10_000
        );
        for wrong in [
            "<Range> 3 </Range>",
            "<Range> 2-1 </Range>",
            "<Range> 1 </Range><Range> 1 </Range>",
            "<Range> x </Range>",
            "<Range> 18446744073709551615 </Range>",
        ] {
            assert!(map(wrong).is_err(), "{wrong}");
        }
        assert!(Map::parse(b"<html>").is_err());
        assert!(Map::parse(b"\xff").is_err());
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "(<|>|/|<!--|Range|ImageSize|BlockSize|chksum=\"|-->|[0-9]{1,20}|-| |\\PC){0,60}") {
            let _ = Map::parse(text.as_bytes());
            let head = format!("<ImageSize>9999</ImageSize><BlockSize>512</BlockSize>{text}");
            let _ = Map::parse(head.as_bytes());
        }

        #[test]
        fn what_is_added_is_there_once(
            adds in proptest::collection::vec((0_u64..90, 0_u64..30), 0..8),
        ) {
            let mut map = Map { size: 100, ranges: Vec::new() };
            let mut bytes = std::collections::BTreeSet::new();
            for (start, length) in adds {
                map.add(start..start + length);
                bytes.extend((start..start + length).filter(|at| *at < 100));
            }
            let listed: Vec<u64> = map.ranges.iter().flat_map(|mapped| mapped.range.clone()).collect();
            prop_assert_eq!(listed, bytes.into_iter().collect::<Vec<_>>());
        }

        #[test]
        fn windows_are_cut_as_sets_of_bytes_would_be(
            lengths in proptest::collection::vec((1_u64..20, 1_u64..20), 0..8),
            start in 0_u64..200,
            length in 0_u64..60,
        ) {
            let mut ranges = Vec::new();
            let mut at = 0;
            for (gap, length) in lengths {
                ranges.push(Mapped { range: at + gap..at + gap + length, digest: None });
                at += gap + length;
            }
            let map = Map { size: 1000, ranges };
            let window = start..start + length;
            let all: Vec<u64> = map.ranges.iter().flat_map(|mapped| mapped.range.clone()).filter(|at| window.contains(at)).collect();
            let cut: Vec<u64> = map.within(&window).flatten().collect();
            prop_assert_eq!(cut, all);
        }
    }
}
