//! dpkg(1) and the small tools beside it.

use super::compare::compare;
use super::query;
use crate::commands::arguments::{Arguments, is_whole_tree};
use crate::commands::ending::{Done, Ending, settle};
use crate::shell::process::{Command, Process};

/// dpkg and its small tools.
pub(crate) const COMMANDS: &[(&str, Command)] = &[
    ("dpkg", |process| settle(process, dpkg)),
    ("dpkg-trigger", |process| settle(process, trigger)),
    ("dpkg-maintscript-helper", |process| settle(process, maintscript_helper)),
    ("dpkg-realpath", |process| settle(process, realpath)),
];

/// The version of dpkg whose behaviour this follows.
const DPKG_VERSION: &str = "1.22.22";

fn dpkg(process: &mut Process<'_>) -> Done {
    let args = process.args[1..].to_vec();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args[..] {
        ["--compare-versions", left, relation, right] => {
            let holds = compare(left, relation, right).map_err(|text| Ending::with(2, text))?;
            Ok(u8::from(!holds))
        }
        ["--compare-versions", ..] => Err(Ending::with(2, "--compare-versions takes three arguments")),
        ["--print-architecture"] => {
            let arch = process.system.arch.clone();
            process.say(&arch);
            Ok(0)
        }
        ["--print-foreign-architectures"] => Ok(0),
        ["--version"] => {
            process.say(&format!(
                "Debian 'dpkg' package management program version {DPKG_VERSION}."
            ));
            Ok(0)
        }
        [assertion, ..] if assertion.starts_with("--assert-") => Ok(0),
        ["--validate-version", version] => Ok(u8::from(compare(version, "eq", version).is_err())),
        _ => query::run(process),
    }
}

fn trigger(process: &mut Process<'_>) -> Done {
    let known = &[
        "--check-supported",
        "--no-await",
        "--await",
        "--by-package =",
        "--no-act",
        "--admindir =",
    ];
    let given = Arguments::of(process, known)?;
    if given.has("--check-supported") {
        return Ok(0);
    }
    let [name] = given.operands.as_slice() else {
        return Err(Ending::with(2, "takes one argument, the trigger name"));
    };
    let by = match given.value("--by-package") {
        Some(package) => package.to_owned(),
        None => process
            .env
            .get("DPKG_MAINTSCRIPT_PACKAGE")
            .cloned()
            .filter(|name| !name.is_empty())
            .ok_or_else(|| {
                Ending::with(
                    2,
                    "must be called from a maintainer script (or with a --by-package option)",
                )
            })?,
    };
    if !given.has("--no-act") {
        process.system.triggers.entry(name.clone()).or_default().insert(by);
    }
    Ok(0)
}

/// All subcommands of dpkg-maintscript-helper(1).
const TRANSITIONS: &[&str] = &["rm_conffile", "mv_conffile", "symlink_to_dir", "dir_to_symlink"];

fn maintscript_helper(process: &mut Process<'_>) -> Done {
    let args = process.args[1..].to_vec();
    match args.first().map(String::as_str) {
        Some("supports") => {
            let known = args
                .get(1)
                .is_some_and(|name| name == "supports" || TRANSITIONS.contains(&name.as_str()));
            Ok(u8::from(!known))
        }
        Some(name) if TRANSITIONS.contains(&name) => {
            let separator = args
                .iter()
                .position(|arg| arg == "--")
                .ok_or_else(|| Ending::failed("error: missing arguments after --"))?;
            // What the maintainer script was called with: an action, and on an upgrade the old version. Only with an
            // old version is there anything to remove, move or turn round.
            let triggered = args.get(separator + 1).is_some_and(|action| action == "triggered");
            match args.get(separator + 2) {
                // Behind `triggered` are triggers.
                Some(old) if !old.is_empty() && !triggered => {
                    Err(process.unsupported(format!("upgrading from {old}")).into())
                }
                _ => Ok(0),
            }
        }
        other => Err(Ending::failed(format!(
            "error: command {} is unknown",
            other.unwrap_or("")
        ))),
    }
}

fn realpath(process: &mut Process<'_>) -> Done {
    let given = Arguments::of(process, &["-z --zero", "--root =", "--instdir =", "--admindir ="])?;
    if !is_whole_tree(given.value("--root").or(given.value("--instdir")).unwrap_or("")) {
        return Err(process.unsupported("another root").into());
    }
    let [path] = given.operands.as_slice() else {
        return Err(Ending::failed("error: missing pathname"));
    };
    let path = process.path(path);
    let canonical = canonical_missing(process, &path)?;
    process.say(&canonical);
    Ok(0)
}

/// The canonical path, as `readlink -m`: components may be missing from some point on.
fn canonical_missing(process: &Process<'_>, path: &str) -> Done<String> {
    let tree = &process.system.tree;
    match tree.canonical(path) {
        Ok(found) => Ok(found),
        Err(error) => match path.trim_end_matches('/').rsplit_once('/') {
            Some((parent, name)) if !parent.is_empty() => Ok(format!(
                "{}/{name}",
                canonical_missing(process, parent)?.trim_end_matches('/')
            )),
            _ => Err(error.into()),
        },
    }
}
