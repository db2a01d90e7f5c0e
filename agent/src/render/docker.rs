//! Docker, on clients of an image that has it. `docker.service` has a condition on this file.

use serde_json::json;

use crate::render::{Action, File};

/// Debian's unit.
pub const UNIT: &str = "docker.service";
/// Where our drop-in tells dockerd to look.
pub const DIRECTORY: &str = "/run/computatom/docker";

/// The daemon's configuration.
pub fn files() -> Vec<File> {
    let settings = json!({
        // Containers outlive a restart of the daemon, as Nomad's other tasks outlive one of Nomad.
        "live-restore": true,
        // Nomad keeps and rotates the logs of tasks: Docker's own copy need not fill the card.
        "log-driver": "json-file",
        "log-opts": {"max-size": "2m", "max-file": "2"},
    });
    vec![File {
        path: format!("{DIRECTORY}/daemon.json"),
        text: format!("{settings:#}\n"),
        unit: UNIT,
        action: Action::Restart,
    }]
}
