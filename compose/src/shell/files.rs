//! Open files: descriptions shared by descriptors, with one offset each, over the tree or over memory.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use bytes::{Bytes, BytesMut};

use super::process::Halt;
use super::state::{Run, Shell};
use crate::tree::{Errno, Follow, Inode, InodeId, Kind, TreeError};

/// What a descriptor leads to; duplicates share it and its offset.
pub(super) type Handle = Rc<RefCell<Description>>;

/// Descriptor number to open file.
pub(super) type Files = BTreeMap<u32, Handle>;

/// An open file description (XBD 3.240).
#[derive(Debug)]
pub(super) struct Description {
    content: Content,
    readable: bool,
    writable: bool,
}

#[derive(Debug)]
enum Content {
    /// `/dev/null`
    Null,
    /// Bytes to read: a here-document, what the stage before wrote.
    Input(Bytes, usize),
    /// Where output is collected.
    Output(Vec<u8>),
    /// A regular file of the tree.
    File { id: InodeId, offset: usize, append: bool },
}

/// How a file is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    Read,
    Write,
    Append,
    ReadWrite,
}

impl Description {
    fn shared(content: Content, readable: bool, writable: bool) -> Handle {
        Rc::new(RefCell::new(Self {
            content,
            readable,
            writable,
        }))
    }

    /// `/dev/null`
    pub(super) fn null() -> Handle {
        Self::shared(Content::Null, true, true)
    }

    /// Something that `data` is read from.
    pub(super) fn input(data: impl Into<Bytes>) -> Handle {
        Self::shared(Content::Input(data.into(), 0), true, false)
    }

    /// Something that collects what is written.
    pub(super) fn output() -> Handle {
        Self::shared(Content::Output(Vec::new()), false, true)
    }

    /// Takes what was collected.
    pub(super) fn collected(handle: &Handle) -> Vec<u8> {
        match &mut handle.borrow_mut().content {
            Content::Output(data) => std::mem::take(data),
            _ => Vec::new(),
        }
    }
}

impl Shell<'_> {
    /// Writes to a descriptor; `false` if it is not open for that.
    pub(super) fn write(&mut self, fd: u32, data: &[u8]) -> Result<bool, Halt> {
        let Some(handle) = self.handle(fd) else {
            return Ok(false);
        };
        let mut description = handle.borrow_mut();
        if !description.writable {
            return Ok(false);
        }
        self.session.work(data.len())?;
        match &mut description.content {
            Content::Null | Content::Input(..) => {}
            Content::Output(collected) => {
                self.session.fits(collected.len() + data.len())?;
                collected.extend_from_slice(data);
            }
            Content::File { id, offset, append } => {
                let now = self.system.tree.now;
                let inode = self.system.tree.inode_mut(*id);
                if let Kind::File(content) = &mut inode.kind {
                    let at = if *append { content.len() } else { *offset };
                    self.session.fits(at + data.len())?;
                    *content = overwrite(std::mem::take(content), at, data);
                    *offset = at + data.len();
                    inode.mtime = now;
                }
            }
        }
        Ok(true)
    }

    /// What is left to read from a descriptor; `None` if it is not open for that.
    pub(super) fn unread(&self, fd: u32) -> Option<Bytes> {
        self.unread_of(&self.handle(fd)?)
    }

    /// What is left to read from an open file; `None` if it is not open for that.
    pub(super) fn unread_of(&self, handle: &Handle) -> Option<Bytes> {
        let description = handle.borrow();
        if !description.readable {
            return None;
        }
        Some(match &description.content {
            Content::Null | Content::Output(_) => Bytes::new(),
            Content::Input(data, offset) => data.slice(*offset..),
            Content::File { id, offset, .. } => match &self.system.tree.inode(*id).kind {
                Kind::File(content) => content.slice((*offset).min(content.len())..),
                _ => Bytes::new(),
            },
        })
    }

    /// Moves a descriptor's offset over `count` bytes that were read.
    pub(super) fn consume(&mut self, fd: u32, count: usize) {
        let Some(handle) = self.handle(fd) else { return };
        match &mut handle.borrow_mut().content {
            Content::Input(data, offset) => *offset = (*offset + count).min(data.len()),
            Content::File { offset, .. } => *offset += count,
            Content::Null | Content::Output(_) => {}
        }
    }

    /// Opens `path`; an inner error is the failure as dash words it.
    pub(super) fn open(&mut self, path: &str, access: Access) -> Run<Result<Handle, String>> {
        let absolute = self.absolute(path);
        if let Some(special) = self.open_special(&absolute, access)? {
            return Ok(special);
        }
        let reads = access == Access::Read;
        let umask = self.state.umask;
        let tree = &mut self.system.tree;
        let id = match tree.stat(&absolute).map(Inode::is_file) {
            Ok(true) if access == Access::Write => tree.write(&absolute, Bytes::new(), 0),
            Ok(true) => tree.lookup(&absolute, Follow::Yes),
            Ok(false) if !tree.is_dir(&absolute) => {
                return Err(Self::unsupported(path, "opening a device or a pipe"));
            }
            Ok(false) if reads => return Ok(Ok(Description::null())),
            Ok(false) => Err(failure(path, Errno::IsDir)),
            Err(error) if reads || error.errno != Errno::NoEntry => Err(error),
            Err(_) => tree.write(&absolute, Bytes::new(), 0o666 & !umask),
        };
        Ok(match id {
            Ok(id) => {
                let content = Content::File {
                    id,
                    offset: 0,
                    append: access == Access::Append,
                };
                let readable = matches!(access, Access::Read | Access::ReadWrite);
                Ok(Description::shared(content, readable, access != Access::Read))
            }
            Err(error) => Err(open_failure(path, reads, &error)),
        })
    }

    /// The files that are not in the tree but made by the kernel.
    fn open_special(&mut self, path: &str, access: Access) -> Run<Option<Result<Handle, String>>> {
        let number = match path {
            "/dev/null" => return Ok(Some(Ok(Description::null()))),
            "/dev/tty" => return Ok(Some(Err(format!("cannot open {path}: No such device or address")))),
            "/dev/stdin" => Some(0),
            "/dev/stdout" => Some(1),
            "/dev/stderr" => Some(2),
            _ => path
                .strip_prefix("/dev/fd/")
                .or_else(|| path.strip_prefix("/proc/self/fd/"))
                .and_then(|number| number.parse().ok()),
        };
        if let Some(fd) = number {
            let missing = || format!("cannot open {path}: No such file");
            return Ok(Some(self.handle(fd).ok_or_else(missing)));
        }
        if (path.starts_with("/dev/") || path.starts_with("/proc/") || path.starts_with("/sys/"))
            && access != Access::Read
            && !self.system.tree.exists(path)
            && self.system.tree.canonical(path).is_ok()
        {
            return Err(Self::unsupported(
                path,
                "writing to a file that only a running kernel has",
            ));
        }
        Ok(None)
    }
}

fn failure(path: &str, errno: Errno) -> TreeError {
    TreeError {
        path: path.to_owned(),
        errno,
    }
}

/// dash's own words for the two commonest causes.
fn open_failure(path: &str, reads: bool, error: &TreeError) -> String {
    match (reads, error.errno) {
        (true, Errno::NoEntry) => format!("cannot open {path}: No such file"),
        (true, errno) => format!("cannot open {path}: {errno}"),
        (false, Errno::NoEntry) => format!("cannot create {path}: Directory nonexistent"),
        (false, errno) => format!("cannot create {path}: {errno}"),
    }
}

/// `content` with `data` at `at`, the gap filled with zeros.
fn overwrite(content: Bytes, at: usize, data: &[u8]) -> Bytes {
    let mut bytes = content
        .try_into_mut()
        .unwrap_or_else(|shared| BytesMut::from(&shared[..]));
    if bytes.len() < at + data.len() {
        bytes.resize(at, 0);
        bytes.extend_from_slice(data);
    } else {
        bytes[at..at + data.len()].copy_from_slice(data);
    }
    bytes.freeze()
}
