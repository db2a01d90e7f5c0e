//! What is different in a container: its engine gives it name, network and name servers, and there are no slots.

use anyhow::Result;
use computatom_compose::tree::Tree;

use super::{Input, put, remove};

/// Units that would do the engine's work once more, or look after a disk.
const MASKED: &[&str] = &[
    "systemd-networkd.service",
    "systemd-networkd.socket",
    "systemd-resolved.service",
    "computatom-well.timer",
];

/// No lease will come: the name is in the /etc/hostname that the engine mounts.
const IDENTITY: (&str, &str) = (
    "/usr/lib/systemd/system/computatom-identity.service.d/20-container.conf",
    "[Service]\nExecStart=\nExecStart=/usr/bin/computatom-agent identify --render\n",
);

/// Fits the root of a container; others stay as they are.
pub(super) fn fit(tree: &mut Tree, input: &Input<'_>) -> Result<()> {
    if !input.container {
        return Ok(());
    }
    for unit in MASKED {
        let path = format!("/etc/systemd/system/{unit}");
        remove(tree, &path)?;
        tree.mkdir_all("/etc/systemd/system", 0o755)?;
        tree.symlink("/dev/null", &path)?;
    }
    put(tree, IDENTITY.0, IDENTITY.1.as_bytes(), 0o644)?;
    // A place for what the engine mounts.
    remove(tree, "/etc/resolv.conf")?;
    put(tree, "/etc/resolv.conf", b"", 0o644)
}
