//! Nodes that `up` has waited for in vain: what is said of them.

use std::time::Duration;

use computatom_cluster::folder::Folder;
use computatom_cluster::survey::{Power, Report};

/// A node did not get ready, in time or ever.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct NotReady(String);

impl NotReady {
    /// In time; none of them has ended.
    pub(super) fn late(waiting: &[&Report], patience: Duration) -> Self {
        let nodes: Vec<String> = waiting.iter().map(|report| long(report)).collect();
        Self(format!(
            "not ready after {} s; the cluster stays, `pkgbuilder cluster status` tells of it:\n  {}",
            patience.as_secs(),
            nodes.join("\n  ")
        ))
    }

    /// Ever: its QEMU has died.
    pub(super) fn ended(report: &Report, folder: &Folder) -> Self {
        Self(format!(
            "{} has ended: QEMU's words are in {}, its console in {}; the cluster stays: `pkgbuilder cluster up` powers on what \
             is off, `pkgbuilder cluster down` removes it",
            report.name,
            folder.file(&format!("{}.log", report.name)).display(),
            report.log.display()
        ))
    }
}

/// What one waits for first, for a line that changes.
pub(super) fn short(report: &Report) -> String {
    let name = &report.name;
    match report.power {
        Power::Off => format!("{name} is off until its turn comes"),
        Power::Paused => format!("{name} stands still"),
        Power::On => {
            let first = report.waits_for.first().map_or("nothing", String::as_str);
            format!("{name} waits for {first}")
        }
    }
}

fn long(report: &Report) -> String {
    let name = &report.name;
    match report.power {
        // Its turn has not come (`Order`): there is no console yet.
        Power::Off => {
            format!("{name} is off until its turn comes: servers first, the others when these are ready")
        }
        Power::Paused => format!("{name} stands still: `pkgbuilder cluster resume {name}` lets it go on"),
        Power::On => format!(
            "{name} waits for {}; its console: {}",
            report.waits_for.join(", "),
            report.log.display()
        ),
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::path::PathBuf;

    use super::*;

    fn report(name: &str, power: Power, waits_for: &[&str]) -> Report {
        Report {
            name: name.to_owned(),
            power,
            roles: Vec::new(),
            reason: None,
            datacenter: "home".to_owned(),
            address: Ipv4Addr::LOCALHOST,
            page: String::new(),
            consul: None,
            nomad: None,
            ready: false,
            waits_for: waits_for.iter().copied().map(str::to_owned).collect(),
            log: PathBuf::from(format!("/c/{name}.console.log")),
        }
    }

    #[test]
    fn each_is_told_why_it_is_late() {
        let reports = [
            report("core-1", Power::On, &["a leader", "docker.service, which has failed"]),
            report("core-2", Power::Paused, &["to be resumed"]),
            report("worker-1", Power::Off, &["power: it is off"]),
        ];
        let waiting: Vec<&Report> = reports.iter().collect();
        assert_eq!(
            NotReady::late(&waiting, Duration::from_mins(15)).to_string(),
            "not ready after 900 s; the cluster stays, `pkgbuilder cluster status` tells of it:
  core-1 waits for a leader, docker.service, which has failed; its console: /c/core-1.console.log
  core-2 stands still: `pkgbuilder cluster resume core-2` lets it go on
  worker-1 is off until its turn comes: servers first, the others when these are ready"
        );
        assert_eq!(
            reports.each_ref().map(short),
            [
                "core-1 waits for a leader",
                "core-2 stands still",
                "worker-1 is off until its turn comes"
            ]
        );
    }
}
