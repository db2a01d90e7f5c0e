//! The syntax tree of a script, after XCU 2.10 "Shell Grammar" of POSIX.1-2024.

use std::cell::OnceCell;
use std::rc::Rc;

/// Commands that run one after another.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct List(pub(super) Vec<AndOr>);

/// Pipelines joined by `&&` and `||`.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct AndOr {
    pub(super) first: Pipeline,
    pub(super) rest: Vec<(Junction, Pipeline)>,
    /// Ended by `&`.
    pub(super) background: bool,
}

/// What joins two pipelines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Junction {
    And,
    Or,
}

/// Commands joined by `|`, perhaps after `!`.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Pipeline {
    pub(super) negated: bool,
    pub(super) stages: Vec<Command>,
}

/// One command and the line it starts in, from 1.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Command {
    pub(super) line: usize,
    pub(super) kind: CommandKind,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum CommandKind {
    Simple(Simple),
    Compound(Box<Compound>, Vec<Redirect>),
    /// A function definition: it is the running of it that defines the function.
    Function(String, Rc<Command>),
}

#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Simple {
    pub(super) assignments: Vec<Assignment>,
    pub(super) words: Vec<Word>,
    pub(super) redirects: Vec<Redirect>,
}

impl Simple {
    /// Puts another command's parts behind this one's.
    pub(super) fn extend(&mut self, other: Self) {
        self.assignments.extend(other.assignments);
        self.words.extend(other.words);
        self.redirects.extend(other.redirects);
    }
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Assignment {
    pub(super) name: String,
    /// bash's `+=`.
    pub(super) append: bool,
    /// bash's `name[index]=`.
    pub(super) index: Option<Word>,
    pub(super) value: Value,
}

/// What is assigned.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    Word(Word),
    /// bash's `name=(…)`.
    Elements(Vec<Word>),
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Compound {
    Group(List),
    Subshell(List),
    If {
        /// `if` and `elif`: condition and branch.
        arms: Vec<(List, List)>,
        otherwise: Option<List>,
    },
    Loop {
        until: bool,
        condition: List,
        body: List,
    },
    For {
        name: String,
        /// `None` without `in`: the positional parameters.
        words: Option<Vec<Word>>,
        body: List,
    },
    Case {
        subject: Word,
        arms: Vec<Arm>,
    },
    /// bash's `[[ … ]]`.
    Test(TestExpr),
    /// bash's `(( … ))`.
    Arithmetic(Word),
}

/// One branch of a `case`.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Arm {
    pub(super) patterns: Vec<Word>,
    pub(super) body: List,
    /// Ended by bash's `;&`.
    pub(super) falls_through: bool,
}

/// The inside of `[[ … ]]`.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum TestExpr {
    Not(Box<TestExpr>),
    And(Box<TestExpr>, Box<TestExpr>),
    Or(Box<TestExpr>, Box<TestExpr>),
    Unary(String, Word),
    Binary(Word, String, Word),
    Word(Word),
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Redirect {
    pub(super) fd: u32,
    pub(super) action: RedirectAction,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum RedirectAction {
    /// `<`
    Read(Word),
    /// `>`; under `set -C` not over a file that is there.
    Write(Word),
    /// `>|`
    Clobber(Word),
    /// `>>`
    Append(Word),
    /// `<>`
    ReadWrite(Word),
    /// `<&` and `>&`: a number or `-`.
    Duplicate(Word),
    /// bash's `&>` (`true`: `&>>`): standard output and standard error.
    Both(Word, bool),
    /// `<<`: filled in when the parser meets the end of the line.
    Here(Rc<OnceCell<Word>>),
    /// bash's `<<<`.
    HereString(Word),
}

/// A word before expansion.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Word(pub(super) Vec<Piece>);

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Piece {
    /// Unquoted text.
    Literal(String),
    /// Text in single quotes or behind a backslash.
    Quoted(String),
    DoubleQuoted(Vec<Piece>),
    /// `~` or `~user`; `after_equals`: inside `name=~…`, expanded only where that is an assignment.
    Tilde {
        user: String,
        after_equals: bool,
    },
    Parameter(Box<Expansion>),
    /// `$(…)` and backquotes.
    Command(Rc<List>),
    /// `$((…))`
    Arithmetic(Word),
}

/// `${parameter…}`
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Expansion {
    pub(super) parameter: Parameter,
    pub(super) operation: Operation,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Parameter {
    Named(String),
    /// bash's `name[index]`.
    Element(String, Word),
    /// The same with its index expanded.
    Indexed(String, u64),
    /// bash's `name[@]` and `name[*]`.
    Elements(String, char),
    Positional(usize),
    /// One of `@ * # ? - $ ! 0`.
    Special(char),
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Operation {
    Value,
    Length,
    /// `-`; the flag is the colon: an empty value counts as unset.
    Default(bool, Word),
    /// `=`
    Assign(bool, Word),
    /// `?`
    Error(bool, Word),
    /// `+`
    Alternative(bool, Word),
    /// `#`, `##`, `%`, `%%`
    Trim {
        suffix: bool,
        longest: bool,
        pattern: Word,
    },
    /// bash's `/` and `//`
    Replace {
        all: bool,
        pattern: Word,
        replacement: Word,
    },
    /// bash's `:offset:length`
    Substring {
        offset: Word,
        length: Option<Word>,
    },
    /// Anything else: an error when (and only when) it is expanded, as in dash.
    Bad(String),
}

impl Word {
    /// The text of a word without any quoting or expansion.
    pub(super) fn literal(&self) -> Option<&str> {
        match self.0.as_slice() {
            [] => Some(""),
            [Piece::Literal(text)] => Some(text),
            _ => None,
        }
    }

    /// A word that expands to exactly `text`.
    pub(super) fn quoted(text: impl Into<String>) -> Self {
        Self(vec![Piece::Quoted(text.into())])
    }
}
