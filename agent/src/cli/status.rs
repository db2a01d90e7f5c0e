//! `status`: how this node is.

use std::process::ExitCode;

use anyhow::Context;
use clap::Args;

use crate::config::Settings;
use crate::identity::Identity;
use crate::root::Root;
use crate::status::{Status, text};
use crate::supervise::systemd::Units;
use crate::{cli, status};

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
        let settings = Settings::load(root);
        let identity = Identity::load(root).unwrap_or_else(|_| Identity::derive(root, &settings.site));
        let assignment = settings.assignment(&identity);
        let status = Status::collect(
            root,
            &settings,
            &identity,
            &assignment,
            status::image(root).as_deref(),
            &mut Units::default(),
        );
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
