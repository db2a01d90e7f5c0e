//! Text to syntax tree: a recursive-descent parser over characters, one complete command at a time, as dash reads
//! its scripts (what stands before a syntax error has run by then).

use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use super::process::Halt;
use super::syntax::{AndOr, Junction, List, Pipeline};

/// Commands that begin with an alias.
mod alias;
/// Simple and compound commands, function definitions.
mod command;
/// `${…}`.
mod expansion;
/// Redirections and here-documents.
mod redirect;
/// bash's `[[ … ]]`.
mod test;
/// Words, quoting and substitutions.
mod word;

/// Commands, words and expansions that may be written inside one another.
const MAX_NESTING: u32 = 150;

/// Why a text is no script, and in which line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ParseError {
    pub(super) line: usize,
    pub(super) problem: Problem,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Problem {
    /// dash would refuse it, too.
    Syntax(String),
    /// The script may well be right, but it uses something we lack.
    Halt(Halt),
}

pub(super) type Parsed<T> = Result<T, ParseError>;

/// A here-document whose body follows after the current line.
#[derive(Debug)]
struct PendingHere {
    body: Rc<OnceCell<super::syntax::Word>>,
    delimiter: String,
    quoted: bool,
    strip_tabs: bool,
}

/// A parser at some place in a script.
#[derive(Debug)]
pub(super) struct Parser<'t> {
    text: &'t str,
    pos: usize,
    line: usize,
    nesting: u32,
    bash: bool,
    pending: Vec<PendingHere>,
    /// What `alias` has defined; whoever runs the commands keeps it up to date between them.
    pub(super) aliases: Aliases,
    /// Aliases expanded in the current complete command.
    expansions: u32,
}

/// Alias to its text.
pub(super) type Aliases = Rc<BTreeMap<String, String>>;

/// Words that are not commands where a command may start.
const RESERVED: &[&str] = &["then", "else", "elif", "fi", "do", "done", "esac", "in", "}"];

impl<'t> Parser<'t> {
    /// A parser of `text`, whose first line counts as `line`; `bash`: with the bashisms we know.
    pub(super) fn new(text: &'t str, line: usize, bash: bool) -> Self {
        Self {
            text,
            pos: 0,
            line,
            nesting: 0,
            bash,
            pending: Vec::new(),
            aliases: Aliases::default(),
            expansions: 0,
        }
    }

    /// A parser of a text that is part of this one's.
    fn inner<'i>(&self, text: &'i str, line: usize) -> Parser<'i> {
        let mut parser = Parser::new(text, line, self.bash);
        parser.nesting = self.nesting;
        parser.aliases = Rc::clone(&self.aliases);
        parser
    }

    /// The next complete command: what stands before the next newline outside of any construct.
    pub(super) fn next_command(&mut self) -> Parsed<Option<List>> {
        self.linebreak()?;
        if self.peek().is_none() {
            return Ok(None);
        }
        let mut list = Vec::new();
        self.expansions = 0;
        loop {
            let (and_or, more) = self.terminated_and_or()?;
            list.push(and_or);
            self.skip_blanks();
            match self.peek() {
                None => {
                    self.read_here_documents()?;
                    return Ok(Some(List(list)));
                }
                Some('\n') => {
                    self.newline()?;
                    return Ok(Some(List(list)));
                }
                Some(_) if more => {}
                Some(_) => return Err(self.unexpected()),
            }
        }
    }

    /// All commands of the text.
    fn all_commands(&mut self) -> Parsed<List> {
        let mut all = List::default();
        while let Some(list) = self.next_command()? {
            all.0.extend(list.0);
        }
        Ok(all)
    }

    // --- characters ---

    fn rest(&self) -> &'t str {
        &self.text[self.pos..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn looking_at(&self, text: &str) -> bool {
        self.rest().starts_with(text)
    }

    fn bump(&mut self) -> Option<char> {
        let next = self.peek()?;
        self.pos += next.len_utf8();
        if next == '\n' {
            self.line += 1;
        }
        Some(next)
    }

    fn take(&mut self, text: &str) -> bool {
        let found = self.looking_at(text);
        if found {
            self.pos += text.len();
            self.line += text.matches('\n').count();
        }
        found
    }

    /// Skips blanks, continued lines and a comment.
    fn skip_blanks(&mut self) {
        loop {
            match self.peek() {
                Some(' ' | '\t') => self.pos += 1,
                Some('\\') if self.take("\\\n") => {}
                Some('#') => self.pos += self.rest().find('\n').unwrap_or(self.rest().len()),
                _ => return,
            }
        }
    }

    /// Skips blanks, comments and newlines, reading the here-documents that follow a newline.
    fn linebreak(&mut self) -> Parsed<()> {
        loop {
            self.skip_blanks();
            if self.peek() != Some('\n') {
                return Ok(());
            }
            self.newline()?;
        }
    }

    fn newline(&mut self) -> Parsed<()> {
        self.bump();
        self.read_here_documents()
    }

    // --- errors ---

    fn syntax<T>(&self, message: impl Into<String>) -> Parsed<T> {
        Err(ParseError {
            line: self.line,
            problem: Problem::Syntax(message.into()),
        })
    }

    fn halt<T>(&self, command: &str, what: &str) -> Parsed<T> {
        Err(ParseError {
            line: self.line,
            problem: Problem::Halt(Halt::Unsupported {
                command: command.to_owned(),
                what: what.to_owned(),
            }),
        })
    }

    fn unexpected(&self) -> ParseError {
        let what = match self.peek() {
            None => "end of file unexpected".to_owned(),
            Some('\n') => "newline unexpected".to_owned(),
            Some(other) if is_delimiter(other) => format!("\"{other}\" unexpected"),
            Some(_) => {
                let word: String = self.rest().chars().take_while(|&c| !is_delimiter(c)).take(40).collect();
                format!("\"{word}\" unexpected")
            }
        };
        ParseError {
            line: self.line,
            problem: Problem::Syntax(what),
        }
    }

    fn nested<T>(&mut self, parse: impl FnOnce(&mut Self) -> Parsed<T>) -> Parsed<T> {
        if self.nesting >= MAX_NESTING {
            return Err(ParseError {
                line: self.line,
                problem: Problem::Halt(Halt::Limit(format!(
                    "the script nests deeper than {MAX_NESTING} levels"
                ))),
            });
        }
        self.nesting += 1;
        let parsed = parse(self);
        self.nesting -= 1;
        parsed
    }

    // --- reserved words ---

    /// The unquoted word at this place if it could be a reserved one.
    fn reserved(&self) -> Option<&'t str> {
        let rest = self.rest();
        let end = rest
            .find(|c: char| !c.is_ascii_lowercase() && !matches!(c, '{' | '}' | '!' | '[' | ']'))
            .unwrap_or(rest.len());
        let next = rest[end..].chars().next();
        (end > 0 && next.is_none_or(is_delimiter)).then(|| &rest[..end])
    }

    fn take_reserved(&mut self, word: &str) -> bool {
        let found = self.reserved() == Some(word);
        if found {
            self.pos += word.len();
        }
        found
    }

    fn expect_reserved(&mut self, word: &str) -> Parsed<()> {
        self.linebreak()?;
        if self.take_reserved(word) {
            return Ok(());
        }
        let mut error = self.unexpected();
        if let Problem::Syntax(message) = &mut error.problem {
            *message = format!("{message} (expecting \"{word}\")");
        }
        Err(error)
    }

    // --- lists ---

    /// Commands up to a reserved word, `)` or `;;` (not consumed).
    fn compound_list(&mut self, may_be_empty: bool) -> Parsed<List> {
        let mut list = Vec::new();
        loop {
            self.linebreak()?;
            let ended = match self.peek() {
                None | Some(')') => true,
                Some(';') => self.looking_at(";;") || self.looking_at(";&"),
                Some(_) => self
                    .reserved()
                    .is_some_and(|word| RESERVED.contains(&word) && word != "in"),
            };
            if ended {
                break;
            }
            let (and_or, more) = self.terminated_and_or()?;
            list.push(and_or);
            self.skip_blanks();
            if !more && self.peek() != Some('\n') {
                break;
            }
        }
        if list.is_empty() && !may_be_empty {
            return Err(self.unexpected());
        }
        Ok(List(list))
    }

    /// An and-or list with its `;` or `&`; `false` if there was none.
    fn terminated_and_or(&mut self) -> Parsed<(AndOr, bool)> {
        let mut and_or = self.and_or()?;
        self.skip_blanks();
        if self.looking_at(";;") || self.looking_at(";&") {
            return Ok((and_or, false));
        }
        and_or.background = self.peek() == Some('&');
        let more = and_or.background || self.peek() == Some(';');
        if more {
            self.bump();
        }
        Ok((and_or, more))
    }

    fn and_or(&mut self) -> Parsed<AndOr> {
        let first = self.pipeline()?;
        let mut rest = Vec::new();
        loop {
            self.skip_blanks();
            let junction = if self.take("&&") {
                Junction::And
            } else if self.take("||") {
                Junction::Or
            } else {
                return Ok(AndOr {
                    first,
                    rest,
                    background: false,
                });
            };
            self.linebreak()?;
            rest.push((junction, self.pipeline()?));
        }
    }

    fn pipeline(&mut self) -> Parsed<Pipeline> {
        self.skip_blanks();
        let mut negated = false;
        while self.take_reserved("!") {
            negated = !negated;
            self.skip_blanks();
        }
        let mut stages = vec![self.command()?];
        loop {
            self.skip_blanks();
            if self.looking_at("||") || !self.take("|") {
                return Ok(Pipeline { negated, stages });
            }
            if self.peek() == Some('&') {
                return self.halt("|&", "piping standard error");
            }
            self.linebreak()?;
            stages.push(self.command()?);
        }
    }
}

/// Whether `c` ends an unquoted word.
fn is_delimiter(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | ';' | '&' | '|' | '<' | '>' | '(' | ')')
}

/// Whether `text` is a name (XBD 3.216).
pub(super) fn is_name(text: &str) -> bool {
    !text.is_empty() && word::name_length(text) == text.len()
}

/// The name and the rest of `NAME=…`.
pub(super) fn split_assignment(text: &str) -> Option<(&str, &str)> {
    let (name, value) = text.split_once('=')?;
    is_name(name).then_some((name, value))
}

#[cfg(test)]
mod tests;
