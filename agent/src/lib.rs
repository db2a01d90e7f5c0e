//! What runs on a node: identity, roles, rendered configuration, status, and `/init`.

/// The initramfs: from the kernel to systemd.
pub mod init;
