//! Commands that make, change and remove users and groups: adduser, passwd (shadow) and base-passwd.

use super::ending::{Done, Ending};
use crate::accounts::{self, Database, File};
use crate::shell::process::Process;
use crate::tree::Tree;

/// adduser, addgroup, deluser, delgroup
pub(crate) mod adduser;

/// pwconv, shadowconfig, update-passwd
pub(crate) mod conversion;

/// groupadd, groupmod, groupdel, gpasswd
pub(crate) mod groups;

/// passwd, chage, chsh, …
pub(crate) mod passwords;

/// useradd, usermod, userdel
pub(crate) mod users;

/// The account files while a command works on them; the shadow files only where they exist.
pub(crate) struct Accounts {
    /// `/etc/passwd`
    pub(crate) passwd: Database,
    /// `/etc/group`
    pub(crate) group: Database,
    /// `/etc/shadow`
    pub(crate) shadow: Option<Database>,
    /// `/etc/gshadow`
    pub(crate) gshadow: Option<Database>,
}

/// A user about to be made.
pub(crate) struct NewUser<'a> {
    pub(crate) name: &'a str,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) gecos: &'a str,
    pub(crate) home: &'a str,
    pub(crate) shell: &'a str,
    /// Password field, in shadow where that exists.
    pub(crate) password: &'a str,
    /// Whether the password ages (ordinary users: `0:99999:7` from login.defs) or not (system users).
    pub(crate) ages: bool,
}

impl Accounts {
    pub(crate) fn load(tree: &Tree) -> Done<Self> {
        let optional = |file: File| tree.exists(file.path()).then(|| Database::load(tree, file)).transpose();
        Ok(Self {
            passwd: Database::load(tree, File::Passwd)?,
            group: Database::load(tree, File::Group)?,
            shadow: optional(File::Shadow)?,
            gshadow: optional(File::Gshadow)?,
        })
    }

    pub(crate) fn store(&self, tree: &mut Tree) -> Done<()> {
        self.passwd.store(tree)?;
        self.group.store(tree)?;
        for database in [&self.shadow, &self.gshadow].into_iter().flatten() {
            database.store(tree)?;
        }
        Ok(())
    }

    /// Adds a group; its password goes to gshadow where that exists, as groupadd does.
    pub(crate) fn add_group(&mut self, name: &str, gid: u32) {
        let password = if let Some(gshadow) = &mut self.gshadow {
            gshadow.push(&[name, "!", "", ""]);
            "x"
        } else {
            "!"
        };
        self.group.push(&[name, password, &gid.to_string(), ""]);
    }

    /// Adds a user; its password goes to shadow where that exists, as useradd does.
    pub(crate) fn add_user(&mut self, tree: &Tree, user: &NewUser<'_>) {
        let password = if let Some(shadow) = &mut self.shadow {
            let today = accounts::today(tree).to_string();
            let [min, max, warn] = if user.ages { ["0", "99999", "7"] } else { [""; 3] };
            shadow.push(&[user.name, user.password, &today, min, max, warn, "", "", ""]);
            "x"
        } else {
            user.password
        };
        let (uid, gid) = (user.uid.to_string(), user.gid.to_string());
        self.passwd
            .push(&[user.name, password, &uid, &gid, user.gecos, user.home, user.shell]);
    }

    /// Makes `user` a member of `group`; whether that changed anything.
    pub(crate) fn join(&mut self, user: &str, group: &str) -> bool {
        let changed = self.group.add_member(group, user);
        if let Some(gshadow) = &mut self.gshadow {
            gshadow.add_member(group, user);
        }
        changed
    }

    /// Takes `user` out of `group`; whether that changed anything.
    pub(crate) fn leave(&mut self, user: &str, group: &str) -> bool {
        let changed = self.group.remove_member(group, user);
        if let Some(gshadow) = &mut self.gshadow {
            gshadow.remove_member(group, user);
        }
        changed
    }

    /// Removes a user, its memberships, and its private group unless others are in that (userdel(8),
    /// `USERGROUPS_ENAB`).
    pub(crate) fn remove_user(&mut self, user: &str) {
        let gid = self.passwd.get(user).and_then(|record| record.get(3)).cloned();
        self.passwd.remove(user);
        if let Some(shadow) = &mut self.shadow {
            shadow.remove(user);
        }
        let groups: Vec<String> = self.group.records().iter().map(|record| record[0].clone()).collect();
        for group in groups {
            self.leave(user, &group);
        }
        let private = self.group.get(user).is_some_and(|group| {
            let of_others = self.passwd.records().iter().any(|other| other.get(3) == group.get(2));
            group.get(2) == gid.as_ref() && group.get(3).is_none_or(String::is_empty) && !of_others
        });
        if private {
            self.remove_group(user);
        }
    }

    /// Removes a group.
    pub(crate) fn remove_group(&mut self, group: &str) {
        self.group.remove(group);
        if let Some(gshadow) = &mut self.gshadow {
            gshadow.remove(group);
        }
    }

    /// The gid of a group given by name or number.
    pub(crate) fn gid(&self, group: &str) -> Option<u32> {
        self.group.id(group).or_else(|| {
            let id = group.parse().ok()?;
            self.group.name(id).map(|_| id)
        })
    }
}

/// The id a system account `name` gets in `database`; one outside of the table is noted.
pub(crate) fn system_id(process: &mut Process<'_>, database: &Database, name: &str) -> u32 {
    let allocation = accounts::allocate(database, name);
    if !allocation.stable {
        process.note(format!(
            "the account {name} is not in the table of stable ids and got {} by a hash of its name",
            allocation.id
        ));
    }
    allocation.id
}

/// Reads a numeric option.
pub(crate) fn number(value: Option<&str>) -> Done<Option<u32>> {
    value
        .map(|text| {
            text.parse()
                .map_err(|_| Ending::with(3, format!("invalid numeric argument `{text}`")))
        })
        .transpose()
}

/// Makes a home directory: mode `mode`, the skeleton's files in it if wanted, all owned by the user.
pub(crate) fn make_home(tree: &mut Tree, home: &str, mode: u32, owner: (u32, u32), skeleton: bool) -> Done<()> {
    use crate::tree::{Follow, Kind};
    let parent = home
        .trim_end_matches('/')
        .rsplit_once('/')
        .map_or("", |(parent, _)| parent);
    if !parent.is_empty() {
        tree.mkdir_all(parent, 0o755)?;
    }
    tree.mkdir(home, mode)?;
    tree.chown(home, Some(owner.0), Some(owner.1), Follow::Yes)?;
    if skeleton && tree.is_dir("/etc/skel") {
        for (path, id) in tree.walk("/etc/skel")? {
            let copy = format!("{home}{}", &path["/etc/skel".len()..]);
            let mut inode = tree.inode(id).clone();
            if inode.is_dir() {
                inode.kind = Kind::Dir(std::collections::BTreeMap::new());
            }
            (inode.uid, inode.gid) = owner;
            tree.create(&copy, inode)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::lookup;
    use crate::system::System;
    use regex::Regex;
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::PathBuf;

    const FILES: [&str; 6] = ["passwd", "group", "shadow", "gshadow", "subuid", "subgid"];

    fn texts(tree: &Tree) -> Vec<String> {
        FILES
            .iter()
            .map(|file| tree.read_text(&format!("/etc/{file}")).unwrap())
            .collect()
    }

    /// The words of a line of `calls`; quotes keep blanks.
    fn words(call: &str) -> Vec<String> {
        let parts = call.split('\'').enumerate();
        let mut words = Vec::new();
        for (at, part) in parts {
            if at % 2 == 1 {
                words.push(part.to_owned());
            } else {
                words.extend(part.split_whitespace().map(str::to_owned));
            }
        }
        words
    }

    /// What each call changes is what it changes with the real tools (`testdata/accounts/golden.gen.sh`).
    #[test]
    fn calls_change_what_the_real_tools_change() {
        let data = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("testdata/accounts");
        let mut system = System::new("arm64", 20_000 * 86_400);
        for dir in ["/etc/skel", "/var/lib", "/home"] {
            system.tree.mkdir_all(dir, 0o755).unwrap();
        }
        for file in FILES {
            let content = fs::read(data.join("before").join(file)).unwrap();
            system.tree.write(&format!("/etc/{file}"), content, 0o644).unwrap();
        }
        let id = Regex::new(":[1-9][0-9]{2}:").unwrap();
        let mut transcript = String::new();
        let mut before = texts(&system.tree);
        for call in fs::read_to_string(data.join("calls")).unwrap().lines() {
            let args = words(call);
            let args: Vec<&str> = args.iter().map(String::as_str).collect();
            let command = lookup(args[0]).unwrap();
            let status = command(&mut Process::new(&mut system, &args)).unwrap();
            transcript.extend(["$ ", call, "\n= ", &status.to_string(), "\n"]);
            let after = texts(&system.tree);
            for (at, file) in FILES.iter().enumerate() {
                let lines = |text: &str| text.lines().map(str::to_owned).collect::<BTreeSet<String>>();
                let (old, new) = (lines(&before[at]), lines(&after[at]));
                let gone = old.difference(&new).map(|line| format!("{file}< {line}\n"));
                let come = new.difference(&old).map(|line| format!("{file}> {line}\n"));
                for line in gone.chain(come) {
                    let line = id.replace_all(&line, ":#:").replace(":20000:", ":TODAY:");
                    transcript.push_str(&id.replace_all(&line, ":#:"));
                }
            }
            before = after;
        }
        assert_eq!(transcript, fs::read_to_string(data.join("expected")).unwrap());
    }
}
