//! Where the frames of a `.zst` file begin, found without decompressing any (RFC 8878, section 3.1).
//!
//! Frames stand for themselves: those of a few mebibytes, as `build` writes them, are decompressed on all cores, and
//! only where something of them is to be written.

use anyhow::Result;

use crate::bail_input;

/// `Magic_Number` of a frame, and of a frame to be skipped but for its last four bits.
const MAGIC: u32 = 0xfd2f_b528;
const SKIPPABLE: u32 = 0x184d_2a50;
/// A frame header is never longer (magic number, descriptor, window, dictionary, content size).
const LONGEST_HEADER: usize = 4 + 1 + 1 + 4 + 8;

/// A frame with its place in the file and in what it decompresses to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Frame {
    /// First byte in the file.
    pub(super) at: u64,
    /// Bytes in the file.
    pub(super) length: u64,
    /// First byte in the image.
    pub(super) start: u64,
    /// Bytes in the image.
    pub(super) size: u64,
}

/// What the next bytes are.
#[derive(Clone, Copy, Debug)]
enum Expect {
    Header,
    /// The header of a block; whether the frame has a checksum.
    Block(bool),
    /// So many bytes of no interest, then that.
    Skip(u64, Next),
}

#[derive(Clone, Copy, Debug)]
enum Next {
    Block(bool),
    End,
}

/// Takes in a file in order, and finds its frames.
#[derive(Debug)]
pub(super) struct Index {
    frames: Vec<Frame>,
    expect: Expect,
    /// The beginning of a header that is not complete yet.
    head: Vec<u8>,
    /// Bytes of the file taken in.
    at: u64,
    /// The frame that is being read: where it began, and its size, unless that is not said.
    current: (u64, Option<u64>),
    start: u64,
    /// A frame does not say its size, so where the next begins in the image is not known.
    unknown: bool,
}

impl Default for Index {
    fn default() -> Self {
        Self {
            frames: Vec::new(),
            expect: Expect::Header,
            head: Vec::new(),
            at: 0,
            current: (0, Some(0)),
            start: 0,
            unknown: false,
        }
    }
}

impl Index {
    /// Takes in the next bytes.
    ///
    /// # Errors
    ///
    /// What is not zstd is wrong input.
    pub(super) fn feed(&mut self, mut bytes: &[u8]) -> Result<()> {
        while !bytes.is_empty() {
            match self.expect {
                Expect::Skip(count, next) => {
                    let step = count.min(bytes.len() as u64);
                    bytes = &bytes[usize::try_from(step)?..];
                    self.at += step;
                    self.skip(count - step, next);
                }
                Expect::Header | Expect::Block(_) => {
                    self.head.push(bytes[0]);
                    self.at += 1;
                    bytes = &bytes[1..];
                    self.look()?;
                }
            }
        }
        Ok(())
    }

    /// The frames, or `None` if one does not say its size.
    ///
    /// # Errors
    ///
    /// A file that ends within a frame is wrong input.
    pub(super) fn finish(self) -> Result<Option<Vec<Frame>>> {
        if !matches!(self.expect, Expect::Header) || !self.head.is_empty() {
            bail_input!("it ends early, at byte {}", self.at);
        }
        Ok((!self.unknown).then_some(self.frames))
    }

    fn skip(&mut self, count: u64, next: Next) {
        self.expect = match (count, next) {
            (0, Next::Block(checksum)) => Expect::Block(checksum),
            (0, Next::End) => {
                self.end();
                Expect::Header
            }
            (count, next) => Expect::Skip(count, next),
        };
    }

    /// A frame is complete.
    fn end(&mut self) {
        let (at, size) = self.current;
        let Some(size) = size else {
            self.unknown = true;
            return;
        };
        if size > 0 {
            self.frames.push(Frame {
                at,
                length: self.at - at,
                start: self.start,
                size,
            });
        }
        self.start = self.start.saturating_add(size);
    }

    /// Looks at the head, which may be whole by now.
    fn look(&mut self) -> Result<()> {
        match self.expect {
            Expect::Header => self.header(),
            Expect::Block(checksum) => self.block(checksum),
            Expect::Skip(..) => Ok(()),
        }
    }

    fn header(&mut self) -> Result<()> {
        let Some((magic, rest)) = self.head.split_first_chunk::<4>() else {
            return Ok(());
        };
        let magic = u32::from_le_bytes(*magic);
        let began = self.at - self.head.len() as u64;
        if magic & !0xf == SKIPPABLE {
            if let Some(length) = rest.first_chunk::<4>() {
                let length = u64::from(u32::from_le_bytes(*length));
                self.current = (began, Some(0));
                self.head.clear();
                self.skip(length, Next::End);
            }
            return Ok(());
        }
        if magic != MAGIC {
            bail_input!("byte {began} is not the beginning of a zstd frame");
        }
        let Some((descriptor, rest)) = rest.split_first() else {
            return Ok(());
        };
        let single = descriptor & 0x20 != 0;
        let window = usize::from(!single);
        let dictionary = [0, 1, 2, 4][usize::from(descriptor & 3)];
        let field = match descriptor >> 6 {
            0 => usize::from(single),
            flag => 1 << flag,
        };
        debug_assert!(4 + 1 + window + dictionary + field <= LONGEST_HEADER, "RFC 8878");
        let Some(field) = rest.get(window + dictionary..window + dictionary + field) else {
            return Ok(());
        };
        let size = match *field {
            [] => None,
            [byte] => Some(u64::from(byte)),
            [a, b] => Some(u64::from(u16::from_le_bytes([a, b])) + 256),
            _ => Some(field.iter().rev().fold(0, |size, byte| size << 8 | u64::from(*byte))),
        };
        self.expect = Expect::Block(descriptor & 4 != 0);
        self.current = (began, size);
        self.head.clear();
        Ok(())
    }

    fn block(&mut self, checksum: bool) -> Result<()> {
        let [a, b, c] = *self.head.as_slice() else {
            return Ok(());
        };
        let head = u32::from_le_bytes([a, b, c, 0]);
        let (last, kind, size) = (head & 1 != 0, head >> 1 & 3, u64::from(head >> 3));
        let stored = match kind {
            0 | 2 => size,
            1 => 1,
            _ => bail_input!("the block at byte {} is of no kind that zstd has", self.at - 3),
        };
        self.head.clear();
        if last {
            self.skip(stored + if checksum { 4 } else { 0 }, Next::End);
        } else {
            self.skip(stored, Next::Block(checksum));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use proptest::prelude::*;

    use super::*;

    fn index(bytes: &[u8], step: usize) -> Result<Option<Vec<Frame>>> {
        let mut index = Index::default();
        for part in bytes.chunks(step) {
            index.feed(part)?;
        }
        index.finish()
    }

    #[test]
    fn a_frame_that_does_not_say_its_size_makes_the_file_a_stream() {
        let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
        encoder.write_all(&vec![7; 300_000]).unwrap();
        assert_eq!(index(&encoder.finish().unwrap(), 1000).unwrap(), None);
    }

    #[test]
    fn what_is_not_whole_or_not_zstd_is_refused() {
        let frame = zstd::bulk::compress(&[9; 1000], 3).unwrap();
        assert!(index(&frame, 7).unwrap().is_some());
        for end in 1..frame.len() {
            assert!(index(&frame[..end], 7).is_err(), "{end}");
        }
        assert!(index(b"an image, not compressed", 7).is_err());
        assert_eq!(index(b"", 7).unwrap().unwrap(), []);
    }

    proptest! {
        #[test]
        fn each_frame_decompresses_to_its_place(
            parts in proptest::collection::vec((0_usize..70_000, any::<u8>(), any::<bool>(), any::<bool>()), 0..8),
            step in 1_usize..5000,
        ) {
            let (mut file, mut image) = (Vec::new(), Vec::new());
            for (length, seed, noise, skippable) in parts {
                let part: Vec<u8> = (0..length)
                    .map(|at| if noise { u8::try_from(at * at % 251).unwrap() ^ seed } else { seed })
                    .collect();
                let mut compressor = zstd::bulk::Compressor::new(1).unwrap();
                compressor.include_checksum(noise).unwrap();
                file.extend(compressor.compress(&part).unwrap());
                image.extend(part);
                if skippable {
                    file.extend([0x53, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3]);
                }
            }
            let mut end = 0;
            for frame in index(&file, step).unwrap().unwrap() {
                prop_assert_eq!(frame.start, end);
                end += frame.size;
                let at = usize::try_from(frame.at).unwrap();
                let bytes = &file[at..at + usize::try_from(frame.length).unwrap()];
                let start = usize::try_from(frame.start).unwrap();
                prop_assert!(zstd::decode_all(bytes).unwrap() == image[start..usize::try_from(end).unwrap()]);
            }
            prop_assert_eq!(end, image.len() as u64);
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), step in 1_usize..20) {
            let whole = [&[0x28, 0xb5, 0x2f, 0xfd][..], &bytes].concat();
            let _ = index(&whole, step);
        }
    }
}
