//! update-rc.d(8): the links of SysV init scripts, as where neither insserv nor OpenRC is installed.

use crate::commands::ending::{Done, Ending, settle};
use crate::shell::process::{Command, Process};
use crate::tree::Tree;

/// update-rc.d
pub(crate) const COMMANDS: &[(&str, Command)] = &[("update-rc.d", |process| settle(process, update_rc))];

/// The folders `/etc/rc?.d`.
const LEVELS: &[char] = &['0', '1', '2', '3', '4', '5', '6', 'S'];

fn update_rc(process: &mut Process<'_>) -> Done {
    let args: Vec<String> = process.args[1..].iter().filter(|arg| *arg != "-f").cloned().collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let tree = &mut process.system.tree;
    match args[..] {
        [script, "remove", ..] => {
            for link in links(tree, script)? {
                tree.unlink(&link)?;
            }
            Ok(0)
        }
        // The numbers and levels once given after these are ignored (update-rc.d(8)).
        [script, "defaults" | "start" | "stop", ..] => install(tree, script, 'S').map(|()| 0),
        [script, "defaults-disabled", ..] => install(tree, script, 'K').map(|()| 0),
        [script, verb @ ("enable" | "disable"), ref levels @ ..] => {
            toggle(tree, script, verb == "enable", levels)?;
            process.args = ["systemctl", "--quiet", verb, script].map(str::to_owned).to_vec();
            let _ = super::systemd::systemctl::systemctl(process);
            Ok(0)
        }
        [option, ..] if option.starts_with('-') => Err(process.unsupported(option).into()),
        _ => Err(Ending::failed("error: not enough arguments")),
    }
}

/// The links of a script, in whatever level.
fn links(tree: &Tree, script: &str) -> Done<Vec<String>> {
    let mut found = Vec::new();
    for level in LEVELS {
        let folder = format!("/etc/rc{level}.d");
        if !tree.is_dir(&folder) {
            continue;
        }
        for (name, _) in tree.read_dir(&folder)? {
            if is_link(&name, script) {
                found.push(format!("{folder}/{name}"));
            }
        }
    }
    Ok(found)
}

/// `S01ssh` for `ssh`.
fn is_link(name: &str, script: &str) -> bool {
    let Some(head) = name.strip_suffix(script) else {
        return false;
    };
    matches!(head.as_bytes(), [b'S' | b'K', tens, ones] if tens.is_ascii_digit() && ones.is_ascii_digit())
}

/// Links a script as its LSB header says; links that are there already are left alone.
fn install(tree: &mut Tree, script: &str, start: char) -> Done<()> {
    if !links(tree, script)?.is_empty() {
        return Ok(());
    }
    let text = tree
        .read_text(&format!("/etc/init.d/{script}"))
        .map_err(|_| Ending::failed(format!("error: unable to read /etc/init.d/{script}")))?;
    let (starts, stops) = default_levels(&text);
    for (prefix, levels) in [(start, starts), ('K', stops)] {
        for level in levels {
            let folder = format!("/etc/rc{level}.d");
            tree.mkdir_all(&folder, 0o755)?;
            let link = format!("{folder}/{prefix}01{script}");
            if !tree.lexists(&link) {
                tree.symlink(&format!("../init.d/{script}"), &link)?;
            }
        }
    }
    Ok(())
}

/// `Default-Start` and `Default-Stop` of an LSB header.
fn default_levels(text: &str) -> (Vec<&str>, Vec<&str>) {
    let header = text
        .lines()
        .skip_while(|line| line.trim_end() != "### BEGIN INIT INFO")
        .take_while(|line| line.trim_end() != "### END INIT INFO");
    let (mut starts, mut stops) = (Vec::new(), Vec::new());
    for line in header {
        if let Some(levels) = line.strip_prefix("# Default-Start:") {
            starts = levels.split_whitespace().collect();
        } else if let Some(levels) = line.strip_prefix("# Default-Stop:") {
            stops = levels.split_whitespace().collect();
        }
    }
    (starts, stops)
}

/// Turns the start links of a script into stop links or back.
fn toggle(tree: &mut Tree, script: &str, enable: bool, levels: &[&str]) -> Done<()> {
    let text = tree
        .read_text(&format!("/etc/init.d/{script}"))
        .map_err(|_| Ending::failed(format!("error: cannot find a LSB script for {script}")))?;
    let levels = if levels.is_empty() {
        default_levels(&text).0
    } else {
        levels.to_vec()
    };
    let folders: Vec<String> = levels.iter().map(|level| format!("/etc/rc{level}.d/")).collect();
    let found: Vec<String> = links(tree, script)?
        .into_iter()
        .filter(|link| folders.iter().any(|folder| link.starts_with(folder)))
        .collect();
    if found.is_empty() {
        return Err(Ending::failed("error: no runlevel symlinks to modify, aborting!"));
    }
    for link in found {
        let (folder, name) = link.rsplit_once('/').unwrap_or(("", &link));
        let new = format!("{folder}/{}{}", if enable { 'S' } else { 'K' }, &name[1..]);
        if new != link {
            tree.rename(&link, &new)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::system::System;

    #[test]
    fn scripts_are_linked_as_their_header_says() {
        let mut system = System::new("arm64", 0);
        let script = "#!/bin/sh\n### BEGIN INIT INFO\n# Provides: ssh\n# Default-Start:\t2 3\n# Default-Stop: 0\n\
            ### END INIT INFO\n# Default-Start: 5\n";
        system.tree.mkdir_all("/etc/init.d", 0o755).unwrap();
        system.tree.write("/etc/init.d/ssh", script, 0o755).unwrap();
        let mut run = |args: &[&str]| {
            let mut process = Process::new(&mut system, args);
            let status = settle(&mut process, update_rc).unwrap();
            (status, links(&process.system.tree, "ssh").unwrap())
        };
        let names = |names: &[&str]| names.iter().map(|name| format!("/etc/{name}")).collect::<Vec<_>>();
        let (status, found) = run(&["update-rc.d", "ssh", "defaults", "20"]);
        assert_eq!(
            (status, found),
            (0, names(&["rc0.d/K01ssh", "rc2.d/S01ssh", "rc3.d/S01ssh"]))
        );
        assert_eq!(
            run(&["update-rc.d", "ssh", "disable", "3"]).1,
            names(&["rc0.d/K01ssh", "rc2.d/S01ssh", "rc3.d/K01ssh"])
        );
        assert_eq!(run(&["update-rc.d", "-f", "ssh", "remove"]), (0, Vec::new()));
        assert_eq!(run(&["update-rc.d", "nothing", "defaults"]).0, 1);
    }
}
