//! `run-parts` of debianutils.

use bytes::Bytes;

use super::arguments::Arguments;
use crate::shell::process::{Command, Outcome, Process};

pub(super) const COMMANDS: &[(&str, Command)] = &[("run-parts", run_parts)];

fn run_parts(process: &mut Process<'_>) -> Outcome {
    let args = Arguments::of(
        process,
        &[
            "-v --verbose",
            "-a --arg =",
            "-u --umask =",
            "--test",
            "--list",
            "--report",
            "--regex =",
            "--lsbsysinit",
            "--exit-on-error",
            "--reverse",
            "--new-session",
        ],
    )?;
    for unknown in ["--regex", "--lsbsysinit", "-u"] {
        if args.has(unknown) {
            return Err(process.unsupported(unknown));
        }
    }
    let [directory] = &args.operands[..] else {
        return Ok(process.fail("exactly one directory is needed"));
    };
    let path = process.path(directory);
    let Ok(entries) = process.system.tree.read_dir(&path) else {
        return Ok(process.fail(&format!(
            "failed to open directory {directory}: No such file or directory"
        )));
    };
    // run-parts(8): only names of letters, digits, underscores and hyphens.
    let plain = |name: &str| {
        name.bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte))
    };
    let mut names: Vec<String> = entries
        .into_iter()
        .map(|(name, _)| name)
        .filter(|name| plain(name))
        .collect();
    if args.has("--reverse") {
        names.reverse();
    }
    let mut status = 0;
    for name in names {
        let shown = format!("{}/{name}", directory.trim_end_matches('/'));
        let file = process.path(&shown);
        let tree = &process.system.tree;
        let Some(inode) = tree.stat(&file).ok().filter(|inode| inode.is_file()) else {
            continue;
        };
        let runs = inode.mode & 0o111 != 0;
        if args.has("--list") || args.has("--test") && runs {
            process.say(&shown);
            continue;
        }
        if !runs || args.has("--test") {
            continue;
        }
        let mut words = vec![shown.clone()];
        words.extend(args.values("-a").map(str::to_owned));
        let one = process.spawn(&words, Bytes::new())?;
        if one != 0 {
            process.fail(&format!("{shown} exited with return code {one}"));
            status = 1;
            if args.has("--exit-on-error") {
                return Ok(one);
            }
        }
    }
    Ok(status)
}

#[cfg(test)]
mod tests {
    use crate::commands::oracle::same_steps;

    #[test]
    fn run_parts_lists_plain_names() {
        let start = &["d/", "d/10-a=x", "d/b.sh=y", "d/c_C=z", "d/sub/", "d/e~="];
        for args in [
            &["run-parts", "--list", "d"][..],
            &["run-parts", "--test", "d"],
            &["run-parts", "--list", "--reverse", "d"],
            &["run-parts", "nothing"],
        ] {
            same_steps(start, &[&["chmod", "755", "d/10-a", "d/b.sh"], args]);
        }
    }
}
