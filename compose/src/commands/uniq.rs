//! Sorted lines compared with their neighbours: `uniq`, `comm`.

use std::cmp::Ordering;

use super::arguments::Arguments;
use super::operands;
use super::sort::fields;
use crate::shell::process::{Command, Outcome, Process};

pub(super) const COMMANDS: &[(&str, Command)] = &[("comm", comm), ("uniq", uniq)];

fn uniq(process: &mut Process<'_>) -> Outcome {
    let args = Arguments::of(
        process,
        &[
            "-c --count",
            "-d --repeated",
            "-u --unique",
            "-i --ignore-case",
            "-f --skip-fields =",
            "-z --zero-terminated",
        ],
    )?;
    let skipped: usize = args
        .value("-f")
        .unwrap_or("0")
        .parse()
        .map_err(|_| process.unsupported("-f"))?;
    if args.operands.len() > 1 {
        return Err(process.unsupported("an output operand"));
    }
    let end = if args.has("-z") { 0 } else { b'\n' };
    let (text, complete) = operands::concatenated(process, &args.operands)?;
    let key = |line: &[u8]| {
        let start = fields(line, None)
            .get(skipped.wrapping_sub(1))
            .map_or(0, |&(_, end)| end);
        let start = if skipped > fields(line, None).len() {
            line.len()
        } else {
            start
        };
        if args.has("-i") {
            line[start..].to_ascii_lowercase()
        } else {
            line[start..].to_vec()
        }
    };
    let mut groups: Vec<(usize, &[u8])> = Vec::new();
    for line in operands::lines(&text, end) {
        match groups.last_mut() {
            Some((count, first)) if key(first) == key(line) => *count += 1,
            _ => groups.push((1, line)),
        }
    }
    for (count, line) in groups {
        if args.has("-d") && count == 1 || args.has("-u") && count > 1 {
            continue;
        }
        if args.has("-c") {
            process.stdout.extend_from_slice(format!("{count:7} ").as_bytes());
        }
        process.stdout.extend_from_slice(line);
        process.stdout.push(end);
    }
    Ok(u8::from(!complete))
}

fn comm(process: &mut Process<'_>) -> Outcome {
    let args = Arguments::of(process, &["-1", "-2", "-3", "--nocheck-order"])?;
    let (contents, complete) = operands::read_all(process, &args.operands)?;
    let [(_, first), (_, second)] = &contents[..] else {
        return Ok(if complete {
            process.fail("two files are needed")
        } else {
            1
        });
    };
    let mut left = operands::lines(first, b'\n').peekable();
    let mut right = operands::lines(second, b'\n').peekable();
    let shown = |column: &str| !args.has(column);
    let indent = |columns: &[&str]| "\t".repeat(columns.iter().filter(|column| shown(column)).count());
    while let Some(ordering) = match (left.peek(), right.peek()) {
        (None, None) => None,
        (Some(_), None) => Some(Ordering::Less),
        (None, Some(_)) => Some(Ordering::Greater),
        (Some(a), Some(b)) => Some(a.cmp(b)),
    } {
        let (line, column, before): (_, _, &[&str]) = match ordering {
            Ordering::Less => (left.next(), "-1", &[]),
            Ordering::Greater => (right.next(), "-2", &["-1"]),
            Ordering::Equal => {
                right.next();
                (left.next(), "-3", &["-1", "-2"])
            }
        };
        if shown(column) {
            process.stdout.extend_from_slice(indent(before).as_bytes());
            process.stdout.extend_from_slice(line.unwrap_or_default());
            process.stdout.push(b'\n');
        }
    }
    Ok(0)
}

#[cfg(test)]
mod tests {
    use crate::commands::oracle::{same, same_filter};

    #[test]
    fn uniq_and_comm() {
        for args in [
            &["uniq"][..],
            &["uniq", "-c"],
            &["uniq", "-d"],
            &["uniq", "-u"],
            &["uniq", "-i"],
            &["uniq", "-f1"],
        ] {
            same_filter(args, "a 1\na 1\nA 1\nb 1\nc\nc\n");
        }
        let start = &["x=a\nb\nd\n", "y=b\nc\nd\ne\n"];
        for args in [
            &["comm", "x", "y"][..],
            &["comm", "-12", "x", "y"],
            &["comm", "-23", "x", "y"],
            &["comm", "-3", "x", "y"],
            &["comm", "x", "-"],
        ] {
            same(start, args, "c\n");
        }
    }
}
