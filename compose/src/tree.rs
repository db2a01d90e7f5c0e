//! The root file system while it is being composed: inodes in memory, nothing on the host.
//!
//! Paths are absolute, `/`-separated UTF-8. Symbolic links resolve inside the tree, as in a chroot:
//! `..` of the root is the root and an absolute target starts at the root again. File contents are
//! [`Bytes`], so an unpacked package shares its memory with the archive it came from.

use std::collections::BTreeMap;
use std::fmt;

use bytes::Bytes;

/// Links followed before a path counts as a loop (`path_resolution(7)`: the kernel allows 40).
const MAX_LINKS: usize = 40;

/// Identity of an inode; hard links are directory entries with the same id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct InodeId(u32);

/// What an inode is and holds.
#[derive(Clone, Debug)]
pub enum Kind {
    /// A directory: entry name to inode, in byte order.
    Dir(BTreeMap<String, InodeId>),
    /// A regular file.
    File(Bytes),
    /// A symbolic link with its target as written.
    Symlink(String),
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

/// One file-system object with its metadata.
#[derive(Clone, Debug)]
pub struct Inode {
    /// Type and content.
    pub kind: Kind,
    /// The low twelve bits of `st_mode`: permissions, setuid, setgid, sticky.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Modification time, seconds since 1970.
    pub mtime: i64,
    /// Extended attributes by full name (`security.capability`).
    pub xattrs: BTreeMap<String, Vec<u8>>,
}

impl Inode {
    /// An inode owned by root with no attributes.
    pub fn new(kind: Kind, mode: u32, mtime: i64) -> Self {
        Self {
            kind,
            mode: mode & 0o7777,
            uid: 0,
            gid: 0,
            mtime,
            xattrs: BTreeMap::new(),
        }
    }

    /// Whether this is a directory.
    pub fn is_dir(&self) -> bool {
        matches!(self.kind, Kind::Dir(_))
    }

    /// Whether this is a regular file.
    pub fn is_file(&self) -> bool {
        matches!(self.kind, Kind::File(_))
    }

    /// Whether this is a symbolic link.
    pub fn is_symlink(&self) -> bool {
        matches!(self.kind, Kind::Symlink(_))
    }
}

/// Why a tree operation failed; displays as `strerror(3)` would, with the path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TreeError {
    /// The path as the caller gave it.
    pub path: String,
    /// The cause.
    pub errno: Errno,
}

/// The causes a tree operation can fail for, named as in `errno(3)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Errno {
    /// `ENOENT`
    NoEntry,
    /// `ENOTDIR`
    NotDir,
    /// `EISDIR`
    IsDir,
    /// `EEXIST`
    Exists,
    /// `ENOTEMPTY`
    NotEmpty,
    /// `ELOOP`
    Loop,
    /// `EINVAL`
    Invalid,
}

impl fmt::Display for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoEntry => "No such file or directory",
            Self::NotDir => "Not a directory",
            Self::IsDir => "Is a directory",
            Self::Exists => "File exists",
            Self::NotEmpty => "Directory not empty",
            Self::Loop => "Too many levels of symbolic links",
            Self::Invalid => "Invalid argument",
        })
    }
}

impl fmt::Display for TreeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.errno)
    }
}

impl std::error::Error for TreeError {}

/// Result of a tree operation.
pub type Result<T> = std::result::Result<T, TreeError>;

/// Whether a symbolic link in the last place of a path is followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Follow {
    /// As `stat(2)`.
    Yes,
    /// As `lstat(2)`.
    No,
}

/// Where a path leads.
#[derive(Clone, Debug)]
struct Place {
    /// The directory that holds (or would hold) the last name.
    parent: InodeId,
    /// The last name; empty for the root.
    name: String,
    /// The inode, if the entry exists.
    inode: Option<InodeId>,
    /// The path without symbolic links.
    canonical: String,
}

/// A root file system in memory.
#[derive(Clone, Debug)]
pub struct Tree {
    inodes: Vec<Inode>,
    /// Time given to what is created from now on, seconds since 1970.
    pub now: i64,
}

impl Tree {
    /// An empty root directory (0755, root) whose clock stands at `now`.
    pub fn new(now: i64) -> Self {
        Self {
            inodes: vec![Inode::new(Kind::Dir(BTreeMap::new()), 0o755, now)],
            now,
        }
    }

    /// The root directory.
    pub fn root() -> InodeId {
        InodeId(0)
    }

    /// The inode behind an id.
    pub fn inode(&self, id: InodeId) -> &Inode {
        &self.inodes[id.0 as usize]
    }

    /// The inode behind an id, to change its metadata.
    pub fn inode_mut(&mut self, id: InodeId) -> &mut Inode {
        &mut self.inodes[id.0 as usize]
    }

    fn locate(&self, path: &str, follow: Follow) -> Result<Place> {
        let fail = |errno| TreeError {
            path: path.to_owned(),
            errno,
        };
        if path.is_empty() {
            return Err(fail(Errno::NoEntry));
        }
        let mut todo: Vec<String> = components(path).rev().map(str::to_owned).collect();
        let mut stack: Vec<(InodeId, String)> = vec![(Self::root(), String::new())];
        let mut links = 0;
        // `dir/` names the directory behind a link, never the link (POSIX 4.13).
        let follow = if path.ends_with('/') { Follow::Yes } else { follow };
        while let Some(name) = todo.pop() {
            let (current, _) = stack.last().expect("the root is never popped").clone();
            let Kind::Dir(entries) = &self.inode(current).kind else {
                return Err(fail(Errno::NotDir));
            };
            if name == ".." {
                if stack.len() > 1 {
                    stack.pop();
                }
                continue;
            }
            let last = todo.is_empty();
            let Some(&id) = entries.get(&name) else {
                if !last {
                    return Err(fail(Errno::NoEntry));
                }
                let canonical = join(&stack, &name);
                return Ok(Place {
                    parent: current,
                    name,
                    inode: None,
                    canonical,
                });
            };
            match &self.inode(id).kind {
                Kind::Symlink(target) if !last || follow == Follow::Yes => {
                    links += 1;
                    if links > MAX_LINKS {
                        return Err(fail(Errno::Loop));
                    }
                    if target.starts_with('/') {
                        stack.truncate(1);
                    }
                    todo.extend(components(target).rev().map(str::to_owned));
                }
                _ => stack.push((id, name)),
            }
        }
        let (id, name) = stack.last().expect("the root is never popped").clone();
        if path.ends_with('/') && !self.inode(id).is_dir() {
            return Err(fail(Errno::NotDir));
        }
        let parent = if stack.len() > 1 {
            stack[stack.len() - 2].0
        } else {
            Self::root()
        };
        let canonical = if stack.len() == 1 {
            "/".to_owned()
        } else {
            join(&stack[..stack.len() - 1], &name)
        };
        Ok(Place {
            parent,
            name,
            inode: Some(id),
            canonical,
        })
    }

    /// The inode that `path` names.
    pub fn lookup(&self, path: &str, follow: Follow) -> Result<InodeId> {
        self.locate(path, follow)?.inode.ok_or_else(|| TreeError {
            path: path.to_owned(),
            errno: Errno::NoEntry,
        })
    }

    /// `path` without symbolic links, as `realpath -m` for its last name: that may be absent.
    pub fn canonical(&self, path: &str) -> Result<String> {
        Ok(self.locate(path, Follow::Yes)?.canonical)
    }

    /// `path` with the links of all but the last name resolved.
    pub fn canonical_parent(&self, path: &str) -> Result<String> {
        Ok(self.locate(path, Follow::No)?.canonical)
    }

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
        let fail = |errno| TreeError {
            path: path.to_owned(),
            errno,
        };
        match &self.stat(path)?.kind {
            Kind::File(content) => Ok(content.clone()),
            Kind::Dir(_) => Err(fail(Errno::IsDir)),
            _ => Err(fail(Errno::Invalid)),
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
            _ => Err(TreeError {
                path: path.to_owned(),
                errno: Errno::Invalid,
            }),
        }
    }

    /// The entries of a directory, in byte order.
    pub fn read_dir(&self, path: &str) -> Result<Vec<(String, InodeId)>> {
        match &self.stat(path)?.kind {
            Kind::Dir(entries) => Ok(entries.iter().map(|(name, id)| (name.clone(), *id)).collect()),
            _ => Err(TreeError {
                path: path.to_owned(),
                errno: Errno::NotDir,
            }),
        }
    }

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
                    Kind::Dir(_) => Err(TreeError {
                        path: path.to_owned(),
                        errno: Errno::IsDir,
                    }),
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

    /// Puts a new inode at `path`, whose parent exists and which does not exist itself.
    pub fn create(&mut self, path: &str, inode: Inode) -> Result<InodeId> {
        let place = self.locate(path.trim_end_matches('/'), Follow::No)?;
        if place.inode.is_some() {
            return Err(TreeError {
                path: path.to_owned(),
                errno: Errno::Exists,
            });
        }
        Ok(self.insert(&place, inode))
    }

    /// Puts a new inode at `path`, whose parent exists, in place of anything but a directory, as
    /// `rename(2)` of a new file would.
    pub fn replace(&mut self, path: &str, inode: Inode) -> Result<InodeId> {
        let place = self.locate(path.trim_end_matches('/'), Follow::No)?;
        if place.inode.is_some_and(|id| self.inode(id).is_dir()) {
            return Err(TreeError {
                path: path.to_owned(),
                errno: Errno::IsDir,
            });
        }
        Ok(self.insert(&place, inode))
    }

    /// Makes `path` another entry for the inode `id`, no directory, in place of anything but a directory.
    pub fn replace_with(&mut self, path: &str, id: InodeId) -> Result<()> {
        let place = self.locate(path, Follow::No)?;
        if self.inode(id).is_dir() || place.inode.is_some_and(|old| self.inode(old).is_dir()) {
            return Err(TreeError {
                path: path.to_owned(),
                errno: Errno::IsDir,
            });
        }
        self.entries_mut(place.parent).insert(place.name, id);
        Ok(())
    }

    /// Makes a directory.
    pub fn mkdir(&mut self, path: &str, mode: u32) -> Result<InodeId> {
        if components(path).next().is_none() {
            return Err(TreeError {
                path: path.to_owned(),
                errno: Errno::Exists,
            });
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
                    return Err(TreeError {
                        path: path.to_owned(),
                        errno: Errno::NotDir,
                    });
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
            return Err(TreeError {
                path: existing.to_owned(),
                errno: Errno::IsDir,
            });
        }
        let place = self.locate(path, Follow::No)?;
        if place.inode.is_some() {
            return Err(TreeError {
                path: path.to_owned(),
                errno: Errno::Exists,
            });
        }
        self.entries_mut(place.parent).insert(place.name, id);
        Ok(())
    }

    /// Renames as `rename(2)`: an existing file, or empty directory, at `to` is replaced.
    pub fn rename(&mut self, from: &str, to: &str) -> Result<()> {
        let fail = |path: &str, errno| TreeError {
            path: path.to_owned(),
            errno,
        };
        let source = self.locate(from, Follow::No)?;
        let id = source.inode.ok_or_else(|| fail(from, Errno::NoEntry))?;
        let target = self.locate(to.trim_end_matches('/'), Follow::No)?;
        if target.inode == Some(id) {
            return Ok(());
        }
        if self.inode(id).is_dir() && format!("{}/", target.canonical).starts_with(&format!("{}/", source.canonical)) {
            return Err(fail(to, Errno::Invalid));
        }
        if let Some(old) = target.inode {
            match (&self.inode(id).kind, &self.inode(old).kind) {
                (Kind::Dir(_), Kind::Dir(entries)) if !entries.is_empty() => return Err(fail(to, Errno::NotEmpty)),
                (Kind::Dir(_), Kind::Dir(_)) => {}
                (Kind::Dir(_), _) => return Err(fail(to, Errno::NotDir)),
                (_, Kind::Dir(_)) => return Err(fail(to, Errno::IsDir)),
                _ => {}
            }
        }
        self.entries_mut(source.parent).remove(&source.name);
        self.entries_mut(target.parent).insert(target.name, id);
        Ok(())
    }

    /// Removes an entry that is not a directory.
    pub fn unlink(&mut self, path: &str) -> Result<()> {
        let fail = |errno| TreeError {
            path: path.to_owned(),
            errno,
        };
        let place = self.locate(path, Follow::No)?;
        let id = place.inode.ok_or_else(|| fail(Errno::NoEntry))?;
        if self.inode(id).is_dir() {
            return Err(fail(Errno::IsDir));
        }
        self.entries_mut(place.parent).remove(&place.name);
        Ok(())
    }

    /// Removes an empty directory.
    pub fn rmdir(&mut self, path: &str) -> Result<()> {
        let fail = |errno| TreeError {
            path: path.to_owned(),
            errno,
        };
        let place = self.locate(path, Follow::No)?;
        let id = place.inode.ok_or_else(|| fail(Errno::NoEntry))?;
        match &self.inode(id).kind {
            _ if id == Self::root() => Err(fail(Errno::Invalid)),
            Kind::Dir(entries) if entries.is_empty() => {
                self.entries_mut(place.parent).remove(&place.name);
                Ok(())
            }
            Kind::Dir(_) => Err(fail(Errno::NotEmpty)),
            _ => Err(fail(Errno::NotDir)),
        }
    }

    /// Removes `path` and everything below it; absence is an error.
    pub fn remove_all(&mut self, path: &str) -> Result<()> {
        let place = self.locate(path.trim_end_matches('/'), Follow::No)?;
        if place.inode.is_none() {
            return Err(TreeError {
                path: path.to_owned(),
                errno: Errno::NoEntry,
            });
        }
        self.entries_mut(place.parent).remove(&place.name);
        Ok(())
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

    fn insert(&mut self, place: &Place, inode: Inode) -> InodeId {
        let id = InodeId(u32::try_from(self.inodes.len()).expect("fewer than 2^32 inodes"));
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

fn components(path: &str) -> impl DoubleEndedIterator<Item = &str> {
    path.split('/').filter(|name| !name.is_empty() && *name != ".")
}

fn join(stack: &[(InodeId, String)], name: &str) -> String {
    let mut path = String::new();
    for (_, part) in stack.iter().skip(1) {
        path.push('/');
        path.push_str(part);
    }
    path.push('/');
    path.push_str(name);
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree() -> Tree {
        let mut tree = Tree::new(7);
        tree.mkdir_all("/usr/bin", 0o755).unwrap();
        tree.symlink("usr/bin", "/bin").unwrap();
        tree.write("/bin/sh", "#", 0o755).unwrap();
        tree
    }

    #[test]
    fn links_resolve_inside_the_tree() {
        let mut tree = tree();
        tree.symlink("/../../bin/sh", "/usr/bin/out").unwrap();
        assert_eq!(tree.canonical("/bin/out").unwrap(), "/usr/bin/sh");
        assert_eq!(tree.canonical("/bin/new").unwrap(), "/usr/bin/new");
        assert_eq!(tree.canonical_parent("/bin/out").unwrap(), "/usr/bin/out");
        tree.symlink("loop", "/loop").unwrap();
        assert_eq!(tree.stat("/loop").unwrap_err().errno, Errno::Loop);
    }

    #[test]
    fn the_empty_path_is_nothing() {
        assert!(!tree().exists(""));
        assert_eq!(tree().lookup("/bin/sh/", Follow::Yes).unwrap_err().errno, Errno::NotDir);
    }

    #[test]
    fn writing_through_a_link_keeps_the_mode() {
        let mut tree = tree();
        tree.symlink("sh", "/usr/bin/dash").unwrap();
        tree.write("/bin/dash", "new", 0o600).unwrap();
        assert_eq!(tree.stat("/usr/bin/sh").unwrap().mode, 0o755);
        assert_eq!(tree.read_text("/bin/sh").unwrap(), "new");
    }

    #[test]
    fn hard_links_share_their_inode() {
        let mut tree = tree();
        tree.link("/bin/sh", "/usr/bin/dash").unwrap();
        tree.unlink("/bin/sh").unwrap();
        assert_eq!(tree.read_text("/bin/dash").unwrap(), "#");
    }

    #[test]
    fn rename_refuses_to_move_a_directory_into_itself() {
        let mut tree = tree();
        assert_eq!(tree.rename("/usr", "/usr/bin/usr").unwrap_err().errno, Errno::Invalid);
        assert_eq!(tree.rename("/usr", "/bin/usr").unwrap_err().errno, Errno::Invalid);
        tree.rename("/usr/bin/sh", "/dash").unwrap();
        assert!(!tree.exists("/bin/sh"));
    }

    #[test]
    fn walking_is_in_byte_order() {
        let paths: Vec<String> = tree().walk("/").unwrap().into_iter().map(|(path, _)| path).collect();
        assert_eq!(paths, ["/bin", "/usr", "/usr/bin", "/usr/bin/sh"]);
    }
}
