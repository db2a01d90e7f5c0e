//! systemd-timesyncd: the time servers of the site.

use computatom_spec::site::Site;

use crate::render::{Action, File};

/// systemd's unit.
pub const UNIT: &str = "systemd-timesyncd.service";

/// A drop-in (timesyncd.conf(5)) where the site names servers; Debian's pool otherwise.
pub fn files(site: &Site) -> Vec<File> {
    if site.ntp.is_empty() {
        return Vec::new();
    }
    vec![File {
        path: "/run/systemd/timesyncd.conf.d/20-computatom-site.conf".to_owned(),
        text: format!("[Time]\nNTP={}\n", site.ntp.join(" ")),
        unit: UNIT,
        action: Action::Restart,
    }]
}
