//! `identify`: who this node is; sets the kernel's host name.

use std::time::Duration;

use anyhow::Context;
use clap::Args;

use crate::cli::{self, render::Render};
use crate::config::{self, Settings};
use crate::identity::{Identity, Outlook};
use crate::root::Root;

/// Derive name and roles of this node, write them to /run/computatom, and set the host name
///
/// Example: computatom-agent identify --wait 120 --render
#[derive(Debug, Args)]
pub(super) struct Identify {
    /// Seconds to wait for a DHCP lease before going on without one
    #[arg(long, value_name = "SECONDS", default_value_t = 0)]
    wait: u64,
    /// Go on as `render` does: another process is half a second of a small board that starts
    #[arg(long)]
    render: bool,
}

impl Identify {
    pub(super) fn run(&self, root: &Root) -> anyhow::Result<()> {
        config::adopt(root)?;
        let settings = Settings::load(root);
        let site = &settings.site;
        let deadline = cli::deadline(self.wait);
        let (mut identity, mut outlook) = Identity::look(root, site);
        let mut before = Outlook::Open;
        // networkd tells nobody but its own bus when a lease arrives, and the bus is not up this early.
        while !outlook.is_settled(before) && !cli::is_over(deadline) {
            std::thread::sleep(Duration::from_millis(250));
            before = outlook;
            (identity, outlook) = Identity::look(root, site);
        }
        let assignment = settings.assignment(&identity);
        identity.store(root)?;
        assignment.store(root)?;
        // In a container it is its engine's to set, and may be so already.
        if root.is_system() && rustix::system::uname().nodename().to_bytes() != identity.hostname.as_bytes() {
            rustix::system::sethostname(identity.hostname.as_bytes()).context("setting the host name")?;
        }
        cli::say(&format!(
            "{} ({}): {}\n",
            identity.hostname,
            assignment.names(),
            assignment.reason
        ))?;
        // The node has its name; that nothing follows from it is for systemd to know.
        settings.usable()?;
        if self.render { Render {}.run(root) } else { Ok(()) }
    }
}
