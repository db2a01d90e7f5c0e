//! A file that grows by downloading, and waits in the cache where it was cut.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};
use reqwest::Url;
use reqwest::header::HeaderValue;
use tempfile::TempPath;
use tokio::time::sleep;

use super::cache::{self, Cache};
use crate::verify::Sha256;
use crate::verify::digest::Hasher;

/// How often a download that another process has under way is looked at.
const LOCK_INTERVAL: Duration = Duration::from_millis(100);
/// Bytes read at once of what an earlier run has left.
const CHUNK: usize = 1 << 20;

/// A file that grows by downloading.
pub(super) struct Partial {
    file: File,
    path: PathBuf,
    /// Bytes received.
    pub(super) received: u64,
    hasher: Hasher,
    /// Removes a file whose digest is not known beforehand; the others wait for a resumption.
    temporary: Option<TempPath>,
    /// The file is no longer ours: it has got its name, or is gone.
    settled: bool,
    /// Where the bytes of this run are from, and which version of the file the server called it. It is not kept for
    /// other runs: mirrors tag the same bytes differently, and the digest finds out in the end.
    tag: Option<(Url, HeaderValue)>,
    /// Whether the last answer called itself an HTML page.
    pub(super) html: bool,
}

impl Drop for Partial {
    fn drop(&mut self) {
        // An empty file is nothing to resume.
        if self.received == 0 && !self.settled {
            self.discard();
        }
    }
}

impl Partial {
    /// A download without a name to find it again.
    pub(super) fn fresh(cache: &Cache) -> Result<Self> {
        let folder = cache.root().join("partial");
        let (file, path) = tempfile::Builder::new()
            .prefix(".incoming-")
            .tempfile_in(&folder)
            .with_context(|| format!("creating a file in {}", folder.display()))?
            .into_parts();
        Ok(Self {
            file,
            path: path.to_path_buf(),
            received: 0,
            hasher: Hasher::default(),
            temporary: Some(path),
            settled: false,
            tag: None,
            html: false,
        })
    }

    /// What there is of an object, locked against other processes; `None` if the object is complete by now.
    pub(super) async fn resumed(cache: &Cache, sha256: &Sha256) -> Result<Option<Self>> {
        let path = cache.partial(sha256);
        let mut file = loop {
            let locked = cache::try_lock(&path)?;
            if cache.get(sha256).is_some() {
                if locked.is_some_and(|file| file.metadata().is_ok_and(|metadata| metadata.len() == 0)) {
                    // Ours alone, and not needed: the object came while the file was made.
                    let _ = std::fs::remove_file(&path);
                }
                return Ok(None);
            }
            if let Some(file) = locked {
                break file;
            }
            sleep(LOCK_INTERVAL).await;
        };
        let mut hasher = Hasher::default();
        let mut chunk = vec![0; CHUNK];
        let mut received = 0;
        loop {
            match file
                .read(&mut chunk)
                .with_context(|| format!("reading {}", path.display()))?
            {
                0 => break,
                read => {
                    hasher.update(&chunk[..read]);
                    received += read as u64;
                }
            }
        }
        Ok(Some(Self {
            file,
            path,
            received,
            hasher,
            temporary: None,
            settled: false,
            tag: None,
            html: false,
        }))
    }

    /// Adds the next bytes.
    pub(super) fn append(&mut self, chunk: &[u8]) -> std::io::Result<()> {
        self.file.write_all(chunk)?;
        self.hasher.update(chunk);
        self.received += chunk.len() as u64;
        Ok(())
    }

    /// Begins again with nothing.
    pub(super) fn restart(&mut self) -> std::io::Result<()> {
        if self.received > 0 {
            self.file.set_len(0)?;
            self.file.seek(SeekFrom::Start(0))?;
            self.received = 0;
            self.hasher = Hasher::default();
        }
        self.tag = None;
        Ok(())
    }

    /// Remembers the strong validator of the file at `url` (RFC 9110, section 8.8.1): a weak one does not promise the
    /// same bytes.
    pub(super) fn remember(&mut self, url: &Url, tag: Option<&HeaderValue>) {
        let strong = tag.filter(|tag| tag.as_bytes().starts_with(b"\""));
        self.tag = strong.map(|tag| (url.clone(), tag.clone()));
    }

    /// The validator that what was received has at `url`.
    pub(super) fn tag_of(&self, url: &Url) -> Option<HeaderValue> {
        let (from, tag) = self.tag.as_ref()?;
        (from == url).then(|| tag.clone())
    }

    /// Whether `found`, the validator of the next part, is another than that of what was received.
    pub(super) fn changed(&self, url: &Url, found: Option<&str>) -> bool {
        match (self.tag_of(url), found) {
            (Some(tag), Some(found)) => tag.as_bytes() != found.as_bytes(),
            _ => false,
        }
    }

    /// Removes what was received, which is of no use.
    pub(super) fn discard(&mut self) {
        // A partial file that stays is only a resumption that fails.
        let _ = std::fs::remove_file(&self.path);
        self.settled = true;
    }

    /// The digest of what was received.
    pub(super) fn digest(&self) -> Sha256 {
        self.hasher.clone().finish()
    }

    /// Makes what was received an object of the cache.
    pub(super) fn store(mut self, cache: &Cache) -> Result<(Sha256, PathBuf)> {
        let sha256 = self.digest();
        let object = cache.adopt(&self.file, &self.path, &sha256)?;
        self.settled = true;
        if let Some(path) = self.temporary.take() {
            // The name is gone by the rename: nothing to clean up.
            let _ = path.keep();
        }
        Ok((sha256, object))
    }
}
