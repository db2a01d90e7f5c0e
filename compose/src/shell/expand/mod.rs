//! Word expansion (XCU 2.6): tilde, parameters, command substitution, arithmetic, then field splitting, pathname
//! expansion and quote removal.

use super::files::Description;
use super::pattern::Pattern;
use super::process::Halt;
use super::session::Session;
use super::state::{ENTRY, Flow, Run, Shell};
use super::syntax::{Assignment, List, Parameter, Piece, Value, Word};

/// `$((…))`
pub(super) mod arithmetic;
/// `$name` and `${…}`.
mod parameter;
/// Field splitting.
mod split;

/// What expansions put into a word before it is split into fields.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Atom {
    Text {
        text: String,
        /// Stands for itself in patterns.
        quoted: bool,
        /// Is split at the characters of `IFS`.
        splits: bool,
    },
    /// Quotes stood here: the field exists even if it is empty.
    Quotes,
    /// One field ends here and another begins (`$@`); where there are no fields, this text stands between them.
    Break(String),
}

/// Where a piece of a word stands.
#[derive(Clone, Copy, Debug, Default)]
struct Place {
    quoted: bool,
    /// Literal text is split, too: it is the word in an unquoted `${x-word}`.
    literal_splits: bool,
    /// `~` after `=` or `:` counts.
    assignment: bool,
}

/// Separators up to which looking for them costs nothing worth counting.
const USUAL_IFS: usize = 16;

/// Fields that are arguments of one command, and their size.
#[derive(Debug, Default)]
pub(super) struct Arguments {
    pub(super) words: Vec<String>,
    bytes: usize,
}

impl Arguments {
    /// Adds fields; a halt if there are too many.
    pub(super) fn extend(&mut self, fields: Vec<String>, session: &Session) -> Result<(), Halt> {
        let bytes: usize = fields.iter().map(|field| field.len() + ENTRY).sum();
        self.bytes += bytes;
        session.fits_word(self.bytes)?;
        session.work(bytes)?;
        self.words.extend(fields);
        Ok(())
    }
}

impl Atom {
    /// Bytes, roughly, that it takes.
    fn weight(&self) -> usize {
        match self {
            Self::Text { text, .. } | Self::Break(text) => text.len() + ENTRY,
            Self::Quotes => ENTRY,
        }
    }
}

impl Shell<'_> {
    /// Whether the whole of `text` matches; counts the work.
    pub(super) fn matches(&self, pattern: &Pattern, text: &[char]) -> Result<bool, Halt> {
        let mut work = 0;
        let answer = pattern.matches_within(text, &mut work, self.session.steps_left().saturating_mul(1024));
        self.session.work(work)?;
        // Beyond what is left of the budget: that is an end, too.
        answer.map_or_else(|| self.session.work(usize::MAX).map(|()| false), Ok)
    }

    /// The fields a word of a command becomes.
    pub(super) fn fields(&mut self, word: &Word) -> Run<Vec<String>> {
        if let Some(text) = word.literal()
            && !text.contains(['*', '?', '['])
        {
            return Ok(vec![text.to_owned()]);
        }
        let atoms = self.atoms(word, Place::default())?;
        let ifs = self.state.get("IFS").unwrap_or(" \t\n").to_owned();
        let glob = !self.state.options.has("noglob");
        if ifs.len() > USUAL_IFS {
            let bytes: usize = atoms.iter().map(Atom::weight).sum();
            self.session.work(bytes.saturating_mul(ifs.len()))?;
        }
        let mut fields = Vec::new();
        for chars in split::split(&atoms, &ifs) {
            if glob && Pattern::new(&chars).is_special() {
                let paths = self.glob(&chars)?;
                if !paths.is_empty() {
                    fields.extend(paths);
                    continue;
                }
            }
            fields.push(chars.into_iter().map(|(c, _)| c).collect());
        }
        Ok(fields)
    }

    /// A word as one string: no splitting, no pathnames (redirections, `case` subjects, here-documents).
    pub(super) fn string(&mut self, word: &Word) -> Run<String> {
        let atoms = self.atoms(word, Place::default())?;
        Ok(joined(&atoms))
    }

    /// Carries out an assignment; answers the value as `set -x` shows it.
    pub(super) fn assign(&mut self, assignment: &Assignment) -> Run<String> {
        let name = &assignment.name;
        let word = match &assignment.value {
            Value::Word(word) => word,
            Value::Elements(words) => return self.assign_elements(name, words, assignment.append),
        };
        let index = match &assignment.index {
            Some(index) => self.index(name, index)?,
            None => 0,
        };
        let mut value = self.assignment_word(word)?;
        if assignment.append {
            let variable = self.state.variables.get(name);
            let before = variable.and_then(|variable| variable.element(index));
            value.insert_str(0, before.unwrap_or_default());
        }
        self.set_element(name, index, value.clone())?;
        Ok(value)
    }

    /// bash's `name=(…)` and `name+=(…)`.
    fn assign_elements(&mut self, name: &str, words: &[Word], append: bool) -> Run<String> {
        let mut values = Arguments::default();
        for word in words {
            values.extend(self.fields(word)?, &self.session)?;
        }
        let values = values.words;
        let variable = self.state.variables.get(name).filter(|_| append);
        let last = variable.and_then(|variable| variable.elements.last_key_value());
        let first = match (last, variable) {
            (Some((last, _)), _) => last + 1,
            (None, Some(variable)) if variable.value.is_some() => 1,
            _ => 0,
        };
        if first == 0 {
            self.set(name, "")?;
            let variable = self.state.variables.entry(name.to_owned()).or_default();
            variable.value = None;
            variable.elements.clear();
        }
        let shown = format!("({})", values.join(" "));
        for (index, value) in (first..).zip(values) {
            self.set_element(name, index, value)?;
        }
        Ok(shown)
    }

    /// The value of an array's index; negative ones count from behind the last element.
    pub(super) fn index(&mut self, name: &str, index: &Word) -> Run<u64> {
        let number = self.arithmetic(index)?;
        let last = self.state.variables.get(name).and_then(|variable| {
            let elements = variable.elements.last_key_value().map(|(last, _)| last + 1);
            elements.or(variable.value.is_some().then_some(1))
        });
        let counted = u64::try_from(number)
            .ok()
            .or_else(|| last?.checked_sub(number.unsigned_abs()));
        counted.ok_or_else(|| self.error(&format!("{name}: bad array subscript")))
    }

    /// A word that is an assignment's value, or an assignment as an argument of `export` and the like.
    pub(super) fn assignment_word(&mut self, word: &Word) -> Run<String> {
        let place = Place {
            assignment: true,
            ..Place::default()
        };
        let atoms = self.atoms(word, place)?;
        Ok(joined(&atoms))
    }

    /// A word as a pattern.
    pub(super) fn pattern(&mut self, word: &Word) -> Run<Pattern> {
        let atoms = self.atoms(word, Place::default())?;
        let mut chars = Vec::new();
        for atom in &atoms {
            match atom {
                Atom::Text { text, quoted, .. } => chars.extend(text.chars().map(|c| (c, *quoted))),
                Atom::Quotes => {}
                Atom::Break(separator) => chars.extend(separator.chars().map(|c| (c, true))),
            }
        }
        Ok(Pattern::new(&chars))
    }

    fn atoms(&mut self, word: &Word, place: Place) -> Run<Vec<Atom>> {
        let mut atoms = Vec::new();
        self.pieces(&word.0, place, &mut atoms)?;
        Ok(atoms)
    }

    fn pieces(&mut self, pieces: &[Piece], place: Place, atoms: &mut Vec<Atom>) -> Run<()> {
        let mut total = 0;
        for piece in pieces {
            let before = atoms.len();
            self.piece(piece, place, atoms)?;
            let weight: usize = atoms.iter().skip(before).map(Atom::weight).sum();
            total += weight;
            self.session.fits_word(total)?;
            self.session.work(weight)?;
        }
        Ok(())
    }

    fn piece(&mut self, piece: &Piece, place: Place, atoms: &mut Vec<Atom>) -> Run<()> {
        match piece {
            Piece::Literal(text) => atoms.push(Atom::Text {
                text: text.clone(),
                quoted: place.quoted,
                splits: place.literal_splits && !place.quoted,
            }),
            Piece::Quoted(text) => {
                atoms.push(Atom::Quotes);
                atoms.push(quoted(text.clone()));
            }
            Piece::DoubleQuoted(inner) => {
                let place = Place { quoted: true, ..place };
                // `"$@"` without parameters is nothing at all, not an empty field.
                let before = atoms.len();
                self.pieces(inner, place, atoms)?;
                let vanished = atoms.len() == before && !inner.is_empty() && inner.iter().all(is_all_parameters);
                if !vanished {
                    atoms.insert(before, Atom::Quotes);
                }
            }
            Piece::Tilde { user, after_equals } => {
                let text = match (*after_equals && !place.assignment, self.home_of(user)) {
                    (false, Some(home)) => home,
                    _ => format!("~{user}"),
                };
                atoms.push(quoted(text));
            }
            Piece::Parameter(expansion) => self.parameter(expansion, place, atoms)?,
            Piece::Command(list) => {
                let output = self.nested(|shell| shell.substitute(list))?;
                atoms.push(expanded(output, place));
            }
            Piece::Arithmetic(expression) => {
                let value = self.nested(|shell| shell.arithmetic(expression))?;
                atoms.push(expanded(value.to_string(), place));
            }
        }
        Ok(())
    }

    /// What the commands write, without the newlines at its end.
    fn substitute(&mut self, list: &List) -> Run<String> {
        let output = Description::output();
        let capture = std::rc::Rc::clone(&output);
        let status = self.subshell(|shell| {
            shell.state.files.insert(1, capture);
            shell.list(list, false)
        })?;
        // `$?` does not change: in dash it is about commands, not about what their words expand to.
        self.substituted = Some(status);
        let mut bytes = Description::collected(&output);
        bytes.retain(|byte| *byte != 0);
        while bytes.last() == Some(&b'\n') {
            bytes.pop();
        }
        self.session.fits_word(bytes.len())?;
        Self::text(bytes)
    }

    /// Bytes that become the value of a variable: they must be text, for that is what our variables hold.
    pub(super) fn text(bytes: Vec<u8>) -> Run<String> {
        String::from_utf8(bytes).map_err(|_| Self::unsupported("$(…)", "output that is not UTF-8 in a variable"))
    }

    /// The home directory of `user`, of ourselves if empty.
    fn home_of(&self, user: &str) -> Option<String> {
        if user.is_empty() {
            return self.state.get("HOME").map(str::to_owned);
        }
        let passwd = self.system.tree.read_text("/etc/passwd").ok()?;
        let line = passwd.lines().find(|line| line.split(':').next() == Some(user))?;
        line.split(':').nth(5).map(str::to_owned)
    }

    /// The value of an arithmetic expression.
    pub(super) fn arithmetic(&mut self, expression: &Word) -> Run<i64> {
        let place = Place {
            quoted: true,
            ..Place::default()
        };
        let atoms = self.atoms(expression, place)?;
        let text = joined(&atoms);
        if let Some(operator) = ["++", "--", "**", ","]
            .into_iter()
            .find(|operator| text.contains(operator))
            && self.state.bash
        {
            return Err(Self::unsupported("((", format!("the operator {operator} of bash")));
        }
        match arithmetic::evaluate(&text, self) {
            Ok(value) => Ok(value),
            Err(arithmetic::Trouble::Flow(flow)) => Err(flow),
            Err(arithmetic::Trouble::Wrong(message)) => {
                Err(self.error(&format!("arithmetic expression: {message}: \"{text}\"")))
            }
        }
    }
}

/// Atoms as one string.
fn joined(atoms: &[Atom]) -> String {
    let mut whole = String::new();
    for atom in atoms {
        match atom {
            Atom::Text { text, .. } => whole.push_str(text),
            Atom::Quotes => {}
            Atom::Break(separator) => whole.push_str(separator),
        }
    }
    whole
}

fn is_all_parameters(piece: &Piece) -> bool {
    let Piece::Parameter(expansion) = piece else {
        return false;
    };
    matches!(
        expansion.parameter,
        Parameter::Special('@') | Parameter::Elements(_, '@')
    )
}

fn quoted(text: String) -> Atom {
    Atom::Text {
        text,
        quoted: true,
        splits: false,
    }
}

fn expanded(text: String, place: Place) -> Atom {
    Atom::Text {
        text,
        quoted: place.quoted,
        splits: !place.quoted,
    }
}

/// The variables of arithmetic.
impl arithmetic::Variables for Shell<'_> {
    fn value(&mut self, name: &str) -> Result<i64, arithmetic::Trouble> {
        match self.state.get(name) {
            Some(value) => match arithmetic::number(value.trim()) {
                Some(number) => Ok(number),
                None if value.trim().is_empty() => Ok(0),
                None => {
                    let message = format!("Illegal number: {value}");
                    Err(arithmetic::Trouble::Flow(self.error(&message)))
                }
            },
            None if self.state.options.has("nounset") => {
                let message = format!("{name}: parameter not set");
                Err(arithmetic::Trouble::Flow(self.error(&message)))
            }
            None => Ok(0),
        }
    }

    fn assign(&mut self, name: &str, value: i64) -> Result<(), Flow> {
        self.set(name, &value.to_string())
    }
}
