//! Files that say whether they are what was written: the CRC-32 of all of it (little endian) lies behind the content.
//!
//! What is kept this way was verified, or made, by this program: the sum is against what happens to it on the disk, and
//! is taken of a whole root in a tenth of the time of a SHA-256.

use std::io::{self, Write};

/// A writer that takes the CRC-32 of what is written, to append it.
#[derive(Debug)]
pub struct Summed<W> {
    inner: W,
    sum: crc32fast::Hasher,
}

impl<W: Write> Summed<W> {
    /// Begins a content in `inner`.
    pub fn new(inner: W) -> Self {
        Self {
            inner,
            sum: crc32fast::Hasher::new(),
        }
    }

    /// Appends the sum; without it, what was written is not [`sound`].
    ///
    /// # Errors
    ///
    /// Fails where the sum cannot be written.
    pub fn finish(mut self) -> io::Result<W> {
        self.inner.write_all(&self.sum.finalize().to_le_bytes())?;
        Ok(self.inner)
    }
}

impl<W: Write> Write for Summed<W> {
    fn write(&mut self, chunk: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(chunk)?;
        self.sum.update(&chunk[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// The content of a file that [`Summed`] wrote; nothing if it is not what was written.
pub fn sound(file: &[u8]) -> Option<&[u8]> {
    let (content, sum) = file.split_last_chunk()?;
    (crc32fast::hash(content) == u32::from_le_bytes(*sum)).then_some(content)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes a few bytes at a time.
    #[derive(Default)]
    struct Slow(Vec<u8>);

    impl Write for Slow {
        fn write(&mut self, chunk: &[u8]) -> io::Result<usize> {
            self.0.write(&chunk[..chunk.len().min(4)])
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn what_was_written_is_sound_and_nothing_else_is() {
        let mut file = Summed::new(Slow::default());
        file.write_all(b"1234").unwrap();
        file.write_all(b"56789").unwrap();
        let Slow(file) = file.finish().unwrap();
        // The check value of CRC-32/ISO-HDLC.
        assert_eq!(file[9..], 0xcbf4_3926_u32.to_le_bytes());
        assert_eq!(sound(&file), Some(b"123456789".as_slice()));
        for at in 0..file.len() {
            let mut rotten = file.clone();
            rotten[at] ^= 1;
            assert_eq!(sound(&rotten), None, "byte {at}");
            assert_eq!(sound(&file[..at]), None, "{at} bytes");
        }
        let empty = Summed::new(Vec::new()).finish().unwrap();
        assert_eq!(sound(&empty), Some([].as_slice()));
    }
}
