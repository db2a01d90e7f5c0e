//! `identify`: who this node is; sets the kernel's host name.

use std::time::{Duration, Instant};

use anyhow::Context;
use clap::Args;

use crate::identity::{Identity, lease};
use crate::role::Assignment;
use crate::root::Root;
use crate::{cli, config};

/// Derive name and roles of this node, write them to /run/computatom, and set the host name
///
/// Example: computatom-agent identify --wait 90
#[derive(Debug, Args)]
pub(super) struct Identify {
    /// Seconds to wait for a DHCP lease before going on without one
    #[arg(long, value_name = "SECONDS", default_value_t = 0)]
    wait: u64,
}

impl Identify {
    pub(super) fn run(&self, root: &Root) -> anyhow::Result<()> {
        let site = config::load(root)?;
        let deadline = Instant::now() + Duration::from_secs(self.wait);
        let mut identity = Identity::derive(root, &site);
        // networkd tells nobody but its own bus when a lease arrives, and the bus is not up this early.
        while !settled(root, &identity) && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(250));
            identity = Identity::derive(root, &site);
        }
        let assignment = Assignment::decide(&site, &identity)?;
        identity.store(root)?;
        assignment.store(root)?;
        if root.is_system() {
            rustix::system::sethostname(identity.hostname.as_bytes()).context("setting the host name")?;
        }
        cli::say(&format!(
            "{} ({}): {}\n",
            identity.hostname,
            assignment.names(),
            assignment.reason
        ))
    }
}

/// Whether waiting can bring nothing more: there is an address, and the lease that it comes from.
fn settled(root: &Root, identity: &Identity) -> bool {
    identity
        .address()
        .is_some_and(|address| lease::read(root).iter().any(|lease| lease.address == Some(address)))
}
