//! Asking systemd, through `systemctl`: it speaks to the manager's own socket, so it works before the bus does.

use std::process::{Command, Stdio};

use anyhow::{Context, bail};

use crate::render::{Action, Change};
use crate::root::Root;

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

/// Which start of a unit runs, as systemd tells its journal: the symbolic link that `unit_export_invocation_id` makes
/// (src/core/unit.c).
pub fn invocation(root: &Root, unit: &str) -> Option<String> {
    let link = root.path(&format!("/run/systemd/units/invocation:{unit}"));
    let id = std::fs::read_link(link).ok()?;
    Some(id.to_string_lossy().into_owned())
}

/// systemctl's exit code for a unit that does not exist (`EXIT_NOTINSTALLED` of the LSB, systemctl(1)).
const NOT_LOADED: i32 = 5;

/// Queues a job and does not wait for its end: the unit may itself wait for this program.
fn systemctl(verb: &str, unit: &str) -> anyhow::Result<()> {
    let output = Command::new("systemctl")
        .args(["--no-block", "--no-ask-password", verb, unit])
        .stdin(Stdio::null())
        .output()
        .context("running systemctl")?;
    let words = String::from_utf8_lossy(&output.stderr);
    match output.status.code() {
        Some(0) => Ok(()),
        // An image without that unit: nothing to do, now or later.
        Some(NOT_LOADED) => {
            crate::cli::complain(&anyhow::anyhow!("systemctl {verb} {unit}: {}", words.trim()));
            Ok(())
        }
        _ => bail!("systemctl {verb} {unit}: {}", words.trim()),
    }
}

/// Units that have failed, each with the last it said; empty also when systemd does not answer.
pub fn failed_units() -> Vec<String> {
    let listing = ask(
        "systemctl",
        &["list-units", "--state=failed", "--plain", "--no-legend", "--no-pager"],
    );
    listing
        .lines()
        .filter_map(|line| line.split_ascii_whitespace().next())
        .map(|unit| match last_words(unit) {
            Some(words) => format!("{unit}: {words}"),
            None => unit.to_owned(),
        })
        .collect()
}

/// Why a unit that should run does not: that it is started again and again, and the last it said. `None` for a unit
/// that is fine or merely slow.
pub fn trouble(unit: &str) -> Option<String> {
    let properties = ask(
        "systemctl",
        &["show", "--property=NRestarts,ConditionResult,LoadState", unit],
    );
    let value = |name: &str| {
        properties
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix('='))
    };
    if value("LoadState") == Some("not-found") {
        return Some("this image does not have it".to_owned());
    }
    let restarts: u32 = value("NRestarts")?.parse().ok()?;
    if restarts == 0 {
        return None;
    }
    // Asked last: to look through the journal takes a small board longer than all other questions.
    let words = last_words(unit).map_or_else(String::new, |words| format!(", last it said: {words}"));
    Some(format!("was restarted {restarts} times{words}"))
}

/// The last line of a unit in the journal, cut to a width that fits a console.
fn last_words(unit: &str) -> Option<String> {
    let line = ask(
        "journalctl",
        &["--quiet", "--no-pager", "--lines=1", "--output=cat", "--unit", unit],
    );
    let line: String = line
        .lines()
        .last()?
        .trim()
        .chars()
        .filter(|c| !c.is_control())
        .take(160)
        .collect();
    (!line.is_empty()).then_some(line)
}

/// What a program says; nothing when it cannot be run.
fn ask(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).stdin(Stdio::null()).output();
    output
        .map(|output| String::from_utf8_lossy(&output.stdout).into_owned())
        .unwrap_or_default()
}
