//! pam-auth-update(8): the `common-*` files of PAM from the profiles that packages ship.
//!
//! There is nobody to choose: every profile whose `Default` is `yes`, unless it was seen and disabled before.

use std::collections::{BTreeMap, BTreeSet};

use md5::{Digest as _, Md5};

use crate::commands::arguments::is_whole_tree;
use crate::commands::ending::{Done, Ending, settle};
use crate::shell::process::{Command, Process, Status};
use crate::tree::Tree;

/// PAM's tools.
pub(crate) const COMMANDS: &[(&str, Command)] = &[
    ("pam-auth-update", |process| settle(process, pam_auth_update)),
    ("pam_getenv", |process| Ok(pam_getenv(process))),
];

const PROFILES: &str = "/usr/share/pam-configs";
const TEMPLATES: &str = "/usr/share/pam";
const CONFIG: &str = "/etc/pam.d";
const STATE: &str = "/var/lib/pam";

/// The stacks, each a `common-*` file.
const STACKS: [&str; 5] = ["auth", "account", "password", "session", "session-noninteractive"];

/// The comments that bound the two blocks of a `common-*` file.
const PRIMARY: &str = "# here are the per-package modules (the \"Primary\" block)";
const FALLBACK: &str = "# here's the fallback if no module succeeds";
const ADDITIONAL: &str = "# and here are more per-package modules (the \"Additional\" block)";
const END: &str = "# end of pam-auth-update config";

/// Digests of `common-*` files that were never changed by hand, in which the template may be renewed.
const UNCHANGED: &[(&str, &[&str])] = &[
    ("auth", &["8d4fe17e66ba25de16a117035d1396aa"]),
    ("account", &["3c0c362eaf3421848b679d63fd48c3fa"]),
    (
        "password",
        &[
            "4d5c92d595a46b69cd61f18feb4c0574",
            "50fce2113dfda83ac8bdd5a6e706caec",
            "4bd7610f2e85f8ddaef79c7db7cb49eb",
            "9ba753d0824276b44bcadfee1f87b6bc",
        ],
    ),
    (
        "session",
        &[
            "f297c731a467822cbd86e1283263e8a3",
            "240fb92986c885b327cdb21dd641da8c",
            "4a25673e8b36f1805219027d3be02cd2",
            "9e633425b1878897695217ecaf75e204",
        ],
    ),
    (
        "session-noninteractive",
        &["ad2b78ce1498dd637ef36469430b6ac6", "53c1ede0bf4c07879d3582d875917545"],
    ),
];

/// A file of `/usr/share/pam-configs`: fields by name, continuation lines joined.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Profile {
    name: String,
    fields: BTreeMap<String, String>,
}

impl Profile {
    fn parse(name: &str, text: &str) -> Option<Self> {
        let mut fields: BTreeMap<String, String> = BTreeMap::new();
        let mut field = String::new();
        for line in text.lines() {
            let head = line.split_once(':').filter(|(name, value)| {
                !name.is_empty() && !name.contains(char::is_whitespace) && value.starts_with(char::is_whitespace)
            });
            if let Some((name, value)) = head {
                name.strip_suffix("-Final").unwrap_or(name).clone_into(&mut field);
                fields.insert(field.clone(), value.trim().to_owned());
            } else {
                // `Auth:` with nothing behind it starts a field whose lines follow.
                if let Some(name) = line
                    .strip_suffix(':')
                    .filter(|name| !name.contains(char::is_whitespace))
                {
                    name.strip_suffix("-Final").unwrap_or(name).clone_into(&mut field);
                    fields.insert(field.clone(), String::new());
                    continue;
                }
                let value = fields.entry(field.clone()).or_default();
                if !line.trim().is_empty() {
                    value.push('\n');
                    value.push_str(line.trim());
                }
                *value = value.trim_start().to_owned();
            }
        }
        // A module that is gone for good disables its profile.
        if fields.values().any(|value| value.contains("pam_tally")) {
            return None;
        }
        if fields.get("Session-Interactive-Only").is_none_or(|only| only != "yes") {
            for suffix in ["", "-Type", "-Initial"] {
                if let Some(value) = fields.get(&format!("Session{suffix}")).cloned() {
                    fields.insert(format!("Session-noninteractive{suffix}"), value);
                }
            }
        }
        Some(Self {
            name: name.to_owned(),
            fields,
        })
    }

    fn get(&self, field: &str) -> &str {
        self.fields.get(field).map_or("", String::as_str)
    }

    fn priority(&self) -> i64 {
        self.get("Priority").parse().unwrap_or(0)
    }

    /// The lines for a stack; the first module of a block may have others.
    fn lines(&self, stack: &str, first: bool) -> &str {
        let initial = self.get(&format!("{stack}-Initial"));
        if first && !initial.is_empty() {
            initial
        } else {
            self.get(stack)
        }
    }
}

/// `auth` to `Auth`, as fields begin.
fn field_name(stack: &str) -> String {
    let mut letters = stack.chars();
    letters.next().map_or_else(String::new, |first| {
        first.to_ascii_uppercase().to_string() + letters.as_str()
    })
}

fn load(tree: &Tree) -> Done<Vec<Profile>> {
    let mut profiles = Vec::new();
    for (name, _) in tree
        .read_dir(PROFILES)
        .map_err(|_| Ending::failed("could not open config directory"))?
    {
        if name.ends_with('~') || (name.starts_with('#') && name.ends_with('#')) {
            continue;
        }
        profiles.extend(Profile::parse(&name, &tree.read_text(&format!("{PROFILES}/{name}"))?));
    }
    // The highest priority first; among equals in reverse order of names.
    profiles.sort_by(|a, b| b.priority().cmp(&a.priority()).then_with(|| b.name.cmp(&a.name)));
    Ok(profiles)
}

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

/// What an administrator has added to or taken from the options of modules, and which modules are enabled.
#[derive(Debug, Default)]
struct Changes {
    modules: Vec<String>,
    /// Per stack and module line: options added, options removed.
    options: BTreeMap<(String, String), (BTreeSet<String>, BTreeSet<String>)>,
}

impl Changes {
    /// Compares the files in use with what was written last; `None` if they differ in more than options.
    fn find(tree: &Tree) -> Done<Option<Self>> {
        let mut changes = Self::default();
        for stack in STACKS {
            let (saved, current) = (format!("{STATE}/{stack}"), format!("{CONFIG}/common-{stack}"));
            if !tree.exists(&saved) || !tree.exists(&current) {
                return Ok(None);
            }
            if changes
                .compare(stack, &tree.read_text(&saved)?, &tree.read_text(&current)?)
                .is_none()
            {
                return Ok(None);
            }
        }
        Ok(Some(changes))
    }

    fn compare(&mut self, stack: &str, saved: &str, current: &str) -> Option<()> {
        let mut module = "";
        let mut expected = Vec::new();
        for line in saved.lines() {
            match line.strip_prefix("Module: ") {
                Some(name) => module = name,
                None => expected.push((module, without_jumps(line))),
            }
        }
        let mut expected = expected.into_iter();
        let kind = stack.trim_end_matches("-noninteractive");
        let mut state = 0;
        for line in current.lines() {
            state = match state {
                0 if line.starts_with(PRIMARY) => 1,
                1 if line.starts_with(FALLBACK) => 2,
                2 if line.starts_with(ADDITIONAL) => 3,
                3 if line.starts_with(END) => 4,
                1 | 3 => {
                    let line = without_jumps(line.strip_prefix(kind).unwrap_or(line).trim_start());
                    self.match_line(stack, &mut expected, &line)?;
                    state
                }
                other => other,
            };
        }
        (state >= 3).then_some(())
    }

    /// Finds the next expected module line that `line` is, and notes how their options differ.
    fn match_line<'s>(
        &mut self,
        stack: &str,
        expected: &mut impl Iterator<Item = (&'s str, String)>,
        line: &str,
    ) -> Option<()> {
        loop {
            let (module, wanted) = expected.next()?;
            let (head, options) = split_line(&wanted);
            let Some(rest) = line.strip_prefix(head.as_str()) else {
                continue;
            };
            if !rest.is_empty() && !rest.starts_with(char::is_whitespace) {
                continue;
            }
            self.modules.push(module.to_owned());
            let found: BTreeSet<String> = rest.split_whitespace().map(str::to_owned).collect();
            let wanted: BTreeSet<String> = options.into_iter().collect();
            let added = found.difference(&wanted).cloned().collect();
            let removed = wanted.difference(&found).cloned().collect();
            self.options.insert((stack.to_owned(), head), (added, removed));
            return Some(());
        }
    }
}

/// Control and module as one text, then the options: `[success=2 default=ignore] pam_unix.so nullok`.
fn split_line(line: &str) -> (String, Vec<String>) {
    let control = if line.starts_with('[') {
        line.find(']').map_or(line.len(), |end| end + 1)
    } else {
        line.find(char::is_whitespace).unwrap_or(line.len())
    };
    let after = line[control..].trim_start();
    let module = after.find(char::is_whitespace).unwrap_or(after.len());
    let head = line.len() - after.len() + module;
    (
        line[..head].to_owned(),
        line[head..].split_whitespace().map(str::to_owned).collect(),
    )
}

/// The line without the numbers and `end`s that say how many modules a success skips.
fn without_jumps(line: &str) -> String {
    let Some((control, rest)) = line.strip_prefix('[').and_then(|line| line.split_once(']')) else {
        return line.to_owned();
    };
    let control: Vec<&str> = control
        .split(' ')
        .map(|word| {
            word.trim_end_matches(|c: char| c.is_ascii_digit())
                .trim_end_matches("end")
        })
        .collect();
    format!("[{}]{rest}", control.join(" "))
}

/// The enabled profiles that have a part in a block of a stack.
fn block<'p>(enabled: &'p [Profile], stack: &str, kind: &str) -> Vec<&'p Profile> {
    let field = format!("{}-Type", field_name(stack));
    enabled.iter().filter(|profile| profile.get(&field) == kind).collect()
}

fn write_stack(tree: &mut Tree, stack: &str, enabled: &[Profile], changes: Option<&Changes>, force: bool) -> Done<()> {
    let target = format!("{CONFIG}/common-{stack}");
    let factory = format!("{TEMPLATES}/common-{stack}");
    let pristine = tree.read_text(&target).ok().filter(|text| {
        let digest = hex::encode(Md5::digest(outside_of_blocks(text)));
        !UNCHANGED
            .iter()
            .any(|(name, digests)| *name == stack && digests.contains(&digest.as_str()))
    });
    let own = pristine.and_then(|text| render(&text, stack, enabled, changes));
    let text = match own {
        Some(text) => text,
        None => render(&tree.read_text(&factory)?, stack, enabled, changes)
            .ok_or_else(|| Ending::failed(format!("{factory} lacks the marks of its blocks")))?,
    };
    if force && let Ok(old) = tree.read(&target) {
        tree.write(&format!("{target}.pam-old"), old, 0o644)?;
    }
    tree.mkdir_all(CONFIG, 0o755)?;
    if tree.lexists(&target) {
        tree.unlink(&target)?;
    }
    tree.write(&target, text, 0o644)?;
    tree.write(&format!("{STATE}/{stack}"), state(stack, enabled), 0o644)?;
    Ok(())
}

/// A `common-*` file without its blocks, whose digest tells whether a person has changed it.
fn outside_of_blocks(text: &str) -> String {
    let mut out = String::new();
    let mut inside = None;
    for line in text.lines() {
        match inside {
            Some(end) if line.starts_with(end) => inside = None,
            Some(_) => continue,
            None => {}
        }
        out.push_str(line);
        out.push('\n');
        if line.starts_with(PRIMARY) {
            inside = Some(FALLBACK);
        } else if line.starts_with(ADDITIONAL) {
            inside = Some(END);
        }
    }
    out
}

/// Fills in the blocks of a template; `None` if it lacks one of their marks.
fn render(template: &str, stack: &str, enabled: &[Profile], changes: Option<&Changes>) -> Option<String> {
    let mut out = String::new();
    let mut state = 0;
    for line in template.lines() {
        let (skip, end) = match state {
            1 => (true, FALLBACK),
            3 => (true, END),
            _ => (false, ""),
        };
        if skip && !line.starts_with(end) {
            continue;
        }
        out.push_str(line);
        out.push('\n');
        if skip {
            state += 1;
        } else if state == 0 && line.starts_with(PRIMARY) {
            out.push_str(&render_block(stack, enabled, "Primary", changes));
            state = 1;
        } else if state == 2 && line.starts_with(ADDITIONAL) {
            out.push_str(&render_block(stack, enabled, "Additional", changes));
            state = 3;
        }
    }
    (state == 4).then_some(out)
}

fn render_block(stack: &str, enabled: &[Profile], kind: &str, changes: Option<&Changes>) -> String {
    let pam_type = stack.trim_end_matches("-noninteractive");
    let field = field_name(stack);
    let profiles = block(enabled, stack, kind);
    let lines: Vec<&str> = profiles
        .iter()
        .enumerate()
        .flat_map(|(at, profile)| profile.lines(&field, at == 0).lines().filter(|line| !line.is_empty()))
        .collect();
    if lines.is_empty() && kind == "Primary" {
        return format!("{pam_type}\t[default=1]\t\t\tpam_permit.so\n");
    }
    // `end` is how many modules are left to skip: past the block, in the primary one past its fallback too.
    let count = if kind == "Additional" {
        lines.len().saturating_sub(1)
    } else {
        lines.len()
    };
    let merged = lines.iter().enumerate().map(|(at, line)| {
        let left = i64::try_from(count).unwrap_or(i64::MAX) - i64::try_from(at).unwrap_or(i64::MAX);
        format!("{pam_type}\t{}\n", merge(line, stack, left, changes))
    });
    merged.collect()
}

/// A module line with its jump counted and the administrator's options.
fn merge(line: &str, stack: &str, left: i64, changes: Option<&Changes>) -> String {
    let (head, mut options) = split_line(line);
    let key = (stack.to_owned(), without_jumps(&head));
    if let Some((added, removed)) = changes.and_then(|changes| changes.options.get(&key)) {
        options.retain(|option| !removed.contains(option));
        options.extend(
            added
                .iter()
                .filter(|option| !options.contains(option))
                .cloned()
                .collect::<Vec<_>>(),
        );
    }
    format!("{} {}", head.replace("end", &left.to_string()), options.join(" "))
}

/// What `/var/lib/pam/STACK` records: the modules' lines as their profiles have them.
fn state(stack: &str, enabled: &[Profile]) -> String {
    let field = field_name(stack);
    let mut out = String::new();
    let kind = |profile: &Profile| profile.get(&format!("{field}-Type")).to_owned();
    let having: Vec<&Profile> = enabled.iter().filter(|profile| !kind(profile).is_empty()).collect();
    let blocks = ["Additional", "Primary"].map(|other| {
        having
            .iter()
            .filter(move |profile| profile.get(&format!("{}-Type", field_name(stack))) != other)
            .copied()
            .collect::<Vec<&Profile>>()
    });
    for (number, profiles) in blocks.iter().enumerate() {
        if number == 0 && profiles.is_empty() {
            out.push_str("Module: null\n[default=1]\t\t\tpam_permit.so\n");
        }
        for (at, profile) in profiles.iter().enumerate() {
            let lines = profile.lines(&field, at == 0);
            if !lines.is_empty() {
                out.extend(["Module: ", &profile.name, "\n", lines, "\n"]);
            }
        }
    }
    out
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
    use super::*;
    use crate::system::System;
    use proptest::prelude::*;
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

    proptest! {
        #[test]
        fn any_profile_is_read(text in "([A-Za-z-]{0,9}:?[ \t]{0,2}[ -~]{0,30}\n){0,9}") {
            let _ = Profile::parse("p", &text);
        }

        #[test]
        fn any_line_is_split(line in "\\[?[ -~]{0,30}") {
            let (head, _) = split_line(&line);
            prop_assert!(line.starts_with(&head));
            let _ = without_jumps(&line);
        }
    }
}
