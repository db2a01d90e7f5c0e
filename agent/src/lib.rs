//! What runs on a node: identity, roles, rendered configuration, status, and `/init`.

/// Disks: bytes, partition tables.
pub mod disk;

/// The initramfs: from the kernel to systemd.
pub mod init;

/// The path prefix that makes the machine a parameter.
pub mod root;

/// Files that change as a whole or not at all.
pub mod atomic;

/// Site settings, read and checked.
pub mod config;

/// The two slots: which starts, what is on trial.
pub mod slots;

/// Who this node is.
pub mod identity;

/// What it does, and why.
pub mod role;

/// The native configuration of everything that runs here.
pub mod render;

/// What a card was burned with and no image has.
pub mod secrets;

/// The wireless network.
pub mod wifi;

/// Whom to join.
pub mod peers;

/// What Prometheus is to scrape.
pub mod targets;

/// How the node is doing.
pub mod status;

/// Numbers for Prometheus.
pub mod metrics;

/// The daemon: looks, shows, and tells systemd what has changed.
pub mod supervise;

/// The subcommands.
pub mod cli;
