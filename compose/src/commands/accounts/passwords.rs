//! What shadow-utils changes in a password's record, and in a person's entry: passwd, chage, chsh, chfn.

use super::Accounts;
use super::users::{missing, one};
use crate::accounts;
use crate::commands::arguments::Arguments;
use crate::commands::ending::{Done, Ending, settle};
use crate::shell::process::{Command, Process};

/// passwd and its siblings.
pub(crate) const COMMANDS: &[(&str, Command)] = &[
    ("passwd", |process| settle(process, passwd)),
    ("chpasswd", |process| settle(process, chpasswd)),
    ("chage", |process| settle(process, chage)),
    ("chsh", |process| settle(process, chsh)),
    ("chfn", |process| settle(process, chfn)),
];

/// Fields of a shadow record, `shadow(5)`.
const PASSWORD: usize = 1;
const LAST_CHANGE: usize = 2;
const MINIMUM: usize = 3;
const MAXIMUM: usize = 4;
const WARNING: usize = 5;
const INACTIVE: usize = 6;
pub(super) const EXPIRY: usize = 7;

pub(super) fn lock(password: &str) -> String {
    if password.starts_with('!') {
        password.to_owned()
    } else {
        format!("!{password}")
    }
}

pub(super) fn unlock(password: &str) -> String {
    password.strip_prefix('!').unwrap_or(password).to_owned()
}

/// Changes a password field, in shadow where the user has a record there.
pub(super) fn change_password(accounts: &mut Accounts, user: &str, change: impl Fn(&str) -> String) -> Done<()> {
    let in_shadow = accounts.shadow.as_mut().and_then(|shadow| shadow.get_mut(user));
    let record = match in_shadow {
        Some(record) => record,
        None => accounts.passwd.get_mut(user).ok_or_else(|| missing(user))?,
    };
    if record.len() > PASSWORD {
        record[PASSWORD] = change(&record[PASSWORD]);
    }
    Ok(())
}

pub(super) fn set_shadow(
    process: &Process<'_>,
    accounts: &mut Accounts,
    user: &str,
    field: usize,
    value: &str,
) -> Done<()> {
    let record = accounts
        .shadow
        .as_mut()
        .and_then(|shadow| shadow.get_mut(user))
        .filter(|record| record.len() > field)
        .ok_or_else(|| Ending::failed(format!("the shadow password file has no record of {user}")))?;
    record[field] = match value {
        "-1" => String::new(),
        number if number.chars().all(|c| c.is_ascii_digit()) => number.to_owned(),
        date => return Err(process.unsupported(format!("the date {date}")).into()),
    };
    Ok(())
}

fn passwd(process: &mut Process<'_>) -> Done {
    let known = &["-l --lock", "-u --unlock", "-d --delete", "-e --expire", "-q --quiet"];
    let given = Arguments::of(process, known)?;
    let name = one(&given)?;
    let mut accounts = Accounts::load(&process.system.tree)?;
    if given.has("-l") {
        change_password(&mut accounts, &name, lock)?;
    } else if given.has("-u") {
        change_password(&mut accounts, &name, unlock)?;
    } else if given.has("-d") {
        change_password(&mut accounts, &name, |_| String::new())?;
    } else if given.has("-e") {
        set_shadow(process, &mut accounts, &name, LAST_CHANGE, "0")?;
    } else {
        return Err(process.unsupported("asking for a password").into());
    }
    accounts.store(&mut process.system.tree)?;
    Ok(0)
}

fn chpasswd(process: &mut Process<'_>) -> Done {
    let given = Arguments::of(process, &["-e --encrypted"])?;
    if !given.has("-e") {
        return Err(process.unsupported("hashing a password (give a hash with -e)").into());
    }
    let input = process.read_stdin();
    let mut accounts = Accounts::load(&process.system.tree)?;
    for line in String::from_utf8_lossy(&input).lines() {
        let (user, hash) = line
            .split_once(':')
            .ok_or_else(|| Ending::failed("missing new password"))?;
        change_password(&mut accounts, user, |_| hash.to_owned())?;
        if accounts.shadow.is_some() {
            let today = accounts::today(&process.system.tree).to_string();
            set_shadow(process, &mut accounts, user, LAST_CHANGE, &today)?;
        }
    }
    accounts.store(&mut process.system.tree)?;
    Ok(0)
}

fn chage(process: &mut Process<'_>) -> Done {
    let known = &[
        "-d --lastday =",
        "-m --mindays =",
        "-M --maxdays =",
        "-W --warndays =",
        "-I --inactive =",
        "-E --expiredate =",
    ];
    let given = Arguments::of(process, known)?;
    let name = one(&given)?;
    let mut accounts = Accounts::load(&process.system.tree)?;
    let fields = [
        ("-d", LAST_CHANGE),
        ("-m", MINIMUM),
        ("-M", MAXIMUM),
        ("-W", WARNING),
        ("-I", INACTIVE),
        ("-E", EXPIRY),
    ];
    for (option, field) in fields {
        if let Some(value) = given.value(option) {
            set_shadow(process, &mut accounts, &name, field, value)?;
        }
    }
    accounts.store(&mut process.system.tree)?;
    Ok(0)
}

fn chsh(process: &mut Process<'_>) -> Done {
    let given = Arguments::of(process, &["-s --shell ="])?;
    let shell = given
        .value("-s")
        .ok_or_else(|| process.unsupported("asking for a shell"))?
        .to_owned();
    set_field(process, &one(&given)?, 6, &shell)
}

fn chfn(process: &mut Process<'_>) -> Done {
    let given = Arguments::of(process, &["-f --full-name ="])?;
    let full_name = given
        .value("-f")
        .ok_or_else(|| process.unsupported("asking for a name"))?;
    let name = one(&given)?;
    let accounts = Accounts::load(&process.system.tree)?;
    let old = accounts
        .passwd
        .get(&name)
        .and_then(|record| record.get(4))
        .ok_or_else(|| missing(&name))?;
    // Name, room, work and home telephone.
    let mut parts: Vec<&str> = old.split(',').collect();
    parts.resize(parts.len().max(4), "");
    parts[0] = full_name;
    let gecos = parts.join(",");
    set_field(process, &name, 4, &gecos)
}

fn set_field(process: &mut Process<'_>, user: &str, field: usize, value: &str) -> Done {
    let mut accounts = Accounts::load(&process.system.tree)?;
    let record = accounts
        .passwd
        .get_mut(user)
        .filter(|record| record.len() > field)
        .ok_or_else(|| missing(user))?;
    value.clone_into(&mut record[field]);
    accounts.store(&mut process.system.tree)?;
    Ok(0)
}
