//! Moving and removing: `mv`, `rm`, `rmdir`, `unlink`, `sync`.

use super::arguments::Arguments;
use super::operands;
use crate::shell::process::{Command, Outcome, Process};
use crate::tree::{Errno, Follow};

pub(super) const COMMANDS: &[(&str, Command)] = &[
    ("mv", mv),
    ("rm", rm),
    ("rmdir", rmdir),
    ("sync", sync),
    ("unlink", unlink),
];

fn rmdir(process: &mut Process<'_>) -> Outcome {
    let args = Arguments::of(process, &["-p --parents", "-v --verbose", "--ignore-fail-on-non-empty"])?;
    if args.operands.is_empty() {
        return Ok(process.fail("missing operand"));
    }
    let mut status = 0;
    for name in &args.operands {
        let mut part = name.trim_end_matches('/');
        loop {
            if args.has("-v") {
                process.say(&format!("rmdir: removing directory, '{part}'"));
            }
            let path = process.path(part);
            if let Err(error) = process.system.tree.rmdir(&path) {
                if error.errno != Errno::NotEmpty || !args.has("--ignore-fail-on-non-empty") {
                    status = process.fail(&format!("failed to remove '{part}': {}", error.errno));
                }
                break;
            }
            let above = operands::parent(part);
            if !args.has("-p") || above == "." || above == "/" {
                break;
            }
            part = above;
        }
    }
    Ok(status)
}

fn rm(process: &mut Process<'_>) -> Outcome {
    let args = Arguments::of(
        process,
        &[
            "-f --force",
            "-r --recursive",
            "-R",
            "-d --dir",
            "-v --verbose",
            "--one-file-system",
            "--preserve-root [=]",
        ],
    )?;
    let force = args.has("-f");
    if args.operands.is_empty() && !force {
        return Ok(process.fail("missing operand"));
    }
    let recursive = args.has("-r") || args.has("-R");
    let mut status = 0;
    for name in &args.operands {
        let path = process.path(name);
        if matches!(operands::base(name), "." | ".." | "") {
            status = process.fail(&format!("refusing to remove '.' or '..' directory: skipping '{name}'"));
            continue;
        }
        let tree = &mut process.system.tree;
        let link = tree
            .lstat(path.trim_end_matches('/'))
            .is_ok_and(crate::tree::Inode::is_symlink);
        if link && path.ends_with('/') {
            return Err(process.unsupported(format!("removing through the link '{name}'")));
        }
        let directory = tree.lstat(&path).map(crate::tree::Inode::is_dir);
        let removed = match directory {
            Err(error) => Err(error.errno),
            Ok(true) if recursive => tree.remove_all(&path).map_err(|error| error.errno),
            Ok(true) if args.has("-d") => tree.rmdir(&path).map_err(|error| error.errno),
            Ok(true) => Err(Errno::IsDir),
            Ok(false) => tree.unlink(&path).map_err(|error| error.errno),
        };
        match removed {
            Ok(()) if args.has("-v") => process.say(&format!("removed '{name}'")),
            Ok(()) => {}
            Err(Errno::NoEntry | Errno::NotDir) if force => {}
            Err(errno) => status = process.fail(&format!("cannot remove '{name}': {errno}")),
        }
    }
    Ok(status)
}

fn unlink(process: &mut Process<'_>) -> Outcome {
    let args = Arguments::of(process, &[])?;
    let [name] = &args.operands[..] else {
        return Ok(process.fail("exactly one operand is needed"));
    };
    let path = process.path(name);
    Ok(match process.system.tree.unlink(&path) {
        Ok(()) => 0,
        Err(error) => process.fail(&format!("cannot unlink '{name}': {}", error.errno)),
    })
}

/// Sources and the path each shall get, for `cp`, `mv` and `ln`: into a directory, or one to one.
/// Nothing if the operands make no sense, which has then been said.
pub(super) fn destinations(process: &mut Process<'_>, args: &Arguments, follow: bool) -> Option<Vec<(String, String)>> {
    let mut sources = args.operands.clone();
    let target = match args.value("-t") {
        Some(directory) => directory.to_owned(),
        None => sources.pop()?,
    };
    if sources.is_empty() {
        process.fail(&format!("missing destination file operand after '{target}'"));
        return None;
    }
    let path = process.path(&target);
    let tree = &process.system.tree;
    let directory = tree.is_dir(&path) && (follow || !tree.lstat(&path).is_ok_and(crate::tree::Inode::is_symlink));
    if args.has("-T") || (!directory && !args.has("-t")) {
        if sources.len() > 1 {
            process.fail(&format!("target '{target}': {}", Errno::NotDir));
            return None;
        }
        return Some(vec![(sources.remove(0), target)]);
    }
    if !directory {
        process.fail(&format!("target directory '{target}': {}", Errno::NotDir));
        return None;
    }
    let into = |source: String| {
        let place = format!("{}/{}", target.trim_end_matches('/'), operands::base(&source));
        (source, place)
    };
    Some(sources.into_iter().map(into).collect())
}

fn mv(process: &mut Process<'_>) -> Outcome {
    let args = Arguments::of(
        process,
        &[
            "-f --force",
            "-n --no-clobber",
            "-T --no-target-directory",
            "-t --target-directory =",
            "-v --verbose",
            "-Z",
            "--update",
            "--context [=]",
            "--interactive",
        ],
    )?;
    if args.has("--update") || args.has("--interactive") {
        return Err(process.unsupported("--update or --interactive"));
    }
    let Some(pairs) = destinations(process, &args, true) else {
        return Ok(1);
    };
    let mut status = 0;
    for (source, target) in pairs {
        let (from, to) = (process.path(&source), process.path(&target));
        let tree = &mut process.system.tree;
        if args.last(&["-n", "-f"]) == Some("-n") && tree.lexists(&to) {
            continue;
        }
        let same =
            tree.lookup(&from, Follow::No).is_ok() && tree.lookup(&from, Follow::No) == tree.lookup(&to, Follow::No);
        if same && tree.canonical_parent(&from) == tree.canonical_parent(&to) {
            status = process.fail(&format!("'{source}' and '{target}' are the same file"));
        } else if same {
            // rename(2) leaves two links to one file alone; mv removes the old name.
            let _ = tree.unlink(&from);
        } else if let Err(error) = tree.rename(&from, &to) {
            let text = match error.errno {
                Errno::NoEntry if !tree.lexists(&from) => format!("cannot stat '{source}': {}", error.errno),
                errno => format!("cannot move '{source}' to '{target}': {errno}"),
            };
            status = process.fail(&text);
            continue;
        }
        if args.has("-v") && !same {
            process.say(&format!("renamed '{source}' -> '{target}'"));
        }
    }
    Ok(status)
}

/// A tree in memory has nothing to flush.
fn sync(process: &mut Process<'_>) -> Outcome {
    Arguments::of(process, &["-d --data", "-f --file-system"])?;
    Ok(0)
}

#[cfg(test)]
mod tests {
    use crate::commands::oracle::same;

    const START: &[&str] = &["d/", "d/e/", "d/f=inner", "a=A", "b=B", "l->d", "dangling->nowhere"];

    #[test]
    fn rm_and_mv() {
        for args in [
            &["rm", "a", "nothing"][..],
            &["rm", "-f", "nothing", "a/x"],
            &["rm", "-f"],
            &["rm", "d"],
            &["rm", "-rf", "d", "l"],
            &["rm", "-d", "d/e", "d"],
            &["rm", "-v", "a"],
            &["mv", "a", "b"],
            &["mv", "a", "b", "d"],
            &["mv", "a", "l"],
            &["mv", "-T", "a", "l"],
            &["mv", "-n", "a", "b"],
            &["mv", "--no-clobber", "a", "c"],
            &["mv", "-T", "d", "d/e"],
            &["mv", "d", "a"],
            &["mv", "a", "b", "c"],
            &["mv", "nothing", "c"],
            &["mv", "a", "a"],
            &["mv", "-t", "d", "a", "dangling"],
            &["mv", "-v", "a", "c"],
            &["mv", "d", "z"],
            &["mv", "d/f", "d/e"],
        ] {
            same(START, args, "");
        }
    }
}
