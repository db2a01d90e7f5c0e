//! Triggers (`/usr/share/doc/dpkg/spec/triggers.txt`): who waits for what, and what was set off.

use std::collections::{BTreeMap, HashSet};
use std::fmt::Write as _;

use anyhow::Result;

use crate::deb::Control;
use crate::tree::Tree;

const DIR: &str = "/var/lib/dpkg/triggers";

#[derive(Debug)]
struct Interest {
    package: String,
    /// As dpkg writes it: with the architecture where several may be installed.
    qualified: String,
    awaits: bool,
}

/// Interests of the unpacked packages and triggers that are pending.
#[derive(Debug, Default)]
pub struct Triggers {
    /// Explicit trigger to the packages interested in it.
    named: BTreeMap<String, Vec<Interest>>,
    /// Path to the packages interested in it, in the order they came.
    paths: Vec<(String, Interest)>,
    /// Interested packages in the order they were first set off, with the triggers that did, the latest first.
    pending: Vec<(String, Vec<String>)>,
    /// Packages that are configured, for only these are set off: the others act when they are configured.
    ready: HashSet<String>,
}

impl Triggers {
    /// Takes note of a package's interests when it is unpacked.
    pub fn add_interests(&mut self, control: &Control) -> Result<()> {
        for trigger in control.triggers()? {
            if !trigger.interest {
                continue;
            }
            let interest = Interest {
                package: control.name.clone(),
                qualified: if control.multi_arch_same {
                    format!("{}:{}", control.name, control.architecture)
                } else {
                    control.name.clone()
                },
                awaits: trigger.awaits,
            };
            if trigger.name.starts_with('/') {
                self.paths.push((trigger.name, interest));
            } else {
                self.named.entry(trigger.name).or_default().push(interest);
            }
        }
        Ok(())
    }

    /// From now on the package can be set off.
    pub fn set_ready(&mut self, package: &str) {
        self.ready.insert(package.to_owned());
    }

    /// Sets off what the package's own `activate` lines name: whenever it is unpacked or configured.
    pub fn activate_own(&mut self, control: &Control) -> Result<()> {
        for trigger in control.triggers()? {
            if !trigger.interest {
                self.activate(&trigger.name);
            }
        }
        Ok(())
    }

    /// Sets off an explicit trigger, or a file trigger by its very path.
    pub fn activate(&mut self, name: &str) {
        let packages: Vec<String> = if name.starts_with('/') {
            let interested = self.paths.iter().filter(|(path, _)| path == name);
            interested.map(|(_, interest)| interest.package.clone()).collect()
        } else {
            let interested = self.named.get(name).into_iter().flatten();
            interested.map(|interest| interest.package.clone()).collect()
        };
        for package in packages {
            self.note(&package, name);
        }
    }

    /// Sets off the file triggers on a path or on a directory above it.
    pub fn touch(&mut self, path: &str) {
        let below = |dir: &str| {
            path.strip_prefix(dir)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        let hit: Vec<(String, String)> = self
            .paths
            .iter()
            .filter(|(dir, _)| below(dir))
            .map(|(dir, interest)| (interest.package.clone(), dir.clone()))
            .collect();
        for (package, trigger) in hit {
            self.note(&package, &trigger);
        }
    }

    fn note(&mut self, package: &str, trigger: &str) {
        if !self.ready.contains(package) {
            return;
        }
        let at = self.pending.iter().position(|(name, _)| name == package);
        let at = at.unwrap_or_else(|| {
            self.pending.push((package.to_owned(), Vec::new()));
            self.pending.len() - 1
        });
        let triggers = &mut self.pending[at].1;
        if !triggers.iter().any(|known| known == trigger) {
            // dpkg's `trig_note_pend_core` puts each in front.
            triggers.insert(0, trigger.to_owned());
        }
    }

    /// The next package with pending triggers, and these.
    pub fn take_next(&mut self) -> Option<(String, Vec<String>)> {
        (!self.pending.is_empty()).then(|| self.pending.remove(0))
    }

    /// Writes `triggers/File` and a file for each explicit trigger.
    pub fn store(&self, tree: &mut Tree) -> Result<()> {
        let line = |text: &mut String, interest: &Interest| {
            text.push_str(&interest.qualified);
            text.push_str(if interest.awaits { "\n" } else { "/noawait\n" });
        };
        let mut text = String::new();
        for (path, interest) in &self.paths {
            let _ = write!(text, "{path} ");
            line(&mut text, interest);
        }
        tree.write(&format!("{DIR}/File"), text, 0o644)?;
        for (name, interests) in &self.named {
            let mut text = String::new();
            for interest in interests {
                line(&mut text, interest);
            }
            tree.write(&format!("{DIR}/{name}"), text, 0o644)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deb::tests::package;

    #[test]
    fn only_configured_packages_are_set_off_and_the_latest_trigger_comes_first() {
        let waits = package(
            "waits",
            "",
            &[("./triggers", "interest-noawait /usr/lib/x\ninterest y\n")],
            &[],
        );
        let mut triggers = Triggers::default();
        triggers.add_interests(&waits.control).unwrap();
        triggers.activate("y");
        assert_eq!(triggers.take_next(), None);
        triggers.set_ready("waits");
        triggers.activate("y");
        triggers.touch("/usr/lib/xyz");
        triggers.touch("/usr/lib/x/a");
        triggers.touch("/usr/lib/x");
        assert_eq!(
            triggers.take_next(),
            Some(("waits".to_owned(), vec!["/usr/lib/x".to_owned(), "y".to_owned()]))
        );
        assert_eq!(triggers.take_next(), None);
        let mut tree = Tree::new(0);
        tree.mkdir_all(DIR, 0o755).unwrap();
        triggers.store(&mut tree).unwrap();
        assert_eq!(
            tree.read_text("/var/lib/dpkg/triggers/File").unwrap(),
            "/usr/lib/x waits/noawait\n"
        );
        assert_eq!(tree.read_text("/var/lib/dpkg/triggers/y").unwrap(), "waits\n");
    }

    #[test]
    fn who_may_be_there_for_several_architectures_is_named_with_its_own() {
        let control = "Multi-Arch: same\n";
        let several = package("several", control, &[("./triggers", "interest-noawait /x\n")], &[]);
        let mut triggers = Triggers::default();
        triggers.add_interests(&several.control).unwrap();
        let mut tree = Tree::new(0);
        tree.mkdir_all(DIR, 0o755).unwrap();
        triggers.store(&mut tree).unwrap();
        let line = format!("/x several:{}/noawait\n", several.control.architecture);
        assert_eq!(tree.read_text("/var/lib/dpkg/triggers/File").unwrap(), line);
    }
}
