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

/// What the nodes of an image can be, whatever the rules say: an image has not always the programs of every role.
///
/// Written by the builder to [`crate::paths::ROLES`] as JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImageRoles {
    /// Name of the image, for people (`core`).
    pub image: String,
    /// Sorted, without repetitions.
    pub roles: Vec<Role>,
}

impl Default for ImageRoles {
    /// An image that does not say it can be all: those of before there was this file could.
    fn default() -> Self {
        Self {
            image: String::new(),
            roles: Role::ALL.to_vec(),
        }
    }
}
