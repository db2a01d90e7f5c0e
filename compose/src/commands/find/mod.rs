//! `find`.

use super::operands;
use crate::shell::process::{Command, Halt, Outcome, Process};
use crate::tree::{Errno, Follow, InodeId, Kind, TreeError};
use expression::{Expression, Global, Size, Test};

/// The expression: what is looked for and what is done with it.
mod expression;

/// `-printf`.
mod format;

/// From words to an expression.
mod parser;

pub(super) const COMMANDS: &[(&str, Command)] = &[("find", find)];

/// Whether symbolic links are followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Links {
    /// `-P`
    Never,
    /// `-H`
    Named,
    /// `-L`
    Always,
}

struct Search {
    expression: Expression,
    global: Global,
    links: Links,
    status: u8,
    /// Paths gathered for each `-exec … +`.
    batches: Vec<(Vec<String>, Vec<String>)>,
}

/// One file that is looked at.
struct Found<'a> {
    /// As it is printed.
    name: &'a str,
    id: InodeId,
    depth: usize,
    /// The starting point it lies under.
    start: &'a str,
}

fn find(process: &mut Process<'_>) -> Outcome {
    let mut words = &process.args[1..];
    let mut links = Links::Never;
    while let Some((first, rest)) = words.split_first() {
        links = match first.as_str() {
            "-P" => Links::Never,
            "-H" => Links::Named,
            "-L" => Links::Always,
            _ => break,
        };
        words = rest;
    }
    let count = words
        .iter()
        .take_while(|word| !word.starts_with('-') && !["(", "!", ")", ","].contains(&word.as_str()))
        .count();
    let mut starts = words[..count].to_vec();
    if starts.is_empty() {
        starts.push(".".to_owned());
    }
    let (expression, global) = parser::parse(process, &words[count..])?;
    if global.follow {
        links = Links::Always;
    }
    let mut search = Search {
        expression,
        global,
        links,
        status: 0,
        batches: Vec::new(),
    };
    for start in &starts {
        let path = process.path(start);
        let follow = if links == Links::Never { Follow::No } else { Follow::Yes };
        let tree = &process.system.tree;
        let found = tree.lookup(&path, follow).or_else(|_| tree.lookup(&path, Follow::No));
        match found {
            Ok(id) => search.visit(process, start, start, id, 0)?,
            Err(error) => {
                process.fail(&format!("'{start}': {}", error.errno));
                search.status = 1;
            }
        }
    }
    for (mut command, paths) in std::mem::take(&mut search.batches) {
        command.extend(paths);
        let status = process.spawn(&command, bytes::Bytes::new())?;
        if status != 0 {
            search.status = 1;
        }
    }
    Ok(search.status)
}

impl Search {
    fn visit(
        &mut self,
        process: &mut Process<'_>,
        start: &str,
        name: &str,
        id: InodeId,
        depth: usize,
    ) -> Result<(), Halt> {
        let deep = self.global.min_depth <= depth && depth <= self.global.max_depth;
        let found = Found { name, id, depth, start };
        let expression = self.expression.clone();
        let mut prune = false;
        if deep && !self.global.depth_first {
            self.holds(process, &expression, &found, &mut prune)?;
        }
        // The directory is read after the actions: they may have changed it.
        let names: Vec<(String, InodeId)> = match &process.system.tree.inode(id).kind {
            Kind::Dir(entries) if !prune && depth < self.global.max_depth => {
                entries.iter().map(|(name, &id)| (name.clone(), id)).collect()
            }
            _ => Vec::new(),
        };
        for (child, mut child_id) in names {
            let path = format!(
                "{}/{child}",
                if name == "/" {
                    ""
                } else {
                    name.strip_suffix('/').unwrap_or(name)
                }
            );
            if self.links == Links::Always {
                let real = process.path(&path);
                child_id = process.system.tree.lookup(&real, Follow::Yes).unwrap_or(child_id);
            }
            self.visit(process, start, &path, child_id, depth + 1)?;
        }
        if deep && self.global.depth_first {
            self.holds(process, &expression, &found, &mut prune)?;
        }
        Ok(())
    }

    fn holds(
        &mut self,
        process: &mut Process<'_>,
        expression: &Expression,
        found: &Found<'_>,
        prune: &mut bool,
    ) -> Result<bool, Halt> {
        Ok(match expression {
            Expression::And(left, right) => {
                self.holds(process, left, found, prune)? && self.holds(process, right, found, prune)?
            }
            Expression::Or(left, right) => {
                self.holds(process, left, found, prune)? || self.holds(process, right, found, prune)?
            }
            Expression::List(left, right) => {
                self.holds(process, left, found, prune)?;
                self.holds(process, right, found, prune)?
            }
            Expression::Not(inner) => !self.holds(process, inner, found, prune)?,
            Expression::Test(test) => self.test(process, test, found, prune)?,
        })
    }

    fn test(
        &mut self,
        process: &mut Process<'_>,
        test: &Test,
        found: &Found<'_>,
        prune: &mut bool,
    ) -> Result<bool, Halt> {
        let inode = process.system.tree.inode(found.id);
        Ok(match test {
            Test::True => true,
            Test::False => false,
            Test::Name(pattern) => pattern.matches(match operands::base(found.name) {
                "" => "/",
                base => base,
            }),
            Test::Path(pattern) => pattern.matches(found.name),
            Test::Regex(pattern) => pattern.is_match(found.name.as_bytes()),
            Test::LinkName(pattern) => matches!(&inode.kind, Kind::Symlink(target) if pattern.matches(target)),
            Test::Type(letters) => letters.contains(&letter(&inode.kind)),
            Test::User(uid) => inode.uid == *uid,
            Test::Group(gid) => inode.gid == *gid,
            Test::Uid(number) => number.fits(u64::from(inode.uid)),
            Test::Gid(number) => number.fits(u64::from(inode.gid)),
            Test::Permissions(mark, mode) => match mark {
                '-' => inode.mode & mode == *mode,
                '/' => *mode == 0 || inode.mode & mode != 0,
                _ => inode.mode == *mode,
            },
            Test::Links(number) => number.fits(super::stat::links(process, found.id) as u64),
            Test::Size(Size { number, unit }) => {
                let size = match &inode.kind {
                    Kind::File(content) => content.len() as u64,
                    Kind::Symlink(target) => target.len() as u64,
                    Kind::Dir(_) => 4096,
                    _ => 0,
                };
                number.fits(size.div_ceil(*unit))
            }
            Test::Empty => match &inode.kind {
                Kind::File(content) => content.is_empty(),
                Kind::Dir(entries) => entries.is_empty(),
                _ => false,
            },
            Test::Newer(time) => inode.mtime > *time,
            Test::Inum(id) => found.id == *id,
            Test::ModifiedDays(days) => {
                let age = u64::try_from(process.system.tree.now - inode.mtime).unwrap_or(0);
                days.fits(age / 86_400)
            }
            Test::Prune => {
                *prune = !self.global.depth_first;
                true
            }
            Test::Print(end) => {
                process.stdout.extend_from_slice(found.name.as_bytes());
                process.stdout.push(*end);
                true
            }
            Test::Format(format) => {
                let shown = format.show(process, found.name, found.start, found.depth, found.id)?;
                process.stdout.extend(shown);
                true
            }
            Test::Delete => self.delete(process, found.name),
            Test::Exec { words, in_directory } => Self::execute(process, words, *in_directory, found.name)?,
            Test::ExecAll(words) => {
                match self.batches.iter_mut().find(|(command, _)| command == words) {
                    Some((_, paths)) => paths.push(found.name.to_owned()),
                    None => self.batches.push((words.clone(), vec![found.name.to_owned()])),
                }
                true
            }
        })
    }

    fn delete(&mut self, process: &mut Process<'_>, name: &str) -> bool {
        let path = process.path(name);
        let tree = &mut process.system.tree;
        let done = match tree.unlink(&path) {
            Err(TreeError {
                errno: Errno::IsDir, ..
            }) => tree.rmdir(&path),
            done => done,
        };
        if let Err(error) = &done {
            process.fail(&format!("cannot delete '{name}': {}", error.errno));
            self.status = 1;
        }
        done.is_ok()
    }

    fn execute(process: &mut Process<'_>, words: &[String], in_directory: bool, name: &str) -> Result<bool, Halt> {
        let shown = if in_directory {
            format!("./{}", operands::base(name))
        } else {
            name.to_owned()
        };
        let words: Vec<String> = words.iter().map(|word| word.replace("{}", &shown)).collect();
        let cwd = process.cwd.clone();
        if in_directory {
            let parent = process.path(operands::parent(name));
            process.cwd = process.system.tree.canonical(&parent).unwrap_or(parent);
        }
        let status = process.spawn(&words, bytes::Bytes::new());
        process.cwd = cwd;
        Ok(status? == 0)
    }
}

/// The letter of `-type` and `%y`.
fn letter(kind: &Kind) -> char {
    match kind {
        Kind::Dir(_) => 'd',
        Kind::File(_) => 'f',
        Kind::Symlink(_) => 'l',
        Kind::Char { .. } => 'c',
        Kind::Block { .. } => 'b',
        Kind::Fifo => 'p',
    }
}

#[cfg(test)]
mod tests {
    use crate::commands::oracle::{ours, real, with_process};

    const START: &[&str] = &[
        "a=1",
        "b.txt=22",
        "empty=",
        "d/",
        "d/c.txt=x",
        "d/e/",
        "d/e/f.bak=y",
        "void/",
        "l->d",
        "lf->a",
        "dangling->no",
        "d/.hidden=h",
    ];

    /// The order of a directory is the host's own: lines are compared sorted.
    #[track_caller]
    fn same(args: &[&str]) {
        let sorted = |text: &str| {
            let mut lines: Vec<String> = text.split_inclusive(['\n', '\0']).map(str::to_owned).collect();
            lines.sort();
            lines
        };
        let (mine, theirs) = (ours(START, args, ""), real(START, &[args], ""));
        assert_eq!(sorted(&mine.stdout), sorted(&theirs.stdout), "{args:?}");
        assert_eq!((mine.status, &mine.files), (theirs.status, &theirs.files), "{args:?}");
    }

    #[test]
    fn does_what_find_does() {
        for line in [
            "find",
            "find d",
            "find d/",
            "find ./d -type f",
            "find . -name *.txt",
            "find . -iname *.TXT",
            "find . -path ./d/*",
            "find . -maxdepth 1",
            "find . -mindepth 1 -maxdepth 1 -type d",
            "find . -type l",
            "find -L . -type d",
            "find -H l",
            "find l",
            "find l/",
            "find . -type f,l",
            "find . -empty",
            "find . -size 0",
            "find . -size -1k",
            "find . -size +1c",
            "find . -links 1 -type f",
            "find . ! -type d",
            "find . -not -name a",
            "find . -name a -o -name b.txt",
            "find . ( -name a -o -name b.txt ) -print0",
            "find . -name d -prune -o -print",
            "find . -name a -print -o -name d",
            "find . -perm 644",
            "find . -perm -444 -type f",
            "find . -perm /111 -type d",
            "find . -depth -name *.bak",
            "find . -name *.bak -delete",
            "find d -delete",
            "find void -type d -delete",
            "find nothing",
            "find nothing a",
            "find . -name a -exec cat {} ;",
            "find . -name *.txt -exec basename {} .txt ;",
            "find . -type f -name *.txt -exec rm {} +",
            "find . -regex .*/c.txt",
            "find . -false",
            "find . -true -name a",
            "find . -lname d",
            "find . -user 0",
            "find . -maxdepth 1 -name d -printf %p:%f:%y:%d:%P:%m\\n",
            "find . -xdev -name a",
            "find . -maxdepth 0 -empty",
        ] {
            same(&line.split(' ').collect::<Vec<_>>());
        }
    }
    #[test]
    fn regular_expressions_are_of_the_type_asked_for() {
        for line in [
            "find . -regex ./a+b",
            r"find . -regex ./a\+b",
            r"find . -regex ./a\{2\}b",
            "find . -regex ./a{2}b",
            "find . -regex ./a?b",
            r"find . -regex ./\(ab\)+",
            r"find . -regex ./ab\|./b",
            "find . -regex ./ab|./b",
            "find . -regex ./[[:alpha:]]*",
            "find . -iregex ./A*B",
            "find . -regextype posix-basic -regex ./a+b",
            r"find . -regextype posix-basic -regex ./a\{2\}b",
            "find . -regextype posix-basic -regex ./[[:alpha:]]*",
            "find . -regextype posix-extended -regex ./a{2}b",
            "find . -regextype posix-extended -regex ./(ab)+|./b",
            "find . -regextype posix-egrep -regex ./(ab)+|./b",
            "find . -regextype egrep -regex ./a{2}b",
            "find . -regextype emacs -regex ./a+b",
            "find . -regex ./a{2}b -o -regextype posix-extended -regex ./a{2}b",
            "find . -regextype posix-extended -regex ./a{2}b -o -regextype findutils-default -regex ./a{2}b",
        ] {
            let start = &["ab=", "aab=", "aaab=", "a+b=", "a{2}b=", "b=", "abab="];
            let words: Vec<&str> = line.split(' ').collect();
            let sorted = |text: String| {
                text.lines()
                    .map(str::to_owned)
                    .collect::<std::collections::BTreeSet<_>>()
            };
            let (mine, theirs) = (ours(start, &words, ""), real(start, &[&words], ""));
            assert_eq!(sorted(mine.stdout), sorted(theirs.stdout), "{line}");
        }
        let halt = with_process(
            &["find", ".", "-regextype", "posix-awk", "-regex", "x"],
            b"",
            super::find,
        );
        let text = halt.unwrap_err().to_string();
        assert_eq!(text, "`find`: -regextype posix-awk is not supported");
    }
}
