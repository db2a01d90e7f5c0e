//! The words of an expression, by precedence: `,`, `-o`, `-a`, `!`, then tests and parentheses.

use super::expression::{Expression, Global, Number, Size, Test, Wildcard};
use super::format::Format;
use crate::commands::regular_expression::{Dialect, Extent, Flags, Pattern};
use crate::commands::{mode, owners};
use crate::shell::process::{Halt, Process};
use crate::tree::Follow;

/// Words of an expression: parentheses nest as deep as there are words.
const MAX_WORDS: usize = 1000;

/// Reads an expression; what is empty or does not act prints.
pub(super) fn parse(process: &Process<'_>, words: &[String]) -> Result<(Expression, Global), Halt> {
    let mut parser = Parser {
        process,
        words,
        global: Global {
            min_depth: 0,
            max_depth: usize::MAX,
            depth_first: false,
            follow: false,
        },
        acts: false,
        dialect: Dialect::Emacs,
    };
    if words.len() > MAX_WORDS {
        return Err(process.unsupported(format!("an expression of {} words", words.len())));
    }
    let print = || Expression::Test(std::rc::Rc::new(Test::Print(b'\n')));
    if words.is_empty() {
        return Ok((print(), parser.global));
    }
    let mut expression = parser.list()?;
    if let Some(word) = parser.words.first() {
        return Err(process.unsupported(format!("'{word}' here")));
    }
    if !parser.acts {
        expression = Expression::And(Box::new(expression), Box::new(print()));
    }
    Ok((expression, parser.global))
}

struct Parser<'a, 'b> {
    process: &'a Process<'b>,
    words: &'a [String],
    global: Global,
    acts: bool,
    /// What `-regex` is written in from here on (`-regextype`).
    dialect: Dialect,
}

impl Parser<'_, '_> {
    fn take(&mut self, names: &[&str]) -> bool {
        let found = self.words.first().is_some_and(|word| names.contains(&word.as_str()));
        if found {
            self.words = &self.words[1..];
        }
        found
    }

    fn next(&mut self, of: &str) -> Result<String, Halt> {
        let (first, rest) = self
            .words
            .split_first()
            .ok_or_else(|| self.process.unsupported(format!("{of} without a value")))?;
        self.words = rest;
        Ok(first.clone())
    }

    fn list(&mut self) -> Result<Expression, Halt> {
        let mut left = self.or()?;
        while self.take(&[","]) {
            left = Expression::List(Box::new(left), Box::new(self.or()?));
        }
        Ok(left)
    }

    fn or(&mut self) -> Result<Expression, Halt> {
        let mut left = self.and()?;
        while self.take(&["-o", "-or"]) {
            left = Expression::Or(Box::new(left), Box::new(self.and()?));
        }
        Ok(left)
    }

    fn and(&mut self) -> Result<Expression, Halt> {
        let mut left = self.not()?;
        loop {
            let explicit = self.take(&["-a", "-and"]);
            let ends = |word: &String| ["-o", "-or", ",", ")"].contains(&word.as_str());
            if !explicit && self.words.first().is_none_or(ends) {
                return Ok(left);
            }
            left = Expression::And(Box::new(left), Box::new(self.not()?));
        }
    }

    fn not(&mut self) -> Result<Expression, Halt> {
        if self.take(&["!", "-not"]) {
            return Ok(Expression::Not(Box::new(self.not()?)));
        }
        if self.take(&["("]) {
            let inner = self.list()?;
            if !self.take(&[")"]) {
                return Err(self.process.unsupported("( without )"));
            }
            return Ok(inner);
        }
        let word = self.next("an operator")?;
        let test = self.test(&word)?;
        self.acts |= test.acts();
        Ok(Expression::Test(std::rc::Rc::new(test)))
    }

    fn number(&mut self, word: &str) -> Result<Number, Halt> {
        let text = self.next(word)?;
        Number::parse(&text).ok_or_else(|| self.process.unsupported(format!("{word} {text}")))
    }

    fn depth(&mut self, word: &str) -> Result<usize, Halt> {
        let text = self.next(word)?;
        text.parse()
            .map_err(|_| self.process.unsupported(format!("{word} {text}")))
    }

    fn wildcard(&mut self, word: &str, ignore_case: bool) -> Result<Wildcard, Halt> {
        let text = self.next(word)?;
        Wildcard::new(&text, ignore_case).ok_or_else(|| self.process.unsupported(format!("{word} {text}")))
    }

    fn test(&mut self, word: &str) -> Result<Test, Halt> {
        let tree = &self.process.system.tree;
        Ok(match word {
            "-maxdepth" => {
                self.global.max_depth = self.depth(word)?;
                Test::True
            }
            "-mindepth" => {
                self.global.min_depth = self.depth(word)?;
                Test::True
            }
            "-depth" | "-d" => {
                self.global.depth_first = true;
                Test::True
            }
            "-follow" => {
                self.global.follow = true;
                Test::True
            }
            // The tree is one file system.
            "-xdev" | "-mount" | "-noleaf" | "-ignore_readdir_race" | "-true" => Test::True,
            "-regextype" => {
                let kind = self.next(word)?;
                self.dialect = match kind.as_str() {
                    "findutils-default" | "emacs" => Dialect::Emacs,
                    "posix-basic" => Dialect::Basic,
                    "posix-extended" | "posix-egrep" | "egrep" => Dialect::Extended,
                    _ => return Err(self.process.unsupported(format!("-regextype {kind}"))),
                };
                Test::True
            }
            "-false" => Test::False,
            "-name" | "-iname" => Test::Name(self.wildcard(word, word == "-iname")?),
            "-path" | "-wholename" | "-ipath" => Test::Path(self.wildcard(word, word == "-ipath")?),
            "-lname" => Test::LinkName(self.wildcard(word, false)?),
            "-regex" | "-iregex" => {
                let text = self.next(word)?;
                let flags = Flags {
                    ignore_case: word == "-iregex",
                    multiline: false,
                    extent: Extent::All,
                };
                let unknown = |what| self.process.unsupported(format!("{word} '{text}' ({what})"));
                Test::Regex(Pattern::with(&text, self.dialect, flags).map_err(unknown)?)
            }
            "-type" => Test::Type(
                self.next(word)?
                    .split(',')
                    .filter_map(|letter| letter.chars().next())
                    .collect(),
            ),
            "-user" | "-group" => {
                let who = self.next(word)?;
                let id = if word == "-user" {
                    owners::uid(tree, &who)
                } else {
                    owners::gid(tree, &who)
                };
                let id = id.ok_or_else(|| self.process.unsupported(format!("{word} {who}: no such name; it")))?;
                if word == "-user" {
                    Test::User(id)
                } else {
                    Test::Group(id)
                }
            }
            "-nouser" | "-nogroup" => return Err(self.process.unsupported(word)),
            "-uid" => Test::Uid(self.number(word)?),
            "-gid" => Test::Gid(self.number(word)?),
            "-perm" => {
                let text = self.next(word)?;
                let mark = text.chars().next().filter(|first| "-/".contains(*first));
                let plain = text.trim_start_matches(['-', '/']);
                let mode =
                    mode::apply(plain, 0, false, 0).ok_or_else(|| self.process.unsupported(format!("-perm {text}")))?;
                Test::Permissions(mark.unwrap_or('='), mode)
            }
            "-links" => Test::Links(self.number(word)?),
            "-mtime" => Test::ModifiedDays(self.number(word)?),
            "-size" => Test::Size(self.size(word)?),
            "-empty" => Test::Empty,
            "-newer" | "-samefile" => {
                let name = self.next(word)?;
                let id = tree.lookup(&self.process.path(&name), Follow::Yes);
                let id = id.map_err(|error| self.process.unsupported(format!("{word} {name} ({})", error.errno)))?;
                if word == "-newer" {
                    Test::Newer(tree.inode(id).mtime)
                } else {
                    Test::Inum(id)
                }
            }
            "-prune" => Test::Prune,
            "-print" => Test::Print(b'\n'),
            "-print0" => Test::Print(0),
            "-printf" => Test::Format(Format(self.next(word)?)),
            "-delete" => {
                self.global.depth_first = true;
                Test::Delete
            }
            "-exec" | "-execdir" => self.exec(word)?,
            other => return Err(self.process.unsupported(other)),
        })
    }

    fn size(&mut self, word: &str) -> Result<Size, Halt> {
        let text = self.next(word)?;
        let unit = match text.chars().last() {
            Some('c') => 1,
            Some('w') => 2,
            Some('k') => 1 << 10,
            Some('M') => 1 << 20,
            Some('G') => 1 << 30,
            _ => 512,
        };
        let number = Number::parse(text.trim_end_matches(['b', 'c', 'w', 'k', 'M', 'G']));
        let number = number.ok_or_else(|| self.process.unsupported(format!("-size {text}")))?;
        Ok(Size { number, unit })
    }

    fn exec(&mut self, word: &str) -> Result<Test, Halt> {
        let mut words = Vec::new();
        loop {
            let next = self.next(word)?;
            if next == ";" {
                let in_directory = word == "-execdir";
                return Ok(Test::Exec { words, in_directory });
            }
            if next == "+" && words.last().is_some_and(|last| last == "{}") && word == "-exec" {
                words.pop();
                return Ok(Test::ExecAll(words));
            }
            words.push(next);
        }
    }
}
