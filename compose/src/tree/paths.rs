//! Where a path leads: links are followed inside the tree.

use super::{Errno, InodeId, Kind, Result, Tree};

/// Links followed before a path counts as a loop (`path_resolution(7)`: the kernel allows 40).
const MAX_LINKS: usize = 40;

/// Bytes of a path and of one part of it (`limits.h`).
pub(super) const PATH_MAX: usize = 4096;
const NAME_MAX: usize = 255;

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
pub(super) struct Place {
    /// The directory that holds (or would hold) the last name.
    pub(super) parent: InodeId,
    /// The last name; empty for the root.
    pub(super) name: String,
    /// The inode, if the entry exists.
    pub(super) inode: Option<InodeId>,
    /// The path without symbolic links.
    pub(super) canonical: String,
}

impl Tree {
    pub(super) fn locate(&self, path: &str, follow: Follow) -> Result<Place> {
        if path.is_empty() {
            return Err(Errno::NoEntry.at(path));
        }
        if path.len() >= PATH_MAX || components(path).any(|name| name.len() > NAME_MAX) {
            return Err(Errno::NameTooLong.at(&path.chars().take(80).collect::<String>()));
        }
        let mut todo: Vec<String> = components(path).rev().map(str::to_owned).collect();
        let mut stack: Vec<(InodeId, String)> = vec![(Self::root(), String::new())];
        let mut links = 0;
        // `dir/` names the directory behind a link, never the link (POSIX 4.13).
        let follow = if path.ends_with('/') { Follow::Yes } else { follow };
        while let Some(name) = todo.pop() {
            let (current, _) = stack.last().expect("the root is never popped").clone();
            let Kind::Dir(entries) = &self.inode(current).kind else {
                return Err(Errno::NotDir.at(path));
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
                    return Err(Errno::NoEntry.at(path));
                }
                let canonical = join(&stack, &name);
                // Through links, or relative to a directory, one could go deeper than a path can say.
                if canonical.len() >= PATH_MAX {
                    return Err(Errno::NameTooLong.at(path));
                }
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
                        return Err(Errno::Loop.at(path));
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
            return Err(Errno::NotDir.at(path));
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
        self.locate(path, follow)?.inode.ok_or_else(|| Errno::NoEntry.at(path))
    }

    /// `path` without symbolic links, as `realpath -m` for its last name: that may be absent.
    pub fn canonical(&self, path: &str) -> Result<String> {
        Ok(self.locate(path, Follow::Yes)?.canonical)
    }

    /// `path` with the links of all but the last name resolved.
    pub fn canonical_parent(&self, path: &str) -> Result<String> {
        Ok(self.locate(path, Follow::No)?.canonical)
    }
}

/// The names of a path, in order.
pub(super) fn components(path: &str) -> impl DoubleEndedIterator<Item = &str> {
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
