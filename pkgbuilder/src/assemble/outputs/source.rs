//! The finished image, read by all that is made of it.

use std::ops::Range;

use anyhow::{Context, Result};
use rayon::prelude::*;

use super::super::medium::Medium;
use super::Ranges;
use crate::interrupt;

/// Bytes of the image that are worked on at once.
const IN_FLIGHT: usize = 64 << 20;

/// An image, of which only a part is other than zero.
#[derive(Clone, Copy, Debug)]
pub(super) struct Source<'a> {
    pub(super) image: &'a dyn Medium,
    /// In bytes.
    pub(super) size: u64,
    pub(super) mapped: &'a Ranges,
}

/// A piece of an image.
#[derive(Debug)]
pub(super) struct Chunk<'a> {
    /// Bytes of it; the last one may be short.
    pub(super) length: usize,
    /// What is in it; `None` where all of it is zero.
    pub(super) content: Option<&'a [u8]>,
}

impl Source<'_> {
    /// Does `work` on every piece of `length` bytes, on all cores, and gives the results to `take` in their order, each
    /// with the number of its piece.
    pub(super) fn in_chunks<T: Send>(
        &self,
        length: usize,
        work: impl Fn(&Chunk<'_>) -> Result<T> + Sync,
        mut take: impl FnMut(u64, T) -> Result<()>,
    ) -> Result<()> {
        let zeros = vec![0; length];
        let step = length as u64;
        let (chunks, batch) = (self.size.div_ceil(step), (IN_FLIGHT / length).max(1));
        for first in (0..chunks).step_by(batch) {
            interrupt::check()?;
            let results = (first..chunks.min(first + batch as u64))
                .into_par_iter()
                .map_init(Vec::new, |buffer: &mut Vec<u8>, number| {
                    let range = number * step..self.size.min((number + 1) * step);
                    let length = usize::try_from(range.end - range.start)?;
                    let content = self
                        .read(&range, buffer)?
                        .filter(|content| **content != zeros[..length]);
                    work(&Chunk { length, content })
                })
                .collect::<Result<Vec<T>>>()?;
            for (number, result) in (first..).zip(results) {
                take(number, result)?;
            }
        }
        Ok(())
    }

    /// What is in `range`, unless nothing is.
    pub(super) fn read<'b>(&self, range: &Range<u64>, buffer: &'b mut Vec<u8>) -> Result<Option<&'b [u8]>> {
        if !self.mapped.touches(range) {
            return Ok(None);
        }
        buffer.resize(usize::try_from(range.end - range.start)?, 0);
        self.image
            .read_exact_at(buffer, range.start)
            .context("reading the image back")?;
        Ok(Some(buffer))
    }
}

#[cfg(test)]
pub(super) mod testing {
    use std::fs::File;
    use std::path::Path;

    use super::*;

    /// Nothing that can be made smaller.
    pub(in super::super) fn noise(words: u32) -> Vec<u8> {
        (0..words)
            .flat_map(|word| word.wrapping_mul(2_654_435_761).to_le_bytes())
            .collect()
    }

    /// What an image of at least a megabyte may hold: something at its very beginning and end, text, noise, zeros in
    /// what is mapped, and much that is not.
    pub(in super::super) fn holes(size: u64) -> Vec<(u64, Vec<u8>)> {
        vec![
            (0, b"boot".to_vec()),
            (size / 5, b"the same line again and again\n".repeat(10_000)),
            (size / 2 / 4096 * 4096, vec![0; 200_000]),
            (size / 3 * 2, noise(60_000)),
            (size - 512, vec![0x55; 512]),
        ]
    }

    /// An image with these parts.
    pub(in super::super) fn made(path: &Path, parts: &[(u64, Vec<u8>)], size: u64) -> (File, Ranges) {
        let file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(true)
            .open(path)
            .unwrap();
        file.set_len(size).unwrap();
        let mut mapped = Ranges::default();
        for (at, bytes) in parts {
            file.write_all_at(bytes, *at).unwrap();
            mapped.add(*at..*at + bytes.len() as u64);
        }
        (file, mapped)
    }

    #[test]
    fn chunks_come_in_their_order() {
        let folder = tempfile::tempdir().unwrap();
        let size = (3 << 20) + 5000;
        let (file, mapped) = made(&folder.path().join("x"), &holes(size), size);
        let whole = std::fs::read(folder.path().join("x")).unwrap();
        let source = Source {
            image: &file,
            size,
            mapped: &mapped,
        };
        let (mut put_together, mut zeros) = (Vec::new(), 0);
        source
            .in_chunks(
                4096,
                |chunk| Ok((chunk.length, chunk.content.map(<[u8]>::to_vec))),
                |number, (length, content)| {
                    assert_eq!(number * 4096, put_together.len() as u64);
                    zeros += u64::from(content.is_none());
                    put_together.extend(content.unwrap_or(vec![0; length]));
                    Ok(())
                },
            )
            .unwrap();
        assert!(put_together == whole);
        assert_eq!(
            zeros,
            whole
                .chunks(4096)
                .filter(|chunk| chunk.iter().all(|byte| *byte == 0))
                .count() as u64
        );
    }
}
