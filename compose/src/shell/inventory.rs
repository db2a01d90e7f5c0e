//! What a script uses, read from its syntax tree without running it: the constructs of the language, and the commands
//! with what is known of their words. It tells which scripts of an archive the evaluator can interpret.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use anyhow::{Result, bail};

use super::builtins;
use super::parse::{Aliases, Parser, Problem, is_name};
use super::programs::interpreter;
use super::syntax::{
    AndOr, Command, CommandKind, Compound, Expansion, Junction, List, Operation, Parameter, Piece, Pipeline, Redirect,
    RedirectAction, Simple, TestExpr, Value, Word,
};

/// What stands for an expansion in the words of a [`Call`]: a number, a mode, a name and a path at once.
pub const PLACEHOLDER: &str = "0";

/// What one script uses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inventory {
    /// Whether its first line asks for bash.
    pub bash: bool,
    /// Each construct, as one would write it (`a && b`, `${x:-w}`), and the line it is first used in, from 1.
    pub constructs: BTreeMap<&'static str, usize>,
    /// Every simple command that has a command word, in order.
    pub calls: Vec<Call>,
    /// The functions it defines.
    pub functions: BTreeSet<String>,
}

/// A simple command.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Call {
    /// Its words, quotes removed; every expansion is [`PLACEHOLDER`].
    pub words: Vec<String>,
    /// Whether nothing in the word of this index is expanded.
    pub fixed: Vec<bool>,
    /// The line it starts in, from 1; in an `eval` or a trap that of the outer command.
    pub line: usize,
}

/// Reads a script; `None` if its first line names another interpreter than a shell. An error names the line the
/// parser stops in.
pub fn read(text: &str) -> Result<Option<Inventory>> {
    let Some(interpreter) = interpreter(text) else {
        return Ok(None);
    };
    let mut reader = Reader {
        found: Inventory {
            bash: interpreter.bash,
            ..Inventory::default()
        },
        line: 0,
        within: 0,
        aliases: Aliases::default(),
    };
    reader.text(text, 1)?;
    Ok(Some(reader.found))
}

/// Whether the shell itself does `name`.
pub fn is_builtin(name: &str) -> bool {
    builtins::find(name, true).is_some()
}

/// Texts inside texts (`eval "trap '…' EXIT"`) that are followed.
const MAX_TEXTS: u32 = 8;

struct Reader {
    found: Inventory,
    line: usize,
    within: u32,
    aliases: Aliases,
}

impl Reader {
    fn text(&mut self, text: &str, line: usize) -> Result<()> {
        let mut parser = Parser::new(text, line, self.found.bash);
        loop {
            parser.aliases = Rc::clone(&self.aliases);
            match parser.next_command() {
                Ok(Some(list)) => self.list(&list),
                Ok(None) => return Ok(()),
                Err(error) => match error.problem {
                    Problem::Syntax(message) => bail!("line {}: {message}", error.line),
                    Problem::Halt(halt) => bail!("line {}: {halt}", error.line),
                },
            }
        }
    }

    fn saw(&mut self, construct: &'static str) {
        self.found.constructs.entry(construct).or_insert(self.line);
    }

    fn list(&mut self, list: &List) {
        for and_or in &list.0 {
            self.and_or(and_or);
        }
    }

    fn and_or(&mut self, and_or: &AndOr) {
        self.pipeline(&and_or.first);
        for (junction, pipeline) in &and_or.rest {
            self.saw(match junction {
                Junction::And => "a && b",
                Junction::Or => "a || b",
            });
            self.pipeline(pipeline);
        }
        if and_or.background {
            self.saw("a &");
        }
    }

    fn pipeline(&mut self, pipeline: &Pipeline) {
        for stage in &pipeline.stages {
            self.command(stage);
        }
        if pipeline.negated {
            self.saw("! a");
        }
        if pipeline.stages.len() > 1 {
            self.saw("a | b");
        }
    }

    fn command(&mut self, command: &Command) {
        self.line = command.line;
        match &command.kind {
            CommandKind::Simple(simple) => self.simple(simple),
            CommandKind::Function(name, body) => {
                self.saw(if is_name(name) { "f() { a; }" } else { "f-g() { a; }" });
                if !matches!(&body.kind, CommandKind::Compound(compound, _) if matches!(**compound, Compound::Group(_)))
                {
                    self.saw("f() ( a )");
                }
                self.found.functions.insert(name.clone());
                self.command(body);
            }
            CommandKind::Compound(compound, redirects) => {
                self.compound(compound);
                if !redirects.is_empty() {
                    self.saw("{ a; } > file");
                }
                self.redirects(redirects);
            }
        }
    }

    fn compound(&mut self, compound: &Compound) {
        match compound {
            Compound::Group(list) => {
                self.saw("{ a; }");
                self.list(list);
            }
            Compound::Subshell(list) => {
                self.saw("( a )");
                self.list(list);
            }
            Compound::If { arms, otherwise } => {
                self.saw("if a; then b; fi");
                if arms.len() > 1 {
                    self.saw("elif a; then b");
                }
                for (condition, body) in arms {
                    self.list(condition);
                    self.list(body);
                }
                if let Some(otherwise) = otherwise {
                    self.saw("else b");
                    self.list(otherwise);
                }
            }
            Compound::Loop { until, condition, body } => {
                self.saw(if *until {
                    "until a; do b; done"
                } else {
                    "while a; do b; done"
                });
                self.list(condition);
                self.list(body);
            }
            Compound::For { words, body, .. } => {
                self.saw(if words.is_some() {
                    "for x in w; do a; done"
                } else {
                    "for x; do a; done"
                });
                for word in words.iter().flatten() {
                    self.field(word);
                }
                self.list(body);
            }
            Compound::Case { subject, arms } => {
                self.saw("case w in p) a;; esac");
                self.word(subject);
                for arm in arms {
                    if arm.patterns.len() > 1 {
                        self.saw("p | q)");
                    }
                    for pattern in &arm.patterns {
                        self.pattern(pattern);
                    }
                    if arm.falls_through {
                        self.saw(";&");
                    }
                    self.list(&arm.body);
                }
            }
            Compound::Test(expr) => {
                self.saw("[[ w ]]");
                self.test(expr);
            }
            Compound::Arithmetic(word) => {
                self.saw("(( w ))");
                self.word(word);
            }
        }
    }

    fn test(&mut self, expr: &TestExpr) {
        match expr {
            TestExpr::Not(inner) => self.test(inner),
            TestExpr::And(left, right) | TestExpr::Or(left, right) => {
                self.test(left);
                self.test(right);
            }
            TestExpr::Unary(_, word) | TestExpr::Word(word) => self.word(word),
            TestExpr::Binary(left, _, right) => {
                self.word(left);
                self.word(right);
            }
        }
    }

    fn simple(&mut self, simple: &Simple) {
        for assignment in &simple.assignments {
            self.saw(match (assignment.append, simple.words.is_empty()) {
                (true, _) => "x+=w",
                (false, true) => "x=w",
                (false, false) => "x=w a",
            });
            if let Some(index) = &assignment.index {
                self.target("x[n]=w", index);
            }
            match &assignment.value {
                Value::Word(word) => self.word(word),
                Value::Elements(words) => {
                    self.saw("x=(w)");
                    for word in words {
                        self.field(word);
                    }
                }
            }
        }
        for word in &simple.words {
            self.field(word);
        }
        self.redirects(&simple.redirects);
        if simple.words.is_empty() {
            if !simple.redirects.is_empty() && simple.assignments.is_empty() {
                self.saw("> file, without a command");
            }
            return;
        }
        let (words, fixed): (Vec<String>, Vec<bool>) = simple.words.iter().map(known).unzip();
        let line = self.line;
        self.inner_texts(&words, &fixed);
        self.line = line;
        if words[0] == "alias" {
            let defined = words[1..].iter().filter_map(|word| word.split_once('='));
            Rc::make_mut(&mut self.aliases).extend(defined.map(|(name, text)| (name.to_owned(), text.to_owned())));
        }
        self.found.calls.push(Call { words, fixed, line });
    }

    /// Scripts that are words of a command: `eval`, `trap`, `sh -c`. What in them is only known at run time is not read.
    fn inner_texts(&mut self, words: &[String], fixed: &[bool]) {
        let text = match words[0].as_str() {
            "eval" if fixed.iter().all(|fixed| *fixed) => Some(words[1..].join(" ")),
            "trap" => words.get(1).filter(|_| fixed[1]).cloned(),
            "sh" | "bash" | "dash" | "/bin/sh" => {
                let at = words
                    .iter()
                    .position(|word| word.starts_with('-') && word.ends_with('c'));
                at.and_then(|at| words.get(at + 1).filter(|_| fixed[at + 1]).cloned())
            }
            _ => None,
        };
        if let Some(text) = text.filter(|_| self.within < MAX_TEXTS) {
            self.within += 1;
            // That such a text is no script shows when it is run.
            let _ = self.text(&text, self.line);
            self.within -= 1;
        }
    }

    fn redirects(&mut self, redirects: &[Redirect]) {
        for redirect in redirects {
            let usual = match redirect.action {
                RedirectAction::Read(_) | RedirectAction::ReadWrite(_) | RedirectAction::Here(_) => redirect.fd == 0,
                _ => redirect.fd <= 2,
            };
            if !usual {
                self.saw("3> file, 3<&0, ... (descriptors above 2)");
            }
            match &redirect.action {
                RedirectAction::Read(word) => self.target("< file", word),
                RedirectAction::Write(word) => self.target("> file", word),
                RedirectAction::Clobber(word) => self.target(">| file", word),
                RedirectAction::Append(word) => self.target(">> file", word),
                RedirectAction::ReadWrite(word) => self.target("<> file", word),
                RedirectAction::Duplicate(word) => {
                    let closes = word.literal() == Some("-");
                    self.target(if closes { ">&-" } else { ">&n" }, word);
                }
                RedirectAction::Both(word, _) => self.target("&> file", word),
                RedirectAction::HereString(word) => self.target("<<< w", word),
                RedirectAction::Here(body) => {
                    let Some(word) = body.get() else { continue };
                    self.saw(match word.0.as_slice() {
                        [Piece::DoubleQuoted(_)] => "<< end",
                        _ => "<< 'end'",
                    });
                    // The quotes are ours: the body of a here-document is expanded as between them.
                    if let [Piece::DoubleQuoted(inner)] = word.0.as_slice() {
                        self.pieces(inner);
                    }
                }
            }
        }
    }

    fn target(&mut self, construct: &'static str, word: &Word) {
        self.saw(construct);
        self.word(word);
    }

    /// A word whose fields are pathnames if it is a pattern.
    fn field(&mut self, word: &Word) {
        for piece in &word.0 {
            if let Piece::Literal(text) = piece
                && (text.contains(['*', '?']) || text.contains('[') && text.contains(']'))
            {
                self.saw("pathname*");
            }
        }
        self.word(word);
    }

    /// A word that is a pattern.
    fn pattern(&mut self, word: &Word) {
        for piece in &word.0 {
            match piece {
                Piece::Literal(text) => {
                    if text.contains('*') {
                        self.saw("* (pattern)");
                    }
                    if text.contains('?') {
                        self.saw("? (pattern)");
                    }
                    if text.contains('[') {
                        self.saw("[a-z] (pattern)");
                    }
                }
                Piece::Parameter(_) | Piece::Command(_) => self.saw("$x (pattern)"),
                _ => {}
            }
        }
        self.word(word);
    }

    fn word(&mut self, word: &Word) {
        self.pieces(&word.0);
    }

    fn pieces(&mut self, pieces: &[Piece]) {
        for piece in pieces {
            match piece {
                Piece::Literal(_) => {}
                Piece::Quoted(_) => self.saw("'w'"),
                Piece::DoubleQuoted(inner) => {
                    self.saw("\"w\"");
                    self.pieces(inner);
                }
                Piece::Tilde { user, .. } => self.saw(if user.is_empty() { "~" } else { "~user" }),
                Piece::Parameter(expansion) => self.expansion(expansion),
                Piece::Command(list) => {
                    self.saw("$(a)");
                    let line = self.line;
                    self.list(list);
                    self.line = line;
                }
                Piece::Arithmetic(word) => {
                    self.saw("$((w))");
                    self.word(word);
                }
            }
        }
    }

    fn expansion(&mut self, expansion: &Expansion) {
        self.saw(match &expansion.parameter {
            Parameter::Named(_) => "$x",
            Parameter::Element(..) | Parameter::Indexed(..) => "${x[n]}",
            Parameter::Elements(..) => "${x[@]}",
            Parameter::Positional(_) => "$1",
            Parameter::Special('@') => "$@",
            Parameter::Special('*') => "$*",
            Parameter::Special('#') => "$#",
            Parameter::Special('?') => "$?",
            Parameter::Special('-') => "$-",
            Parameter::Special('$') => "$$",
            Parameter::Special('!') => "$!",
            Parameter::Special(_) => "$0",
        });
        if let Parameter::Element(_, index) = &expansion.parameter {
            self.word(index);
        }
        match &expansion.operation {
            Operation::Value => {}
            Operation::Length => self.saw("${#x}"),
            Operation::Default(colon, word) => self.target(if *colon { "${x:-w}" } else { "${x-w}" }, word),
            Operation::Assign(colon, word) => self.target(if *colon { "${x:=w}" } else { "${x=w}" }, word),
            Operation::Error(colon, word) => self.target(if *colon { "${x:?w}" } else { "${x?w}" }, word),
            Operation::Alternative(colon, word) => self.target(if *colon { "${x:+w}" } else { "${x+w}" }, word),
            Operation::Trim {
                suffix,
                longest,
                pattern,
            } => {
                self.saw(match (suffix, longest) {
                    (false, false) => "${x#p}",
                    (false, true) => "${x##p}",
                    (true, false) => "${x%p}",
                    (true, true) => "${x%%p}",
                });
                self.pattern(pattern);
            }
            Operation::Replace {
                all,
                pattern,
                replacement,
            } => {
                self.saw(if *all { "${x//p/w}" } else { "${x/p/w}" });
                self.pattern(pattern);
                self.word(replacement);
            }
            Operation::Substring { offset, length } => {
                self.target("${x:n:m}", offset);
                if let Some(length) = length {
                    self.word(length);
                }
            }
            Operation::Bad(_) => self.saw("${x!w} (no expansion of a shell)"),
        }
    }
}

/// The text of a word with [`PLACEHOLDER`] for its expansions, and whether there are none.
fn known(word: &Word) -> (String, bool) {
    let mut text = String::new();
    let fixed = gather(&word.0, &mut text);
    (text, fixed)
}

fn gather(pieces: &[Piece], text: &mut String) -> bool {
    let mut fixed = true;
    for piece in pieces {
        match piece {
            Piece::Literal(part) | Piece::Quoted(part) => text.push_str(part),
            Piece::DoubleQuoted(inner) => fixed &= gather(inner, text),
            Piece::Tilde { user, .. } => {
                text.push('~');
                text.push_str(user);
            }
            Piece::Parameter(_) | Piece::Command(_) | Piece::Arithmetic(_) => {
                text.push_str(PLACEHOLDER);
                fixed = false;
            }
        }
    }
    fixed
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inventory(text: &str) -> Inventory {
        read(text).unwrap().expect("a shell script")
    }

    #[test]
    fn constructs_are_told_with_their_first_line() {
        let found = inventory("#!/bin/sh\nset -e\nif [ -n \"${1:-}\" ]; then\n  cat <<E | sed s/a/b/\n$(id)\nE\nfi\n");
        let names: Vec<&str> = found.constructs.keys().copied().collect();
        assert_eq!(
            names,
            ["\"w\"", "$(a)", "$1", "${x:-w}", "<< end", "a | b", "if a; then b; fi"]
        );
        assert_eq!(found.constructs["<< end"], 4);
        assert!(!found.bash);
    }

    #[test]
    fn words_of_calls_are_known_but_for_their_expansions() {
        let found = inventory("chown -R \"$u:$g\" 'a b'\nf() { rm -f x; }\n");
        let call = &found.calls[0];
        assert_eq!(call.words, ["chown", "-R", "0:0", "a b"]);
        assert_eq!(call.fixed, [true, true, false, true]);
        assert_eq!((found.calls[1].words[0].as_str(), found.calls[1].line), ("rm", 2));
        assert!(found.functions.contains("f"));
    }

    #[test]
    fn scripts_in_words_are_read_too() {
        let found = inventory("trap 'rm -f a' EXIT\neval 'touch b' c\nsh -ec 'mv d e'\neval \"$x\"\n");
        let names: Vec<&str> = found.calls.iter().map(|call| call.words[0].as_str()).collect();
        assert_eq!(names, ["rm", "trap", "touch", "eval", "mv", "sh", "eval"]);
        assert_eq!(found.calls[4].line, 3);
    }

    #[test]
    fn other_interpreters_are_none_and_errors_have_a_line() {
        assert_eq!(read("#!/usr/bin/perl\n").unwrap(), None);
        assert_eq!(
            read("true\nif true; fi\n").unwrap_err().to_string(),
            "line 2: \"fi\" unexpected (expecting \"then\")"
        );
        assert!(
            inventory("#!/bin/bash\n[[ -n $x ]]\n")
                .constructs
                .contains_key("[[ w ]]")
        );
    }
}
