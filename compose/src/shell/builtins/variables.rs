use std::fmt::Write as _;

use super::set::quote;
use crate::shell::parse::{is_name, split_assignment};
use crate::shell::state::{Run, Shell};

/// `export` and `readonly`
pub(super) fn export(shell: &mut Shell<'_>, args: &[String]) -> Run {
    let exports = args[0] == "export";
    let mut operands = &args[1..];
    let mut lists = operands.is_empty();
    while let Some(option) = operands.first().filter(|word| word.starts_with('-')) {
        match option.as_str() {
            "-p" => lists = true,
            "--" => {}
            _ => return Err(Shell::unsupported(&args[0], format!("the option {option}"))),
        }
        operands = &operands[1..];
    }
    if lists && operands.is_empty() {
        return list(shell, exports);
    }
    for operand in operands {
        let (name, value) = match split_assignment(operand) {
            Some((name, value)) => (name, Some(value)),
            None => (operand.as_str(), None),
        };
        if !is_name(name) {
            return Err(shell.error(&format!("{}: {operand}: bad variable name", args[0])));
        }
        if let Some(value) = value {
            shell.set(name, value)?;
        }
        let variable = shell.state.variables.entry(name.to_owned()).or_default();
        variable.exported |= exports;
        variable.readonly |= !exports;
    }
    Ok(0)
}

fn list(shell: &mut Shell<'_>, exports: bool) -> Run {
    let word = if exports { "export" } else { "readonly" };
    let mut text = String::new();
    for (name, variable) in &shell.state.variables {
        if !(if exports { variable.exported } else { variable.readonly }) {
            continue;
        }
        let _ = match &variable.value {
            Some(value) => writeln!(text, "{word} {name}={}", quote(value)),
            None => writeln!(text, "{word} {name}"),
        };
    }
    shell.put_out(word, text.as_bytes(), 0)
}

/// `local name[=value]…`: without a value the outer one shows through, in bash the variable is unset.
pub(super) fn local(shell: &mut Shell<'_>, args: &[String]) -> Run {
    if shell.state.scopes.is_empty() {
        return Err(shell.error("local: not in a function"));
    }
    let (mut readonly, mut exported) = (false, false);
    for operand in &args[1..] {
        if operand == "-" {
            let options = shell.state.options;
            if let Some(scope) = shell.state.scopes.last_mut() {
                scope.options.get_or_insert(options);
            }
            continue;
        }
        if operand.starts_with('-') {
            match operand.as_str() {
                "-r" if shell.state.bash => readonly = true,
                "-x" if shell.state.bash => exported = true,
                _ => return Err(Shell::unsupported("local", format!("the option {operand}"))),
            }
            continue;
        }
        let (name, value) = match split_assignment(operand) {
            Some((name, value)) => (name, Some(value)),
            None => (operand.as_str(), None),
        };
        if !is_name(name) {
            return Err(shell.error(&format!("local: {operand}: bad variable name")));
        }
        shell.state.make_local(name);
        match value {
            Some(value) => shell.set(name, value)?,
            None if shell.state.bash => {
                shell.state.variables.remove(name);
            }
            None => {}
        }
        if readonly || exported {
            let variable = shell.state.variables.entry(name.to_owned()).or_default();
            variable.readonly |= readonly;
            variable.exported |= exported;
        }
    }
    Ok(0)
}

/// `unset [-f|-v] name…`
pub(super) fn unset(shell: &mut Shell<'_>, args: &[String]) -> Run {
    let mut functions = false;
    for operand in &args[1..] {
        match operand.as_str() {
            "-f" => functions = true,
            "-v" => functions = false,
            "--" => {}
            name if functions => {
                shell.state.functions.remove(name);
            }
            name => {
                if shell
                    .state
                    .variables
                    .get(name)
                    .is_some_and(|variable| variable.readonly)
                {
                    return Err(shell.error(&format!("unset: {name}: is read only")));
                }
                shell.state.variables.remove(name);
                // bash falls back to a function of that name.
                if shell.state.bash {
                    shell.state.functions.remove(name);
                }
            }
        }
    }
    Ok(0)
}
