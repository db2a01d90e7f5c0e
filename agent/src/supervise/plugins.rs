//! Nomad is started again where it started without CNI plugins: it asks them only then (`crate::status::cni`).

use computatom_spec::role::Role;

use crate::cli;
use crate::render::{Action, Change, nomad};
use crate::role::Assignment;
use crate::root::Root;
use crate::status::cni;
use crate::supervise::systemd;

/// How often, in one run of the agent: a plugin that answers nobody is no reason to go on for ever.
const RESTARTS: u8 = 3;

/// What is known of the Nomad that runs.
#[derive(Clone, Debug, Default)]
pub struct Plugins {
    /// The start of Nomad that was looked at and needs nothing more.
    settled: Option<String>,
    restarts: u8,
    /// Which plugins Nomad does without, when it was started again in vain.
    lacking: Vec<String>,
}

impl Plugins {
    /// Looks at each start of Nomad's once; its client answers.
    pub fn look(&mut self, root: &Root, assignment: &Assignment) {
        let start = systemd::invocation(root, nomad::UNIT);
        if !assignment.has(Role::Client) || start.is_none() || start == self.settled {
            return;
        }
        // A node that the servers do not know yet is asked again at the next look.
        let Ok(missing) = cni::missing(root) else { return };
        if !missing.is_empty() && self.restarts < RESTARTS {
            self.restarts += 1;
            cli::complain(&anyhow::anyhow!(
                "Nomad started without the CNI plugins {}, which did not answer it in time, and asks only then: starting it again",
                missing.join(", ")
            ));
            let change = Change {
                unit: nomad::UNIT,
                action: Action::Restart,
            };
            if let Err(err) = systemd::refresh(change) {
                cli::complain(&err);
                return;
            }
            // Until it has restarted it is still the start that was looked at.
            self.lacking = Vec::new();
        } else {
            self.lacking = missing;
        }
        self.settled = start;
    }

    /// What people must know.
    pub fn warning(&self) -> Option<String> {
        (!self.lacking.is_empty()).then(|| {
            format!(
                "Nomad was started {RESTARTS} times more and still has no answer of the CNI plugins {}: jobs that need them are \
                 not placed on this node",
                self.lacking.join(", ")
            )
        })
    }
}
