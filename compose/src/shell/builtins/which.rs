use std::fmt::Write as _;

use super::{Builtin, find};
use crate::shell::state::{Flow, Run, Shell};

/// What a script that asks for a command is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::shell) enum Found {
    Special,
    Builtin,
    Keyword,
    Function,
    File(String),
}

const KEYWORDS: &[&str] = &[
    "!", "{", "}", "case", "do", "done", "elif", "else", "esac", "fi", "for", "if", "in", "then", "until", "while",
];

impl Shell<'_> {
    /// Whether and as what `name` exists on the machine: files are looked for in the tree, never in our table.
    pub(in crate::shell) fn find_command(&self, name: &str) -> Option<Found> {
        if KEYWORDS.contains(&name) {
            return Some(Found::Keyword);
        }
        let builtin = find(name, self.state.bash);
        if builtin.is_some_and(Builtin::is_special) {
            return Some(Found::Special);
        }
        let debconf = self.state.confmodule && name.starts_with("db_") && crate::commands::lookup(name).is_some();
        if self.state.functions.contains_key(name) || debconf {
            return Some(Found::Function);
        }
        if builtin.is_some() {
            return Some(Found::Builtin);
        }
        self.locate(name).map(Found::File)
    }
}

/// `command [-p] [-v|-V] name [argument…]`
pub(super) fn command(shell: &mut Shell<'_>, args: &[String]) -> Run {
    let mut rest = &args[1..];
    let (mut show, mut verbose) = (false, false);
    while let Some(option) = rest.first().filter(|word| word.starts_with('-') && word.len() > 1) {
        rest = &rest[1..];
        if option == "--" {
            break;
        }
        for letter in option[1..].chars() {
            match letter {
                'v' => show = true,
                'V' => verbose = true,
                'p' => {}
                letter => return Err(shell.error(&format!("command: Illegal option -{letter}"))),
            }
        }
    }
    if verbose {
        return describe_all(shell, "command", rest);
    }
    let Some(name) = rest.first() else { return Ok(0) };
    if show {
        return show_all(shell, rest);
    }
    let Some(builtin) = find(name, shell.state.bash) else {
        let program = shell.program(name);
        return shell.run_program(&program, rest);
    };
    match (builtin.run)(shell, rest) {
        // `command` takes from a special builtin what is special about it.
        Err(Flow::Error) => Ok(2),
        other => other,
    }
}

fn show_all(shell: &mut Shell<'_>, names: &[String]) -> Run {
    let mut text = String::new();
    let mut status = 0;
    for name in names {
        match shell.find_command(name) {
            Some(Found::File(path)) => text.push_str(&path),
            Some(_) => text.push_str(name),
            None => {
                status = 127;
                continue;
            }
        }
        text.push('\n');
    }
    shell.put_out("command", text.as_bytes(), status)
}

/// `type name…`
pub(super) fn describe(shell: &mut Shell<'_>, args: &[String]) -> Run {
    if shell.state.bash && args.get(1).is_some_and(|arg| arg.starts_with('-')) {
        return Err(Shell::unsupported("type", format!("the option {}", args[1])));
    }
    describe_all(shell, "type", &args[1..])
}

fn describe_all(shell: &mut Shell<'_>, builtin: &str, names: &[String]) -> Run {
    let mut text = String::new();
    let mut status = 0;
    for name in names {
        let what = match shell.find_command(name) {
            Some(Found::Special) => "is a special shell builtin".to_owned(),
            Some(Found::Builtin) => "is a shell builtin".to_owned(),
            Some(Found::Keyword) => "is a shell keyword".to_owned(),
            Some(Found::Function) => "is a shell function".to_owned(),
            Some(Found::File(path)) => format!("is {path}"),
            None => {
                status = 127;
                "not found".to_owned()
            }
        };
        let colon = if what == "not found" { ":" } else { "" };
        let _ = writeln!(text, "{name}{colon} {what}");
    }
    shell.put_out(builtin, text.as_bytes(), status)
}
