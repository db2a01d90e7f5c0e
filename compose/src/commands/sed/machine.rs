//! Runs a script of `sed` over its input.

use std::collections::BTreeMap;
use std::rc::Rc;

use bytes::Bytes;

use super::script::{Action, Address, Instruction, PatternRef, Script};
use crate::commands::operands;
use crate::commands::regular_expression::Pattern;
use crate::shell::process::{Halt, Process};

/// What a finished script leaves.
#[derive(Debug)]
pub(super) struct Done {
    pub(super) output: Vec<u8>,
    /// The status of `q` or `Q`, if the script ended so.
    pub(super) quit: Option<u8>,
}

/// Where a cycle goes on.
enum Flow {
    Next,
    Jump(usize),
    /// The end of the script.
    EndCycle,
    /// The next cycle without printing the pattern space; `D` keeps what is left.
    Delete {
        keep: bool,
    },
    Quit {
        print: bool,
        status: u8,
    },
}

#[expect(clippy::struct_excessive_bools, reason = "independent facts about the state")]
pub(super) struct Machine<'s> {
    script: &'s Script,
    quiet: bool,
    end: u8,
    lines: Vec<(Bytes, bool)>,
    /// Lines taken so far: the number of the current line.
    number: usize,
    pub(super) space: Vec<u8>,
    /// Whether the current line ended with a line end.
    ended: bool,
    hold: Vec<u8>,
    /// [`Self::ended`] for the hold space, which it travels with.
    hold_ended: bool,
    /// For each instruction, whether its range is open, and up to which line.
    ranges: Vec<Option<usize>>,
    queue: Vec<Vec<u8>>,
    pub(super) substituted: bool,
    pub(super) last: Option<Rc<Pattern>>,
    output: Vec<u8>,
    /// The last thing written lacks its line end.
    unfinished: bool,
    files: BTreeMap<String, Vec<u8>>,
}

impl<'s> Machine<'s> {
    pub(super) fn new(script: &'s Script, texts: Vec<Bytes>, quiet: bool, end: u8) -> Self {
        let mut lines = Vec::new();
        for text in texts {
            let mut at = 0;
            while at < text.len() {
                let length = memchr::memchr(end, &text[at..]);
                let until = length.map_or(text.len(), |length| at + length);
                lines.push((text.slice(at..until), length.is_some()));
                at = until + 1;
            }
        }
        // `0,/re/` is open from the beginning.
        let open = |instruction: &Instruction| matches!(instruction.from, Some(Address::Line(0))).then_some(usize::MAX);
        Self {
            script,
            quiet,
            end,
            lines,
            number: 0,
            space: Vec::new(),
            ended: true,
            hold: Vec::new(),
            hold_ended: true,
            ranges: script.instructions.iter().map(open).collect(),
            queue: Vec::new(),
            substituted: false,
            last: None,
            output: Vec::new(),
            unfinished: false,
            files: BTreeMap::new(),
        }
    }

    pub(super) fn run(mut self, process: &mut Process<'_>) -> Result<Done, Halt> {
        for name in self.written_files() {
            self.files.insert(name, Vec::new());
        }
        let mut quit = None;
        let mut keep = false;
        while keep || self.read_line() {
            self.substituted = false;
            match self.cycle(process)? {
                Flow::Delete { keep: true } => {
                    self.flush();
                    keep = true;
                    continue;
                }
                Flow::Delete { keep: false } => {}
                Flow::Quit { print, status } => {
                    if print && !self.quiet {
                        self.print_space();
                    }
                    self.flush();
                    quit = Some(status);
                    break;
                }
                _ => {
                    if !self.quiet {
                        self.print_space();
                    }
                }
            }
            keep = false;
            self.flush();
        }
        for (name, content) in std::mem::take(&mut self.files) {
            match name.as_str() {
                "/dev/stderr" => process.stderr.extend(content),
                _ => {
                    if let Err(error) = operands::write(process, &name, content) {
                        process.fail(&format!("couldn't open file {name}: {}", error.errno));
                        quit = quit.or(Some(4));
                    }
                }
            }
        }
        Ok(Done {
            output: self.output,
            quit,
        })
    }

    fn written_files(&self) -> Vec<String> {
        let named = self
            .script
            .instructions
            .iter()
            .filter_map(|instruction| match &instruction.action {
                Action::File(b'w', name) => Some(name.clone()),
                Action::Substitute(substitution) => substitution.file.clone(),
                _ => None,
            });
        named.filter(|name| name != "/dev/stdout").collect()
    }

    fn read_line(&mut self) -> bool {
        let Some((line, ended)) = self.lines.get(self.number) else {
            return false;
        };
        self.space = line.to_vec();
        self.ended = *ended;
        self.number += 1;
        true
    }

    fn is_last(&self) -> bool {
        self.number >= self.lines.len()
    }

    fn write(&mut self, text: &[u8], ended: bool) {
        if self.unfinished {
            self.output.push(self.end);
        }
        self.output.extend_from_slice(text);
        self.unfinished = !ended;
        if ended {
            self.output.push(self.end);
        }
    }

    pub(super) fn print_space(&mut self) {
        let (space, ended) = (std::mem::take(&mut self.space), self.ended);
        self.write(&space, ended);
        self.space = space;
    }

    /// Writes what `a` and `r` have put off.
    fn flush(&mut self) {
        for text in std::mem::take(&mut self.queue) {
            if self.unfinished {
                self.output.push(self.end);
                self.unfinished = false;
            }
            self.output.extend_from_slice(&text);
        }
    }

    fn cycle(&mut self, process: &mut Process<'_>) -> Result<Flow, Halt> {
        let script = self.script;
        let mut at = 0;
        while let Some(instruction) = script.instructions.get(at) {
            // A loop that never ends must stop the build, and so must a text that only grows.
            process.session.step()?;
            let longest = self.space.len().max(self.hold.len()).max(self.output.len());
            process.session.fits(longest)?;
            if self.selects(at, instruction) == instruction.negated {
                at = match instruction.action {
                    Action::Block(end) => end,
                    _ => at + 1,
                };
                continue;
            }
            match self.act(process, at, instruction)? {
                Flow::Next => at += 1,
                Flow::Jump(to) => at = to,
                flow => return Ok(flow),
            }
        }
        Ok(Flow::EndCycle)
    }

    fn matches(&mut self, pattern: &PatternRef) -> bool {
        let pattern = pattern.clone().or_else(|| self.last.clone());
        self.last.clone_from(&pattern);
        pattern.is_some_and(|pattern| pattern.is_match(&self.space))
    }

    fn is_at(&mut self, address: &Address) -> bool {
        match address {
            Address::Line(line) => self.number == *line,
            Address::Last => self.is_last(),
            Address::Match(pattern) => self.matches(pattern),
            Address::Step(first, 0) => self.number == *first,
            Address::Step(first, step) => self.number >= *first && (self.number - first).is_multiple_of(*step),
            Address::Plus(_) | Address::Multiple(_) => false,
        }
    }

    fn selects(&mut self, at: usize, instruction: &Instruction) -> bool {
        let Some(from) = &instruction.from else {
            return true;
        };
        let Some(to) = &instruction.to else {
            return self.is_at(from);
        };
        let number = self.number;
        if let Some(until) = self.ranges[at] {
            let closes = match to {
                Address::Match(pattern) => self.matches(pattern),
                Address::Last => self.is_last(),
                _ => number >= until,
            };
            if closes {
                self.ranges[at] = None;
            }
            // A line number already behind closes the range before this line.
            let behind = !matches!(to, Address::Match(_) | Address::Last) && number > until;
            return !behind || self.is_at(from);
        }
        if !self.is_at(from) {
            return false;
        }
        let until = match to {
            Address::Line(line) => *line,
            Address::Plus(count) => number.saturating_add(*count),
            Address::Multiple(0) => number,
            // As GNU's: a line that is a multiple itself goes on to the next one.
            Address::Multiple(step) => (number / step + 1).saturating_mul(*step),
            Address::Last if self.is_last() => number,
            _ => usize::MAX,
        };
        if until > number {
            self.ranges[at] = Some(until);
        }
        true
    }

    fn act(&mut self, process: &mut Process<'_>, at: usize, instruction: &Instruction) -> Result<Flow, Halt> {
        match &instruction.action {
            Action::Block(_) | Action::Nothing => {}
            Action::Substitute(substitution) => self.substitute(substitution),
            Action::Translate(map) => self.space.iter_mut().for_each(|byte| *byte = map[usize::from(*byte)]),
            Action::Text(b'a', text) => self.queue.push(text.clone()),
            Action::Text(b'i', text) => {
                let line = text.strip_suffix(b"\n").unwrap_or(text);
                self.write(line, true);
            }
            Action::Text(_, text) => {
                // `c` on a range speaks once, at its end.
                let inside =
                    instruction.to.is_some() && !instruction.negated && self.ranges[at].is_some() && !self.is_last();
                if !inside {
                    let line = text.strip_suffix(b"\n").unwrap_or(text);
                    self.write(line, true);
                }
                return Ok(Flow::Delete { keep: false });
            }
            Action::Branch(kind, to) => {
                let jumps = match kind {
                    b'b' => true,
                    b't' => self.substituted,
                    _ => !self.substituted,
                };
                if *kind != b'b' {
                    self.substituted = false;
                }
                if jumps {
                    return Ok(Flow::Jump(*to));
                }
            }
            Action::Quit(kind, status) => {
                return Ok(Flow::Quit {
                    print: *kind == b'q',
                    status: *status,
                });
            }
            Action::File(b'r', name) => {
                if let Ok(text) = operands::read(process, name)? {
                    self.queue.push(text.to_vec());
                }
            }
            Action::File(_, name) => {
                let space = self.space.clone();
                self.write_file(name, &space);
            }
            Action::Plain(command) => return Ok(self.plain(*command)),
        }
        Ok(Flow::Next)
    }

    pub(super) fn write_file(&mut self, name: &str, line: &[u8]) {
        match self.files.get_mut(name) {
            Some(content) => {
                content.extend_from_slice(line);
                content.push(self.end);
            }
            // /dev/stdout
            None => self.write(line, true),
        }
    }

    fn plain(&mut self, command: u8) -> Flow {
        let end = self.end;
        match command {
            b'=' => {
                let line = self.number.to_string();
                self.write(line.as_bytes(), true);
            }
            b'd' => return Flow::Delete { keep: false },
            b'D' => match memchr::memchr(end, &self.space) {
                None => return Flow::Delete { keep: false },
                Some(at) => {
                    self.space.drain(..=at);
                    return Flow::Delete { keep: true };
                }
            },
            b'g' => {
                self.space.clone_from(&self.hold);
                self.ended = self.hold_ended;
            }
            b'G' => {
                self.space.push(end);
                self.space.extend_from_slice(&self.hold);
                self.ended = self.hold_ended;
            }
            b'h' => {
                self.hold.clone_from(&self.space);
                self.hold_ended = self.ended;
            }
            b'H' => {
                self.hold.push(end);
                self.hold.extend_from_slice(&self.space);
                self.hold_ended = self.ended;
            }
            b'x' => {
                std::mem::swap(&mut self.space, &mut self.hold);
                std::mem::swap(&mut self.ended, &mut self.hold_ended);
            }
            b'z' => self.space.clear(),
            b'p' => self.print_space(),
            b'P' => match memchr::memchr(end, &self.space) {
                None => self.print_space(),
                Some(length) => {
                    let line = self.space[..length].to_vec();
                    self.write(&line, true);
                }
            },
            b'n' | b'N' => return self.next_line(command),
            _ => {}
        }
        Flow::Next
    }

    fn next_line(&mut self, command: u8) -> Flow {
        if self.is_last() {
            // GNU prints the pattern space before it ends, also for `N`.
            return Flow::Quit { print: true, status: 0 };
        }
        if command == b'n' {
            if !self.quiet {
                self.print_space();
            }
            self.flush();
            self.read_line();
        } else {
            self.flush();
            let mut before = std::mem::take(&mut self.space);
            self.read_line();
            before.push(self.end);
            before.append(&mut self.space);
            self.space = before;
        }
        Flow::Next
    }
}
