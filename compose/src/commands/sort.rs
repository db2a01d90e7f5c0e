//! Sorted lines: `sort`. Order is that of the C locale.

use std::cmp::Ordering;

use super::arguments::Arguments;
use super::operands;
use crate::shell::process::{Command, Halt, Outcome, Process};

pub(super) const COMMANDS: &[(&str, Command)] = &[("sort", sort)];

/// How a key compares.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "one for each of sort's ordering options")]
struct Order {
    blanks: bool,
    dictionary: bool,
    fold: bool,
    numeric: bool,
    version: bool,
    reverse: bool,
}

impl Order {
    fn add(&mut self, letter: char) -> bool {
        match letter {
            'b' => self.blanks = true,
            'd' => self.dictionary = true,
            'f' => self.fold = true,
            'n' => self.numeric = true,
            'V' => self.version = true,
            'r' => self.reverse = true,
            _ => return false,
        }
        true
    }

    fn compare(self, a: &[u8], b: &[u8]) -> Ordering {
        let ordering = if self.numeric {
            compare_numbers(a, b)
        } else if self.version {
            compare_versions(a, b)
        } else {
            let fold = |byte: &u8| if self.fold { byte.to_ascii_uppercase() } else { *byte };
            let kept = |byte: &u8| !self.dictionary || byte.is_ascii_alphanumeric() || b" \t".contains(byte);
            let key = |text: &[u8]| {
                text.iter()
                    .copied()
                    .filter(kept)
                    .map(|byte| fold(&byte))
                    .collect::<Vec<u8>>()
            };
            if self.fold || self.dictionary {
                key(a).cmp(&key(b))
            } else {
                a.cmp(b)
            }
        };
        if self.reverse { ordering.reverse() } else { ordering }
    }
}

/// `-k F[.C][OPTS][,F[.C][OPTS]]`, fields and characters from 1; no end means the end of the line.
#[derive(Clone, Debug)]
struct Key {
    start: (usize, usize),
    end: Option<(usize, usize)>,
    order: Order,
    skip_start: bool,
    skip_end: bool,
}

fn key(text: &str, default: Order) -> Option<Key> {
    let position = |text: &str, order: &mut Order| {
        let digits = text
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .unwrap_or(text.len());
        if !text[digits..].chars().all(|letter| order.add(letter)) {
            return None;
        }
        let (field, character) = text[..digits].split_once('.').unwrap_or((&text[..digits], ""));
        let character = if character.is_empty() {
            None
        } else {
            Some(character.parse().ok()?)
        };
        Some((field.parse::<usize>().ok().filter(|&field| field > 0)?, character))
    };
    let (from, to) = text.split_once(',').map_or((text, None), |(from, to)| (from, Some(to)));
    let (mut own, mut at_end) = (Order::default(), Order::default());
    let (field, character) = position(from, &mut own)?;
    let start = (field, character.unwrap_or(1));
    let end = match to {
        None => None,
        Some(to) => position(to, &mut at_end).map(|(field, character)| (field, character.unwrap_or(0))),
    };
    if to.is_some() && end.is_none() {
        return None;
    }
    let (mut skip_start, mut skip_end) = (own.blanks, at_end.blanks);
    let mut order = own;
    for (letter, on) in [
        ('d', at_end.dictionary),
        ('f', at_end.fold),
        ('n', at_end.numeric),
        ('V', at_end.version),
        ('r', at_end.reverse),
    ] {
        if on {
            order.add(letter);
        }
    }
    if order == Order::default() && at_end == Order::default() {
        order = default;
        (skip_start, skip_end) = (default.blanks, default.blanks);
    }
    Some(Key {
        start,
        end,
        order,
        skip_start,
        skip_end,
    })
}

impl Key {
    fn of<'a>(&self, line: &'a [u8], separator: Option<u8>) -> &'a [u8] {
        let fields = fields(line, separator);
        let at = |(field, character): (usize, usize), skip: bool| {
            let Some(&(start, end)) = fields.get(field - 1) else {
                return line.len();
            };
            let blank = if skip {
                line[start..].iter().take_while(|byte| b" \t".contains(byte)).count()
            } else {
                0
            };
            match character {
                0 => end,
                character => (start + blank + character - 1).min(line.len()),
            }
        };
        let from = at(self.start, self.skip_start);
        let to = match self.end {
            None => line.len(),
            Some((field, 0)) => at((field, 0), false),
            Some((field, character)) => at((field, character + 1), self.skip_end),
        };
        &line[from..to.max(from)]
    }
}

/// Where the fields of a line lie; without a separator a field begins with the blanks before it.
pub(super) fn fields(line: &[u8], separator: Option<u8>) -> Vec<(usize, usize)> {
    let mut found = Vec::new();
    let mut start = 0;
    if let Some(separator) = separator {
        for (at, _) in line.iter().enumerate().filter(|(_, byte)| **byte == separator) {
            found.push((start, at));
            start = at + 1;
        }
        found.push((start, line.len()));
        return found;
    }
    let blank = |at: usize| line.get(at).is_some_and(|byte| b" \t".contains(byte));
    while start < line.len() {
        let mut end = start;
        while blank(end) {
            end += 1;
        }
        while end < line.len() && !blank(end) {
            end += 1;
        }
        found.push((start, end));
        start = end;
    }
    found
}

fn compare_numbers(a: &[u8], b: &[u8]) -> Ordering {
    type Number<'a> = (bool, &'a [u8], &'a [u8]);
    fn number(text: &[u8]) -> Number<'_> {
        let text = text.trim_ascii_start();
        let negative = text.first() == Some(&b'-');
        let text = if negative { &text[1..] } else { text };
        let whole = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let rest = text[whole..].strip_prefix(b".").unwrap_or_default();
        let part = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let zeros = text[..whole].iter().take_while(|byte| **byte == b'0').count();
        let trailing = rest[..part].iter().rev().take_while(|byte| **byte == b'0').count();
        let (whole, part) = (&text[zeros..whole], &rest[..part - trailing]);
        (negative && !(whole.is_empty() && part.is_empty()), whole, part)
    }
    let (x, y) = (number(a), number(b));
    let magnitude = |x: Number<'_>, y: Number<'_>| x.1.len().cmp(&y.1.len()).then(x.1.cmp(y.1)).then(x.2.cmp(y.2));
    match (x.0, y.0) {
        (false, false) => magnitude(x, y),
        (true, true) => magnitude(y, x),
        (true, false) => Ordering::Less,
        (false, true) => Ordering::Greater,
    }
}

/// GNU's version order: as dpkg's for upstream versions.
fn compare_versions(a: &[u8], b: &[u8]) -> Ordering {
    fn weight(byte: Option<&u8>) -> i32 {
        match byte {
            Some(b'~') => -2,
            None => -1,
            Some(byte) if byte.is_ascii_digit() => 0,
            Some(byte) if byte.is_ascii_alphabetic() => i32::from(*byte),
            Some(byte) => i32::from(*byte) + 256,
        }
    }
    let (mut a, mut b) = (a, b);
    while !a.is_empty() || !b.is_empty() {
        let digit = |text: &[u8]| text.first().is_some_and(u8::is_ascii_digit);
        while !a.is_empty() && !digit(a) || !b.is_empty() && !digit(b) {
            let ordering = weight(a.first()).cmp(&weight(b.first()));
            if ordering.is_ne() {
                return ordering;
            }
            (a, b) = (a.get(1..).unwrap_or_default(), b.get(1..).unwrap_or_default());
        }
        let split = |text: &[u8]| text.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let (x, y) = (a.split_at(split(a)), b.split_at(split(b)));
        let ordering = compare_numbers(x.0, y.0);
        if ordering.is_ne() {
            return ordering;
        }
        (a, b) = (x.1, y.1);
    }
    Ordering::Equal
}

const OPTIONS: &[&str] = &[
    "-u --unique",
    "-r --reverse",
    "-n --numeric-sort",
    "-V --version-sort",
    "-f --ignore-case",
    "-d --dictionary-order",
    "-b --ignore-leading-blanks",
    "-k --key =",
    "-t --field-separator =",
    "-o --output =",
    "-c",
    "-s --stable",
    "-z --zero-terminated",
    "--check [=]",
];

fn sort(process: &mut Process<'_>) -> Outcome {
    let args = Arguments::of(process, OPTIONS)?;
    let mut global = Order::default();
    for letter in ['b', 'd', 'f', 'n', 'V', 'r'] {
        if args.has(&format!("-{letter}")) {
            global.add(letter);
        }
    }
    let keys = sort_keys(process, &args, global)?;
    let separator = match args.value("-t") {
        None => None,
        Some("\\0") => Some(0),
        Some(text) if text.len() == 1 => Some(text.as_bytes()[0]),
        Some(text) => return Err(process.unsupported(format!("separator '{text}'"))),
    };
    let end = if args.has("-z") { 0 } else { b'\n' };
    let (contents, complete) = operands::read_all(process, &args.operands)?;
    if !complete {
        return Ok(2);
    }
    let mut lines: Vec<&[u8]> = contents
        .iter()
        .flat_map(|(_, text)| operands::lines(text, end))
        .collect();
    let by_keys = |a: &&[u8], b: &&[u8]| {
        if keys.is_empty() {
            return global.compare(a, b);
        }
        let orderings = keys
            .iter()
            .map(|key| key.order.compare(key.of(a, separator), key.of(b, separator)));
        orderings
            .into_iter()
            .find(|ordering| ordering.is_ne())
            .unwrap_or(Ordering::Equal)
    };
    let last_resort = |a: &&[u8], b: &&[u8]| {
        if args.has("-s") || args.has("-u") {
            return Ordering::Equal;
        }
        if global.reverse { b.cmp(a) } else { a.cmp(b) }
    };
    let compare = |a: &&[u8], b: &&[u8]| by_keys(a, b).then_with(|| last_resort(a, b));
    if args.has("-c") || args.has("--check") {
        let fine = |pair: &[&[u8]]| match compare(&pair[0], &pair[1]) {
            Ordering::Less => true,
            Ordering::Equal => !args.has("-u"),
            Ordering::Greater => false,
        };
        return Ok(u8::from(!lines.windows(2).all(fine)));
    }
    lines.sort_by(compare);
    if args.has("-u") {
        lines.dedup_by(|later, earlier| by_keys(earlier, later).is_eq());
    }
    let mut sorted = Vec::new();
    for line in lines {
        sorted.extend_from_slice(line);
        sorted.push(end);
    }
    let Some(output) = args.value("-o") else {
        process.stdout.extend(sorted);
        return Ok(0);
    };
    Ok(match operands::write(process, output, sorted) {
        Ok(()) => 0,
        Err(error) => process.fail(&format!("open failed: {output}: {}", error.errno)).max(2),
    })
}

fn sort_keys(process: &Process<'_>, args: &Arguments, global: Order) -> Result<Vec<Key>, Halt> {
    let read = |text: &str| key(text, global).ok_or_else(|| process.unsupported(format!("key '{text}'")));
    args.values("-k").map(read).collect()
}

#[cfg(test)]
mod tests {
    use crate::commands::oracle::same_filter;

    const TEXT: &str = "b 10 x\na 9 y\nB 2.5 z\na 9 w\n\n  c -1\n10\n9\n1.10\n1.9\n1.9~rc1\nb:3\na:20\n";

    #[test]
    fn does_what_sort_does() {
        for args in [
            &["sort"][..],
            &["sort", "-u"],
            &["sort", "-r"],
            &["sort", "-n"],
            &["sort", "-rn"],
            &["sort", "-f"],
            &["sort", "-V"],
            &["sort", "-k2"],
            &["sort", "-k2n"],
            &["sort", "-k", "2,2nr", "-k1,1"],
            &["sort", "-k2,2", "-s"],
            &["sort", "-t:", "-k2n"],
            &["sort", "-t:", "-k2,2", "-u"],
            &["sort", "-k1,1", "-u"],
            &["sort", "-k1.2,1.3"],
            &["sort", "-b", "-k1"],
            &["sort", "-d"],
            &["sort", "-c"],
            &["sort", "-uf"],
            &["sort", "-o", "out"],
        ] {
            same_filter(args, TEXT);
            same_filter(args, "");
        }
    }
}
