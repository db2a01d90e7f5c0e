//! The link groups of update-alternatives(1): a generic name, its links, and what they can stand for.
//!
//! Format of `/var/lib/dpkg/alternatives/NAME`: mode, master link, slaves as name and link, an empty line; then each
//! choice as path, priority and a line per slave; an empty line ends the file.

use std::collections::BTreeMap;

use crate::tree::{Result, Tree};

/// Where the groups are kept.
pub const ADMIN_DIR: &str = "/var/lib/dpkg/alternatives";

/// Where the links point.
pub const ALT_DIR: &str = "/etc/alternatives";

/// A link group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Group {
    /// Whether the administrator chose (`manual`); otherwise the highest priority wins (`auto`).
    pub manual: bool,
    /// The master link (`/usr/bin/awk`).
    pub link: String,
    /// Slave links by slave name.
    pub slaves: BTreeMap<String, String>,
    /// What the name can stand for, by path.
    pub choices: BTreeMap<String, Choice>,
}

/// One of the things a name can stand for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Choice {
    /// The higher, the better.
    pub priority: i64,
    /// What the slave links point to, by slave name.
    pub slaves: BTreeMap<String, String>,
}

impl Group {
    /// Reads the group `name`; `None` if there is none.
    pub fn load(tree: &Tree, name: &str) -> Result<Option<Self>> {
        let path = format!("{ADMIN_DIR}/{name}");
        if !tree.exists(&path) {
            return Ok(None);
        }
        Ok(Self::parse(&tree.read_text(&path)?))
    }

    /// Reads the text of a group's file; `None` if it is broken.
    pub fn parse(text: &str) -> Option<Self> {
        let mut lines = text.lines();
        let manual = match lines.next()? {
            "auto" => false,
            "manual" => true,
            _ => return None,
        };
        let mut group = Self {
            manual,
            link: lines.next()?.to_owned(),
            ..Self::default()
        };
        loop {
            match lines.next()? {
                "" => break,
                name => group.slaves.insert(name.to_owned(), lines.next()?.to_owned()),
            };
        }
        loop {
            match lines.next()? {
                "" => return Some(group),
                path => {
                    let mut choice = Choice {
                        priority: lines.next()?.parse().ok()?,
                        ..Choice::default()
                    };
                    for slave in group.slaves.keys() {
                        match lines.next()? {
                            "" => {}
                            file => {
                                choice.slaves.insert(slave.clone(), file.to_owned());
                            }
                        }
                    }
                    group.choices.insert(path.to_owned(), choice);
                }
            }
        }
    }

    /// The text of the group's file.
    pub fn render(&self) -> String {
        let mode = if self.manual { "manual" } else { "auto" };
        let mut lines = vec![mode, &self.link];
        lines.extend(self.slaves.iter().flat_map(|(name, link)| [name.as_str(), link]));
        lines.push("");
        let priorities: Vec<String> = self
            .choices
            .values()
            .map(|choice| choice.priority.to_string())
            .collect();
        for ((path, choice), priority) in self.choices.iter().zip(&priorities) {
            lines.extend([path.as_str(), priority]);
            lines.extend(
                self.slaves
                    .keys()
                    .map(|name| choice.slaves.get(name).map_or("", String::as_str)),
            );
        }
        lines.extend(["", ""]);
        lines.join("\n")
    }

    /// Writes the group `name`.
    pub fn store(&self, tree: &mut Tree, name: &str) -> Result<()> {
        tree.mkdir_all(ADMIN_DIR, 0o755)?;
        tree.write(&format!("{ADMIN_DIR}/{name}"), self.render(), 0o644)?;
        Ok(())
    }

    /// What the group stands for now.
    pub fn current(tree: &Tree, name: &str) -> Option<String> {
        tree.read_link(&format!("{ALT_DIR}/{name}")).ok()
    }

    /// The choice of the highest priority; among equals `current`, else the first.
    pub fn best(&self, current: Option<&str>) -> Option<&str> {
        let start = current
            .and_then(|path| self.choices.get_key_value(path))
            .or(self.choices.iter().next());
        let mut best = start?.0.as_str();
        for (path, choice) in &self.choices {
            if choice.priority > self.choices[best].priority {
                best = path;
            }
        }
        Some(best)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_real_file_is_read_and_written_back() {
        let text = "auto\n/usr/sbin/rmt\nrmt.8.gz\n/usr/share/man/man8/rmt.8.gz\n\n/usr/sbin/rmt-tar\n50\n\
            /usr/share/man/man8/rmt-tar.8.gz\n/usr/sbin/rmt-x\n40\n\n\n";
        let group = Group::parse(text).unwrap();
        assert_eq!(group.render(), text);
        assert_eq!(group.best(None), Some("/usr/sbin/rmt-tar"));
        assert!(group.choices["/usr/sbin/rmt-x"].slaves.is_empty());
        assert_eq!(Group::parse("auto\n/x\n"), None);
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "(auto|manual)\n([/a-z0-9]{0,3}\n){0,12}") {
            if let Some(group) = Group::parse(&text) {
                prop_assert_eq!(Group::parse(&group.render()), Some(group));
            }
        }
    }
}
