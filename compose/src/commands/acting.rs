//! Acting as another user: `su`, `runuser`, `setpriv`, `sudo`. What is created then belongs to that user; what only root
//! may do is not denied, for scripts do not ask for what they know they may not.

use super::arguments::Arguments;
use super::ending::{Done, Ending, settle};
use super::owners;
use crate::shell::process::{Command, Process};

pub(super) const COMMANDS: &[(&str, Command)] = &[
    ("runuser", |process| settle(process, su)),
    ("setpriv", |process| settle(process, setpriv)),
    ("su", |process| settle(process, su)),
    ("sudo", |process| settle(process, sudo)),
];

/// `su [-] [USER [ARGUMENT…]]` and `runuser -u USER -- COMMAND…`
fn su(process: &mut Process<'_>) -> Done {
    let known = &[
        "-c --command =",
        "-g --group =",
        "-l --login",
        "-m -p --preserve-environment",
        "-s --shell =",
        "-u --user =",
    ];
    // util-linux' `su` takes options behind the user's name, too; `runuser -u` runs what follows.
    let running = process.args.iter().any(|arg| arg == "-u" || arg.starts_with("--user"));
    let given = if running {
        Arguments::in_order(process, known)?
    } else {
        Arguments::of(process, known)?
    };
    if let Some(user) = given.value("-u") {
        let (user, group) = (user.to_owned(), given.value("-g").map(str::to_owned));
        return act(process, &user, group.as_deref(), &given.operands);
    }
    let operands: Vec<&String> = given.operands.iter().filter(|operand| *operand != "-").collect();
    let user = operands.first().map_or("root", |user| user.as_str()).to_owned();
    let Some(entry) = owners::entry(&process.system.tree, "/etc/passwd", &user).filter(|entry| entry.len() > 6) else {
        return Err(Ending::failed(format!("user {user} does not exist")));
    };
    let shell = given.value("-s").unwrap_or(&entry[6]).to_owned();
    let mut command = vec![if shell.is_empty() { "/bin/sh".to_owned() } else { shell }];
    match given.value("-c") {
        Some(text) => command.extend(["-c".to_owned(), text.to_owned()]),
        None if operands.len() < 2 => return Err(process.unsupported("a shell for a person").into()),
        None => {}
    }
    command.extend(operands.into_iter().skip(1).cloned());
    if !given.has("-m") {
        process.env.insert("HOME".to_owned(), entry[5].clone());
        process.env.insert("SHELL".to_owned(), command[0].clone());
        process.env.insert("USER".to_owned(), user.clone());
        process.env.insert("LOGNAME".to_owned(), user.clone());
    }
    let group = given.value("-g").map(str::to_owned);
    act(process, &user, group.as_deref(), &command)
}

fn setpriv(process: &mut Process<'_>) -> Done {
    let known = &[
        "--clear-groups",
        "--init-groups",
        "--no-new-privs",
        "--regid =",
        "--reset-env",
        "--reuid =",
    ];
    let given = Arguments::in_order(process, known)?;
    let user = given.value("--reuid").unwrap_or("root").to_owned();
    let group = given.value("--regid").unwrap_or("root").to_owned();
    act(process, &user, Some(&group), &given.operands)
}

fn sudo(process: &mut Process<'_>) -> Done {
    let given = Arguments::in_order(
        process,
        &["-u --user =", "-g --group =", "-n --non-interactive", "-H --set-home"],
    )?;
    let user = given.value("-u").unwrap_or("root").to_owned();
    let group = given.value("-g").map(str::to_owned);
    act(process, &user, group.as_deref(), &given.operands)
}

/// Runs a command as `user` and the group given, the user's own if none is.
fn act(process: &mut Process<'_>, user: &str, group: Option<&str>, command: &[String]) -> Done {
    if command.is_empty() {
        return Err(process.unsupported("use without a command").into());
    }
    let tree = &process.system.tree;
    let unknown = |what: &str, name: &str| Ending::failed(format!("{what} {name} does not exist"));
    let uid = owners::uid(tree, user).ok_or_else(|| unknown("user", user))?;
    let gid = if let Some(group) = group {
        owners::gid(tree, group).ok_or_else(|| unknown("group", group))?
    } else {
        let entry = owners::entry(tree, "/etc/passwd", user);
        let gid = entry.as_ref().and_then(|entry| entry.get(3)?.parse().ok());
        gid.unwrap_or(uid)
    };
    let before = process.system.tree.acting.replace((uid, gid));
    let stdin = process.read_stdin();
    let outcome = process.spawn(command, stdin);
    process.system.tree.acting = before;
    Ok(outcome?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::lookup;
    use crate::system::System;

    #[test]
    fn what_another_user_makes_is_that_users() {
        let mut system = System::new("arm64", 0);
        system.tree.mkdir_all("/etc", 0o755).unwrap();
        let users = "root:x:0:0:root:/root:/bin/sh\nman:x:6:12:man:/var/cache/man:/usr/sbin/nologin\n";
        system.tree.write("/etc/passwd", users, 0o644).unwrap();
        system
            .tree
            .write("/etc/group", "root:x:0:\nman:x:12:\nadm:x:4:\n", 0o644)
            .unwrap();
        for (args, owner) in [
            (
                &["su", "-s", "/bin/sh", "man", "-c", "id -u > /f; echo $HOME >> /f"][..],
                (6, 12),
            ),
            (&["runuser", "-u", "man", "--group", "adm", "--", "touch", "/f"], (6, 4)),
            (
                &[
                    "setpriv",
                    "--reuid",
                    "man",
                    "--regid",
                    "man",
                    "--init-groups",
                    "--",
                    "touch",
                    "/f",
                ],
                (6, 12),
            ),
            (&["sudo", "touch", "/f"], (0, 0)),
        ] {
            let mut process = Process::new(&mut system, args);
            assert_eq!(lookup(args[0]).unwrap()(&mut process), Ok(0), "{args:?}");
            let inode = system.tree.stat("/f").unwrap();
            assert_eq!((inode.uid, inode.gid), owner, "{args:?}");
            if args[0] == "su" {
                assert_eq!(system.tree.read_text("/f").unwrap(), "6\n/var/cache/man\n");
            }
            system.tree.unlink("/f").unwrap();
            assert_eq!(system.tree.acting, None);
        }
        let mut process = Process::new(&mut system, &["su", "nobody", "-c", "true"]);
        assert_eq!(lookup("su").unwrap()(&mut process), Ok(1));
    }
}
