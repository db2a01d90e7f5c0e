//! Users and groups as the tree's own `/etc/passwd` and `/etc/group` know them.

use crate::tree::Tree;

/// The fields of a line of `passwd(5)` or `group(5)` whose first or third field is `who`.
pub(crate) fn entry(tree: &Tree, file: &str, who: &str) -> Option<Vec<String>> {
    let text = tree.read_text(file).ok()?;
    let fields = |line: &str| line.split(':').map(str::to_owned).collect::<Vec<_>>();
    let by = |column: usize| text.lines().find(|line| line.split(':').nth(column) == Some(who));
    let numeric = who.bytes().all(|byte| byte.is_ascii_digit());
    by(0).or_else(|| by(2).filter(|_| numeric)).map(fields)
}

/// The uid of a user given by name or number.
pub(crate) fn uid(tree: &Tree, who: &str) -> Option<u32> {
    number(tree, "/etc/passwd", who)
}

/// The gid of a group given by name or number.
pub(crate) fn gid(tree: &Tree, who: &str) -> Option<u32> {
    number(tree, "/etc/group", who)
}

fn number(tree: &Tree, file: &str, who: &str) -> Option<u32> {
    // A name wins over a number (POSIX chown), and a number needs no entry.
    match entry(tree, file, who).filter(|fields| fields[0] == who) {
        Some(fields) => fields.get(2)?.parse().ok(),
        None => who.parse().ok(),
    }
}

/// The name of user `uid`, if it has one.
pub(crate) fn user_name(tree: &Tree, uid: u32) -> Option<String> {
    name(tree, "/etc/passwd", uid)
}

/// The name of group `gid`, if it has one.
pub(crate) fn group_name(tree: &Tree, gid: u32) -> Option<String> {
    name(tree, "/etc/group", gid)
}

fn name(tree: &Tree, file: &str, id: u32) -> Option<String> {
    let text = tree.read_text(file).ok()?;
    let line = text
        .lines()
        .find(|line| line.split(':').nth(2) == Some(&id.to_string()))?;
    line.split(':').next().map(str::to_owned)
}
