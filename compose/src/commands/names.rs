//! Names of files: `basename`, `dirname`, `readlink`, `realpath`, `pwd`.

use super::arguments::Arguments;
use super::operands;
use crate::shell::process::{Command, Outcome, Process};
use crate::tree::{self, Errno, Tree};

pub(super) const COMMANDS: &[(&str, Command)] = &[
    ("basename", basename),
    ("dirname", dirname),
    ("pwd", pwd),
    ("readlink", readlink),
    ("realpath", realpath),
];

/// What of a path may be missing when it is made canonical.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Missing {
    /// Nothing (`-e`).
    Nothing,
    /// The last name (`-f`).
    Last,
    /// Any (`-m`).
    Allowed,
}

/// `path`, absolute, without symbolic links, `.` and `..`.
pub(crate) fn canonical(tree: &Tree, path: &str, missing: Missing) -> tree::Result<String> {
    match missing {
        Missing::Nothing if !tree.exists(path) => tree.stat(path).map(|_| String::new()),
        Missing::Nothing => tree.canonical(path),
        Missing::Last if path.is_empty() => tree.canonical(path),
        // A missing last name may carry a slash.
        Missing::Last if tree.exists(path) => tree.canonical(path),
        Missing::Last if tree.exists(path.trim_end_matches('/')) => tree.canonical(path),
        Missing::Last => tree.canonical(path.trim_end_matches('/')),
        Missing::Allowed => Ok(canonical_missing(tree, path)),
    }
}

/// Resolves name by name and keeps what does not exist as it is written.
fn canonical_missing(tree: &Tree, path: &str) -> String {
    let mut done = String::new();
    for name in path.split('/').filter(|name| !name.is_empty() && *name != ".") {
        if name == ".." {
            let above = done.rfind('/').unwrap_or(0);
            done.truncate(above);
            continue;
        }
        let next = format!("{done}/{name}");
        done = match tree.lstat(&next) {
            Ok(inode) if inode.is_symlink() => match tree.canonical(&next) {
                Ok(real) if real != "/" => real,
                Ok(_) => String::new(),
                Err(_) => resolve_dangling(tree, &next),
            },
            _ => next,
        };
    }
    if done.is_empty() { "/".to_owned() } else { done }
}

/// A link whose target lacks directories: the target, resolved as far as it goes; a loop stays as it is.
fn resolve_dangling(tree: &Tree, link: &str) -> String {
    let looping = tree.stat(link).is_err_and(|error| error.errno == Errno::Loop);
    match tree.read_link(link) {
        Ok(target) if !looping && target.starts_with('/') => canonical_missing(tree, &target),
        Ok(target) if !looping => canonical_missing(tree, &format!("{}/{target}", operands::parent(link))),
        _ => link.to_owned(),
    }
}

/// `path` as seen from directory `from`, both canonical.
pub(crate) fn relative(path: &str, from: &str) -> String {
    let names = |path: &str| {
        path.split('/')
            .filter(|name| !name.is_empty())
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let (path, from) = (names(path), names(from));
    let shared = path.iter().zip(&from).take_while(|(a, b)| a == b).count();
    let mut steps = vec!["..".to_owned(); from.len() - shared];
    steps.extend_from_slice(&path[shared..]);
    if steps.is_empty() {
        ".".to_owned()
    } else {
        steps.join("/")
    }
}

fn end_of_line(args: &Arguments) -> &'static str {
    if args.has("-z") { "\0" } else { "\n" }
}

fn basename(process: &mut Process<'_>) -> Outcome {
    let args = Arguments::in_order(process, &["-a --multiple", "-s --suffix =", "-z --zero"])?;
    let several = args.has("-a") || args.has("-s");
    if args.operands.is_empty() || (!several && args.operands.len() > 2) {
        return Ok(process.fail("one operand, or a name and a suffix, are needed"));
    }
    let suffix = args.value("-s").or(if several {
        None
    } else {
        args.operands.get(1).map(String::as_str)
    });
    let count = if several { args.operands.len() } else { 1 };
    for name in &args.operands[..count] {
        let mut base = operands::base(name);
        if base.is_empty() && !name.is_empty() {
            base = "/";
        }
        let stripped = suffix
            .and_then(|suffix| base.strip_suffix(suffix))
            .filter(|rest| !rest.is_empty());
        let line = format!("{}{}", stripped.unwrap_or(base), end_of_line(&args));
        process.stdout.extend_from_slice(line.as_bytes());
    }
    Ok(0)
}

fn dirname(process: &mut Process<'_>) -> Outcome {
    let args = Arguments::in_order(process, &["-z --zero"])?;
    if args.operands.is_empty() {
        return Ok(process.fail("missing operand"));
    }
    for name in &args.operands {
        let trimmed = name.trim_end_matches('/');
        let directory = match trimmed.rfind('/') {
            _ if trimmed.is_empty() && !name.is_empty() => "/",
            None => ".",
            Some(at) => match trimmed[..at].trim_end_matches('/') {
                "" => "/",
                above => above,
            },
        };
        let line = format!("{directory}{}", end_of_line(&args));
        process.stdout.extend_from_slice(line.as_bytes());
    }
    Ok(0)
}

fn pwd(process: &mut Process<'_>) -> Outcome {
    Arguments::of(process, &["-L --logical", "-P --physical"])?;
    let cwd = process.cwd.clone();
    process.say(&cwd);
    Ok(0)
}

/// What may be missing, by the option that says so.
fn missing(option: &str) -> Missing {
    match option {
        "-e" => Missing::Nothing,
        "-f" => Missing::Last,
        _ => Missing::Allowed,
    }
}

fn readlink(process: &mut Process<'_>) -> Outcome {
    let args = Arguments::of(
        process,
        &[
            "-f --canonicalize",
            "-e --canonicalize-existing",
            "-m --canonicalize-missing",
            "-n --no-newline",
            "-q --quiet --silent",
            "-s",
            "-v --verbose",
            "-z --zero",
        ],
    )?;
    if args.operands.is_empty() {
        return Ok(process.fail("missing operand"));
    }
    let mut status = 0;
    for name in &args.operands {
        let path = process.path(name);
        let tree = &process.system.tree;
        let answer = match args.last(&["-e", "-f", "-m"]).map(missing) {
            _ if name.is_empty() => tree.read_link(""),
            Some(missing) => canonical(tree, &path, missing),
            None => tree.read_link(&path),
        };
        match answer {
            Ok(text) => {
                process.stdout.extend_from_slice(text.as_bytes());
                if !args.has("-n") || args.operands.len() > 1 {
                    process.stdout.extend_from_slice(end_of_line(&args).as_bytes());
                }
            }
            Err(error) if args.has("-v") => status = process.fail(&format!("{name}: {}", error.errno)),
            Err(_) => status = 1,
        }
    }
    Ok(status)
}

fn realpath(process: &mut Process<'_>) -> Outcome {
    let args = Arguments::of(
        process,
        &[
            "-e --canonicalize-existing",
            "-m --canonicalize-missing",
            "-P --physical",
            "-q --quiet",
            "-s --strip --no-symlinks",
            "-z --zero",
            "--relative-to =",
        ],
    )?;
    if args.operands.is_empty() {
        return Ok(process.fail("missing operand"));
    }
    let from = args.value("--relative-to").map(|base| real_name(process, base, &args));
    let mut status = 0;
    for name in &args.operands {
        let found = real_name(process, name, &args);
        let found = match (&from, found) {
            (None, found) => found,
            (Some(Ok(from)), Ok(path)) => Ok(relative(&path, from)),
            (Some(Err(error)), _) => Err(error.clone()),
            (_, Err(error)) => Err(error),
        };
        match found {
            Ok(path) => {
                let line = format!("{path}{}", end_of_line(&args));
                process.stdout.extend_from_slice(line.as_bytes());
            }
            Err(_) if args.has("-q") => status = 1,
            Err(error) => status = process.fail(&format!("{name}: {}", error.errno)),
        }
    }
    Ok(status)
}

fn real_name(process: &Process<'_>, name: &str, args: &Arguments) -> tree::Result<String> {
    let path = process.path(name);
    let tree = &process.system.tree;
    let missing = args.last(&["-e", "-m"]).map_or(Missing::Last, missing);
    if !args.has("-s") || name.is_empty() {
        return canonical(tree, &path, missing);
    }
    // Links stay, dots go.
    let mut kept: Vec<&str> = Vec::new();
    for part in path.split('/').filter(|part| !part.is_empty() && *part != ".") {
        if part == ".." {
            kept.pop();
        } else {
            kept.push(part);
        }
    }
    let plain = format!("/{}", kept.join("/"));
    let needed = if missing == Missing::Nothing {
        plain.as_str()
    } else {
        "/"
    };
    tree.stat(needed).map(|_| plain.clone())
}

#[cfg(test)]
mod tests {
    use crate::commands::oracle::same;

    #[test]
    fn base_and_directory() {
        for name in [
            "a/b", "/a/b/", "a", "/", "//", "a//b", "/a", "a/b.conf", ".conf", "", ".",
        ] {
            same(&[], &["basename", name], "");
            same(&[], &["basename", name, ".conf"], "");
            same(&[], &["dirname", name], "");
        }
        same(&[], &["basename", "-a", "x/a", "x/b"], "");
        same(&[], &["basename", "-s", ".c", "x/a.c", "x/b"], "");
    }

    #[test]
    fn real_names() {
        const START: &[&str] = &[
            "d/",
            "d/f=x",
            "l->d",
            "lf->d/f",
            "dangling->no/where",
            "half->d/no",
            "loop->loop",
        ];
        for name in [
            "d", "l", "l/f", "lf", "dangling", "half", "loop", "nothing", "no/thing", "d/../lf", "l/", "d/f/", "up",
            "half/x", "new/",
        ] {
            for option in ["-f", "-e", "-m"] {
                same(START, &["readlink", option, name], "");
            }
            same(START, &["readlink", name], "");
            same(START, &["readlink", "-n", name], "");
            same(START, &["realpath", "-q", name], "");
            same(START, &["realpath", "-m", "-s", name], "");
            // GNU's -s looks through a loop that it does not follow.
            if name != "loop" && !name.ends_with('/') {
                same(START, &["realpath", "-s", name], "");
            }
            same(START, &["realpath", "-m", "--relative-to=d", name], "");
        }
    }
}
