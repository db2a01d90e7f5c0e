use super::{Atom, Place, expanded, joined, quoted};
use crate::shell::state::{Flow, Run, Shell};
use crate::shell::syntax::{Expansion, Operation, Parameter, Word};

/// Variables bash makes up; a script that reads them would get nothing from us.
const BASH_VARIABLES: &[&str] = &[
    "RANDOM",
    "SRANDOM",
    "SECONDS",
    "EPOCHSECONDS",
    "EPOCHREALTIME",
    "FUNCNAME",
    "BASH_SOURCE",
    "BASH_REMATCH",
    "BASH_VERSINFO",
    "PIPESTATUS",
    "DIRSTACK",
    "EUID",
    "UID",
];

impl Shell<'_> {
    /// Expands `$name` or `${…}` into `atoms`.
    pub(super) fn parameter(&mut self, expansion: &Expansion, place: Place, atoms: &mut Vec<Atom>) -> Run<()> {
        let parameter = &expansion.parameter;
        if let Parameter::Element(name, index) = parameter {
            let index = self.index(name, index)?;
            let resolved = Expansion {
                parameter: Parameter::Indexed(name.clone(), index),
                operation: expansion.operation.clone(),
            };
            return self.parameter(&resolved, place, atoms);
        }
        match &expansion.operation {
            Operation::Length if matches!(parameter, Parameter::Elements(..)) => {
                let count = self.elements(parameter).len();
                atoms.push(expanded(count.to_string(), place));
                Ok(())
            }
            Operation::Value => self.value_or_error(parameter, place, atoms),
            Operation::Length => {
                let value = self.checked(parameter)?;
                // Bytes, as dash counts them.
                atoms.push(expanded(value.len().to_string(), place));
                Ok(())
            }
            Operation::Default(colon, word) => {
                if self.is_set(parameter, *colon) {
                    return self.value_or_error(parameter, place, atoms);
                }
                self.operand(word, place, atoms)
            }
            Operation::Alternative(colon, word) => {
                if self.is_set(parameter, *colon) {
                    self.operand(word, place, atoms)?;
                }
                Ok(())
            }
            Operation::Assign(colon, word) => {
                if self.is_set(parameter, *colon) {
                    return self.value_or_error(parameter, place, atoms);
                }
                let value = self.operand_string(word, place)?;
                match parameter {
                    Parameter::Named(name) => self.set(name, &value)?,
                    _ => return Err(self.error("bad variable name")),
                }
                atoms.push(expanded(value, place));
                Ok(())
            }
            Operation::Error(colon, word) => {
                if self.is_set(parameter, *colon) {
                    return self.value_or_error(parameter, place, atoms);
                }
                let given = self.operand_string(word, place)?;
                let message = match (given.as_str(), colon) {
                    ("", true) => "parameter not set or null",
                    ("", false) => "parameter not set",
                    (text, _) => text,
                };
                Err(self.error(&format!("{}: {message}", name_of(parameter))))
            }
            Operation::Bad(text) => Err(self.error(&format!("Bad substitution: {text}"))),
            _ => {
                let value = self.transformed(expansion, place)?;
                atoms.push(expanded(value, place));
                Ok(())
            }
        }
    }

    /// The value after `#`, `%`, `/` or `:`.
    fn transformed(&mut self, expansion: &Expansion, place: Place) -> Run<String> {
        let value = self.checked(&expansion.parameter)?;
        match &expansion.operation {
            Operation::Trim {
                suffix,
                longest,
                pattern,
            } => {
                let pattern = self.pattern(pattern)?;
                let chars: Vec<char> = value.chars().collect();
                // The part that goes is `..cut` or `cut..`; the shortest such part is tried first, or the longest.
                let mut found = None;
                for step in 0..=chars.len() {
                    let cut = if *suffix == *longest { step } else { chars.len() - step };
                    let part = if *suffix { &chars[cut..] } else { &chars[..cut] };
                    if self.matches(&pattern, part)? {
                        found = Some(cut);
                        break;
                    }
                }
                Ok(match found {
                    Some(cut) if *suffix => chars[..cut].iter().collect(),
                    Some(cut) => chars[cut..].iter().collect(),
                    None => value,
                })
            }
            Operation::Replace {
                all,
                pattern,
                replacement,
            } => {
                let pattern = self.pattern(pattern)?;
                let replacement = self.operand_string(replacement, place)?;
                let chars: Vec<char> = value.chars().collect();
                let mut result = String::new();
                let (mut at, mut done) = (0, false);
                while at < chars.len() {
                    let mut found = None;
                    for end in (at + 1..=chars.len()).rev() {
                        if self.matches(&pattern, &chars[at..end])? {
                            found = Some(end);
                            break;
                        }
                    }
                    self.session.fits_word(result.len())?;
                    match found {
                        Some(end) if *all || !done => {
                            result.push_str(&replacement);
                            at = end;
                            done = true;
                        }
                        _ => {
                            result.push(chars[at]);
                            at += 1;
                        }
                    }
                }
                Ok(result)
            }
            Operation::Substring { offset, length } => {
                let offset = self.arithmetic(offset)?;
                let chars: Vec<char> = value.chars().collect();
                let count = i64::try_from(chars.len()).unwrap_or(i64::MAX);
                let start = if offset < 0 { count + offset } else { offset.min(count) };
                let end = match length {
                    Some(length) => match self.arithmetic(length)? {
                        length if length < 0 => count + length,
                        length => start.saturating_add(length).min(count),
                    },
                    None => count,
                };
                let range = usize::try_from(start).ok().zip(usize::try_from(end).ok());
                Ok(match range {
                    Some((start, end)) if start <= end => chars[start..end].iter().collect(),
                    _ => String::new(),
                })
            }
            _ => Ok(value),
        }
    }

    fn operand(&mut self, word: &Word, place: Place, atoms: &mut Vec<Atom>) -> Run<()> {
        let place = Place {
            literal_splits: true,
            ..place
        };
        self.pieces(&word.0, place, atoms)
    }

    fn operand_string(&mut self, word: &Word, place: Place) -> Run<String> {
        let atoms = self.atoms(word, place)?;
        Ok(joined(&atoms))
    }

    /// Whether the parameter has a value (`colon`: that is not empty).
    fn is_set(&self, parameter: &Parameter, colon: bool) -> bool {
        match self.value(parameter) {
            Some(value) => !colon || !value.is_empty(),
            None => false,
        }
    }

    /// The value as one string; an error under `set -u` if there is none.
    fn checked(&mut self, parameter: &Parameter) -> Run<String> {
        if let Some(value) = self.value(parameter) {
            return Ok(value);
        }
        self.refuse_unset(parameter)?;
        Ok(String::new())
    }

    fn refuse_unset(&mut self, parameter: &Parameter) -> Result<(), Flow> {
        if let Parameter::Named(name) = parameter
            && self.state.bash
            && BASH_VARIABLES.contains(&name.as_str())
        {
            return Err(Self::unsupported(&format!("${name}"), "this variable of bash"));
        }
        let exempt = matches!(parameter, Parameter::Special('@' | '*') | Parameter::Elements(..));
        if self.state.options.has("nounset") && !exempt {
            return Err(self.error(&format!("{}: parameter not set", name_of(parameter))));
        }
        Ok(())
    }

    fn value_or_error(&mut self, parameter: &Parameter, place: Place, atoms: &mut Vec<Atom>) -> Run<()> {
        match parameter {
            Parameter::Special('@') | Parameter::Elements(_, '@') => self.all_parameters(parameter, place, atoms),
            Parameter::Special('*') | Parameter::Elements(_, '*') if !place.quoted => {
                self.all_parameters(parameter, place, atoms);
            }
            _ => {
                let value = self.checked(parameter)?;
                atoms.push(expanded(value, place));
            }
        }
        Ok(())
    }

    /// `$@`, and `$*` outside of quotes: a field for each. Where nothing is split (`x=$@`) dash joins them
    /// as `"$*"` does.
    fn all_parameters(&self, parameter: &Parameter, place: Place, atoms: &mut Vec<Atom>) {
        let separator = self.separator();
        for (index, param) in self.elements(parameter).into_iter().enumerate() {
            if index > 0 {
                atoms.push(Atom::Break(separator.clone()));
            }
            if place.quoted {
                atoms.push(Atom::Quotes);
                atoms.push(quoted(param.clone()));
            } else {
                atoms.push(expanded(param.clone(), place));
            }
        }
    }

    /// The elements of an array; else the positional parameters.
    fn elements(&self, parameter: &Parameter) -> Vec<&String> {
        match parameter {
            Parameter::Elements(name, _) => {
                let variable = self.state.variables.get(name);
                variable
                    .into_iter()
                    .flat_map(super::super::state::Variable::all)
                    .collect()
            }
            _ => self.state.params.iter().collect(),
        }
    }

    /// What `"$*"` joins with: the first character of `IFS`.
    fn separator(&self) -> String {
        match self.state.get("IFS") {
            Some(ifs) => ifs.chars().next().map(String::from).unwrap_or_default(),
            None => " ".to_owned(),
        }
    }

    /// The value of a parameter, if it is set.
    fn value(&self, parameter: &Parameter) -> Option<String> {
        let state = &self.state;
        match parameter {
            Parameter::Named(name) | Parameter::Element(name, _) => state.get(name).map(str::to_owned),
            Parameter::Indexed(name, index) => state.variables.get(name)?.element(*index).map(str::to_owned),
            Parameter::Elements(..) => {
                let elements: Vec<&str> = self.elements(parameter).into_iter().map(String::as_str).collect();
                (!elements.is_empty()).then(|| elements.join(&self.separator()))
            }
            Parameter::Positional(number) => state.params.get(number - 1).cloned(),
            Parameter::Special(special) => match special {
                '#' => Some(state.params.len().to_string()),
                '?' => Some(state.status.to_string()),
                '-' => Some(state.options.letters()),
                '$' => Some(state.pid.to_string()),
                '0' => Some(state.arg0.clone()),
                '@' | '*' => {
                    if state.params.is_empty() {
                        return None;
                    }
                    Some(state.params.join(&self.separator()))
                }
                '!' => state.background.map(|pid| pid.to_string()),
                _ => None,
            },
        }
    }
}

fn name_of(parameter: &Parameter) -> String {
    match parameter {
        Parameter::Named(name)
        | Parameter::Element(name, _)
        | Parameter::Indexed(name, _)
        | Parameter::Elements(name, _) => name.clone(),
        Parameter::Positional(number) => number.to_string(),
        Parameter::Special(c) => c.to_string(),
    }
}
