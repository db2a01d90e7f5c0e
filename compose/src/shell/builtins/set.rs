use std::fmt::Write as _;

use crate::shell::state::{OPTIONS, Run, Shell};

/// `set [-abc] [+abc] [-o name] [--] [argument…]`
pub(super) fn set(shell: &mut Shell<'_>, args: &[String]) -> Run {
    if args.len() == 1 {
        return list_variables(shell);
    }
    let mut rest = &args[1..];
    while let Some(word) = rest.first() {
        let on = word.starts_with('-');
        if word == "--" {
            shell.state.params = rest[1..].to_vec();
            return Ok(0);
        }
        if word == "-" {
            shell.state.options.set("xtrace", false);
            shell.state.options.set("verbose", false);
            rest = &rest[1..];
            if rest.is_empty() {
                return Ok(0);
            }
            break;
        }
        if !word.starts_with(['-', '+']) || word.len() == 1 {
            break;
        }
        rest = &rest[1..];
        for letter in word[1..].chars() {
            if letter == 'o' {
                let Some((name, after)) = rest.split_first() else {
                    return list_options(shell, on);
                };
                rest = after;
                set_long(shell, name, on)?;
            } else {
                refuse(letter, on)?;
                if !shell.set_letter(letter, on) {
                    return Err(shell.error(&format!("set: Illegal option -{letter}")));
                }
            }
        }
        if rest.is_empty() {
            return Ok(0);
        }
    }
    shell.state.params = rest.to_vec();
    Ok(0)
}

fn set_long(shell: &mut Shell<'_>, name: &str, on: bool) -> Run<()> {
    let known = OPTIONS.iter().find(|(_, known)| *known == name);
    let bash_only = matches!(name, "pipefail" | "posix" | "hashall");
    match known {
        Some((letter, _)) if shell.state.bash || !bash_only => {
            refuse(*letter, on)?;
            shell.state.options.set(name, on);
            Ok(())
        }
        _ => Err(shell.error(&format!("set: Illegal option -o {name}"))),
    }
}

/// Options that would change what commands do, and that we do not follow.
fn refuse(letter: char, on: bool) -> Run<()> {
    if on && letter == 'n' {
        return Err(Shell::unsupported("set", format!("the option -{letter}")));
    }
    Ok(())
}

fn list_options(shell: &mut Shell<'_>, readable: bool) -> Run {
    let mut text = if readable {
        "Current option settings\n".to_owned()
    } else {
        String::new()
    };
    for (_, name) in OPTIONS {
        let on = shell.state.options.has(name);
        let _ = if readable {
            writeln!(text, "{name:<16}{}", if on { "on" } else { "off" })
        } else {
            writeln!(text, "set {}o {name}", if on { '-' } else { '+' })
        };
    }
    shell.put_out("set", text.as_bytes(), 0)
}

fn list_variables(shell: &mut Shell<'_>) -> Run {
    let mut text = String::new();
    for (name, variable) in &shell.state.variables {
        if let Some(value) = &variable.value {
            let _ = writeln!(text, "{name}={}", quote(value));
        }
    }
    shell.put_out("set", text.as_bytes(), 0)
}

/// `text` in single quotes, so that a shell reads it back.
pub(super) fn quote(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\"'\"'"))
}

/// `shift [n]`
pub(super) fn shift(shell: &mut Shell<'_>, args: &[String]) -> Run {
    let count = match args.get(1) {
        Some(text) => shell.number("shift", text)? as usize,
        None => 1,
    };
    if count > shell.state.params.len() {
        return Err(shell.error("shift: can't shift that many"));
    }
    shell.state.params.drain(..count);
    Ok(0)
}
