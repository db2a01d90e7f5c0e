use std::rc::Rc;

use super::{Parsed, Parser, is_delimiter};
use crate::shell::syntax::{Assignment, Piece, Value, Word};

/// Pieces of a word being read; text gathers until something else comes.
#[derive(Debug, Default)]
pub(super) struct Pieces {
    done: Vec<Piece>,
    literal: String,
}

impl Pieces {
    pub(super) fn text(&mut self, c: char) {
        self.literal.push(c);
    }

    pub(super) fn push(&mut self, piece: Piece) {
        if !self.literal.is_empty() {
            self.done.push(Piece::Literal(std::mem::take(&mut self.literal)));
        }
        match (self.done.last_mut(), piece) {
            (Some(Piece::Quoted(before)), Piece::Quoted(more)) => before.push_str(&more),
            (_, piece) => self.done.push(piece),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.done.is_empty() && self.literal.is_empty()
    }

    pub(super) fn finish(mut self) -> Vec<Piece> {
        if !self.literal.is_empty() {
            self.done.push(Piece::Literal(self.literal));
        }
        self.done
    }
}

impl Parser<'_> {
    /// The word that starts here (after blanks), if one does.
    pub(super) fn word(&mut self) -> Parsed<Option<Word>> {
        self.skip_blanks();
        let start = self.pos;
        let equals = self.assignment_name().map(|(name, _)| name.len());
        let mut pieces = Pieces::default();
        while let Some(c) = self.peek() {
            if is_delimiter(c) {
                break;
            }
            let after_equals = equals.is_some_and(|len| {
                self.pos == start + len + 1 || self.pos > start + len && self.text[..self.pos].ends_with(':')
            });
            if c == '~' && (self.pos == start || after_equals) {
                self.tilde(after_equals, &mut pieces);
            } else {
                self.unquoted_piece(&mut pieces)?;
            }
        }
        // A word of nothing but continued lines is none.
        if self.pos == start || self.text[start..self.pos].replace("\\\n", "").is_empty() {
            return Ok(None);
        }
        Ok(Some(Word(pieces.finish())))
    }

    /// One unquoted character with what it introduces.
    pub(super) fn unquoted_piece(&mut self, pieces: &mut Pieces) -> Parsed<()> {
        match self.peek() {
            Some('\\') => {
                self.bump();
                match self.bump() {
                    Some('\n') => {}
                    Some(c) => pieces.push(Piece::Quoted(c.to_string())),
                    None => pieces.text('\\'),
                }
            }
            Some('\'') => {
                self.bump();
                let text = self.single_quoted()?;
                pieces.push(Piece::Quoted(text));
            }
            Some('"') => {
                self.bump();
                let inner = self.nested(Self::double_quoted)?;
                pieces.push(Piece::DoubleQuoted(inner));
            }
            Some('$') if self.bash && self.looking_at("$'") => {
                self.take("$'");
                let text = self.ansi_c_quoted()?;
                pieces.push(Piece::Quoted(text));
            }
            Some('$' | '`') => self.substitution(false, pieces)?,
            Some(c) => {
                self.bump();
                pieces.text(c);
            }
            None => {}
        }
        Ok(())
    }

    /// `NAME=` or bash's `NAME+=` at this place: the name, and whether it appends.
    fn assignment_name(&self) -> Option<(&str, bool)> {
        let rest = self.rest();
        let name = &rest[..name_length(rest)];
        match &rest[name.len()..] {
            _ if name.is_empty() => None,
            after if after.starts_with('=') => Some((name, false)),
            after if self.bash && after.starts_with("+=") => Some((name, true)),
            _ => None,
        }
    }

    /// The assignment that starts here, if one does.
    pub(super) fn assignment(&mut self) -> Parsed<Option<Assignment>> {
        let (name, index, append) = match self.assignment_name() {
            Some((name, append)) => {
                let name = name.to_owned();
                self.pos += name.len() + if append { 2 } else { 1 };
                (name, None, append)
            }
            None => match self.element_assignment()? {
                Some((name, index, append)) => (name, Some(index), append),
                None => return Ok(None),
            },
        };
        if self.peek() == Some('(') {
            if !self.bash {
                return Err(self.unexpected());
            }
            if index.is_some() {
                return self.syntax("cannot assign list to array member");
            }
            let value = Value::Elements(self.nested(Self::elements)?);
            return Ok(Some(Assignment {
                name,
                append,
                index,
                value,
            }));
        }
        let mut pieces = Pieces::default();
        let start = self.pos;
        while let Some(c) = self.peek() {
            if is_delimiter(c) {
                break;
            }
            if c == '~' && (self.pos == start || self.text[..self.pos].ends_with(':')) {
                self.tilde(true, &mut pieces);
            } else {
                self.unquoted_piece(&mut pieces)?;
            }
        }
        let value = Value::Word(Word(pieces.finish()));
        Ok(Some(Assignment {
            name,
            append,
            index,
            value,
        }))
    }

    /// bash's `NAME[INDEX]=` or `NAME[INDEX]+=`, if that stands here.
    fn element_assignment(&mut self) -> Parsed<Option<(String, Word, bool)>> {
        let length = name_length(self.rest());
        if !self.bash || length == 0 || !self.rest()[length..].starts_with('[') {
            return Ok(None);
        }
        let (start, line) = (self.pos, self.line);
        let name = self.rest()[..length].to_owned();
        self.pos += length + 1;
        let index = self.operand(true, "]")?;
        self.take("]");
        let append = self.take("+=");
        if append || self.take("=") {
            return Ok(Some((name, index, append)));
        }
        (self.pos, self.line) = (start, line);
        Ok(None)
    }

    /// The elements of bash's `name=(…)`, from the parenthesis on.
    fn elements(&mut self) -> Parsed<Vec<Word>> {
        self.take("(");
        let mut words = Vec::new();
        loop {
            self.linebreak()?;
            if self.take(")") {
                return Ok(words);
            }
            if self.looking_at("[") {
                return self.halt("name=([index]=", "an array with indices");
            }
            match self.word()? {
                Some(word) => words.push(word),
                None => return Err(self.unexpected()),
            }
        }
    }

    fn tilde(&mut self, after_equals: bool, pieces: &mut Pieces) {
        let rest = &self.rest()[1..];
        let is_user = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
        let end = rest.find(|c: char| !is_user(c)).unwrap_or(rest.len());
        let next = rest[end..].chars().next();
        let user = rest[..end].to_owned();
        self.pos += 1;
        if next.is_none_or(|c| c == '/' || is_delimiter(c) || c == ':' && after_equals || c == '}') {
            self.pos += end;
            pieces.push(Piece::Tilde { user, after_equals });
        } else {
            pieces.text('~');
        }
    }

    pub(super) fn take_name(&mut self) -> Option<&str> {
        let name = &self.rest()[..name_length(self.rest())];
        self.pos += name.len();
        (!name.is_empty()).then_some(name)
    }

    fn single_quoted(&mut self) -> Parsed<String> {
        let Some(end) = self.rest().find('\'') else {
            return self.syntax("Unterminated quoted string");
        };
        let text = self.rest()[..end].to_owned();
        self.pos += end + 1;
        self.line += text.matches('\n').count();
        Ok(text)
    }

    /// What follows an opening double quote, up to and with the closing one.
    pub(super) fn double_quoted(&mut self) -> Parsed<Vec<Piece>> {
        let mut pieces = Pieces::default();
        loop {
            match self.peek() {
                None => return self.syntax("Unterminated quoted string"),
                Some('"') => {
                    self.bump();
                    return Ok(pieces.finish());
                }
                Some(_) => self.quoted_piece("$`\"\\", &mut pieces)?,
            }
        }
    }

    /// The whole text as the body of a here-document.
    pub(super) fn here_body(&mut self) -> Parsed<Vec<Piece>> {
        let mut pieces = Pieces::default();
        while self.peek().is_some() {
            self.quoted_piece("$`\\", &mut pieces)?;
        }
        Ok(pieces.finish())
    }

    /// One character in double quotes with what it introduces; a backslash quotes only `escapable`.
    pub(super) fn quoted_piece(&mut self, escapable: &str, pieces: &mut Pieces) -> Parsed<()> {
        match self.peek() {
            Some('\\') => {
                self.bump();
                match self.peek() {
                    Some('\n') => {
                        self.bump();
                    }
                    Some(c) if escapable.contains(c) => {
                        self.bump();
                        pieces.text(c);
                    }
                    _ => pieces.text('\\'),
                }
            }
            Some('$' | '`') => self.substitution(true, pieces)?,
            Some(c) => {
                self.bump();
                pieces.text(c);
            }
            None => {}
        }
        Ok(())
    }

    /// What `$` or a backquote introduces.
    pub(super) fn substitution(&mut self, quoted: bool, pieces: &mut Pieces) -> Parsed<()> {
        if self.take("`") {
            let list = self.nested(|parser| parser.backquoted(quoted))?;
            pieces.push(Piece::Command(Rc::new(list)));
        } else if self.take("$((") {
            let expression = self.nested(Self::arithmetic)?;
            pieces.push(Piece::Arithmetic(expression));
        } else if self.take("$(") {
            let list = self.nested(Self::command_substitution)?;
            pieces.push(Piece::Command(Rc::new(list)));
        } else if self.take("${") {
            let expansion = self.nested(|parser| parser.braced_expansion(quoted))?;
            pieces.push(Piece::Parameter(Box::new(expansion)));
        } else {
            self.bump();
            match self.plain_parameter() {
                Some(expansion) => pieces.push(Piece::Parameter(Box::new(expansion))),
                None => pieces.text('$'),
            }
        }
        Ok(())
    }

    fn command_substitution(&mut self) -> Parsed<crate::shell::syntax::List> {
        let outer = std::mem::take(&mut self.pending);
        let list = self.compound_list(true)?;
        if !self.take(")") {
            return Err(self.unexpected());
        }
        let unread = std::mem::replace(&mut self.pending, outer);
        self.pending.extend(unread);
        Ok(list)
    }

    /// What follows a backquote. Its inner backslashes go first, then the text is parsed (XCU 2.6.3).
    fn backquoted(&mut self, quoted: bool) -> Parsed<crate::shell::syntax::List> {
        let line = self.line;
        let mut text = String::new();
        loop {
            match self.bump() {
                None => return self.syntax("EOF in backquote substitution"),
                Some('`') => break,
                Some('\\') => match self.bump() {
                    Some(c @ ('$' | '`' | '\\')) => text.push(c),
                    Some('"') if quoted => text.push('"'),
                    Some('\n') => {}
                    Some(c) => text.extend(['\\', c]),
                    None => text.push('\\'),
                },
                Some(c) => text.push(c),
            }
        }
        self.inner(&text, line).all_commands()
    }

    /// An arithmetic expression after `((`, up to and with `))`.
    pub(super) fn arithmetic(&mut self) -> Parsed<Word> {
        let mut pieces = Pieces::default();
        let mut depth = 0_u32;
        loop {
            match self.peek() {
                None => return self.syntax("missing '))'"),
                Some(')') if depth == 0 => {
                    if self.take("))") {
                        return Ok(Word(pieces.finish()));
                    }
                    return self.syntax("missing '))'");
                }
                Some('"') => {
                    self.bump();
                }
                Some(c) => {
                    depth = match c {
                        '(' => depth + 1,
                        ')' => depth - 1,
                        _ => depth,
                    };
                    self.quoted_piece("$`\"\\", &mut pieces)?;
                }
            }
        }
    }

    /// bash's `$'…'`, after the opening quote.
    fn ansi_c_quoted(&mut self) -> Parsed<String> {
        let mut text = String::new();
        loop {
            match self.bump() {
                None => return self.syntax("Unterminated quoted string"),
                Some('\'') => return Ok(text),
                Some('\\') => match self.bump() {
                    Some('n') => text.push('\n'),
                    Some('t') => text.push('\t'),
                    Some('r') => text.push('\r'),
                    Some(c @ ('\\' | '\'' | '"')) => text.push(c),
                    Some(c) => return self.halt("$'", &format!("the escape \\{c}")),
                    None => return self.syntax("Unterminated quoted string"),
                },
                Some(c) => text.push(c),
            }
        }
    }
}

/// Bytes of the name `text` starts with.
pub(super) fn name_length(text: &str) -> usize {
    if text.starts_with(|c: char| c.is_ascii_digit()) {
        return 0;
    }
    text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .unwrap_or(text.len())
}
