use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context as _, Result};
use computatom_compose::commands::lookup;
use computatom_compose::shell::inventory;

use crate::packages::{Program, SCRIPTS};
use crate::usage::{Command, Script, Usage};

/// The tables, as Markdown.
pub(crate) fn write(
    packages: usize,
    scripts: &[Script],
    usage: &Usage,
    programs: &BTreeMap<String, Program>,
) -> Result<String> {
    let mut text = String::new();
    let of_kind = |name: &str| scripts.iter().filter(|script| script.name == name).count();
    let counts: Vec<String> = SCRIPTS.iter().map(|name| format!("{} {name}", of_kind(name))).collect();
    let with_scripts: BTreeSet<&String> = scripts.iter().map(|script| &script.package).collect();
    let called = scripts
        .iter()
        .filter(|script| !SCRIPTS.contains(&script.name.as_str()))
        .count();
    let _ = writeln!(
        text,
        "{packages} packages, {} of them with scripts: {}, and {called} shell scripts that those call or read. {} calls have a \
         command word that is only known at run time.\n",
        with_scripts.len(),
        counts.join(", "),
        usage.computed
    );
    constructs(&mut text, usage)?;
    commands(&mut text, usage);
    unknown(&mut text, usage, programs);
    if !usage.unread.is_empty() {
        let _ = writeln!(text, "Scripts that are not read:\n");
        for script in &usage.unread {
            let _ = writeln!(text, "- {script}");
        }
        text.push('\n');
    }
    Ok(text)
}

/// Code in a cell of a table.
fn code(text: &str) -> String {
    let text = text.replace('|', "\\|");
    if text.contains('`') {
        format!("`` {text} ``")
    } else {
        format!("`{text}`")
    }
}

fn constructs(text: &mut String, usage: &Usage) -> Result<()> {
    let cases = cases()?;
    text.push_str("| construct | packages | cases that the real shell judges |\n|---|---:|---:|\n");
    let mut rows: Vec<_> = usage.constructs.iter().collect();
    rows.sort_by_key(|(name, packages)| (std::cmp::Reverse(packages.len()), **name));
    for (name, packages) in rows {
        let judged = match cases.get(name) {
            Some(count) => count.to_string(),
            None => "**none**".to_owned(),
        };
        let _ = writeln!(text, "| {} | {} | {judged} |", code(name), packages.len());
    }
    text.push('\n');
    Ok(())
}

/// Construct to the number of cases in `tests/shell` that use it.
fn cases() -> Result<BTreeMap<&'static str, usize>> {
    let mut counts = BTreeMap::new();
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/shell");
    for entry in std::fs::read_dir(&dir).with_context(|| format!("reading {}", dir.display()))? {
        let path = entry?.path();
        if path.extension().is_none_or(|extension| extension != "json") {
            continue;
        }
        let cases: serde_json::Value = serde_json::from_slice(&std::fs::read(&path)?)?;
        for case in cases.as_array().into_iter().flatten() {
            // Some cases are about what is no script.
            if let Ok(Some(found)) = inventory::read(case["script"].as_str().unwrap_or_default()) {
                for construct in found.constructs.keys() {
                    *counts.entry(*construct).or_default() += 1;
                }
            }
        }
    }
    Ok(counts)
}

fn commands(text: &mut String, usage: &Usage) {
    text.push_str(
        "| command | packages | options, with the packages that use them | refused by name |\n|---|---:|---|---|\n",
    );
    for (name, command) in rows(usage) {
        let _ = writeln!(
            text,
            "| {}{} | {} | {} | {} |",
            code(name),
            if inventory::is_builtin(name) { " (shell)" } else { "" },
            command.packages.len(),
            options(command),
            command
                .refused
                .keys()
                .map(|what| code(what))
                .collect::<Vec<_>>()
                .join(", ")
        );
    }
    text.push('\n');
}

/// The commands we have, the most used first.
fn rows(usage: &Usage) -> Vec<(&String, &Command)> {
    let is_ours = |name: &str| {
        let base = name.rsplit('/').next().unwrap_or(name);
        lookup(name).is_some() || lookup(base).is_some() || inventory::is_builtin(base)
    };
    let mut rows: Vec<_> = usage.commands.iter().filter(|(name, _)| is_ours(name)).collect();
    rows.sort_by_key(|(name, command)| (std::cmp::Reverse(command.packages.len()), *name));
    rows
}

fn options(command: &Command) -> String {
    let mut options: Vec<_> = command.options.iter().collect();
    options.sort_by_key(|(name, packages)| (std::cmp::Reverse(packages.len()), *name));
    let options: Vec<String> = options
        .into_iter()
        .map(|(name, packages)| format!("{} {}", code(name), packages.len()))
        .collect();
    options.join(", ")
}

fn unknown(text: &mut String, usage: &Usage, programs: &BTreeMap<String, Program>) {
    let mut callers: BTreeMap<&String, BTreeSet<&String>> = BTreeMap::new();
    for command in usage.commands.values() {
        for (name, packages) in &command.unknown {
            callers.entry(name).or_default().extend(packages);
        }
    }
    text.push_str("| not a command here | what it is | called by |\n|---|---|---|\n");
    for (name, packages) in callers {
        let what = match programs.get(name) {
            Some(Program {
                package,
                shell: Some(_),
                ..
            }) => format!("a shell script of {package}: interpreted"),
            Some(Program {
                package, interpreter, ..
            }) => format!("{interpreter}, of {package}: stops the build"),
            None => "in none of these packages: stops the build".to_owned(),
        };
        let packages: Vec<&str> = packages.into_iter().map(String::as_str).collect();
        let _ = writeln!(text, "| {} | {what} | {} |", code(name), packages.join(", "));
    }
    text.push('\n');
}
