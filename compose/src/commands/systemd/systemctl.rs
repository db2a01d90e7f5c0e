//! systemctl(1) on a root without a running systemd (`--root=`).

use super::units::{self, Instance};
use crate::commands::arguments::{Arguments, is_whole_tree};
use crate::commands::ending::{Done, Ending, settle};
use crate::shell::process::{Command, Process};
use crate::tree::Tree;

/// systemctl
pub(crate) const COMMANDS: &[(&str, Command)] = &[("systemctl", |process| settle(process, systemctl))];

const OPTIONS: &[&str] = &[
    "--root =",
    "--system",
    "--user",
    "--global",
    "--quiet -q",
    "--now",
    "--force -f",
    "--no-reload",
    "--no-block",
    "--no-warn",
    "--no-ask-password",
    "--no-pager",
    "--full -l",
    "--preset-mode =",
    "--runtime",
    "--property -p -P =",
    "--value",
    "--signal -s =",
    "--kill-whom --kill-who =",
    "--job-mode =",
    "--type -t =",
    "--all -a",
];

/// Verbs that talk to a running systemd; in a chroot systemctl ignores them and exits with 0.
const ONLINE: &[&str] = &[
    "daemon-reload",
    "daemon-reexec",
    "start",
    "stop",
    "restart",
    "try-restart",
    "reload",
    "reload-or-restart",
    "try-reload-or-restart",
    "kill",
    "clean",
    "isolate",
    "reset-failed",
    "set-property",
];

pub(crate) fn systemctl(process: &mut Process<'_>) -> Done {
    let given = Arguments::of(process, OPTIONS)?;
    if !is_whole_tree(given.value("--root").unwrap_or("")) {
        return Err(process.unsupported("another root").into());
    }
    let instance = if given.has("--user") || given.has("--global") {
        Instance::User
    } else {
        Instance::System
    };
    let Some((verb, names)) = given.operands.split_first() else {
        // Which is how scripts ask whether systemd runs.
        return Err(Ending::failed(
            "System has not been booted with systemd as init system (PID 1). Can't operate.",
        ));
    };
    let names: Vec<String> = names.iter().map(|name| mangle(name)).collect();
    match verb.as_str() {
        verb if ONLINE.contains(&verb) => Ok(0),
        "is-active" => {
            if !given.has("--quiet") {
                process.say("inactive");
            }
            Ok(3)
        }
        "is-failed" => Ok(1),
        "is-system-running" => {
            if !given.has("--quiet") {
                process.say("offline");
            }
            Ok(1)
        }
        "show" | "status" | "list-units" | "list-jobs" => Err(Ending::failed(
            "System has not been booted with systemd as init system (PID 1). Can't operate.",
        )),
        "enable" | "reenable" | "preset" | "preset-all" | "disable" | "mask" | "unmask" | "add-wants" => {
            change(process, instance, verb, &names, given.value("--preset-mode"))
        }
        "is-enabled" => is_enabled(process, instance, &names, given.has("--quiet")),
        "get-default" => {
            let target = process.system.tree.canonical("/etc/systemd/system/default.target").ok();
            let target = target.filter(|path| process.system.tree.is_file(path));
            let name = target
                .as_deref()
                .and_then(|path| path.rsplit('/').next())
                .unwrap_or("graphical.target");
            process.say(name);
            Ok(0)
        }
        "set-default" => {
            let tree = &mut process.system.tree;
            let name = names.first().ok_or_else(|| Ending::failed("Too few arguments."))?;
            let unit = units::find(tree, instance, name)?.ok_or_else(|| missing(name))?;
            let link = "/etc/systemd/system/default.target";
            if tree.lexists(link) {
                tree.unlink(link)?;
            }
            tree.mkdir_all("/etc/systemd/system", 0o755)?;
            tree.symlink(&unit.path, link)?;
            Ok(0)
        }
        _ => Err(process.unsupported(verb).into()),
    }
}

/// A name without a suffix is a service; of a path the last part counts.
fn mangle(name: &str) -> String {
    const KINDS: &[&str] = &[
        "service",
        "socket",
        "target",
        "timer",
        "path",
        "mount",
        "automount",
        "swap",
        "device",
        "slice",
        "scope",
    ];
    let name = name.rsplit('/').next().unwrap_or(name);
    let known = name.rsplit_once('.').is_some_and(|(_, kind)| KINDS.contains(&kind));
    if known {
        name.to_owned()
    } else {
        format!("{name}.service")
    }
}

fn missing(name: &str) -> Ending {
    Ending::failed(format!("Failed to enable unit: Unit {name} does not exist"))
}

fn change(process: &mut Process<'_>, instance: Instance, verb: &str, names: &[String], mode: Option<&str>) -> Done {
    let enable_only = match mode {
        None | Some("full") => false,
        Some("enable-only") => true,
        Some(other) => return Err(process.unsupported(format!("--preset-mode={other}")).into()),
    };
    let tree = &mut process.system.tree;
    if verb == "preset-all" {
        for name in units::all(tree, instance)? {
            if let Some(unit) = units::find(tree, instance, &name)?
                && !unit.masked
                && !unit.install.is_empty()
            {
                units::apply_preset(tree, instance, &unit, enable_only)?;
            }
        }
        return Ok(0);
    }
    if verb == "add-wants" {
        return Err(process.unsupported(verb).into());
    }
    for name in names {
        match verb {
            "disable" => units::disable(tree, instance, name)?,
            "mask" => mask(tree, instance, name)?,
            "unmask" => unmask(tree, instance, name)?,
            _ => {
                let unit = units::find(tree, instance, name)?.ok_or_else(|| missing(name))?;
                if unit.masked {
                    return Err(Ending::failed(format!("Failed to {verb} unit: Unit {name} is masked")));
                }
                match verb {
                    "preset" => units::apply_preset(tree, instance, &unit, enable_only)?,
                    "reenable" => {
                        units::disable(tree, instance, name)?;
                        units::enable(tree, instance, &unit)?;
                    }
                    _ if units::lacks_instance(&unit) => {
                        let text = format!("Failed to enable unit: Cannot enable template {name} without an instance");
                        return Err(Ending::failed(text));
                    }
                    _ => units::enable(tree, instance, &unit)?,
                }
            }
        }
    }
    Ok(0)
}

fn mask(tree: &mut Tree, instance: Instance, name: &str) -> Done<()> {
    let link = format!("{}/{name}", instance.config());
    match tree.read_link(&link) {
        Ok(target) if target == "/dev/null" => return Ok(()),
        Ok(_) => tree.unlink(&link)?,
        Err(_) if tree.lexists(&link) => {
            return Err(Ending::failed(format!(
                "Failed to mask unit: File '{link}' already exists"
            )));
        }
        Err(_) => {}
    }
    tree.mkdir_all(&instance.config(), 0o755)?;
    tree.symlink("/dev/null", &link)?;
    Ok(())
}

fn unmask(tree: &mut Tree, instance: Instance, name: &str) -> Done<()> {
    let link = format!("{}/{name}", instance.config());
    if tree.read_link(&link).is_ok_and(|target| target == "/dev/null") {
        tree.unlink(&link)?;
    }
    Ok(())
}

/// `is-enabled`: 0 if one of the units is enabled, static, an alias or pulled in otherwise; 4 if there is none.
fn is_enabled(process: &mut Process<'_>, instance: Instance, names: &[String], quiet: bool) -> Done {
    let mut status = 1;
    for name in names {
        let tree = &process.system.tree;
        let (word, enabled) = match units::find(tree, instance, name)? {
            None => ("not-found", false),
            Some(unit) if unit.masked => ("masked", false),
            Some(unit) => {
                let alias = tree.read_link(&format!("{}/{name}", instance.config())).is_ok();
                let links = units::links(tree, instance, &unit)?;
                let own = |link: &str| link.rsplit('/').next() == Some(name) || !link.contains(".wants/");
                if alias {
                    ("alias", true)
                } else if links.iter().any(|(link, _)| own(link) && tree.read_link(link).is_ok()) {
                    ("enabled", true)
                } else if unit.install.is_empty() {
                    ("static", true)
                } else if unit.install.wanted.is_empty() && unit.install.alias.is_empty() {
                    ("indirect", true)
                } else {
                    ("disabled", false)
                }
            }
        };
        if enabled {
            status = 0;
        } else if word == "not-found" && status == 1 {
            status = 4;
        }
        if !quiet {
            process.say(word);
        }
    }
    Ok(status)
}
