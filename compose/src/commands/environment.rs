//! What a script asks of its surroundings: `env`, `uname`, `hostname`, `which`, …

use super::arguments::Arguments;
use super::operands;
use crate::shell::process::{Command, Outcome, Process};

pub(super) const COMMANDS: &[(&str, Command)] = &[
    ("arch", arch),
    ("env", env),
    ("hostname", hostname),
    ("logger", logger),
    ("nproc", nproc),
    ("printenv", printenv),
    ("sleep", sleep),
    ("tty", tty),
    ("uname", uname),
    ("which", which),
];

fn env(process: &mut Process<'_>) -> Outcome {
    let args = Arguments::in_order(
        process,
        &["-i --ignore-environment", "-u --unset =", "-0 --null", "-C --chdir ="],
    )?;
    let (saved, saved_cwd) = (process.env.clone(), process.cwd.clone());
    let mut operands = args.operands.as_slice();
    if args.has("-i") {
        process.env.clear();
    }
    if operands.first().is_some_and(|first| first == "-") {
        process.env.clear();
        operands = &operands[1..];
    }
    for name in args.values("-u") {
        process.env.remove(name);
    }
    while let Some((name, value)) = operands.first().and_then(|first| first.split_once('=')) {
        process.env.insert(name.to_owned(), value.to_owned());
        operands = &operands[1..];
    }
    if let Some(directory) = args.value("-C") {
        match process.system.tree.canonical(&process.path(directory)) {
            Ok(path) if process.system.tree.is_dir(&path) => process.cwd = path,
            _ => {
                return Ok(process
                    .fail(&format!("cannot change directory to '{directory}'"))
                    .max(125));
            }
        }
    }
    let status = if operands.is_empty() {
        let end = if args.has("-0") { "\0" } else { "\n" };
        let text = variables(process, end);
        process.stdout.extend_from_slice(text.as_bytes());
        Ok(0)
    } else {
        let (command, stdin) = (operands.to_vec(), process.read_stdin());
        process.spawn(&command, stdin)
    };
    (process.env, process.cwd) = (saved, saved_cwd);
    status
}

/// The environment, each variable followed by `end`.
fn variables(process: &Process<'_>, end: &str) -> String {
    let lines = process
        .env
        .iter()
        .flat_map(|(name, value)| [name.as_str(), "=", value, end]);
    lines.collect()
}

fn printenv(process: &mut Process<'_>) -> Outcome {
    let args = Arguments::in_order(process, &[])?;
    let mut status = 0;
    for name in &args.operands {
        match process.env.get(name).cloned() {
            Some(value) => process.say(&value),
            None => status = 1,
        }
    }
    if args.operands.is_empty() {
        let text = variables(process, "\n");
        process.stdout.extend_from_slice(text.as_bytes());
    }
    Ok(status)
}

/// The kernel's name of Debian architecture `arch`, as `uname -m` prints it.
fn machine(arch: &str) -> Option<&'static str> {
    Some(match arch {
        "amd64" => "x86_64",
        "arm64" => "aarch64",
        "armhf" => "armv7l",
        "armel" => "armv6l",
        "i386" => "i686",
        "riscv64" => "riscv64",
        _ => return None,
    })
}

fn arch(process: &mut Process<'_>) -> Outcome {
    let name = machine(&process.system.arch).ok_or_else(|| process.unsupported("this architecture"))?;
    process.say(name);
    Ok(0)
}

fn uname(process: &mut Process<'_>) -> Outcome {
    let args = Arguments::of(
        process,
        &[
            "-s --kernel-name",
            "-n --nodename",
            "-r --kernel-release",
            "-v --kernel-version",
            "-m --machine",
            "-o --operating-system",
            "-a",
        ],
    )?;
    let machine = machine(&process.system.arch).ok_or_else(|| process.unsupported("this architecture"))?;
    let release = process.system.kernel.clone();
    let mut fields = Vec::new();
    for (option, value) in [
        ("-s", "Linux".to_owned()),
        ("-n", host(process)),
        ("-r", release.clone()),
        ("-v", format!("#1 SMP Debian {release}")),
        ("-m", machine.to_owned()),
        ("-o", "GNU/Linux".to_owned()),
    ] {
        let wanted = args.has(option) || args.has("-a") || args.options().next().is_none() && option == "-s";
        if !wanted {
            continue;
        }
        fields.push(value);
    }
    let line = fields.join(" ");
    process.say(&line);
    Ok(0)
}

fn host(process: &Process<'_>) -> String {
    let text = process.system.tree.read_text("/etc/hostname").unwrap_or_default();
    let name = text
        .lines()
        .map(str::trim)
        .find(|line| !line.is_empty() && !line.starts_with('#'));
    name.unwrap_or("localhost").to_owned()
}

fn hostname(process: &mut Process<'_>) -> Outcome {
    let args = Arguments::of(process, &["-f --fqdn --long", "-s --short", "-d --domain"])?;
    if !args.operands.is_empty() {
        return Err(process.unsupported("setting the name"));
    }
    let full = host(process);
    let (short, domain) = full.split_once('.').unwrap_or((&full, ""));
    let answer = match args.last(&["-f", "-s", "-d"]) {
        Some("-s") => short,
        Some("-d") => domain,
        _ => &full,
    };
    let answer = answer.to_owned();
    process.say(&answer);
    Ok(0)
}

fn which(process: &mut Process<'_>) -> Outcome {
    let args = Arguments::of(process, &["-a", "-s"])?;
    let path = process.env.get("PATH").cloned().unwrap_or_default();
    let mut status = 0;
    for name in &args.operands {
        let candidates: Vec<String> = if name.contains('/') {
            vec![name.clone()]
        } else {
            path.split(':').map(|directory| format!("{directory}/{name}")).collect()
        };
        let tree = &process.system.tree;
        let runs = |path: &String| {
            tree.stat(path)
                .is_ok_and(|inode| inode.is_file() && inode.mode & 0o111 != 0)
        };
        let found: Vec<String> = candidates
            .into_iter()
            .filter(|path| runs(&process.path(path)))
            .collect();
        status |= u8::from(found.is_empty());
        let count = if args.has("-a") { found.len() } else { 1 };
        if !args.has("-s") {
            found.iter().take(count).for_each(|path| process.say(path));
        }
    }
    Ok(status)
}

/// Nothing passes in a tree; waiting would change nothing.
fn sleep(process: &mut Process<'_>) -> Outcome {
    Arguments::of(process, &[])?;
    Ok(0)
}

/// One: the same on every machine that composes.
fn nproc(process: &mut Process<'_>) -> Outcome {
    Arguments::of(process, &["--all", "--ignore ="])?;
    process.say("1");
    Ok(0)
}

fn tty(process: &mut Process<'_>) -> Outcome {
    let args = Arguments::of(process, &["-s --silent --quiet"])?;
    if !args.has("-s") {
        process.say("not a tty");
    }
    Ok(1)
}

fn logger(process: &mut Process<'_>) -> Outcome {
    let args = Arguments::in_order(process, &["-t --tag =", "-p --priority =", "-i", "-s", "--id [=]"])?;
    let text = if args.operands.is_empty() {
        String::from_utf8_lossy(&operands::read(process, "-")?.unwrap_or_default()).into_owned()
    } else {
        args.operands.join(" ")
    };
    process.note(format!("logged: {}", text.trim_end()));
    Ok(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::oracle::{ours, same, with_process};

    #[test]
    fn programs_start_with_the_environment_given() {
        for args in [
            &["env", "-i", "A=1", "B=x y", "env"][..],
            &["env", "-i", "A=1", "env", "-u", "A", "B=2"],
            &["env", "-i", "X=1", "cat"],
        ] {
            same(&[], args, "input\n");
        }
        same(&[], &["tty"], "");
        same(&[], &["sleep", "0"], "");
        assert_eq!(ours(&[], &["uname", "-sm"], "").stdout, "Linux x86_64\n");
        assert_eq!(ours(&[], &["nproc"], "").stdout, "1\n");
    }
    #[test]
    fn uname_names_the_kernel_of_the_machine_whatever_modules_lie_about() {
        let shown = |option: &str| {
            with_process(&["uname", option], b"", |process| {
                process.system.kernel = "6.12.48+deb13-arm64".to_owned();
                process.system.arch = "arm64".to_owned();
                let other = "/usr/lib/modules/9.9-other/kernel";
                process.system.tree.mkdir_all(other, 0o755).unwrap();
                assert_eq!(uname(process), Ok(0));
                String::from_utf8(process.stdout.clone()).unwrap()
            })
        };
        assert_eq!(shown("-r"), "6.12.48+deb13-arm64\n");
        assert_eq!(shown("-srm"), "Linux 6.12.48+deb13-arm64 aarch64\n");
        assert!(shown("-a").contains(" 6.12.48+deb13-arm64 "));
    }
}
