//! Debian's tools around PostgreSQL's clusters, of which an image has none: a cluster is data, made on the node.

use super::arguments::Arguments;
use super::ending::{Done, Ending, settle};
use crate::shell::process::{Command, Process};

pub(super) const COMMANDS: &[(&str, Command)] = &[
    ("/usr/share/postgresql-common/pg_checksystem", |_| Ok(0)),
    ("pam_getenv", |process| settle(process, pam_getenv)),
    ("pg_conftool", |process| settle(process, conftool)),
    ("pg_createcluster", |process| settle(process, create)),
    ("pg_lsclusters", |process| settle(process, list)),
    ("pg_updatedicts", |process| settle(process, update_dictionaries)),
];

/// `pg_lsclusters [-h]`: a line for each cluster that has a configuration.
fn list(process: &mut Process<'_>) -> Done {
    let given = Arguments::of(process, &["-h --no-header"])?;
    let walked = process.system.tree.walk("/etc/postgresql").unwrap_or_default();
    if walked.iter().any(|(path, _)| path.ends_with("/postgresql.conf")) {
        return Err(process.unsupported("looking at a cluster").into());
    }
    if !given.has("-h") {
        process.say("Ver Cluster Port Status Owner Data directory Log file");
    }
    Ok(0)
}

/// `pg_createcluster [OPTION…] VERSION NAME`
fn create(process: &mut Process<'_>) -> Done {
    let given = Arguments::of(process, &["-u --user =", "--no-status"])?;
    let [version, name] = given.operands.as_slice() else {
        return Err(Ending::failed(
            "Usage: pg_createcluster [options] <version> <cluster name>",
        ));
    };
    let note = format!("no database cluster is made: on the node `pg_createcluster {version} {name} --start` does it");
    process.note(note);
    Ok(0)
}

/// `pg_conftool FILE show -bs NAME`: the value of a setting, if the file has it.
fn conftool(process: &mut Process<'_>) -> Done {
    let given = Arguments::of(process, &["-b --boolean", "-s --short"])?;
    let [file, "show", name] = given.operands()[..] else {
        return Err(process.unsupported(given.operands.join(" ")).into());
    };
    let text = process.system.tree.read_text(&process.path(file)).unwrap_or_default();
    let value = text.lines().rev().find_map(|line| {
        let (key, value) = line.split('#').next()?.split_once('=')?;
        (key.trim() == name).then(|| value.trim().trim_matches('\'').to_owned())
    });
    let Some(value) = value else { return Ok(1) };
    let on = ["on", "true", "yes", "1"].contains(&value.as_str());
    let off = ["off", "false", "no", "0"].contains(&value.as_str());
    process.say(match (given.has("-b"), on, off) {
        (true, true, _) => "on",
        (true, _, true) => "off",
        _ => &value,
    });
    Ok(0)
}

/// The dictionaries for full text search, from those of hunspell and myspell.
fn update_dictionaries(process: &mut Process<'_>) -> Done {
    Arguments::of(process, &[])?;
    for folder in ["/usr/share/hunspell", "/usr/share/myspell/dicts"] {
        let entries = process.system.tree.read_dir(folder).unwrap_or_default();
        if entries.iter().any(|(name, _)| name.strip_suffix(".aff").is_some()) {
            process.note("dictionaries are not made into those of PostgreSQL: on the node `pg_updatedicts` does it");
        }
    }
    Ok(0)
}

/// `pam_getenv -l NAME`: what `/etc/default/locale` or `/etc/environment` says.
fn pam_getenv(process: &mut Process<'_>) -> Done {
    let given = Arguments::of(process, &["-l", "-s"])?;
    let [name] = given.operands.as_slice() else {
        return Err(process.unsupported(given.operands.join(" ")).into());
    };
    let file = if given.has("-l") {
        "/etc/default/locale"
    } else {
        "/etc/environment"
    };
    let text = process.system.tree.read_text(file).unwrap_or_default();
    let found = text.lines().rev().find_map(|line| {
        let line = line.strip_prefix("export ").unwrap_or(line);
        line.strip_prefix(name.as_str())?.strip_prefix('=')
    });
    if let Some(value) = found {
        process.say(value.trim_matches(['"', '\'']));
    }
    Ok(u8::from(found.is_none()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::lookup;
    use crate::system::System;

    #[test]
    fn there_is_no_cluster_and_that_is_said() {
        let mut system = System::new("arm64", 0);
        system.tree.mkdir_all("/etc/default", 0o755).unwrap();
        system
            .tree
            .write("/etc/default/locale", "LANG=\"C.UTF-8\"\n", 0o644)
            .unwrap();
        system
            .tree
            .write("/etc/c.conf", "#a = 1\ncreate_main_cluster = true # x\n", 0o644)
            .unwrap();
        let mut run = |args: &[&str]| {
            let mut process = Process::new(&mut system, args);
            let outcome = lookup(args[0]).unwrap()(&mut process);
            (outcome, String::from_utf8(process.stdout).unwrap())
        };
        assert_eq!(run(&["pg_lsclusters", "-h"]), (Ok(0), String::new()));
        assert_eq!(
            run(&["pg_createcluster", "-u", "postgres", "--no-status", "17", "main"]).0,
            Ok(0)
        );
        assert_eq!(run(&["pam_getenv", "-l", "LANG"]), (Ok(0), "C.UTF-8\n".to_owned()));
        assert_eq!(run(&["pam_getenv", "-l", "LC_ALL"]).0, Ok(1));
        let show = ["pg_conftool", "/etc/c.conf", "show", "-bs", "create_main_cluster"];
        assert_eq!(run(&show), (Ok(0), "on\n".to_owned()));
        assert_eq!(run(&["pg_conftool", "/etc/c.conf", "show", "-s", "a"]).0, Ok(1));
        assert_eq!(system.notes.len(), 1);
        system.tree.mkdir_all("/etc/postgresql/17/main", 0o755).unwrap();
        system
            .tree
            .write("/etc/postgresql/17/main/postgresql.conf", "", 0o644)
            .unwrap();
        assert!(list(&mut Process::new(&mut system, &["pg_lsclusters"])).is_err());
    }
}
