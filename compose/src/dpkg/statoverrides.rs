//! Stat overrides: `/var/lib/dpkg/statoverride`, a line each: user, group, mode in octal, path.

use crate::accounts;
use crate::tree::{Result, Tree};

/// Where dpkg keeps them.
pub const PATH: &str = "/var/lib/dpkg/statoverride";

/// The owner and mode one path gets whatever its package says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatOverride {
    /// User by name, or by number as `#123`.
    pub user: String,
    /// Group by name, or by number as `#123`.
    pub group: String,
    /// Permission bits.
    pub mode: u32,
    /// The path as packages ship it.
    pub path: String,
}

impl StatOverride {
    /// The numeric owner in `tree`; `None` if a name is unknown there.
    pub fn owner(&self, tree: &Tree) -> Option<(u32, u32)> {
        let number = |text: &str| text.strip_prefix('#').and_then(|digits| digits.parse().ok());
        let uid = number(&self.user).or_else(|| accounts::uid(tree, &self.user))?;
        let gid = number(&self.group).or_else(|| accounts::gid(tree, &self.group))?;
        Some((uid, gid))
    }
}

/// All overrides, in the order of the file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StatOverrides(pub Vec<StatOverride>);

impl StatOverrides {
    /// Reads them from the tree; none if there is no file.
    pub fn load(tree: &Tree) -> Result<Self> {
        if tree.exists(PATH) {
            Ok(Self::parse(&tree.read_text(PATH)?))
        } else {
            Ok(Self::default())
        }
    }

    /// Reads the text of the file; lines that are no override are dropped.
    pub fn parse(text: &str) -> Self {
        let entries = text.lines().filter_map(|line| {
            let mut fields = line.splitn(4, ' ');
            Some(StatOverride {
                user: fields.next()?.to_owned(),
                group: fields.next()?.to_owned(),
                mode: u32::from_str_radix(fields.next()?, 8).ok()?,
                path: fields.next()?.to_owned(),
            })
        });
        Self(entries.collect())
    }

    /// Writes them to the tree.
    pub fn store(&self, tree: &mut Tree) -> Result<()> {
        let text: String = self.0.iter().map(|entry| entry.to_string() + "\n").collect();
        tree.mkdir_all("/var/lib/dpkg", 0o755)?;
        tree.write(PATH, text, 0o644)?;
        Ok(())
    }

    /// The override of `path`.
    pub fn of(&self, path: &str) -> Option<&StatOverride> {
        self.0.iter().find(|entry| entry.path == path)
    }
}

impl std::fmt::Display for StatOverride {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {} {:o} {}", self.user, self.group, self.mode, self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_and_written_as_dpkg_does() {
        let text = "root messagebus 4754 /usr/lib/dbus-1.0/dbus-daemon-launch-helper\n#12 #13 640 /a b\n";
        let overrides = StatOverrides::parse(text);
        let mut tree = Tree::new(0);
        overrides.store(&mut tree).unwrap();
        assert_eq!(tree.read_text(PATH).unwrap(), text);
        assert_eq!(overrides.of("/a b").unwrap().owner(&tree), Some((12, 13)));
        assert_eq!(overrides.0[0].owner(&tree), None, "there is no messagebus yet");
    }
}
