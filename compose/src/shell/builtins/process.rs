use crate::shell::state::{Run, Shell};

/// `umask [-S] [mask]`
pub(super) fn umask(shell: &mut Shell<'_>, args: &[String]) -> Run {
    match args.get(1).map(String::as_str) {
        None => {
            let text = format!("{:04o}\n", shell.state.umask);
            shell.put_out("umask", text.as_bytes(), 0)
        }
        Some(text) if text.starts_with(|c: char| c.is_ascii_digit()) => match u32::from_str_radix(text, 8) {
            Ok(mask) if mask <= 0o7777 => {
                shell.state.umask = mask & 0o777;
                Ok(0)
            }
            _ => Err(shell.error(&format!("umask: Illegal number: {text}"))),
        },
        Some(text) => Err(Shell::unsupported("umask", format!("the mask {text}"))),
    }
}

/// `wait [pid…]`: what ran in the background has ended; its status is told once.
pub(super) fn wait(shell: &mut Shell<'_>, args: &[String]) -> Run {
    if args.len() == 1 {
        shell.state.jobs.clear();
    }
    let mut status = 0;
    for pid in &args[1..] {
        let pid = shell.number("wait", pid)?;
        status = shell.state.jobs.remove(&pid).unwrap_or(127);
    }
    Ok(status)
}

/// `times`: no time passes.
pub(super) fn times(shell: &mut Shell<'_>, _: &[String]) -> Run {
    shell.put_out("times", b"0m0.000000s 0m0.000000s\n0m0.000000s 0m0.000000s\n", 0)
}

/// `kill -0 pid`: whether a process lives; none does.
pub(super) fn kill(shell: &mut Shell<'_>, args: &[String]) -> Run {
    match args.get(1).map(String::as_str) {
        Some("-0") if args.len() > 2 => {
            shell.complain("kill: No such process");
            Ok(1)
        }
        other => Err(Shell::unsupported(
            "kill",
            format!("sending {}", other.unwrap_or("a signal")),
        )),
    }
}

/// `hash [-r] [name…]`
pub(super) fn hash(shell: &mut Shell<'_>, args: &[String]) -> Run {
    let mut status = 0;
    for name in args[1..].iter().filter(|name| *name != "-r") {
        if shell.find_command(name).is_none() {
            shell.complain(&format!("hash: {name}: not found"));
            status = 1;
        }
    }
    Ok(status)
}

/// Builtins that are known and not supported.
pub(super) fn refuse(_: &mut Shell<'_>, args: &[String]) -> Run {
    Err(Shell::unsupported(&args[0], "this builtin"))
}
