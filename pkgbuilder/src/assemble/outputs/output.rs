//! Files on their way: their digests are taken while they are written.

use std::io::{self, BufWriter, Write};
use std::path::Path;

use anyhow::{Context, Result};

use crate::atomic::Pending;
use crate::verify::Sha256;
use crate::verify::digest::Hasher;

/// Counts and digests what is written through it.
#[derive(Debug)]
pub(super) struct Summing<W> {
    inner: W,
    digest: Hasher,
    size: u64,
}

impl<W: Write> Summing<W> {
    pub(super) fn new(inner: W) -> Self {
        Self {
            inner,
            digest: Hasher::default(),
            size: 0,
        }
    }

    /// The writer below, the digest of what was written, and how many bytes that were.
    pub(super) fn finish(self) -> (W, Sha256, u64) {
        (self.inner, self.digest.finish(), self.size)
    }
}

impl<W: Write> Write for Summing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.digest.update(&bytes[..written]);
        self.size += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// A file of the output folder that is being written, from its beginning to its end.
pub(super) type Output = Summing<BufWriter<Writing>>;

/// A [`Pending`] as a writer.
#[derive(Debug)]
pub(super) struct Writing(Pending);

impl Write for Writing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.file().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.file().flush()
    }
}

/// A whole file that lacks only its name.
#[derive(Debug)]
pub(super) struct Written {
    pub(super) pending: Pending,
    pub(super) sha256: Sha256,
}

impl Output {
    pub(super) fn create(path: &Path) -> Result<Self> {
        Ok(Self::new(BufWriter::with_capacity(
            1 << 20,
            Writing(Pending::create(path)?),
        )))
    }

    pub(super) fn complete(self) -> Result<Written> {
        let (writer, sha256, _) = self.finish();
        let Writing(pending) = writer
            .into_inner()
            .map_err(io::IntoInnerError::into_error)
            .context("writing the end of a file")?;
        Ok(Written { pending, sha256 })
    }
}
