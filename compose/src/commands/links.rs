//! `ln` and `link`.

use super::arguments::Arguments;
use super::{files, names, operands};
use crate::shell::process::{Command, Outcome, Process};
use crate::tree::{Follow, Inode};

pub(super) const COMMANDS: &[(&str, Command)] = &[("link", link), ("ln", ln)];

fn ln(process: &mut Process<'_>) -> Outcome {
    let mut args = Arguments::of(
        process,
        &[
            "-s --symbolic",
            "-f --force",
            "-n --no-dereference",
            "-h",
            "-r --relative",
            "-T --no-target-directory",
            "-t --target-directory =",
            "-P --physical",
            "-L --logical",
            "-v --verbose",
        ],
    )?;
    if args.operands.is_empty() {
        return Ok(process.fail("missing file operand"));
    }
    if args.operands.len() == 1 && !args.has("-t") {
        args.operands.push(".".to_owned());
    }
    let Some(pairs) = files::destinations(process, &args, !args.has("-n") && !args.has("-h")) else {
        return Ok(1);
    };
    let mut status = 0;
    for (source, target) in pairs {
        match link_one(process, &args, &source, &target) {
            Ok(()) if args.has("-v") => {
                let arrow = if args.has("-s") { "->" } else { "=>" };
                process.say(&format!("'{target}' {arrow} '{source}'"));
            }
            Ok(()) => {}
            Err(text) => status = process.fail(&text),
        }
    }
    Ok(status)
}

fn link_one(process: &mut Process<'_>, args: &Arguments, source: &str, target: &str) -> Result<(), String> {
    let (from, to) = (process.path(source), process.path(target));
    let tree = &mut process.system.tree;
    let kind = if args.has("-s") { "symbolic" } else { "hard" };
    let failed = |errno| format!("failed to create {kind} link '{target}': {errno}");
    if !args.has("-s") {
        match tree.lstat(&from) {
            Err(error) => return Err(format!("failed to access '{source}': {}", error.errno)),
            Ok(inode) if inode.is_dir() => return Err(format!("{source}: hard link not allowed for directory")),
            Ok(_) => {}
        }
    }
    let relative;
    let mut content = source;
    if args.has("-s") && args.has("-r") {
        let real = names::canonical(tree, &from, names::Missing::Allowed).map_err(|error| failed(error.errno))?;
        let place = tree.canonical_parent(&to).map_err(|error| failed(error.errno))?;
        relative = names::relative(&real, operands::parent(&place));
        content = &relative;
    }
    if args.has("-f") && tree.lexists(&to) {
        if tree.lstat(&to).is_ok_and(Inode::is_dir) {
            return Err(format!("{target}: cannot overwrite directory"));
        }
        if !args.has("-s") && tree.lookup(&from, Follow::No) == tree.lookup(&to, Follow::No) {
            return Err(format!("'{source}' and '{target}' are the same file"));
        }
        tree.unlink(&to).map_err(|error| failed(error.errno))?;
    }
    if args.has("-s") {
        tree.symlink(content, &to)
            .map(drop)
            .map_err(|error| failed(error.errno))
    } else if args.has("-L") {
        let real = tree.canonical(&from).map_err(|error| failed(error.errno))?;
        tree.link(&real, &to).map_err(|error| failed(error.errno))
    } else {
        tree.link(&from, &to).map_err(|error| failed(error.errno))
    }
}

fn link(process: &mut Process<'_>) -> Outcome {
    let args = Arguments::of(process, &[])?;
    let [source, target] = &args.operands[..] else {
        return Ok(process.fail("exactly two operands are needed"));
    };
    let (from, to) = (process.path(source), process.path(target));
    Ok(match process.system.tree.link(&from, &to) {
        Ok(()) => 0,
        Err(error) => process.fail(&format!("cannot create link '{target}' to '{source}': {}", error.errno)),
    })
}

#[cfg(test)]
mod tests {
    use crate::commands::oracle::same;

    #[test]
    fn does_what_ln_does() {
        const START: &[&str] = &["d/", "d/e/", "d/f=inner", "a=A", "b=B", "l->d", "dangling->nowhere"];
        for args in [
            &["ln", "-s", "a", "c"][..],
            &["ln", "-s", "a", "b"],
            &["ln", "-sf", "x", "b"],
            &["ln", "-sf", "x", "l"],
            &["ln", "-nsf", "x", "l"],
            &["ln", "-sfT", "x", "l"],
            &["ln", "-sT", "x", "d"],
            &["ln", "-sfT", "x", "d"],
            &["ln", "-s", "a", "b", "d"],
            &["ln", "-s", "d/f"],
            &["ln", "-sr", "a", "d/e/a"],
            &["ln", "-srf", "d/f", "l/g"],
            &["ln", "-sr", "dangling", "d/x"],
            &["ln", "-t", "d", "-s", "q"],
            &["ln", "a", "c"],
            &["ln", "-f", "a", "b"],
            &["ln", "-f", "a", "a"],
            &["ln", "d", "c"],
            &["ln", "nothing", "c"],
            &["ln", "-sv", "a", "c"],
            &["ln", "-s", "a", "no/where"],
            &["link", "a", "c"],
        ] {
            same(START, args, "");
        }
    }
}
