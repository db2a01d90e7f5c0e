//! The payload of a package: `data.tar`, its names checked, its contents shared.

use std::collections::BTreeMap;
use std::io::Cursor;

use anyhow::{Context as _, Result, bail};
use bytes::Bytes;
use tar::EntryType;

/// Bytes of a path and of one part of it (`limits.h`).
const PATH_MAX: usize = 4096;
const NAME_MAX: usize = 255;

/// What an entry puts into the tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EntryKind {
    /// A directory.
    Dir,
    /// A regular file; the content shares the archive's memory.
    File(Bytes),
    /// A symbolic link, target as written.
    Symlink(String),
    /// Another name of the file at this absolute path, which comes earlier in the archive.
    Hardlink(String),
    /// A character device.
    Char {
        /// Major number.
        major: u32,
        /// Minor number.
        minor: u32,
    },
    /// A block device.
    Block {
        /// Major number.
        major: u32,
        /// Minor number.
        minor: u32,
    },
    /// A named pipe.
    Fifo,
}

/// One entry of `data.tar`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Absolute path without `.`, `..`, doubled or trailing slashes; `/` for the root itself.
    pub path: String,
    /// Type and content.
    pub kind: EntryKind,
    /// The low twelve bits of `st_mode`.
    pub mode: u32,
    /// Owner's number.
    pub uid: u32,
    /// Group's number.
    pub gid: u32,
    /// Owner's name, which wins over the number where the target knows it.
    pub user: Option<String>,
    /// Group's name, likewise.
    pub group: Option<String>,
    /// Modification time, seconds since 1970.
    pub mtime: i64,
    /// Extended attributes by full name, from `SCHILY.xattr.*` records.
    pub xattrs: BTreeMap<String, Vec<u8>>,
}

/// Parses an uncompressed tar.
pub fn entries(tar: &Bytes) -> Result<Vec<Entry>> {
    let mut found = Vec::new();
    let mut archive = tar::Archive::new(Cursor::new(&tar[..]));
    for entry in archive.entries_with_seek()? {
        let mut entry = entry?;
        let path = absolute(&entry.path_bytes())?;
        let parsed = parse(&mut entry, path.clone(), tar).with_context(|| format!("reading its entry {path}"))?;
        found.extend(parsed);
    }
    Ok(found)
}

fn parse(entry: &mut tar::Entry<'_, Cursor<&[u8]>>, path: String, tar: &Bytes) -> Result<Option<Entry>> {
    let kind = entry.header().entry_type();
    let link = || -> Result<Vec<u8>> {
        match entry.link_name_bytes() {
            Some(target) if !target.is_empty() => Ok(target.into_owned()),
            _ => bail!("it is a link without a target"),
        }
    };
    let device = || -> Result<(u32, u32)> {
        match (entry.header().device_major()?, entry.header().device_minor()?) {
            (Some(major), Some(minor)) => Ok((major, minor)),
            _ => bail!("it is a device without numbers"),
        }
    };
    let kind = match kind {
        EntryType::Regular | EntryType::Continuous => EntryKind::File(content(entry, tar)?),
        EntryType::Directory => EntryKind::Dir,
        EntryType::Symlink => EntryKind::Symlink(
            String::from_utf8(link()?).map_err(|_| anyhow::anyhow!("the target of this link is not UTF-8"))?,
        ),
        EntryType::Link => EntryKind::Hardlink(absolute(&link()?)?),
        EntryType::Char => {
            let (major, minor) = device()?;
            EntryKind::Char { major, minor }
        }
        EntryType::Block => {
            let (major, minor) = device()?;
            EntryKind::Block { major, minor }
        }
        EntryType::Fifo => EntryKind::Fifo,
        EntryType::XGlobalHeader => return Ok(None),
        other => bail!("entries of type {other:?} have no place in a package"),
    };
    if path == "/" && kind != EntryKind::Dir {
        bail!("the root is not a directory in it");
    }
    let xattrs = xattrs(entry)?;
    let header = entry.header();
    // An owner left blank is root's, as dpkg reads it (cargo-deb writes such fields).
    let blank = |field: &[u8]| field.iter().all(|byte| matches!(byte, 0 | b' '));
    let number = |field: &[u8], value: std::io::Result<u64>| -> Result<u32> {
        Ok(if blank(field) { 0 } else { u32::try_from(value?)? })
    };
    let name = |bytes: Option<&[u8]>| {
        let name = std::str::from_utf8(bytes?).ok()?.trim_end_matches('\0');
        (!name.is_empty()).then(|| name.to_owned())
    };
    Ok(Some(Entry {
        kind,
        mode: header.mode()? & 0o7777,
        uid: number(&header.as_old().uid, header.uid()).context("reading its owner")?,
        gid: number(&header.as_old().gid, header.gid()).context("reading its group")?,
        user: name(header.username_bytes()),
        group: name(header.groupname_bytes()),
        mtime: i64::try_from(header.mtime()?).context("reading its time")?,
        path,
        xattrs,
    }))
}

/// The content of a regular file as a slice of the archive.
fn content(entry: &tar::Entry<'_, Cursor<&[u8]>>, tar: &Bytes) -> Result<Bytes> {
    let range = || {
        let start = usize::try_from(entry.raw_file_position()).ok()?;
        let end = start.checked_add(usize::try_from(entry.size()).ok()?)?;
        (end <= tar.len()).then_some(start..end)
    };
    match range() {
        Some(range) => Ok(tar.slice(range)),
        None => bail!("it is said to hold {} bytes, more than the archive has", entry.size()),
    }
}

fn xattrs(entry: &mut tar::Entry<'_, Cursor<&[u8]>>) -> Result<BTreeMap<String, Vec<u8>>> {
    let mut found = BTreeMap::new();
    let Some(records) = entry.pax_extensions()? else {
        return Ok(found);
    };
    for record in records {
        let record = record?;
        if record.key_bytes().starts_with(b"GNU.sparse.") {
            bail!("sparse files have no place in a package");
        }
        if let Some(name) = record.key().ok().and_then(|key| key.strip_prefix("SCHILY.xattr.")) {
            found.insert(name.to_owned(), record.value_bytes().to_vec());
        }
    }
    Ok(found)
}

/// `./usr/bin` as `/usr/bin`. Names that leave the tree, or mean something else than they say, are refused;
/// absolute ones too, for dpkg-deb writes none.
fn absolute(name: &[u8]) -> Result<String> {
    let shown = String::from_utf8_lossy(name).into_owned();
    let Ok(text) = std::str::from_utf8(name) else {
        bail!("the name `{shown}` is not UTF-8, which file names in packages must be (Policy 10.10)");
    };
    if text.is_empty() || text.starts_with('/') || text.contains(['\n', '\0']) {
        bail!("the name {shown:?} is not one a package may use");
    }
    if text.len() > PATH_MAX {
        bail!("a name has {} bytes, more than Linux takes", text.len());
    }
    let mut path = String::with_capacity(text.len());
    for part in text.split('/') {
        match part {
            "" | "." => {}
            part if part.len() > NAME_MAX => bail!("a name has a part of {} bytes, more than Linux takes", part.len()),
            ".." => bail!("the name `{shown}` leads out of the package"),
            part => {
                path.push('/');
                path.push_str(part);
            }
        }
    }
    if path.is_empty() {
        path.push('/');
    }
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_inside() {
        assert_eq!(absolute(b"./usr//bin/").unwrap(), "/usr/bin");
        assert_eq!(absolute(b"./").unwrap(), "/");
        let (long, deep) = (vec![b'a'; 256], b"a/".repeat(2049));
        for bad in [
            &long[..],
            &deep,
            &b"../etc"[..],
            b"./a/../../b",
            b"/etc/passwd",
            b"a\nb",
            b"\xff",
            b"",
        ] {
            assert!(absolute(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn contents_share_the_archive_and_attributes_are_read() {
        let mut builder = tar::Builder::new(Vec::new());
        builder
            .append_pax_extensions([("SCHILY.xattr.security.capability", &b"\x01\0\0\x02"[..])])
            .unwrap();
        let mut header = tar::Header::new_ustar();
        header.set_size(5);
        header.set_mode(0o4755);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(7);
        header.set_groupname("ssl-cert").unwrap();
        builder.append_data(&mut header, "usr/a", &b"hello"[..]).unwrap();
        let tar = Bytes::from(builder.into_inner().unwrap());
        let entries = entries(&tar).unwrap();
        let [entry] = &entries[..] else { panic!("{entries:?}") };
        let EntryKind::File(content) = &entry.kind else {
            panic!("{entry:?}")
        };
        assert!(tar.as_ptr_range().contains(&content.as_ptr()));
        assert_eq!((entry.mode, entry.group.as_deref()), (0o4755, Some("ssl-cert")));
        assert_eq!(entry.xattrs["security.capability"], b"\x01\0\0\x02");
    }

    #[test]
    fn a_size_beyond_the_archive_is_an_error() {
        let mut header = tar::Header::new_ustar();
        header.set_path("usr/a").unwrap();
        header.set_size(1 << 40);
        header.set_mode(0o644);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        header.set_cksum();
        let tar = Bytes::copy_from_slice(header.as_bytes());
        let error = format!("{:#}", entries(&tar).unwrap_err());
        assert!(error.contains("more than the archive has"), "{error}");
    }
}
