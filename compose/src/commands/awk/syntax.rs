//! The tree of a program.

use std::rc::Rc;

use crate::commands::regular_expression::Pattern;

/// A pattern and its action.
#[derive(Clone, Debug)]
pub(super) struct Rule {
    pub(super) when: When,
    pub(super) action: Statement,
}

impl Rule {
    pub(super) fn is_begin(&self) -> bool {
        matches!(self.when, When::Begin)
    }
}

/// When a rule applies.
#[derive(Clone, Debug)]
pub(super) enum When {
    Begin,
    End,
    Always,
    If(Expression),
    /// From a match of the first to a match of the second; the number tells ranges apart.
    Range(usize, Expression, Expression),
}

#[derive(Clone, Debug)]
pub(super) enum Statement {
    Block(Vec<Statement>),
    Expression(Expression),
    /// What is printed, and the file if one is named.
    Print(Vec<Expression>, Option<Expression>),
    Printf(Vec<Expression>, Option<Expression>),
    If(Expression, Box<Statement>, Option<Box<Statement>>),
    While(Expression, Box<Statement>),
    Do(Box<Statement>, Expression),
    For(
        Option<Box<Statement>>,
        Option<Expression>,
        Option<Box<Statement>>,
        Box<Statement>,
    ),
    ForIn(String, String, Box<Statement>),
    Delete(String, Option<Vec<Expression>>),
    Next,
    Exit(Option<Expression>),
    Break,
    Continue,
}

/// What can be assigned to.
#[derive(Clone, Debug)]
pub(super) enum Place {
    Variable(String),
    Element(String, Vec<Expression>),
    Field(Box<Expression>),
}

#[derive(Clone, Debug)]
pub(super) enum Expression {
    Number(f64),
    Text(String),
    Match(Rc<Pattern>),
    Place(Place),
    /// The operator before `=`; none for plain assignment.
    Assign(Option<char>, Place, Box<Expression>),
    /// `++` or `--`: the change, and whether it comes before the value is taken.
    Step(f64, bool, Place),
    Conditional(Box<Expression>, Box<Expression>, Box<Expression>),
    Or(Box<Expression>, Box<Expression>),
    And(Box<Expression>, Box<Expression>),
    In(Vec<Expression>, String),
    /// `~`, or `!~` if the flag is set.
    Matches(bool, Box<Expression>, Box<Expression>),
    Compare(String, Box<Expression>, Box<Expression>),
    Concatenate(Box<Expression>, Box<Expression>),
    Arithmetic(char, Box<Expression>, Box<Expression>),
    Not(Box<Expression>),
    Negate(Box<Expression>),
    Plus(Box<Expression>),
    Call(String, Vec<Expression>),
}
