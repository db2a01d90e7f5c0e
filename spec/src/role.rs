//! What a node does in the cluster.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A role; a node may hold several.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Consul and Nomad server.
    Server,
    /// Consul client (or server, with [`Role::Server`]) and Nomad client: runs jobs.
    Client,
    /// Prometheus, scraping the whole cluster by discovery.
    Monitor,
}

impl Role {
    /// All roles.
    pub const ALL: [Self; 3] = [Self::Server, Self::Client, Self::Monitor];

    /// The name in settings and on disk.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Server => "server",
            Self::Client => "client",
            Self::Monitor => "monitor",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
