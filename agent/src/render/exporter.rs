//! node_exporter: the machine's own metrics, on every node.

use computatom_spec::paths;

use crate::render::{Action, File, Input, consul, docker, nomad, prometheus, ssh};

/// Debian's unit.
pub const UNIT: &str = "prometheus-node-exporter.service";
/// node_exporter's port.
pub const PORT: u16 = 9100;

/// The services whose state it tells.
const WATCHED: [&str; 8] = [
    "computatom-agent.service",
    consul::UNIT,
    nomad::UNIT,
    docker::UNIT,
    "containerd.service",
    prometheus::UNIT,
    UNIT,
    ssh::UNIT,
];

/// The `ARGS` that Debian's unit expands, in a file that our drop-in reads after `/etc/default`.
pub fn files(input: &Input<'_>) -> Vec<File> {
    let arguments = [
        format!("--web.listen-address={}:{PORT}", input.address),
        format!("--web.listen-address=127.0.0.1:{PORT}"),
        "--collector.systemd".to_owned(),
        // It asks systemd for each unit on its own: for the seventy of a node that takes a small board most of a scrape. Which
        // units have failed, of all, the agent's metrics tell.
        format!(
            "--collector.systemd.unit-include={}",
            WATCHED.join("|").replace('.', "[.]")
        ),
        // Each container has file systems and interfaces of its own; they are Nomad's to report.
        "--collector.filesystem.mount-points-exclude=^/(dev|proc|run|sys|var/lib/docker|var/lib/nomad)($|/)".to_owned(),
        "--collector.netdev.device-exclude=^(veth|br-|docker|nomad).*".to_owned(),
        "--no-collector.wifi".to_owned(),
        // Else it says the name of each collector at each start, sixty lines.
        "--log.level=warn".to_owned(),
    ];
    vec![File {
        path: format!("{}/node-exporter.env", paths::RUN),
        text: format!("ARGS=\"{}\"\n", arguments.join(" ")),
        unit: UNIT,
        action: Action::Restart,
    }]
}
