//! Python: what byte-compiles modules. Nothing is compiled: Python does it when it imports, and on a root that is only
//! read it runs without (`.pyc` files are written below `/usr` by root alone).

use super::arguments::Arguments;
use super::ending::{Done, settle};
use crate::shell::process::{Command, Process, Status};

pub(super) const COMMANDS: &[(&str, Command)] = &[
    ("py3clean", |_| Ok(0)),
    ("py3compile", |process| Ok(skipped(process))),
    ("py3versions", |process| settle(process, versions)),
    ("pyclean", |_| Ok(0)),
    ("pycompile", |process| Ok(skipped(process))),
    ("pypy3clean", |_| Ok(0)),
    ("pypy3compile", |process| Ok(skipped(process))),
    ("python3", |process| settle(process, python)),
    ("python3.13", |process| settle(process, python)),
];

const BYTE_CODE: &str = "Python modules are not byte-compiled: Python does that in memory when it imports them";

/// Scripts of the standard library that byte-compile what they are given.
const COMPILERS: [&str; 2] = ["py_compile.py", "compileall.py"];

fn skipped(process: &mut Process<'_>) -> Status {
    process.note(BYTE_CODE);
    0
}

/// `python3.13 -E -S [-O] /usr/lib/python3.13/py_compile.py FILE…`; any other program would have to be executed.
fn python(process: &mut Process<'_>) -> Done {
    let given = Arguments::in_order(process, &["-E", "-S", "-O", "-I", "-m =", "-c ="])?;
    let program = given.operands.first().and_then(|path| path.rsplit('/').next());
    let compiles = given
        .value("-m")
        .is_some_and(|module| ["py_compile", "compileall"].contains(&module))
        || (given.value("-c").is_none() && program.is_some_and(|program| COMPILERS.contains(&program)));
    if !compiles {
        return Err(process.unsupported("running a Python program").into());
    }
    Ok(skipped(process))
}

/// `py3versions -d` and `-i`: Debian has one Python 3 at a time, whose name is that of its library.
fn versions(process: &mut Process<'_>) -> Done {
    let given = Arguments::of(process, &["-d --default", "-i --installed", "-s --supported"])?;
    if !given.operands.is_empty() {
        return Err(process.unsupported(given.operands.join(" ")).into());
    }
    let tree = &process.system.tree;
    let entries = tree.read_dir("/usr/bin").unwrap_or_default().into_iter();
    let mut names: Vec<String> = entries
        .map(|(name, _)| name)
        .filter(|name| {
            let minor = name.strip_prefix("python3.").unwrap_or("");
            !minor.is_empty() && minor.bytes().all(|byte| byte.is_ascii_digit())
        })
        .collect();
    names.sort();
    process.say(&names.join(" "));
    Ok(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::lookup;
    use crate::system::System;

    #[test]
    fn byte_compilation_is_left_out_and_any_other_program_refused() {
        let mut system = System::new("arm64", 0);
        system.tree.mkdir_all("/usr/bin", 0o755).unwrap();
        for name in ["python3", "python3.13", "python3.13-config"] {
            system.tree.write(&format!("/usr/bin/{name}"), "", 0o755).unwrap();
        }
        let mut run = |args: &[&str]| {
            let mut process = Process::new(&mut system, args);
            let outcome = lookup(args[0]).unwrap()(&mut process);
            (outcome, String::from_utf8(process.stdout).unwrap())
        };
        let library = "/usr/lib/python3.13/py_compile.py";
        assert_eq!(run(&["python3.13", "-E", "-S", "-O", library, "/x.py"]).0, Ok(0));
        assert_eq!(run(&["python3", "-m", "compileall", "/usr/lib"]).0, Ok(0));
        assert_eq!(run(&["py3versions", "-i"]).1, "python3.13\n");
        assert!(run(&["python3", "-c", "import py_compile"]).0.is_err());
        assert!(run(&["python3", "/usr/bin/tool", library]).0.is_err());
        assert_eq!(system.notes.len(), 1);
    }
}
