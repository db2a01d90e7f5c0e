//! `cp`.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::arguments::Arguments;
use super::{files, operands};
use crate::shell::process::{Command, Outcome, Process};
use crate::tree::{Follow, Inode, InodeId, Kind};

pub(super) const COMMANDS: &[(&str, Command)] = &[("cp", cp)];

/// What of a source the copy shall have.
#[derive(Clone, Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "one for each of cp's options")]
struct Copying {
    recursive: bool,
    follow_named: bool,
    follow_found: bool,
    mode: bool,
    ownership: bool,
    timestamps: bool,
    xattr: bool,
    links: bool,
    remove_destination: bool,
    no_clobber: bool,
    verbose: bool,
    /// Inodes already copied, for hard links among them.
    copied: BTreeMap<InodeId, String>,
}

fn cp(process: &mut Process<'_>) -> Outcome {
    let args = Arguments::of(
        process,
        &[
            "-a --archive",
            "-p",
            "-d",
            "-P --no-dereference",
            "-L --dereference",
            "-H",
            "-r --recursive",
            "-R",
            "-f --force",
            "-l --link",
            "-n --no-clobber",
            "-T --no-target-directory",
            "-t --target-directory =",
            "-v --verbose",
            "-x --one-file-system",
            "-Z",
            "--preserve [=]",
            "--no-preserve =",
            "--remove-destination",
            "--reflink [=]",
            "--sparse =",
            "--context [=]",
        ],
    )?;
    let mut copying = read_options(process, &args)?;
    let Some(pairs) = files::destinations(process, &args, true) else {
        return Ok(process.fail("missing file operand"));
    };
    let mut status = 0;
    for (source, target) in pairs {
        let (from, to) = (process.path(&source), process.path(&target));
        let follow = if copying.follow_named { Follow::Yes } else { Follow::No };
        match process.system.tree.lookup(&from, follow) {
            Err(error) => status = process.fail(&format!("cannot stat '{source}': {}", error.errno)),
            Ok(id) if process.system.tree.inode(id).is_dir() && !copying.recursive => {
                status = process.fail(&format!("-r not specified; omitting directory '{source}'"));
            }
            Ok(id) if process.system.tree.inode(id).is_dir() && inside(process, &from, &to) => {
                status = process.fail(&format!("cannot copy a directory, '{source}', into itself, '{target}'"));
            }
            Ok(_) if args.has("-l") => status |= link(process, &args, &source, &target)?,
            Ok(id) => status |= copy(process, &mut copying, id, &source, &target),
        }
    }
    Ok(status)
}

/// `cp -l` of a file: another name for it.
fn link(process: &mut Process<'_>, args: &Arguments, source: &str, target: &str) -> Outcome {
    let (from, to) = (process.path(source), process.path(target));
    let tree = &mut process.system.tree;
    let plain = tree.lstat(&from).is_ok_and(Inode::is_file);
    if !plain
        || ["-f", "-n", "-v", "-a", "-r", "-R", "--remove-destination"]
            .iter()
            .any(|with| args.has(with))
    {
        return Err(process.unsupported("-l of anything but a file, or with options that say what to replace"));
    }
    if let Err(error) = tree.link(&from, &to) {
        let said = format!("cannot create hard link '{target}' to '{source}': {}", error.errno);
        return Ok(process.fail(&said));
    }
    Ok(0)
}

fn inside(process: &Process<'_>, from: &str, to: &str) -> bool {
    let tree = &process.system.tree;
    match (tree.canonical(from), tree.canonical(to)) {
        (Ok(from), Ok(to)) => format!("{to}/").starts_with(&format!("{from}/")),
        _ => false,
    }
}

fn read_options(process: &Process<'_>, args: &Arguments) -> Result<Copying, crate::shell::process::Halt> {
    let recursive = args.has("-a") || args.has("-r") || args.has("-R");
    let follow = match args.last(&["-a", "-d", "-P", "-L", "-H"]) {
        Some("-L") => (true, true),
        Some("-H") => (true, false),
        Some(_) => (false, false),
        None => (!recursive, !recursive),
    };
    let mut copying = Copying {
        recursive,
        follow_named: follow.0,
        follow_found: follow.1,
        remove_destination: args.has("--remove-destination"),
        no_clobber: args.has("-n"),
        verbose: args.has("-v"),
        ..Copying::default()
    };
    for (option, value) in args.options() {
        let (attributes, on) = match (option, value) {
            ("-a", _) => ("mode,ownership,timestamps,links,xattr", true),
            ("-p", _) | ("--preserve", None) => ("mode,ownership,timestamps", true),
            ("-d", _) => ("links", true),
            ("--preserve", Some(list)) => (list, true),
            ("--no-preserve", Some(list)) => (list, false),
            _ => continue,
        };
        for attribute in attributes.split(',') {
            match attribute {
                "mode" => copying.mode = on,
                "ownership" => copying.ownership = on,
                "timestamps" => copying.timestamps = on,
                "links" => copying.links = on,
                "xattr" => copying.xattr = on,
                "context" => {}
                "all" => {
                    (copying.mode, copying.ownership, copying.timestamps) = (on, on, on);
                    (copying.links, copying.xattr) = (on, on);
                }
                other => return Err(process.unsupported(format!("preserving '{other}'"))),
            }
        }
    }
    Ok(copying)
}

/// Copies inode `id`, known as `source`, to `target`.
fn copy(process: &mut Process<'_>, copying: &mut Copying, id: InodeId, source: &str, target: &str) -> u8 {
    let to = process.path(target);
    let inode = process.system.tree.inode(id).clone();
    if let Kind::Dir(entries) = &inode.kind {
        return copy_directory(process, copying, &inode, entries, source, target);
    }
    let failed = |errno| format!("cannot create regular file '{target}': {errno}");
    let tree = &mut process.system.tree;
    let existing = tree.lookup(&to, Follow::No);
    if existing.is_ok() && copying.no_clobber {
        return 0;
    }
    if let Ok(existing) = existing {
        let through = tree.lookup(&to, Follow::Yes);
        if existing == id || (through == Ok(id) && !copying.remove_destination && !inode.is_symlink()) {
            return process.fail(&format!("'{source}' and '{target}' are the same file"));
        }
        if tree.inode(existing).is_dir()
            || through.as_ref().is_ok_and(|&through| tree.inode(through).is_dir()) && inode.is_file()
        {
            return process.fail(&format!("cannot overwrite directory '{target}' with non-directory"));
        }
        // A link cannot be written into, and two names of one file shall stay one file.
        if copying.remove_destination || inode.is_symlink() || copying.links && copying.copied.contains_key(&id) {
            if let Err(error) = tree.unlink(&to) {
                return process.fail(&failed(error.errno));
            }
        } else if tree.inode(existing).is_symlink() && through.is_err() {
            return process.fail(&format!("not writing through dangling symlink '{target}'"));
        }
    }
    if copying.links
        && let Some(first) = copying.copied.get(&id)
    {
        return match tree.link(first, &to) {
            Ok(()) => 0,
            Err(error) => process.fail(&failed(error.errno)),
        };
    }
    let done = match &inode.kind {
        Kind::File(content) => write_file(process, &inode, content, source, &to),
        kind => {
            let umask = if inode.is_symlink() { 0 } else { process.umask };
            operands::create(process, &to, kind.clone(), inode.mode & !umask).map(drop)
        }
    };
    if let Err(error) = done {
        return process.fail(&failed(error.errno));
    }
    copying.copied.insert(id, to.clone());
    preserve(process, copying, &inode, &to);
    if copying.verbose {
        process.say(&format!("'{source}' -> '{target}'"));
    }
    0
}

fn write_file(
    process: &mut Process<'_>,
    inode: &Inode,
    content: &Bytes,
    _source: &str,
    to: &str,
) -> crate::tree::Result<()> {
    if to == "/dev/null" {
        return Ok(());
    }
    if process.system.tree.exists(to) {
        return process.system.tree.write(to, content.clone(), 0).map(drop);
    }
    let mode = inode.mode & 0o777 & !process.umask;
    operands::create(process, to, Kind::File(content.clone()), mode).map(drop)
}

fn copy_directory(
    process: &mut Process<'_>,
    copying: &mut Copying,
    inode: &Inode,
    entries: &BTreeMap<String, InodeId>,
    source: &str,
    target: &str,
) -> u8 {
    let to = process.path(target);
    let fresh = !process.system.tree.exists(&to);
    if fresh {
        let mode = inode.mode & !process.umask & 0o777;
        if let Err(error) = operands::create(process, &to, Kind::Dir(BTreeMap::new()), mode) {
            return process.fail(&format!("cannot create directory '{target}': {}", error.errno));
        }
        if copying.verbose {
            process.say(&format!("'{source}' -> '{target}'"));
        }
    } else if !process.system.tree.is_dir(&to) {
        return process.fail(&format!(
            "cannot overwrite non-directory '{target}' with directory '{source}'"
        ));
    }
    let mut status = 0;
    for (name, &child) in entries {
        let (from, into) = (format!("{source}/{name}"), format!("{target}/{name}"));
        let mut child = child;
        if copying.follow_found && process.system.tree.inode(child).is_symlink() {
            let path = process.path(&from);
            match process.system.tree.lookup(&path, Follow::Yes) {
                Ok(behind) => child = behind,
                Err(error) => {
                    status = process.fail(&format!("cannot stat '{from}': {}", error.errno));
                    continue;
                }
            }
        }
        status |= copy(process, copying, child, &from, &into);
    }
    preserve(process, copying, inode, &to);
    status
}

fn preserve(process: &mut Process<'_>, copying: &Copying, source: &Inode, to: &str) {
    let follow = if source.is_symlink() { Follow::No } else { Follow::Yes };
    let tree = &mut process.system.tree;
    let Ok(id) = tree.lookup(to, follow) else {
        return;
    };
    let inode = tree.inode_mut(id);
    if copying.ownership {
        (inode.uid, inode.gid) = (source.uid, source.gid);
    }
    if copying.mode && !source.is_symlink() {
        inode.mode = source.mode;
    }
    if copying.timestamps {
        inode.mtime = source.mtime;
    }
    if copying.xattr {
        inode.xattrs.clone_from(&source.xattrs);
    }
}

#[cfg(test)]
mod tests {
    use crate::commands::oracle::{same, same_steps};

    const START: &[&str] = &[
        "d/",
        "d/e/",
        "d/f=inner",
        "d/s->f",
        "a=A",
        "b=B",
        "l->d",
        "la->a",
        "dangling->nowhere",
    ];

    #[test]
    fn does_what_cp_does() {
        for args in [
            &["cp", "a", "c"][..],
            &["cp", "a", "b"],
            &["cp", "a", "d"],
            &["cp", "a", "b", "l"],
            &["cp", "d", "c"],
            &["cp", "-r", "d", "c"],
            &["cp", "-rL", "d", "c"],
            &["cp", "-a", "d", "c"],
            &["cp", "-a", "d/.", "e"],
            &["cp", "-a", "l", "c"],
            &["cp", "-a", "la", "c"],
            &["cp", "la", "c"],
            &["cp", "-d", "la", "c"],
            &["cp", "-dp", "la", "b"],
            &["cp", "a", "la"],
            &["cp", "b", "la"],
            &["cp", "--remove-destination", "b", "la"],
            &["cp", "-l", "b", "another"],
            &["cp", "-l", "b", "d"],
            &["cp", "-l", "b", "c"],
            &["cp", "-l", "none", "another"],
            &["cp", "b", "dangling"],
            &["cp", "-f", "b", "dangling"],
            &["cp", "-T", "a", "d"],
            &["cp", "-rT", "d", "d2"],
            &["cp", "-n", "a", "b"],
            &["cp", "-v", "a", "c"],
            &["cp", "nothing", "c"],
            &["cp", "a", "no/where"],
            &["cp", "-t", "d", "a", "b"],
            &["cp", "--preserve=mode,ownership", "a", "c"],
            &["cp", "-r", "d", "a"],
        ] {
            same(START, args, "");
        }
    }

    #[test]
    fn modes_follow_the_copy() {
        same_steps(
            START,
            &[
                &["chmod", "4751", "a"],
                &["cp", "a", "c"],
                &["cp", "-p", "a", "e"],
                &["cp", "a", "b"],
            ],
        );
        same_steps(
            START,
            &[
                &["chmod", "2770", "d"],
                &["cp", "-r", "d", "c"],
                &["cp", "-a", "d", "e"],
            ],
        );
        same_steps(
            START,
            &[&["ln", "a", "d/one"], &["ln", "a", "d/two"], &["cp", "-a", "d", "c"]],
        );
    }
}
