//! systemd's tools as they behave without a running systemd, and Debian's helpers around them.

/// Which `*.conf` files of `/etc`, `/run` and `/usr` apply.
mod config_files;

/// deb-systemd-helper and deb-systemd-invoke
pub(crate) mod helper;

/// systemd-machine-id-setup, systemd-hwdb, journalctl, udevadm, …
pub(crate) mod offline;

/// The one-letter `%` placeholders of unit and configuration files.
mod specifiers;

/// systemctl
pub(crate) mod systemctl;

/// systemd-sysusers
pub(crate) mod sysusers;

/// systemd-tmpfiles
pub(crate) mod tmpfiles;

/// Unit files, their `[Install]` sections and presets.
mod units;
