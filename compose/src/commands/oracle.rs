//! The real tools as judges: the same arguments in a directory of the host and over a tree must do the same.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _, symlink};
use std::path::Path;
use std::process::Stdio;

use bytes::Bytes;

use crate::shell::process::{Halt, Outcome, Process};
use crate::system::System;
use crate::tree::Kind;

/// Where the working directory lies in the tree.
const HERE: &str = "/work";

/// What a test starts from, below the working directory: `dir/`, `file=content`, `link->target`.
pub(crate) type Start<'a> = &'a [&'a str];

/// Stands in for the shell: starts commands of the table only.
pub(crate) fn spawn_from_table(parent: &mut Process<'_>, args: &[String], stdin: Bytes) -> Outcome {
    let name = args[0].rsplit('/').next().unwrap_or_default();
    let command = super::lookup(name).ok_or_else(|| Halt::UnknownCommand(args[0].clone()))?;
    let mut child = Process::new(parent.system, &[]);
    child.args = args.to_vec();
    child.env.clone_from(&parent.env);
    child.cwd.clone_from(&parent.cwd);
    child.spawner = parent.spawner;
    child.stdin = stdin;
    let status = command(&mut child)?;
    let (stdout, stderr) = (child.stdout, child.stderr);
    parent.stdout.extend(stdout);
    parent.stderr.extend(stderr);
    Ok(status)
}

/// Gives `act` a process with `args` and `stdin` in an otherwise empty tree.
pub(crate) fn with_process<T>(args: &[&str], stdin: &[u8], act: impl FnOnce(&mut Process<'_>) -> T) -> T {
    let mut system = System::new("amd64", 1_700_000_000);
    let mut process = Process::new(&mut system, args);
    process.spawner = spawn_from_table;
    process.stdin = Bytes::copy_from_slice(stdin);
    act(&mut process)
}

/// What a command left behind.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Effect {
    pub(crate) status: i32,
    pub(crate) stdout: String,
    /// Path below the working directory to a description of what is there.
    pub(crate) files: BTreeMap<String, String>,
}

/// Runs `args` in a tree of ours that begins with `start`.
pub(crate) fn ours(start: Start<'_>, args: &[&str], stdin: &str) -> Effect {
    ours_in_steps(start, &[args], stdin)
}

fn ours_in_steps(start: Start<'_>, steps: &[&[&str]], stdin: &str) -> Effect {
    let mut system = System::new("amd64", 1_700_000_000);
    for name in ["", "tmp", "etc", "work"] {
        let _ = system.tree.mkdir(&format!("/{name}"), 0o755);
    }
    system
        .tree
        .write("/etc/passwd", fs::read("/etc/passwd").unwrap(), 0o644)
        .unwrap();
    system
        .tree
        .write("/etc/group", fs::read("/etc/group").unwrap(), 0o644)
        .unwrap();
    for entry in start {
        if let Some((link, target)) = entry.split_once("->") {
            system.tree.symlink(target, &format!("{HERE}/{link}")).unwrap();
        } else if let Some((file, content)) = entry.split_once('=') {
            let content = content.as_bytes().to_vec();
            system.tree.write(&format!("{HERE}/{file}"), content, 0o644).unwrap();
        } else {
            system
                .tree
                .mkdir_all(&format!("{HERE}/{}", entry.trim_end_matches('/')), 0o755)
                .unwrap();
        }
    }
    let (mut status, mut stdout) = (0, String::new());
    for args in steps {
        let mut process = Process::new(&mut system, args);
        process.env.insert("LC_ALL".into(), "C".into());
        HERE.clone_into(&mut process.cwd);
        process.spawner = spawn_from_table;
        process.stdin = Bytes::copy_from_slice(stdin.as_bytes());
        let command = super::lookup(args[0]).unwrap_or_else(|| panic!("no command {}", args[0]));
        status = i32::from(command(&mut process).unwrap_or_else(|halt| panic!("{args:?}: {halt}")));
        stdout.push_str(&String::from_utf8_lossy(&process.stdout));
    }
    Effect {
        status,
        stdout,
        files: tree_files(&system),
    }
}

fn tree_files(system: &System) -> BTreeMap<String, String> {
    let mut files = BTreeMap::new();
    for (path, id) in system.tree.walk(HERE).unwrap() {
        let inode = system.tree.inode(id);
        let what = match &inode.kind {
            Kind::Dir(_) => format!("dir {:o}", inode.mode),
            Kind::File(content) => format!("file {:o} {}", inode.mode, String::from_utf8_lossy(content)),
            Kind::Symlink(target) => format!("link {target}"),
            Kind::Fifo => format!("fifo {:o}", inode.mode),
            Kind::Char { .. } | Kind::Block { .. } => "device".to_owned(),
        };
        files.insert(path[HERE.len() + 1..].to_owned(), what);
    }
    files
}

/// Runs the real `args` in a directory that begins with `start`.
pub(crate) fn real(start: Start<'_>, steps: &[&[&str]], stdin: &str) -> Effect {
    let home = tempfile::tempdir().unwrap();
    let base = home.path();
    for entry in start {
        if let Some((link, target)) = entry.split_once("->") {
            symlink(target, base.join(link)).unwrap();
        } else if let Some((file, content)) = entry.split_once('=') {
            fs::write(base.join(file), content).unwrap();
            fs::set_permissions(base.join(file), fs::Permissions::from_mode(0o644)).unwrap();
        } else {
            fs::create_dir_all(base.join(entry)).unwrap();
            fs::set_permissions(base.join(entry), fs::Permissions::from_mode(0o755)).unwrap();
        }
    }
    let (mut status, mut stdout) = (0, String::new());
    for args in steps {
        let mut child = std::process::Command::new("sh")
            .args(["-c", "umask 022; exec \"$@\"", "sh"])
            .args(*args)
            .current_dir(base)
            .env("LC_ALL", "C")
            .env_remove("POSIXLY_CORRECT")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // A command that does not read its input closes it: not an error.
        let _ = child.stdin.take().unwrap().write_all(stdin.as_bytes());
        let output = child.wait_with_output().unwrap();
        status = output.status.code().unwrap();
        stdout.push_str(&String::from_utf8_lossy(&output.stdout).replace(base.to_str().unwrap(), HERE));
    }
    let mut files = BTreeMap::new();
    describe(base, base, &mut files);
    Effect { status, stdout, files }
}

fn describe(base: &Path, dir: &Path, files: &mut BTreeMap<String, String>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let data = fs::symlink_metadata(&path).unwrap();
        let mode = data.mode() & 0o7777;
        let kind = data.file_type();
        let what = if kind.is_dir() {
            describe(base, &path, files);
            format!("dir {mode:o}")
        } else if kind.is_symlink() {
            format!("link {}", fs::read_link(&path).unwrap().display())
        } else if kind.is_fifo() {
            format!("fifo {mode:o}")
        } else if kind.is_file() {
            format!("file {mode:o} {}", String::from_utf8_lossy(&fs::read(&path).unwrap()))
        } else {
            "device".to_owned()
        };
        files.insert(path.strip_prefix(base).unwrap().display().to_string(), what);
    }
}

/// Fails unless ours and the real `args` have the same effect.
#[track_caller]
pub(crate) fn same(start: Start<'_>, args: &[&str], stdin: &str) {
    let theirs = real(start, &[args], stdin);
    assert_eq!(ours(start, args, stdin), theirs, "{args:?} (left: ours)");
}

/// Fails unless ours and the real `steps`, one after another, have the same effect.
#[track_caller]
pub(crate) fn same_steps(start: Start<'_>, steps: &[&[&str]]) {
    let theirs = real(start, steps, "");
    assert_eq!(ours_in_steps(start, steps, ""), theirs, "{steps:?} (left: ours)");
}

/// Fails unless ours and the real `args` write the same for `stdin`, in an empty directory.
#[track_caller]
pub(crate) fn same_filter(args: &[&str], stdin: &str) {
    same(&[], args, stdin);
}
