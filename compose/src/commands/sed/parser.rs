//! Reads scripts of `sed`.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::script::{Action, Address, Instruction, Part, PatternRef, Script, Substitution};
use super::substitution::parts;
use crate::commands::escapes;
use crate::commands::regular_expression::{Dialect, Extent, Flags, Pattern};

/// Parses a script; the error names what is wrong or not known.
pub(super) fn parse(text: &str, extended: bool) -> Result<Script, String> {
    let mut parser = Parser {
        rest: text,
        extended,
        instructions: Vec::new(),
        open: Vec::new(),
        labels: BTreeMap::new(),
        jumps: Vec::new(),
    };
    parser.run()?;
    let end = parser.instructions.len();
    for (at, label) in &parser.jumps {
        let target = match label.as_str() {
            "" => end,
            label => *parser
                .labels
                .get(label)
                .ok_or_else(|| format!("label '{label}' that is nowhere"))?,
        };
        if let Action::Branch(_, to) = &mut parser.instructions[*at].action {
            *to = target;
        }
    }
    if parser.open.is_empty() {
        Ok(Script {
            instructions: parser.instructions,
        })
    } else {
        Err("`{` without `}`".to_owned())
    }
}

struct Parser<'a> {
    rest: &'a str,
    extended: bool,
    instructions: Vec<Instruction>,
    open: Vec<usize>,
    labels: BTreeMap<String, usize>,
    jumps: Vec<(usize, String)>,
}

impl<'a> Parser<'a> {
    fn run(&mut self) -> Result<(), String> {
        loop {
            self.rest = self.rest.trim_start_matches(|c: char| c.is_whitespace() || c == ';');
            if self.rest.is_empty() {
                return Ok(());
            }
            let from = self.address()?;
            let mut to = None;
            self.blanks();
            if from.is_some() && self.take(',') {
                self.blanks();
                to = Some(self.end_address()?);
            }
            self.blanks();
            let mut negated = false;
            while self.take('!') {
                negated = true;
                self.blanks();
            }
            if matches!(from, Some(Address::Line(0))) && !matches!(to, Some(Address::Match(_))) {
                return Err("line 0".to_owned());
            }
            let name = self.next().ok_or("an address without a command")?;
            if let Some(action) = self.action(name)? {
                self.instructions.push(Instruction {
                    from,
                    to,
                    negated,
                    action,
                });
            }
        }
    }

    fn blanks(&mut self) {
        self.rest = self.rest.trim_start_matches([' ', '\t']);
    }

    fn next(&mut self) -> Option<char> {
        let next = self.rest.chars().next()?;
        self.rest = &self.rest[next.len_utf8()..];
        Some(next)
    }

    fn take(&mut self, wanted: char) -> bool {
        match self.rest.strip_prefix(wanted) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn number(&mut self) -> Option<usize> {
        let length = self.rest.bytes().take_while(u8::is_ascii_digit).count();
        let number = self.rest[..length].parse().ok()?;
        self.rest = &self.rest[length..];
        Some(number)
    }

    fn address(&mut self) -> Result<Option<Address>, String> {
        if let Some(line) = self.number() {
            if self.take('~') {
                let step = self.number().unwrap_or(0);
                return Ok(Some(Address::Step(line, step)));
            }
            return Ok(Some(Address::Line(line)));
        }
        if self.take('$') {
            return Ok(Some(Address::Last));
        }
        let delimiter = if self.take('/') {
            '/'
        } else if self.take('\\') {
            self.next().ok_or("an unfinished address")?
        } else {
            return Ok(None);
        };
        let text = self.delimited(delimiter, true)?;
        let mut flags = (false, false);
        loop {
            if self.take('I') {
                flags.0 = true;
            } else if self.take('M') {
                flags.1 = true;
            } else {
                break;
            }
        }
        Ok(Some(Address::Match(self.pattern(&text, flags)?)))
    }

    fn end_address(&mut self) -> Result<Address, String> {
        for (mark, kind) in [('+', Address::Plus as fn(usize) -> Address), ('~', Address::Multiple)] {
            if self.take(mark) {
                return Ok(kind(self.number().ok_or("a range without an end")?));
            }
        }
        self.address()?.ok_or_else(|| "a range without an end".to_owned())
    }

    /// Text up to an unescaped delimiter. An escaped delimiter loses its backslash.
    fn delimited(&mut self, delimiter: char, pattern: bool) -> Result<String, String> {
        let mut text = String::new();
        loop {
            let next = self.next().ok_or_else(|| format!("a missing `{delimiter}`"))?;
            if next == delimiter {
                return Ok(text);
            }
            if next != '\\' {
                text.push(next);
                if pattern && next == '[' {
                    let length = bracket_length(self.rest);
                    text.push_str(&self.rest[..length]);
                    self.rest = &self.rest[length..];
                }
                continue;
            }
            let escaped = self.next().ok_or_else(|| format!("a missing `{delimiter}`"))?;
            if escaped == delimiter && !(pattern && delimiter == 'n') && delimiter != '&' {
                text.push(delimiter);
            } else {
                text.push('\\');
                text.push(escaped);
            }
        }
    }

    fn pattern(&self, text: &str, (ignore_case, multiline): (bool, bool)) -> Result<PatternRef, String> {
        if text.is_empty() {
            return Ok(None);
        }
        let dialect = if self.extended {
            Dialect::Extended
        } else {
            Dialect::Basic
        };
        let flags = Flags {
            ignore_case,
            multiline,
            extent: Extent::Part,
        };
        let pattern = Pattern::with(&control_characters(text), dialect, flags)?;
        Ok(Some(Rc::new(pattern)))
    }

    /// Parses the command called `name`; labels, comments and `}` are no instructions of their own.
    fn action(&mut self, name: char) -> Result<Option<Action>, String> {
        let action = match name {
            '#' => {
                self.line();
                return Ok(None);
            }
            ':' => {
                let label = self.label();
                self.labels.insert(label, self.instructions.len());
                return Ok(None);
            }
            '{' => {
                self.open.push(self.instructions.len());
                return Ok(Some(Action::Block(0)));
            }
            '}' => {
                let start = self.open.pop().ok_or("`}` without `{`")?;
                let end = self.instructions.len();
                self.instructions[start].action = Action::Block(end);
                Action::Nothing
            }
            's' => self.substitution()?,
            'y' => self.translation()?,
            'a' | 'i' | 'c' => return Ok(Some(Action::Text(name as u8, self.text()))),
            'b' | 't' | 'T' => {
                let label = self.label();
                self.jumps.push((self.instructions.len(), label));
                return Ok(Some(Action::Branch(name as u8, 0)));
            }
            'q' | 'Q' => {
                self.blanks();
                let status = self.number().unwrap_or(0);
                Action::Quit(name as u8, u8::try_from(status & 0xff).unwrap_or(0))
            }
            'r' | 'w' => {
                self.blanks();
                return Ok(Some(Action::File(name as u8, self.line().to_owned())));
            }
            '=' | 'd' | 'D' | 'g' | 'G' | 'h' | 'H' | 'n' | 'N' | 'p' | 'P' | 'x' | 'z' => Action::Plain(name as u8),
            other => return Err(format!("command `{other}`")),
        };
        self.blanks();
        match self.rest.chars().next() {
            None | Some('\n' | ';' | '}' | '#') => Ok(Some(action)),
            Some(_) => Err(format!("text after command `{name}`")),
        }
    }

    fn line(&mut self) -> &'a str {
        let (line, rest) = self.rest.split_once('\n').unwrap_or((self.rest, ""));
        self.rest = rest;
        line
    }

    fn label(&mut self) -> String {
        self.blanks();
        let ends = |c: char| c.is_whitespace() || matches!(c, ';' | '}');
        let end = self.rest.find(ends).unwrap_or(self.rest.len());
        let label = &self.rest[..end];
        self.rest = &self.rest[end..];
        label.to_owned()
    }

    /// The text of `a`, `i`, `c`: after a backslash and a newline, or on the same line as GNU allows.
    fn text(&mut self) -> Vec<u8> {
        self.blanks();
        if let Some(rest) = self.rest.strip_prefix('\\') {
            let blank = rest.trim_start_matches([' ', '\t']);
            // `a\` and a newline; or `a\text`, which keeps the blanks that follow.
            self.rest = blank.strip_prefix('\n').unwrap_or(rest);
            if blank.starts_with('\n') && self.rest.is_empty() {
                return b"\n".to_vec();
            }
        }
        let mut text = String::new();
        while let Some(next) = self.next() {
            match next {
                '\n' => break,
                '\\' => text.extend(self.next()),
                other => text.push(other),
            }
        }
        text.push('\n');
        text.into_bytes()
    }

    fn substitution(&mut self) -> Result<Action, String> {
        let delimiter = self.next().ok_or("an unfinished `s`")?;
        let pattern = self.delimited(delimiter, true)?;
        let replacement = self.delimited(delimiter, false)?;
        let mut made = Substitution {
            pattern: None,
            replacement: parts(&replacement),
            global: false,
            print: false,
            number: 1,
            file: None,
        };
        let mut flags = (false, false);
        loop {
            match self.rest.chars().next() {
                Some('g') => made.global = true,
                Some('p') => made.print = true,
                Some('i' | 'I') => flags.0 = true,
                Some('m' | 'M') => flags.1 = true,
                Some('e') => return Err("flag `e` of `s`".to_owned()),
                Some('w') => {
                    self.next();
                    self.blanks();
                    made.file = Some(self.line().to_owned());
                    break;
                }
                Some(digit) if digit.is_ascii_digit() => {
                    made.number = self.number().filter(|&number| number > 0).ok_or("flag 0 of `s`")?;
                    continue;
                }
                _ => break,
            }
            self.next();
        }
        made.pattern = self.pattern(&pattern, flags)?;
        let groups = made.pattern.as_ref().map_or(9, |pattern| pattern.groups());
        let beyond = |part: &Part| matches!(part, Part::Group(group) if *group > groups);
        if made.replacement.iter().any(beyond) {
            return Err("a reference to a group that is not there".to_owned());
        }
        Ok(Action::Substitute(Box::new(made)))
    }

    fn translation(&mut self) -> Result<Action, String> {
        let delimiter = self.next().ok_or("an unfinished `y`")?;
        let from = escapes::unescape(&self.delimited(delimiter, false)?);
        let to = escapes::unescape(&self.delimited(delimiter, false)?);
        if from.len() != to.len() || !from.is_ascii() || !to.is_ascii() {
            return Err("`y` with texts of different length".to_owned());
        }
        let mut map: [u8; 256] = std::array::from_fn(|byte| u8::try_from(byte).expect("256 bytes"));
        for (from, to) in from.into_iter().zip(to) {
            map[usize::from(from)] = to;
        }
        Ok(Action::Translate(Box::new(map)))
    }
}

/// How much of `rest`, which follows a `[`, belongs to the bracket expression; 0 if nothing closes it.
fn bracket_length(rest: &str) -> usize {
    let mut at = usize::from(rest.starts_with('^'));
    at += usize::from(rest[at..].starts_with(']'));
    while let Some(next) = rest[at..].chars().next() {
        let class = rest[at..].strip_prefix("[:").and_then(|class| class.find(":]"));
        at += match (next, class) {
            (']', _) => return at + 1,
            (_, Some(length)) => length + 4,
            (next, None) => next.len_utf8(),
        };
    }
    0
}

/// GNU's `\n`, `\t`, … in patterns, as the characters they stand for.
fn control_characters(text: &str) -> String {
    let mut out = String::new();
    let mut letters = text.chars();
    while let Some(next) = letters.next() {
        if next != '\\' {
            out.push(next);
            continue;
        }
        match letters.next() {
            Some('n') => out.push('\n'),
            Some('t') => out.push('\t'),
            Some('f') => out.push('\u{c}'),
            Some('v') => out.push('\u{b}'),
            Some('r') => out.push('\r'),
            Some('a') => out.push('\u{7}'),
            other => {
                out.push('\\');
                out.extend(other);
            }
        }
    }
    out
}
