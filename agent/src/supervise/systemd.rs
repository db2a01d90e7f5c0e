//! Asking systemd, through `systemctl`: it speaks to the manager's own socket, so it works before the bus does.

use std::collections::BTreeMap;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

use crate::render::{Action, Change};
use crate::root::Root;

/// Reloads or restarts a unit if it runs; one that does not run yet will read the new files when it starts.
///
/// # Errors
/// systemd refuses: its own words.
pub fn refresh(root: &Root, change: Change) -> anyhow::Result<()> {
    // At boot none runs yet, and to hear that of systemctl six times takes a small board seconds.
    if invocation(root, change.unit).is_none() {
        return Ok(());
    }
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

/// Which start of a unit runs, as systemd tells its journal: the symbolic link that `unit_export_invocation_id` makes, and that
/// goes when the unit is no longer active (src/core/unit.c).
pub fn invocation(root: &Root, unit: &str) -> Option<String> {
    let link = root.path(&format!("/run/systemd/units/invocation:{unit}"));
    let id = std::fs::read_link(link).ok()?;
    Some(id.to_string_lossy().into_owned())
}

/// Where units lie in an image: packages' and the definition's own (systemd.unit(5)).
const UNITS: [&str; 2] = ["/usr/lib/systemd/system", "/etc/systemd/system"];

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

/// Units that have failed, each with the last it said; `None` when systemd does not answer.
fn failed_units() -> Option<Vec<String>> {
    let arguments = ["list-units", "--state=failed", "--plain", "--no-legend", "--no-pager"];
    let output = run("systemctl", &arguments).filter(|output| output.status.success())?;
    let units = String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter_map(|line| line.split_ascii_whitespace().next())
        .map(|unit| match last_words(unit) {
            Some(words) => format!("{unit}: {words}"),
            None => unit.to_owned(),
        })
        .collect();
    Some(units)
}

/// What systemd said of units whose services do not answer: it is asked again when one has started anew, for each question takes a
/// small board that is starting half a second.
#[derive(Clone, Debug, Default)]
pub struct Units {
    /// The start that was asked about and is the unit's first, by unit; none while there were others.
    calm: BTreeMap<&'static str, Option<String>>,
    /// Nobody has looked before, and somebody will look again.
    first_look: bool,
    /// Units that had failed, and when systemd said so.
    failed: Option<(Instant, Vec<String>)>,
    /// What systemd said of a unit that was asked about, and when.
    trouble: BTreeMap<&'static str, (Instant, Option<String>)>,
}

/// How long that holds.
const HOLDS: Duration = Duration::from_secs(10);

impl Units {
    /// For who looks again and again: when the node was just powered on, its services are starting at the first look, and what is
    /// wrong with a unit shows at the second.
    pub fn for_looks(starting: bool) -> Self {
        Self {
            first_look: starting,
            ..Self::default()
        }
    }

    /// Units that have failed, each with the last it said, and the end of a look: after the units of services. With all of
    /// those `well`, the node is ready if there are none, so systemd is asked also at the first.
    pub fn failed(&mut self, well: bool) -> Vec<String> {
        if std::mem::take(&mut self.first_look) && !well {
            return Vec::new();
        }
        match &self.failed {
            Some((asked, units)) if asked.elapsed() < HOLDS => units.clone(),
            _ => self.told(failed_units()),
        }
    }

    /// What holds after an answer. An alert waits for a unit that has failed to stay so: no answer is not a good one.
    fn told(&mut self, answer: Option<Vec<String>>) -> Vec<String> {
        let before = self.failed.take().map(|(_, units)| units);
        let units = answer.or(before).unwrap_or_default();
        self.failed = Some((Instant::now(), units.clone()));
        units
    }

    /// Why a unit that should run does not: that it is started again and again, and the last it said. `None` for a unit
    /// that is fine, merely slow, or not started yet.
    pub fn trouble(&mut self, root: &Root, unit: &'static str) -> Option<String> {
        let start = invocation(root, unit);
        let known = self.calm.get(unit);
        // Between two starts it has no invocation either, but then one of them was seen.
        if start.is_none() && known.is_none() {
            let missing = !UNITS.iter().any(|folder| root.path(folder).join(unit).exists());
            return missing.then(|| "this image does not have it".to_owned());
        }
        if self.first_look || start.is_some() && known == Some(&start) {
            return None;
        }
        if let Some((asked, trouble)) = self.trouble.get(unit)
            && asked.elapsed() < HOLDS
        {
            return trouble.clone();
        }
        let trouble = self.ask_about(unit, start);
        self.trouble.insert(unit, (Instant::now(), trouble.clone()));
        trouble
    }

    fn ask_about(&mut self, unit: &'static str, start: Option<String>) -> Option<String> {
        let answer = ask("systemctl", &["show", "--property=NRestarts", "--value", unit]);
        let restarts: u32 = answer.trim().parse().ok()?;
        self.calm.insert(unit, start.filter(|_| restarts == 0));
        if restarts == 0 {
            return None;
        }
        // Asked last: to look through the journal takes a small board longer than all other questions.
        let words = last_words(unit).map_or_else(String::new, |words| format!(", last it said: {words}"));
        Some(format!("was restarted {restarts} times{words}"))
    }
}

/// The last line of a unit in the journal, cut to a width that fits a console: of its own programs, and where they said nothing,
/// of systemd about them. (What systemd says last of one that ended is how much CPU time it took.)
fn last_words(unit: &str) -> Option<String> {
    let own = format!("_SYSTEMD_UNIT={unit}");
    [&[own.as_str()][..], &["--unit", unit]].into_iter().find_map(last_line)
}

/// The last line of the journal that matches.
fn last_line(matches: &[&str]) -> Option<String> {
    let arguments = ["--quiet", "--no-pager", "--lines=1", "--output=cat"];
    let said = ask("journalctl", &[&arguments, matches].concat());
    let line: String = said
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
    run(program, arguments)
        .map(|output| String::from_utf8_lossy(&output.stdout).into_owned())
        .unwrap_or_default()
}

/// Its end; `None` when it cannot be run.
fn run(program: &str, arguments: &[&str]) -> Option<Output> {
    Command::new(program).args(arguments).stdin(Stdio::null()).output().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_answer_leaves_what_was_known() {
        let mut units = Units::default();
        assert!(units.told(None).is_empty());
        let failed = vec!["a.service: cannot start".to_owned()];
        assert_eq!(units.told(Some(failed.clone())), failed);
        assert_eq!(units.told(None), failed);
        assert!(units.told(Some(Vec::new())).is_empty());
    }

    #[test]
    fn a_unit_that_has_not_started_is_no_trouble_and_one_that_is_missing_is() {
        let folder = tempfile::tempdir().unwrap();
        let root = Root::at(folder.path());
        let mut units = Units::default();
        let trouble = units.trouble(&root, "consul.service");
        assert_eq!(trouble.as_deref(), Some("this image does not have it"));
        let unit = root.path("/etc/systemd/system/consul.service");
        std::fs::create_dir_all(unit.parent().unwrap()).unwrap();
        std::fs::write(unit, "").unwrap();
        assert_eq!(units.trouble(&root, "consul.service"), None);
        let change = Change {
            unit: "consul.service",
            action: Action::Restart,
        };
        refresh(&root, change).expect("nothing runs that would be restarted");
    }

    #[test]
    fn a_first_look_asks_of_no_unit_and_holds_nothing_for_asked() {
        let folder = tempfile::tempdir().unwrap();
        let root = Root::at(folder.path());
        let link = root.path("/run/systemd/units/invocation:consul.service");
        std::fs::create_dir_all(link.parent().unwrap()).unwrap();
        std::os::unix::fs::symlink("0a", &link).unwrap();
        let mut units = Units::for_looks(true);
        assert_eq!(units.trouble(&root, "consul.service"), None);
        assert!(units.failed(false).is_empty());
        assert!(units.calm.is_empty() && units.trouble.is_empty() && units.failed.is_none());
        // The second does.
        units.trouble(&root, "consul.service");
        assert!(units.trouble.contains_key("consul.service"));
        let mut units = Units::for_looks(true);
        units.failed(true);
        assert!(units.failed.is_some(), "a node that seems ready is asked at once");
    }
}
