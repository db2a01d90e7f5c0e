//! Changing what is there: contents of files, permissions and owners.

use bytes::Bytes;

use super::{Errno, Follow, Inode, InodeId, Kind, Result, Tree, TreeError};

impl Tree {
    /// Replaces the content of the file behind `path` (links followed, mode kept), or creates it with `mode`.
    pub fn write(&mut self, path: &str, content: impl Into<Bytes>, mode: u32) -> Result<InodeId> {
        let place = self.locate(path, Follow::Yes)?;
        let now = self.now;
        match place.inode {
            None => Ok(self.insert(&place, Inode::new(Kind::File(content.into()), mode, now))),
            Some(id) => {
                let inode = self.inode_mut(id);
                match &mut inode.kind {
                    Kind::File(old) => {
                        *old = content.into();
                        inode.mtime = now;
                        Ok(id)
                    }
                    Kind::Dir(_) => Err(Errno::IsDir.at(path)),
                    // What goes into a device or a pipe is gone; the shell opens /dev/null itself.
                    _ => Ok(id),
                }
            }
        }
    }

    /// Adds to the end of a file, which is created with `mode` if absent.
    pub fn append(&mut self, path: &str, content: &[u8], mode: u32) -> Result<InodeId> {
        let mut all = match self.read(path) {
            Ok(old) => old.to_vec(),
            Err(TreeError {
                errno: Errno::NoEntry, ..
            }) => Vec::new(),
            Err(error) => return Err(error),
        };
        all.extend_from_slice(content);
        self.write(path, all, mode)
    }

    /// Sets the permission bits, links followed.
    pub fn chmod(&mut self, path: &str, mode: u32) -> Result<()> {
        let id = self.lookup(path, Follow::Yes)?;
        self.inode_mut(id).mode = mode & 0o7777;
        Ok(())
    }

    /// Sets owner and group (`None` leaves one); clears setuid and setgid of a file, as `chown(2)` does.
    pub fn chown(&mut self, path: &str, uid: Option<u32>, gid: Option<u32>, follow: Follow) -> Result<()> {
        let id = self.lookup(path, follow)?;
        let inode = self.inode_mut(id);
        inode.uid = uid.unwrap_or(inode.uid);
        inode.gid = gid.unwrap_or(inode.gid);
        if inode.is_file() {
            inode.mode &= !0o6000;
            inode.xattrs.remove("security.capability");
        }
        Ok(())
    }
}
