//! `.bmap`: the block map of an image, format 2.0 (github.com/yoctoproject/bmaptool, `docs`).

use std::fmt::Write;

use anyhow::{Context, Result};

use super::super::medium::Medium;
use super::Ranges;
use super::ranges::BLOCK;
use crate::interrupt;
use crate::verify::Sha256;
use crate::verify::digest::Hasher;

const CHUNK: u64 = 4 << 20;

/// The XML for an image. Its own checksum is taken over itself with zeros in the checksum's place.
pub(super) fn describe(image: &dyn Medium, mapped: &Ranges) -> Result<String> {
    let size = image.size().context("measuring the image")?;
    let nothing = "0".repeat(64);
    let mut ranges = String::new();
    for range in mapped.iter() {
        let (first, last) = (range.start / BLOCK, range.end / BLOCK - 1);
        let blocks = if first == last {
            first.to_string()
        } else {
            format!("{first}-{last}")
        };
        let sum = digest(image, range.start, range.end.min(size))?;
        writeln!(ranges, "        <Range chksum=\"{sum}\"> {blocks} </Range>")?;
    }
    let xml = format!(
        "<?xml version=\"1.0\" ?>\n\
         <bmap version=\"2.0\">\n\
         \x20   <ImageSize> {size} </ImageSize>\n\
         \x20   <BlockSize> {BLOCK} </BlockSize>\n\
         \x20   <BlocksCount> {} </BlocksCount>\n\
         \x20   <MappedBlocksCount> {} </MappedBlocksCount>\n\
         \x20   <ChecksumType> sha256 </ChecksumType>\n\
         \x20   <BmapFileChecksum> {nothing} </BmapFileChecksum>\n\
         \x20   <BlockMap>\n\
         {ranges}\
         \x20   </BlockMap>\n\
         </bmap>\n",
        size.div_ceil(BLOCK),
        mapped.total() / BLOCK,
    );
    let own = Sha256::of(xml.as_bytes());
    Ok(xml.replacen(&nothing, &own.hex(), 1))
}

fn digest(image: &dyn Medium, start: u64, end: u64) -> Result<Sha256> {
    let mut digest = Hasher::default();
    let mut chunk = vec![0; usize::try_from(CHUNK)?];
    let mut at = start;
    while at < end {
        interrupt::check()?;
        let part = &mut chunk[..usize::try_from(CHUNK.min(end - at))?];
        image.read_exact_at(part, at).context("reading the image back")?;
        digest.update(part);
        at += part.len() as u64;
    }
    Ok(digest.finish())
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::{Read, Write as _};
    use std::process::Command;

    use super::super::super::testing::oracle;
    use super::*;

    #[test]
    fn bmaptool_copies_what_is_mapped_and_refuses_what_is_not_right() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let mut image = File::create_new(path("x.img")).unwrap();
        image.set_len(1 << 20).unwrap();
        image.write_all(b"beginning").unwrap();
        image.write_all_at(&[7; 9000], 500_000).unwrap();
        let image = File::open(path("x.img")).unwrap();
        let mut mapped = Ranges::default();
        mapped.add(0..9);
        mapped.add(500_000..509_000);
        std::fs::write(path("x.bmap"), describe(&image, &mapped).unwrap()).unwrap();
        let copy = |target: &str| {
            let mut command = Command::new("bmaptool");
            command
                .arg("copy")
                .arg("--bmap")
                .arg(path("x.bmap"))
                .arg(path("x.img"))
                .arg(path(target));
            command
        };
        oracle(&mut copy("y.img"));
        let mut copied = Vec::new();
        File::open(path("y.img")).unwrap().read_to_end(&mut copied).unwrap();
        assert!(copied == std::fs::read(path("x.img")).unwrap());

        File::options()
            .write(true)
            .open(path("x.img"))
            .unwrap()
            .write_all_at(b"X", 500_001)
            .unwrap();
        assert!(!copy("z.img").output().unwrap().status.success());
    }
}
