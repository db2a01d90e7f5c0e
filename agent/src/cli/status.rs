//! `status`: how this node is.

use anyhow::Context;
use clap::Args;

use crate::identity::Identity;
use crate::role::Assignment;
use crate::root::Root;
use crate::status::{Status, text};
use crate::{cli, config, status};

/// Show who this node is, what it does and how its services are
///
/// Example: computatom-agent status --json
#[derive(Debug, Args)]
pub(super) struct ShowStatus {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl ShowStatus {
    pub(super) fn run(&self, root: &Root) -> anyhow::Result<()> {
        let site = config::load(root)?;
        let identity = Identity::load(root).unwrap_or_else(|_| Identity::derive(root, &site));
        let assignment = Assignment::decide(&site, &identity)?;
        let status = Status::collect(root, &site, &identity, &assignment, status::image(root).as_deref());
        if self.json {
            let mut json = serde_json::to_string_pretty(&status).context("serializing the status")?;
            json.push('\n');
            return cli::say(&json);
        }
        cli::say(&text::render(&status))
    }
}
