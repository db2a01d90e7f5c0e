//! Commands that start others: `xargs`, `run-parts`, `nice` and the like.

use bytes::Bytes;

use super::arguments::Arguments;
use super::operands;
use crate::shell::process::{Command, Halt, Outcome, Process};

pub(super) const COMMANDS: &[(&str, Command)] = &[
    ("flock", |process| {
        under(
            process,
            &[
                "-x --exclusive",
                "-s --shared",
                "-n --nonblock",
                "-e",
                "-o --close",
                "-w --timeout =",
                "-E =",
            ],
            1,
        )
    }),
    ("ionice", |process| {
        under(process, &["-c --class =", "-n --classdata =", "-t --ignore"], 0)
    }),
    ("nice", |process| under(process, &["-n --adjustment ="], 0)),
    ("nohup", |process| under(process, &[], 0)),
    ("run-parts", run_parts),
    ("setsid", |process| {
        under(process, &["-c --ctty", "-f --fork", "-w --wait"], 0)
    }),
    ("timeout", |process| {
        under(process, &["-k --kill-after =", "-s --signal ="], 1)
    }),
    ("xargs", xargs),
];

/// Runs the command in the operands, of which the first `skipped` are for this one: priorities, time limits and locks
/// mean nothing where one thing happens after another.
fn under(process: &mut Process<'_>, options: &'static [&'static str], skipped: usize) -> Outcome {
    let args = Arguments::in_order(process, options)?;
    let Some(command) = args.operands.get(skipped..).filter(|command| !command.is_empty()) else {
        return Err(process.unsupported("use without a command"));
    };
    let stdin = process.read_stdin();
    process.spawn(command, stdin)
}

fn xargs(process: &mut Process<'_>) -> Outcome {
    let args = Arguments::in_order(
        process,
        &[
            "-0 --null",
            "-r --no-run-if-empty",
            "-n --max-args =",
            "-L --max-lines =",
            "-I --replace =",
            "-d --delimiter =",
            "-t --verbose",
            "-P --max-procs =",
            "-x",
        ],
    )?;
    let command = if args.operands.is_empty() {
        vec!["echo".to_owned()]
    } else {
        args.operands.clone()
    };
    let number = |option| match args.value(option) {
        None => Ok(usize::MAX),
        Some(text) => text
            .parse()
            .ok()
            .filter(|&number: &usize| number > 0)
            .ok_or_else(|| process.unsupported(format!("{option} {text}"))),
    };
    let (most, lines) = (number("-n")?, number("-L")?);
    let input = process.read_stdin();
    let delimiter = match args.value("-d") {
        _ if args.has("-0") => Some(0),
        Some(text) => match super::escapes::unescape(text)[..] {
            [byte] => Some(byte),
            _ => return Err(process.unsupported(format!("-d {text}"))),
        },
        None => None,
    };
    let items = match delimiter {
        Some(byte) => operands::lines(&input, byte)
            .map(|item| String::from_utf8_lossy(item).into_owned())
            .collect(),
        None if args.has("-I") || args.has("-L") => {
            let lines =
                operands::lines(&input, b'\n').map(|line| String::from_utf8_lossy(line).trim_start().to_owned());
            lines.filter(|line| !line.trim().is_empty()).collect()
        }
        None => words(process, &String::from_utf8_lossy(&input))?,
    };
    let mut status = 0;
    if let Some(mark) = args.value("-I") {
        for item in &items {
            let words: Vec<String> = command.iter().map(|word| word.replace(mark, item)).collect();
            status = worse(status, process.spawn(&words, Bytes::new())?);
        }
        return Ok(status);
    }
    if items.is_empty() && args.has("-r") {
        return Ok(0);
    }
    if items.is_empty() {
        return Ok(worse(0, process.spawn(&command, Bytes::new())?));
    }
    for chunk in items.chunks(most.min(lines)) {
        let mut words = command.clone();
        if args.has("-L") && delimiter.is_none() {
            for line in chunk {
                words.extend(self::words(process, line)?);
            }
        } else {
            words.extend_from_slice(chunk);
        }
        let one = process.spawn(&words, Bytes::new())?;
        status = worse(status, one);
        if one == 255 {
            return Ok(124);
        }
    }
    Ok(status)
}

/// xargs' own status after a command ended with `one`.
fn worse(status: u8, one: u8) -> u8 {
    match one {
        0 => status,
        126 | 127 => one,
        _ => status.max(123),
    }
}

/// Words of xargs' input: blanks and newlines separate, quotes and backslashes protect.
fn words(process: &Process<'_>, text: &str) -> Result<Vec<String>, Halt> {
    let mut words = Vec::new();
    let mut current: Option<String> = None;
    let mut letters = text.chars();
    while let Some(next) = letters.next() {
        match next {
            ' ' | '\t' | '\n' => words.extend(current.take()),
            '"' | '\'' => {
                let word = current.get_or_insert_default();
                loop {
                    match letters.next() {
                        Some(inside) if inside == next => break,
                        Some(inside) if inside != '\n' => word.push(inside),
                        _ => return Err(process.unsupported("an unmatched quote in the input")),
                    }
                }
            }
            '\\' => current.get_or_insert_default().extend(letters.next()),
            other => current.get_or_insert_default().push(other),
        }
    }
    words.extend(current);
    Ok(words)
}

fn run_parts(process: &mut Process<'_>) -> Outcome {
    let args = Arguments::of(
        process,
        &[
            "-v --verbose",
            "-a --arg =",
            "-u --umask =",
            "--test",
            "--list",
            "--report",
            "--regex =",
            "--lsbsysinit",
            "--exit-on-error",
            "--reverse",
            "--new-session",
        ],
    )?;
    for unknown in ["--regex", "--lsbsysinit", "-u"] {
        if args.has(unknown) {
            return Err(process.unsupported(unknown));
        }
    }
    let [directory] = &args.operands[..] else {
        return Ok(process.fail("exactly one directory is needed"));
    };
    let path = process.path(directory);
    let Ok(entries) = process.system.tree.read_dir(&path) else {
        return Ok(process.fail(&format!(
            "failed to open directory {directory}: No such file or directory"
        )));
    };
    // run-parts(8): only names of letters, digits, underscores and hyphens.
    let plain = |name: &str| {
        name.bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte))
    };
    let mut names: Vec<String> = entries
        .into_iter()
        .map(|(name, _)| name)
        .filter(|name| plain(name))
        .collect();
    if args.has("--reverse") {
        names.reverse();
    }
    let mut status = 0;
    for name in names {
        let shown = format!("{}/{name}", directory.trim_end_matches('/'));
        let file = process.path(&shown);
        let tree = &process.system.tree;
        let Some(inode) = tree.stat(&file).ok().filter(|inode| inode.is_file()) else {
            continue;
        };
        let runs = inode.mode & 0o111 != 0;
        if args.has("--list") || args.has("--test") && runs {
            process.say(&shown);
            continue;
        }
        if !runs || args.has("--test") {
            continue;
        }
        let mut words = vec![shown.clone()];
        words.extend(args.values("-a").map(str::to_owned));
        let one = process.spawn(&words, Bytes::new())?;
        if one != 0 {
            process.fail(&format!("{shown} exited with return code {one}"));
            status = 1;
            if args.has("--exit-on-error") {
                return Ok(one);
            }
        }
    }
    Ok(status)
}

#[cfg(test)]
mod tests {
    use crate::commands::oracle::{same, same_steps};

    #[test]
    fn does_what_xargs_does() {
        let start = &["a=1\n", "b=2\n", "c d=3\n"];
        for (args, input) in [
            (&["xargs", "cat"][..], "a b\n"),
            (&["xargs", "cat"], "a 'c d'\nb"),
            (&["xargs", "cat"], "c\\ d \"a\"\n"),
            (&["xargs", "-0", "cat"], "a\0c d\0"),
            (&["xargs", "-r", "rm"], ""),
            (&["xargs", "-n1", "basename"], "x/a x/b x/c"),
            (&["xargs", "-I", "{}", "cp", "{}", "{}.new"], "a\nc d\n"),
            (&["xargs", "-d", ",", "basename", "-a"], "a,b"),
            (&["xargs", "-L1", "basename"], "x/a.c .c\nx/b\n"),
            (&["xargs", "cat"], "a nothing b"),
            (&["xargs", "-n", "2", "basename", "-a"], "1 2 3"),
        ] {
            same(start, args, input);
        }
    }

    #[test]
    fn run_parts_lists_plain_names() {
        let start = &["d/", "d/10-a=x", "d/b.sh=y", "d/c_C=z", "d/sub/", "d/e~="];
        for args in [
            &["run-parts", "--list", "d"][..],
            &["run-parts", "--test", "d"],
            &["run-parts", "--list", "--reverse", "d"],
            &["run-parts", "nothing"],
        ] {
            same_steps(start, &[&["chmod", "755", "d/10-a", "d/b.sh"], args]);
        }
    }
}
