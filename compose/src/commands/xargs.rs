//! `xargs`.

use bytes::Bytes;

use super::arguments::Arguments;
use super::operands;
use crate::shell::process::{Command, Halt, Outcome, Process};

pub(super) const COMMANDS: &[(&str, Command)] = &[("xargs", xargs)];

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

#[cfg(test)]
mod tests {
    use crate::commands::oracle::same;

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
}
