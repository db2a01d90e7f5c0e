//! Making files: `mkdir`, `touch`, `truncate`, `mktemp`, `mkfifo`, `mknod`.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::arguments::Arguments;
use super::{date, mode, operands};
use crate::shell::process::{Command, Outcome, Process, Status};
use crate::tree::{Errno, Follow, Kind};

pub(super) const COMMANDS: &[(&str, Command)] = &[
    ("mkdir", mkdir),
    ("mkfifo", mkfifo),
    ("mknod", mknod),
    ("mktemp", mktemp),
    ("touch", touch),
    ("truncate", truncate),
];

fn mkdir(process: &mut Process<'_>) -> Outcome {
    // -Z sets an SELinux context, which a system without SELinux does not have.
    let args = Arguments::of(
        process,
        &["-p --parents", "-m --mode =", "-v --verbose", "-Z", "--context [=]"],
    )?;
    if args.operands.is_empty() {
        return Ok(process.fail("missing operand"));
    }
    let plain = 0o777 & !process.umask;
    let last = match args.value("-m") {
        None => plain,
        Some(text) => match mode::apply(text, 0o777, true, process.umask) {
            Some(mode) => mode,
            None => return Ok(process.fail(&format!("invalid mode '{text}'"))),
        },
    };
    let mut status = 0;
    for name in &args.operands {
        let path = process.path(name);
        if args.has("-p") {
            status |= make_parents(process, name, plain, args.has("-v"));
            if status == 0 && process.system.tree.is_dir(&path) {
                continue;
            }
        }
        match operands::create(process, &path, Kind::Dir(BTreeMap::new()), last) {
            Ok(_) if args.has("-v") => process.say(&format!("mkdir: created directory '{name}'")),
            Ok(_) => {}
            Err(error) => status = process.fail(&format!("cannot create directory '{name}': {}", error.errno)),
        }
    }
    Ok(status)
}

/// Makes the missing directories above `name`, as `mkdir -p` does: searchable and writable by the owner.
pub(super) fn make_parents(process: &mut Process<'_>, name: &str, mode: u32, verbose: bool) -> u8 {
    let trimmed = name.trim_end_matches('/');
    for (at, _) in trimmed.match_indices('/').filter(|(at, _)| *at > 0) {
        let part = &trimmed[..at];
        let path = process.path(part);
        if process.system.tree.is_dir(&path) {
            continue;
        }
        match operands::create(process, &path, Kind::Dir(BTreeMap::new()), mode | 0o300) {
            Ok(_) if verbose => process.say(&format!("mkdir: created directory '{part}'")),
            Ok(_) => {}
            Err(error) => return process.fail(&format!("cannot create directory '{part}': {}", error.errno)),
        }
    }
    0
}

fn touch(process: &mut Process<'_>) -> Outcome {
    let args = Arguments::of(
        process,
        &[
            "-a",
            "-c --no-create",
            "-f",
            "-h --no-dereference",
            "-m",
            "-r --reference =",
            "-d --date =",
            "-t =",
            "--time =",
        ],
    )?;
    if args.has("-t") || args.has("--time") {
        return Err(process.unsupported("-t or --time"));
    }
    let follow = if args.has("-h") { Follow::No } else { Follow::Yes };
    let mut time = process.system.tree.now;
    if let Some(reference) = args.value("-r") {
        let path = process.path(reference);
        let tree = &process.system.tree;
        match tree.lookup(&path, follow) {
            Ok(id) => time = tree.inode(id).mtime,
            Err(error) => {
                let text = format!("failed to get attributes of '{reference}': {}", error.errno);
                return Ok(process.fail(&text));
            }
        }
    }
    if let Some(text) = args.value("-d") {
        time =
            date::parse(text, process.system.tree.now).ok_or_else(|| process.unsupported(format!("date '{text}'")))?;
    }
    let mut status = 0;
    for name in &args.operands {
        let path = process.path(name);
        let present = process.system.tree.lookup(&path, follow);
        if present.is_err() && (args.has("-c") || args.has("-h")) {
            if args.has("-h") && !args.has("-c") {
                status = process.fail(&format!("setting times of '{name}': {}", Errno::NoEntry));
            }
            continue;
        }
        if present.is_err()
            && let Err(error) = operands::write(process, name, Bytes::new())
        {
            status = process.fail(&format!("cannot touch '{name}': {}", error.errno));
            continue;
        }
        // -a alone changes the access time, which the tree does not have.
        if args.has("-a") && !args.has("-m") {
            continue;
        }
        if let Ok(id) = process.system.tree.lookup(&path, follow) {
            process.system.tree.inode_mut(id).mtime = time;
        }
    }
    Ok(status)
}

fn truncate(process: &mut Process<'_>) -> Outcome {
    let args = Arguments::of(process, &["-c --no-create", "-s --size ="])?;
    let text = args.value("-s").unwrap_or_default();
    let size: usize = text
        .parse()
        .map_err(|_| process.unsupported(format!("size '{text}'")))?;
    let mut status = 0;
    for name in &args.operands {
        let path = process.path(name);
        let mut content = process
            .system
            .tree
            .read(&path)
            .map(|old| old.to_vec())
            .unwrap_or_default();
        if args.has("-c") && !process.system.tree.exists(&path) {
            continue;
        }
        content.resize(size, 0);
        if let Err(error) = operands::write(process, name, content) {
            status = process.fail(&format!("cannot open '{name}' for writing: {}", error.errno));
        }
    }
    Ok(status)
}

fn mktemp(process: &mut Process<'_>) -> Outcome {
    let args = Arguments::of(
        process,
        &[
            "-d --directory",
            "-q --quiet",
            "-u --dry-run",
            "-p =",
            "-t",
            "--tmpdir [=]",
            "--suffix =",
        ],
    )?;
    let template = args.operands.first().map_or("tmp.XXXXXXXXXX", String::as_str);
    let suffix = args.value("--suffix").unwrap_or_default();
    let (before, after) = match template.rfind("XXX") {
        Some(at) => template.split_at(at + 3),
        None => return Ok(process.fail(&format!("too few X's in template '{template}'"))),
    };
    let stem = before.trim_end_matches('X');
    let width = before.len() - stem.len();
    let environment = process.env.get("TMPDIR").filter(|dir| !dir.is_empty()).cloned();
    let temporary = environment.unwrap_or_else(|| "/tmp".to_owned());
    let in_tmpdir = args.operands.is_empty() || args.has("-t") || args.has("-p") || args.has("--tmpdir");
    let directory = args
        .value("-p")
        .or(args.value("--tmpdir"))
        .unwrap_or(&temporary)
        .trim_end_matches('/')
        .to_owned();
    // Names count up from 0 instead of being random: the same scripts give the same tree.
    for number in 0_u32.. {
        let number = number.to_string();
        let zeros = "0".repeat(width.saturating_sub(number.len()));
        let mut name = format!("{stem}{zeros}{number}{after}{suffix}");
        if in_tmpdir {
            name = format!("{directory}/{name}");
        }
        let path = process.path(&name);
        if process.system.tree.lexists(&path) {
            continue;
        }
        if args.has("-u") {
            process.say(&name);
            return Ok(0);
        }
        let (kind, mode) = if args.has("-d") {
            (Kind::Dir(BTreeMap::new()), 0o700)
        } else {
            (Kind::File(Bytes::new()), 0o600)
        };
        return Ok(match operands::create(process, &path, kind, mode) {
            Ok(_) => {
                process.say(&name);
                0
            }
            Err(error) => process.fail(&format!("failed to create '{name}': {}", error.errno)),
        });
    }
    Err(process.unsupported("more than 2^32 temporary files"))
}

fn mkfifo(process: &mut Process<'_>) -> Outcome {
    let args = Arguments::of(process, &["-m --mode ="])?;
    let mode = args.value("-m").map_or(Some(0o666 & !process.umask), |text| {
        mode::apply(text, 0o666, false, process.umask)
    });
    Ok(make_nodes(process, &args.operands, &Kind::Fifo, mode))
}

fn mknod(process: &mut Process<'_>) -> Outcome {
    let args = Arguments::of(process, &["-m --mode ="])?;
    let mode = args.value("-m").map_or(Some(0o666 & !process.umask), |text| {
        mode::apply(text, 0o666, false, process.umask)
    });
    let number = |at: usize| args.operands.get(at).and_then(|text| text.parse().ok());
    let kind = match (args.operands.get(1).map(String::as_str), number(2), number(3)) {
        (Some("p"), None, None) => Kind::Fifo,
        (Some("b"), Some(major), Some(minor)) => Kind::Block { major, minor },
        (Some("c" | "u"), Some(major), Some(minor)) => Kind::Char { major, minor },
        _ => return Ok(process.fail("invalid device type or numbers")),
    };
    Ok(make_nodes(process, &args.operands[..1], &kind, mode))
}

fn make_nodes(process: &mut Process<'_>, names: &[String], kind: &Kind, mode: Option<u32>) -> Status {
    let Some(mode) = mode else {
        return process.fail("invalid mode");
    };
    let mut status = 0;
    for name in names {
        let path = process.path(name);
        if let Err(error) = operands::create(process, &path, kind.clone(), mode) {
            status = process.fail(&format!("{name}: {}", error.errno));
        }
    }
    status
}

#[cfg(test)]
mod tests {
    use crate::commands::oracle::{ours, same};

    const START: &[&str] = &["d/", "d/e/", "d/f=inner", "a=A", "b=B", "l->d", "dangling->nowhere"];

    #[test]
    fn mkdir_and_rmdir() {
        for args in [
            &["mkdir", "x"][..],
            &["mkdir", "d"],
            &["mkdir", "x/y"],
            &["mkdir", "-p", "x/y/z", "d", "l"],
            &["mkdir", "-p", "-m", "0700", "x/y"],
            &["mkdir", "-m", "2750", "x"],
            &["mkdir", "-pv", "x/y/"],
            &["mkdir", "-p", "a/y"],
            &["mkdir", "dangling"],
            &["rmdir", "d"],
            &["rmdir", "d/e", "nothing"],
            &["rmdir", "--ignore-fail-on-non-empty", "d"],
            &["rmdir", "-p", "d/e"],
            &["rmdir", "-p", "--ignore-fail-on-non-empty", "d/e"],
            &["rmdir", "a"],
        ] {
            same(START, args, "");
        }
    }

    #[test]
    fn touch_and_truncate() {
        for args in [
            &["touch", "a", "new", "dangling"][..],
            &["touch", "-c", "new"],
            &["touch", "-h", "new"],
            &["touch", "-r", "missing", "new"],
            &["touch", "x/y"],
            &["truncate", "-s", "0", "a", "new"],
            &["truncate", "-s", "3", "a"],
            &["mkfifo", "-m", "600", "pipe"],
        ] {
            same(START, args, "");
        }
    }

    #[test]
    fn mktemp_names_are_reproducible() {
        let effect = ours(&["t.00=x"], &["mktemp", "-p", ".", "t.XXX"], "");
        assert_eq!(effect.stdout, "./t.000\n");
        assert_eq!(effect.files["t.000"], "file 600 ");
        assert_eq!(
            ours(&[], &["mktemp", "-d", "--suffix=.d", "q.XXXX"], "").stdout,
            "q.0000.d\n"
        );
        assert_eq!(ours(&[], &["mktemp"], "").stdout, "/tmp/tmp.0000000000\n");
        assert_eq!(
            ours(&[], &["mktemp", "-t", "abc.XXXXXX"], "").stdout,
            "/tmp/abc.000000\n"
        );
    }
}
