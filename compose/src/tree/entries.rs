//! Directory entries: making, linking, moving and removing them.

use std::collections::BTreeMap;

use super::paths::{PATH_MAX, Place, components};
use super::{Errno, Follow, Inode, InodeId, Kind, Result, Tree, TreeError};

impl Tree {
    /// Puts a new inode at `path`, whose parent exists and which does not exist itself.
    pub fn create(&mut self, path: &str, inode: Inode) -> Result<InodeId> {
        let place = self.locate(path.trim_end_matches('/'), Follow::No)?;
        if place.inode.is_some() {
            return Err(Errno::Exists.at(path));
        }
        Ok(self.insert(&place, inode))
    }

    /// Puts a new inode at `path`, whose parent exists, in place of anything but a directory, as
    /// `rename(2)` of a new file would.
    pub fn replace(&mut self, path: &str, inode: Inode) -> Result<InodeId> {
        let place = self.locate(path.trim_end_matches('/'), Follow::No)?;
        if place.inode.is_some_and(|id| self.inode(id).is_dir()) {
            return Err(Errno::IsDir.at(path));
        }
        Ok(self.insert(&place, inode))
    }

    /// Makes `path` another entry for the inode `id`, no directory, in place of anything but a directory.
    pub fn replace_with(&mut self, path: &str, id: InodeId) -> Result<()> {
        let place = self.locate(path, Follow::No)?;
        if self.inode(id).is_dir() || place.inode.is_some_and(|old| self.inode(old).is_dir()) {
            return Err(Errno::IsDir.at(path));
        }
        self.entries_mut(place.parent).insert(place.name, id);
        Ok(())
    }

    /// Makes a directory.
    pub fn mkdir(&mut self, path: &str, mode: u32) -> Result<InodeId> {
        if components(path).next().is_none() {
            return Err(Errno::Exists.at(path));
        }
        let now = self.now;
        self.create(path, Inode::new(Kind::Dir(BTreeMap::new()), mode, now))
    }

    /// Makes a directory and the missing ones above it (all with `mode`); an existing one is fine.
    pub fn mkdir_all(&mut self, path: &str, mode: u32) -> Result<InodeId> {
        let mut so_far = String::new();
        for name in components(path) {
            so_far.push('/');
            so_far.push_str(name);
            match self.stat(&so_far) {
                Ok(inode) if inode.is_dir() => {}
                Ok(_) => {
                    return Err(Errno::NotDir.at(path));
                }
                Err(TreeError {
                    errno: Errno::NoEntry, ..
                }) if !self.lexists(&so_far) => {
                    self.mkdir(&so_far, mode)?;
                }
                Err(error) => return Err(error),
            }
        }
        self.lookup(path, Follow::Yes)
    }

    /// Makes a symbolic link at `path`.
    pub fn symlink(&mut self, target: &str, path: &str) -> Result<InodeId> {
        let now = self.now;
        self.create(path, Inode::new(Kind::Symlink(target.to_owned()), 0o777, now))
    }

    /// Makes another entry `path` for what `existing` names (a last link not followed).
    pub fn link(&mut self, existing: &str, path: &str) -> Result<()> {
        let id = self.lookup(existing, Follow::No)?;
        if self.inode(id).is_dir() {
            return Err(Errno::IsDir.at(existing));
        }
        let place = self.locate(path, Follow::No)?;
        if place.inode.is_some() {
            return Err(Errno::Exists.at(path));
        }
        self.entries_mut(place.parent).insert(place.name, id);
        Ok(())
    }

    /// Renames as `rename(2)`: an existing file, or empty directory, at `to` is replaced.
    pub fn rename(&mut self, from: &str, to: &str) -> Result<()> {
        let source = self.locate(from, Follow::No)?;
        let id = source.inode.ok_or_else(|| Errno::NoEntry.at(from))?;
        let target = self.locate(to.trim_end_matches('/'), Follow::No)?;
        if target.inode == Some(id) {
            return Ok(());
        }
        if self.inode(id).is_dir() && format!("{}/", target.canonical).starts_with(&format!("{}/", source.canonical)) {
            return Err(Errno::Invalid.at(to));
        }
        if self.inode(id).is_dir() {
            // What cannot be named would be nested without bound.
            let within = from.trim_end_matches('/').len();
            let deepest = self.walk(from)?.iter().map(|(path, _)| path.len() - within).max();
            if target.canonical.len() + deepest.unwrap_or(0) >= PATH_MAX {
                return Err(Errno::NameTooLong.at(to));
            }
        }
        if let Some(old) = target.inode {
            match (&self.inode(id).kind, &self.inode(old).kind) {
                (Kind::Dir(_), Kind::Dir(entries)) if !entries.is_empty() => return Err(Errno::NotEmpty.at(to)),
                (Kind::Dir(_), Kind::Dir(_)) => {}
                (Kind::Dir(_), _) => return Err(Errno::NotDir.at(to)),
                (_, Kind::Dir(_)) => return Err(Errno::IsDir.at(to)),
                _ => {}
            }
        }
        self.entries_mut(source.parent).remove(&source.name);
        self.entries_mut(target.parent).insert(target.name, id);
        Ok(())
    }

    /// Removes an entry that is not a directory.
    pub fn unlink(&mut self, path: &str) -> Result<()> {
        let place = self.locate(path, Follow::No)?;
        let id = place.inode.ok_or_else(|| Errno::NoEntry.at(path))?;
        if self.inode(id).is_dir() {
            return Err(Errno::IsDir.at(path));
        }
        self.entries_mut(place.parent).remove(&place.name);
        Ok(())
    }

    /// Removes an empty directory.
    pub fn rmdir(&mut self, path: &str) -> Result<()> {
        let place = self.locate(path, Follow::No)?;
        let id = place.inode.ok_or_else(|| Errno::NoEntry.at(path))?;
        match &self.inode(id).kind {
            _ if id == Self::root() => Err(Errno::Invalid.at(path)),
            Kind::Dir(entries) if entries.is_empty() => {
                self.entries_mut(place.parent).remove(&place.name);
                Ok(())
            }
            Kind::Dir(_) => Err(Errno::NotEmpty.at(path)),
            _ => Err(Errno::NotDir.at(path)),
        }
    }

    /// Removes `path` and everything below it; absence is an error.
    pub fn remove_all(&mut self, path: &str) -> Result<()> {
        let place = self.locate(path.trim_end_matches('/'), Follow::No)?;
        if place.inode.is_none() {
            return Err(Errno::NoEntry.at(path));
        }
        self.entries_mut(place.parent).remove(&place.name);
        Ok(())
    }

    pub(super) fn insert(&mut self, place: &Place, inode: Inode) -> InodeId {
        let id = InodeId(u32::try_from(self.inodes.len()).expect("fewer than 2^32 inodes"));
        let mut inode = inode;
        if let Some((uid, gid)) = self.acting {
            (inode.uid, inode.gid) = (uid, gid);
        }
        self.inodes.push(inode);
        self.entries_mut(place.parent).insert(place.name.clone(), id);
        id
    }

    fn entries_mut(&mut self, dir: InodeId) -> &mut BTreeMap<String, InodeId> {
        match &mut self.inode_mut(dir).kind {
            Kind::Dir(entries) => entries,
            _ => unreachable!("`locate` returns directories as parents"),
        }
    }
}
