//! `render`: writes the configuration of Consul, Nomad, Prometheus and the rest.

use clap::Args;

use crate::identity::Identity;
use crate::role::Assignment;
use crate::root::Root;
use crate::supervise::systemd;
use crate::{cli, config, render};

/// Write the native configuration of everything this node runs, and say what changed
///
/// Example: computatom-agent render
#[derive(Debug, Args)]
pub(super) struct Render {}

impl Render {
    #[allow(clippy::unused_self, reason = "every subcommand has the same shape")]
    pub(super) fn run(&self, root: &Root) -> anyhow::Result<()> {
        let site = config::load(root)?;
        let identity = Identity::load(root)?;
        let assignment = Assignment::decide(&site, &identity, &config::image_roles(root)?)?;
        if let Err(err) = render::nomad::keep_ids(root, &identity) {
            cli::complain(&err);
        }
        let files = render::render(root, &site, &identity, &assignment);
        for change in render::apply(root, &files)? {
            cli::say(&format!("{}: {}\n", change.unit, change.action))?;
            if root.is_system() {
                systemd::refresh(root, change)?;
            }
            render::applied::confirm(root, &files, change.unit)?;
        }
        // Last and no failure: a clock that shows the wrong zone is no reason to run nothing.
        if let Err(err) = render::timezone::apply(root, &site) {
            cli::complain(&err);
        }
        Ok(())
    }
}
