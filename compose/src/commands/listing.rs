//! `ls`, one name a line as when its output is no terminal.

use super::arguments::Arguments;
use crate::shell::process::{Command, Outcome, Process};
use crate::tree::Kind;

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
    };
    order.sort(process, "", &mut operands);
    let (mut plain, mut dirs) = (Vec::new(), Vec::new());
    for name in operands {
        let path = process.path(&name);
        match process.system.tree.lstat(&path).cloned() {
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
}

impl Order {
    /// By bytes, as in the C locale; by time the latest comes first.
    fn sort(self, process: &Process<'_>, dir: &str, names: &mut [String]) {
        names.sort();
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

#[cfg(test)]
mod tests {
    use crate::commands::oracle::same;

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
