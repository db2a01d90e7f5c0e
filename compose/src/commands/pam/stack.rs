//! The `common-*` files: templates with the modules of the enabled profiles in their two blocks.

use md5::{Digest as _, Md5};

use super::changes::{Changes, split_line, without_jumps};
use super::profile::{Profile, field_name};
use super::{ADDITIONAL, CONFIG, END, FALLBACK, PRIMARY, STATE};
use crate::commands::ending::{Done, Ending};
use crate::tree::Tree;

/// Where the templates are.
pub(super) const TEMPLATES: &str = "/usr/share/pam";

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

/// The enabled profiles that have a part in a block of a stack.
fn block<'p>(enabled: &'p [Profile], stack: &str, kind: &str) -> Vec<&'p Profile> {
    let field = format!("{}-Type", field_name(stack));
    enabled.iter().filter(|profile| profile.get(&field) == kind).collect()
}

pub(super) fn write_stack(
    tree: &mut Tree,
    stack: &str,
    enabled: &[Profile],
    changes: Option<&Changes>,
    force: bool,
) -> Done<()> {
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
