use std::rc::Rc;

use crate::shell::files::Access;
use crate::shell::process::Origin;
use crate::shell::state::{Flow, Run, Shell};

/// debconf's shell library: sourcing it makes the `db_*` functions known.
const CONFMODULES: &[&str] = &["/usr/share/debconf/confmodule", "/usr/share/debconf/confmodule.sh"];

/// `:` and `true`
pub(super) fn yes(_: &mut Shell<'_>, _: &[String]) -> Run {
    Ok(0)
}

/// `false`
pub(super) fn no(_: &mut Shell<'_>, _: &[String]) -> Run {
    Ok(1)
}

/// `break` and `continue`; outside of a loop they do nothing, as in dash.
pub(super) fn leave_loop(shell: &mut Shell<'_>, args: &[String]) -> Run {
    let levels = match args.get(1) {
        Some(text) => shell.number(&args[0], text)?,
        None => 1,
    };
    if levels == 0 {
        return Err(shell.error(&format!("{}: Illegal number: 0", args[0])));
    }
    match levels.min(shell.state.loops) {
        0 => Ok(0),
        levels if args[0] == "break" => Err(Flow::Break(levels)),
        levels => Err(Flow::Continue(levels)),
    }
}

pub(super) fn eval(shell: &mut Shell<'_>, args: &[String]) -> Run {
    let text = args[1..].join(" ");
    let (line, tested) = (shell.line, shell.tested);
    let result = shell.run_text(&text, line, tested)?;
    shell.line = line;
    Ok(result)
}

fn status_argument(shell: &mut Shell<'_>, args: &[String]) -> Run {
    match args.get(1) {
        Some(text) => {
            let number = shell.number(&args[0], text)?;
            Ok(u8::try_from(number & 0xff).expect("eight bits"))
        }
        None => Ok(shell.state.status),
    }
}

pub(super) fn exit(shell: &mut Shell<'_>, args: &[String]) -> Run {
    Err(Flow::Exit(status_argument(shell, args)?))
}

/// `return`
pub(super) fn give_back(shell: &mut Shell<'_>, args: &[String]) -> Run {
    Err(Flow::Return(status_argument(shell, args)?))
}

/// `exec`: with a command, what remains of this shell is its status.
pub(super) fn exec(shell: &mut Shell<'_>, args: &[String]) -> Run {
    let Some(name) = args.get(1) else { return Ok(0) };
    let program = shell.program(name);
    let status = shell.run_program(&program, &args[1..])?;
    // The EXIT trap is gone with the shell that set it.
    shell.state.traps.clear();
    Err(Flow::Exit(status))
}

/// `.` and `source`: the file's commands run here.
pub(super) fn dot(shell: &mut Shell<'_>, args: &[String]) -> Run {
    let Some(name) = args.get(1) else {
        return Err(shell.error(&format!("{}: filename argument required", args[0])));
    };
    if CONFMODULES.contains(&name.as_str()) {
        return load_confmodule(shell);
    }
    let Some(path) = find_source(shell, name) else {
        return Err(shell.error(&format!("{}: cannot open {name}: No such file", args[0])));
    };
    let content = match shell.open(&path, Access::Read)? {
        Ok(handle) => shell.unread_of(&handle).unwrap_or_default(),
        Err(message) => {
            let flow = shell.error(&format!("{}: {message}", args[0]));
            return if shell.state.bash { Ok(1) } else { Err(flow) };
        }
    };
    let text = Shell::text(content.to_vec())?;
    let sourced = Origin {
        package: shell.origin.package.clone(),
        script: path,
    };
    let line = shell.line;
    let origin = std::mem::replace(&mut shell.origin, Rc::new(sourced));
    let loops = std::mem::replace(&mut shell.state.loops, 0);
    shell.state.calls += 1;
    // Not tested, whatever stands around: dash reads the file in a command loop of its own.
    let result = shell.run_text(&text, 1, false);
    if matches!(result, Err(Flow::Halt(_))) {
        return result;
    }
    shell.state.calls -= 1;
    shell.state.loops = loops;
    shell.origin = origin;
    shell.line = line;
    match result {
        Err(Flow::Return(status)) => Ok(status),
        other => other,
    }
}

fn find_source(shell: &Shell<'_>, name: &str) -> Option<String> {
    let tree = &shell.system.tree;
    if name.contains('/') {
        return Some(shell.absolute(name));
    }
    let path = shell.state.get("PATH").unwrap_or_default();
    let dirs = path.split(':').map(|dir| if dir.is_empty() { "." } else { dir });
    let mut candidates = dirs.map(|dir| shell.absolute(&format!("{dir}/{name}")));
    candidates.find(|candidate| tree.is_file(candidate))
}

/// What is left of `confmodule` when debconf is ours: its functions, and its way with files: standard output is for
/// the protocol, so what the script writes there goes to standard error; descriptor 3 speaks to debconf.
fn load_confmodule(shell: &mut Shell<'_>) -> Run {
    shell.state.confmodule = true;
    if let Some(stderr) = shell.handle(2) {
        shell.state.files.insert(1, stderr);
    }
    shell.state.files.insert(3, crate::shell::files::Description::null());
    for name in ["DEBIAN_HAS_FRONTEND", "DEBCONF_REDIR"] {
        shell.state.put(name, "1");
        if let Some(variable) = shell.state.variables.get_mut(name) {
            variable.exported = true;
        }
    }
    Ok(0)
}
