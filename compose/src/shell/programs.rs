//! Commands that are not the shell's own: ours from the table, `sh` itself, and shell scripts of the tree.

use std::rc::Rc;

use super::builtins::{self, Builtin, Kind};
use super::files::Files;
use super::process::{Command, Halt, Origin, Process, Status};
use super::session::Unknown;
use super::state::{Flow, Options, Run, Shell, State, Variable};

/// Directories whose programs are looked up in the table by their bare names.
const PROGRAM_DIRS: &[&str] = &[
    "/bin",
    "/sbin",
    "/usr/bin",
    "/usr/sbin",
    "/usr/local/bin",
    "/usr/local/sbin",
];

/// The names a shell goes by.
const SHELLS: &[&str] = &["sh", "dash", "bash"];

/// A program as it was found.
#[derive(Clone, Debug)]
pub(super) enum Program {
    /// A command of ours.
    Command(Command),
    /// A builtin that is a program as well (`/bin/echo`).
    Builtin(&'static Builtin),
    /// `sh`, `dash` or `bash`.
    Shell { bash: bool },
    /// A shell script of the tree.
    Script { path: String },
    /// In the tree, but not executable.
    Forbidden,
    /// Nothing we could run.
    Unknown,
}

/// A script as its first line describes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Interpreter<'t> {
    pub(super) bash: bool,
    /// The options on that line, without the `-`.
    pub(super) options: &'t str,
}

/// What the `#!` line of `text` asks for; `None` if that is no shell. A text without such a line is for `sh`.
pub(super) fn interpreter(text: &str) -> Option<Interpreter<'_>> {
    let Some(line) = text.lines().next().and_then(|line| line.strip_prefix("#!")) else {
        return Some(Interpreter {
            bash: false,
            options: "",
        });
    };
    let mut words = line.split_whitespace();
    let mut name = words.next()?.rsplit('/').next()?;
    if name == "env" {
        name = words.next()?;
    }
    SHELLS.contains(&name).then(|| Interpreter {
        bash: name == "bash",
        options: words.next().and_then(|word| word.strip_prefix('-')).unwrap_or(""),
    })
}

impl Shell<'_> {
    /// Finds the program `name`: in the table, else in the tree.
    pub(super) fn program(&self, name: &str) -> Program {
        if let Some(command) = crate::commands::lookup(name).filter(|_| !self.hides(name)) {
            return Program::Command(command);
        }
        let (dir, base) = name.rsplit_once('/').unwrap_or(("/bin", name));
        if PROGRAM_DIRS.contains(&dir) && name != "." {
            if let Some(command) = crate::commands::lookup(base).filter(|_| !self.hides(base)) {
                return Program::Command(command);
            }
            if SHELLS.contains(&base) {
                return Program::Shell { bash: base == "bash" };
            }
            if let Some(builtin) = builtins::find(base, false).filter(|builtin| builtin.kind == Kind::Program) {
                return Program::Builtin(builtin);
            }
        }
        match self.locate(name) {
            Some(path) => self.script(path),
            None if name.contains('/') && self.system.tree.is_file(&self.absolute(name)) => Program::Forbidden,
            None => Program::Unknown,
        }
    }

    /// debconf's functions exist only once its confmodule has been sourced.
    fn hides(&self, name: &str) -> bool {
        name.starts_with("db_") && !self.state.confmodule
    }

    fn script(&self, path: String) -> Program {
        let head = self.system.tree.read(&path).unwrap_or_default();
        let is_script = head.starts_with(b"#!") && {
            let line = head.split(|byte| *byte == b'\n').next().unwrap_or_default();
            std::str::from_utf8(line).is_ok_and(|line| interpreter(line).is_some())
        };
        if is_script {
            Program::Script { path }
        } else {
            Program::Unknown
        }
    }

    /// The executable file of the tree that `name` leads to, along `PATH` unless it has a slash. This, and not our
    /// table, answers `command -v`: a script that asks whether a tool is installed shall learn the truth.
    pub(super) fn locate(&self, name: &str) -> Option<String> {
        let executable = |path: &str| {
            let inode = self.system.tree.stat(path);
            inode.is_ok_and(|inode| inode.is_file() && inode.mode & 0o111 != 0)
        };
        if name.contains('/') {
            return executable(&self.absolute(name)).then(|| name.to_owned());
        }
        let path = self.state.get("PATH").unwrap_or_default();
        path.split(':').filter(|_| !name.is_empty()).find_map(|dir| {
            let dir = if dir.is_empty() { "." } else { dir };
            let candidate = format!("{}/{name}", dir.trim_end_matches('/'));
            executable(&self.absolute(&candidate)).then_some(candidate)
        })
    }

    /// Runs a program with the given arguments, `args[0]` included.
    pub(super) fn run_program(&mut self, program: &Program, args: &[String]) -> Run {
        match program {
            Program::Command(command) => self.run_command(*command, args),
            Program::Builtin(builtin) => self.run_builtin(builtin, args),
            Program::Shell { bash } => self.run_shell(*bash, args),
            Program::Script { path } => {
                let path = path.clone();
                self.run_script_file(&path, &args[1..])
            }
            Program::Forbidden => {
                self.complain(&format!("{}: Permission denied", args[0]));
                Ok(126)
            }
            Program::Unknown => match self.session.unknown {
                Unknown::Halts => Err(Flow::Halt(Halt::unknown(&args[0]))),
                Unknown::Fails => {
                    self.complain(&format!("{}: not found", args[0]));
                    Ok(127)
                }
            },
        }
    }

    fn run_command(&mut self, command: Command, args: &[String]) -> Run {
        let input = self.unread(0).unwrap_or_default();
        let available = input.len();
        let environment = self.state.variables.values().filter(|variable| variable.exported);
        self.session
            .work(environment.flat_map(Variable::all).map(String::len).sum())?;
        let mut process = Process {
            args: args.to_vec(),
            env: self.state.environment(),
            cwd: self.physical_cwd(),
            umask: self.state.umask,
            stdin: input,
            stdout: Vec::new(),
            stderr: Vec::new(),
            origin: (*self.origin).clone(),
            spawner: super::spawn,
            assigns: Vec::new(),
            session: self.session.clone(),
            system: self.system,
        };
        let outcome = command(&mut process);
        let Process {
            stdin,
            stdout,
            stderr,
            assigns,
            ..
        } = process;
        let mut status = outcome?;
        let read = available.saturating_sub(stdin.len());
        self.session.work(read)?;
        self.consume(0, read);
        status = self.put_out(&args[0], &stdout, status)?;
        self.write(2, &stderr)?;
        for (name, value) in assigns {
            self.set(&name, &value)?;
        }
        Ok(status)
    }

    /// Runs something as a process of its own: a fresh shell with our environment, files, directory and umask.
    pub(super) fn separate(&mut self, arg0: &str, bash: bool, run: impl FnOnce(&mut Self) -> Run) -> Run<Status> {
        let files: Files = self.state.files.clone();
        let env = self.state.environment();
        let pid = self.session.new_pid();
        let mut state = State::new(&env, &self.state.cwd, self.state.umask, pid, files);
        state.put("PPID", &self.state.pid.to_string());
        arg0.clone_into(&mut state.arg0);
        state.bash = bash;
        self.subshell(|shell| {
            shell.state = state;
            run(shell)
        })
    }

    /// Interprets a script of the tree.
    fn run_script_file(&mut self, path: &str, params: &[String]) -> Run {
        let absolute = self.absolute(path);
        let text = match self.system.tree.read(&absolute) {
            Ok(content) => Self::text(content.to_vec())?,
            Err(error) => {
                self.complain(&format!("cannot open {error}"));
                return Ok(2);
            }
        };
        let Some(interpreter) = interpreter(&text) else {
            return Err(Flow::Halt(Halt::unknown(path)));
        };
        let origin = Origin {
            package: self.origin.package.clone(),
            script: absolute,
        };
        self.separate(path, interpreter.bash, |shell| {
            shell.origin = Rc::new(origin);
            shell.state.params = params.to_vec();
            shell.start(&text, interpreter.options)
        })
    }

    /// Runs the text of a script under the options of its first line.
    pub(super) fn start(&mut self, text: &str, options: &str) -> Run {
        for letter in options.chars() {
            if !self.set_letter(letter, true) {
                return Err(Self::unsupported("#!", format!("the option -{letter}")));
            }
        }
        self.run_text(text, 1, false)
    }

    /// `sh [-options] [-c text [name [argument…]] | file [argument…]]`
    fn run_shell(&mut self, bash: bool, args: &[String]) -> Run {
        let mut options = Vec::new();
        let mut rest = &args[1..];
        let (mut text, mut stdin) = (false, false);
        while let Some(word) = rest
            .first()
            .filter(|word| word.starts_with(['-', '+']) && word.len() > 1)
        {
            let on = word.starts_with('-');
            rest = &rest[1..];
            if word == "--" {
                break;
            }
            for letter in word[1..].chars() {
                match letter {
                    'c' => text = true,
                    's' => stdin = true,
                    'o' if !rest.is_empty() => {
                        options.push((rest[0].clone(), on));
                        rest = &rest[1..];
                    }
                    letter => match Options::name_of(letter) {
                        Some(name) => options.push((name.to_owned(), on)),
                        None => return Err(Self::unsupported(&args[0], format!("the option -{letter}"))),
                    },
                }
            }
        }
        if !text
            && !stdin
            && let Some(path) = rest.first()
        {
            return self.run_file_operand(bash, path, &rest[1..], &options);
        }
        let source = if text {
            let Some((source, params)) = rest.split_first() else {
                self.complain(&format!("{}: -c requires an argument", args[0]));
                return Ok(2);
            };
            rest = params;
            source.clone()
        } else {
            let input = self.unread(0).unwrap_or_default();
            self.consume(0, input.len());
            Self::text(input.to_vec())?
        };
        let (name, params) = match rest.split_first() {
            Some((name, params)) if text => (name, params.to_vec()),
            _ => (&args[0], rest.to_vec()),
        };
        self.separate(name, bash, |shell| {
            shell.state.params = params;
            for (name, on) in &options {
                shell.state.options.set(name, *on);
            }
            shell.run_text(&source, 1, false)
        })
    }

    fn run_file_operand(&mut self, bash: bool, path: &str, params: &[String], options: &[(String, bool)]) -> Run {
        let absolute = self.absolute(path);
        let Ok(content) = self.system.tree.read(&absolute) else {
            self.complain(&format!("0: cannot open {path}: No such file"));
            return Ok(2);
        };
        let text = Self::text(content.to_vec())?;
        let origin = Origin {
            package: self.origin.package.clone(),
            script: absolute,
        };
        self.separate(path, bash, |shell| {
            shell.origin = Rc::new(origin);
            shell.state.params = params.to_vec();
            for (name, on) in options {
                shell.state.options.set(name, *on);
            }
            shell.run_text(&text, 1, false)
        })
    }
}
