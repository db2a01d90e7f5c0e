//! The functions of the language.

use super::machine::{Machine, Stop};
use super::syntax::{Expression, Place};
use super::value::Value;
use crate::commands::regular_expression::Pattern;

impl Machine {
    /// Calls a function of the language.
    #[expect(clippy::cast_precision_loss, reason = "texts are shorter than 2^52")]
    pub(super) fn call(&mut self, name: &str, values: &[Expression]) -> Result<Value, Stop> {
        let wrong = || Stop::Unsupported(format!("function {name} with {} values", values.len()));
        if let ("length", [Expression::Place(Place::Variable(array))]) = (name, values)
            && let Some(array) = self.arrays.get(array)
        {
            return Ok(Value::Number(array.len() as f64));
        }
        let whole = Expression::Place(Place::Field(Box::new(Expression::Number(0.0))));
        match (name, values) {
            ("sub" | "gsub", [pattern, replacement]) => {
                return self.substitute(name == "gsub", pattern, replacement, &whole);
            }
            ("sub" | "gsub", [pattern, replacement, target]) => {
                return self.substitute(name == "gsub", pattern, replacement, target);
            }
            ("split", [text, Expression::Place(Place::Variable(array)), separator @ ..]) => {
                let text = self.value(text)?;
                let text = self.convert(&text);
                let fields = match separator {
                    [] => {
                        let separator = self.text_of("FS");
                        self.split(&text, &separator, false)?
                    }
                    [Expression::Match(pattern)] => split_at(&text, pattern),
                    [separator] => {
                        let separator = self.value(separator)?;
                        let separator = self.convert(&separator);
                        self.split(&text, &separator, false)?
                    }
                    _ => return Err(wrong()),
                };
                let count = fields.len();
                let numbered = fields
                    .into_iter()
                    .enumerate()
                    .map(|(at, field)| ((at + 1).to_string(), Value::Input(field)));
                self.arrays.insert(array.clone(), numbered.collect());
                return Ok(Value::Number(count as f64));
            }
            ("match", [text, pattern]) => {
                let text = self.value(text)?;
                let text = self.convert(&text);
                let found = self.as_pattern(pattern)?.find(text.as_bytes(), 0);
                let count = |range: std::ops::Range<usize>| text.get(range).unwrap_or_default().chars().count() as f64;
                let (start, length) = found.map_or((0.0, -1.0), |(from, to)| (count(0..from) + 1.0, count(from..to)));
                self.variables.insert("RSTART".to_owned(), Value::Number(start));
                self.variables.insert("RLENGTH".to_owned(), Value::Number(length));
                return Ok(Value::Number(start));
            }
            ("sprintf", values) => return Ok(Value::Text(self.formatted(values)?)),
            _ => {}
        }
        let mut given = Vec::new();
        for value in values {
            given.push(self.value(value)?);
        }
        let texts: Vec<String> = given.iter().map(|value| self.convert(value)).collect();
        Ok(match (name, &texts[..]) {
            ("length", []) => Value::Number(self.field(0.0)?.text("%.6g").chars().count() as f64),
            ("length", [text]) => Value::Number(text.chars().count() as f64),
            ("index", [text, part]) => {
                let at = text.find(part.as_str()).map_or(0, |at| text[..at].chars().count() + 1);
                Value::Number(at as f64)
            }
            ("int", [_]) => Value::Number(given[0].number().trunc()),
            ("tolower", [text]) => Value::Text(text.to_ascii_lowercase()),
            ("toupper", [text]) => Value::Text(text.to_ascii_uppercase()),
            ("substr", [text, _]) => Value::Text(part(text, given[1].number(), f64::INFINITY)),
            ("substr", [text, ..]) if given.len() == 3 => Value::Text(part(text, given[1].number(), given[2].number())),
            _ => return Err(wrong()),
        })
    }

    #[expect(clippy::cast_precision_loss, reason = "replacements are fewer than 2^52")]
    fn substitute(
        &mut self,
        all: bool,
        pattern: &Expression,
        replacement: &Expression,
        target: &Expression,
    ) -> Result<Value, Stop> {
        let Expression::Place(place) = target else {
            return Err(Stop::Unsupported("substituting in what cannot change".to_owned()));
        };
        let pattern = self.as_pattern(pattern)?;
        let replacement = self.value(replacement)?;
        let replacement = self.convert(&replacement);
        let text = self.get(place)?;
        let text = self.convert(&text);
        let mut made = String::new();
        let (mut at, mut count, mut last_end) = (0, 0_usize, None);
        while at <= text.len() {
            let Some((from, to)) = find(&pattern, &text, at) else {
                break;
            };
            self.fits(made.len())?;
            made += &text[at..from];
            if from != to || last_end != Some(from) {
                count += 1;
                made += &replaced(&replacement, &text[from..to]);
            }
            last_end = Some(to);
            at = to;
            if from == to {
                let next = text[at..].chars().next();
                made.extend(next);
                at += next.map_or(1, char::len_utf8);
            }
            if !all {
                break;
            }
        }
        if count > 0 {
            made += text.get(at..).unwrap_or_default();
            self.fits(made.len())?;
            self.set(place, Value::Text(made))?;
        }
        Ok(Value::Number(count as f64))
    }
}

/// The leftmost-longest match at or after `at`, in whole characters: patterns match bytes.
fn find(pattern: &Pattern, text: &str, at: usize) -> Option<(usize, usize)> {
    let (from, to) = pattern.find(text.as_bytes(), at)?;
    let end = text.ceil_char_boundary(to);
    Some(if from == to {
        (end, end)
    } else {
        (text.floor_char_boundary(from), end)
    })
}

/// `&` is the match, `\&` an ampersand.
fn replaced(replacement: &str, matched: &str) -> String {
    let mut out = String::new();
    let mut letters = replacement.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '&' => out += matched,
            '\\' if letters.peek() == Some(&'&') || letters.peek() == Some(&'\\') => out.extend(letters.next()),
            other => out.push(other),
        }
    }
    out
}

fn split_at(text: &str, pattern: &Pattern) -> Vec<String> {
    let mut fields = Vec::new();
    let mut start = 0;
    while !text.is_empty() && start <= text.len() {
        match find(pattern, text, start) {
            Some((from, to)) if to > from => {
                fields.push(text.get(start..from).unwrap_or_default().to_owned());
                start = to;
            }
            _ => {
                fields.push(text.get(start..).unwrap_or_default().to_owned());
                break;
            }
        }
    }
    fields
}

/// `substr`: positions from 1, rounded; what lies outside of the text is nothing.
fn part(text: &str, from: f64, length: f64) -> String {
    let (from, until) = (
        from.round_ties_even(),
        (from.round_ties_even() + length.round_ties_even()),
    );
    let inside = |at: usize| {
        let position = f64::from(u32::try_from(at + 1).unwrap_or(u32::MAX));
        position >= from && position < until
    };
    text.chars()
        .enumerate()
        .filter(|(at, _)| inside(*at))
        .map(|(_, letter)| letter)
        .collect()
}
