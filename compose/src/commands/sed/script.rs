//! What a script of `sed` is: a flat list of instructions with jumps resolved.

use std::rc::Rc;

use crate::commands::regular_expression::Pattern;

/// A pattern, or none for the one used last (`//`).
pub(super) type PatternRef = Option<Rc<Pattern>>;

/// One address.
#[derive(Clone, Debug)]
pub(super) enum Address {
    Line(usize),
    Last,
    Match(PatternRef),
    /// `first~step`
    Step(usize, usize),
    /// `addr,+n`
    Plus(usize),
    /// `addr,~n`
    Multiple(usize),
}

/// A part of a replacement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Text(Vec<u8>),
    Group(usize),
    /// `\U`, `\L`, `\u`, `\l`, `\E`
    Case(u8),
}

/// `s/pattern/replacement/flags`
#[derive(Clone, Debug)]
pub(super) struct Substitution {
    pub(super) pattern: PatternRef,
    pub(super) replacement: Vec<Part>,
    pub(super) global: bool,
    pub(super) print: bool,
    pub(super) number: usize,
    pub(super) file: Option<String>,
}

/// What an instruction does.
#[derive(Clone, Debug)]
pub(super) enum Action {
    /// `{`: the index after the matching `}`.
    Block(usize),
    Nothing,
    Substitute(Box<Substitution>),
    Translate(Box<[u8; 256]>),
    /// `a`, `i`, `c` and their text.
    Text(u8, Vec<u8>),
    /// `b`, `t`, `T` and where they jump to.
    Branch(u8, usize),
    /// `q`, `Q` and the exit status.
    Quit(u8, u8),
    /// `r`, `w` and the file.
    File(u8, String),
    /// `= d D g G h H n N p P x z F`
    Plain(u8),
}

/// An action and the lines it is for.
#[derive(Clone, Debug)]
pub(super) struct Instruction {
    pub(super) from: Option<Address>,
    pub(super) to: Option<Address>,
    pub(super) negated: bool,
    pub(super) action: Action,
}

/// A whole script.
#[derive(Clone, Debug)]
pub(super) struct Script {
    pub(super) instructions: Vec<Instruction>,
}
