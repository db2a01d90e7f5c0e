//! Nomad is started again where it started without CNI plugins: it asks them only then (`crate::status::cni`).

use std::time::Instant;

use anyhow::Context;
use computatom_spec::paths;
use computatom_spec::role::Role;

use crate::render::{Action, Change, nomad};
use crate::role::Assignment;
use crate::root::Root;
use crate::status::cni::{self, Answers};
use crate::supervise::daemon::INTERVAL;
use crate::supervise::systemd;
use crate::{atomic, cli};

/// How often Nomad is started again before it has heard of all plugins: tasks go on meanwhile, and still it is no cure for
/// a board that is too slow for it.
const RESTARTS: u8 = 3;
/// At how many looks a plugin may be slow before the others are not kept waiting for it: five minutes.
const PATIENCE: u8 = 20;

/// What is known of the Nomad that runs.
#[derive(Clone, Debug, Default)]
pub struct Plugins {
    /// The start of Nomad of which nothing more is to be found out.
    settled: Option<String>,
    /// Looks at which a plugin was slow.
    slow: u8,
    restarts: u8,
    /// The last look.
    looked: Option<Instant>,
}

/// What follows from a look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    /// This start of Nomad needs nothing more.
    Settled,
    Look,
    Restart,
}

impl Plugins {
    /// Looks at a start of Nomad's until it is settled; its client answers.
    ///
    /// # Errors
    /// systemd refuses to start Nomad again, or the warning cannot be written; the next look tries again.
    pub fn look(&mut self, root: &Root, assignment: &Assignment) -> anyhow::Result<()> {
        if !assignment.has(Role::Client) {
            *self = Self::default();
            return warn(root, &[]);
        }
        let start = systemd::invocation(root, nomad::UNIT);
        if start.is_none() || start == self.settled {
            return Ok(());
        }
        // Also while the node starts: each look costs a small board some processes.
        if self.looked.is_some_and(|looked| looked.elapsed() < INTERVAL) {
            return Ok(());
        }
        self.looked = Some(Instant::now());
        // A node that the servers do not know yet is asked again at the next look.
        let Ok(missing) = cni::missing(root) else {
            return Ok(());
        };
        warn(root, &missing.names())?;
        match self.next(&missing) {
            Next::Look => return Ok(()),
            Next::Settled => {}
            Next::Restart => {
                let change = Change {
                    unit: nomad::UNIT,
                    action: Action::Restart,
                };
                systemd::refresh(root, change)?;
                self.restarts += 1;
                cli::complain(&anyhow::anyhow!(
                    "Nomad started without the CNI plugins {}, which did not answer it in time, and asks only then: starting it again",
                    missing.ready.join(", ")
                ));
            }
        }
        self.slow = 0;
        // Until it has restarted it is still the start that was looked at.
        self.settled = start;
        Ok(())
    }

    fn next(&mut self, missing: &Answers) -> Next {
        if missing.ready.is_empty() && missing.slow.is_empty() {
            self.restarts = 0;
            return Next::Settled;
        }
        if !missing.slow.is_empty() && self.slow < PATIENCE {
            self.slow += 1;
            return Next::Look;
        }
        if missing.ready.is_empty() || self.restarts >= RESTARTS {
            return Next::Settled;
        }
        Next::Restart
    }
}

/// Leaves for `Status` what people must know, or nothing.
fn warn(root: &Root, plugins: &[String]) -> anyhow::Result<()> {
    let path = root.path(paths::WITHOUT_PLUGINS);
    if plugins.is_empty() {
        match std::fs::remove_file(&path) {
            Err(err) if err.kind() != std::io::ErrorKind::NotFound => Err(err),
            _ => Ok(()),
        }
    } else {
        atomic::write_if_changed(&path, &format!("{}\n", plugins.join(", ")), 0o644).map(drop)
    }
    .with_context(|| format!("writing {}", paths::WITHOUT_PLUGINS))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answers(ready: &[&str], slow: &[&str]) -> Answers {
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        Answers {
            ready: owned(ready),
            slow: owned(slow),
        }
    }

    #[test]
    fn a_slow_plugin_is_waited_for_and_keeps_the_others_waiting_only_so_long() {
        let mut plugins = Plugins::default();
        let missing = answers(&["bridge"], &["firewall"]);
        for _ in 0..PATIENCE {
            assert_eq!(plugins.next(&missing), Next::Look);
        }
        assert_eq!(plugins.next(&missing), Next::Restart);
        assert_eq!(plugins.next(&answers(&[], &["firewall"])), Next::Settled);
        assert_eq!(Plugins::default().next(&answers(&["bridge"], &[])), Next::Restart);
    }

    #[test]
    fn nomad_is_not_started_again_for_ever_and_what_worked_counts_no_more() {
        let mut plugins = Plugins {
            restarts: RESTARTS,
            ..Plugins::default()
        };
        let missing = answers(&["bridge"], &[]);
        assert_eq!(plugins.next(&missing), Next::Settled);
        assert_eq!(plugins.next(&answers(&[], &[])), Next::Settled);
        assert_eq!(plugins.next(&missing), Next::Restart);
    }

    #[test]
    fn the_warning_goes_with_its_reason() {
        let folder = tempfile::tempdir().unwrap();
        let root = Root::at(folder.path());
        std::fs::create_dir_all(root.path(paths::RUN)).unwrap();
        warn(&root, &["bridge".to_owned(), "firewall".to_owned()]).unwrap();
        assert_eq!(
            root.read(paths::WITHOUT_PLUGINS).unwrap().unwrap(),
            "bridge, firewall\n"
        );
        warn(&root, &[]).unwrap();
        warn(&root, &[]).unwrap();
        assert_eq!(root.read(paths::WITHOUT_PLUGINS).unwrap(), None);
    }
}
