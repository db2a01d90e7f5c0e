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
        let thread = std::thread::spawn(move || check(&payloads));
        Self { thread: Some(thread) }
    }

    /// That of one payload.
    #[cfg(test)]
    pub(crate) fn of(path: &Path) -> Self {
        let payload = Payload {
            path: path.to_owned(),
            file: map(path).unwrap(),
        };
        Self::begin(vec![payload])
    }

    /// Waits until all was read; what is not what was written is removed, and the next build unpacks it again.
    ///
    /// # Errors
    ///
    /// Fails where there is such: nothing that was made of it may have its name, and why something could not be made of it
    /// is no matter. It is said once.
    pub fn finish(&mut self) -> Result<()> {
        let Some(thread) = self.thread.take() else {
            return Ok(());
        };
        thread
            .join()
            .map_err(|_| anyhow!("the thread that reads the unpacked packages has panicked"))?
    }
}

fn check(payloads: &[Payload]) -> Result<()> {
    let rotten: Vec<&Path> = payloads
        .iter()
        .filter(|payload| !payload.is_sound())
        .map(|payload| payload.path.as_path())
        .collect();
    let Some((first, others)) = rotten.split_first() else {
        return Ok(());
    };
    for path in &rotten {
        // Another process may have been faster.
        let _ = std::fs::remove_file(path);
    }
    let others = match others.len() {
        0 => String::new(),
        number => format!(", as were {number} more beside it"),
    };
    bail!(
        "{} is read other than it was written, and was removed{others}: look after that disk, and run it again",
        first.display()
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
            let mut reading = Reading::begin(vec![payload()]);
            let error = reading.finish().unwrap_err();
            assert!(error.to_string().contains("run it again"), "{error}");
            reading.finish().unwrap();
            Reading::begin(vec![payload()]).finish().unwrap();
        }
    }
    #[test]
    fn all_that_rotted_is_removed_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let paths = ["a", "b", "c"].map(|name| folder.path().join(name));
        for path in &paths {
            std::fs::write(path, "without a sum").unwrap();
        }
        let mut sound = Summed::new(File::create(&paths[1]).unwrap());
        sound.write_all(b"content").unwrap();
        sound.finish().unwrap();
        let payload = |path: &PathBuf| Payload {
            path: path.clone(),
            file: map(path).unwrap(),
        };
        let error = Reading::begin(paths.iter().map(payload).collect())
            .finish()
            .unwrap_err();
        let expected = format!("{} is read other", paths[0].display());
        assert!(error.to_string().starts_with(&expected), "{error}");
        assert!(error.to_string().contains("as were 1 more beside it"), "{error}");
        assert_eq!(paths.map(|path| path.exists()), [false, true, false]);
    }
}
