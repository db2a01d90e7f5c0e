//! The builtins of the shell, one file per family, one table.
#![allow(clippy::unnecessary_wraps, reason = "what stands in one table has one signature")]

use super::state::{Run, Shell};

/// `alias`, `unalias`
mod alias;
/// `cd`, `pwd`
mod cd;
/// `.`, `eval`, `exec`, `exit`, `return`, `break`, `continue`, `:`, `true`, `false`
mod control;
/// `echo`
mod echo;
/// `getopts`
mod getopts;
/// `printf`
mod printf;
/// `umask`, `wait`, `times`, `kill`, `hash`
mod process;
/// `read`
mod read;
/// `set`, `shift`
mod set;
/// `test`, `[` and bash's `[[`
mod test;
/// `trap`
mod trap;
/// `export`, `readonly`, `local`, `unset`
mod variables;
/// `command`, `type`
mod which;

/// A command the shell runs itself.
#[derive(Debug)]
pub(super) struct Builtin {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) run: Action,
}

/// What is particular about a builtin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Regular,
    /// XCU 2.15: found before functions; its errors end the shell; assignments before it last.
    Special,
    /// Special, and arguments that look like assignments are expanded like assignments.
    Declaring,
    /// Exists as a program, too, so that `env`, `xargs` or a path can call it.
    Program,
    /// Known to bash only.
    Bash,
}

impl Builtin {
    pub(super) fn is_special(&self) -> bool {
        matches!(self.kind, Kind::Special | Kind::Declaring)
    }
}

type Action = fn(&mut Shell<'_>, &[String]) -> Run;

const fn of_kind(kind: Kind, name: &'static str, run: Action) -> Builtin {
    Builtin { name, kind, run }
}

const fn builtin(name: &'static str, run: Action) -> Builtin {
    of_kind(Kind::Regular, name, run)
}

const fn special(name: &'static str, run: Action) -> Builtin {
    of_kind(Kind::Special, name, run)
}

const fn declaring(name: &'static str, run: Action) -> Builtin {
    of_kind(Kind::Declaring, name, run)
}

const fn program(name: &'static str, run: Action) -> Builtin {
    of_kind(Kind::Program, name, run)
}

const fn bashism(name: &'static str, run: Action) -> Builtin {
    of_kind(Kind::Bash, name, run)
}

/// Every builtin.
static BUILTINS: &[Builtin] = &[
    special(".", control::dot),
    special(":", control::yes),
    builtin("alias", alias::alias),
    program("[", test::bracket),
    special("break", control::leave_loop),
    builtin("cd", cd::cd),
    builtin("command", which::command),
    special("continue", control::leave_loop),
    program("echo", echo::echo),
    special("eval", control::eval),
    special("exec", control::exec),
    special("exit", control::exit),
    declaring("export", variables::export),
    program("false", control::no),
    builtin("getopts", getopts::getopts),
    builtin("hash", process::hash),
    program("kill", process::kill),
    declaring("local", variables::local),
    program("printf", printf::printf),
    program("pwd", cd::pwd),
    builtin("read", read::read),
    declaring("readonly", variables::export),
    special("return", control::give_back),
    special("set", set::set),
    special("shift", set::shift),
    program("test", test::test),
    special("times", process::times),
    special("trap", trap::trap),
    program("true", control::yes),
    builtin("type", which::describe),
    builtin("umask", process::umask),
    builtin("unalias", alias::unalias),
    special("unset", variables::unset),
    builtin("wait", process::wait),
    // What follows would change what a script means if it were passed over.
    builtin("bg", process::refuse),
    builtin("fg", process::refuse),
    builtin("jobs", process::refuse),
    builtin("ulimit", process::refuse),
    bashism("source", control::dot),
    bashism("declare", process::refuse),
    bashism("let", process::refuse),
    bashism("mapfile", process::refuse),
    bashism("readarray", process::refuse),
    bashism("shopt", process::refuse),
    bashism("typeset", process::refuse),
    bashism("pushd", process::refuse),
    bashism("popd", process::refuse),
];

/// The builtin called `name`; `bash`: of bash, too.
pub(super) fn find(name: &str, bash: bool) -> Option<&'static Builtin> {
    BUILTINS
        .iter()
        .find(|builtin| builtin.name == name && (bash || builtin.kind != Kind::Bash))
}

impl Shell<'_> {
    /// An argument that must be a number, as dash reads it.
    fn number(&mut self, name: &str, text: &str) -> Run<u32> {
        match text.parse() {
            Ok(number) if text.bytes().all(|byte| byte.is_ascii_digit()) => Ok(number),
            _ => Err(self.error(&format!("{name}: Illegal number: {text}"))),
        }
    }
}
