//! `sed`: POSIX's editor with GNU's usual additions.

use bytes::Bytes;

use super::arguments::Arguments;
use super::operands;
use crate::shell::process::{Command, Halt, Outcome, Process};
use crate::tree::{Follow, Inode, Kind};
use machine::Machine;
use script::Script;

/// Input lines and the two buffers.
mod machine;

/// Reads a script.
mod parser;

/// What a script is.
mod script;

/// Replacements: `s///` at work.
mod substitution;

pub(super) const COMMANDS: &[(&str, Command)] = &[("sed", sed)];

const OPTIONS: &[&str] = &[
    "-n --quiet --silent",
    "-e --expression =",
    "-f --file =",
    "-i --in-place [=]",
    "-E --regexp-extended",
    "-r",
    "-s --separate",
    "-u --unbuffered",
    "-z --null-data",
    "--follow-symlinks",
    "--posix",
];

/// What a script that reads or writes other files needs of the process.
type Files<'a, 'b> = &'a mut Process<'b>;

fn sed(process: &mut Process<'_>) -> Outcome {
    let args = Arguments::of(process, OPTIONS)?;
    let mut files = args.operands.clone();
    let mut fragments = Vec::new();
    for (option, value) in args.options() {
        match (option, value) {
            ("-e", Some(text)) => fragments.push(text.to_owned()),
            ("-f", Some(name)) => match operands::read(process, name)? {
                Ok(text) => fragments.push(String::from_utf8_lossy(&text).trim_end_matches('\n').to_owned()),
                Err(error) => return Ok(process.fail(&format!("couldn't open file {name}: {}", error.errno))),
            },
            _ => {}
        }
    }
    if !args.has("-e") && !args.has("-f") {
        if files.is_empty() {
            return Ok(process.fail("a script is needed"));
        }
        fragments.push(files.remove(0));
    }
    let text = fragments.join("\n");
    let quiet = args.has("-n") || text == "#n" || text.starts_with("#n\n");
    let extended = args.has("-E") || args.has("-r");
    let script =
        parser::parse(&text, extended).map_err(|what| process.unsupported(format!("{what} in script '{text}'")))?;
    let end = if args.has("-z") { 0 } else { b'\n' };
    if args.has("-i") {
        let suffix = args.value("-i").map(str::to_owned);
        return in_place(
            process,
            &script,
            &files,
            quiet,
            end,
            suffix.as_deref(),
            args.has("--follow-symlinks"),
        );
    }
    let (contents, complete) = operands::read_all(process, &files)?;
    let texts: Vec<Bytes> = contents.into_iter().map(|(_, text)| text).collect();
    let batches: Vec<Vec<Bytes>> = if args.has("-s") {
        texts.into_iter().map(|text| vec![text]).collect()
    } else {
        vec![texts]
    };
    let mut status = if complete { 0 } else { 2 };
    for batch in batches {
        let done = Machine::new(&script, batch, quiet, end).run(process)?;
        process.stdout.extend_from_slice(&done.output);
        if let Some(code) = done.quit {
            status = code;
            break;
        }
    }
    Ok(status)
}

/// Edits each file on its own. Like GNU's, it makes a new file in the place of the old one, with its owner and mode:
/// another hard link keeps the old content, and a symbolic link becomes a file.
fn in_place(
    process: Files<'_, '_>,
    script: &Script,
    files: &[String],
    quiet: bool,
    end: u8,
    suffix: Option<&str>,
    follow: bool,
) -> Result<u8, Halt> {
    let mut status = 0;
    for name in files {
        let mut path = process.path(name);
        if follow {
            path = process.system.tree.canonical(&path).unwrap_or(path);
        }
        let content = match process.system.tree.read(&path) {
            Ok(content) => content,
            Err(error) => {
                process.fail(&format!("can't read {name}: {}", error.errno));
                status = 2;
                continue;
            }
        };
        let done = Machine::new(script, vec![content], quiet, end).run(process)?;
        let tree = &mut process.system.tree;
        let old = tree.stat(&path).ok().cloned();
        let backup = suffix.map(|suffix| match suffix.replace('*', operands::base(name)) {
            whole if suffix.contains('*') && whole.contains('/') => process_path(&process.cwd, &whole),
            whole if suffix.contains('*') => format!("{}/{whole}", operands::parent(&path)),
            suffix => format!("{path}{suffix}"),
        });
        let cleared = match backup {
            Some(backup) => tree.rename(&path, &backup),
            None => tree.unlink(&path),
        };
        if cleared.is_ok() && tree.lookup(&path, Follow::No).is_err() {
            let (mode, now) = (old.as_ref().map_or(0o644, |old| old.mode), tree.now);
            let mut inode = Inode::new(Kind::File(Bytes::from(done.output)), mode, now);
            if let Some(old) = old {
                (inode.uid, inode.gid) = (old.uid, old.gid);
            }
            if let Err(error) = tree.create(&path, inode) {
                status = process.fail(&format!("cannot write {name}: {}", error.errno)).max(4);
            }
        }
        if let Some(code) = done.quit {
            return Ok(code);
        }
    }
    Ok(status)
}

fn process_path(cwd: &str, name: &str) -> String {
    if name.starts_with('/') {
        name.to_owned()
    } else {
        format!("{cwd}/{name}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::oracle::{same, same_filter, with_process};
    use crate::shell::session::Session;

    const TEXT: &str =
        "root:x:0:0\n# comment\n\n  indented line  \nfoo=1\nbar=2\nfoo=3\nSTART\nin one\nin two\nEND\ntab\there\nlast";

    #[test]
    fn substitutions() {
        for script in [
            "s/o/0/",
            "s/o/0/g",
            "s/o/0/2",
            "s/o/0/2g",
            "s|:|/|g",
            "s/x*/-/g",
            "s/^/> /",
            "s/$/ </",
            "s/b*$//",
            "s/\\(.*\\)=\\(.*\\)/\\2=\\1/",
            "s/foo/[&]/",
            "s/foo/\\&/",
            "s/[0-9]/<&>/g",
            "s,/,\\,,g",
            "s/=/\\n/",
            "s/\\t/TAB/",
            "s/:/\\t/g",
            "s/[[:space:]]*$//",
            "s/^[[:space:]]*//",
            "s/FOO/x/I",
            "s/foo/x/Ig",
            "s/\\bline\\b/L/",
            "s/.*/\\U&/",
            "s/\\(.\\)\\(.*\\)/\\u\\1\\L\\2/",
            "s/o/\\\n/",
            "s/a\\|e/V/g",
            "s/in \\(one\\|two\\)/\\1/",
            "s/^#*foo=.*/new/",
            "/^foo/s//bar/",
            "s/\\./x/g",
            "s/\\(foo\\)\\?=/[\\1]/",
            "s/a/b/;s/b/c/",
            "s/o\\{2\\}/OO/",
            "s/\\//x/",
            "s/[/]/x/",
            "s/l.*e/X/p",
            "s/oo/aa/w out",
            "s/^$/empty/",
            "s/a.c//",
            "s/i/\\//g",
        ] {
            same_filter(&["sed", script], TEXT);
            same_filter(&["sed", "-n", script], TEXT);
        }
        for script in [
            "s/(.*)=(.*)/\\2 \\1/",
            "s/[[:space:]]+/ /g",
            "s/^(#|$)/X/",
            "s/o+|a/V/g",
            "s/(foo|bar)=([0-9])/\\2\\1/",
            "s/a{1}/b/",
            "s/\\(/x/",
            "s/x?y*/z/2",
        ] {
            same_filter(&["sed", "-E", script], TEXT);
            same_filter(&["sed", "-r", script], TEXT);
        }
    }

    #[test]
    fn addresses_and_commands() {
        for script in [
            "1d",
            "$d",
            "2,4d",
            "/foo/d",
            "/foo/!d",
            "/START/,/END/d",
            "/START/,/END/p",
            "/START/,+1d",
            "2~3d",
            "0~4d",
            "0,/foo/d",
            "1,/foo/d",
            "5,2d",
            "/foo/,3d",
            "$!d",
            "1!G;h;$!d",
            "/^$/d",
            "/^#/d;/^$/d",
            "p",
            "=",
            "3q",
            "3q5",
            "2Q",
            "N;s/\\n/+/",
            "$!N;P;D",
            "n;d",
            "/foo/{s/o/0/;p}",
            "/foo/{s/o/0/\np\n}",
            "/foo/I,/bar/Ip",
            "y/abc/xyz/",
            "y/a\\n/b /",
            "1h;$G",
            "x;p;x",
            "/foo/a\\\nadded line",
            "/foo/i before",
            "/foo/c\\\nchanged",
            "2,3c changed",
            "$a at end",
            "1i\\\n  two\\\n  lines",
            "a\\  keep",
            ":a;s/o/0/;ta",
            ":a;N;$!ba;s/\\n/,/g",
            "/foo/b;s/a/A/",
            "/foo/b end;s/a/A/;:end;s/i/I/",
            "s/x/y/;T;s/y/z/",
            "/a/,/b/{/n/!d}",
            "\\,foo,d",
            "/foo/{//d}",
            "1~2p",
            "/in/,~4d",
            "$=",
            "/x/{;p;}",
            "1{h;d};G",
            "s/a/b/ # comment",
            "# only",
            "",
            "{p}",
            "/STARTo*/{:l;N;/END/!bl;s/\\n/ /g}",
            "z;s/^$/x/",
            "1{/root/{p}}",
            "H;$!d;x;s/\\n/,/g",
            "/foo/w out",
            "1r other",
            "2{r other\nd}",
            "/bar/e",
            "1,3{=;d}",
            "5!d;N;N;D",
        ] {
            if script == "/bar/e" {
                continue;
            }
            same(&["other=other file\nsecond"], &["sed", script], TEXT);
            same(&["other=other file\n"], &["sed", "-n", script], TEXT);
        }
    }

    #[test]
    fn files_and_options() {
        let start = &["a=one\ntwo\nthree\n", "b=four\nfive", "s=s/o/0/\np\n", "l->a", "d/"];
        for args in [
            &["sed", "s/o/0/", "a", "b"][..],
            &["sed", "-n", "$p", "a", "b"],
            &["sed", "-s", "-n", "$p", "a", "b"],
            &["sed", "-e", "s/o/0/", "-e", "1d", "a"],
            &["sed", "-f", "s", "a"],
            &["sed", "-i", "s/o/0/", "a", "b"],
            &["sed", "-i.bak", "1d", "a"],
            &["sed", "-i", "1d", "l"],
            &["sed", "--in-place=.old", "-e", "$d", "a"],
            &["sed", "-ni", "2p", "a"],
            &["sed", "-i", "2q", "a"],
            &["sed", "-i", "s/x/y/", "nothing", "a"],
            &["sed", "p", "nothing", "a"],
            &["sed", "-e", "i\\", "-e", "text", "a"],
            &["sed", "--expression=1p", "--quiet", "a"],
            &["sed", "-z", "s/\\n/,/g", "a"],
        ] {
            same(start, args, "input\n");
        }
    }
    #[test]
    fn what_never_ends_or_only_grows_halts() {
        for script in [":a;ba", ":a;G;h;ba", ":a;s/.*/&&/;ba"] {
            let halt = with_process(&["sed", script], b"aaaa\nb\n", |process| {
                process.session = Session::default().with_steps(1000).with_max_bytes(1 << 16);
                sed(process)
            });
            assert!(matches!(halt, Err(Halt::Limit(_))), "{script}: {halt:?}");
        }
    }

    #[test]
    fn ranges_reach_beyond_every_line() {
        let far = usize::MAX;
        for script in [format!("1,+{far}p"), format!("2,~{far}p")] {
            with_process(&["sed", "-n", &script], b"a\nb\nc\n", |process| {
                assert_eq!(sed(process), Ok(0), "{script}");
                assert!(process.stdout.ends_with(b"b\nc\n"), "{script}");
            });
        }
    }
}
