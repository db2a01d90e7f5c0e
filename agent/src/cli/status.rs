//! `status`: how this node is.

use std::process::ExitCode;

use anyhow::Context;
use clap::Args;

use crate::cli;
use crate::root::Root;
use crate::status::{Status, text};

/// The exit code of a node that is not ready, as `systemctl status` has it for a unit that is not active.
const NOT_READY: u8 = 3;

/// Show who this node is, what it does and how its services are; exits with 3 while it is not ready
///
/// Example: computatom-agent status --json
#[derive(Debug, Args)]
pub(super) struct ShowStatus {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl ShowStatus {
    pub(super) fn run(&self, root: &Root) -> anyhow::Result<ExitCode> {
        let status = Status::now(root);
        if self.json {
            let mut json = serde_json::to_string_pretty(&status).context("serializing the status")?;
            json.push('\n');
            cli::say(&json)?;
        } else {
            cli::say(&text::render(&status))?;
        }
        Ok(if status.is_ready() {
            ExitCode::SUCCESS
        } else {
            ExitCode::from(NOT_READY)
        })
    }
}
