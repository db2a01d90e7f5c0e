//! Runs a program.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::rc::Rc;

use super::format;
use super::syntax::{Expression, Place, Rule, Statement, When};
use super::value::Value;
use crate::commands::regular_expression::{Dialect, Pattern};
use crate::shell::process::Halt;

/// Steps a program may take: a loop that never ends must stop the build.
const MAX_STEPS: usize = 50_000_000;

/// Why running a statement does not go on with the next one.
#[derive(Debug)]
pub(super) enum Stop {
    Next,
    Exit(u8),
    Break,
    Continue,
    Unsupported(String),
    Halt(Halt),
}

type Ran = Result<(), Stop>;

/// Variables, the current record and the output.
pub(super) struct Machine {
    variables: BTreeMap<String, Value>,
    arrays: BTreeMap<String, BTreeMap<String, Value>>,
    record: String,
    fields: Vec<String>,
    /// The record is to be made anew from the fields.
    stale: bool,
    open_ranges: BTreeMap<usize, bool>,
    patterns: BTreeMap<String, Rc<Pattern>>,
    steps: usize,
    pub(super) output: Vec<u8>,
    pub(super) errors: Vec<u8>,
}

impl Machine {
    pub(super) fn new(environment: BTreeMap<String, String>) -> Self {
        let mut machine = Self {
            variables: BTreeMap::new(),
            arrays: BTreeMap::new(),
            record: String::new(),
            fields: Vec::new(),
            stale: false,
            open_ranges: BTreeMap::new(),
            patterns: BTreeMap::new(),
            steps: 0,
            output: Vec::new(),
            errors: Vec::new(),
        };
        for (name, value) in [
            ("FS", " "),
            ("OFS", " "),
            ("ORS", "\n"),
            ("RS", "\n"),
            ("SUBSEP", "\u{1c}"),
            ("CONVFMT", "%.6g"),
            ("OFMT", "%.6g"),
        ] {
            machine.variables.insert(name.to_owned(), Value::Text(value.to_owned()));
        }
        for name in ["NR", "FNR", "NF", "RSTART"] {
            machine.variables.insert(name.to_owned(), Value::Number(0.0));
        }
        machine.variables.insert("RLENGTH".to_owned(), Value::Number(-1.0));
        let environment = environment.into_iter().map(|(name, value)| (name, Value::Input(value)));
        machine.arrays.insert("ENVIRON".to_owned(), environment.collect());
        machine
    }

    /// Assigns what comes from the command line: text that may be a number.
    pub(super) fn assign_input(&mut self, name: &str, value: &str) {
        self.variables.insert(name.to_owned(), Value::Input(value.to_owned()));
    }

    fn variable(&self, name: &str) -> Value {
        self.variables.get(name).cloned().unwrap_or_default()
    }

    fn text_of(&self, name: &str) -> String {
        self.variable(name).text("%.6g")
    }

    fn convert(&self, value: &Value) -> String {
        match value {
            Value::Number(_) => value.text(&self.text_of("CONVFMT")),
            other => other.text("%.6g"),
        }
    }

    /// Runs the `BEGIN` rules, or the `END` rules.
    pub(super) fn run_named(&mut self, rules: &Rc<[Rule]>, begin: bool) -> Ran {
        for rule in rules.iter() {
            if matches!((&rule.when, begin), (When::Begin, true) | (When::End, false)) {
                self.run(&rule.action)?;
            }
        }
        Ok(())
    }

    /// Runs the rules over the records of a file.
    pub(super) fn read(&mut self, rules: &Rc<[Rule]>, name: &str, content: &[u8]) -> Ran {
        self.variables
            .insert("FILENAME".to_owned(), Value::Text(name.to_owned()));
        self.variables.insert("FNR".to_owned(), Value::Number(0.0));
        let content = String::from_utf8_lossy(content);
        let mut rest: &str = &content;
        while !rest.is_empty() {
            let separator = self.text_of("RS");
            let (record, after) = match separator.as_str() {
                "" => {
                    rest = rest.trim_start_matches('\n');
                    if rest.is_empty() {
                        break;
                    }
                    let (record, after) = rest.split_once("\n\n").unwrap_or((rest.trim_end_matches('\n'), ""));
                    (record, after.trim_start_matches('\n'))
                }
                one if one.chars().count() == 1 => rest.split_once(one).unwrap_or((rest, "")),
                other => return Err(Stop::Unsupported(format!("RS '{other}'"))),
            };
            rest = after;
            for counter in ["NR", "FNR"] {
                let next = self.variable(counter).number() + 1.0;
                self.variables.insert(counter.to_owned(), Value::Number(next));
            }
            self.set_record(record.to_owned())?;
            match self.record_rules(rules) {
                Err(Stop::Next) => {}
                other => other?,
            }
        }
        Ok(())
    }

    fn record_rules(&mut self, rules: &Rc<[Rule]>) -> Ran {
        for rule in rules.iter() {
            let applies = match &rule.when {
                When::Begin | When::End => false,
                When::Always => true,
                When::If(condition) => self.value(condition)?.holds(),
                When::Range(number, from, to) => {
                    let open = self.open_ranges.get(number).copied().unwrap_or(false) || self.value(from)?.holds();
                    let closes = open && self.value(to)?.holds();
                    self.open_ranges.insert(*number, open && !closes);
                    open
                }
            };
            if applies {
                self.run(&rule.action)?;
            }
        }
        Ok(())
    }

    fn set_record(&mut self, record: String) -> Ran {
        let separator = self.text_of("FS");
        let paragraph = self.text_of("RS").is_empty();
        self.fields = self.split(&record, &separator, paragraph)?;
        self.record = record;
        self.stale = false;
        self.count_fields();
        Ok(())
    }

    #[expect(clippy::cast_precision_loss, reason = "records have few fields")]
    fn count_fields(&mut self) {
        self.variables
            .insert("NF".to_owned(), Value::Number(self.fields.len() as f64));
    }

    fn split(&mut self, text: &str, separator: &str, paragraph: bool) -> Result<Vec<String>, Stop> {
        if text.is_empty() {
            return Ok(Vec::new());
        }
        if separator == " " {
            return Ok(text
                .split([' ', '\t', '\n'])
                .filter(|field| !field.is_empty())
                .map(str::to_owned)
                .collect());
        }
        if separator.chars().count() == 1 && separator != "\\" {
            let ends = |letter: char| separator.starts_with(letter) || paragraph && letter == '\n';
            return Ok(text.split(ends).map(str::to_owned).collect());
        }
        let pattern = self.pattern(separator)?;
        let mut fields = Vec::new();
        let (mut start, mut at) = (0, 0);
        while let Some((from, to)) = pattern.find(text.as_bytes(), at) {
            if from == to {
                at += 1;
                if at > text.len() {
                    break;
                }
                continue;
            }
            fields.push(text.get(start..from).unwrap_or_default().to_owned());
            (start, at) = (to, to);
        }
        fields.push(text.get(start..).unwrap_or_default().to_owned());
        Ok(fields)
    }

    fn pattern(&mut self, text: &str) -> Result<Rc<Pattern>, Stop> {
        if let Some(known) = self.patterns.get(text) {
            return Ok(Rc::clone(known));
        }
        let unknown = |what| Stop::Unsupported(format!("pattern '{text}' ({what})"));
        let pattern = Rc::new(Pattern::new(text, Dialect::Awk, false).map_err(unknown)?);
        self.patterns.insert(text.to_owned(), Rc::clone(&pattern));
        Ok(pattern)
    }

    fn field(&mut self, number: f64) -> Result<Value, Stop> {
        let number = index(number)?;
        if number == 0 {
            self.refresh();
            return Ok(Value::Input(self.record.clone()));
        }
        Ok(self
            .fields
            .get(number - 1)
            .map_or(Value::Unset, |field| Value::Input(field.clone())))
    }

    fn refresh(&mut self) {
        if self.stale {
            self.record = self.fields.join(&self.text_of("OFS"));
            self.stale = false;
        }
    }

    fn step(&mut self) -> Ran {
        self.steps += 1;
        if self.steps > MAX_STEPS {
            return Err(Stop::Halt(Halt::Limit(format!("`awk`: more than {MAX_STEPS} steps"))));
        }
        Ok(())
    }

    fn run(&mut self, statement: &Statement) -> Ran {
        self.step()?;
        match statement {
            Statement::Block(statements) => statements.iter().try_for_each(|statement| self.run(statement)),
            Statement::Expression(expression) => self.value(expression).map(drop),
            Statement::Print(values, file) => {
                let text = if values.is_empty() {
                    self.field(0.0)?.text("%.6g")
                } else {
                    let convert = self.text_of("OFMT");
                    let texts = values.iter().map(|value| Ok(self.value(value)?.text(&convert)));
                    let texts = texts.collect::<Result<Vec<_>, Stop>>()?;
                    texts.join(&self.text_of("OFS"))
                };
                let text = text + &self.text_of("ORS");
                self.write(&text, file.as_ref())
            }
            Statement::Printf(values, file) => {
                let text = self.formatted(values)?;
                self.write(&text, file.as_ref())
            }
            Statement::If(condition, yes, no) => {
                if self.value(condition)?.holds() {
                    self.run(yes)
                } else {
                    no.as_ref().map_or(Ok(()), |no| self.run(no))
                }
            }
            Statement::While(condition, body) => self.repeat(None, Some(condition), None, body),
            Statement::For(first, condition, step, body) => {
                self.repeat(first.as_deref(), condition.as_ref(), step.as_deref(), body)
            }
            Statement::Do(body, condition) => {
                match self.run(body) {
                    Err(Stop::Break) => return Ok(()),
                    Err(Stop::Continue) => {}
                    other => other?,
                }
                self.repeat(None, Some(condition), None, body)
            }
            Statement::ForIn(key, array, body) => {
                let keys: Vec<String> = self
                    .arrays
                    .get(array)
                    .map(|array| array.keys().cloned().collect())
                    .unwrap_or_default();
                for name in keys {
                    self.variables.insert(key.clone(), Value::Input(name));
                    match self.run(body) {
                        Err(Stop::Break) => break,
                        Err(Stop::Continue) => {}
                        other => other?,
                    }
                }
                Ok(())
            }
            Statement::Delete(array, None) => {
                self.arrays.remove(array);
                Ok(())
            }
            Statement::Delete(array, Some(subscripts)) => {
                let key = self.key(subscripts)?;
                if let Some(array) = self.arrays.get_mut(array) {
                    array.remove(&key);
                }
                Ok(())
            }
            Statement::Next => Err(Stop::Next),
            Statement::Break => Err(Stop::Break),
            Statement::Continue => Err(Stop::Continue),
            Statement::Exit(None) => Err(Stop::Exit(0)),
            Statement::Exit(Some(status)) => {
                let status = self.value(status)?.number();
                Err(Stop::Exit(u8::try_from(index(status.rem_euclid(256.0))?).unwrap_or(0)))
            }
        }
    }

    fn repeat(
        &mut self,
        first: Option<&Statement>,
        condition: Option<&Expression>,
        step: Option<&Statement>,
        body: &Statement,
    ) -> Ran {
        if let Some(first) = first {
            self.run(first)?;
        }
        while condition.map_or(Ok(true), |condition| Ok::<_, Stop>(self.value(condition)?.holds()))? {
            match self.run(body) {
                Err(Stop::Break) => break,
                Err(Stop::Continue) => {}
                other => other?,
            }
            if let Some(step) = step {
                self.run(step)?;
            }
        }
        Ok(())
    }

    fn write(&mut self, text: &str, file: Option<&Expression>) -> Ran {
        let name = file
            .map(|file| self.value(file))
            .transpose()?
            .map(|name| self.convert(&name));
        match name.as_deref() {
            None | Some("/dev/stdout" | "-") => self.output.extend_from_slice(text.as_bytes()),
            Some("/dev/stderr") => self.errors.extend_from_slice(text.as_bytes()),
            Some(other) => return Err(Stop::Unsupported(format!("writing {other}"))),
        }
        Ok(())
    }

    fn formatted(&mut self, values: &[Expression]) -> Result<String, Stop> {
        let values = values
            .iter()
            .map(|value| self.value(value))
            .collect::<Result<Vec<_>, _>>()?;
        let Some((format, values)) = values.split_first() else {
            return Err(Stop::Unsupported("printf without a format".to_owned()));
        };
        format::printf(&self.convert(format), values).map_err(Stop::Unsupported)
    }

    fn key(&mut self, subscripts: &[Expression]) -> Result<String, Stop> {
        let mut parts = Vec::new();
        for subscript in subscripts {
            let value = self.value(subscript)?;
            parts.push(self.convert(&value));
        }
        Ok(parts.join(&self.text_of("SUBSEP")))
    }

    fn get(&mut self, place: &Place) -> Result<Value, Stop> {
        match place {
            Place::Variable(name) => Ok(self.variable(name)),
            Place::Element(array, subscripts) => {
                let key = self.key(subscripts)?;
                Ok(self
                    .arrays
                    .entry(array.clone())
                    .or_default()
                    .entry(key)
                    .or_default()
                    .clone())
            }
            Place::Field(number) => {
                let number = self.value(number)?.number();
                self.field(number)
            }
        }
    }

    fn set(&mut self, place: &Place, value: Value) -> Ran {
        match place {
            Place::Variable(name) => {
                if name == "NF" {
                    self.fields.resize(index(value.number())?, String::new());
                    self.stale = true;
                }
                self.variables.insert(name.clone(), value);
            }
            Place::Element(array, subscripts) => {
                let key = self.key(subscripts)?;
                self.arrays.entry(array.clone()).or_default().insert(key, value);
            }
            Place::Field(number) => {
                let number = self.value(number)?.number();
                let number = index(number)?;
                let text = self.convert(&value);
                if number == 0 {
                    return self.set_record(text);
                }
                if self.fields.len() < number {
                    self.fields.resize(number, String::new());
                }
                self.fields[number - 1] = text;
                self.stale = true;
                self.count_fields();
            }
        }
        Ok(())
    }

    /// The value of an expression.
    pub(super) fn value(&mut self, expression: &Expression) -> Result<Value, Stop> {
        self.step()?;
        Ok(match expression {
            Expression::Number(number) => Value::Number(*number),
            Expression::Text(text) => Value::Text(text.clone()),
            Expression::Match(pattern) => {
                self.refresh();
                truth(pattern.is_match(self.record.as_bytes()))
            }
            Expression::Place(place) => self.get(place)?,
            Expression::Assign(operator, place, value) => {
                let mut value = self.value(value)?;
                if let Some(operator) = operator {
                    value = Value::Number(arithmetic(*operator, self.get(place)?.number(), value.number())?);
                }
                self.set(place, value.clone())?;
                value
            }
            Expression::Step(step, before, place) => {
                let old = self.get(place)?.number();
                self.set(place, Value::Number(old + step))?;
                Value::Number(if *before { old + step } else { old })
            }
            Expression::Conditional(condition, yes, no) => {
                let chosen = if self.value(condition)?.holds() { yes } else { no };
                self.value(chosen)?
            }
            Expression::Or(left, right) => truth(self.value(left)?.holds() || self.value(right)?.holds()),
            Expression::And(left, right) => truth(self.value(left)?.holds() && self.value(right)?.holds()),
            Expression::In(subscripts, array) => {
                let key = self.key(subscripts)?;
                truth(self.arrays.get(array).is_some_and(|array| array.contains_key(&key)))
            }
            Expression::Matches(negated, text, pattern) => {
                let text = self.value(text)?;
                let text = self.convert(&text);
                let pattern = self.as_pattern(pattern)?;
                truth(pattern.is_match(text.as_bytes()) != *negated)
            }
            Expression::Compare(operator, left, right) => {
                let (left, right) = (self.value(left)?, self.value(right)?);
                let ordering = left.compare(&right, &self.text_of("CONVFMT"));
                truth(match operator.as_str() {
                    "<" => ordering == Some(Ordering::Less),
                    "<=" => ordering.is_some_and(Ordering::is_le),
                    "==" => ordering == Some(Ordering::Equal),
                    "!=" => ordering != Some(Ordering::Equal),
                    ">=" => ordering.is_some_and(Ordering::is_ge),
                    _ => ordering == Some(Ordering::Greater),
                })
            }
            Expression::Concatenate(left, right) => {
                let (left, right) = (self.value(left)?, self.value(right)?);
                Value::Text(self.convert(&left) + &self.convert(&right))
            }
            Expression::Arithmetic(operator, left, right) => {
                let (left, right) = (self.value(left)?.number(), self.value(right)?.number());
                Value::Number(arithmetic(*operator, left, right)?)
            }
            Expression::Not(value) => truth(!self.value(value)?.holds()),
            Expression::Negate(value) => Value::Number(-self.value(value)?.number()),
            Expression::Plus(value) => Value::Number(self.value(value)?.number()),
            Expression::Call(name, values) => self.call(name, values)?,
        })
    }

    /// A regular expression as written, or text that is one.
    fn as_pattern(&mut self, expression: &Expression) -> Result<Rc<Pattern>, Stop> {
        if let Expression::Match(pattern) = expression {
            return Ok(Rc::clone(pattern));
        }
        let text = self.value(expression)?;
        let text = self.convert(&text);
        self.pattern(&text)
    }

    #[expect(clippy::cast_precision_loss, reason = "texts are shorter than 2^52")]
    fn call(&mut self, name: &str, values: &[Expression]) -> Result<Value, Stop> {
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
            let Some((from, to)) = pattern.find(text.as_bytes(), at) else {
                break;
            };
            made += text.get(at..from).unwrap_or_default();
            if from != to || last_end != Some(from) {
                count += 1;
                made += &replaced(&replacement, text.get(from..to).unwrap_or_default());
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
            self.set(place, Value::Text(made))?;
        }
        Ok(Value::Number(count as f64))
    }
}

fn truth(holds: bool) -> Value {
    Value::Number(if holds { 1.0 } else { 0.0 })
}

/// A field or array position.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "bounds are checked"
)]
fn index(number: f64) -> Result<usize, Stop> {
    if (0.0..1e6).contains(&number) {
        Ok(number as usize)
    } else {
        Err(Stop::Unsupported(format!("field {number}")))
    }
}

fn arithmetic(operator: char, left: f64, right: f64) -> Result<f64, Stop> {
    Ok(match operator {
        '+' => left + right,
        '-' => left - right,
        '*' => left * right,
        '^' => left.powf(right),
        _ if right == 0.0 => return Err(Stop::Unsupported("division by zero".to_owned())),
        '/' => left / right,
        _ => left % right,
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
        match pattern.find(text.as_bytes(), start) {
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
