//! The group commands of Debian's `passwd` package (shadow-utils).

use super::{Accounts, number, system_id};
use crate::accounts;
use crate::commands::arguments::Arguments;
use crate::commands::ending::{Done, Ending, settle};
use crate::shell::process::{Command, Process};

/// groupadd and its siblings.
pub(crate) const COMMANDS: &[(&str, Command)] = &[
    ("groupadd", |process| settle(process, groupadd)),
    ("groupmod", |process| settle(process, groupmod)),
    ("groupdel", |process| settle(process, groupdel)),
    ("gpasswd", |process| settle(process, gpasswd)),
];

fn one(given: &Arguments) -> Done<String> {
    match given.operands.as_slice() {
        [name] => Ok(name.clone()),
        _ => Err(Ending::with(2, "exactly one name is needed")),
    }
}

fn missing(group: &str) -> Ending {
    Ending::with(6, format!("group '{group}' does not exist"))
}

fn groupadd(process: &mut Process<'_>) -> Done {
    let known = &[
        "-r --system",
        "-g --gid =",
        "-f --force",
        "-o --non-unique",
        "-U --users =",
    ];
    let given = Arguments::of(process, known)?;
    let name = one(&given)?;
    let mut accounts = Accounts::load(&process.system.tree)?;
    if accounts.group.get(&name).is_some() {
        let text = format!("group '{name}' already exists");
        return if given.has("-f") {
            Ok(0)
        } else {
            Err(Ending::with(9, text))
        };
    }
    let gid = match number(given.value("-g"))? {
        Some(gid) if given.has("-o") || accounts.group.name(gid).is_none() => gid,
        Some(gid) if !given.has("-f") => return Err(Ending::with(4, format!("GID '{gid}' already exists"))),
        _ if given.has("-r") => system_id(process, &accounts.group, &name),
        _ => accounts::first_free(&accounts.group, 1000),
    };
    accounts.add_group(&name, gid);
    for user in given
        .value("-U")
        .unwrap_or("")
        .split(',')
        .filter(|user| !user.is_empty())
    {
        accounts.join(user, &name);
    }
    accounts.store(&mut process.system.tree)?;
    Ok(0)
}

fn groupmod(process: &mut Process<'_>) -> Done {
    let known = &["-n --new-name =", "-g --gid =", "-o --non-unique"];
    let given = Arguments::of(process, known)?;
    let name = one(&given)?;
    let mut accounts = Accounts::load(&process.system.tree)?;
    let old = accounts.group.id(&name).ok_or_else(|| missing(&name))?;
    if let Some(gid) = number(given.value("-g"))? {
        if gid != old && accounts.group.name(gid).is_some() && !given.has("-o") {
            return Err(Ending::with(4, format!("GID '{gid}' already exists")));
        }
        if let Some(record) = accounts.group.get_mut(&name) {
            record[2] = gid.to_string();
        }
        // Users whose primary group this is follow it (groupmod(8)).
        let followers: Vec<String> = accounts
            .passwd
            .records()
            .iter()
            .filter(|record| record.get(3) == Some(&old.to_string()))
            .map(|record| record[0].clone())
            .collect();
        for user in followers {
            if let Some(record) = accounts.passwd.get_mut(&user) {
                record[3] = gid.to_string();
            }
        }
    }
    if let Some(new) = given.value("-n").filter(|new| *new != name) {
        if accounts.group.get(new).is_some() {
            return Err(Ending::with(9, format!("group '{new}' already exists")));
        }
        for database in [Some(&mut accounts.group), accounts.gshadow.as_mut()]
            .into_iter()
            .flatten()
        {
            if let Some(record) = database.get_mut(&name) {
                new.clone_into(&mut record[0]);
            }
        }
    }
    accounts.store(&mut process.system.tree)?;
    Ok(0)
}

fn groupdel(process: &mut Process<'_>) -> Done {
    let given = Arguments::of(process, &["-f --force"])?;
    let name = one(&given)?;
    let mut accounts = Accounts::load(&process.system.tree)?;
    let gid = accounts.group.id(&name).ok_or_else(|| missing(&name))?.to_string();
    let primary = accounts
        .passwd
        .records()
        .iter()
        .any(|record| record.get(3) == Some(&gid));
    if primary && !given.has("-f") {
        return Err(Ending::with(8, "cannot remove the primary group of a user"));
    }
    accounts.remove_group(&name);
    accounts.store(&mut process.system.tree)?;
    Ok(0)
}

fn gpasswd(process: &mut Process<'_>) -> Done {
    let known = &["-a --add =", "-d --delete =", "-M --members ="];
    let given = Arguments::of(process, known)?;
    let group = one(&given)?;
    let mut accounts = Accounts::load(&process.system.tree)?;
    if accounts.group.get(&group).is_none() {
        return Err(Ending::with(3, format!("group '{group}' does not exist in /etc/group")));
    }
    let unknown = |accounts: &Accounts, user: &str| match accounts.passwd.get(user) {
        Some(_) => Ok(()),
        None => Err(Ending::with(3, format!("user '{user}' does not exist"))),
    };
    if let Some(user) = given.value("-a") {
        unknown(&accounts, user)?;
        accounts.join(user, &group);
    } else if let Some(user) = given.value("-d") {
        if !accounts.leave(user, &group) {
            return Err(Ending::with(3, format!("user '{user}' is not a member of '{group}'")));
        }
    } else if let Some(members) = given.value("-M") {
        for database in [Some(&mut accounts.group), accounts.gshadow.as_mut()]
            .into_iter()
            .flatten()
        {
            if let Some(record) = database.get_mut(&group).filter(|record| record.len() >= 4) {
                members.clone_into(&mut record[3]);
            }
        }
    } else {
        return Err(process.unsupported("asking for a group password").into());
    }
    accounts.store(&mut process.system.tree)?;
    Ok(0)
}
