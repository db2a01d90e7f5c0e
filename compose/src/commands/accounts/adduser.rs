//! Debian's adduser and its siblings, for system accounts: what `adduser(8)` does when a package calls it.

use super::{Accounts, NewUser, make_home, number, system_id};
use crate::accounts;
use crate::commands::arguments::Arguments;
use crate::commands::ending::{Done, Ending, settle};
use crate::shell::process::{Command, Process};

/// adduser's family.
pub(crate) const COMMANDS: &[(&str, Command)] = &[
    ("adduser", |process| settle(process, adduser)),
    ("addgroup", |process| settle(process, addgroup)),
    ("deluser", |process| settle(process, deluser)),
    ("delgroup", |process| settle(process, delgroup)),
];

const OPTIONS: &[&str] = &[
    "--system",
    "--group",
    "--quiet -q",
    "--verbose",
    "--debug",
    "--home -h =",
    "--no-create-home",
    "--shell =",
    "--gecos --comment =",
    "--uid =",
    "--gid =",
    "--ingroup =",
    "--disabled-password",
    "--disabled-login",
    "--force-badname --allow-badname",
    "--allow-bad-names",
    "--allow-all-names",
    "--add-extra-groups --add_extra_groups",
    "--conf =",
    "--firstuid =",
    "--lastuid =",
    "--firstgid =",
    "--lastgid =",
    "--stdoutmsglevel =",
    "--stderrmsglevel =",
    "--logmsglevel =",
];

fn adduser(process: &mut Process<'_>) -> Done {
    let given = Arguments::of(process, OPTIONS)?;
    match given.operands()[..] {
        [user, group] => join(process, user, group),
        [name] if given.has("--system") => system_user(process, &given, name),
        [name] if given.has("--group") => new_group(process, &given, name),
        [name] => Err(process.unsupported(format!("making the ordinary user {name}")).into()),
        _ => Err(Ending::failed("only one or two names allowed")),
    }
}

fn addgroup(process: &mut Process<'_>) -> Done {
    let given = Arguments::of(process, OPTIONS)?;
    match given.operands()[..] {
        [user, group] => join(process, user, group),
        [name] => new_group(process, &given, name),
        _ => Err(Ending::failed("only one or two names allowed")),
    }
}

/// `adduser USER GROUP`
fn join(process: &mut Process<'_>, user: &str, group: &str) -> Done {
    let mut accounts = Accounts::load(&process.system.tree)?;
    if accounts.passwd.get(user).is_none() {
        return Err(Ending::with(12, format!("The user `{user}' does not exist.")));
    }
    if accounts.group.get(group).is_none() {
        return Err(Ending::with(13, format!("The group `{group}' does not exist.")));
    }
    accounts.join(user, group);
    accounts.store(&mut process.system.tree)?;
    Ok(0)
}

fn new_group(process: &mut Process<'_>, given: &Arguments, name: &str) -> Done {
    let mut accounts = Accounts::load(&process.system.tree)?;
    let wanted = number(given.value("--gid"))?;
    if let Some(gid) = accounts.group.id(name) {
        // An existing system group is what was asked for; an ordinary one is an error (exit codes: adduser(8)).
        return match wanted {
            Some(wanted) if wanted != gid => Err(Ending::with(13, format!("The group `{name}' has another gid."))),
            _ if given.has("--system") => Ok(0),
            _ => Err(Ending::with(11, format!("The group `{name}' already exists."))),
        };
    }
    let gid = match wanted {
        Some(gid) => gid,
        None if given.has("--system") => system_id(process, &accounts.group, name),
        None => accounts::first_free(&accounts.group, 1000),
    };
    accounts.add_group(name, gid);
    accounts.store(&mut process.system.tree)?;
    Ok(0)
}

fn system_user(process: &mut Process<'_>, given: &Arguments, name: &str) -> Done {
    let mut accounts = Accounts::load(&process.system.tree)?;
    if let Some(uid) = accounts.passwd.id(name) {
        return if uid < 1000 {
            Ok(0)
        } else {
            Err(Ending::with(
                13,
                format!("The user `{name}' already exists, but is not a system user."),
            ))
        };
    }
    let uid = match number(given.value("--uid"))? {
        Some(uid) => uid,
        None => system_id(process, &accounts.passwd, name),
    };
    let gid = match (given.value("--ingroup").or(given.value("--gid")), given.has("--group")) {
        (Some(group), _) => accounts
            .gid(group)
            .ok_or_else(|| Ending::with(13, format!("The group `{group}' does not exist.")))?,
        (None, true) => {
            let existing = accounts.group.id(name);
            existing.unwrap_or_else(|| {
                let gid = system_id(process, &accounts.group, name);
                accounts.add_group(name, gid);
                gid
            })
        }
        (None, false) => accounts.group.id("nogroup").unwrap_or(65534),
    };
    let home = given.value("--home").unwrap_or("/nonexistent");
    let user = NewUser {
        name,
        uid,
        gid,
        gecos: given.value("--gecos").unwrap_or(""),
        home,
        shell: given.value("--shell").unwrap_or("/usr/sbin/nologin"),
        password: "!",
        ages: false,
    };
    let tree = &mut process.system.tree;
    accounts.add_user(tree, &user);
    accounts.store(tree)?;
    if !given.has("--no-create-home") && home != "/nonexistent" && !tree.lexists(home) {
        make_home(tree, home, 0o755, (uid, gid), false)?;
    }
    Ok(0)
}

const REMOVAL_OPTIONS: &[&str] = &[
    "--system",
    "--group",
    "--quiet -q",
    "--only-if-empty",
    "--remove-home",
    "--remove-all-files",
    "--backup",
    "--conf =",
    "--stdoutmsglevel =",
    "--stderrmsglevel =",
    "--logmsglevel =",
];

fn deluser(process: &mut Process<'_>) -> Done {
    let given = Arguments::of(process, REMOVAL_OPTIONS)?;
    if given.has("--remove-all-files") || given.has("--backup") {
        return Err(process
            .unsupported("searching the file system for a user's files")
            .into());
    }
    let mut accounts = Accounts::load(&process.system.tree)?;
    match given.operands()[..] {
        [user, group] => {
            if !accounts.leave(user, group) {
                return Err(Ending::with(
                    6,
                    format!("The user `{user}' is not a member of group `{group}'."),
                ));
            }
        }
        [user] if given.has("--group") => accounts.remove_group(user),
        [user] => {
            let Some(record) = accounts.passwd.get(user) else {
                return if given.has("--system") {
                    Ok(0)
                } else {
                    Err(Ending::with(2, "the user does not exist"))
                };
            };
            let home = record.get(5).cloned().unwrap_or_default();
            if given.has("--remove-home") && process.system.tree.is_dir(&home) {
                process.system.tree.remove_all(&home)?;
            }
            accounts.remove_user(user);
            super::users::remove_subordinate_ids(&mut process.system.tree, user)?;
        }
        _ => return Err(Ending::failed("only one or two names allowed")),
    }
    accounts.store(&mut process.system.tree)?;
    Ok(0)
}

fn delgroup(process: &mut Process<'_>) -> Done {
    let given = Arguments::of(process, REMOVAL_OPTIONS)?;
    let [group] = given.operands()[..] else {
        return Err(Ending::failed("exactly one group is needed"));
    };
    let mut accounts = Accounts::load(&process.system.tree)?;
    match accounts.group.get(group) {
        None if given.has("--system") => return Ok(0),
        None => return Err(Ending::with(3, format!("The group `{group}' does not exist."))),
        Some(record) if given.has("--only-if-empty") && record.get(3).is_some_and(|members| !members.is_empty()) => {
            return Err(Ending::with(5, format!("The group `{group}' is not empty!")));
        }
        Some(_) => accounts.remove_group(group),
    }
    accounts.store(&mut process.system.tree)?;
    Ok(0)
}
