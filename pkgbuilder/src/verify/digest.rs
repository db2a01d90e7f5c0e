//! SHA-256 of files and streams.

use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::str::FromStr;

use anyhow::{Context, Result};
use sha2::Digest;

use crate::input_error;

/// Bytes read at once while hashing.
const CHUNK: usize = 256 << 10;

/// A SHA-256 digest; displays as 64 lower-case hex digits, which makes it a safe file name.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sha256([u8; 32]);

impl Sha256 {
    /// The digest of bytes in memory.
    pub fn of(content: &[u8]) -> Self {
        Self(sha2::Sha256::digest(content).into())
    }

    /// The digest of a whole file.
    pub fn of_file(path: &Path) -> Result<Self> {
        let name = || format!("reading {}", path.display());
        let mut file = File::open(path).with_context(name)?;
        Self::of_reader(&mut file).with_context(name)
    }

    /// The digest of everything that `reader` still has to give.
    pub fn of_reader(reader: &mut impl Read) -> std::io::Result<Self> {
        let mut hasher = Hasher::default();
        let mut chunk = vec![0; CHUNK];
        loop {
            match reader.read(&mut chunk)? {
                0 => return Ok(hasher.finish()),
                read => hasher.update(&chunk[..read]),
            }
        }
    }

    /// The digest in hex.
    pub fn hex(&self) -> String {
        hex::encode(self.0)
    }

    /// The digest itself.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl From<[u8; 32]> for Sha256 {
    fn from(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

impl fmt::Display for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.hex())
    }
}

impl fmt::Debug for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256:{self}")
    }
}

impl FromStr for Sha256 {
    type Err = anyhow::Error;

    /// Reads 64 hex digits, with or without `sha256:` before them.
    fn from_str(text: &str) -> Result<Self> {
        let mut bytes = [0; 32];
        let digits = text.strip_prefix("sha256:").unwrap_or(text);
        hex::decode_to_slice(digits, &mut bytes)
            .map_err(|_| input_error!("`{text}` is not a SHA-256 digest (64 hex digits)"))?;
        Ok(Self(bytes))
    }
}

/// A digest under construction.
#[derive(Clone, Debug, Default)]
pub struct Hasher(sha2::Sha256);

impl Hasher {
    /// Takes in the next bytes.
    pub fn update(&mut self, chunk: &[u8]) {
        self.0.update(chunk);
    }

    /// The digest of all bytes taken in.
    pub fn finish(self) -> Sha256 {
        Sha256(self.0.finalize().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// FIPS 180-2, appendix B.1.
    const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    #[test]
    fn the_standards_vector() {
        assert_eq!(Sha256::of(b"abc").hex(), ABC);
        assert_eq!(Sha256::of_reader(&mut &b"abc"[..]).unwrap().to_string(), ABC);
    }

    #[test]
    fn only_hex_digests_parse() {
        assert_eq!(ABC.parse::<Sha256>().unwrap(), Sha256::of(b"abc"));
        assert_eq!(format!("sha256:{ABC}").parse::<Sha256>().unwrap(), Sha256::of(b"abc"));
        for bad in ["", "../../etc/passwd", &ABC[1..], &ABC.replace('b', "g")] {
            assert!(bad.parse::<Sha256>().is_err(), "{bad}");
        }
    }
}
