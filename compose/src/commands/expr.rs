//! `expr`, `seq`, `factor`'s small relatives: numbers in arguments.

use super::arguments::Arguments;
use super::escapes;
use super::regular_expression::{Dialect, Pattern};
use crate::shell::process::{Command, Halt, Outcome, Process};

pub(super) const COMMANDS: &[(&str, Command)] = &[("expr", expr), ("seq", seq)];

/// Words of an expression: parentheses nest as deep as there are words.
const MAX_WORDS: usize = 1000;

/// Why an expression has no value.
enum Wrong {
    /// Exit status 2, with this text.
    Expression(String),
    Halt(Halt),
}

struct Parser<'a, 'b> {
    process: &'a Process<'b>,
    words: &'a [String],
}

fn expr(process: &mut Process<'_>) -> Outcome {
    let words: Vec<String> = process.args.iter().skip(1).cloned().collect();
    let words = words.strip_prefix(&["--".to_owned()]).unwrap_or(&words);
    if words.len() > MAX_WORDS {
        return Err(process.unsupported(format!("an expression of {} words", words.len())));
    }
    let mut parser = Parser { process, words };
    let value = match parser.binary(0) {
        Ok(value) if parser.words.is_empty() => value,
        Ok(_) => return Ok(process.fail("syntax error: unexpected argument").max(2)),
        Err(Wrong::Halt(halt)) => return Err(halt),
        Err(Wrong::Expression(text)) => {
            process.fail(&text);
            return Ok(2);
        }
    };
    process.say(&value);
    Ok(u8::from(is_null(&value)))
}

fn is_null(value: &str) -> bool {
    let digits = value.strip_prefix('-').unwrap_or(value);
    value.is_empty() || !digits.is_empty() && digits.bytes().all(|byte| byte == b'0')
}

/// Operators from the loosest to the tightest.
const LEVELS: &[&[&str]] = &[
    &["|"],
    &["&"],
    &["<", "<=", "=", "==", "!=", ">=", ">"],
    &["+", "-"],
    &["*", "/", "%"],
    &[":"],
];

impl Parser<'_, '_> {
    fn binary(&mut self, level: usize) -> Result<String, Wrong> {
        let Some(operators) = LEVELS.get(level) else {
            return self.primary();
        };
        let mut left = self.binary(level + 1)?;
        while let Some(operator) = self.words.first().filter(|word| operators.contains(&word.as_str())) {
            self.words = &self.words[1..];
            let right = self.binary(level + 1)?;
            left = self.apply(operator, left, right)?;
        }
        Ok(left)
    }

    fn apply(&self, operator: &str, left: String, right: String) -> Result<String, Wrong> {
        let integer = |text: &str| {
            text.parse::<i128>()
                .map_err(|_| Wrong::Expression("non-integer argument".to_owned()))
        };
        let out_of_range = || Wrong::Expression("Numerical result out of range".to_owned());
        Ok(match operator {
            "|" | "&" => {
                let chosen = match (operator, is_null(&left), is_null(&right)) {
                    ("|", false, _) | ("&", false, false) => left,
                    ("|", true, false) => right,
                    _ => "0".to_owned(),
                };
                return Ok(chosen);
            }
            "+" => integer(&left)?
                .checked_add(integer(&right)?)
                .ok_or_else(out_of_range)?
                .to_string(),
            "-" => integer(&left)?
                .checked_sub(integer(&right)?)
                .ok_or_else(out_of_range)?
                .to_string(),
            "*" => integer(&left)?
                .checked_mul(integer(&right)?)
                .ok_or_else(out_of_range)?
                .to_string(),
            "/" | "%" => {
                let (a, b) = (integer(&left)?, integer(&right)?);
                let result = if operator == "/" {
                    a.checked_div(b)
                } else {
                    a.checked_rem(b)
                };
                result
                    .ok_or_else(|| Wrong::Expression("division by zero".to_owned()))?
                    .to_string()
            }
            ":" => self.matched(&left, &right)?,
            comparison => {
                let ordering = match (left.parse::<i128>(), right.parse::<i128>()) {
                    (Ok(a), Ok(b)) => a.cmp(&b),
                    _ => left.as_bytes().cmp(right.as_bytes()),
                };
                let holds = match comparison {
                    "<" => ordering.is_lt(),
                    "<=" => ordering.is_le(),
                    "!=" => ordering.is_ne(),
                    ">=" => ordering.is_ge(),
                    ">" => ordering.is_gt(),
                    _ => ordering.is_eq(),
                };
                u8::from(holds).to_string()
            }
        })
    }

    fn matched(&self, text: &str, pattern: &str) -> Result<String, Wrong> {
        let anchored = format!("^{}", pattern.strip_prefix('^').unwrap_or(pattern));
        let unknown = |what| Wrong::Halt(self.process.unsupported(format!("pattern '{pattern}' ({what})")));
        let pattern = Pattern::new(&anchored, Dialect::Basic, false).map_err(unknown)?;
        let groups = pattern.captures(text.as_bytes(), 0);
        let part = |span: Option<(usize, usize)>| span.map_or("", |(from, to)| text.get(from..to).unwrap_or_default());
        Ok(match (groups, pattern.groups()) {
            (Some(spans), 0) => part(spans[0]).chars().count().to_string(),
            (None, 0) => "0".to_owned(),
            (Some(spans), _) => part(spans[1]).to_owned(),
            (None, _) => String::new(),
        })
    }

    fn next(&mut self) -> Result<String, Wrong> {
        let (first, rest) = self
            .words
            .split_first()
            .ok_or_else(|| Wrong::Expression("syntax error: missing argument".to_owned()))?;
        self.words = rest;
        Ok(first.clone())
    }

    fn primary(&mut self) -> Result<String, Wrong> {
        let word = self.next()?;
        Ok(match word.as_str() {
            "(" => {
                let value = self.binary(0)?;
                if self.next()? != ")" {
                    return Err(Wrong::Expression("syntax error: expecting ')'".to_owned()));
                }
                value
            }
            "length" if !self.words.is_empty() => self.primary()?.chars().count().to_string(),
            "match" if self.words.len() > 1 => {
                let (text, pattern) = (self.primary()?, self.primary()?);
                self.matched(&text, &pattern)?
            }
            "index" if self.words.len() > 1 => {
                let (text, set) = (self.primary()?, self.primary()?);
                text.chars()
                    .position(|c| set.contains(c))
                    .map_or(0, |at| at + 1)
                    .to_string()
            }
            "substr" if self.words.len() > 2 => {
                let (text, from, length) = (self.primary()?, self.primary()?, self.primary()?);
                match (from.parse::<usize>(), length.parse::<usize>()) {
                    (Ok(from), Ok(length)) if from > 0 => text.chars().skip(from - 1).take(length).collect(),
                    _ => String::new(),
                }
            }
            "+" => self.next()?,
            _ => word,
        })
    }
}

fn seq(process: &mut Process<'_>) -> Outcome {
    // Negative numbers are operands, not options.
    let numeric = |word: &String| {
        word.strip_prefix('-')
            .unwrap_or(word)
            .starts_with(|c: char| c.is_ascii_digit())
    };
    let at = 1 + process.args.iter().skip(1).position(numeric).unwrap_or(0);
    let numbers = process.args.split_off(at.min(process.args.len()));
    let args = Arguments::in_order(process, &["-s --separator =", "-w --equal-width"])?;
    let mut values = Vec::new();
    for word in args.operands.iter().chain(&numbers) {
        let value: i128 = word
            .parse()
            .map_err(|_| process.unsupported(format!("number '{word}'")))?;
        values.push(value);
    }
    let (first, step, last) = match values[..] {
        [last] => (1, 1, last),
        [first, last] => (first, 1, last),
        [first, step, last] if step != 0 => (first, step, last),
        _ => return Ok(process.fail("one to three numbers are needed")),
    };
    let text = |value: i128| value.to_string();
    let width = if args.has("-w") {
        text(first).len().max(text(last).len())
    } else {
        1
    };
    let separator = escapes::unescape(args.value("-s").unwrap_or("\n"));
    let mut value = first;
    let mut any = false;
    while if step > 0 { value <= last } else { value >= last } {
        if any {
            process.stdout.extend_from_slice(&separator);
        }
        any = true;
        process.stdout.extend_from_slice(format!("{value:0width$}").as_bytes());
        process.session.fits(process.stdout.len())?;
        value = match value.checked_add(step) {
            Some(next) => next,
            None => break,
        };
    }
    if any {
        process.stdout.push(b'\n');
    }
    Ok(0)
}

#[cfg(test)]
mod tests {
    use crate::commands::oracle::same;

    #[test]
    fn does_what_expr_does() {
        for words in [
            "1 + 2",
            "5 - 7",
            "2 * 3 + 4",
            "2 + 3 * 4",
            "7 / 2",
            "-7 % 3",
            "1 / 0",
            "a + 1",
            "( 1 + 2 ) * 3",
            "1 = 1",
            "abc < abd",
            "10 < 9",
            "0",
            "00",
            "x | y",
            "0 | y",
            "x & y",
            "x & 0",
            "length hello",
            "substr hello 2 3",
            "index hello l",
            "abc : a.*",
            "abc : b",
            "foo-1.2 : .*-\\([0-9.]*\\)",
            "abc : \\(x\\)",
            "match abc ab",
            "1 +",
            "",
            "a != b",
            "3 >= 3",
            "9223372036854775807 + 1",
        ] {
            let args: Vec<&str> = std::iter::once("expr").chain(words.split_whitespace()).collect();
            same(&[], &args, "");
        }
    }

    #[test]
    fn does_what_seq_does() {
        for words in [
            "3", "2 4", "6 -1 0", "1 3 10", "5 1", "-2 2", "-w 8 11", "-s , 3", "1 -1 3",
        ] {
            let args: Vec<&str> = std::iter::once("seq").chain(words.split_whitespace()).collect();
            same(&[], &args, "");
        }
    }
}
