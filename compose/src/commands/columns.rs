//! Columns and characters: `cut`, `fold`, `paste`, `tr`.

use bytes::Bytes;

use super::arguments::Arguments;
use super::{escapes, operands};
use crate::shell::process::{Command, Outcome, Process};

pub(super) const COMMANDS: &[(&str, Command)] = &[("cut", cut), ("fold", fold), ("paste", paste), ("tr", tr)];

/// Positions from 1, inclusive.
type Ranges = Vec<(usize, usize)>;

fn ranges(list: &str) -> Option<Ranges> {
    let number = |text: &str, default| {
        if text.is_empty() {
            Some(default)
        } else {
            text.parse().ok()
        }
    };
    list.split([',', ' '])
        .map(|part| match part.split_once('-') {
            Some(("", "")) => None,
            Some((from, to)) => Some((number(from, 1)?, number(to, usize::MAX)?)),
            None => part.parse().ok().map(|at| (at, at)),
        })
        .map(|range| range.filter(|&(from, to)| from > 0 && from <= to))
        .collect()
}

/// `fold [-s] [-w WIDTH]`: lines broken at a width of 80 bytes; with `-s` behind the last blank before it.
fn fold(process: &mut Process<'_>) -> Outcome {
    let args = Arguments::of(process, &["-s --spaces", "-w --width =", "-b --bytes"])?;
    let Ok(width @ 1..) = args.value("-w").unwrap_or("80").parse::<usize>() else {
        return Ok(process.fail("invalid number of columns"));
    };
    let (text, complete) = operands::concatenated(process, &args.operands)?;
    if text.iter().any(|byte| matches!(byte, b'\t' | b'\r' | 8)) && !args.has("-b") {
        return Err(process.unsupported("tabs, returns and backspaces"));
    }
    for line in text.split_inclusive(|byte| *byte == b'\n') {
        let mut rest = line;
        while rest.strip_suffix(b"\n").unwrap_or(rest).len() > width {
            let blank = rest[..width]
                .iter()
                .rposition(|byte| *byte == b' ')
                .filter(|_| args.has("-s"));
            let (folded, behind) = rest.split_at(blank.map_or(width, |blank| blank + 1));
            process.stdout.extend_from_slice(folded);
            process.stdout.push(b'\n');
            rest = behind;
        }
        process.stdout.extend_from_slice(rest);
    }
    Ok(u8::from(!complete))
}

fn cut(process: &mut Process<'_>) -> Outcome {
    let args = Arguments::of(
        process,
        &[
            "-b --bytes =",
            "-c --characters =",
            "-f --fields =",
            "-d --delimiter =",
            "-s --only-delimited",
            "-n",
            "-z --zero-terminated",
            "--complement",
            "--output-delimiter =",
        ],
    )?;
    let Some(list) = args.last(&["-b", "-c", "-f"]).and_then(|option| args.value(option)) else {
        return Ok(process.fail("you must specify a list of bytes, characters, or fields"));
    };
    let Some(ranges) = ranges(list) else {
        return Ok(process.fail(&format!("invalid list '{list}'")));
    };
    let delimiter = match args.value("-d").map(str::as_bytes) {
        None => b'\t',
        Some([]) => 0,
        Some([byte]) => *byte,
        Some(_) => return Ok(process.fail("the delimiter must be a single character")),
    };
    let (text, complete) = operands::concatenated(process, &args.operands)?;
    let end = if args.has("-z") { 0 } else { b'\n' };
    for line in operands::lines(&text, end) {
        if let Some(kept) = cut_line(line, &args, &ranges, delimiter) {
            process.stdout.extend(kept);
            process.stdout.push(end);
        }
    }
    Ok(u8::from(!complete))
}

fn cut_line(line: &[u8], args: &Arguments, ranges: &Ranges, delimiter: u8) -> Option<Vec<u8>> {
    let complement = args.has("--complement");
    let selected = |at: usize| ranges.iter().any(|&(from, to)| (from..=to).contains(&at)) != complement;
    let between = args.value("--output-delimiter").map(str::as_bytes);
    if !args.has("-f") {
        let kept = line
            .iter()
            .enumerate()
            .filter(|(at, _)| selected(at + 1))
            .map(|(_, &byte)| byte);
        return Some(kept.collect());
    }
    if !line.contains(&delimiter) {
        return (!args.has("-s")).then(|| line.to_vec());
    }
    let fields = line.split(|&byte| byte == delimiter).enumerate();
    let kept: Vec<&[u8]> = fields
        .filter(|(at, _)| selected(at + 1))
        .map(|(_, field)| field)
        .collect();
    Some(kept.join(between.unwrap_or(&[delimiter])))
}

fn paste(process: &mut Process<'_>) -> Outcome {
    let args = Arguments::of(process, &["-d --delimiters =", "-s --serial"])?;
    let delimiters = escapes::unescape(&args.value("-d").unwrap_or("\\t").replace("\\0", "\u{0}"));
    let delimiter = |at: usize| match delimiters.len() {
        0 => None,
        count => Some(delimiters[at % count]).filter(|&byte| byte != 0),
    };
    let stdin = vec!["-".to_owned()];
    let names = if args.operands.is_empty() {
        &stdin
    } else {
        &args.operands
    };
    let (contents, complete) = operands::read_all(process, names)?;
    if !complete {
        return Ok(1);
    }
    // Several `-` share standard input line by line.
    let dashes = names.iter().filter(|name| *name == "-").count();
    if dashes > 1 {
        let input = contents
            .iter()
            .find(|(name, _)| name == "-")
            .map(|(_, text)| text.clone())
            .unwrap_or_default();
        if dashes != names.len() || args.has("-s") {
            return Err(process.unsupported("standard input twice beside files"));
        }
        let lines: Vec<&[u8]> = operands::lines(&input, b'\n').collect();
        for chunk in lines.chunks(dashes) {
            let row: Vec<&[u8]> = (0..dashes)
                .map(|at| chunk.get(at).copied().unwrap_or_default())
                .collect();
            join(process, &row, delimiter);
        }
        return Ok(0);
    }
    let columns: Vec<Vec<&[u8]>> = contents
        .iter()
        .map(|(_, text)| operands::lines(text, b'\n').collect())
        .collect();
    if args.has("-s") {
        for column in &columns {
            join(process, column, delimiter);
        }
        return Ok(0);
    }
    for at in 0..columns.iter().map(Vec::len).max().unwrap_or(0) {
        let row: Vec<&[u8]> = columns
            .iter()
            .map(|column| column.get(at).copied().unwrap_or_default())
            .collect();
        join(process, &row, delimiter);
    }
    Ok(0)
}

fn join(process: &mut Process<'_>, fields: &[&[u8]], delimiter: impl Fn(usize) -> Option<u8>) {
    for (at, field) in fields.iter().enumerate() {
        if at > 0 {
            process.stdout.extend(delimiter(at - 1));
        }
        process.stdout.extend_from_slice(field);
    }
    process.stdout.push(b'\n');
}

fn tr(process: &mut Process<'_>) -> Outcome {
    let args = Arguments::in_order(
        process,
        &[
            "-c --complement",
            "-C",
            "-d --delete",
            "-s --squeeze-repeats",
            "-t --truncate-set1",
        ],
    )?;
    let (complement, delete, squeeze) = (args.has("-c") || args.has("-C"), args.has("-d"), args.has("-s"));
    let needed = if delete == squeeze { 2 } else { 1 };
    let count = args.operands.len();
    let fits = if delete {
        count == needed
    } else {
        count == 2 || squeeze && count == 1
    };
    if !fits {
        return Ok(process.fail("wrong number of operands"));
    }
    let mut sets = Vec::new();
    for text in &args.operands {
        sets.push(set(text).ok_or_else(|| process.unsupported(format!("set '{text}'")))?);
    }
    let mut first = sets.remove(0);
    if complement {
        first = (0..=255).filter(|byte| !first.contains(byte)).collect();
    }
    let second = sets.pop();
    let input: Bytes = process.read_stdin();
    let mut map: [u8; 256] = std::array::from_fn(|byte| u8::try_from(byte).expect("256 bytes"));
    if let Some(second) = second.as_ref().filter(|_| !delete) {
        let Some(&last) = second.last() else {
            return Ok(process.fail("when not truncating set1, string2 must be non-empty"));
        };
        for (at, &byte) in first.iter().enumerate() {
            match second.get(at) {
                Some(&new) => map[usize::from(byte)] = new,
                None if args.has("-t") => break,
                None => map[usize::from(byte)] = last,
            }
        }
    }
    let squeezed = second.as_ref().unwrap_or(&first);
    let mut previous = None;
    for &byte in &input {
        if delete && first.contains(&byte) {
            continue;
        }
        let byte = map[usize::from(byte)];
        if squeeze && previous == Some(byte) && squeezed.contains(&byte) {
            continue;
        }
        previous = Some(byte);
        process.stdout.push(byte);
    }
    Ok(0)
}

/// The bytes of a `tr` set: escapes, ranges, classes; repetitions are not known.
fn set(text: &str) -> Option<Vec<u8>> {
    let bytes = text.as_bytes();
    let mut out = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        if bytes[at..].starts_with(b"[:")
            && let Some(length) = text[at + 2..].find(":]")
        {
            out.extend(class(&text[at + 2..at + 2 + length])?);
            at += length + 4;
            continue;
        }
        if bytes[at..].starts_with(b"[=") || bytes[at] == b'[' && text[at..].contains('*') && text[at..].contains(']') {
            return None;
        }
        let (byte, next) = element(bytes, at);
        if bytes.get(next) == Some(&b'-') && next + 1 < bytes.len() {
            let (end, after) = element(bytes, next + 1);
            if end < byte {
                return None;
            }
            out.extend(byte..=end);
            at = after;
        } else {
            out.push(byte);
            at = next;
        }
    }
    Some(out)
}

fn element(bytes: &[u8], at: usize) -> (u8, usize) {
    if bytes[at] == b'\\' {
        return match escapes::escape(&bytes[at + 1..]) {
            Some((byte, length)) => (byte, at + 1 + length),
            None => (bytes.get(at + 1).copied().unwrap_or(b'\\'), (at + 2).min(bytes.len())),
        };
    }
    (bytes[at], at + 1)
}

fn class(name: &str) -> Option<Vec<u8>> {
    let test: fn(&u8) -> bool = match name {
        "alnum" => u8::is_ascii_alphanumeric,
        "alpha" => u8::is_ascii_alphabetic,
        "blank" => |byte| b" \t".contains(byte),
        "cntrl" => u8::is_ascii_control,
        "digit" => u8::is_ascii_digit,
        "graph" => u8::is_ascii_graphic,
        "lower" => u8::is_ascii_lowercase,
        "print" => |byte| (b' '..=b'~').contains(byte),
        "punct" => u8::is_ascii_punctuation,
        "space" => |byte| byte.is_ascii_whitespace() || *byte == 11,
        "upper" => u8::is_ascii_uppercase,
        "xdigit" => u8::is_ascii_hexdigit,
        _ => return None,
    };
    Some((0..=255).filter(test).collect())
}

#[cfg(test)]
mod tests {
    use crate::commands::oracle::{same, same_filter};

    #[test]
    fn does_what_cut_does() {
        let text = "a:b:c:d\nnone\n:x:\n\nlast:line";
        for args in [
            &["cut", "-d:", "-f1"][..],
            &["cut", "-d", ":", "-f", "2-3"],
            &["cut", "-d:", "-f", "2,4"],
            &["cut", "-d:", "-f-2"],
            &["cut", "-d:", "-f3-"],
            &["cut", "-sd:", "-f2"],
            &["cut", "-c1-3"],
            &["cut", "-b", "2"],
            &["cut", "-f1"],
            &["cut", "-d:", "--complement", "-f2"],
            &["cut", "-d:", "-f1,2", "--output-delimiter= "],
            &["cut", "-f0"],
            &["cut", "-d", "ab", "-f1"],
            &["cut"],
        ] {
            same_filter(args, text);
        }
    }

    #[test]
    fn does_what_tr_does() {
        let text = "Hello,  World\t12\n\nab\\c-d [x]\n";
        for args in [
            &["tr", "a-z", "A-Z"][..],
            &["tr", "[:upper:]", "[:lower:]"],
            &["tr", ",", "\\n"],
            &["tr", "-d", ","],
            &["tr", "-d", "\\n"],
            &["tr", "-s", " "],
            &["tr", "-s", "[:space:]", "_"],
            &["tr", "-cd", "[:alnum:]"],
            &["tr", "-c", "a-z\\n", "."],
            &["tr", "abc", "x"],
            &["tr", "-t", "abc", "x"],
            &["tr", "[a-z]", "[A-Z]"],
            &["tr", "\\\\", "/"],
            &["tr", "a-", "b_"],
            &["tr", "-ds", "l", "o"],
            &["tr", "\\011", " "],
            &["tr", "a"],
        ] {
            same_filter(args, text);
        }
    }

    #[test]
    fn does_what_fold_does() {
        let long = "word ".repeat(40);
        for text in [
            "",
            "short\n",
            &long,
            &"x".repeat(200),
            "two  blanks here\n\nand an empty line",
        ] {
            for args in [
                &["fold"][..],
                &["fold", "-s"],
                &["fold", "-s", "-w", "7"],
                &["fold", "-w", "5"],
            ] {
                same(&[], args, text);
            }
        }
    }

    #[test]
    fn does_what_paste_does() {
        let start = &["a=1\n2\n3\n", "b=x\ny\n"];
        for args in [
            &["paste", "a", "b"][..],
            &["paste", "-d:", "a", "b"],
            &["paste", "-s", "a", "b"],
            &["paste", "-sd,", "a"],
            &["paste", "-d,", "-", "-"],
            &["paste", "-sd+"],
        ] {
            same(start, args, "p\nq\nr\n");
        }
    }
}
