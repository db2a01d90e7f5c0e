//! Asking the tree, and reading what is in it.

use bytes::Bytes;

use super::paths::components;
use super::{Errno, Follow, Inode, InodeId, Kind, Result, Tree};

impl Tree {
    /// The inode behind `path`, links followed.
    pub fn stat(&self, path: &str) -> Result<&Inode> {
        Ok(self.inode(self.lookup(path, Follow::Yes)?))
    }

    /// The inode behind `path`, a last link not followed.
    pub fn lstat(&self, path: &str) -> Result<&Inode> {
        Ok(self.inode(self.lookup(path, Follow::No)?))
    }

    /// Whether `path` leads to something, links followed.
    pub fn exists(&self, path: &str) -> bool {
        self.lookup(path, Follow::Yes).is_ok()
    }

    /// Whether there is an entry `path`, be it a dangling link.
    pub fn lexists(&self, path: &str) -> bool {
        self.lookup(path, Follow::No).is_ok()
    }

    /// Whether `path` is a directory, links followed.
    pub fn is_dir(&self, path: &str) -> bool {
        self.stat(path).is_ok_and(Inode::is_dir)
    }

    /// Whether `path` is a regular file, links followed.
    pub fn is_file(&self, path: &str) -> bool {
        self.stat(path).is_ok_and(Inode::is_file)
    }

    /// The content of a regular file.
    pub fn read(&self, path: &str) -> Result<Bytes> {
        match &self.stat(path)?.kind {
            Kind::File(content) => Ok(content.clone()),
            Kind::Dir(_) => Err(Errno::IsDir.at(path)),
            _ => Err(Errno::Invalid.at(path)),
        }
    }

    /// The content of a regular file as text, invalid UTF-8 replaced.
    pub fn read_text(&self, path: &str) -> Result<String> {
        Ok(String::from_utf8_lossy(&self.read(path)?).into_owned())
    }

    /// The target of a symbolic link.
    pub fn read_link(&self, path: &str) -> Result<String> {
        match &self.lstat(path)?.kind {
            Kind::Symlink(target) => Ok(target.clone()),
            _ => Err(Errno::Invalid.at(path)),
        }
    }

    /// The entries of a directory, in byte order.
    pub fn read_dir(&self, path: &str) -> Result<Vec<(String, InodeId)>> {
        match &self.stat(path)?.kind {
            Kind::Dir(entries) => Ok(entries.iter().map(|(name, id)| (name.clone(), *id)).collect()),
            _ => Err(Errno::NotDir.at(path)),
        }
    }

    /// Every entry below (and without) `path`, parents before children, each directory in byte order.
    pub fn walk(&self, path: &str) -> Result<Vec<(String, InodeId)>> {
        let start = self.lookup(path, Follow::Yes)?;
        let prefix = if components(path).next().is_none() {
            ""
        } else {
            path.trim_end_matches('/')
        };
        let mut found = Vec::new();
        self.walk_into(start, prefix, &mut found);
        Ok(found)
    }

    fn walk_into(&self, id: InodeId, prefix: &str, found: &mut Vec<(String, InodeId)>) {
        if let Kind::Dir(entries) = &self.inode(id).kind {
            for (name, &child) in entries {
                let path = format!("{prefix}/{name}");
                found.push((path.clone(), child));
                self.walk_into(child, &path, found);
            }
        }
    }
}
