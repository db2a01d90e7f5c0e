//! Diversions: `/var/lib/dpkg/diversions`, three lines each: the path, where it goes, and for whom it stays.

use crate::tree::{Result, Tree};

/// Where dpkg keeps them.
pub const PATH: &str = "/var/lib/dpkg/diversions";

/// One diversion: every package but `package` has its `from` unpacked as `to`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diversion {
    /// The path as packages ship it.
    pub from: String,
    /// Where it goes.
    pub to: String,
    /// The package whose own file stays at `from`; `:` for a local diversion, which moves everybody's.
    pub package: String,
}

/// All diversions, in the order of the file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Diversions(pub Vec<Diversion>);

impl Diversions {
    /// Reads them from the tree; none if there is no file.
    pub fn load(tree: &Tree) -> Result<Self> {
        if tree.exists(PATH) {
            Ok(Self::parse(&tree.read_text(PATH)?))
        } else {
            Ok(Self::default())
        }
    }

    /// Reads the text of the file; an incomplete last entry is dropped.
    pub fn parse(text: &str) -> Self {
        let lines: Vec<&str> = text.lines().collect();
        let entries = lines.chunks_exact(3).map(|entry| Diversion {
            from: entry[0].to_owned(),
            to: entry[1].to_owned(),
            package: entry[2].to_owned(),
        });
        Self(entries.collect())
    }

    /// Writes them to the tree.
    pub fn store(&self, tree: &mut Tree) -> Result<()> {
        let lines = self
            .0
            .iter()
            .flat_map(|Diversion { from, to, package }| [from, "\n", to, "\n", package, "\n"]);
        let text: String = lines.collect();
        tree.mkdir_all("/var/lib/dpkg", 0o755)?;
        tree.write(PATH, text, 0o644)?;
        Ok(())
    }

    /// The diversion of `path`.
    pub fn of(&self, path: &str) -> Option<&Diversion> {
        self.0.iter().find(|diversion| diversion.from == path)
    }

    /// Where `package`'s file `path` is unpacked.
    pub fn destination<'a>(&'a self, path: &'a str, package: &str) -> &'a str {
        match self.of(path) {
            Some(diversion) if diversion.package != package => &diversion.to,
            _ => path,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn everyone_but_the_diverting_package_is_diverted() {
        let diversions = Diversions::parse("/bin/sh\n/bin/sh.distrib\ndash\n/a\n/b\n:\nrest\n");
        assert_eq!(diversions.0.len(), 2);
        assert_eq!(diversions.destination("/bin/sh", "dash"), "/bin/sh");
        assert_eq!(diversions.destination("/bin/sh", "bash"), "/bin/sh.distrib");
        assert_eq!(diversions.destination("/a", ":"), "/a");
        assert_eq!(diversions.destination("/a", "dash"), "/b");
        assert_eq!(diversions.destination("/c", "dash"), "/c");
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(entries in prop::collection::vec(("/[a-z]{1,9}", "/[a-z]{1,9}", "[a-z:]{1,9}"), 0..9)) {
            let diversions = Diversions(
                entries.into_iter().map(|(from, to, package)| Diversion { from, to, package }).collect(),
            );
            let mut tree = Tree::new(0);
            diversions.store(&mut tree).unwrap();
            prop_assert_eq!(Diversions::load(&tree).unwrap(), diversions);
        }
    }
}
