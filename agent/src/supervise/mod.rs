//! What runs is systemd's business; the agent looks at the node, and tells systemd what has changed.

/// The loop.
pub mod daemon;

/// The page, the metrics and the targets, over HTTP.
pub mod server;

/// The status screen of HDMI and serial consoles.
pub mod console;

/// Nomad, started again where it lacks CNI plugins.
pub mod plugins;

/// `systemctl`.
pub mod systemd;
