use std::collections::{BTreeMap, BTreeSet};

use computatom_compose::shell::inventory::{self, Call, Inventory};
use rayon::prelude::*;

use crate::judge::{Verdict, judge};
use crate::packages::{Found, INSTALLING, Program, SCRIPTS};

/// What all scripts use.
#[derive(Default)]
pub(crate) struct Usage {
    /// Construct to the packages that use it.
    pub(crate) constructs: BTreeMap<&'static str, BTreeSet<String>>,
    /// Command to what is known of its calls in scripts that run on a first installation.
    pub(crate) commands: BTreeMap<String, Command>,
    /// Scripts of another interpreter, and scripts our parser refuses, with its reason.
    pub(crate) unread: Vec<String>,
    /// Files that are read with `.`.
    pub(crate) sourced: BTreeSet<String>,
    /// Calls whose command word is only known at run time.
    pub(crate) computed: usize,
}

#[derive(Default)]
pub(crate) struct Command {
    pub(crate) packages: BTreeSet<String>,
    pub(crate) calls: usize,
    /// Option or operator to the packages that use it.
    pub(crate) options: BTreeMap<String, BTreeSet<String>>,
    /// What is refused, with an example.
    pub(crate) refused: BTreeMap<String, String>,
    /// Unknown programs that its calls ask for.
    pub(crate) unknown: BTreeMap<String, BTreeSet<String>>,
}

/// A text that is interpreted when a package is installed, or could be.
pub(crate) struct Script {
    pub(crate) package: String,
    /// The member of the control archive, or the path of a script that such a one calls.
    pub(crate) name: String,
    /// Whether it runs on a first installation.
    pub(crate) runs: bool,
    pub(crate) text: String,
}

/// The maintainer scripts of all packages.
pub(crate) fn maintainer_scripts(packages: &BTreeMap<String, Found>) -> Vec<Script> {
    let mut scripts = Vec::new();
    for (package, found) in packages {
        for (at, name) in SCRIPTS.iter().enumerate() {
            scripts.extend(found.control.text(name).map(|text| Script {
                package: package.clone(),
                name: (*name).to_owned(),
                runs: at < INSTALLING,
                text,
            }));
        }
    }
    scripts
}

/// Adds those of `programs` that are shell scripts and not yet among `scripts`; whether there were any.
pub(crate) fn add_called(scripts: &mut Vec<Script>, programs: &BTreeMap<String, Program>) -> bool {
    let known: BTreeSet<String> = scripts.iter().map(|script| script.name.clone()).collect();
    let before = scripts.len();
    for (name, program) in programs.iter().filter(|(name, _)| !known.contains(*name)) {
        scripts.extend(program.shell.as_ref().map(|text| Script {
            package: program.package.clone(),
            name: name.clone(),
            runs: true,
            text: text.clone(),
        }));
    }
    scripts.len() > before
}

/// Reads all scripts and judges each call once.
pub(crate) fn gather(scripts: &[Script]) -> Usage {
    let mut usage = Usage::default();
    let read: Vec<_> = scripts.par_iter().map(|script| inventory::read(&script.text)).collect();
    let functions = visible_functions(scripts, &read);
    let mut calls: BTreeMap<(Call, bool), Verdict> = BTreeMap::new();
    for ((script, found), functions) in scripts.iter().zip(&read).zip(&functions) {
        let Ok(Some(found)) = found else { continue };
        for call in found
            .calls
            .iter()
            .filter(|call| script.runs && is_program(call, functions))
        {
            calls.insert((anywhere(call), found.bash), Verdict::Done);
        }
    }
    calls
        .par_iter_mut()
        .for_each(|((call, bash), verdict)| *verdict = judge(call, *bash));
    for ((script, found), functions) in scripts.iter().zip(&read).zip(&functions) {
        match found {
            Err(error) => usage
                .unread
                .push(format!("{} {}: {error:#}", script.package, script.name)),
            Ok(None) => {
                let first = script.text.lines().next().unwrap_or_default();
                usage
                    .unread
                    .push(format!("{} {}: `{first}`", script.package, script.name));
            }
            Ok(Some(found)) => {
                for construct in found.constructs.keys() {
                    usage
                        .constructs
                        .entry(construct)
                        .or_default()
                        .insert(script.package.clone());
                }
                for call in found.calls.iter().filter(|_| script.runs) {
                    if !call.fixed[0] {
                        usage.computed += 1;
                    } else if is_program(call, functions) {
                        let verdict = &calls[&(anywhere(call), found.bash)];
                        usage.count(script, call, verdict, functions);
                    }
                }
            }
        }
    }
    usage
}

/// The functions each script can call: its own, and those of the files it reads with `.`.
fn visible_functions(scripts: &[Script], read: &[anyhow::Result<Option<Inventory>>]) -> Vec<BTreeSet<String>> {
    let own = |found: &anyhow::Result<Option<Inventory>>| match found {
        Ok(Some(found)) => found.functions.clone(),
        _ => BTreeSet::new(),
    };
    let by_name: BTreeMap<&str, BTreeSet<String>> = scripts
        .iter()
        .zip(read)
        .map(|(script, found)| (script.name.as_str(), own(found)))
        .collect();
    let with_sourced = |found: &anyhow::Result<Option<Inventory>>| {
        let mut functions = own(found);
        if let Ok(Some(found)) = found {
            for path in found.calls.iter().filter_map(sourced) {
                functions.extend(by_name.get(path).into_iter().flatten().cloned());
            }
        }
        functions
    };
    read.iter().map(with_sourced).collect()
}

/// The file that a call reads with `.`, if that is known.
fn sourced(call: &Call) -> Option<&str> {
    let reads = matches!(call.words[0].as_str(), "." | "source");
    call.words.get(1).filter(|_| reads && call.fixed[1]).map(String::as_str)
}

/// The call, wherever it stands.
fn anywhere(call: &Call) -> Call {
    Call {
        line: 0,
        ..call.clone()
    }
}

fn is_program(call: &Call, functions: &BTreeSet<String>) -> bool {
    call.fixed[0] && !functions.contains(&call.words[0])
}

impl Usage {
    fn count(&mut self, script: &Script, call: &Call, verdict: &Verdict, functions: &BTreeSet<String>) {
        self.sourced.extend(sourced(call).map(str::to_owned));
        let command = self.commands.entry(call.words[0].clone()).or_default();
        command.packages.insert(script.package.clone());
        command.calls += 1;
        for option in options(call) {
            command
                .options
                .entry(option)
                .or_default()
                .insert(script.package.clone());
        }
        let example = || {
            format!(
                "{} {}, line {}: {}",
                script.package,
                script.name,
                call.line,
                call.words.join(" ")
            )
        };
        match verdict {
            Verdict::Done => {}
            Verdict::Refused(what) => {
                command.refused.entry(what.clone()).or_insert_with(example);
            }
            Verdict::Unknown(name) if functions.contains(name) => {}
            Verdict::Unknown(name) => {
                command
                    .unknown
                    .entry(name.clone())
                    .or_default()
                    .insert(script.package.clone());
            }
        }
    }

    /// Programs that are no command of ours, and files that are read with `.`.
    pub(crate) fn wanted(&self) -> BTreeSet<String> {
        let unknown = self.commands.values().flat_map(|command| command.unknown.keys());
        unknown.chain(&self.sourced).cloned().collect()
    }
}

/// The options of a call, without their values; of `[` and `test` its operators.
fn options(call: &Call) -> Vec<String> {
    let tests = matches!(call.words[0].as_str(), "[" | "test");
    let mut found = Vec::new();
    for word in &call.words[1..] {
        if word == "--" && !tests {
            break;
        }
        let is_operator = tests && matches!(word.as_str(), "=" | "!=" | "==" | "<" | ">" | "!" | "(");
        let is_option = word.len() > 1 && word.starts_with('-') && !word[1..].starts_with(|c: char| c.is_ascii_digit());
        if is_operator || is_option {
            let name = match word.split_once('=').filter(|_| word.starts_with("--")) {
                Some((name, _)) => name,
                // `-es/a/b/`, `-f${Package}`: a value behind the letter.
                None if is_option && !word.starts_with("--") && !word[1..].chars().all(char::is_alphanumeric) => {
                    word.get(..2).unwrap_or(word)
                }
                None => word,
            };
            found.push(name.to_owned());
        }
    }
    found
}
