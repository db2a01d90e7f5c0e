//! `slot`: which system starts, the trial of another, and its commit.

use std::fmt::Write as _;
use std::process::{Command, ExitCode};

use anyhow::{Context, bail, ensure};
use clap::{Args, Subcommand};

use crate::cli;
use crate::root::Root;
use crate::slots::node::{Node, Report, Stage};
use crate::status::Status;

/// Show the two slots, try the other one for one boot, or make the running one the one that starts
///
/// A slot is a system of its own: kernel, boot files and verified root. A trial lasts one boot, whatever happens in it: only
/// `commit` makes it the one that starts. docs/boot.md shows the states and what is on the disk.
///
/// Examples:
///   computatom-agent slot status --json
///   computatom-agent slot try --reboot
///   computatom-agent slot commit
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(super) struct SlotCommand {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Show which slot runs, which one starts, and what is on trial
    ///
    /// Example: computatom-agent slot status --verify
    Status {
        /// Print JSON
        #[arg(long)]
        json: bool,
        /// Read the whole of the other slot, and say whether it could be started
        #[arg(long)]
        verify: bool,
    },
    /// Verify the other slot and arm one boot of it
    ///
    /// Example: computatom-agent slot try --version 0.2.0 --reboot
    Try {
        /// What the other slot's image calls itself, for `status`
        #[arg(long, value_name = "VERSION", default_value = "", hide_default_value = true)]
        version: String,
        /// Restart at once
        #[arg(long)]
        reboot: bool,
    },
    /// Make the running slot the one that starts, once the node is ready
    ///
    /// Example: computatom-agent slot commit
    Commit {
        /// Also when the node is not ready
        #[arg(long)]
        force: bool,
    },
    /// Note that this boot went well: a slot that does so starts counting its failures anew (computatom-well.timer)
    ///
    /// Example: computatom-agent slot well
    #[command(hide = true)]
    Well,
}

impl SlotCommand {
    pub(super) fn run(&self, root: &Root) -> anyhow::Result<ExitCode> {
        let mut node = Node::open(root).context("looking for the slots")?;
        match &self.action {
            Action::Status { json, verify } => {
                let report = node.report(*verify)?;
                let text = if *json {
                    serde_json::to_string_pretty(&report).context("serializing the slots")? + "\n"
                } else {
                    render(&report)
                };
                cli::say(&text)?;
            }
            Action::Try { version, reboot } => {
                let slot = node.try_other(version)?;
                cli::say(&format!("slot {slot} is started by the next restart, for one boot\n"))?;
                if *reboot {
                    restart(root)?;
                }
            }
            Action::Well => node.well()?,
            Action::Commit { force } => {
                if !force {
                    ready(root)?;
                }
                let (slot, changed) = node.commit()?;
                let what = if changed {
                    "starts from now on"
                } else {
                    "was committed already"
                };
                cli::say(&format!("slot {slot} {what}\n"))?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// The gate of a commit: what `status` calls ready.
fn ready(root: &Root) -> anyhow::Result<()> {
    let status = Status::now(root);
    if !status.is_ready() {
        let waits = status.waits_for.join("; ");
        bail!("the node is not ready ({waits}): wait, restart to go back to the other slot, or `slot commit --force`");
    }
    Ok(())
}

fn restart(root: &Root) -> anyhow::Result<()> {
    ensure!(
        root.is_system(),
        "`--reboot` is for the running system, not for another tree"
    );
    let status = Command::new("systemctl")
        .arg("reboot")
        .status()
        .context("running systemctl reboot")?;
    ensure!(status.success(), "systemctl reboot ended with {status}");
    Ok(())
}

fn render(report: &Report) -> String {
    let mut text = format!("running    slot {}\n", report.running);
    let mut line = |name: &str, value: &str| {
        writeln!(text, "{name:<10} {value}").expect("a string takes any text");
    };
    match &report.committed {
        Some(slot) => line("starts", &format!("slot {slot}")),
        None => line("starts", "the menu names no slot; the next boot mends it"),
    }
    for (slot, failed) in ["a", "b"].iter().zip(report.failed) {
        if failed > 0 {
            line(
                "failed",
                &format!(
                    "slot {slot}, {failed} {} in a row (this one counts until it went well)",
                    if failed == 1 { "boot" } else { "boots" }
                ),
            );
        }
    }
    if let Some(trial) = &report.pending {
        let stage = match trial.state {
            Stage::Armed => "starts with the next restart, if the power did not fail since",
            Stage::Running => "runs now; `slot commit` keeps it",
            Stage::Failed => "was tried, and ended in a restart",
        };
        line(
            "trial",
            &format!("slot {} {} {stage}", trial.slot, trial.version).replace("  ", " "),
        );
    }
    match &report.other {
        None => {}
        Some(None) => line("other", "verifies"),
        Some(Some(reason)) => line("other", &format!("cannot be started: {reason}")),
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::slots::node::Trial;

    #[test]
    fn what_people_read() {
        let report = Report {
            running: "a".to_owned(),
            committed: Some("a".to_owned()),
            failed: [1, 0],
            pending: Some(Trial {
                slot: "b".to_owned(),
                version: "0.2.0".to_owned(),
                root_hash: String::new(),
                state: Stage::Failed,
            }),
            other: Some(Some("it has rotted".to_owned())),
        };
        let thrice = Report {
            failed: [3, 0],
            ..report.clone()
        };
        assert!(render(&thrice).contains("slot a, 3 boots in a row"));
        assert_eq!(
            render(&report),
            "running    slot a\nstarts     slot a\nfailed     slot a, 1 boot in a row (this one counts until it went well)\n\
             trial      slot b 0.2.0 was tried, and ended in a restart\nother      cannot be started: it has rotted\n"
        );
    }
}
