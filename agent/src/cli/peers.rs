//! `peers`: whom to join.

use anyhow::bail;
use clap::Args;

use crate::identity::Identity;
use crate::role::Assignment;
use crate::root::Root;
use crate::{cli, config, peers};

/// Print the addresses of the cluster's servers, for Nomad's `retry_join = ["exec=…"]`
///
/// Example: computatom-agent peers
#[derive(Debug, Args)]
pub(super) struct Peers {}

impl Peers {
    #[allow(clippy::unused_self, reason = "every subcommand has the same shape")]
    pub(super) fn run(&self, root: &Root) -> anyhow::Result<()> {
        let site = config::load(root)?;
        let identity = Identity::load(root)?;
        let assignment = Assignment::decide(&site, &identity, &config::image_roles(root)?)?;
        let found = peers::find(&site, &identity, &assignment);
        if found.is_empty() {
            bail!(
                "no address of a server is known: neither `server_addresses`, DNS, mDNS nor Consul know {}",
                site.servers.join(", ")
            );
        }
        let addresses: Vec<String> = found.iter().map(ToString::to_string).collect();
        cli::say(&format!("{}\n", addresses.join(" ")))
    }
}
