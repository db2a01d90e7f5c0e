//! `install`.

use std::collections::BTreeMap;

use super::arguments::Arguments;
use super::{creation, files, mode, operands, owners};
use crate::shell::process::{Command, Outcome, Process};
use crate::tree::{Follow, Kind};

pub(super) const COMMANDS: &[(&str, Command)] = &[("install", install)];

fn install(process: &mut Process<'_>) -> Outcome {
    let mut args = Arguments::of(
        process,
        &[
            "-c",
            "-d --directory",
            "-D",
            "-m --mode =",
            "-o --owner =",
            "-g --group =",
            "-t --target-directory =",
            "-T --no-target-directory",
            "-p --preserve-timestamps",
            "-C --compare",
            "-v --verbose",
            "-Z --preserve-context",
        ],
    )?;
    let text = args.value("-m").unwrap_or("755").to_owned();
    // `install` ignores the umask.
    let Some(wanted) = mode::apply(&text, 0, false, 0) else {
        return Ok(process.fail(&format!("invalid mode '{text}'")));
    };
    let tree = &process.system.tree;
    let uid = args.value("-o").map_or(Some(0), |who| owners::uid(tree, who));
    let gid = args.value("-g").map_or(Some(0), |who| owners::gid(tree, who));
    let (Some(uid), Some(gid)) = (uid, gid) else {
        return Ok(process.fail("invalid user or group"));
    };
    let attributes = (wanted, uid, gid);
    if args.has("-d") {
        return Ok(install_directories(process, &args, attributes));
    }
    if args.has("-D") {
        let directory = args
            .value("-t")
            .or(args.operands.last().map(|last| operands::parent(last)));
        let directory = directory.unwrap_or(".").to_owned();
        let status = creation::make_parents(process, &format!("{directory}/x"), 0o755, false);
        if status != 0 {
            return Ok(status);
        }
    }
    if args.operands.is_empty() {
        args.operands.clear();
        return Ok(process.fail("missing file operand"));
    }
    let Some(pairs) = files::destinations(process, &args, true) else {
        return Ok(1);
    };
    let mut status = 0;
    for (source, target) in pairs {
        status |= install_file(process, &args, &source, &target, attributes)?;
    }
    Ok(status)
}

fn install_directories(process: &mut Process<'_>, args: &Arguments, (mode, uid, gid): (u32, u32, u32)) -> u8 {
    let mut status = 0;
    for name in &args.operands {
        let path = process.path(name);
        if creation::make_parents(process, name, 0o755, args.has("-v")) != 0 {
            status = 1;
            continue;
        }
        if !process.system.tree.is_dir(&path) {
            if let Err(error) = operands::create(process, &path, Kind::Dir(BTreeMap::new()), mode) {
                status = process.fail(&format!("cannot create directory '{name}': {}", error.errno));
                continue;
            }
            if args.has("-v") {
                process.say(&format!("install: creating directory '{name}'"));
            }
        }
        set_attributes(process, &path, (mode, uid, gid));
    }
    status
}

fn install_file(
    process: &mut Process<'_>,
    args: &Arguments,
    source: &str,
    target: &str,
    attributes: (u32, u32, u32),
) -> Outcome {
    let content = match operands::read(process, source)? {
        Ok(content) => content,
        Err(error) => return Ok(process.fail(&format!("cannot stat '{source}': {}", error.errno))),
    };
    let (from, to) = (process.path(source), process.path(target));
    let tree = &mut process.system.tree;
    if tree.lookup(&to, Follow::No).is_ok() && tree.lookup(&from, Follow::Yes) == tree.lookup(&to, Follow::No) {
        return Ok(process.fail(&format!("'{source}' and '{target}' are the same file")));
    }
    let time = if args.has("-p") {
        tree.stat(&from).map(|inode| inode.mtime).ok()
    } else {
        None
    };
    // The new file takes the place of the old one, also of a link.
    if tree.lexists(&to)
        && let Err(error) = tree.unlink(&to)
    {
        return Ok(process.fail(&format!("cannot remove '{target}': {}", error.errno)));
    }
    if let Err(error) = operands::create(process, &to, Kind::File(content), 0o600) {
        return Ok(process.fail(&format!("cannot create regular file '{target}': {}", error.errno)));
    }
    set_attributes(process, &to, attributes);
    if let (Some(time), Ok(id)) = (time, process.system.tree.lookup(&to, Follow::No)) {
        process.system.tree.inode_mut(id).mtime = time;
    }
    if args.has("-v") {
        process.say(&format!("'{source}' -> '{target}'"));
    }
    Ok(0)
}

fn set_attributes(process: &mut Process<'_>, path: &str, (mode, uid, gid): (u32, u32, u32)) {
    if let Ok(id) = process.system.tree.lookup(path, Follow::Yes) {
        let inode = process.system.tree.inode_mut(id);
        (inode.mode, inode.uid, inode.gid) = (mode, uid, gid);
    }
}

#[cfg(test)]
mod tests {
    use crate::commands::oracle::same;

    const START: &[&str] = &["d/", "a=A", "b=B", "la->a"];

    #[test]
    fn does_what_install_does() {
        for args in [
            &["install", "-d", "x/y", "d"][..],
            &["install", "-d", "-m", "0700", "x/y"],
            &["install", "-m", "644", "a", "c"],
            &["install", "a", "la"],
            &["install", "-m644", "a", "b", "d"],
            &["install", "-D", "-m", "600", "a", "x/y/z"],
            &["install", "-t", "d", "a"],
            &["install", "-m", "u=rw,go=r", "a", "c"],
            &["install", "--mode", "644", "/dev/null", "n"],
            &["install", "-o", "root", "-g", "root", "a", "c"],
            &["install", "-o", "no-such-user", "a", "c"],
            &["install", "nothing", "c"],
            &["install", "-dm755", "x"],
        ] {
            same(START, args, "");
        }
    }
}
