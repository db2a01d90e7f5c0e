use super::word::{Pieces, name_length};
use super::{Parsed, Parser};
use crate::shell::syntax::{Expansion, Operation, Parameter, Piece, Word};

impl Parser<'_> {
    /// A parameter without braces, after its `$`.
    pub(super) fn plain_parameter(&mut self) -> Option<Expansion> {
        let rest = self.rest();
        let (parameter, length) = match rest.chars().next()? {
            '1'..='9' => (Parameter::Positional(usize::from(rest.as_bytes()[0] - b'0')), 1),
            c @ ('@' | '*' | '#' | '?' | '-' | '$' | '!' | '0') => (Parameter::Special(c), 1),
            _ => match name_length(rest) {
                0 => return None,
                length => (Parameter::Named(rest[..length].to_owned()), length),
            },
        };
        self.pos += length;
        Some(Expansion {
            parameter,
            operation: Operation::Value,
        })
    }

    /// What follows `${`, up to and with the closing brace; `quoted`: it stands in double quotes.
    pub(super) fn braced_expansion(&mut self, quoted: bool) -> Parsed<Expansion> {
        let start = self.pos;
        // `${#x}` is a length, `${#}`, `${#-…}` and the like are about the parameter `#`.
        if self.looking_at("#") && !self.looking_at("#}") {
            self.take("#");
            if let Some(parameter) = self.braced_parameter() {
                let parameter = self.subscript(parameter)?;
                if self.take("}") {
                    let operation = Operation::Length;
                    return Ok(Expansion { parameter, operation });
                }
            }
            self.pos = start;
        }
        let Some(parameter) = self.braced_parameter() else {
            return self.bad_substitution(start, quoted);
        };
        let parameter = self.subscript(parameter)?;
        let whole = matches!(parameter, Parameter::Elements(..));
        if whole && !self.looking_at("}") {
            return self.halt("${name[@]…}", "an operator on all elements of an array");
        }
        let colon = self.take(":");
        let operation = match self.peek() {
            Some('}') if !colon => {
                self.bump();
                Operation::Value
            }
            Some(c @ ('-' | '=' | '?' | '+')) => {
                self.bump();
                let word = self.operand(quoted, "}")?;
                self.take("}");
                match c {
                    '-' => Operation::Default(colon, word),
                    '=' => Operation::Assign(colon, word),
                    '?' => Operation::Error(colon, word),
                    _ => Operation::Alternative(colon, word),
                }
            }
            Some(c @ ('#' | '%')) if !colon => {
                self.bump();
                let longest = self.take(&c.to_string());
                let pattern = self.operand(false, "}")?;
                self.take("}");
                Operation::Trim {
                    suffix: c == '%',
                    longest,
                    pattern,
                }
            }
            Some('/') if self.bash && !colon => {
                self.bump();
                self.replacement(quoted)?
            }
            Some(_) if self.bash && colon => self.substring()?,
            _ => return self.bad_substitution(start, quoted),
        };
        Ok(Expansion { parameter, operation })
    }

    fn braced_parameter(&mut self) -> Option<Parameter> {
        let digits = self.rest().bytes().take_while(u8::is_ascii_digit).count();
        if digits == 0 {
            return self.plain_parameter().map(|expansion| expansion.parameter);
        }
        let number = self.rest()[..digits].parse().ok()?;
        self.pos += digits;
        Some(match number {
            0 => Parameter::Special('0'),
            number => Parameter::Positional(number),
        })
    }

    /// bash's `[index]`, `[@]` or `[*]` behind a name.
    fn subscript(&mut self, parameter: Parameter) -> Parsed<Parameter> {
        let name = match parameter {
            Parameter::Named(name) if self.bash && self.looking_at("[") => name,
            other => return Ok(other),
        };
        self.take("[");
        for all in ['@', '*'] {
            if self.take(&format!("{all}]")) {
                return Ok(Parameter::Elements(name, all));
            }
        }
        let index = self.operand(true, "]")?;
        self.take("]");
        Ok(Parameter::Element(name, index))
    }

    fn bad_substitution(&mut self, start: usize, quoted: bool) -> Parsed<Expansion> {
        self.operand(quoted, "}")?;
        let text = format!("${{{}}}", &self.text[start..self.pos]);
        self.take("}");
        if self.bash {
            return self.halt(&text, "this expansion of bash");
        }
        Ok(Expansion {
            parameter: Parameter::Special('?'),
            operation: Operation::Bad(text),
        })
    }

    fn replacement(&mut self, quoted: bool) -> Parsed<Operation> {
        let all = self.take("/");
        if !all && self.looking_at("#") || self.looking_at("%") {
            return self.halt("${x/#…}", "an anchored replacement");
        }
        let pattern = self.operand(false, "/}")?;
        let replacement = if self.take("/") {
            self.operand(quoted, "}")?
        } else {
            Word::default()
        };
        self.take("}");
        Ok(Operation::Replace {
            all,
            pattern,
            replacement,
        })
    }

    fn substring(&mut self) -> Parsed<Operation> {
        let offset = self.operand(true, ":}")?;
        let length = if self.take(":") {
            Some(self.operand(true, "}")?)
        } else {
            None
        };
        self.take("}");
        Ok(Operation::Substring { offset, length })
    }

    /// The word in an expansion, up to (and without) one of `ends`.
    pub(super) fn operand(&mut self, quoted: bool, ends: &str) -> Parsed<Word> {
        let mut pieces = Pieces::default();
        loop {
            match self.peek() {
                None => return self.syntax("Missing '}'"),
                Some(c) if ends.contains(c) => return Ok(Word(pieces.finish())),
                Some('"') if quoted => {
                    self.bump();
                    let inner = self.nested(Self::double_quoted)?;
                    pieces.push(Piece::DoubleQuoted(inner));
                }
                Some(_) if quoted => self.quoted_piece("$`\"\\}", &mut pieces)?,
                Some('~') if pieces.is_empty() => self.operand_tilde(&mut pieces),
                Some(_) => self.unquoted_piece(&mut pieces)?,
            }
        }
    }

    fn operand_tilde(&mut self, pieces: &mut Pieces) {
        self.bump();
        if self.peek().is_none_or(|c| c == '/' || c == '}') {
            pieces.push(Piece::Tilde {
                user: String::new(),
                after_equals: false,
            });
        } else {
            pieces.text('~');
        }
    }
}
