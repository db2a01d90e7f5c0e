//! A card in memory, and images to burn.

use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

use anyhow::Result;

use super::image::Image;
use super::medium::Medium;
use super::write::{Burned, burn};
use crate::assemble::testing::oracle;
use crate::reporter::Reporter;
use crate::verify::Sha256;

pub(super) const MIB: usize = 1 << 20;
/// What was on a card before.
pub(super) const OLD: u8 = 0xee;

/// A card in memory, with what cards do wrong.
#[derive(Debug, Default)]
pub(super) struct Card {
    pub(super) bytes: Mutex<Vec<u8>>,
    /// Bytes from here on are those from the beginning again: less room than it says.
    pub(super) wraps_at: Option<u64>,
    /// Writing this byte fails.
    pub(super) worn_at: Option<u64>,
    /// This byte keeps a bit of what it was.
    pub(super) stuck_at: Option<u64>,
    /// Where was written, in order.
    pub(super) writes: Mutex<Vec<Range<u64>>>,
}

impl Card {
    pub(super) fn used(size: usize) -> Self {
        Self {
            bytes: Mutex::new(vec![OLD; size]),
            ..Self::default()
        }
    }

    pub(super) fn place(&self, at: u64) -> usize {
        usize::try_from(self.wraps_at.map_or(at, |end| at % end)).unwrap()
    }

    pub(super) fn content(&self) -> Vec<u8> {
        self.bytes.lock().unwrap().clone()
    }
}

impl Medium for Card {
    fn name(&self) -> &'static str {
        "the card"
    }

    fn size(&self) -> u64 {
        self.bytes.lock().unwrap().len() as u64
    }

    fn write(&self, bytes: &[u8], at: u64) -> io::Result<()> {
        let range = at..at + bytes.len() as u64;
        self.writes.lock().unwrap().push(range.clone());
        if self.worn_at.is_some_and(|worn| range.contains(&worn)) {
            return Err(rustix::io::Errno::IO.into());
        }
        let mut content = self.bytes.lock().unwrap();
        if self.wraps_at.is_none() && self.stuck_at.is_none() {
            content[self.place(at)..self.place(range.end)].copy_from_slice(bytes);
            return Ok(());
        }
        for (byte, at) in bytes.iter().zip(range) {
            content[self.place(at)] = if self.stuck_at == Some(at) { byte ^ 1 } else { *byte };
        }
        Ok(())
    }

    fn zero(&self, range: Range<u64>) -> io::Result<()> {
        self.write(&vec![0; usize::try_from(range.end - range.start).unwrap()], range.start)
    }

    fn read(&self, buffer: &mut [u8], at: u64) -> io::Result<()> {
        let content = self.bytes.lock().unwrap();
        if self.wraps_at.is_none() {
            buffer.copy_from_slice(&content[self.place(at)..][..buffer.len()]);
            return Ok(());
        }
        for (byte, at) in buffer.iter_mut().zip(at..) {
            *byte = content[self.place(at)];
        }
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        Ok(())
    }

    fn forget(&self) -> io::Result<()> {
        Ok(())
    }

    fn reread_table(&self) -> bool {
        true
    }
}

/// An image in a folder of its own, stored in some way.
pub(super) struct Sample {
    pub(super) folder: tempfile::TempDir,
    pub(super) content: Vec<u8>,
}

pub(super) fn noise(length: usize, seed: u32) -> Vec<u8> {
    use rand::{RngCore, SeedableRng};
    let mut bytes = vec![0; length];
    rand::rngs::StdRng::seed_from_u64(seed.into()).fill_bytes(&mut bytes);
    bytes
}

impl Sample {
    pub(super) fn new(content: Vec<u8>) -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            content,
        }
    }

    /// A table, three stretches of something, zeros between them.
    pub(super) fn usual() -> Self {
        let mut content = vec![0; 13 * MIB];
        content[..512].copy_from_slice(&noise(512, 9));
        content[4 * MIB..7 * MIB].copy_from_slice(&noise(3 * MIB, 1));
        content[9 * MIB..9 * MIB + 8192].copy_from_slice(&noise(8192, 2));
        content[12 * MIB - 4096..12 * MIB].fill(7);
        Self::new(content)
    }

    pub(super) const USUAL: [Range<u64>; 4] = [
        0..4096,
        4 << 20..7 << 20,
        9 << 20..(9 << 20) + 8192,
        (12 << 20) - 4096..12 << 20,
    ];

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(super) fn raw(&self) -> PathBuf {
        let path = self.path("x.img");
        std::fs::write(&path, &self.content).unwrap();
        path
    }

    pub(super) fn framed(&self, frame: usize) -> PathBuf {
        let frames = self
            .content
            .chunks(frame)
            .map(|part| zstd::bulk::compress(part, 1).unwrap());
        let path = self.path("x.img.zst");
        std::fs::write(&path, frames.collect::<Vec<_>>().concat()).unwrap();
        path
    }

    /// As other tools pipe them: one frame without a size.
    pub(super) fn streamed(&self) -> PathBuf {
        let path = self.path("x.img.zst");
        std::fs::write(&path, zstd::encode_all(self.content.as_slice(), 1).unwrap()).unwrap();
        path
    }

    pub(super) fn xz(&self) -> PathBuf {
        oracle(
            Command::new("xz")
                .args(["-0", "--keep", "--force", "--block-size=3MiB"])
                .arg(self.raw()),
        );
        self.path("x.img.xz")
    }

    /// A map of whole blocks, with digests.
    pub(super) fn map(&self, ranges: &[Range<u64>]) {
        let lines = ranges.iter().map(|range| {
            let bytes = &self.content[usize::try_from(range.start).unwrap()..usize::try_from(range.end).unwrap()];
            let (first, last) = (range.start / 4096, range.end.div_ceil(4096) - 1);
            format!("<Range chksum=\"{}\"> {first}-{last} </Range>\n", Sha256::of(bytes))
        });
        let text = format!(
            "<bmap><ImageSize> {} </ImageSize><BlockSize> 4096 </BlockSize><ChecksumType> sha256 </ChecksumType>\n{}</bmap>",
            self.content.len(),
            lines.collect::<String>()
        );
        std::fs::write(self.path("x.bmap"), text).unwrap();
    }

    pub(super) fn sums(&self, names: &[&str]) {
        let lines = names.iter().map(|name| {
            let digest = Sha256::of_file(&self.path(name)).unwrap();
            format!("{digest}  {name}\n")
        });
        std::fs::write(self.path("SHA256SUMS"), lines.collect::<String>()).unwrap();
    }

    /// What a used card holds after this has been burned: what is mapped, and what was there elsewhere.
    pub(super) fn expected(&self, size: usize, ranges: &[Range<u64>]) -> Vec<u8> {
        let mut card = vec![OLD; size];
        card[..MIB.min(self.content.len())].fill(0);
        for range in ranges {
            let range = usize::try_from(range.start).unwrap()..usize::try_from(range.end).unwrap();
            card[range.clone()].copy_from_slice(&self.content[range]);
        }
        card
    }
}

pub(super) fn open(path: &Path) -> Result<Image> {
    Image::open(path, &Reporter::new(true))
}

pub(super) fn burn_to(path: &Path, card: &dyn Medium) -> Result<Burned> {
    burn(&open(path)?, card, &Reporter::new(true))
}

pub(super) fn said(done: Result<impl std::fmt::Debug>) -> String {
    format!("{:#}", done.unwrap_err())
}
