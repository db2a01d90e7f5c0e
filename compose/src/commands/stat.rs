//! `stat` with a format.

use super::arguments::Arguments;
use super::{mode, owners};
use crate::shell::process::{Command, Halt, Outcome, Process};
use crate::tree::{Follow, InodeId, Kind};

pub(super) const COMMANDS: &[(&str, Command)] = &[("stat", stat)];

fn stat(process: &mut Process<'_>) -> Outcome {
    let args = Arguments::of(
        process,
        &[
            "-L --dereference",
            "-c --format =",
            "--printf =",
            "--file-system",
            "--terse",
        ],
    )?;
    for absent in ["--file-system", "--terse"] {
        if args.has(absent) {
            return Err(process.unsupported(absent));
        }
    }
    let (format, end) = match (args.value("-c"), args.value("--printf")) {
        (Some(format), None) => (format.to_owned(), "\n"),
        (None, Some(format)) => (
            String::from_utf8_lossy(&super::escapes::unescape(format)).into_owned(),
            "",
        ),
        _ => return Err(process.unsupported("output without a format")),
    };
    let follow = if args.has("-L") { Follow::Yes } else { Follow::No };
    let mut status = 0;
    for name in &args.operands {
        let path = process.path(name);
        match process.system.tree.lookup(&path, follow) {
            Ok(id) => {
                let text = describe(process, &format, name, id)?;
                process.stdout.extend_from_slice(text.as_bytes());
                process.stdout.extend_from_slice(end.as_bytes());
            }
            Err(error) => status = process.fail(&format!("cannot statx '{name}': {}", error.errno)),
        }
    }
    Ok(status)
}

fn describe(process: &Process<'_>, format: &str, name: &str, id: InodeId) -> Result<String, Halt> {
    let tree = &process.system.tree;
    let inode = tree.inode(id);
    let (letter, kind, type_bits, size) = match &inode.kind {
        Kind::Dir(_) => ('d', "directory", 0o040_000, 4096),
        Kind::File(content) if content.is_empty() => ('-', "regular empty file", 0o100_000, 0),
        Kind::File(content) => ('-', "regular file", 0o100_000, content.len()),
        Kind::Symlink(target) => ('l', "symbolic link", 0o120_000, target.len()),
        Kind::Char { .. } => ('c', "character special file", 0o020_000, 0),
        Kind::Block { .. } => ('b', "block special file", 0o060_000, 0),
        Kind::Fifo => ('p', "fifo", 0o010_000, 0),
    };
    let unknown = || "UNKNOWN".to_owned();
    let mut text = String::new();
    let mut letters = format.chars();
    while let Some(next) = letters.next() {
        if next != '%' {
            text.push(next);
            continue;
        }
        let directive = letters.next();
        let shown = match directive {
            Some('a') => format!("{:o}", inode.mode),
            Some('A') => mode::letters(letter, inode.mode),
            Some('f') => format!("{:x}", type_bits | inode.mode),
            Some('F') => kind.to_owned(),
            Some('g') => inode.gid.to_string(),
            Some('G') => owners::group_name(tree, inode.gid).unwrap_or_else(unknown),
            Some('h') => links(process, id).to_string(),
            Some('n') => name.to_owned(),
            Some('N') => match &inode.kind {
                Kind::Symlink(target) => format!("'{name}' -> '{target}'"),
                _ => format!("'{name}'"),
            },
            Some('s') => size.to_string(),
            Some('u') => inode.uid.to_string(),
            Some('U') => owners::user_name(tree, inode.uid).unwrap_or_else(unknown),
            // The tree has one time for all.
            Some('X' | 'Y' | 'Z') => inode.mtime.to_string(),
            Some('%') => "%".to_owned(),
            other => return Err(process.unsupported(format!("format %{}", other.unwrap_or('%')))),
        };
        text.push_str(&shown);
    }
    Ok(text)
}

/// The link count of an inode: entries of a file, or of a directory its subdirectories, `.` and its own.
pub(super) fn links(process: &Process<'_>, id: InodeId) -> usize {
    let tree = &process.system.tree;
    if let Kind::Dir(entries) = &tree.inode(id).kind {
        return 2 + entries.values().filter(|&&child| tree.inode(child).is_dir()).count();
    }
    let all = tree.walk("/").unwrap_or_default();
    all.iter().filter(|(_, other)| *other == id).count()
}

#[cfg(test)]
mod tests {
    use crate::commands::oracle::{same, same_steps};

    #[test]
    fn does_what_stat_does() {
        const START: &[&str] = &["d/", "d/e/", "f=content", "empty=", "l->f", "dangling->no"];
        for format in ["%a %A %f %F", "%n %N", "%U:%G %u:%g", "%% %h"] {
            same(START, &["stat", "-c", format, "d", "f", "l", "empty", "no"], "");
            same(START, &["stat", "-Lc", format, "l", "f"], "");
        }
        same(START, &["stat", "--printf", "%s\\t%a\\n", "f", "l"], "");
        same(START, &["stat", "-L", "--format=%a", "dangling"], "");
        same_steps(START, &[&["ln", "f", "g"], &["stat", "-c%h", "f", "g"]]);
        same_steps(START, &[&["touch", "-d", "@1234567", "f"], &["stat", "-c", "%Y", "f"]]);
    }
}
