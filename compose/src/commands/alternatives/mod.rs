//! update-alternatives(1)

use crate::commands::ending::{Done, Ending, settle};
use crate::dpkg::alternatives::{ADMIN_DIR, ALT_DIR, Choice, Group};
use crate::shell::process::{Command, Process};
use crate::tree::Tree;

/// What is asked for.
mod request;

/// A group as text.
mod show;

use request::{Action, Request, parse};
use show::{display, query};

/// update-alternatives
pub(crate) const COMMANDS: &[(&str, Command)] = &[("update-alternatives", |process| settle(process, alternatives))];

fn alternatives(process: &mut Process<'_>) -> Done {
    let request = parse(process)?;
    match &request.action {
        Action::Display(name) => show(process, name, display),
        Action::Query(name) => show(process, name, query),
        Action::List(name) => show(process, name, |_, group, _| {
            group.choices.keys().flat_map(|path| [path, "\n"]).collect()
        }),
        Action::GetSelections => {
            for name in names(&process.system.tree)? {
                if let Some(group) = Group::load(&process.system.tree, &name)? {
                    let mode = if group.manual { "manual" } else { "auto" };
                    let current = Group::current(&process.system.tree, &name).unwrap_or_default();
                    process.say(&format!("{name:<30} {mode:<8} {current}"));
                }
            }
            Ok(0)
        }
        Action::SetSelections => {
            let input = String::from_utf8_lossy(&process.read_stdin()).into_owned();
            for line in input.lines() {
                let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
                let action = match &words[..] {
                    [name, mode, ..] if mode == "auto" => Action::Auto(name.clone()),
                    [name, _, path] => Action::Set(name.clone(), path.clone()),
                    _ => return Err(Ending::with(2, format!("error: invalid line `{line}`"))),
                };
                change(
                    process,
                    &Request {
                        action,
                        slaves: Vec::new(),
                        quiet: true,
                        force: request.force,
                    },
                )?;
            }
            Ok(0)
        }
        _ => change(process, &request),
    }
}

/// The names of all groups.
fn names(tree: &Tree) -> Done<Vec<String>> {
    if !tree.is_dir(ADMIN_DIR) {
        return Ok(Vec::new());
    }
    Ok(tree.read_dir(ADMIN_DIR)?.into_iter().map(|(name, _)| name).collect())
}

fn unknown(name: &str) -> Ending {
    Ending::with(2, format!("error: no alternatives for {name}"))
}

fn show(process: &mut Process<'_>, name: &str, render: fn(&str, &Group, Option<&str>) -> String) -> Done {
    let group = Group::load(&process.system.tree, name)?.ok_or_else(|| unknown(name))?;
    let current = Group::current(&process.system.tree, name);
    process
        .stdout
        .extend_from_slice(render(name, &group, current.as_deref()).as_bytes());
    Ok(0)
}

fn change(process: &mut Process<'_>, request: &Request) -> Done {
    let (Action::Install { name, .. }
    | Action::Remove(name, _)
    | Action::RemoveAll(name)
    | Action::Auto(name)
    | Action::Set(name, _)) = &request.action
    else {
        return Err(process.unsupported("this action").into());
    };
    let tree = &mut process.system.tree;
    let existing = Group::load(tree, name)?;
    let mut group = match (existing, &request.action) {
        (Some(group), _) => group,
        (None, Action::Install { .. }) => Group::default(),
        (None, Action::Remove(..) | Action::RemoveAll(_)) => return Ok(0), // nothing to remove is no error
        (None, _) => return Err(unknown(name)),
    };
    let current = Group::current(tree, name);
    settle_mode(&mut group, current.as_deref());
    let wanted = apply(tree, &mut group, name, request, current.as_deref())?;
    if group.choices.is_empty() {
        remove_group(tree, &group, name)?;
        return Ok(0);
    }
    let link = group.link.clone();
    if let Some(path) = wanted
        .clone()
        .or(current.clone())
        .filter(|path| group.choices.contains_key(path))
    {
        let changed = current.as_deref() != Some(path.as_str());
        let warnings = install(tree, &group, name, &path, request.force)?;
        for warning in warnings {
            process
                .stderr
                .extend_from_slice(format!("update-alternatives: warning: {warning}\n").as_bytes());
        }
        if changed && !request.quiet {
            let mode = if group.manual { "manual" } else { "auto" };
            process.say(&format!(
                "update-alternatives: using {path} to provide {link} ({name}) in {mode} mode"
            ));
        }
    }
    group.store(&mut process.system.tree, name)?;
    Ok(0)
}

/// A link that points to none of the choices was changed by hand; a missing one makes the group automatic again.
fn settle_mode(group: &mut Group, current: Option<&str>) {
    match current {
        Some(path) if !group.manual && !group.choices.is_empty() && !group.choices.contains_key(path) => {
            group.manual = true;
        }
        None => group.manual = false,
        _ => {}
    }
}

/// Changes the group; answers the path its links shall lead to, if that may change.
fn apply(
    tree: &mut Tree,
    group: &mut Group,
    name: &str,
    request: &Request,
    current: Option<&str>,
) -> Done<Option<String>> {
    match &request.action {
        Action::Install {
            link, path, priority, ..
        } => {
            check(tree, link, name, path, &request.slaves)?;
            move_link(tree, &mut group.link, link)?;
            let mut choice = Choice {
                priority: *priority,
                ..Choice::default()
            };
            for [link, slave, file] in &request.slaves {
                move_link(tree, group.slaves.entry(slave.clone()).or_default(), link)?;
                choice.slaves.insert(slave.clone(), file.clone());
            }
            group.choices.insert(path.clone(), choice);
            drop_unused_slaves(tree, group)?;
        }
        Action::Remove(_, path) => {
            group.choices.remove(path);
            if current == Some(path) {
                group.manual = false;
            }
            drop_unused_slaves(tree, group)?;
        }
        Action::RemoveAll(_) => group.choices.clear(),
        Action::Auto(_) => group.manual = false,
        Action::Set(_, path) => {
            if !group.choices.contains_key(path) {
                let text = format!("error: alternative {path} for {name} not registered; not setting");
                return Err(Ending::with(2, text));
            }
            group.manual = true;
            return Ok(Some(path.clone()));
        }
        _ => {}
    }
    Ok(if group.manual {
        None
    } else {
        group.best(current).map(str::to_owned)
    })
}

/// What update-alternatives insists on before it installs.
fn check(tree: &Tree, link: &str, name: &str, path: &str, slaves: &[[String; 3]]) -> Done<()> {
    let wrong = |text: String| Err(Ending::with(2, format!("error: {text}")));
    for [link, name, path] in
        std::iter::once([link, name, path]).chain(slaves.iter().map(|slave| [&*slave[0], &*slave[1], &*slave[2]]))
    {
        if !link.starts_with('/') || !path.starts_with('/') {
            return wrong(format!(
                "alternative link and path must be absolute as they should be: {link} {path}"
            ));
        }
        if name.is_empty() || name.contains('/') || name.contains(char::is_whitespace) {
            return wrong(format!("alternative name ({name}) must not contain '/' and spaces"));
        }
    }
    if !tree.exists(path) {
        return wrong(format!("alternative path {path} doesn't exist"));
    }
    if slaves.iter().any(|[_, slave, _]| slave == name) {
        return wrong(format!("name {name} is both primary and slave"));
    }
    Ok(())
}

/// A group keeps one link per name: a package that wants another one moves it.
fn move_link(tree: &mut Tree, old: &mut String, new: &str) -> Done<()> {
    if !old.is_empty() && old != new && tree.read_link(old).is_ok() {
        if tree.lexists(new) {
            tree.unlink(old)?;
        } else {
            tree.rename(old, new)?;
        }
    }
    new.clone_into(old);
    Ok(())
}

/// Forgets slaves that no choice has any more, with their links.
fn drop_unused_slaves(tree: &mut Tree, group: &mut Group) -> Done<()> {
    let unused: Vec<String> = group
        .slaves
        .keys()
        .filter(|slave| !group.choices.values().any(|choice| choice.slaves.contains_key(*slave)))
        .cloned()
        .collect();
    for slave in unused {
        if group.choices.is_empty() {
            break;
        }
        if let Some(link) = group.slaves.remove(&slave) {
            remove_link(tree, &link)?;
            remove_link(tree, &format!("{ALT_DIR}/{slave}"))?;
        }
    }
    Ok(())
}

fn remove_link(tree: &mut Tree, link: &str) -> Done<()> {
    if tree.read_link(link).is_ok() {
        tree.unlink(link)?;
    }
    Ok(())
}

fn remove_group(tree: &mut Tree, group: &Group, name: &str) -> Done<()> {
    let master = (name.to_owned(), group.link.clone());
    for (name, link) in group.slaves.clone().into_iter().chain([master]) {
        remove_link(tree, &link)?;
        remove_link(tree, &format!("{ALT_DIR}/{name}"))?;
    }
    let file = format!("{ADMIN_DIR}/{name}");
    if tree.lexists(&file) {
        tree.unlink(&file)?;
    }
    Ok(())
}

/// Points all links of the group at what belongs to the choice `path`; answers warnings.
fn install(tree: &mut Tree, group: &Group, name: &str, path: &str, force: bool) -> Done<Vec<String>> {
    let mut warnings = Vec::new();
    tree.mkdir_all(ALT_DIR, 0o755)?;
    let choice = group.choices.get(path).cloned().unwrap_or_default();
    point(tree, name, &group.link, path, force, &mut warnings)?;
    for (slave, link) in &group.slaves {
        match choice.slaves.get(slave) {
            Some(file) if tree.exists(file) => point(tree, slave, link, file, force, &mut warnings)?,
            recorded => {
                if let Some(file) = recorded {
                    let group = format!("(of link group {name})");
                    warnings.push(format!(
                        "skip creation of {link} because associated file {file} {group} doesn't exist"
                    ));
                }
                if tree.lexists(link) && tree.read_link(link).is_err() {
                    warnings.push(format!("not removing {link} since it's not a symlink"));
                }
                remove_link(tree, link)?;
                remove_link(tree, &format!("{ALT_DIR}/{slave}"))?;
            }
        }
    }
    Ok(warnings)
}

fn point(tree: &mut Tree, name: &str, link: &str, file: &str, force: bool, warnings: &mut Vec<String>) -> Done<()> {
    let middle = format!("{ALT_DIR}/{name}");
    for (link, target) in [(middle.as_str(), file), (link, middle.as_str())] {
        match tree.read_link(link) {
            Ok(old) if old == target => continue,
            Ok(_) => tree.unlink(link)?,
            Err(_) if tree.lexists(link) => {
                // A real file there belongs to somebody (update-alternatives(1), --force).
                if !force || tree.is_dir(link) {
                    warnings.push(format!("not replacing {link} with a link"));
                    continue;
                }
                tree.unlink(link)?;
            }
            Err(_) => {}
        }
        tree.symlink(target, link)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::system::System;
    use std::fs;
    use std::path::Path;

    const DIRS: &[&str] = &[
        "/usr/bin",
        "/usr/share/man",
        "/etc/alternatives",
        "/var/lib/dpkg/alternatives",
        "/var/log",
    ];
    const FILES: &[&str] = &[
        "/usr/bin/mawk",
        "/usr/bin/gawk",
        "/usr/bin/real",
        "/usr/share/man/mawk.1.gz",
    ];

    /// Everything below the root that is a link or a group's file.
    fn ours(tree: &Tree) -> Vec<(String, String)> {
        let entries = tree.walk("/").unwrap().into_iter().filter_map(|(path, _)| {
            let content = tree.read_link(&path).or_else(|_| tree.read_text(&path)).ok()?;
            Some((path, content))
        });
        entries.collect()
    }

    fn theirs(root: &Path, below: &Path, found: &mut Vec<(String, String)>) {
        let mut entries: Vec<_> = fs::read_dir(below)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        entries.sort();
        for path in entries {
            let name = format!("/{}", path.strip_prefix(root).unwrap().display());
            if path.is_symlink() {
                found.push((name, fs::read_link(&path).unwrap().display().to_string()));
            } else if path.is_dir() {
                theirs(root, &path, found);
            } else if name != "/var/log/alternatives.log" {
                found.push((name, fs::read_to_string(&path).unwrap()));
            }
        }
    }

    const MAWK: &str = "--install /usr/bin/awk awk /usr/bin/mawk 5 --slave /usr/share/man/awk.1.gz awk.1.gz \
        /usr/share/man/mawk.1.gz --slave /usr/bin/nawk nawk /usr/bin/mawk";
    const GAWK: &str = "--install /usr/bin/awk awk /usr/bin/gawk 10 --slave /usr/share/man/awk.1.gz awk.1.gz \
        /usr/share/man/gawk.1.gz --slave /usr/bin/gnawk gnawk /usr/bin/gawk";

    /// Each sequence of calls leaves what the machine's own update-alternatives leaves.
    #[test]
    fn agrees_with_update_alternatives() {
        std::process::Command::new("update-alternatives")
            .arg("--version")
            .output()
            .expect("update-alternatives is the judge here: install it (package dpkg)");
        let sequences: &[&[&str]] = &[
            &[MAWK],
            &[MAWK, MAWK],
            &[MAWK, GAWK],
            &[GAWK, MAWK],
            &[MAWK, GAWK, "--set awk /usr/bin/mawk"],
            &[MAWK, GAWK, "--set awk /usr/bin/mawk", GAWK, "--auto awk"],
            &[MAWK, GAWK, "--remove awk /usr/bin/gawk"],
            &[MAWK, "--set awk /usr/bin/mawk", GAWK, "--remove awk /usr/bin/mawk"],
            &[MAWK, GAWK, "--remove-all awk"],
            &[MAWK, "--remove awk /usr/bin/mawk", "--remove awk /usr/bin/mawk"],
            &["--install /usr/bin/real real /usr/bin/mawk 1"],
            &["--force --install /usr/bin/real real /usr/bin/mawk 1"],
            &["--install /usr/bin/awk awk /usr/bin/none 5"],
            &[MAWK, "--install /usr/bin/awk2 awk /usr/bin/gawk 5"],
            &[
                "--install /usr/bin/a a /usr/bin/mawk 5",
                "--install /usr/bin/a a /usr/bin/gawk 5",
            ],
            &[
                "--install /usr/bin/a a /usr/bin/gawk 5",
                "--install /usr/bin/a a /usr/bin/mawk 5",
            ],
            &["--set awk /usr/bin/mawk", "--auto awk"],
        ];
        for sequence in sequences {
            let root = tempfile::tempdir().unwrap();
            let mut system = System::new("arm64", 0);
            for dir in DIRS {
                fs::create_dir_all(root.path().join(&dir[1..])).unwrap();
                system.tree.mkdir_all(dir, 0o755).unwrap();
            }
            for file in FILES {
                fs::write(root.path().join(&file[1..]), "x").unwrap();
                system.tree.write(file, "x", 0o755).unwrap();
            }
            for line in *sequence {
                let args: Vec<&str> = line.split_whitespace().collect();
                let real = std::process::Command::new("update-alternatives")
                    .arg("--root")
                    .arg(root.path())
                    .args(&args)
                    .output()
                    .unwrap();
                let all: Vec<&str> = std::iter::once("update-alternatives").chain(args).collect();
                let mut process = Process::new(&mut system, &all);
                let status = settle(&mut process, alternatives).unwrap();
                assert_eq!(Some(i32::from(status)), real.status.code(), "{sequence:?} at {line}");
            }
            let mut expected = Vec::new();
            theirs(root.path(), root.path(), &mut expected);
            let mut found = ours(&system.tree);
            expected.sort();
            found.sort();
            assert_eq!(found, expected, "{sequence:?}");
        }
    }
}
