//! Who a script is and whom the machine knows: `id`, `groups`, `whoami`, `logname`, `getent`.

use super::arguments::Arguments;
use super::owners;
use crate::shell::process::{Command, Outcome, Process, Status};

pub(super) const COMMANDS: &[(&str, Command)] = &[
    ("getent", getent),
    ("groups", groups),
    ("id", id),
    ("logname", logname),
    ("whoami", whoami),
];

fn id(process: &mut Process<'_>) -> Outcome {
    let args = Arguments::of(
        process,
        &["-u --user", "-g --group", "-G --groups", "-n --name", "-r --real"],
    )?;
    let tree = &process.system.tree;
    let acting = tree.acting.map_or("0".to_owned(), |(uid, _)| uid.to_string());
    let who = args.operands.first().map_or(acting.as_str(), String::as_str);
    let entry = match owners::entry(tree, "/etc/passwd", who) {
        Some(entry) if entry.len() > 3 => entry,
        // Even without an account database scripts run as root.
        _ if args.operands.is_empty() => ["root", "x", "0", "0"].map(str::to_owned).to_vec(),
        _ => return Ok(process.fail(&format!("'{who}': no such user"))),
    };
    let (user, uid, gid) = (&entry[0], &entry[2], &entry[3]);
    let name_of = |gid: &str| gid.parse().ok().and_then(|gid| owners::group_name(tree, gid));
    let groups = all_groups(process, user, gid);
    let line = match (args.last(&["-u", "-g", "-G"]), args.has("-n")) {
        (Some("-u"), false) => uid.clone(),
        (Some("-u"), true) => user.clone(),
        (Some("-g"), false) => gid.clone(),
        (Some("-g"), true) => name_of(gid).unwrap_or_else(|| gid.clone()),
        (Some(_), named) => {
            let shown = groups.iter().map(|gid| {
                if named {
                    name_of(gid).unwrap_or_else(|| gid.clone())
                } else {
                    gid.clone()
                }
            });
            shown.collect::<Vec<_>>().join(" ")
        }
        (None, true) => return Ok(process.fail("cannot print only names in default format")),
        (None, false) => {
            let labelled = |gid: &String| name_of(gid).map_or(gid.clone(), |name| format!("{gid}({name})"));
            let list: Vec<String> = groups.iter().map(labelled).collect();
            format!("uid={uid}({user}) gid={} groups={}", labelled(gid), list.join(","))
        }
    };
    process.say(&line);
    Ok(0)
}

/// The gids of a user: the login group, then those of `/etc/group` in order.
fn all_groups(process: &Process<'_>, user: &str, gid: &str) -> Vec<String> {
    let text = process.system.tree.read_text("/etc/group").unwrap_or_default();
    let mut groups = vec![gid.to_owned()];
    for line in text.lines() {
        let fields: Vec<&str> = line.split(':').collect();
        if let [_, _, number, members] = fields[..]
            && members.split(',').any(|member| member == user)
            && number != gid
        {
            groups.push(number.to_owned());
        }
    }
    groups
}

fn groups(process: &mut Process<'_>) -> Outcome {
    let args = Arguments::of(process, &[])?;
    let user = args.operands.first().cloned().unwrap_or_else(|| "root".to_owned());
    let Some(entry) = owners::entry(&process.system.tree, "/etc/passwd", &user) else {
        return Ok(process.fail(&format!("'{user}': no such user")));
    };
    let gids = all_groups(process, &user, entry.get(3).map_or("0", String::as_str));
    let tree = &process.system.tree;
    let name = |gid: &String| {
        gid.parse()
            .ok()
            .and_then(|gid| owners::group_name(tree, gid))
            .unwrap_or_else(|| gid.clone())
    };
    let names: Vec<String> = gids.iter().map(name).collect();
    let prefix = if args.operands.is_empty() {
        String::new()
    } else {
        format!("{user} : ")
    };
    process.say(&format!("{prefix}{}", names.join(" ")));
    Ok(0)
}

fn whoami(process: &mut Process<'_>) -> Outcome {
    Arguments::of(process, &[])?;
    let uid = process.system.tree.acting.map_or(0, |(uid, _)| uid);
    let name = owners::user_name(&process.system.tree, uid).unwrap_or_else(|| "root".to_owned());
    process.say(&name);
    Ok(0)
}

/// Nobody has logged in.
fn logname(process: &mut Process<'_>) -> Outcome {
    Arguments::of(process, &[])?;
    Ok(process.fail("no login name"))
}

fn getent(process: &mut Process<'_>) -> Outcome {
    let args = Arguments::of(process, &["-s --service =", "-i --no-idn"])?;
    let Some((database, keys)) = args.operands.split_first() else {
        return Ok(process.fail("wrong number of arguments"));
    };
    let file = match database.as_str() {
        "passwd" | "group" | "shadow" | "gshadow" => format!("/etc/{database}"),
        "services" | "protocols" | "hosts" | "networks" | "ahosts" => return Ok(find_words(process, database, keys)),
        _ => return Err(process.unsupported(format!("database '{database}'"))),
    };
    let text = process.system.tree.read_text(&file).unwrap_or_default();
    if keys.is_empty() {
        process.stdout.extend_from_slice(text.as_bytes());
        return Ok(0);
    }
    let mut status = 0;
    for key in keys {
        match owners::entry(&process.system.tree, &file, key) {
            Some(fields) => process.say(&fields.join(":")),
            None => status = 2,
        }
    }
    Ok(status)
}

/// Looks keys up in a file of words: a name, a number or address, aliases.
fn find_words(process: &mut Process<'_>, database: &str, keys: &[String]) -> Status {
    let text = process
        .system
        .tree
        .read_text(&format!("/etc/{}", database.trim_start_matches('a')))
        .unwrap_or_default();
    let rows: Vec<Vec<&str>> = text
        .lines()
        .map(|line| {
            line.split('#')
                .next()
                .unwrap_or_default()
                .split_whitespace()
                .collect::<Vec<_>>()
        })
        .filter(|words| words.len() > 1)
        .collect();
    let mut status = 0;
    for key in keys {
        match rows.iter().find(|words| {
            words
                .iter()
                .any(|word| word == key || word.split('/').next() == Some(key))
        }) {
            Some(words) if database == "hosts" => process.say(&format!("{:15} {}", words[0], words[1..].join(" "))),
            Some(words) => process.say(&format!("{:21} {}", words[0], words[1..].join(" "))),
            None => status = 2,
        }
    }
    status
}

#[cfg(test)]
mod tests {
    use crate::commands::oracle::same;

    #[test]
    fn accounts() {
        for args in [
            &["id", "-u"][..],
            &["id", "-un", "daemon"],
            &["id", "-g", "daemon"],
            &["id", "-gn", "daemon"],
            &["id", "daemon"],
            &["id", "-u", "no-such-user"],
            &["getent", "passwd", "daemon"],
            &["getent", "passwd", "1"],
            &["getent", "group", "adm", "no-such-group"],
            &["getent", "passwd", "no-such-user"],
            &["whoami"],
        ] {
            same(&[], args, "");
        }
    }
}
