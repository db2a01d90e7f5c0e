//! The files of a package: `data.tar`.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread;

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use md5::digest::Output;
use md5::{Digest, Md5};
use tar::{EntryType, Header};

use super::accounts;
use crate::interrupt;

/// Bytes moved at once.
const CHUNK: usize = 256 << 10;

/// Chunks that may wait to be hashed: 4 MiB.
const QUEUE: usize = 16;

/// The content of a file, in memory or where it lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// In memory; clones share it.
    Bytes(Bytes),
    /// A file of this machine, read when the package is written.
    File {
        /// Where.
        path: PathBuf,
        /// Its length; another length when it is read is an error.
        size: u64,
    },
}

impl Body {
    /// A file of this machine.
    pub fn of_file(path: PathBuf) -> Result<Self> {
        let metadata = std::fs::metadata(&path).with_context(|| format!("reading {}", path.display()))?;
        let size = metadata.len();
        Ok(Self::File { path, size })
    }

    /// Length in bytes.
    pub fn size(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::File { size, .. } => *size,
        }
    }

    /// The whole content; for small files only.
    pub fn read(&self) -> Result<Bytes> {
        match self {
            Self::Bytes(bytes) => Ok(bytes.clone()),
            Self::File { path, .. } => std::fs::read(path)
                .map(Bytes::from)
                .with_context(|| format!("reading {}", path.display())),
        }
    }
}

impl From<Vec<u8>> for Body {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Bytes(bytes.into())
    }
}

/// What an entry is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A folder.
    Dir,
    /// A regular file.
    File(Body),
    /// A symbolic link and its target.
    Symlink(String),
}

/// One file, folder or link of a package.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Absolute path.
    pub path: String,
    /// Type and content.
    pub kind: Kind,
    /// Permissions, setuid and the like.
    pub mode: u32,
    /// Owner by name, and its number where every Debian system has the same one.
    pub owner: (String, u64),
    /// Group by name and number.
    pub group: (String, u64),
    /// Seconds since 1970; the package's own where nothing is said.
    pub mtime: Option<i64>,
    /// Whether dpkg keeps its owner's changes.
    pub conffile: bool,
}

impl Entry {
    /// A file of root's.
    pub fn file(path: &str, mode: u32, content: impl Into<Body>) -> Self {
        Self::of(path, mode, Kind::File(content.into()))
    }

    /// A folder of root's.
    pub fn dir(path: &str, mode: u32) -> Self {
        Self::of(path, mode, Kind::Dir)
    }

    /// A symbolic link.
    pub fn symlink(path: &str, target: &str) -> Self {
        Self::of(path, 0o777, Kind::Symlink(target.to_owned()))
    }

    /// The entry with another owner; an empty name is root.
    #[must_use]
    pub fn owned_by(mut self, owner: &str, group: &str) -> Self {
        let named = |name: &str, number: Option<u64>| match name {
            "" => ("root".to_owned(), 0),
            name => (name.to_owned(), number.unwrap_or(0)),
        };
        self.owner = named(owner, accounts::user(owner));
        self.group = named(group, accounts::group(group));
        self
    }

    fn of(path: &str, mode: u32, kind: Kind) -> Self {
        let root = || ("root".to_owned(), 0);
        Self {
            path: path.trim_end_matches('/').to_owned(),
            kind,
            mode,
            owner: root(),
            group: root(),
            mtime: None,
            conffile: false,
        }
    }
}

/// Puts entries into the order of the archive (parents first, then by bytes) and adds the folders above them.
pub fn arrange(entries: &mut Vec<Entry>) {
    let known: BTreeSet<String> = entries.iter().map(|entry| entry.path.clone()).collect();
    let mut missing = BTreeSet::new();
    for path in &known {
        let mut end = 0;
        while let Some(slash) = path[end + 1..].find('/') {
            end += 1 + slash;
            if !known.contains(&path[..end]) {
                missing.insert(path[..end].to_owned());
            }
        }
    }
    entries.extend(missing.iter().map(|path| Entry::dir(path, 0o755)));
    entries.sort_by(|a, b| a.path.split('/').cmp(b.path.split('/')));
}

/// Writes arranged entries as a tar archive in GNU format, time stamps `epoch` where an entry has none of its own.
/// Returns the control file `md5sums`: every regular file that is not a conffile, as debhelper has it.
pub fn write_tar(entries: &[Entry], epoch: i64, out: impl Write) -> Result<String> {
    let mut writer = Tar {
        out,
        epoch,
        md5sums: String::new(),
    };
    writer.entry(&Entry::dir("/", 0o755))?;
    for entry in entries {
        interrupt::check()?;
        writer.entry(entry).with_context(|| format!("packing {}", entry.path))?;
    }
    // An archive ends with two empty blocks.
    writer.out.write_all(&[0; 1024])?;
    writer.out.flush()?;
    Ok(writer.md5sums)
}

/// Headers are filled in by hand: the `tar` crate would drop the `./` that dpkg and its users expect.
struct Tar<W> {
    out: W,
    epoch: i64,
    md5sums: String,
}

impl<W: Write> Tar<W> {
    fn entry(&mut self, entry: &Entry) -> Result<()> {
        let slash = if matches!(entry.kind, Kind::Dir) && !entry.path.is_empty() {
            "/"
        } else {
            ""
        };
        let name = match entry.path.as_str() {
            "" => "./".to_owned(),
            path => format!(".{path}{slash}"),
        };
        let mut header = Header::new_gnu();
        header.set_size(0);
        header.set_mode(entry.mode);
        let mtime = entry.mtime.unwrap_or(self.epoch);
        header.set_mtime(u64::try_from(mtime).context("the time stamp is before 1970")?);
        header.set_uid(entry.owner.1);
        header.set_gid(entry.group.1);
        header.set_username(&entry.owner.0)?;
        header.set_groupname(&entry.group.0)?;
        match &entry.kind {
            Kind::Dir => header.set_entry_type(EntryType::Directory),
            Kind::File(body) => {
                header.set_entry_type(EntryType::Regular);
                header.set_size(body.size());
            }
            Kind::Symlink(target) => {
                header.set_entry_type(EntryType::Symlink);
                self.long(EntryType::GNULongLink, target)?;
                let field = &mut header.as_gnu_mut().context("making a header")?.linkname;
                fill(field, target);
            }
        }
        self.long(EntryType::GNULongName, &name)?;
        fill(&mut header.as_gnu_mut().context("making a header")?.name, &name);
        header.set_cksum();
        self.out.write_all(header.as_bytes())?;
        if let Kind::File(body) = &entry.kind {
            let digest = self.body(body)?;
            if !entry.conffile {
                let path = entry.path.trim_start_matches('/');
                self.md5sums.extend([&digest, "  ", path, "\n"]);
            }
        }
        Ok(())
    }

    /// Writes a content and what fills its last block; returns its MD5.
    fn body(&mut self, body: &Body) -> Result<String> {
        let md5 = match body {
            Body::Bytes(bytes) => {
                for chunk in bytes.chunks(CHUNK) {
                    interrupt::check()?;
                    self.out.write_all(chunk)?;
                }
                Md5::digest(bytes)
            }
            Body::File { path, size } => self.file(path, *size)?,
        };
        self.fill_block(body.size())?;
        Ok(hex::encode(md5))
    }

    /// Writes the content of a file; returns its MD5, which is computed beside: it has no parallel form and takes longer
    /// than two threads of zstd, which must not wait for it.
    fn file(&mut self, path: &Path, size: u64) -> Result<Output<Md5>> {
        // Chunks go round: fresh memory for each is slower than what is done with it.
        let (filled, to_hash) = mpsc::sync_channel::<Vec<u8>>(QUEUE);
        let (hashed, empty) = mpsc::channel();
        thread::scope(|scope| {
            let hashing = scope.spawn(move || {
                let mut md5 = Md5::new();
                for chunk in to_hash {
                    md5.update(&chunk);
                    // After the last one nobody waits for it.
                    let _ = hashed.send(chunk);
                }
                md5.finalize()
            });
            let written = each_chunk(path, size, |chunk| {
                self.out.write_all(&chunk)?;
                filled.send(chunk).expect("chunks are taken as long as there are any");
                Ok(empty.try_recv().unwrap_or_default())
            });
            drop(filled);
            let md5 = hashing.join().expect("hashing does not panic");
            written.map(|()| md5)
        })
    }

    fn fill_block(&mut self, size: u64) -> Result<()> {
        let rest = usize::try_from(size % 512).expect("less than 512");
        if rest > 0 {
            self.out.write_all(&[0; 512][..512 - rest])?;
        }
        Ok(())
    }

    /// GNU tar's way to hold a name longer than its field: an entry of its own before the real one.
    fn long(&mut self, kind: EntryType, name: &str) -> Result<()> {
        if name.len() <= 100 {
            return Ok(());
        }
        let mut header = Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(0);
        header.set_mtime(0);
        header.set_uid(0);
        header.set_gid(0);
        fill(
            &mut header.as_gnu_mut().context("making a header")?.name,
            "././@LongLink",
        );
        let mut content = name.as_bytes().to_vec();
        content.push(0);
        header.set_size(content.len() as u64);
        header.set_cksum();
        self.out.write_all(header.as_bytes())?;
        self.out.write_all(&content)?;
        self.fill_block(content.len() as u64)
    }
}

/// Hands the content of a file to `take` chunk by chunk; `take` gives back a buffer for the next one.
fn each_chunk(path: &Path, size: u64, mut take: impl FnMut(Vec<u8>) -> io::Result<Vec<u8>>) -> Result<()> {
    let reading = || format!("reading {}", path.display());
    let mut file = File::open(path).with_context(reading)?;
    let mut left = size;
    let mut chunk = Vec::new();
    loop {
        interrupt::check()?;
        chunk.clear();
        chunk.reserve_exact(CHUNK);
        let mut next = (&mut file).take(CHUNK as u64);
        let read = next.read_to_end(&mut chunk).with_context(reading)? as u64;
        if read > left || (read == 0 && left > 0) {
            bail!("{} changed while it was packed: run it again", path.display());
        }
        if read == 0 {
            return Ok(());
        }
        left -= read;
        chunk = take(chunk)?;
    }
}

fn fill(field: &mut [u8; 100], text: &str) {
    let bytes = &text.as_bytes()[..text.len().min(100)];
    field[..bytes.len()].copy_from_slice(bytes);
}

/// `Installed-Size` in KiB: files rounded up, one for everything else (`dpkg-gencontrol(1)`).
pub fn installed_size(entries: &[Entry]) -> u64 {
    entries
        .iter()
        .map(|entry| match &entry.kind {
            Kind::File(body) => body.size().div_ceil(1024),
            _ => 1,
        })
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parents_are_added_and_come_first() {
        let mut entries = vec![
            Entry::file("/usr/bin/a", 0o755, Vec::new()),
            Entry::dir("/usr-local", 0o755),
            Entry::file("/usr/bin-x", 0o755, Vec::new()),
        ];
        arrange(&mut entries);
        let paths: Vec<&str> = entries.iter().map(|entry| entry.path.as_str()).collect();
        assert_eq!(paths, ["/usr", "/usr/bin", "/usr/bin/a", "/usr/bin-x", "/usr-local"]);
    }

    #[test]
    fn the_tar_crate_reads_what_is_written() {
        let long = format!("/usr/share/{}/file", "x".repeat(120));
        let mut entries = vec![
            Entry::file(&long, 0o644, b"hello".to_vec()).owned_by("_apt", "consul"),
            Entry::symlink("/usr/link", &"y/".repeat(80)),
        ];
        entries[0].mtime = Some(9);
        arrange(&mut entries);
        let mut archive = Vec::new();
        write_tar(&entries, 7, &mut archive).unwrap();
        let mut archive = tar::Archive::new(archive.as_slice());
        let mut found = Vec::new();
        for entry in archive.entries().unwrap() {
            let entry = entry.unwrap();
            let link = entry
                .link_name_bytes()
                .map(|name| String::from_utf8(name.to_vec()).unwrap());
            let path = String::from_utf8(entry.path_bytes().to_vec()).unwrap();
            let header = entry.header();
            let owner = header.username().unwrap().unwrap().to_owned() + ":" + header.groupname().unwrap().unwrap();
            found.push((path, entry.size(), link, owner, header.mtime().unwrap()));
        }
        let root = "root:root".to_owned();
        assert_eq!(found[0].0, "./");
        assert!(found.contains(&(format!(".{long}"), 5, None, "_apt:consul".to_owned(), 9)));
        assert!(found.contains(&("./usr/link".to_owned(), 0, Some("y/".repeat(80)), root, 7)));
    }

    #[test]
    fn conffiles_have_no_md5sum() {
        let mut conffile = Entry::file("/etc/x", 0o644, b"x".to_vec());
        conffile.conffile = true;
        let entries = [conffile, Entry::file("/usr/x", 0o644, b"abc".to_vec())];
        let sums = write_tar(&entries, 0, std::io::sink()).unwrap();
        assert_eq!(sums, "900150983cd24fb0d6963f7d28e17f72  usr/x\n");
    }

    #[test]
    fn a_file_is_read_where_it_lies_and_must_not_change() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        let content: Vec<u8> = (0..CHUNK * 2 + 5).map(|i| u8::try_from(i % 251).unwrap()).collect();
        std::fs::write(&path, &content).unwrap();
        let on_disk = |size: usize| {
            let size = size as u64;
            let path = path.clone();
            let mut archive = Vec::new();
            let entries = [Entry::file("/x", 0o644, Body::File { path, size })];
            write_tar(&entries, 0, &mut archive).map(|sums| (archive, sums))
        };
        let mut in_memory = Vec::new();
        let sums = write_tar(&[Entry::file("/x", 0o644, content.clone())], 0, &mut in_memory).unwrap();
        assert!(on_disk(content.len()).unwrap() == (in_memory, sums));
        for wrong in [content.len() - 1, content.len() + 1] {
            let error = format!("{:#}", on_disk(wrong).unwrap_err());
            assert!(error.contains("changed while it was packed"), "{error}");
        }
    }
}
