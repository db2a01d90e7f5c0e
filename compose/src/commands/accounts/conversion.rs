//! Between passwd and shadow, and base-passwd's master files.

use crate::accounts::{self, Database, File};
use crate::commands::arguments::Arguments;
use crate::commands::ending::{Done, Ending, settle};
use crate::shell::process::{Command, Process};
use crate::tree::{Follow, Tree};

/// shadowconfig and update-passwd.
pub(crate) const COMMANDS: &[(&str, Command)] = &[
    ("shadowconfig", |process| settle(process, shadowconfig)),
    ("pwconv", |process| settle(process, pwconv)),
    ("grpconv", |process| settle(process, grpconv)),
    ("update-passwd", |process| settle(process, update_passwd)),
];

fn pwconv(process: &mut Process<'_>) -> Done {
    convert_users(&mut process.system.tree)?;
    Ok(0)
}

fn grpconv(process: &mut Process<'_>) -> Done {
    convert_groups(&mut process.system.tree)?;
    Ok(0)
}

/// `shadowconfig on`: both conversions, and the shadow files readable by their group.
fn shadowconfig(process: &mut Process<'_>) -> Done {
    match process.args.get(1).map(String::as_str) {
        Some("on") => {}
        other => return Err(process.unsupported(other.unwrap_or("being called without `on`")).into()),
    }
    let tree = &mut process.system.tree;
    convert_users(tree)?;
    convert_groups(tree)?;
    let shadow = accounts::gid(tree, "shadow").ok_or_else(|| Ending::failed("there is no group `shadow`"))?;
    for file in [File::Shadow, File::Gshadow] {
        tree.chown(file.path(), Some(0), Some(shadow), Follow::Yes)?;
        tree.chmod(file.path(), 0o640)?;
    }
    for file in [File::Passwd, File::Group] {
        tree.chown(file.path(), Some(0), Some(0), Follow::Yes)?;
        tree.chmod(file.path(), 0o644)?;
    }
    Ok(0)
}

fn convert_users(tree: &mut Tree) -> Done<()> {
    let mut passwd = Database::load(tree, File::Passwd)?;
    let mut shadow = Database::load(tree, File::Shadow)?;
    let today = accounts::today(tree).to_string();
    for name in names(&passwd) {
        let Some(user) = passwd.get_mut(&name).filter(|record| record.len() >= 7) else {
            continue;
        };
        let password = std::mem::replace(&mut user[1], "x".to_owned());
        match shadow.get_mut(&name) {
            Some(record) if password != "x" && record.len() > 2 => {
                record[1] = password;
                record[2].clone_from(&today);
            }
            Some(_) => {}
            None => {
                // Ages as in login.defs: PASS_MIN_DAYS, PASS_MAX_DAYS, PASS_WARN_AGE.
                let password = if password == "x" { "*" } else { &password };
                shadow.push(&[&name, password, &today, "0", "99999", "7", "", "", ""]);
            }
        }
    }
    shadow.store(tree)?;
    passwd.store(tree)?;
    Ok(())
}

fn convert_groups(tree: &mut Tree) -> Done<()> {
    let mut group = Database::load(tree, File::Group)?;
    let mut gshadow = Database::load(tree, File::Gshadow)?;
    for name in names(&group) {
        let Some(record) = group.get_mut(&name).filter(|record| record.len() >= 4) else {
            continue;
        };
        let password = std::mem::replace(&mut record[1], "x".to_owned());
        let members = record[3].clone();
        if gshadow.get(&name).is_none() {
            let password = if password == "x" { "*" } else { &password };
            gshadow.push(&[&name, password, "", &members]);
        }
    }
    gshadow.store(tree)?;
    group.store(tree)?;
    Ok(())
}

fn names(database: &Database) -> Vec<String> {
    database.records().iter().map(|record| record[0].clone()).collect()
}

/// base-passwd's `update-passwd`: what the master files have and the tree lacks. Entries that differ are left alone,
/// which on a fresh root never happens.
fn update_passwd(process: &mut Process<'_>) -> Done {
    let known = &[
        "-v --verbose",
        "-n --dry-run",
        "-L --no-locking",
        "-p --passwd-master =",
        "-g --group-master =",
    ];
    let given = Arguments::of(process, known)?;
    let masters = [
        (
            File::Passwd,
            given.value("-p").unwrap_or("/usr/share/base-passwd/passwd.master"),
        ),
        (
            File::Group,
            given.value("-g").unwrap_or("/usr/share/base-passwd/group.master"),
        ),
    ];
    let tree = &mut process.system.tree;
    let mut changes = 0_u8;
    for (file, master) in masters {
        let master = Database::parse(file, &tree.read_text(master)?);
        let mut current = Database::load(tree, file)?;
        for record in master.records() {
            if current.get(&record[0]).is_none() {
                let fields: Vec<&str> = record.iter().map(String::as_str).collect();
                current.push(&fields);
                changes = changes.saturating_add(1);
            }
        }
        if !given.has("-n") {
            current.store(tree)?;
        }
    }
    // With --dry-run the status says how many changes there are (update-passwd(8)).
    Ok(if given.has("-n") { changes } else { 0 })
}
