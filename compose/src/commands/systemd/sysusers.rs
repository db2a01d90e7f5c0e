//! systemd-sysusers(8): users and groups declared in sysusers.d(5).

use super::{config_files, specifiers};
use crate::accounts::{self, Database, File};
use crate::commands::accounts::system_id;
use crate::commands::arguments::{Arguments, is_whole_tree};
use crate::commands::ending::{Done, Ending, settle};
use crate::shell::process::{Command, Process};

/// systemd-sysusers
pub(crate) const COMMANDS: &[(&str, Command)] = &[("systemd-sysusers", |process| settle(process, sysusers))];

/// A user to make.
#[derive(Debug, Default, PartialEq, Eq)]
struct User {
    name: String,
    /// A number, a path whose owner is taken, or nothing.
    uid: Option<String>,
    /// Primary group by number or name; a group of the user's name if nothing.
    group: Option<String>,
    gecos: String,
    home: String,
    shell: String,
    /// `u!`: the account is expired.
    locked: bool,
}

/// What the files declare, in order.
#[derive(Debug, Default, PartialEq, Eq)]
struct Declared {
    groups: Vec<(String, Option<String>)>,
    users: Vec<User>,
    /// User and group.
    members: Vec<(String, String)>,
}

impl Declared {
    /// Reads one line; an error is a sentence.
    fn read(&mut self, line: &str, expand: impl Fn(&str) -> Option<String>) -> Result<(), String> {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            return Ok(());
        }
        let words: Option<Vec<String>> = config_files::words(line).iter().map(|word| expand(word)).collect();
        let words = words.ok_or_else(|| format!("`{line}` has a specifier without a value"))?;
        let field = |at: usize| {
            words
                .get(at)
                .map(String::as_str)
                .filter(|word| !word.is_empty() && *word != "-")
        };
        if words[0] == "r" {
            // A range to allocate from: ids come from our own table.
            return Ok(());
        }
        let name = field(1).ok_or_else(|| format!("`{line}` lacks a name"))?.to_owned();
        match words[0].as_str() {
            kind @ ("u" | "u!") => {
                let (uid, group) = match field(2) {
                    Some(id) if !id.starts_with('/') => match id.split_once(':') {
                        Some((uid, group)) => (Some(uid).filter(|uid| *uid != "-"), Some(group)),
                        None => (Some(id), None),
                    },
                    other => (other, None),
                };
                self.users.push(User {
                    name,
                    uid: uid.map(str::to_owned),
                    group: group.map(str::to_owned),
                    gecos: field(3).unwrap_or("").to_owned(),
                    home: field(4).unwrap_or("/").to_owned(),
                    shell: field(5).unwrap_or("").to_owned(),
                    locked: kind == "u!",
                });
            }
            "g" => self.groups.push((name, field(2).map(str::to_owned))),
            "m" => {
                let group = field(2).ok_or_else(|| format!("`{line}` lacks a group"))?;
                self.members.push((name, group.to_owned()));
            }
            other => return Err(format!("unknown type `{other}`")),
        }
        Ok(())
    }
}

fn sysusers(process: &mut Process<'_>) -> Done {
    let given = Arguments::of(process, &["--root =", "--inline", "--no-pager", "--dry-run"])?;
    if !is_whole_tree(given.value("--root").unwrap_or("")) || given.has("--dry-run") {
        return Err(process.unsupported("another root, or --dry-run").into());
    }
    let tree = &process.system.tree;
    let mut lines: Vec<String> = Vec::new();
    if given.has("--inline") {
        lines.extend(given.operands.iter().cloned());
    } else {
        let files = if given.operands.is_empty() {
            config_files::all(tree, "sysusers.d", ".conf")?
        } else {
            let find = |name: &String| {
                config_files::named(tree, "sysusers.d", name)
                    .ok_or_else(|| Ending::failed(format!("Failed to open '{name}': No such file or directory")))
            };
            given.operands.iter().map(find).collect::<Done<Vec<String>>>()?
        };
        for file in files {
            lines.extend(tree.read_text(&file)?.lines().map(str::to_owned));
        }
    }
    let mut declared = Declared::default();
    let mut status = 0;
    for line in lines {
        let system = &*process.system;
        if let Err(text) = declared.read(&line, |word| specifiers::expand(system, word)) {
            process.fail(&text);
            status = 65;
        }
    }
    make(process, &declared)?;
    Ok(status)
}

/// The four files, and whether the shadow ones are to be written.
struct Files {
    passwd: Database,
    group: Database,
    shadow: Database,
    gshadow: Database,
}

fn make(process: &mut Process<'_>, declared: &Declared) -> Done<()> {
    let tree = &process.system.tree;
    let mut files = Files {
        passwd: Database::load(tree, File::Passwd)?,
        group: Database::load(tree, File::Group)?,
        shadow: Database::load(tree, File::Shadow)?,
        gshadow: Database::load(tree, File::Gshadow)?,
    };
    let before = (files.passwd.clone(), files.group.clone());
    let implied = declared.members.iter().map(|(_, group)| (group.clone(), None));
    for (name, id) in declared.groups.iter().cloned().chain(implied) {
        group(process, &mut files, &name, id.as_deref());
    }
    for declared in &declared.users {
        user(process, &mut files, declared)?;
    }
    for (name, group) in &declared.members {
        if files.passwd.get(name).is_none() {
            let implied = User {
                name: name.clone(),
                home: "/".to_owned(),
                ..User::default()
            };
            user(process, &mut files, &implied)?;
        }
        files.group.add_member(group, name);
        files.gshadow.add_member(group, name);
    }
    let tree = &mut process.system.tree;
    if files.group != before.1 {
        files.group.store(tree)?;
        files.gshadow.store(tree)?;
    }
    if files.passwd != before.0 {
        files.passwd.store(tree)?;
        files.shadow.store(tree)?;
    }
    Ok(())
}

/// A number, or the owner of a path; `None` if it is neither or the path is absent.
fn fixed(process: &Process<'_>, id: &str, file: File) -> Option<u32> {
    if id.starts_with('/') {
        let inode = process.system.tree.stat(id).ok()?;
        return Some(if file == File::Passwd { inode.uid } else { inode.gid });
    }
    id.parse().ok()
}

/// Makes sure of a group; its gid.
fn group(process: &mut Process<'_>, files: &mut Files, name: &str, id: Option<&str>) -> u32 {
    if let Some(gid) = files.group.id(name) {
        return gid;
    }
    let wanted = id
        .and_then(|id| fixed(process, id, File::Group))
        .filter(|gid| files.group.name(*gid).is_none());
    let gid = match wanted {
        Some(gid) => gid,
        None => system_id(process, &files.group, name),
    };
    files.group.push(&[name, "x", &gid.to_string(), ""]);
    if files.gshadow.get(name).is_none() {
        files.gshadow.push(&[name, "!*", "", ""]);
    }
    gid
}

fn user(process: &mut Process<'_>, files: &mut Files, user: &User) -> Done<()> {
    if files.passwd.get(&user.name).is_some() {
        return Ok(());
    }
    let wanted = user.uid.as_deref().and_then(|id| fixed(process, id, File::Passwd));
    let uid = match wanted.filter(|uid| files.passwd.name(*uid).is_none()) {
        Some(uid) => uid,
        None => system_id(process, &files.passwd, &user.name),
    };
    let gid = match &user.group {
        Some(name) => match name.parse().ok().or_else(|| files.group.id(name)) {
            Some(gid) => gid,
            None => {
                return Err(Ending::failed(format!(
                    "Failed to find the group {name} of the user {}",
                    user.name
                )));
            }
        },
        // The user's own group prefers the user's number.
        None => group(process, files, &user.name, Some(&uid.to_string())),
    };
    let shell = match (user.shell.as_str(), uid) {
        ("", 0) => "/bin/sh",
        ("", _) => "/usr/sbin/nologin",
        (shell, _) => shell,
    };
    files.passwd.push(&[
        &user.name,
        "x",
        &uid.to_string(),
        &gid.to_string(),
        &user.gecos,
        &user.home,
        shell,
    ]);
    if files.shadow.get(&user.name).is_none() {
        let today = accounts::today(&process.system.tree).to_string();
        let expiry = if user.locked { "1" } else { "" };
        files
            .shadow
            .push(&[&user.name, "!*", &today, "", "", "", "", expiry, ""]);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::system::System;
    use proptest::prelude::*;

    fn system(conf: &str) -> System {
        let mut system = System::new("arm64", 20_778 * 86_400 + 5);
        let tree = &mut system.tree;
        tree.mkdir_all("/usr/lib/sysusers.d", 0o755).unwrap();
        tree.mkdir_all("/etc", 0o755).unwrap();
        tree.write("/etc/passwd", "root:x:0:0:root:/root:/bin/bash\n", 0o644)
            .unwrap();
        tree.write("/etc/group", "root:x:0:\nnogroup:x:65534:\n", 0o644)
            .unwrap();
        tree.write("/usr/lib/sysusers.d/t.conf", conf.to_owned(), 0o644)
            .unwrap();
        let mut process = Process::new(&mut system, &["systemd-sysusers", "t.conf"]);
        assert_eq!(settle(&mut process, sysusers), Ok(0));
        system
    }

    /// Input and output of the real systemd-sysusers 257 (`--root` on the same files), ids as in our table.
    #[test]
    fn lines_are_written_as_systemd_does() {
        let system = system(
            "# comment\ng input -\ng systemd-journal - -\nu! systemd-network - \"systemd Network Management\"\n\
             u messagebus - \"System Message Bus\" /nonexistent\nu sshd -:nogroup \"sshd user\" /run/sshd\n\
             u fixed 777:0 - - /bin/sh\nm messagebus kvm\nr - 500-900\n",
        );
        let text = |path: &str| system.tree.read_text(path).unwrap();
        assert_eq!(
            text("/etc/passwd"),
            "root:x:0:0:root:/root:/bin/bash\n\
             systemd-network:x:998:998:systemd Network Management:/:/usr/sbin/nologin\n\
             messagebus:x:992:992:System Message Bus:/nonexistent:/usr/sbin/nologin\n\
             sshd:x:111:65534:sshd user:/run/sshd:/usr/sbin/nologin\nfixed:x:777:0::/:/bin/sh\n"
        );
        assert_eq!(
            text("/etc/group"),
            "root:x:0:\nnogroup:x:65534:\ninput:x:997:\nsystemd-journal:x:999:\nkvm:x:994:messagebus\n\
             systemd-network:x:998:\nmessagebus:x:992:\n"
        );
        assert_eq!(
            text("/etc/shadow"),
            "systemd-network:!*:20778:::::1:\nmessagebus:!*:20778::::::\nsshd:!*:20778::::::\nfixed:!*:20778::::::\n"
        );
        assert_eq!(
            text("/etc/gshadow"),
            "input:!*::\nsystemd-journal:!*::\nkvm:!*::messagebus\nsystemd-network:!*::\nmessagebus:!*::\n"
        );
        assert_eq!(system.tree.stat("/etc/shadow").unwrap().mode, 0);
        assert!(system.notes.is_empty());
    }

    #[test]
    fn unknown_names_are_noted_and_existing_ones_left() {
        let system = system("u root 0 - /elsewhere\nu strange -\n");
        assert!(
            system
                .tree
                .read_text("/etc/passwd")
                .unwrap()
                .starts_with("root:x:0:0:root:/root:")
        );
        assert!(system.notes[0].text.contains("strange"));
    }

    proptest! {
        #[test]
        fn any_line_is_read_or_refused(line in "[ugmr!-] ?[ -~]{0,40}") {
            let _ = Declared::default().read(&line, |word| Some(word.to_owned()));
        }
    }
}
