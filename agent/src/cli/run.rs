//! `run`: the daemon.

use anyhow::Context;
use clap::Args;

use crate::config::Settings;
use crate::root::Root;
use crate::supervise::daemon;

/// Watch this node: page, metrics and consoles, and act when its name, address or roles change
///
/// Example: computatom-agent run
#[derive(Debug, Args)]
pub(super) struct Run {}

impl Run {
    #[allow(clippy::unused_self, reason = "every subcommand has the same shape")]
    pub(super) fn run(&self, root: &Root) -> anyhow::Result<()> {
        // One thread: there is little to do, and each costs memory on a board that has little.
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .max_blocking_threads(4)
            .build()
            .context("starting")?;
        let ended = runtime.block_on(daemon::run(root.clone(), Settings::load(root)));
        // A look that is under way may wait for others; whoever stops this program does not.
        runtime.shutdown_background();
        ended
    }
}
