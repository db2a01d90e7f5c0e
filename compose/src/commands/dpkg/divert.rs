//! dpkg-divert(1)

use crate::commands::arguments::{Arguments, is_whole_tree};
use crate::commands::ending::{Done, Ending, settle};
use crate::commands::fnmatch::matches;
use crate::dpkg::diversions::{Diversion, Diversions};
use crate::shell::process::{Command, Process};
use crate::tree::Tree;

/// dpkg-divert
pub(crate) const COMMANDS: &[(&str, Command)] = &[("dpkg-divert", |process| settle(process, divert))];

const OPTIONS: &[&str] = &[
    "--add",
    "--remove",
    "--list",
    "--truename",
    "--listpackage",
    "--package =",
    "--local",
    "--divert =",
    "--rename",
    "--no-rename",
    "--quiet",
    "--test",
    "--admindir =",
    "--instdir =",
    "--root =",
];

fn divert(process: &mut Process<'_>) -> Done {
    let given = Arguments::of(process, OPTIONS)?;
    if given.has("--test") || !is_whole_tree(given.value("--root").or(given.value("--instdir")).unwrap_or("")) {
        return Err(process.unsupported("--test and other roots").into());
    }
    if given.has("--list") {
        return list(process, &given);
    }
    let [file] = given.operands()[..] else {
        return Err(Ending::with(2, "needs exactly one file"));
    };
    let file = file.to_owned();
    let diversions = Diversions::load(&process.system.tree)?;
    if given.has("--truename") {
        process.say(diversions.of(&file).map_or(file.as_str(), |diversion| &diversion.to));
        Ok(0)
    } else if given.has("--listpackage") {
        if let Some(diversion) = diversions.of(&file) {
            let package = if diversion.package == ":" {
                "LOCAL"
            } else {
                &diversion.package
            };
            process.say(package);
        }
        Ok(0)
    } else if given.has("--remove") {
        remove(process, &given, &file, diversions)
    } else {
        add(process, &given, file, diversions)
    }
}

fn list(process: &mut Process<'_>, given: &Arguments) -> Done {
    let patterns = if given.operands.is_empty() {
        vec!["*"]
    } else {
        given.operands()
    };
    for diversion in &Diversions::load(&process.system.tree)?.0 {
        let named = [&diversion.from, &diversion.to, &diversion.package];
        if patterns
            .iter()
            .any(|pattern| named.iter().any(|name| matches(pattern, name)))
        {
            process.say(&describe(diversion));
        }
    }
    Ok(0)
}

fn describe(diversion: &Diversion) -> String {
    let Diversion { from, to, package } = diversion;
    if package == ":" {
        format!("local diversion of {from} to {to}")
    } else {
        format!("diversion of {from} to {to} by {package}")
    }
}

/// The package a diversion is made or removed for: `--package`, `--local`, the package whose script runs, else local.
fn package(process: &Process<'_>, given: &Arguments) -> String {
    if given.has("--local") {
        return ":".to_owned();
    }
    let of_script = process.env.get("DPKG_MAINTSCRIPT_PACKAGE").map(String::as_str);
    given
        .value("--package")
        .or(of_script)
        .filter(|name| !name.is_empty())
        .unwrap_or(":")
        .to_owned()
}

fn add(process: &mut Process<'_>, given: &Arguments, from: String, mut diversions: Diversions) -> Done {
    let package = package(process, given);
    let to = given
        .value("--divert")
        .map_or_else(|| format!("{from}.distrib"), str::to_owned);
    if !from.starts_with('/') || !to.starts_with('/') || from == to {
        return Err(Ending::with(2, format!("cannot divert {from} to {to}")));
    }
    let new = Diversion { from, to, package };
    let clash = diversions
        .0
        .iter()
        .find(|old| old.from == new.from || old.to == new.to || old.from == new.to);
    if let Some(old) = clash {
        if *old == new {
            if !given.has("--quiet") {
                process.say(&format!("Leaving '{}'", describe(&new)));
            }
            return Ok(0);
        }
        let text = format!("'{}' clashes with '{}'", describe(&new), describe(old));
        return Err(Ending::with(2, text));
    }
    if !given.has("--quiet") {
        process.say(&format!("Adding '{}'", describe(&new)));
    }
    let tree = &mut process.system.tree;
    if given.has("--rename") {
        rename(tree, &new.from, &new.to)?;
    }
    diversions.0.push(new);
    diversions.store(tree)?;
    Ok(0)
}

fn remove(process: &mut Process<'_>, given: &Arguments, file: &str, mut diversions: Diversions) -> Done {
    let Some(at) = diversions.0.iter().position(|diversion| diversion.from == file) else {
        if !given.has("--quiet") {
            process.say(&format!("No diversion '{file}', none removed."));
        }
        return Ok(0);
    };
    let old = &diversions.0[at];
    let wrong_target = given.value("--divert").is_some_and(|to| to != old.to);
    if wrong_target || (given.has("--package") && package(process, given) != old.package) {
        return Err(Ending::with(2, format!("mismatch when removing '{}'", describe(old))));
    }
    // A script of another package than the one that diverted removes nothing (dpkg-divert(1), --package).
    if !given.has("--package") && !given.has("--local") && package(process, given) != old.package {
        return Err(Ending::with(
            2,
            format!("mismatch on package when removing '{}'", describe(old)),
        ));
    }
    let old = diversions.0.remove(at);
    if !given.has("--quiet") {
        process.say(&format!("Removing '{}'", describe(&old)));
    }
    let tree = &mut process.system.tree;
    if given.has("--rename") {
        rename(tree, &old.to, &old.from)?;
    }
    diversions.store(tree)?;
    Ok(0)
}

fn rename(tree: &mut Tree, from: &str, to: &str) -> Done<()> {
    if !tree.lexists(from) {
        return Ok(());
    }
    if tree.lexists(to) {
        return Err(Ending::with(
            2,
            format!("rename involves overwriting '{to}' with different file '{from}'"),
        ));
    }
    tree.rename(from, to)?;
    Ok(())
}
