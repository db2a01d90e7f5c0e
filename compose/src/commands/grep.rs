//! `grep`, `egrep`, `fgrep`.

use bytes::Bytes;

use super::arguments::Arguments;
use super::operands;
use super::regular_expression::{Dialect, Extent, Flags, Pattern};
use crate::shell::process::{Command, Halt, Outcome, Process};
use crate::tree::Errno;

pub(super) const COMMANDS: &[(&str, Command)] = &[("egrep", grep), ("fgrep", grep), ("grep", grep)];

const OPTIONS: &[&str] = &[
    "-E --extended-regexp",
    "-F --fixed-strings",
    "-G --basic-regexp",
    "-e --regexp =",
    "-f --file =",
    "-i --ignore-case",
    "-y",
    "-v --invert-match",
    "-w --word-regexp",
    "-x --line-regexp",
    "-c --count",
    "-L --files-without-match",
    "-l --files-with-matches",
    "-m --max-count =",
    "-o --only-matching",
    "-q --quiet --silent",
    "-s --no-messages",
    "-H --with-filename",
    "-h --no-filename",
    "-n --line-number",
    "-z --null-data",
    "-A --after-context =",
    "-B --before-context =",
    "-C --context =",
    "-a --text",
    "-r --recursive",
    "-R --dereference-recursive",
    "--color --colour [=]",
    "--line-buffered",
    "--include =",
];

/// What is looked for, and how much around it is shown.
#[expect(clippy::struct_excessive_bools, reason = "one for each of grep's options")]
struct Search {
    patterns: Vec<Pattern>,
    invert: bool,
    end: u8,
    limit: usize,
    before: usize,
    after: usize,
    names: bool,
    numbers: bool,
    only: bool,
}

fn grep(process: &mut Process<'_>) -> Outcome {
    let args = Arguments::of(process, OPTIONS)?;
    let mut files = args.operands.clone();
    let search = match Search::read(process, &args, &mut files)? {
        Ok(search) => search,
        Err(text) => {
            process.fail(&text);
            return Ok(2);
        }
    };
    let recursive = args.has("-r") || args.has("-R");
    if files.is_empty() {
        files.push(if recursive { ".".to_owned() } else { "-".to_owned() });
    }
    let mut failed = false;
    if recursive {
        files = expand(process, &files, args.has("-R"), args.value("--include"));
    }
    let mut any = false;
    for name in &files {
        let content = match operands::read(process, name)? {
            Ok(content) => content,
            Err(error) if error.errno == Errno::IsDir => {
                failed = true;
                if !args.has("-s") {
                    process.fail(&format!("{name}: Is a directory"));
                }
                continue;
            }
            Err(error) => {
                failed = true;
                if !args.has("-s") {
                    process.fail(&format!("{name}: {}", error.errno));
                }
                continue;
            }
        };
        any |= one_file(process, &args, &search, name, &content);
    }
    Ok(match (any, failed) {
        (true, false) => 0,
        (true, true) if args.has("-q") => 0,
        (_, true) => 2,
        (false, false) => 1,
    })
}

/// The files below the operands that are directories, in order.
fn expand(process: &Process<'_>, names: &[String], follow: bool, include: Option<&str>) -> Vec<String> {
    let tree = &process.system.tree;
    let glob = include
        .and_then(|glob| globset::Glob::new(glob).ok())
        .map(|glob| glob.compile_matcher());
    let mut files = Vec::new();
    for name in names {
        let path = process.path(name);
        if !tree.is_dir(&path) {
            files.push(name.clone());
            continue;
        }
        for (below, id) in tree.walk(&path).unwrap_or_default() {
            let readable = tree.inode(id).is_file() || follow && tree.is_file(&below);
            let wanted = glob.as_ref().is_none_or(|glob| glob.is_match(operands::base(&below)));
            if readable && wanted {
                files.push(format!(
                    "{}{}",
                    name.trim_end_matches('/'),
                    &below[path.trim_end_matches('/').len()..]
                ));
            }
        }
    }
    files
}

impl Search {
    /// Takes the pattern out of the operands where no option gave one. The inner error is a sentence for the user.
    fn read(
        process: &mut Process<'_>,
        args: &Arguments,
        files: &mut Vec<String>,
    ) -> Result<Result<Self, String>, Halt> {
        let mut texts: Vec<String> = Vec::new();
        for (option, value) in args.options() {
            match (option, value) {
                ("-e", Some(text)) => texts.extend(text.split('\n').map(str::to_owned)),
                ("-f", Some(file)) => match operands::read(process, file)? {
                    Ok(content) => {
                        let lines = operands::lines(&content, b'\n');
                        texts.extend(lines.map(|line| String::from_utf8_lossy(line).into_owned()));
                    }
                    Err(error) => return Ok(Err(format!("{file}: {}", error.errno))),
                },
                _ => {}
            }
        }
        if !args.has("-e") && !args.has("-f") {
            if files.is_empty() {
                return Ok(Err("a pattern is needed".to_owned()));
            }
            texts.extend(files.remove(0).split('\n').map(str::to_owned));
        }
        let dialect = match (args.last(&["-E", "-F", "-G"]), process.args[0].as_str()) {
            (Some("-E"), _) | (None, "egrep") => Dialect::Extended,
            (Some("-F"), _) | (None, "fgrep") => Dialect::Fixed,
            _ => Dialect::Basic,
        };
        let flags = Flags {
            ignore_case: args.has("-i") || args.has("-y"),
            multiline: false,
            extent: match (args.has("-x"), args.has("-w")) {
                (true, _) => Extent::All,
                (_, true) => Extent::Words,
                _ => Extent::Part,
            },
        };
        let mut patterns = Vec::new();
        for text in &texts {
            let unknown = |what| process.unsupported(format!("pattern '{text}' ({what})"));
            patterns.push(Pattern::with(text, dialect, flags).map_err(unknown)?);
        }
        let number = |option, default: usize| match args.value(option) {
            None => Ok(default),
            Some(text) => text
                .parse()
                .map_err(|_| process.unsupported(format!("{option} {text}"))),
        };
        let around = number("-C", 0)?;
        Ok(Ok(Self {
            patterns,
            invert: args.has("-v"),
            end: if args.has("-z") { 0 } else { b'\n' },
            limit: number("-m", usize::MAX)?,
            before: number("-B", around)?,
            after: number("-A", around)?,
            names: match args.last(&["-H", "-h"]) {
                Some(option) => option == "-H",
                None => {
                    args.operands.len() > usize::from(!args.has("-e") && !args.has("-f")) + 1
                        || args.has("-r")
                        || args.has("-R")
                }
            },
            numbers: args.has("-n"),
            only: args.has("-o"),
        }))
    }

    fn selects(&self, line: &[u8]) -> bool {
        self.patterns.iter().any(|pattern| pattern.is_match(line)) != self.invert
    }

    /// The matched parts of a line, leftmost and then longest first, none empty.
    fn parts<'a>(&self, line: &'a [u8]) -> Vec<&'a [u8]> {
        let mut found = Vec::new();
        let mut at = 0;
        while at <= line.len() {
            let spans = self.patterns.iter().filter_map(|pattern| pattern.find(line, at));
            let Some((from, to)) = spans.min_by_key(|&(from, to)| (from, usize::MAX - to)) else {
                break;
            };
            if to > from {
                found.push(&line[from..to]);
            }
            at = to.max(from + usize::from(to == from));
        }
        found
    }
}

/// Searches one file and shows what was asked for; answers whether a line was selected (with `-L`: whether the name was
/// listed).
fn one_file(process: &mut Process<'_>, args: &Arguments, search: &Search, name: &str, content: &Bytes) -> bool {
    let lines: Vec<&[u8]> = operands::lines(content, search.end).collect();
    let selected = lines
        .iter()
        .enumerate()
        .filter(|(_, line)| search.selects(line))
        .map(|(at, _)| at);
    let stop = if args.has("-q") || args.has("-l") || args.has("-L") {
        1
    } else {
        usize::MAX
    };
    let selected: Vec<usize> = selected.take(search.limit.min(stop)).collect();
    let any = !selected.is_empty();
    let shown = if name == "-" { "(standard input)" } else { name };
    if args.has("-q") {
        return any;
    }
    if let Some(option) = args.last(&["-l", "-L"]) {
        if (option == "-l") == any {
            process.say(shown);
            return true;
        }
        return false;
    }
    if args.has("-c") {
        let prefix = if search.names {
            format!("{shown}:")
        } else {
            String::new()
        };
        process.say(&format!("{prefix}{}", selected.len()));
        return any;
    }
    if any && content.contains(&0) && search.end != 0 && !args.has("-a") {
        process.say(&format!("{}: {shown}: binary file matches", process.args[0].clone()));
        return any;
    }
    show(process, search, shown, &lines, &selected);
    any
}

fn show(process: &mut Process<'_>, search: &Search, name: &str, lines: &[&[u8]], selected: &[usize]) {
    let mut next = 0;
    for (index, &at) in selected.iter().enumerate() {
        if search.only && search.invert {
            break;
        }
        let context = search.before + search.after > 0 && !search.only;
        let from = at.saturating_sub(search.before).max(next);
        if context && index > 0 && from > next {
            process.say("--");
        }
        if context {
            for (number, line) in lines.iter().enumerate().take(at).skip(from) {
                put(process, search, name, number, '-', line);
            }
        }
        if search.only {
            for part in search.parts(lines[at]) {
                put(process, search, name, at, ':', part);
            }
        } else {
            put(process, search, name, at, ':', lines[at]);
        }
        next = at + 1;
        if context {
            let until = selected
                .get(index + 1)
                .copied()
                .unwrap_or(usize::MAX)
                .min(at + 1 + search.after)
                .min(lines.len());
            for (number, line) in lines.iter().enumerate().take(until).skip(at + 1) {
                put(process, search, name, number, '-', line);
            }
            next = until;
        }
    }
}

fn put(process: &mut Process<'_>, search: &Search, name: &str, at: usize, mark: char, text: &[u8]) {
    if search.names {
        process.stdout.extend_from_slice(format!("{name}{mark}").as_bytes());
    }
    if search.numbers {
        process.stdout.extend_from_slice(format!("{}{mark}", at + 1).as_bytes());
    }
    process.stdout.extend_from_slice(text);
    process.stdout.push(search.end);
}

#[cfg(test)]
mod tests {
    use crate::commands::oracle::{same, same_filter};

    const TEXT: &str = "root:x:0\ndaemon:x:1\nfoo.bar\nfooXbar\na*b\nab\naab\n\nsay foo now\nword_word\n[x]\nend$\n^start\na|b\n{2}\nAAA\n";

    #[test]
    fn patterns() {
        for pattern in [
            "foo.bar",
            "foo\\.bar",
            "^root",
            "1$",
            "a*b",
            "^a*b$",
            "*b",
            "\\(a\\)\\{2\\}",
            "a\\{2\\}",
            "x\\|y",
            "fo\\+",
            "fo\\?o",
            "[[:digit:]]",
            "[^:a-z]",
            "[]x]",
            "\\[x]",
            "^$",
            "end$",
            "d$",
            "\\$",
            "\\^s",
            "a^b",
            "s^",
            "$x",
            "\\bfoo\\b",
            "\\<word",
            "word\\>",
            "\\w\\w*:",
            "\\Sx",
            "a|b",
            "{2}",
            "+",
            "\\(root\\|daemon\\):",
            "[a-c]b",
            "x:[0-9]\\+",
            ".*",
            "",
        ] {
            same_filter(&["grep", "-n", pattern], TEXT);
            same_filter(&["grep", "-o", pattern], TEXT);
            // GNU's `grep -vc ''` says nothing instead of 0.
            if !pattern.is_empty() {
                same_filter(&["grep", "-c", "-i", "-v", pattern], TEXT);
            }
        }
        for pattern in [
            "foo|root",
            "^(root|daemon):",
            "a+b",
            "a?ab",
            "(a|ab)(b|$)",
            "x{1}",
            "a{2,}",
            "[[:space:]]+foo",
            "\\.",
            "a\\|b",
            "()",
            "(foo|fooX)bar",
            "A{1,2}",
        ] {
            same_filter(&["grep", "-E", "-n", pattern], TEXT);
            same_filter(&["egrep", "-o", pattern], TEXT);
        }
    }

    #[test]
    fn options() {
        let start = &[
            "a=one\ntwo\nthree\nfour\nfive\nsix\nseven\n",
            "b=two\n2\n",
            "d/",
            "d/c=two more\n",
            "pats=one\nfive\n",
        ];
        for args in [
            &["grep", "two", "a", "b"][..],
            &["grep", "-h", "two", "a", "b"],
            &["grep", "-H", "two", "a"],
            &["grep", "-l", "two", "a", "b", "pats"],
            &["grep", "-L", "two", "a", "b", "pats"],
            &["grep", "-c", "t", "a", "b"],
            &["grep", "-q", "two", "nothing", "a"],
            &["grep", "-s", "two", "nothing"],
            &["grep", "two", "nothing", "a"],
            &["grep", "-qs", "zzz", "a"],
            &["grep", "-e", "one", "-e", "six", "a"],
            &["grep", "-f", "pats", "a"],
            &["grep", "-Fxq", "two", "a"],
            &["grep", "-Fx", "tw", "a"],
            &["grep", "-w", "two", "d/c"],
            &["grep", "-r", "two", "d"],
            &["grep", "-m1", "e", "a"],
            &["grep", "-A1", "two", "a"],
            &["grep", "-nB1", "-e", "two", "-e", "six", "a"],
            &["grep", "-C1", "-e", "one", "-e", "six", "a"],
            &["grep", "-vn", "e", "a"],
            &["grep", "two", "d"],
            &["fgrep", "-x", "2", "b"],
            &["grep", "one\nsix", "a"],
            &["grep", "--", "-x", "a"],
        ] {
            same(start, args, "");
        }
        same_filter(&["grep", "-z", "b"], "a\0b\0");
    }
}
