//! What runs is systemd's business; the agent only tells it when a configuration has changed.

/// `systemctl`.
pub mod systemd;
