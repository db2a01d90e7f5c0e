//! Asking systemd, through `systemctl`: it speaks to the manager's own socket, so it works before the bus does.

use std::process::{Command, Stdio};

use anyhow::{Context, bail};

use crate::render::{Action, Change};

/// Reloads or restarts a unit if it runs; one that does not run yet will read the new files when it starts.
///
/// # Errors
/// systemd refuses: its own words.
pub fn refresh(change: Change) -> anyhow::Result<()> {
    match change.action {
        Action::Reload => systemctl("try-reload-or-restart", change.unit),
        Action::Restart => systemctl("try-restart", change.unit),
    }
}

/// Starts a unit, or restarts it where it runs with an older configuration. A unit whose conditions do not hold is
/// stopped and stays so.
///
/// # Errors
/// systemd refuses: its own words.
pub fn enforce(change: Change) -> anyhow::Result<()> {
    match change.action {
        Action::Reload => systemctl("reload-or-restart", change.unit),
        Action::Restart => systemctl("restart", change.unit),
    }
}

/// Queues a job and does not wait for its end: the unit may itself wait for this program.
fn systemctl(verb: &str, unit: &str) -> anyhow::Result<()> {
    let output = Command::new("systemctl")
        .args(["--no-block", "--no-ask-password", verb, unit])
        .stdin(Stdio::null())
        .output()
        .context("running systemctl")?;
    if !output.status.success() {
        let words = String::from_utf8_lossy(&output.stderr);
        bail!("systemctl {verb} {unit}: {}", words.trim());
    }
    Ok(())
}

/// Names of units that have failed; empty also when systemd does not answer.
pub fn failed_units() -> Vec<String> {
    let output = Command::new("systemctl")
        .args(["list-units", "--state=failed", "--plain", "--no-legend", "--no-pager"])
        .stdin(Stdio::null())
        .output();
    let Ok(output) = output else { return Vec::new() };
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter_map(|line| line.split_ascii_whitespace().next())
        .map(str::to_owned)
        .collect()
}
