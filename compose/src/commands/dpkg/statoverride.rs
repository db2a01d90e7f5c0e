//! dpkg-statoverride(1)

use crate::commands::arguments::Arguments;
use crate::commands::ending::{Done, Ending, settle};
use crate::commands::fnmatch::matches;
use crate::dpkg::statoverrides::{StatOverride, StatOverrides};
use crate::shell::process::{Command, Process};
use crate::tree::Follow;

/// dpkg-statoverride
pub(crate) const COMMANDS: &[(&str, Command)] = &[("dpkg-statoverride", |process| settle(process, statoverride))];

const OPTIONS: &[&str] = &[
    "--add",
    "--remove",
    "--list",
    "--update",
    "--force-all",
    "--force",
    "--quiet",
];

fn statoverride(process: &mut Process<'_>) -> Done {
    let given = Arguments::of(process, OPTIONS)?;
    let forced = given.has("--force-all") || given.has("--force");
    let mut overrides = StatOverrides::load(&process.system.tree)?;
    match given.operands()[..] {
        [..] if given.has("--list") => {
            let all = given.operands.is_empty();
            let found: Vec<_> = overrides
                .0
                .iter()
                .filter(|entry| all || given.operands.iter().any(|pattern| matches(pattern, &entry.path)))
                .collect();
            for entry in &found {
                process.say(&entry.to_string());
            }
            Ok(u8::from(found.is_empty()))
        }
        [user, group, mode, path] if given.has("--add") => {
            let mode = u32::from_str_radix(mode, 8)
                .ok()
                .filter(|mode| *mode <= 0o7777)
                .ok_or_else(|| Ending::with(2, format!("statoverride mode '{mode}' is invalid")))?;
            let entry = StatOverride {
                user: user.to_owned(),
                group: group.to_owned(),
                mode,
                path: path.to_owned(),
            };
            add(process, entry, overrides, given.has("--update"), forced)
        }
        [path] if given.has("--remove") => {
            let before = overrides.0.len();
            overrides.0.retain(|entry| entry.path != path);
            if overrides.0.len() == before {
                return if forced {
                    Ok(0)
                } else {
                    Err(Ending::with(2, "no override present"))
                };
            }
            overrides.store(&mut process.system.tree)?;
            Ok(0)
        }
        _ => Err(process.unsupported(given.operands.join(" ")).into()),
    }
}

fn add(
    process: &mut Process<'_>,
    entry: StatOverride,
    mut overrides: StatOverrides,
    update: bool,
    forced: bool,
) -> Done {
    let tree = &mut process.system.tree;
    if overrides.of(&entry.path).is_some() && !forced {
        let text = format!("an override for '{}' already exists; aborting", entry.path);
        return Err(Ending::with(2, text));
    }
    let Some((uid, gid)) = entry.owner(tree) else {
        let text = format!("user '{}' or group '{}' does not exist", entry.user, entry.group);
        return Err(Ending::with(2, text));
    };
    if update && tree.lexists(&entry.path) {
        tree.chown(&entry.path, Some(uid), Some(gid), Follow::Yes)?;
        tree.chmod(&entry.path, entry.mode)?;
    } else if update {
        process.stderr.extend_from_slice(
            format!(
                "dpkg-statoverride: warning: --update given but {} does not exist\n",
                entry.path
            )
            .as_bytes(),
        );
    }
    overrides.0.retain(|old| old.path != entry.path);
    overrides.0.push(entry);
    overrides.store(&mut process.system.tree)?;
    Ok(0)
}
