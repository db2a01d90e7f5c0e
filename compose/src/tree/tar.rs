//! The tree as a tar archive: numeric owners, extended attributes as pax records, hard links kept.

use std::collections::HashMap;
use std::io::{self, Write};

use tar::{Builder, EntryType, Header};

use crate::tree::{Inode, InodeId, Kind, Tree};

impl Tree {
    /// Writes everything below the root, parents first and each directory in byte order.
    pub fn write_tar(&self, writer: impl Write) -> io::Result<()> {
        let mut builder = Builder::new(writer);
        let mut first: HashMap<InodeId, String> = HashMap::new();
        for (path, id) in self.walk("/").map_err(io::Error::other)? {
            let name = path.trim_start_matches('/').to_owned();
            let inode = self.inode(id);
            let mut header = header(inode)?;
            if let Some(target) = first.get(&id) {
                header.set_entry_type(EntryType::Link);
                builder.append_link(&mut header, &name, target)?;
                continue;
            }
            if !inode.xattrs.is_empty() {
                let records: Vec<(String, &[u8])> = inode
                    .xattrs
                    .iter()
                    .map(|(name, value)| (format!("SCHILY.xattr.{name}"), value.as_slice()))
                    .collect();
                builder.append_pax_extensions(records.iter().map(|(name, value)| (name.as_str(), *value)))?;
            }
            match &inode.kind {
                Kind::File(content) => {
                    header.set_size(content.len() as u64);
                    builder.append_data(&mut header, &name, &content[..])?;
                }
                Kind::Symlink(target) => builder.append_link(&mut header, &name, target)?,
                _ => builder.append_data(&mut header, &name, io::empty())?,
            }
            if !inode.is_dir() {
                first.insert(id, name);
            }
        }
        builder.into_inner()?.flush()
    }
}

fn header(inode: &Inode) -> io::Result<Header> {
    let mut header = Header::new_gnu();
    header.set_mode(inode.mode);
    header.set_uid(u64::from(inode.uid));
    header.set_gid(u64::from(inode.gid));
    header.set_mtime(u64::try_from(inode.mtime).unwrap_or(0));
    header.set_size(0);
    let mut device = |kind, major, minor| {
        header.set_entry_type(kind);
        header.set_device_major(major)?;
        header.set_device_minor(minor)
    };
    match &inode.kind {
        Kind::Dir(_) => header.set_entry_type(EntryType::Directory),
        Kind::File(_) => header.set_entry_type(EntryType::Regular),
        Kind::Symlink(_) => header.set_entry_type(EntryType::Symlink),
        Kind::Char { major, minor } => device(EntryType::Char, *major, *minor)?,
        Kind::Block { major, minor } => device(EntryType::Block, *major, *minor)?,
        Kind::Fifo => header.set_entry_type(EntryType::Fifo),
    }
    Ok(header)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::deb::data;

    #[test]
    fn what_is_written_is_read_back() {
        let mut tree = Tree::new(5);
        tree.mkdir_all("/usr/bin", 0o755).unwrap();
        let id = tree.write("/usr/bin/ping", "elf", 0o755).unwrap();
        tree.inode_mut(id)
            .xattrs
            .insert("security.capability".to_owned(), vec![1, 0, 2]);
        tree.inode_mut(id).gid = 42;
        tree.link("/usr/bin/ping", "/usr/bin/pong").unwrap();
        tree.symlink("usr/bin", "/bin").unwrap();
        let mut bytes = Vec::new();
        tree.write_tar(&mut bytes).unwrap();
        let entries = data::entries(&Bytes::from(bytes)).unwrap();
        let paths: Vec<&str> = entries.iter().map(|entry| entry.path.as_str()).collect();
        assert_eq!(paths, ["/bin", "/usr", "/usr/bin", "/usr/bin/ping", "/usr/bin/pong"]);
        assert_eq!(entries[3].xattrs["security.capability"], [1, 0, 2]);
        assert_eq!(entries[3].gid, 42);
        assert_eq!(entries[4].kind, data::EntryKind::Hardlink("/usr/bin/ping".to_owned()));
    }
}
