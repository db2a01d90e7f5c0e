//! What the nodes say of themselves, asked from the host.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::time::Duration;

use computatom_spec::role::Role;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::folder::{Folder, State};
use crate::machine::{Qmp, console_log};
use crate::process::Process;

/// How long a node may take to answer; one that computes hard answers late.
const PATIENCE: Duration = Duration::from_secs(5);

/// Whether a node runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Power {
    /// It runs.
    On,
    /// It stands still, as if time had stopped.
    Paused,
    /// It does not run.
    Off,
}

/// A node's state.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Host name.
    pub name: String,
    /// Whether it runs.
    pub power: Power,
    /// The roles it says it has; before it has spoken, those that it is to have.
    pub roles: Vec<Role>,
    /// Why it has them, in its own words.
    pub reason: Option<String>,
    /// Its datacenter.
    pub datacenter: String,
    /// Its address on the segment.
    pub address: Ipv4Addr,
    /// Its page, from the host.
    pub page: String,
    /// What Consul says there.
    pub consul: Option<String>,
    /// What Nomad says there.
    pub nomad: Option<String>,
    /// Whether everything that belongs there works.
    pub ready: bool,
    /// What it waits for.
    pub waits_for: Vec<String>,
    /// Where its console is kept.
    pub log: std::path::PathBuf,
}

/// The part of an agent's `/status.json` that is shown.
#[derive(Debug, Deserialize)]
struct Status {
    assignment: Assignment,
    checks: Vec<Check>,
    failed_units: Vec<String>,
    waits_for: Vec<String>,
    fault: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Assignment {
    roles: Vec<Role>,
    reason: String,
}

#[derive(Debug, Deserialize)]
struct Check {
    service: String,
    healthy: bool,
    detail: String,
}

/// Asks all nodes at once.
///
/// # Errors
/// /proc cannot be read.
pub fn ask(folder: &Folder, state: &State) -> anyhow::Result<Vec<Report>> {
    let running: BTreeMap<String, i32> = Process::all(folder)?
        .into_iter()
        .map(|process| (process.name, process.pid))
        .collect();
    let config = ureq::Agent::config_builder().timeout_global(Some(PATIENCE)).build();
    let agent = ureq::Agent::from(config);
    Ok(std::thread::scope(|scope| {
        let (agent, running) = (&agent, &running);
        let questions: Vec<_> = (0..state.plan.nodes.len())
            .map(|index| scope.spawn(move || one(folder, state, index, running, agent)))
            .collect();
        questions
            .into_iter()
            .map(|question| question.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect()
    }))
}

fn one(folder: &Folder, state: &State, index: usize, running: &BTreeMap<String, i32>, agent: &ureq::Agent) -> Report {
    let node = &state.plan.nodes[index];
    let mut report = Report {
        name: node.name.clone(),
        power: Power::Off,
        roles: node.roles.clone(),
        reason: None,
        datacenter: node.datacenter.clone(),
        address: node.address,
        page: state.page(index),
        consul: None,
        nomad: None,
        ready: false,
        waits_for: Vec::new(),
        log: console_log(folder, &node.name),
    };
    if !running.contains_key(&node.name) {
        report.waits_for.push("power: it is off".to_owned());
        return report;
    }
    report.power = power(folder, &node.name);
    if report.power == Power::Paused {
        report.waits_for.push("to be resumed".to_owned());
        return report;
    }
    let answer = agent
        .get(format!("{}status.json", report.page))
        .call()
        .and_then(|mut answer| answer.body_mut().read_json::<Status>());
    match answer {
        Ok(status) => report.tell(status),
        // Not yet up, or cut off: only its console knows.
        Err(_) => report
            .waits_for
            .push("its agent to answer: it boots, or is cut off".to_owned()),
    }
    report
}

/// QEMU's run state; what does not answer is at least on.
fn power(folder: &Folder, name: &str) -> Power {
    let asked = Qmp::connect(folder, name).and_then(|mut qmp| qmp.execute("query-status", &json!({})));
    match asked {
        Ok(answer) if answer["status"] == "paused" => Power::Paused,
        _ => Power::On,
    }
}

impl Report {
    /// Whether its agent has answered: it has booted, though it may still wait for others.
    pub fn answers(&self) -> bool {
        self.reason.is_some()
    }

    fn tell(&mut self, status: Status) {
        self.roles = status.assignment.roles;
        self.reason = Some(status.assignment.reason);
        let of = |services: &[&str]| {
            let found: Vec<&Check> = status
                .checks
                .iter()
                .filter(|check| services.contains(&check.service.as_str()))
                .collect();
            let said = found.iter().find(|check| !check.healthy).or(found.last())?;
            Some(said.detail.clone())
        };
        self.consul = of(&["consul"]);
        self.nomad = of(&["nomad server", "nomad client"]);
        self.waits_for = status.waits_for;
        self.waits_for.extend(status.fault);
        self.waits_for.extend(
            status
                .failed_units
                .iter()
                .map(|unit| format!("{unit}, which has failed")),
        );
        self.ready = !status.checks.is_empty() && self.waits_for.is_empty();
        // Asked before the agent looked for the first time.
        if status.checks.is_empty() && self.waits_for.is_empty() {
            self.waits_for.push("its agent's first look at its services".to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(status: serde_json::Value) -> Report {
        let mut report = Report {
            name: "core-1".to_owned(),
            power: Power::On,
            roles: vec![Role::Server],
            reason: None,
            datacenter: "home".to_owned(),
            address: Ipv4Addr::new(10, 77, 0, 11),
            page: String::new(),
            consul: None,
            nomad: None,
            ready: false,
            waits_for: Vec::new(),
            log: std::path::PathBuf::new(),
        };
        report.tell(serde_json::from_value(status).unwrap());
        report
    }

    #[test]
    fn a_node_is_ready_when_it_waits_for_nothing() {
        let check = |service: &str, healthy: bool, detail: &str| json!({"service": service, "unit": "x", "healthy": healthy, "detail": detail, "url": null});
        let checks = [
            check("consul", true, "leader 10.77.0.11:8300"),
            check("nomad server", false, "has no leader"),
            check("nomad client", true, "ready for jobs"),
        ];
        let status = |checks: &[serde_json::Value], waits: &[&str], failed: &[&str]| {
            json!({"assignment": {"roles": ["client"], "reason": "rule 1"}, "checks": checks, "failed_units": failed,
                   "waits_for": waits, "fault": null, "warnings": ["open"]})
        };
        let waiting = report(status(&checks, &["nomad server: has no leader"], &[]));
        assert_eq!(waiting.nomad.as_deref(), Some("has no leader"));
        assert_eq!(waiting.consul.as_deref(), Some("leader 10.77.0.11:8300"));
        assert!(!waiting.ready);
        let ready = report(status(&checks[..1], &[], &[]));
        assert!(ready.ready);
        // It was to be a server.
        assert_eq!(
            (ready.roles.as_slice(), ready.reason.as_deref()),
            ([Role::Client].as_slice(), Some("rule 1"))
        );
        assert!(!report(status(&[], &[], &[])).ready);
        let failed = report(status(&checks[..1], &[], &["docker.service"]));
        assert_eq!(failed.waits_for, ["docker.service, which has failed"]);
    }
}
