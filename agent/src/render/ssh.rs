//! SSH: only where the site settings hold keys. `ssh.service` has a condition on this file.

use computatom_spec::paths;
use computatom_spec::site::Site;

use crate::render::{Action, File};

/// Debian's unit.
pub const UNIT: &str = "ssh.service";

/// root's authorized keys, where our `sshd_config.d` drop-in looks for them.
pub fn files(site: &Site) -> Vec<File> {
    if site.ssh_keys.is_empty() {
        return Vec::new();
    }
    vec![File {
        path: format!("{}/ssh/authorized_keys", paths::RUN),
        text: site.ssh_keys.iter().flat_map(|key| [key.trim(), "\n"]).collect(),
        unit: UNIT,
        // sshd reads the keys at every login.
        action: Action::Reload,
    }]
}
