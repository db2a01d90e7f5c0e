//! The image against the digests of its block map, while it is written.

use anyhow::{Result, bail};

use super::image::Image;
use super::write::{Piece, part};
use crate::input_error;
use crate::verify::digest::Hasher;

/// Checks the image against the digests of its block map, in order.
pub(super) struct RangeDigests<'a> {
    image: &'a Image,
    index: usize,
    hasher: Hasher,
}

impl<'a> RangeDigests<'a> {
    pub(super) fn new(image: &'a Image) -> Self {
        Self {
            image,
            index: 0,
            hasher: Hasher::default(),
        }
    }

    /// Takes in the next piece; the head, which is not in its ranges, counts here.
    pub(super) fn take(&mut self, piece: &Piece, content: &[u8]) -> Result<()> {
        let window = piece.start()..piece.start() + content.len() as u64;
        for range in self.image.map().within(&window) {
            let Some(mapped) = self.image.map().ranges.get(self.index) else {
                break;
            };
            if mapped.digest.is_some() {
                self.hasher.update(part(piece, content, &range));
            }
            if range.end == mapped.range.end {
                let digest = std::mem::take(&mut self.hasher).finish();
                if mapped.digest.is_some_and(|expected| expected != digest) {
                    return Err(input_error!(
                        "{} and its .bmap do not belong together: bytes {} to {} have another digest; build or download \
                         both again",
                        self.image.name(),
                        mapped.range.start,
                        mapped.range.end - 1
                    ));
                }
                self.index += 1;
            }
        }
        Ok(())
    }

    pub(super) fn finish(self) -> Result<()> {
        let ranges = self.image.map().ranges.len();
        if self.index != ranges {
            bail!("{} of {ranges} ranges of the block map were written", self.index);
        }
        Ok(())
    }
}
