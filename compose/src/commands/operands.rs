//! File operands as commands take them: `-` and the device names mean what they mean on a real system.

use bytes::Bytes;

use crate::shell::process::{Halt, Process};
use crate::tree::{self, Follow, Inode, InodeId, Kind};

/// What `name` reads as: the content of a file, of standard input for `-`, nothing for `/dev/null`.
/// Devices without an end and `/proc` numbers that nobody has are an error of the tree or a halt.
pub(crate) fn read(process: &mut Process<'_>, name: &str) -> Result<tree::Result<Bytes>, Halt> {
    match name {
        "-" | "/dev/stdin" | "/dev/fd/0" | "/proc/self/fd/0" => return Ok(Ok(process.read_stdin())),
        "/dev/null" => return Ok(Ok(Bytes::new())),
        "/dev/random" | "/dev/urandom" | "/dev/zero" => return Err(process.unsupported(format!("reading {name}"))),
        _ => {}
    }
    let content = process.system.tree.read(&process.path(name));
    process.session.work(content.as_ref().map_or(0, Bytes::len))?;
    Ok(content)
}

/// Reads every operand in order, standard input if there is none; those that cannot be read are reported as
/// `NAME: OPERAND: cause` and left out. The flag tells whether all could be read.
pub(crate) fn read_all(process: &mut Process<'_>, operands: &[String]) -> Result<(Vec<(String, Bytes)>, bool), Halt> {
    let stdin = ["-".to_owned()];
    let operands = if operands.is_empty() { &stdin } else { operands };
    let mut contents = Vec::new();
    for name in operands {
        match read(process, name)? {
            Ok(content) => contents.push((name.clone(), content)),
            Err(error) => {
                process.fail(&format!("{name}: {}", error.errno));
            }
        }
    }
    let complete = contents.len() == operands.len();
    Ok((contents, complete))
}

/// All operands as one text, as `cat` would hand them to a filter.
pub(crate) fn concatenated(process: &mut Process<'_>, operands: &[String]) -> Result<(Bytes, bool), Halt> {
    let (contents, complete) = read_all(process, operands)?;
    if let [(_, only)] = &contents[..] {
        return Ok((only.clone(), complete));
    }
    process
        .session
        .fits(contents.iter().map(|(_, content)| content.len()).sum())?;
    let all: Vec<u8> = contents
        .iter()
        .flat_map(|(_, content)| content.iter().copied())
        .collect();
    Ok((Bytes::from(all), complete))
}

/// The lines of a text without their ends; a last line without an end counts.
pub(crate) fn lines(text: &[u8], end: u8) -> impl Iterator<Item = &[u8]> {
    let none = text.is_empty();
    let text = text.strip_suffix(&[end]).unwrap_or(text);
    text.split(move |&byte| byte == end).filter(move |_| !none)
}

/// Puts a new object at `path` (made absolute) with the permissions `mode` as given, owned by root, and by the
/// group of a setgid directory, as `open(2)` and `mkdir(2)` do.
pub(crate) fn create(process: &mut Process<'_>, path: &str, kind: Kind, mode: u32) -> tree::Result<InodeId> {
    let tree = &mut process.system.tree;
    let now = tree.now;
    let place = tree.canonical_parent(path)?;
    let directory = tree.lookup(parent(&place), Follow::Yes)?;
    let directory = tree.inode(directory);
    let mut inode = Inode::new(kind, mode, now);
    if directory.mode & 0o2000 != 0 {
        inode.gid = directory.gid;
        if inode.is_dir() {
            inode.mode |= 0o2000;
        }
    }
    tree.create(path, inode)
}

/// Writes a file as `open(2)` with `O_CREAT | O_TRUNC` does: an existing one keeps its mode.
pub(crate) fn write(process: &mut Process<'_>, path: &str, content: impl Into<Bytes>) -> tree::Result<()> {
    let path = process.path(path);
    if path == "/dev/null" {
        return Ok(());
    }
    if process.system.tree.exists(&path) {
        process.system.tree.write(&path, content, 0)?;
        return Ok(());
    }
    // A dangling link is written through.
    let place = process.system.tree.canonical(&path)?;
    let mode = 0o666 & !process.umask;
    create(process, &place, Kind::File(content.into()), mode).map(drop)
}

/// The directory part of a path; `.` has none.
pub(crate) fn parent(path: &str) -> &str {
    match path.trim_end_matches('/').rfind('/') {
        Some(0) => "/",
        Some(at) => &path[..at],
        None => ".",
    }
}

/// The last name of a path.
pub(crate) fn base(path: &str) -> &str {
    let path = path.trim_end_matches('/');
    path.rsplit('/').next().unwrap_or(path)
}
