//! The files of a package: `data.tar`.

use std::collections::BTreeSet;
use std::io::Write;

use anyhow::{Context, Result};
use md5::{Digest, Md5};
use tar::{EntryType, Header};

use crate::interrupt;

/// What an entry is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A folder.
    Dir,
    /// A regular file.
    File(Vec<u8>),
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
    /// Owner by name, and numeric id where the name is not in every system's table.
    pub owner: (String, u64),
    /// Group by name and id.
    pub group: (String, u64),
    /// Whether dpkg keeps its owner's changes.
    pub conffile: bool,
}

impl Entry {
    /// A file of root's.
    pub fn file(path: &str, mode: u32, content: Vec<u8>) -> Self {
        Self::of(path, mode, Kind::File(content))
    }

    /// A folder of root's.
    pub fn dir(path: &str, mode: u32) -> Self {
        Self::of(path, mode, Kind::Dir)
    }

    /// A symbolic link.
    pub fn symlink(path: &str, target: &str) -> Self {
        Self::of(path, 0o777, Kind::Symlink(target.to_owned()))
    }

    fn of(path: &str, mode: u32, kind: Kind) -> Self {
        let root = || ("root".to_owned(), 0);
        Self {
            path: path.trim_end_matches('/').to_owned(),
            kind,
            mode,
            owner: root(),
            group: root(),
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

/// Writes arranged entries as a tar archive in GNU format, every time stamp `epoch`.
pub fn write_tar(entries: &[Entry], epoch: u64, out: impl Write) -> Result<()> {
    let mut writer = Tar { out, epoch };
    writer.entry(&Entry::dir("/", 0o755))?;
    for entry in entries {
        interrupt::check()?;
        writer.entry(entry).with_context(|| format!("packing {}", entry.path))?;
    }
    // An archive ends with two empty blocks.
    writer.out.write_all(&[0; 1024])?;
    writer.out.flush()?;
    Ok(())
}

/// Headers are filled in by hand: the `tar` crate would drop the `./` that dpkg and its users expect.
struct Tar<W> {
    out: W,
    epoch: u64,
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
        header.set_mode(entry.mode);
        header.set_mtime(self.epoch);
        header.set_uid(entry.owner.1);
        header.set_gid(entry.group.1);
        header.set_username(&entry.owner.0)?;
        header.set_groupname(&entry.group.0)?;
        let content: &[u8] = match &entry.kind {
            Kind::Dir => {
                header.set_entry_type(EntryType::Directory);
                &[]
            }
            Kind::File(content) => {
                header.set_entry_type(EntryType::Regular);
                content
            }
            Kind::Symlink(target) => {
                header.set_entry_type(EntryType::Symlink);
                self.long(EntryType::GNULongLink, target)?;
                let field = &mut header.as_gnu_mut().context("making a header")?.linkname;
                fill(field, target);
                &[]
            }
        };
        self.long(EntryType::GNULongName, &name)?;
        fill(&mut header.as_gnu_mut().context("making a header")?.name, &name);
        self.block(header, content)
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
        self.block(header, &content)
    }

    fn block(&mut self, mut header: Header, content: &[u8]) -> Result<()> {
        header.set_size(content.len() as u64);
        header.set_cksum();
        self.out.write_all(header.as_bytes())?;
        self.out.write_all(content)?;
        let rest = content.len() % 512;
        if rest > 0 {
            self.out.write_all(&[0; 512][..512 - rest])?;
        }
        Ok(())
    }
}

fn fill(field: &mut [u8; 100], text: &str) {
    let bytes = &text.as_bytes()[..text.len().min(100)];
    field[..bytes.len()].copy_from_slice(bytes);
}

/// The control file `md5sums` of arranged entries: every regular file that is not a conffile, as debhelper has it.
pub fn md5sums(entries: &[Entry]) -> String {
    let lines: Vec<String> = entries
        .iter()
        .filter_map(|entry| match (&entry.kind, entry.conffile) {
            (Kind::File(content), false) => {
                let digest = hex::encode(Md5::digest(content));
                Some(format!("{digest}  {}\n", entry.path.trim_start_matches('/')))
            }
            _ => None,
        })
        .collect();
    lines.concat()
}

/// `Installed-Size` in KiB: files rounded up, one for everything else (`dpkg-gencontrol(1)`).
pub fn installed_size(entries: &[Entry]) -> u64 {
    entries
        .iter()
        .map(|entry| match &entry.kind {
            Kind::File(content) => (content.len() as u64).div_ceil(1024),
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
            Entry::file(&long, 0o644, b"hello".to_vec()),
            Entry::symlink("/usr/link", &"y/".repeat(80)),
        ];
        arrange(&mut entries);
        let mut archive = Vec::new();
        write_tar(&entries, 7, &mut archive).unwrap();
        let mut archive = tar::Archive::new(archive.as_slice());
        let found: Vec<(String, u64, Option<String>)> = archive
            .entries()
            .unwrap()
            .map(|entry| {
                let entry = entry.unwrap();
                let link = entry
                    .link_name_bytes()
                    .map(|name| String::from_utf8(name.to_vec()).unwrap());
                let path = String::from_utf8(entry.path_bytes().to_vec()).unwrap();
                assert_eq!(entry.header().mtime().unwrap(), 7);
                assert_eq!(entry.header().username().unwrap(), Some("root"));
                (path, entry.size(), link)
            })
            .collect();
        assert_eq!(found[0].0, "./");
        assert!(found.contains(&(format!(".{long}"), 5, None)));
        assert!(found.contains(&("./usr/link".to_owned(), 0, Some("y/".repeat(80)))));
    }

    #[test]
    fn conffiles_have_no_md5sum() {
        let mut conffile = Entry::file("/etc/x", 0o644, b"x".to_vec());
        conffile.conffile = true;
        let entries = [conffile, Entry::file("/usr/x", 0o644, b"abc".to_vec())];
        assert_eq!(md5sums(&entries), "900150983cd24fb0d6963f7d28e17f72  usr/x\n");
    }
}
