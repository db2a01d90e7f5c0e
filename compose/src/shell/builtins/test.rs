use crate::shell::state::{Run, Shell};
use crate::shell::syntax::TestExpr;
use crate::tree::{Follow, Inode, Kind};

/// Operators of one operand.
const UNARY: &str = "bcdefghkLnOGprsStuwxz";

/// Operators of two operands; `==`, `<`, `>` as bash has them, the latter two dash as well.
const BINARY: &[&str] = &[
    "=", "==", "!=", "<", ">", "-eq", "-ne", "-gt", "-ge", "-lt", "-le", "-nt", "-ot", "-ef",
];

/// `[ … ]`
pub(super) fn bracket(shell: &mut Shell<'_>, args: &[String]) -> Run {
    match args.split_last() {
        Some((last, args)) if last == "]" && !args.is_empty() => evaluate(shell, "[", &args[1..]),
        _ => Err(shell.error("[: missing ]")),
    }
}

/// `test …`
pub(super) fn test(shell: &mut Shell<'_>, args: &[String]) -> Run {
    evaluate(shell, "test", &args[1..])
}

fn evaluate(shell: &mut Shell<'_>, name: &str, args: &[String]) -> Run {
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let mut test = Test {
        shell,
        words: &words,
        at: 0,
        nesting: 0,
    };
    let result = match words.as_slice() {
        [] => Ok(false),
        // The counts of words that POSIX decides by, whatever the words look like.
        [word] => Ok(!word.is_empty()),
        ["!", word] => Ok(word.is_empty()),
        [left, operator, right] if BINARY.contains(operator) => test.binary(left, operator, right),
        ["!", left, operator, right] if BINARY.contains(operator) => test.binary(left, operator, right).map(|yes| !yes),
        _ => test.whole(),
    };
    match result {
        Ok(yes) => Ok(u8::from(!yes)),
        Err(Wrong(message)) => Err(shell.error(&format!("{name}: {message}"))),
    }
}

/// An expression that means nothing.
struct Wrong(String);

struct Test<'t, 's> {
    shell: &'t Shell<'s>,
    words: &'t [&'t str],
    at: usize,
    nesting: u32,
}

impl<'t> Test<'t, '_> {
    fn whole(&mut self) -> Result<bool, Wrong> {
        let result = self.or()?;
        match self.words.get(self.at) {
            None => Ok(result),
            Some(word) => Err(Wrong(format!("{word}: unexpected operator"))),
        }
    }

    fn take(&mut self, word: &str) -> bool {
        let found = self.words.get(self.at) == Some(&word);
        self.at += usize::from(found);
        found
    }

    fn or(&mut self) -> Result<bool, Wrong> {
        let mut result = self.and()?;
        while self.take("-o") {
            let right = self.and()?;
            result = result || right;
        }
        Ok(result)
    }

    fn and(&mut self) -> Result<bool, Wrong> {
        let mut result = self.not()?;
        while self.take("-a") {
            let right = self.not()?;
            result = result && right;
        }
        Ok(result)
    }

    fn not(&mut self) -> Result<bool, Wrong> {
        self.nesting += 1;
        if self.nesting > 200 {
            return Err(Wrong("expression nested too deeply".to_owned()));
        }
        let result = match self.words.get(self.at..) {
            // `!` is an operand where nothing follows, or where a binary operator does.
            Some(["!", rest @ ..]) if !(rest.is_empty() || rest.len() >= 2 && BINARY.contains(&rest[0])) => {
                self.at += 1;
                self.not().map(|yes| !yes)
            }
            _ => self.primary(),
        };
        self.nesting -= 1;
        result
    }

    fn primary(&mut self) -> Result<bool, Wrong> {
        let rest: &'t [&'t str] = self.words.get(self.at..).unwrap_or_default();
        match rest {
            [] => Err(Wrong("argument expected".to_owned())),
            [left, operator, right, ..] if BINARY.contains(operator) => {
                self.at += 3;
                self.binary(left, operator, right)
            }
            ["(", ..] => {
                self.at += 1;
                let result = self.or()?;
                if !self.take(")") {
                    return Err(Wrong("closing paren expected".to_owned()));
                }
                Ok(result)
            }
            [operator, operand, ..] if is_unary(operator) => {
                self.at += 2;
                Ok(unary(self.shell, operator, operand))
            }
            [word, ..] => {
                self.at += 1;
                Ok(!word.is_empty())
            }
        }
    }

    fn binary(&self, left: &str, operator: &str, right: &str) -> Result<bool, Wrong> {
        if operator == "==" && !self.shell.state.bash {
            return Err(Wrong(format!("{left}: unexpected operator")));
        }
        binary(self.shell, left, operator, right)
    }
}

fn is_unary(word: &str) -> bool {
    word.len() == 2 && word.starts_with('-') && UNARY.contains(&word[1..])
}

fn integer(text: &str) -> Result<i64, Wrong> {
    let trimmed = text.trim();
    let digits = trimmed.strip_prefix('+').unwrap_or(trimmed);
    digits.parse().map_err(|_| Wrong(format!("Illegal number: {text}")))
}

fn binary(shell: &Shell<'_>, left: &str, operator: &str, right: &str) -> Result<bool, Wrong> {
    let tree = &shell.system.tree;
    let time = |path: &str| tree.stat(&shell.absolute(path)).ok().map(|inode| inode.mtime);
    Ok(match operator {
        "=" | "==" => left == right,
        "!=" => left != right,
        "<" => left < right,
        ">" => left > right,
        "-eq" => integer(left)? == integer(right)?,
        "-ne" => integer(left)? != integer(right)?,
        "-gt" => integer(left)? > integer(right)?,
        "-ge" => integer(left)? >= integer(right)?,
        "-lt" => integer(left)? < integer(right)?,
        "-le" => integer(left)? <= integer(right)?,
        "-nt" => time(left).zip(time(right)).is_some_and(|(left, right)| left > right),
        "-ot" => time(left).zip(time(right)).is_some_and(|(left, right)| left < right),
        "-ef" => {
            let inode = |path: &str| tree.lookup(&shell.absolute(path), Follow::Yes).ok();
            inode(left).is_some() && inode(left) == inode(right)
        }
        _ => return Err(Wrong(format!("{operator}: unexpected operator"))),
    })
}

/// We are root: everything may be read and written, and executed if anyone may.
fn unary(shell: &Shell<'_>, operator: &str, operand: &str) -> bool {
    let path = shell.absolute(operand);
    let tree = &shell.system.tree;
    let acting = tree.acting.unwrap_or((0, 0));
    let is = |check: fn(&Inode) -> bool| tree.stat(&path).is_ok_and(check);
    if path == "/dev/null" && matches!(operator, "-e" | "-c" | "-r" | "-w") {
        return true;
    }
    match operator {
        "-n" => !operand.is_empty(),
        "-z" => operand.is_empty(),
        "-h" | "-L" => tree.lstat(&path).is_ok_and(Inode::is_symlink),
        "-e" | "-r" | "-w" => is(|_| true),
        "-f" => is(Inode::is_file),
        "-d" => is(Inode::is_dir),
        "-b" => is(|inode| matches!(inode.kind, Kind::Block { .. })),
        "-c" => is(|inode| matches!(inode.kind, Kind::Char { .. })),
        "-p" => is(|inode| matches!(inode.kind, Kind::Fifo)),
        "-s" => is(|inode| match &inode.kind {
            Kind::File(content) => !content.is_empty(),
            Kind::Dir(_) => true,
            _ => false,
        }),
        "-u" => is(|inode| inode.mode & 0o4000 != 0),
        "-g" => is(|inode| inode.mode & 0o2000 != 0),
        "-k" => is(|inode| inode.mode & 0o1000 != 0),
        "-x" => is(|inode| inode.is_dir() || inode.mode & 0o111 != 0),
        "-O" => tree.stat(&path).is_ok_and(|inode| inode.uid == acting.0),
        "-G" => tree.stat(&path).is_ok_and(|inode| inode.gid == acting.1),
        // "-t" and "-S": no descriptor of ours is a terminal, and there are no sockets in a tree.
        _ => false,
    }
}

impl Shell<'_> {
    /// bash's `[[ … ]]`.
    pub(in crate::shell) fn extended_test(&mut self, expr: &TestExpr) -> Run<bool> {
        Ok(match expr {
            TestExpr::Not(inner) => !self.extended_test(inner)?,
            TestExpr::And(left, right) => self.extended_test(left)? && self.extended_test(right)?,
            TestExpr::Or(left, right) => self.extended_test(left)? || self.extended_test(right)?,
            TestExpr::Word(word) => !self.string(word)?.is_empty(),
            TestExpr::Unary(operator, word) => {
                let operand = self.string(word)?;
                if operator == "-v" {
                    return Ok(self.state.get(&operand).is_some());
                }
                if operator == "-a" {
                    return Ok(unary(self, "-e", &operand));
                }
                if !is_unary(operator) {
                    return Err(Self::unsupported("[[", format!("the operator {operator}")));
                }
                unary(self, operator, &operand)
            }
            TestExpr::Binary(left, operator, right) => {
                let left = self.string(left)?;
                if matches!(operator.as_str(), "=" | "==" | "!=") {
                    let letters: Vec<char> = left.chars().collect();
                    let pattern = self.pattern(right)?;
                    return Ok(self.matches(&pattern, &letters)? == (operator != "!="));
                }
                let right = self.string(right)?;
                match binary(self, &left, operator, &right) {
                    Ok(yes) => yes,
                    Err(Wrong(message)) => return Err(self.error(&format!("[[: {message}"))),
                }
            }
        })
    }
}
