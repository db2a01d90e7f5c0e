//! `chmod`, `chown`, `chgrp`.

use super::arguments::Arguments;
use super::{mode, owners};
use crate::shell::process::{Command, Outcome, Process};
use crate::tree::{Follow, InodeId};

pub(super) const COMMANDS: &[(&str, Command)] = &[("chgrp", chown), ("chmod", chmod), ("chown", chown)];

const CHMOD_OPTIONS: &[&str] = &[
    "-R --recursive",
    "-c --changes",
    "-f --silent --quiet",
    "-v --verbose",
    "--reference =",
    "--no-dereference",
    "--dereference",
    "--from =",
    "--preserve-root --no-preserve-root",
];
const CHOWN_OPTIONS: &[&str] = &[
    "-R --recursive",
    "-h --no-dereference",
    "-c --changes",
    "-f --silent --quiet",
    "-v --verbose",
    "-H",
    "-L",
    "-P",
    "--reference =",
    "--dereference",
    "--from =",
    "--preserve-root --no-preserve-root",
];

/// What `process` works on: each operand and, with `-R`, all below it (links found there are left alone).
/// The flag tells whether every operand was there.
fn targets(
    process: &mut Process<'_>,
    args: &Arguments,
    operands: &[String],
    follow: Follow,
    through_links: bool,
) -> (Vec<(String, InodeId, bool)>, bool) {
    let mut found = Vec::new();
    let mut complete = true;
    for name in operands {
        let path = process.path(name);
        let tree = &process.system.tree;
        // A link named with -R is followed by chmod; by chown only if -H or -L say so.
        let walks_link = args.has("-R") && tree.lstat(&path).is_ok_and(crate::tree::Inode::is_symlink);
        let id = match tree.lookup(&path, follow) {
            Ok(id) => id,
            Err(error) => {
                complete = false;
                if !args.has("-f") {
                    process.fail(&format!("cannot access '{name}': {}", error.errno));
                }
                continue;
            }
        };
        found.push((name.clone(), id, false));
        if args.has("-R")
            && (!walks_link || through_links)
            && let Ok(below) = tree.walk(&path)
        {
            found.extend(below.into_iter().map(|(path, id)| (path, id, true)));
        }
    }
    (found, complete)
}

fn chmod(process: &mut Process<'_>) -> Outcome {
    // `chmod -x file`: a mode that looks like an option is a mode.
    let at = process.args.iter().skip(1).position(|arg| {
        arg.len() > 1
            && arg.starts_with('-')
            && arg != "--"
            && arg[1..].bytes().all(|byte| b"rwxXstugoa,+-=".contains(&byte))
    });
    let mut negative = None;
    if let Some(at) = at {
        negative = Some(process.args.remove(at + 1));
    }
    let args = Arguments::of(process, CHMOD_OPTIONS)?;
    let mut operands = args.operands.clone();
    let reference = match args.value("--reference") {
        None => None,
        Some(name) => match process.system.tree.stat(&process.path(name)) {
            Ok(inode) => Some(format!("{:05o}", inode.mode)),
            Err(error) => return Ok(process.fail(&format!("failed to get attributes of '{name}': {}", error.errno))),
        },
    };
    let text = match reference.or(negative) {
        Some(text) => text,
        None if operands.is_empty() => return Ok(process.fail("missing operand")),
        None => operands.remove(0),
    };
    if operands.is_empty() {
        return Ok(process.fail(&format!("missing operand after '{text}'")));
    }
    if mode::apply(&text, 0, false, 0).is_none() {
        return Ok(process.fail(&format!("invalid mode: '{text}'")));
    }
    let (found, complete) = targets(process, &args, &operands, Follow::Yes, true);
    let umask = process.umask;
    for (_, id, below) in found {
        let inode = process.system.tree.inode_mut(id);
        if below && inode.is_symlink() {
            continue;
        }
        if let Some(mode) = mode::apply(&text, inode.mode, inode.is_dir(), umask) {
            inode.mode = mode;
        }
    }
    Ok(u8::from(!complete))
}

fn chown(process: &mut Process<'_>) -> Outcome {
    let args = Arguments::of(process, CHOWN_OPTIONS)?;
    if args.has("--from") {
        return Err(process.unsupported("--from"));
    }
    let mut operands = args.operands.clone();
    let (uid, gid) = match args.value("--reference") {
        Some(name) => match process.system.tree.stat(&process.path(name)) {
            Ok(inode) if process.args[0] == "chgrp" => (None, Some(inode.gid)),
            Ok(inode) => (Some(inode.uid), Some(inode.gid)),
            Err(error) => return Ok(process.fail(&format!("failed to get attributes of '{name}': {}", error.errno))),
        },
        None if operands.is_empty() => return Ok(process.fail("missing operand")),
        None => {
            let text = operands.remove(0);
            match owner_and_group(process, &text) {
                Ok(pair) => pair,
                Err(what) => return Ok(process.fail(&format!("invalid {what}: '{text}'"))),
            }
        }
    };
    if operands.is_empty() {
        return Ok(process.fail("missing operand"));
    }
    let follow = if args.has("-h") || args.has("-R") {
        Follow::No
    } else {
        Follow::Yes
    };
    let (found, complete) = targets(process, &args, &operands, follow, args.has("-H") || args.has("-L"));
    for (_, id, _) in found {
        let inode = process.system.tree.inode_mut(id);
        inode.uid = uid.unwrap_or(inode.uid);
        inode.gid = gid.unwrap_or(inode.gid);
        // chown(2) takes set-id bits and capabilities from files (setgid without group execution means locking).
        if inode.is_file() {
            let cleared = if inode.mode & 0o010 != 0 { 0o6000 } else { 0o4000 };
            inode.mode &= !cleared;
            inode.xattrs.remove("security.capability");
        }
    }
    Ok(u8::from(!complete))
}

type Ids = (Option<u32>, Option<u32>);

/// `user`, `user:group`, `user:` (their login group), `:group`; `.` as the separator too, as GNU still takes it.
fn owner_and_group(process: &Process<'_>, text: &str) -> Result<Ids, &'static str> {
    let tree = &process.system.tree;
    let group = |name: &str| owners::gid(tree, name).map(Some).ok_or("group");
    if process.args[0] == "chgrp" {
        return Ok((None, group(text)?));
    }
    let whole = owners::uid(tree, text);
    let Some((user, name)) = text
        .split_once(':')
        .or_else(|| text.split_once('.').filter(|_| whole.is_none()))
    else {
        return Ok((Some(whole.ok_or("user")?), None));
    };
    let uid = match user {
        "" => None,
        user => Some(owners::uid(tree, user).ok_or("user")?),
    };
    let gid = match (user, name) {
        ("", "") => None,
        (user, "") => {
            let entry = owners::entry(tree, "/etc/passwd", user).ok_or("spec")?;
            Some(entry.get(3).and_then(|gid| gid.parse().ok()).ok_or("spec")?)
        }
        (_, name) => group(name)?,
    };
    Ok((uid, gid))
}

#[cfg(test)]
mod tests {
    use crate::commands::oracle::same_steps;

    const START: &[&str] = &["d/", "d/f=x", "d/l->f", "l->d", "a=A", "dangling->no"];

    #[test]
    fn does_what_chmod_does() {
        for step in [
            &["chmod", "-R", "u=rwX,go=", "d"][..],
            &["chmod", "600", "l"],
            &["chmod", "-R", "700", "l"],
            &["chmod", "-x", "d"],
            &["chmod", "--reference=d", "a"],
            &["chmod", "600", "nothing", "a"],
            &["chmod", "-f", "600", "nothing"],
            &["chmod", "600", "dangling"],
            &["chmod", "zz", "a"],
            &["chmod", "+x", "--", "a"],
        ] {
            same_steps(START, &[step]);
        }
    }

    #[test]
    fn owners_are_names_of_the_tree() {
        let format = "%n %u:%g %U:%G %a";
        for step in [
            &["chown", "daemon", "a"][..],
            &["chown", "daemon:", "a"],
            &["chown", ":daemon", "a"],
            &["chown", "1:2", "a"],
            &["chown", "bin.sys", "a"],
            &["chown", "nobody:no-such-group", "a"],
            &["chown", "-h", "daemon", "l"],
            &["chown", "daemon", "l"],
            &["chown", "-R", "daemon:bin", "d"],
            &["chown", "-R", "daemon:bin", "l"],
            &["chgrp", "bin", "a"],
            &["chgrp", "-R", "bin", "d"],
            &["chown", "--reference=d", "a"],
        ] {
            let show = ["stat", "-c", format, "a", "l", "d", "d/f", "d/l"];
            same_steps(START, &[&["chmod", "6755", "a"], step, &show]);
        }
    }
}
