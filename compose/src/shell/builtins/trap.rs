use std::fmt::Write as _;

use super::set::quote;
use crate::shell::state::{Run, Shell};

/// Signals by number, `EXIT` first.
const SIGNALS: &[&str] = &[
    "EXIT", "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2", "PIPE", "ALRM",
    "TERM", "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG", "XCPU", "XFSZ", "VTALRM", "PROF", "WINCH",
    "IO", "PWR", "SYS",
];

/// `trap [action] condition…`: `EXIT` runs when the shell ends; signals never come, so their actions only wait.
pub(super) fn trap(shell: &mut Shell<'_>, args: &[String]) -> Run {
    let mut rest = &args[1..];
    if rest.first().is_some_and(|word| word == "--") {
        rest = &rest[1..];
    }
    let Some((action, conditions)) = rest.split_first() else {
        return list(shell);
    };
    if action == "-l" || action == "-p" {
        return Err(Shell::unsupported("trap", format!("the option {action}")));
    }
    // A single operand, or a number first: reset what is named.
    let resets = conditions.is_empty() || !action.is_empty() && action.bytes().all(|byte| byte.is_ascii_digit());
    let (action, conditions) = if resets {
        ("-", rest)
    } else {
        (action.as_str(), conditions)
    };
    let mut status = 0;
    for condition in conditions {
        let Some(name) = signal(condition) else {
            shell.complain(&format!("trap: {condition}: bad trap"));
            status = 1;
            continue;
        };
        if action == "-" {
            shell.state.traps.remove(name);
        } else {
            shell.state.traps.insert(name.to_owned(), action.to_owned());
        }
    }
    Ok(status)
}

fn signal(text: &str) -> Option<&'static str> {
    if let Ok(number) = text.parse::<usize>() {
        return SIGNALS.get(number).copied();
    }
    let upper = text.to_ascii_uppercase();
    let bare = upper.strip_prefix("SIG").unwrap_or(&upper);
    SIGNALS.iter().find(|name| **name == bare).copied()
}

fn list(shell: &mut Shell<'_>) -> Run {
    let mut text = String::new();
    for name in SIGNALS {
        if let Some(action) = shell.state.traps.get(*name) {
            let _ = writeln!(text, "trap -- {} {name}", quote(action));
        }
    }
    shell.put_out("trap", text.as_bytes(), 0)
}
