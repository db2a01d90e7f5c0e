//! Unpacked packages in the cache, from where they are mapped.

use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;

use anyhow::{Context, Result, anyhow, bail};
use bytes::Bytes;
use computatom_compose::deb::Deb as Archive;

use super::opened;
use crate::atomic::Pending;
use crate::fetch::cache::Cache;
use crate::fetch::summed::{Summed, sound};
use crate::input_error;

/// Bytes decompressed at once.
const CHUNK: usize = 256 << 10;
/// The sum behind a content.
const SUM: usize = 4;

/// The payload of a package, a tar archive, mapped from the cache; what is read there is perhaps not what was written.
#[derive(Debug)]
pub(super) struct Payload {
    path: PathBuf,
    /// The content, and its sum.
    file: Bytes,
}

impl Payload {
    /// That of the package with this digest, which is unpacked into the cache if that was not done before.
    pub(super) fn of(deb: &Path, sha256: &str, cache: &Cache) -> Result<Self> {
        let path = cache.derived("unpacked", sha256)?;
        if !path.is_file() {
            unpack(&opened(deb)?, &path, cache)?;
        }
        let file = map(&path)?;
        Ok(Self { path, file })
    }

    /// The content, as it is read.
    pub(super) fn content(&self) -> Bytes {
        self.file.slice(..self.file.len().saturating_sub(SUM))
    }

    fn is_sound(&self) -> bool {
        sound(&self.file).is_some()
    }

    /// The content as it was written: what is read other than that is unpacked again.
    pub(super) fn sound(self, deb: &Path, cache: &Cache) -> Result<Bytes> {
        if self.is_sound() {
            return Ok(self.content());
        }
        unpack(&opened(deb)?, &self.path, cache)?;
        let again = Self {
            file: map(&self.path)?,
            path: self.path,
        };
        if !again.is_sound() {
            bail!(
                "{} is read other than it was written: look after that disk",
                again.path.display()
            );
        }
        Ok(again.content())
    }
}

/// Decompresses the payload of a package, which was verified when it was read, into the cache.
fn unpack(archive: &Archive, path: &Path, cache: &Cache) -> Result<()> {
    let mut pending = Pending::create(path)?;
    let (mut payload, mut kept) = (archive.data()?, Summed::new(pending.file()));
    let writing = || cache.writing("the decompressed data.tar");
    let mut chunk = vec![0; CHUNK];
    loop {
        let read = payload.read(&mut chunk);
        match read.map_err(|error| input_error!("decompressing data.tar: {error}"))? {
            0 => break,
            length => kept.write_all(&chunk[..length]).with_context(writing)?,
        }
    }
    kept.finish().with_context(writing)?;
    pending.commit()?;
    Ok(())
}

#[allow(unsafe_code, reason = "a mapping of a file has no safe constructor")]
pub(super) fn map(path: &Path) -> Result<Bytes> {
    let file = File::open(path).with_context(|| format!("opening {}", path.display()))?;
    // SAFETY: files of the cache are written once under another name, renamed, and never written again.
    let mapping = unsafe { memmap2::Mmap::map(&file) }.with_context(|| format!("mapping {}", path.display()))?;
    Ok(Bytes::from_owner(mapping))
}

/// Payloads that are read, to see whether they are what was written, while something is made of them: it takes as long as
/// much of the rest, and nearly all of them a build whose blocks are in the cache does not read otherwise.
#[derive(Debug, Default)]
pub struct Reading {
    thread: Option<JoinHandle<Result<()>>>,
}

impl Reading {
    pub(super) fn begin(payloads: Vec<Payload>) -> Self {
        let thread = std::thread::spawn(move || payloads.iter().try_for_each(check));
        Self { thread: Some(thread) }
    }

    /// Waits until all was read.
    ///
    /// # Errors
    ///
    /// Fails where something is not what was written: nothing that was made of it may have its name. It is unpacked again
    /// by the next build.
    pub fn finish(self) -> Result<()> {
        let Some(thread) = self.thread else {
            return Ok(());
        };
        thread
            .join()
            .map_err(|_| anyhow!("the thread that reads the unpacked packages has panicked"))?
    }
}

fn check(payload: &Payload) -> Result<()> {
    if payload.is_sound() {
        return Ok(());
    }
    // Another process may have been faster.
    let _ = std::fs::remove_file(&payload.path);
    bail!(
        "{} is read other than it was written, and was removed: look after that disk, and run it again",
        payload.path.display()
    )
}

#[cfg(test)]
mod tests {
    use super::super::tests::ours;
    use super::*;

    #[test]
    fn a_payload_that_rotted_in_the_cache_is_unpacked_again() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::at(&folder.path().join("cache")).unwrap();
        let path = folder.path().join("rotten.deb");
        let mut file = File::create(&path).unwrap();
        ours("rotten", "1", "libc6").write(&mut file).unwrap();
        let payload = || Payload::of(&path, "abc", &cache).unwrap();
        payload();
        let kept = cache.derived("unpacked", "abc").unwrap();
        let sound = std::fs::read(&kept).unwrap();
        let mut flipped = sound.clone();
        flipped[100] ^= 1;
        // What an earlier version kept had no sum.
        for rotten in [&flipped, &sound[..sound.len() - 1], &sound[..sound.len() - 4], &[]] {
            std::fs::write(&kept, rotten).unwrap();
            payload().sound(&path, &cache).unwrap();
            assert!(std::fs::read(&kept).unwrap() == sound);

            std::fs::write(&kept, rotten).unwrap();
            let error = Reading::begin(vec![payload()]).finish().unwrap_err();
            assert!(error.to_string().contains("run it again"), "{error}");
            Reading::begin(vec![payload()]).finish().unwrap();
        }
    }
}
