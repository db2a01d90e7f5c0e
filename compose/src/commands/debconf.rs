//! debconf's shell functions and tools, without a frontend: no question is ever shown (debconf-devel(7)).

use crate::commands::arguments::Arguments;
use crate::commands::ending::{Done, Ending, settle};
use crate::debconf::{choices, expand, load_templates, preseed, set_flag};
use crate::shell::process::{Command, Process, Status};
use crate::system::{Question, System};

/// The functions of `confmodule` and the programs of the package.
pub(crate) const COMMANDS: &[(&str, Command)] = &[
    ("db_beginblock", |process| Ok(function(process))),
    ("db_capb", |process| Ok(function(process))),
    ("db_clear", |process| Ok(function(process))),
    ("db_data", |process| Ok(function(process))),
    ("db_endblock", |process| Ok(function(process))),
    ("db_fget", |process| Ok(function(process))),
    ("db_fset", |process| Ok(function(process))),
    ("db_get", |process| Ok(function(process))),
    ("db_go", |process| Ok(function(process))),
    ("db_info", |process| Ok(function(process))),
    ("db_input", |process| Ok(function(process))),
    ("db_metaget", |process| Ok(function(process))),
    ("db_progress", |process| Ok(function(process))),
    ("db_purge", |process| Ok(function(process))),
    ("db_register", |process| Ok(function(process))),
    ("db_reset", |process| Ok(function(process))),
    ("db_set", |process| Ok(function(process))),
    ("db_settitle", |process| Ok(function(process))),
    ("db_stop", |_| Ok(0)),
    ("db_subst", |process| Ok(function(process))),
    ("db_text", |process| Ok(function(process))),
    ("db_title", |process| Ok(function(process))),
    ("db_unregister", |process| Ok(function(process))),
    ("db_version", |process| Ok(function(process))),
    ("db_x_loadtemplatefile", |process| Ok(function(process))),
    ("debconf-set-selections", |process| settle(process, set_selections)),
    ("debconf-communicate", |process| Ok(communicate(process))),
    ("debconf-show", |process| settle(process, show)),
    ("debconf-escape", |process| settle(process, escape)),
];

/// Codes of the protocol.
const BAD_PARAMETERS: Status = 10;
const SYNTAX_ERROR: Status = 20;
const INVISIBLE: Status = 30;

/// A code and the text that goes with it.
type Reply = (Status, String);

/// `db_get a/b`: the reply's text goes to `RET`, as confmodule leaves it.
fn function(process: &mut Process<'_>) -> Status {
    let name = process.args[0]
        .strip_prefix("db_")
        .unwrap_or(&process.args[0])
        .to_owned();
    let args = process.args[1..].to_vec();
    let (code, text) = answer(process, &name, &args);
    // confmodule cuts off a code of one digit with its blank; a longer one, or one alone, stays in RET. Values have the
    // blank even where they are empty (`Debconf::ConfModule::process_command`).
    let valued = ["get", "metaget"].contains(&name.as_str());
    let ret = match (code, text.is_empty()) {
        (0..=9, true) if valued => text,
        (_, true) => code.to_string(),
        (0..=9, false) => text,
        (_, false) => format!("{code} {text}"),
    };
    process.assign("RET", ret);
    code
}

/// Carries out one command of the protocol.
fn answer(process: &mut Process<'_>, name: &str, args: &[String]) -> Reply {
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let package = process.origin.package.clone();
    let noninteractive_seen = process
        .env
        .get("DEBCONF_NONINTERACTIVE_SEEN")
        .is_some_and(|value| value == "true");
    let priority = process
        .env
        .get("DEBIAN_PRIORITY")
        .cloned()
        .unwrap_or_else(|| "high".to_owned());
    let system = &mut *process.system;
    let done = |text: &str| (0, text.to_owned());
    match (name, &args[..]) {
        ("beginblock" | "endblock" | "clear" | "title" | "info", _) => done(""),
        ("version", []) => done("2.1"),
        ("version", [version]) => match version.split('.').next() {
            Some("2") => done("2.1"),
            Some("0" | "1") => (INVISIBLE, format!("Version too low ({version})")),
            _ => (INVISIBLE, format!("Version too high ({version})")),
        },
        ("capb", _) => done("multiselect escape"),
        ("input" | "text", [level, question]) => {
            let seen = noninteractive_seen && at_least(level, &priority);
            match system.debconf.get_mut(*question) {
                Some(found) => {
                    found.asked = Some(seen);
                    (INVISIBLE, "question skipped".to_owned())
                }
                None => (BAD_PARAMETERS, format!("\"{question}\" doesn't exist")),
            }
        }
        ("go", []) => {
            system.debconf.values_mut().for_each(go);
            done("ok")
        }
        ("progress", ["start", _, _, question] | ["info", question]) => known(system, question, |_| "OK".to_owned()),
        ("progress", ["set" | "step", _] | ["stop"]) => done("OK"),
        ("register", [template, question]) => register(system, &package, template, question),
        ("unregister", [question]) => match system.debconf.get_mut(*question) {
            Some(found) => {
                found.owners.remove(&package);
                if found.owners.is_empty() {
                    system.debconf.remove(*question);
                }
                done("")
            }
            None => missing(question),
        },
        ("purge", []) => {
            system
                .debconf
                .retain(|_, question| !question.owners.remove(&package) || !question.owners.is_empty());
            done("")
        }
        ("x_loadtemplatefile", [file, rest @ ..]) => match system.tree.read_text(file) {
            Ok(text) => {
                load_templates(system, rest.first().copied().unwrap_or(&package), &text);
                done("")
            }
            Err(error) => (BAD_PARAMETERS, error.to_string()),
        },
        (_, [question, rest @ ..]) => match system.debconf.get_mut(*question) {
            Some(found) => on_question(found, name, rest),
            None if name == "settitle" => (BAD_PARAMETERS, format!("\"{question}\" doesn't exist")),
            None => missing(question),
        },
        _ => (SYNTAX_ERROR, "Incorrect number of arguments".to_owned()),
    }
}

/// Commands about one question.
fn on_question(question: &mut Question, name: &str, args: &[&str]) -> Reply {
    match (name, args) {
        ("get", []) => (0, question.value.clone()),
        ("set", words) => {
            question.value = words.join(" ");
            (0, "value set".to_owned())
        }
        ("reset", []) => {
            question.value.clone_from(&question.default);
            set_flag(question, "seen", false);
            (0, String::new())
        }
        ("subst", [variable, words @ ..]) => {
            question.substitutions.insert((*variable).to_owned(), words.join(" "));
            (0, String::new())
        }
        ("fget", ["isdefault"]) => (0, (!question.flags.contains("seen")).to_string()),
        ("fget", [flag]) => (0, question.flags.contains(*flag).to_string()),
        ("fset", [flag, words @ ..]) if !words.is_empty() => {
            let on = words.join(" ") == "true";
            match *flag {
                "isdefault" => set_flag(question, "seen", !on),
                flag => set_flag(question, flag, on),
            }
            (0, on.to_string())
        }
        ("metaget", [field]) => metaget(question, &field.to_ascii_lowercase()),
        ("data", [field, words @ ..]) => {
            let value = words.join(" ").replace("\\n", "\n");
            match field.to_ascii_lowercase().as_str() {
                "type" => question.kind = value,
                "default" => question.default = value,
                "choices" => question.choices = value,
                other => {
                    question.fields.insert(other.to_owned(), value);
                }
            }
            (0, String::new())
        }
        ("settitle", []) => (0, String::new()),
        _ => (SYNTAX_ERROR, "Incorrect number of arguments".to_owned()),
    }
}

fn metaget(question: &Question, field: &str) -> Reply {
    let text = match field {
        "type" => question.kind.clone(),
        "default" => question.default.clone(),
        "value" => question.value.clone(),
        "choices" | "choices-c" => expand(question, &question.choices),
        "owners" => question.owners.iter().cloned().collect::<Vec<_>>().join(", "),
        other => match question.fields.get(other) {
            Some(text) => expand(question, text),
            None => return (BAD_PARAMETERS, format!("{field} does not exist")),
        },
    };
    (0, text)
}

/// What happens to a question that was asked without anybody to answer: a select takes the first choice if its value
/// is none of them.
fn go(question: &mut Question) {
    let Some(seen) = question.asked.take() else { return };
    if question.kind == "select" {
        let choices = choices(question);
        if !choices.contains(&question.value) {
            question.value = choices.into_iter().next().unwrap_or_default();
        }
    }
    if seen {
        set_flag(question, "seen", true);
    }
}

fn at_least(level: &str, least: &str) -> bool {
    const LEVELS: [&str; 4] = ["low", "medium", "high", "critical"];
    let rank = |name: &str| LEVELS.iter().position(|level| *level == name);
    rank(level) >= rank(least)
}

fn register(system: &mut System, package: &str, template: &str, question: &str) -> Reply {
    let Some(found) = system.debconf.get(template) else {
        return (BAD_PARAMETERS, format!("No such template, \"{template}\""));
    };
    let fresh = Question {
        kind: found.kind.clone(),
        value: found.default.clone(),
        default: found.default.clone(),
        choices: found.choices.clone(),
        fields: found.fields.clone(),
        ..Question::default()
    };
    let question = system.debconf.entry(question.to_owned()).or_insert(fresh);
    question.owners.insert(package.to_owned());
    (0, String::new())
}

fn known(system: &System, question: &str, text: impl Fn(&Question) -> String) -> Reply {
    system
        .debconf
        .get(question)
        .map_or_else(|| missing(question), |found| (0, text(found)))
}

fn missing(question: &str) -> Reply {
    (BAD_PARAMETERS, format!("{question} doesn't exist"))
}

fn set_selections(process: &mut Process<'_>) -> Done {
    let given = Arguments::of(process, &["-v --verbose", "-c --checkonly", "-u --unseen"])?;
    let text = match given.operands.first() {
        Some(file) => process.system.tree.read_text(&process.path(file))?,
        None => String::from_utf8_lossy(&process.read_stdin()).into_owned(),
    };
    let mut scratch = System::new(&process.system.arch, 0);
    let target = if given.has("-c") {
        &mut scratch
    } else {
        &mut *process.system
    };
    preseed(target, &text, given.has("-u"))
        .map_err(|line| Ending::failed(format!("error: Cannot parse line: {line}")))?;
    Ok(0)
}

/// Lines of the protocol on standard input, replies on standard output.
fn communicate(process: &mut Process<'_>) -> Status {
    if let Some(package) = process.args.get(1).filter(|arg| !arg.starts_with('-')) {
        process.origin.package.clone_from(package);
    }
    let input = process.read_stdin();
    let mut status = 0;
    for line in String::from_utf8_lossy(&input).lines() {
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        let Some((name, args)) = words.split_first() else {
            continue;
        };
        let (code, text) = answer(process, &name.to_ascii_lowercase(), args);
        process.say(format!("{code} {text}").trim_end());
        status = code;
    }
    status
}

fn show(process: &mut Process<'_>) -> Done {
    let given = Arguments::of(process, &["--db ="])?;
    let mut lines = Vec::new();
    for package in &given.operands {
        for (name, question) in process
            .system
            .debconf
            .iter()
            .filter(|(_, question)| question.owners.contains(package))
        {
            let mark = if question.flags.contains("seen") { '*' } else { ' ' };
            lines.push(format!("{mark} {name}: {}", question.value).trim_end().to_owned());
        }
    }
    for line in lines {
        process.say(&line);
    }
    Ok(0)
}

fn escape(process: &mut Process<'_>) -> Done {
    let given = Arguments::of(process, &["-e --escape", "-u --unescape"])?;
    let text = String::from_utf8_lossy(&process.read_stdin()).into_owned();
    let out = if given.has("-e") {
        text.replace('\\', "\\\\").replace('\n', "\\n")
    } else {
        let mut out = String::new();
        let mut chars = text.chars();
        while let Some(c) = chars.next() {
            match (c, c == '\\') {
                (_, true) => match chars.next() {
                    Some('n') => out.push('\n'),
                    Some(other) => out.push(other),
                    None => out.push('\\'),
                },
                (c, _) => out.push(c),
            }
        }
        out
    };
    process.stdout.extend_from_slice(out.as_bytes());
    Ok(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Session(System);

    impl Session {
        fn new() -> Self {
            let mut system = System::new("arm64", 0);
            let text = "Template: p/select\nType: select\nChoices: yes, no\nDefault: ask\n\nTemplate: p/crts\nType: multiselect\n\
                Choices: ${crts}\nDescription: pick of ${crts}\n\nTemplate: p/flag\nType: boolean\nDefault: true\n";
            load_templates(&mut system, "p", text);
            Self(system)
        }

        fn call(&mut self, args: &[&str]) -> (Status, String) {
            let mut process = Process::new(&mut self.0, args);
            process.origin.package = "p".to_owned();
            process
                .env
                .insert("DEBCONF_NONINTERACTIVE_SEEN".to_owned(), "true".to_owned());
            let status = function(&mut process);
            let (name, value) = process.assigns.pop().unwrap();
            assert_eq!(name, "RET");
            (status, value)
        }
    }

    /// Codes and `RET` as a script sourcing the real confmodule sees them (debconf 1.5.91, noninteractive).
    #[test]
    fn functions_answer_as_confmodule_does() {
        let mut db = Session::new();
        for (args, status, ret) in [
            (&["db_version", "2.0"][..], 0, "2.1"),
            (&["db_capb", "backup"], 0, "multiselect escape"),
            (&["db_get", "p/flag"], 0, "true"),
            (&["db_get", "p/none"], 10, "10 p/none doesn't exist"),
            (&["db_input", "high", "p/select"], 30, "30 question skipped"),
            (&["db_fget", "p/select", "seen"], 0, "false"),
            (&["db_go"], 0, "ok"),
            (&["db_fget", "p/select", "seen"], 0, "true"),
            (&["db_get", "p/select"], 0, "yes"),
            (&["db_set", "p/flag", "two", "words"], 0, "value set"),
            (&["db_get", "p/flag"], 0, "two words"),
            (&["db_set", "p/flag", ""], 0, "value set"),
            (&["db_get", "p/flag"], 0, ""),
            (&["db_reset", "p/flag"], 0, "0"),
            (&["db_get", "p/flag"], 0, "true"),
            (&["db_subst", "p/crts", "crts", "a.crt, b.crt"], 0, "0"),
            (&["db_metaget", "p/crts", "choices"], 0, "a.crt, b.crt"),
            (&["db_metaget", "p/crts", "Description"], 0, "pick of a.crt, b.crt"),
            (&["db_fset", "p/crts", "seen", "true"], 0, "true"),
            (&["db_register", "p/flag", "p/other"], 0, "0"),
            (&["db_get", "p/other"], 0, "true"),
            (&["db_unregister", "p/other"], 0, "0"),
            (&["db_get", "p/other"], 10, "10 p/other doesn't exist"),
            (&["db_purge"], 0, "0"),
            (&["db_get", "p/flag"], 10, "10 p/flag doesn't exist"),
        ] {
            assert_eq!(db.call(args), (status, ret.to_owned()), "{args:?}");
        }
    }

    #[test]
    fn a_question_of_low_priority_is_not_seen() {
        let mut db = Session::new();
        db.call(&["db_input", "low", "p/flag"]);
        db.call(&["db_go"]);
        assert_eq!(db.call(&["db_fget", "p/flag", "seen"]).1, "false");
    }

    #[test]
    fn the_protocol_is_spoken_on_standard_input() {
        let mut db = Session::new();
        let mut process = Process::new(&mut db.0, &["debconf-communicate", "p"]);
        process.stdin = "SET p/flag no\nGET p/flag\n".into();
        assert_eq!(communicate(&mut process), 0);
        assert_eq!(process.stdout, b"0 value set\n0 no\n");
    }
}
