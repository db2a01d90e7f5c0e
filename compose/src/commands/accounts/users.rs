//! The user commands of Debian's `passwd` package (shadow-utils).

use super::passwords::{EXPIRY, change_password, lock, set_shadow, unlock};
use super::{Accounts, NewUser, make_home, number, system_id};
use crate::accounts;
use crate::commands::arguments::Arguments;
use crate::commands::ending::{Done, Ending, settle};
use crate::shell::process::{Command, Process};
use crate::tree::Tree;

/// useradd and its siblings.
pub(crate) const COMMANDS: &[(&str, Command)] = &[
    ("useradd", |process| settle(process, useradd)),
    ("usermod", |process| settle(process, usermod)),
    ("userdel", |process| settle(process, userdel)),
];

pub(super) fn one(given: &Arguments) -> Done<String> {
    match given.operands.as_slice() {
        [name] => Ok(name.clone()),
        _ => Err(Ending::with(2, "exactly one name is needed")),
    }
}

pub(super) fn missing(user: &str) -> Ending {
    Ending::with(6, format!("user '{user}' does not exist"))
}

fn group(accounts: &Accounts, name: &str) -> Done<u32> {
    accounts
        .gid(name)
        .ok_or_else(|| Ending::with(6, format!("group '{name}' does not exist")))
}

const USERADD: &[&str] = &[
    "-r --system",
    "-u --uid =",
    "-g --gid =",
    "-G --groups =",
    "-d --home-dir --home =",
    "-b --base-dir =",
    "-s --shell =",
    "-c --comment =",
    "-m --create-home",
    "-M --no-create-home",
    "-N --no-user-group",
    "-U --user-group",
    "-l --no-log-init",
    "-o --non-unique",
    "-p --password =",
];

fn useradd(process: &mut Process<'_>) -> Done {
    let given = Arguments::of(process, USERADD)?;
    let name = one(&given)?;
    let system = given.has("-r");
    let mut accounts = Accounts::load(&process.system.tree)?;
    if accounts.passwd.get(&name).is_some() {
        return Err(Ending::with(9, format!("user '{name}' already exists")));
    }
    let uid = match number(given.value("-u"))? {
        Some(uid) if given.has("-o") || accounts.passwd.name(uid).is_none() => uid,
        Some(uid) => return Err(Ending::with(4, format!("UID {uid} is not unique"))),
        None if system => system_id(process, &accounts.passwd, &name),
        None => accounts::first_free(&accounts.passwd, 1000),
    };
    let gid = match given.value("-g") {
        Some(name) => group(&accounts, name)?,
        None if given.has("-N") => 100,
        None if accounts.group.get(&name).is_some() => {
            return Err(Ending::with(
                9,
                format!("group {name} exists - use -g to add this user to it"),
            ));
        }
        None => {
            let gid = match accounts.group.name(uid) {
                None => uid,
                Some(_) if system => system_id(process, &accounts.group, &name),
                Some(_) => accounts::first_free(&accounts.group, 1000),
            };
            accounts.add_group(&name, gid);
            gid
        }
    };
    let home = match given.value("-d") {
        Some(home) => home.to_owned(),
        None => format!("{}/{name}", given.value("-b").unwrap_or("/home")),
    };
    let user = NewUser {
        name: &name,
        uid,
        gid,
        gecos: given.value("-c").unwrap_or(""),
        home: &home,
        shell: given.value("-s").unwrap_or("/bin/sh"),
        password: given.value("-p").unwrap_or("!"),
        ages: !system,
    };
    for group in given
        .value("-G")
        .unwrap_or("")
        .split(',')
        .filter(|group| !group.is_empty())
    {
        if accounts.group.get(group).is_none() {
            return Err(Ending::with(6, format!("group '{group}' does not exist")));
        }
        accounts.join(&name, group);
    }
    let tree = &mut process.system.tree;
    accounts.add_user(tree, &user);
    accounts.store(tree)?;
    if !system {
        subordinate_ids(tree, "/etc/subuid", &name)?;
        subordinate_ids(tree, "/etc/subgid", &name)?;
    }
    if given.has("-m") && !tree.lexists(&home) {
        make_home(tree, &home, 0o700, (uid, gid), true)?;
    }
    Ok(0)
}

/// The first free range of 65536 ids from 100000 on, where `/etc/subuid` exists (login.defs: SUB_UID_MIN, _COUNT).
fn subordinate_ids(tree: &mut Tree, path: &str, name: &str) -> Done<()> {
    if !tree.exists(path) {
        return Ok(());
    }
    let text = tree.read_text(path)?;
    let end = text
        .lines()
        .filter_map(|line| {
            let mut fields = line.split(':').skip(1).map(|field| field.parse::<u64>().ok());
            Some(fields.next()?? + fields.next()??)
        })
        .max()
        .unwrap_or(0)
        .max(100_000);
    tree.append(path, format!("{name}:{end}:65536\n").as_bytes(), 0o644)?;
    Ok(())
}

/// Takes back what [`subordinate_ids`] gave.
pub(super) fn remove_subordinate_ids(tree: &mut Tree, name: &str) -> Done<()> {
    for path in ["/etc/subuid", "/etc/subgid"] {
        if tree.exists(path) {
            let text = tree.read_text(path)?;
            let kept: String = text
                .lines()
                .filter(|line| line.split(':').next() != Some(name))
                .flat_map(|line| [line, "\n"])
                .collect();
            tree.write(path, kept, 0o644)?;
        }
    }
    Ok(())
}

const USERMOD: &[&str] = &[
    "-a --append",
    "-G --groups =",
    "-g --gid =",
    "-d --home =",
    "-m --move-home",
    "-s --shell =",
    "-c --comment =",
    "-u --uid =",
    "-o --non-unique",
    "-l --login =",
    "-L --lock",
    "-U --unlock",
    "-e --expiredate =",
    "-p --password =",
    "-v --add-subuids =",
    "-w --add-subgids =",
];

fn usermod(process: &mut Process<'_>) -> Done {
    let given = Arguments::of(process, USERMOD)?;
    let name = one(&given)?;
    let mut accounts = Accounts::load(&process.system.tree)?;
    let old = accounts.passwd.get(&name).ok_or_else(|| missing(&name))?.to_vec();
    if old.len() < 7 {
        return Err(Ending::failed(format!("the entry of {name} in /etc/passwd is broken")));
    }
    let mut new = old.clone();
    if let Some(uid) = number(given.value("-u"))? {
        new[2] = uid.to_string();
    }
    if let Some(name) = given.value("-g") {
        new[3] = group(&accounts, name)?.to_string();
    }
    for (option, field) in [("-c", 4), ("-d", 5), ("-s", 6), ("-l", 0)] {
        if let Some(value) = given.value(option) {
            value.clone_into(&mut new[field]);
        }
    }
    if let Some(record) = accounts.passwd.get_mut(&name) {
        record.clone_from(&new);
    }
    if let Some(list) = given.value("-G") {
        set_groups(&mut accounts, &name, list, given.has("-a"))?;
    }
    if let Some(expiry) = given.value("-e") {
        set_shadow(process, &mut accounts, &name, EXPIRY, expiry)?;
    }
    if let Some(hash) = given.value("-p") {
        change_password(&mut accounts, &name, |_| hash.to_owned())?;
    }
    if given.has("-L") {
        change_password(&mut accounts, &name, lock)?;
    }
    if given.has("-U") {
        change_password(&mut accounts, &name, unlock)?;
    }
    if new[0] != name {
        rename(&mut accounts, &name, &new[0]);
    }
    let tree = &mut process.system.tree;
    for (option, path) in [("-v", "/etc/subuid"), ("-w", "/etc/subgid")] {
        for range in given.values(option) {
            let line = range.split_once('-').and_then(|(first, last)| {
                let (first, last): (u64, u64) = (first.parse().ok()?, last.parse().ok()?);
                Some(format!("{name}:{first}:{}\n", last.checked_sub(first)? + 1))
            });
            let line = line.ok_or_else(|| Ending::with(3, format!("invalid subordinate id range '{range}'")))?;
            tree.append(path, line.as_bytes(), 0o644)?;
        }
    }
    accounts.store(tree)?;
    if given.has("-m") && old[5] != new[5] && tree.is_dir(&old[5]) {
        tree.rename(&old[5], &new[5])?;
    }
    Ok(0)
}

fn set_groups(accounts: &mut Accounts, user: &str, list: &str, append: bool) -> Done<()> {
    let wanted: Vec<&str> = list.split(',').filter(|group| !group.is_empty()).collect();
    for group in &wanted {
        if accounts.group.get(group).is_none() {
            return Err(Ending::with(6, format!("group '{group}' does not exist")));
        }
    }
    if !append {
        let all: Vec<String> = accounts
            .group
            .records()
            .iter()
            .map(|record| record[0].clone())
            .collect();
        for group in all.iter().filter(|group| !wanted.contains(&group.as_str())) {
            accounts.leave(user, group);
        }
    }
    for group in wanted {
        accounts.join(user, group);
    }
    Ok(())
}

fn rename(accounts: &mut Accounts, old: &str, new: &str) {
    if let Some(record) = accounts.shadow.as_mut().and_then(|shadow| shadow.get_mut(old)) {
        new.clone_into(&mut record[0]);
    }
    let groups: Vec<String> = accounts
        .group
        .records()
        .iter()
        .map(|record| record[0].clone())
        .collect();
    for group in groups {
        if accounts.leave(old, &group) {
            accounts.join(new, &group);
        }
    }
}

fn userdel(process: &mut Process<'_>) -> Done {
    let given = Arguments::of(process, &["-r --remove", "-f --force"])?;
    let name = one(&given)?;
    let mut accounts = Accounts::load(&process.system.tree)?;
    let record = accounts.passwd.get(&name).ok_or_else(|| missing(&name))?.to_vec();
    accounts.remove_user(&name);
    let tree = &mut process.system.tree;
    accounts.store(tree)?;
    remove_subordinate_ids(tree, &name)?;
    if let Some(home) = record.get(5).filter(|home| given.has("-r") && tree.is_dir(home)) {
        tree.remove_all(home)?;
    }
    Ok(0)
}
