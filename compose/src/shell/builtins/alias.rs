use std::rc::Rc;

use super::set::quote;
use crate::shell::state::{Run, Shell};

/// `alias [name[=value]…]`
pub(super) fn alias(shell: &mut Shell<'_>, args: &[String]) -> Run {
    let mut lines = Vec::new();
    let mut status = 0;
    for operand in &args[1..] {
        // dash lets a name begin with `=`.
        let assigned = operand.get(1..).and_then(|rest| Some(rest.find('=')? + 1));
        match assigned {
            Some(at) => {
                let (name, value) = (operand[..at].to_owned(), operand[at + 1..].to_owned());
                shell.session.fits(value.len())?;
                Rc::make_mut(&mut shell.state.aliases).insert(name, value);
            }
            None => {
                if let Some(value) = shell.state.aliases.get(operand) {
                    lines.push(format!("{operand}={}\n", quote(value)));
                } else {
                    shell.complain(&format!("alias: {operand} not found"));
                    status = 1;
                }
            }
        }
    }
    if args.len() == 1 {
        let all = shell.state.aliases.iter();
        lines.extend(all.map(|(name, value)| format!("{name}={}\n", quote(value))));
    }
    shell.put_out("alias", lines.concat().as_bytes(), status)
}

/// `unalias -a` and `unalias name…`
pub(super) fn unalias(shell: &mut Shell<'_>, args: &[String]) -> Run {
    let mut status = 0;
    for operand in &args[1..] {
        let aliases = Rc::make_mut(&mut shell.state.aliases);
        if operand == "-a" {
            aliases.clear();
        } else if aliases.remove(operand).is_none() {
            shell.complain(&format!("unalias: {operand} not found"));
            status = 1;
        }
    }
    Ok(status)
}
