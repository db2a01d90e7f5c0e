//! pam-auth-update(8): the `common-*` files of PAM from the profiles that packages ship.
//!
//! There is nobody to choose: every profile whose `Default` is `yes`, unless it was seen and disabled before.

use std::collections::BTreeSet;

use crate::commands::arguments::is_whole_tree;
use crate::commands::ending::{Done, Ending, settle};
use crate::shell::process::{Command, Process, Status};

/// What was changed by hand.
mod changes;

/// The profiles packages ship.
mod profile;

/// The files that are made of them.
mod stack;

use changes::Changes;
use profile::{Profile, load};
use stack::write_stack;

/// PAM's tools.
pub(crate) const COMMANDS: &[(&str, Command)] = &[
    ("pam-auth-update", |process| settle(process, pam_auth_update)),
    ("pam_getenv", |process| Ok(pam_getenv(process))),
];

const PROFILES: &str = "/usr/share/pam-configs";
const CONFIG: &str = "/etc/pam.d";
const STATE: &str = "/var/lib/pam";

/// The stacks, each a `common-*` file.
const STACKS: [&str; 5] = ["auth", "account", "password", "session", "session-noninteractive"];

/// The comments that bound the two blocks of a `common-*` file.
const PRIMARY: &str = "# here are the per-package modules (the \"Primary\" block)";
const FALLBACK: &str = "# here's the fallback if no module succeeds";
const ADDITIONAL: &str = "# and here are more per-package modules (the \"Additional\" block)";
const END: &str = "# end of pam-auth-update config";

/// What was asked for on the command line.
#[derive(Debug, Default)]
struct Request {
    force: bool,
    removed: BTreeSet<String>,
    disabled: BTreeSet<String>,
    enabled: BTreeSet<String>,
}

fn request(process: &Process<'_>) -> Done<Request> {
    let mut request = Request::default();
    let mut list = None;
    let mut args = process.args[1..].iter();
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--force" => request.force = true,
            "--package" => list = None,
            "--root" => {
                if !args.next().is_some_and(|root| is_whole_tree(root)) {
                    return Err(process.unsupported("another root").into());
                }
            }
            "--remove" | "--disable" | "--enable" => list = Some(arg.as_str()),
            other if other.starts_with("--") => return Err(process.unsupported(other).into()),
            name => {
                let set = match list {
                    Some("--remove") => &mut request.removed,
                    Some("--disable") => &mut request.disabled,
                    Some(_) => &mut request.enabled,
                    None => return Err(process.unsupported(name).into()),
                };
                set.insert(name.to_owned());
            }
        }
    }
    Ok(request)
}

fn pam_auth_update(process: &mut Process<'_>) -> Done {
    let request = request(process)?;
    let tree = &mut process.system.tree;
    let mut profiles = load(tree)?;
    profiles.retain(|profile| !request.removed.contains(&profile.name));
    let changes = Changes::find(tree)?;
    if changes.is_none() && !request.force {
        process.fail("Local modifications to /etc/pam.d/common-*, not updating.");
        return Ok(0);
    }
    let mut seen: BTreeSet<String> = match tree.read_text(&format!("{STATE}/seen")) {
        Ok(text) => text.lines().map(str::to_owned).collect(),
        Err(_) => BTreeSet::new(),
    };
    seen.extend(request.disabled.iter().cloned());
    let before: BTreeSet<&str> = changes
        .iter()
        .flat_map(|changes| changes.modules.iter().map(String::as_str))
        .collect();
    let was_enabled =
        |name: &str| (before.contains(name) || request.enabled.contains(name)) && !request.disabled.contains(name);
    if !profiles.iter().any(|profile| was_enabled(&profile.name)) {
        seen.clear();
    }
    let mut enabled: Vec<Profile> = profiles
        .iter()
        .filter(|profile| {
            was_enabled(&profile.name) || (profile.get("Default") == "yes" && !seen.contains(&profile.name))
        })
        .cloned()
        .collect();
    drop_conflicts(&mut enabled);
    if enabled.is_empty() {
        return Err(Ending::failed("no PAM profile would be enabled"));
    }
    tree.mkdir_all(STATE, 0o755)?;
    let names: String = profiles.iter().flat_map(|profile| [&profile.name, "\n"]).collect();
    tree.write(&format!("{STATE}/seen"), names, 0o644)?;
    for stack in STACKS {
        write_stack(tree, stack, &enabled, changes.as_ref(), request.force)?;
    }
    Ok(0)
}

/// Of two profiles that exclude each other the later one goes.
fn drop_conflicts(enabled: &mut Vec<Profile>) {
    let mut at = 0;
    while at < enabled.len() {
        let excluded: Vec<String> = enabled[at].get("Conflicts").split(", ").map(str::to_owned).collect();
        enabled.retain(|profile| !excluded.contains(&profile.name));
        at += 1;
    }
}

/// `pam_getenv NAME`: a variable of `/etc/environment` or `/etc/default/locale`.
fn pam_getenv(process: &mut Process<'_>) -> Status {
    let file = if process.args.iter().any(|arg| arg == "-l") {
        "/etc/default/locale"
    } else {
        "/etc/environment"
    };
    let Some(name) = process.args.last().cloned() else {
        return 1;
    };
    let text = process.system.tree.read_text(file).unwrap_or_default();
    let prefix = format!("{name}=");
    if let Some(value) = text.lines().find_map(|line| line.strip_prefix(&prefix)) {
        process.say(value.trim_matches(['"', '\'']));
    }
    0
}

#[cfg(test)]
mod tests {
    use super::stack::TEMPLATES;
    use super::*;
    use crate::system::System;
    use crate::tree::Tree;
    use std::fs;
    use std::path::{Path, PathBuf};

    fn copy_in(tree: &mut Tree, folder: &Path, to: &str) {
        tree.mkdir_all(to, 0o755).unwrap();
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            tree.write(&format!("{to}/{name}"), fs::read(&path).unwrap(), 0o644)
                .unwrap();
        }
    }

    /// Every scenario of `testdata/pam` gives what the real pam-auth-update gave (`golden.gen.sh` there).
    #[test]
    fn scenarios_match_the_real_tool() {
        let data = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("testdata");
        let mut scenarios = 0;
        for scenario in fs::read_dir(data.join("pam"))
            .unwrap()
            .map(|entry| entry.unwrap().path())
        {
            if !scenario.is_dir() {
                continue;
            }
            scenarios += 1;
            let mut system = System::new("arm64", 0);
            copy_in(&mut system.tree, &scenario.join("profiles"), PROFILES);
            copy_in(&mut system.tree, &data.join("pam-templates"), TEMPLATES);
            let calls = fs::read_to_string(scenario.join("calls")).unwrap();
            let last = calls.lines().count();
            for (number, call) in calls.lines().enumerate() {
                if number + 1 == last && scenario.join("edit").exists() {
                    // The same edit as in the scenario's sed script.
                    let path = format!("{CONFIG}/common-password");
                    let text = system.tree.read_text(&path).unwrap();
                    let text = text.replace("pam_unix.so obscure", "pam_unix.so minlen=12");
                    system.tree.write(&path, text, 0o644).unwrap();
                }
                let args: Vec<&str> = call.split(' ').collect();
                assert_eq!(
                    settle(&mut Process::new(&mut system, &args), pam_auth_update),
                    Ok(0),
                    "{call}"
                );
            }
            for (folder, ours) in [("pam.d", CONFIG), ("state", STATE)] {
                let mut expected = Tree::new(0);
                copy_in(&mut expected, &scenario.join("expected").join(folder), "/x");
                for (path, _) in expected.walk("/x").unwrap() {
                    let name = path.rsplit('/').next().unwrap();
                    let found = system.tree.read_text(&format!("{ours}/{name}")).unwrap_or_default();
                    assert_eq!(
                        found,
                        expected.read_text(&path).unwrap(),
                        "{} {folder}/{name}",
                        scenario.display()
                    );
                }
                let count = |tree: &Tree, path: &str| tree.read_dir(path).unwrap().len();
                assert_eq!(
                    count(&system.tree, ours),
                    count(&expected, "/x"),
                    "{} {folder}",
                    scenario.display()
                );
            }
        }
        assert!(scenarios >= 5);
    }
}
