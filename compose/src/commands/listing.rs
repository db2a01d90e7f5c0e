//! `ls`, one name a line as when its output is no terminal.

use super::arguments::Arguments;
use crate::shell::process::{Command, Outcome, Process};
use crate::tree::{Follow, Kind};

pub(super) const COMMANDS: &[(&str, Command)] = &[("ls", ls)];

fn ls(process: &mut Process<'_>) -> Outcome {
    let args = Arguments::of(
        process,
        &[
            "-1",
            "-a --all",
            "-A --almost-all",
            "-d --directory",
            "-r --reverse",
            "-t",
            "-v",
            "-L --dereference",
            "--color [=]",
        ],
    )?;
    let here = [".".to_owned()];
    let mut operands = if args.operands.is_empty() {
        here.to_vec()
    } else {
        args.operands.clone()
    };
    let mut status = 0;
    let order = Order {
        by_time: args.has("-t"),
        reversed: args.has("-r"),
        by_version: args.has("-v"),
    };
    order.sort(process, "", &mut operands);
    let (mut plain, mut dirs) = (Vec::new(), Vec::new());
    for name in operands {
        let path = process.path(&name);
        let follow = if args.has("-L") { Follow::Yes } else { Follow::No };
        match process.system.tree.lookup(&path, follow) {
            Err(error) => {
                let line = format!("ls: cannot access '{name}': {}\n", error.errno);
                process.stderr.extend_from_slice(line.as_bytes());
                status = 2;
            }
            Ok(_) if !args.has("-d") && process.system.tree.is_dir(&path) => dirs.push(name),
            Ok(_) => plain.push(name),
        }
    }
    let headed = args.operands.len() > 1;
    let mut sections: Vec<(Option<String>, Vec<String>)> = Vec::new();
    if !plain.is_empty() {
        sections.push((None, plain));
    }
    for dir in dirs {
        let path = process.path(&dir);
        let Kind::Dir(entries) = &process.system.tree.stat(&path).expect("it was looked up above").kind else {
            continue;
        };
        let shown = |name: &&String| args.has("-a") || args.has("-A") || !name.starts_with('.');
        let mut names: Vec<String> = entries.keys().filter(shown).cloned().collect();
        if args.last(&["-a", "-A"]) == Some("-a") {
            names.extend([".".to_owned(), "..".to_owned()]);
        }
        order.sort(process, &path, &mut names);
        sections.push((headed.then_some(dir), names));
    }
    for (number, (head, names)) in sections.into_iter().enumerate() {
        if number > 0 {
            process.say("");
        }
        if let Some(dir) = head {
            process.say(&format!("{dir}:"));
        }
        for name in names {
            process.say(&name);
        }
    }
    Ok(status)
}

#[derive(Clone, Copy)]
struct Order {
    by_time: bool,
    reversed: bool,
    by_version: bool,
}

impl Order {
    /// By bytes, as in the C locale; by time the latest comes first.
    fn sort(self, process: &Process<'_>, dir: &str, names: &mut [String]) {
        names.sort();
        if self.by_version {
            names.sort_by(|a, b| version_order(a, b));
        }
        if self.by_time {
            names.sort_by_key(|name| {
                let path = if dir.is_empty() {
                    process.path(name)
                } else {
                    format!("{dir}/{name}")
                };
                let inode = process.system.tree.lstat(&path);
                std::cmp::Reverse(inode.map_or(0, |inode| inode.mtime))
            });
        }
        if self.reversed {
            names.reverse();
        }
    }
}

/// As gnulib's `filevercmp` for names without suffixes that look like file types: digits by their number, `~` before
/// all, letters before other characters; dotted names come first.
fn version_order(a: &str, b: &str) -> std::cmp::Ordering {
    let dotted = |name: &str| !name.starts_with('.');
    let stem = |name: &str| -> Vec<u8> {
        // A suffix `(\.[A-Za-z~][A-Za-z0-9~]*)*` only decides between names that are equal without it.
        let mut end = name.len();
        while let Some(dot) = name[..end].rfind('.').filter(|dot| *dot > 0) {
            let part = &name.as_bytes()[dot + 1..end];
            let letter = part
                .first()
                .is_some_and(|byte| byte.is_ascii_alphabetic() || *byte == b'~');
            if !letter || !part.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'~') {
                break;
            }
            end = dot;
        }
        name.as_bytes()[..end].to_vec()
    };
    let (short_a, short_b) = (stem(a), stem(b));
    let shortened = revision_order(&short_a, &short_b);
    dotted(a)
        .cmp(&dotted(b))
        .then(if short_a == short_b {
            std::cmp::Ordering::Equal
        } else {
            shortened
        })
        .then_with(|| revision_order(a.as_bytes(), b.as_bytes()))
        .then_with(|| a.cmp(b))
}

/// dpkg's order of versions, over bytes.
fn revision_order(mut a: &[u8], mut b: &[u8]) -> std::cmp::Ordering {
    let weight = |byte: Option<&u8>| match byte {
        None => 0,
        Some(b'~') => -1,
        Some(byte) if byte.is_ascii_digit() => 0,
        Some(byte) if byte.is_ascii_alphabetic() => i32::from(*byte),
        Some(byte) => i32::from(*byte) + 256,
    };
    while !a.is_empty() || !b.is_empty() {
        let letters = |text: &[u8]| text.iter().take_while(|byte| !byte.is_ascii_digit()).count();
        let (ends_a, ends_b) = (letters(a), letters(b));
        for at in 0..ends_a.max(ends_b) {
            let left = weight(a[..ends_a].get(at));
            let order = left.cmp(&weight(b[..ends_b].get(at)));
            if order.is_ne() {
                return order;
            }
        }
        (a, b) = (&a[ends_a..], &b[ends_b..]);
        let digits = |text: &[u8]| text.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let (number_a, number_b) = (digits(a), digits(b));
        let number = |text: &[u8]| -> Vec<u8> { text.iter().skip_while(|byte| **byte == b'0').copied().collect() };
        let (left, right) = (number(&a[..number_a]), number(&b[..number_b]));
        let order = left.len().cmp(&right.len()).then(left.cmp(&right));
        if order.is_ne() {
            return order;
        }
        (a, b) = (&a[number_a..], &b[number_b..]);
    }
    std::cmp::Ordering::Equal
}

#[cfg(test)]
mod tests {
    use crate::commands::oracle::same;

    #[test]
    fn versions_are_in_the_order_of_ls() {
        let start = &[
            "10-b.rules=",
            "9-a.rules=",
            "09-a.rules=",
            "a10.c=",
            "a9.c=",
            "a9=",
            "x~=",
            "x=",
            "x-1=",
            "xa=",
            "x.1.gz=",
            "x.10.gz=",
            "x.9.gz=",
            "30-stig.rules=",
            "B=",
            "a=",
        ];
        same(start, &["ls", "-1v"], "");
        same(start, &["ls", "-vr"], "");
        let links = &["dir/", "dir/b=", "link->dir", "dangling->x"];
        for name in ["link", "dangling", "dir"] {
            same(links, &["ls", "-L", name], "");
        }
    }

    #[test]
    fn does_what_ls_does() {
        let start = &["dir/", "dir/b=1", "dir/.c=2", "a=3", "B=4", "link->dir", "dangling->x"];
        for args in [
            &["ls"][..],
            &["ls", "-1"],
            &["ls", "-a", "dir"],
            &["ls", "-A", "dir"],
            &["ls", "-1r"],
            &["ls", "-d", "dir", "a"],
            &["ls", "a", "dir", "B"],
            &["ls", "link"],
            &["ls", "absent", "a"],
            &["ls", "dangling"],
            &["ls", "--all", "dir"],
        ] {
            same(start, args, "");
        }
    }
}
