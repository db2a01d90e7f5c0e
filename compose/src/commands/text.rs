//! Whole texts and their lines: `cat`, `tac`, `head`, `tail`, `wc`, `tee`, `nl`, `fold`, `rev`.

use bytes::Bytes;

use super::arguments::Arguments;
use super::operands;
use crate::shell::process::{Command, Halt, Outcome, Process};

pub(super) const COMMANDS: &[(&str, Command)] = &[
    ("cat", cat),
    ("fold", fold),
    ("head", head),
    ("nl", nl),
    ("rev", rev),
    ("tac", tac),
    ("tail", tail),
    ("tee", tee),
    ("wc", wc),
];

fn cat(process: &mut Process<'_>) -> Outcome {
    let args = Arguments::of(
        process,
        &["-n --number", "-s --squeeze-blank", "-b --number-nonblank", "-u"],
    )?;
    let (text, complete) = operands::concatenated(process, &args.operands)?;
    if !args.has("-n") && !args.has("-s") && !args.has("-b") {
        process.stdout.extend_from_slice(&text);
        return Ok(u8::from(!complete));
    }
    let mut number = 0;
    let mut blank = false;
    for line in text.split_inclusive(|&byte| byte == b'\n') {
        let empty = line == b"\n";
        if args.has("-s") && empty && blank {
            continue;
        }
        blank = empty;
        if args.has("-b") && !empty || args.has("-n") && !args.has("-b") {
            number += 1;
            process.stdout.extend_from_slice(format!("{number:6}\t").as_bytes());
        }
        process.stdout.extend_from_slice(line);
    }
    Ok(u8::from(!complete))
}

fn tac(process: &mut Process<'_>) -> Outcome {
    let args = Arguments::of(process, &[])?;
    let (contents, complete) = operands::read_all(process, &args.operands)?;
    for (_, text) in contents {
        let lines: Vec<&[u8]> = text.split_inclusive(|&byte| byte == b'\n').collect();
        for line in lines.iter().rev() {
            process.stdout.extend_from_slice(line);
        }
    }
    Ok(u8::from(!complete))
}

fn rev(process: &mut Process<'_>) -> Outcome {
    let args = Arguments::of(process, &[])?;
    let (text, complete) = operands::concatenated(process, &args.operands)?;
    for line in text.split_inclusive(|&byte| byte == b'\n') {
        let (line, end) = line.strip_suffix(b"\n").map_or((line, &b""[..]), |line| (line, b"\n"));
        let reversed: String = String::from_utf8_lossy(line).chars().rev().collect();
        process.stdout.extend_from_slice(reversed.as_bytes());
        process.stdout.extend_from_slice(end);
    }
    Ok(u8::from(!complete))
}

/// `head -5` and `tail -5`, the historical spelling, as `-n 5`.
fn modernize(process: &mut Process<'_>) {
    if let Some(first) = process.args.get_mut(1)
        && let Some(count) = first.strip_prefix('-')
        && !count.is_empty()
        && count.bytes().all(|byte| byte.is_ascii_digit())
    {
        *first = format!("-n{count}");
    }
}

/// The count of `-n` or `-c` with its sign, and whether it counts bytes.
fn count(process: &Process<'_>, args: &Arguments) -> Result<(Option<char>, usize, bool), Halt> {
    let option = args.last(&["-n", "-c"]).unwrap_or("-n");
    let text = args.value(option).unwrap_or("10");
    let sign = text.chars().next().filter(|first| "+-".contains(*first));
    let digits = text.trim_start_matches(['+', '-']);
    let number = digits
        .parse()
        .map_err(|_| process.unsupported(format!("count '{text}'")))?;
    Ok((sign, number, option == "-c"))
}

const OPTIONS: &[&str] = &[
    "-n --lines =",
    "-c --bytes =",
    "-q --quiet --silent",
    "-v --verbose",
    "-z --zero-terminated",
];

fn head(process: &mut Process<'_>) -> Outcome {
    let take = |text: &Bytes, (sign, count, bytes): (Option<char>, usize, bool), end: u8| {
        let all = if bytes {
            text.len()
        } else {
            text.split_inclusive(|&byte| byte == end).count()
        };
        let wanted = if sign == Some('-') {
            all.saturating_sub(count)
        } else {
            count.min(all)
        };
        if bytes {
            return text.slice(..wanted);
        }
        let length: usize = text
            .split_inclusive(|&byte| byte == end)
            .take(wanted)
            .map(<[u8]>::len)
            .sum();
        text.slice(..length)
    };
    each_with_heading(process, take)
}

fn tail(process: &mut Process<'_>) -> Outcome {
    let take = |text: &Bytes, (sign, count, bytes): (Option<char>, usize, bool), end: u8| {
        let lengths: Vec<usize> = if bytes {
            vec![1; text.len()]
        } else {
            text.split_inclusive(|&byte| byte == end).map(<[u8]>::len).collect()
        };
        let skipped = match sign {
            Some('+') => count.saturating_sub(1).min(lengths.len()),
            _ => lengths.len().saturating_sub(count),
        };
        text.slice(lengths[..skipped].iter().sum::<usize>()..)
    };
    each_with_heading(process, take)
}

fn each_with_heading(
    process: &mut Process<'_>,
    take: impl Fn(&Bytes, (Option<char>, usize, bool), u8) -> Bytes,
) -> Outcome {
    modernize(process);
    let args = Arguments::of(process, OPTIONS)?;
    let wanted = count(process, &args)?;
    let end = if args.has("-z") { 0 } else { b'\n' };
    let (contents, complete) = operands::read_all(process, &args.operands)?;
    let headings = args.has("-v") || (args.operands.len() > 1 && !args.has("-q"));
    for (index, (name, text)) in contents.iter().enumerate() {
        if headings {
            let name = if name == "-" { "standard input" } else { name };
            let gap = if index == 0 { "" } else { "\n" };
            process
                .stdout
                .extend_from_slice(format!("{gap}==> {name} <==\n").as_bytes());
        }
        process.stdout.extend_from_slice(&take(text, wanted, end));
    }
    Ok(u8::from(!complete))
}

fn wc(process: &mut Process<'_>) -> Outcome {
    let args = Arguments::of(process, &["-l --lines", "-w --words", "-c --bytes", "-m --chars"])?;
    let (contents, complete) = operands::read_all(process, &args.operands)?;
    let all = !["-l", "-w", "-c", "-m"].iter().any(|option| args.has(option));
    let mut total = [0; 4];
    let mut rows = Vec::new();
    for (name, text) in &contents {
        let words = text
            .split(u8::is_ascii_whitespace)
            .filter(|word| !word.is_empty())
            .count();
        let lines = memchr::memchr_iter(b'\n', text).count();
        let row = [lines, words, text.len(), text.len()];
        total = std::array::from_fn(|column| total[column] + row[column]);
        rows.push((row, name.as_str()));
    }
    if args.operands.len() > 1 {
        rows.push((total, "total"));
    }
    let shown: Vec<usize> = [("-l", 0), ("-w", 1), ("-m", 2), ("-c", 3)]
        .iter()
        .filter(|(option, _)| args.has(option) || all && *option != "-m")
        .map(|(_, column)| *column)
        .collect();
    // One number of one input stands alone; otherwise GNU aligns to the size of the input, and 7 for a pipe.
    let width = if shown.len() == 1 && rows.len() == 1 {
        1
    } else if args.operands.is_empty() || args.operands.iter().any(|name| name == "-") {
        7
    } else {
        total[3].to_string().len()
    };
    for (row, name) in rows {
        let numbers: Vec<String> = shown.iter().map(|&column| format!("{:width$}", row[column])).collect();
        let name = if args.operands.is_empty() {
            String::new()
        } else {
            format!(" {name}")
        };
        process.say(&format!("{}{name}", numbers.join(" ")));
    }
    Ok(u8::from(!complete))
}

fn tee(process: &mut Process<'_>) -> Outcome {
    let args = Arguments::of(process, &["-a --append", "-i --ignore-interrupts"])?;
    let input = process.read_stdin();
    process.stdout.extend_from_slice(&input);
    let mut status = 0;
    for name in &args.operands {
        match name.as_str() {
            "/dev/stderr" => process.stderr.extend_from_slice(&input),
            "/dev/stdout" => process.stdout.extend_from_slice(&input),
            _ => {
                let old = if args.has("-a") {
                    operands::read(process, name)?.unwrap_or_default()
                } else {
                    Bytes::new()
                };
                let content = [&old[..], &input[..]].concat();
                if let Err(error) = operands::write(process, name, content) {
                    status = process.fail(&format!("{name}: {}", error.errno));
                }
            }
        }
    }
    Ok(status)
}

fn nl(process: &mut Process<'_>) -> Outcome {
    let args = Arguments::of(process, &["-b --body-numbering =", "-w --number-width =", "-s ="])?;
    let style = args.value("-b").unwrap_or("t");
    if !["a", "t"].contains(&style) {
        return Err(process.unsupported(format!("-b {style}")));
    }
    let width: usize = args
        .value("-w")
        .unwrap_or("6")
        .parse()
        .ok()
        // Rust's own formatting knows no larger ones.
        .filter(|&width| u16::try_from(width).is_ok())
        .ok_or_else(|| process.unsupported("-w"))?;
    let separator = args.value("-s").unwrap_or("\t");
    let (text, complete) = operands::concatenated(process, &args.operands)?;
    let mut number = 0;
    for line in operands::lines(&text, b'\n') {
        let label = if style == "a" || !line.is_empty() {
            number += 1;
            format!("{number:width$}{separator}")
        } else {
            " ".repeat(width + separator.len())
        };
        process.stdout.extend_from_slice(label.as_bytes());
        process.stdout.extend_from_slice(line);
        process.stdout.push(b'\n');
    }
    Ok(u8::from(!complete))
}

fn fold(process: &mut Process<'_>) -> Outcome {
    let args = Arguments::of(process, &["-s --spaces", "-w --width ="])?;
    let text = args.value("-w").unwrap_or("80");
    let width = text.parse().ok().filter(|&width: &usize| width > 0);
    let width = width.ok_or_else(|| process.unsupported(format!("width '{text}'")))?;
    let (text, complete) = operands::concatenated(process, &args.operands)?;
    if text.iter().any(|byte| b"\t\x08\r".contains(byte)) {
        return Err(process.unsupported("tabs, backspaces and carriage returns"));
    }
    for line in text.split_inclusive(|&byte| byte == b'\n') {
        let (mut line, end) = line.strip_suffix(b"\n").map_or((line, &b""[..]), |line| (line, b"\n"));
        while line.len() > width {
            let blank = line[..width].iter().rposition(|&byte| byte == b' ');
            let cut = blank.filter(|_| args.has("-s")).map_or(width, |at| at + 1);
            process.stdout.extend_from_slice(&line[..cut]);
            process.stdout.push(b'\n');
            line = &line[cut..];
        }
        process.stdout.extend_from_slice(line);
        process.stdout.extend_from_slice(end);
    }
    Ok(u8::from(!complete))
}

#[cfg(test)]
mod tests {
    use crate::commands::oracle::{same, same_filter, with_process};

    const TEXT: &str = "one two\n\n\n  three\nfour\nfive six seven\nlast without end";

    #[test]
    fn filters() {
        for args in [
            &["cat"][..],
            &["cat", "-n"],
            &["cat", "-s"],
            &["cat", "-b"],
            &["tac"],
            &["rev"],
            &["head", "-n", "2"],
            &["head", "-3"],
            &["head", "-n", "-2"],
            &["head", "-c", "9"],
            &["head", "-n0"],
            &["tail", "-n", "2"],
            &["tail", "-1"],
            &["tail", "-n", "+3"],
            &["tail", "-c", "4"],
            &["tail", "-c+4"],
            &["wc"],
            &["wc", "-l"],
            &["wc", "-lw"],
            &["wc", "-c"],
            &["nl"],
            &["nl", "-ba"],
            &["fold", "-w", "5"],
            &["fold", "-s", "-w", "9"],
            &["tee", "x"],
        ] {
            same_filter(args, TEXT);
            same_filter(args, "");
            same_filter(args, "\n");
        }
    }

    #[test]
    fn several_files() {
        let start = &["a=1\n2\n3\n", "b=4\n5", "d/"];
        for args in [
            &["cat", "a", "-", "b"][..],
            &["cat", "nothing", "b", "d"],
            &["head", "-n1", "a", "b"],
            &["tail", "-qn1", "a", "b"],
            &["wc", "a", "b"],
            &["wc", "-l", "a", "b"],
            &["wc", "a"],
            &["tee", "-a", "a", "c"],
            &["tac", "a", "b"],
        ] {
            same(start, args, "input\n");
        }
    }
    #[test]
    fn widths_beyond_all_sense_are_refused() {
        let halt = with_process(&["nl", "-w", "70000"], b"a\n", super::nl).unwrap_err();
        assert_eq!(halt.to_string(), "`nl`: -w is not supported");
    }
}
