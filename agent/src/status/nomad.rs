//! Nomad, as those wait for it who would take its processor and its card while a node starts.

use std::time::Duration;

use computatom_spec::paths;
use rustix::time::{ClockId, clock_gettime};

use crate::render::nomad;
use crate::root::Root;
use crate::status::{api, docker};

/// A node that has been up for longer is not starting: whoever restarts Docker then shall not wait for a Nomad that was stopped.
const STARTING: Duration = Duration::from_mins(10);

/// Whether to wait: the node starts, Nomad is to run, and does not itself wait for Docker.
pub fn comes_first(root: &Root) -> bool {
    is_first(root, uptime())
}

fn is_first(root: &Root, uptime: Duration) -> bool {
    let configured = !root.list(paths::NOMAD_CONFIG).is_empty();
    configured && uptime < STARTING && !docker::is_needed(root)
}

/// Whether this node was powered on a short while ago.
pub fn is_starting() -> bool {
    uptime() < STARTING
}

fn uptime() -> Duration {
    clock_gettime(ClockId::Boottime).try_into().unwrap_or_default()
}

/// It answers, which it does when it has asked its drivers; whether it knows a server is another question.
///
/// # Errors
/// It does not, or not yet.
pub fn answers(_: &Root) -> anyhow::Result<()> {
    api::body(&format!("http://127.0.0.1:{}/v1/agent/health", nomad::HTTP_PORT)).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_comes_first_while_a_node_starts_on_which_it_waits_for_nobody() {
        let folder = tempfile::tempdir().unwrap();
        let root = Root::at(folder.path());
        let early = Duration::from_secs(30);
        let write = |path: &str| {
            let path = root.path(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "{}").unwrap();
        };
        assert!(!is_first(&root, early), "it is not to run");
        write(&format!("{}/nomad.hcl", paths::NOMAD_CONFIG));
        assert!(is_first(&root, early));
        assert!(!is_first(&root, STARTING));
        // Its allocations may have containers.
        write("/run/computatom/docker/daemon.json");
        assert!(is_first(&root, early));
        write("/var/lib/nomad/alloc/3f0a/state");
        assert!(!is_first(&root, early));
        assert!(uptime() > Duration::ZERO);
    }
}
