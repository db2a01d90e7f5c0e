//! The native configuration of everything that runs on the node, made from identity, roles and site settings.
//!
//! [`render`] is a pure function to texts; [`apply`] writes what changed and says which units that concerns.

use std::fmt;
use std::net::Ipv4Addr;

use anyhow::Context;
use computatom_spec::paths;
use computatom_spec::role::Role;
use computatom_spec::site::{RoleRule, Site};

use crate::atomic;
use crate::identity::Identity;
use crate::peers;
use crate::role::Assignment;
use crate::root::Root;

/// Which units know their files.
pub mod applied;

/// HCL text from JSON values.
pub mod hcl;

/// Consul's agent, and the services that every node registers.
pub mod consul;

/// Nomad's server and client.
pub mod nomad;

/// What an `exec` task finds in its chroot.
pub mod chroot;

/// Docker on clients.
pub mod docker;

/// Prometheus on the monitor.
pub mod prometheus;

/// node_exporter on every node.
pub mod exporter;

/// Time servers.
pub mod timesync;

/// The time zone.
pub mod timezone;

/// Who may log in with SSH.
pub mod ssh;

/// What has to happen to a unit when one of its files changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Action {
    /// `systemctl reload`: the daemon reads the file again.
    Reload,
    /// `systemctl restart`.
    Restart,
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Reload => "reload",
            Self::Restart => "restart",
        })
    }
}

/// A rendered file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// Absolute path on the node.
    pub path: String,
    /// Its text.
    pub text: String,
    /// The unit that reads it.
    pub unit: &'static str,
    /// What the unit needs when it changes.
    pub action: Action,
}

/// A unit whose configuration changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Change {
    /// Unit name.
    pub unit: &'static str,
    /// The strongest action that one of its files asks for.
    pub action: Action,
}

/// What the renderers know.
#[derive(Clone, Copy, Debug)]
pub struct Input<'a> {
    /// Site settings.
    pub site: &'a Site,
    /// Who the node is.
    pub identity: &'a Identity,
    /// What it does.
    pub assignment: &'a Assignment,
    /// Its address on the LAN: everything binds to it and to loopback, to nothing else.
    pub address: Ipv4Addr,
    /// Whether the image has Docker.
    pub docker: bool,
}

impl Input<'_> {
    /// The comment at the head of each file.
    fn comment(&self) -> String {
        format!(
            "Made by computatom-agent for `{}` ({}) at every boot: changes here are overwritten.\n\
             The site settings decide: {}",
            self.identity.hostname,
            self.assignment.names(),
            paths::SITE
        )
    }

    /// See [`peers::alone`].
    fn alone(&self) -> bool {
        peers::alone(self.site, self.identity, self.assignment)
    }

    /// `bootstrap_expect` of Consul and Nomad: the number of `servers`, on those servers only. One that rules add
    /// joins them; were it to wait for the same number, it would found a cluster of its own.
    fn bootstrap_expect(&self) -> Option<usize> {
        self.site
            .founds(&self.identity.hostname)
            .then_some(self.site.servers.len())
    }

    /// `raft_multiplier` of Consul and Nomad, in whose units an election's timeouts are. Servers on cards need Consul's 5, as
    /// they are slow to hear of each other; Nomad's own 1 is for fast disks. One that never has another beside it elects
    /// itself, and only waits for them: 5 to 10 seconds of Consul and as many of Nomad, at each boot.
    fn raft_multiplier(&self) -> u8 {
        let rules = self.site.roles.iter();
        let mut of_servers = rules.filter(|rule| rule.roles.contains(&Role::Server));
        let this = |rule: &RoleRule| {
            let name = rule.hostname.as_deref();
            name.is_some_and(|name| name.eq_ignore_ascii_case(&self.identity.hostname))
        };
        if self.alone() && of_servers.all(this) { 1 } else { 5 }
    }

    /// `GOMEMLIMIT` of a Go daemon: an eighth of the memory, never less than 96 MiB. A soft limit: the collector
    /// works harder above it, so that a 1 GB board keeps room for jobs.
    fn memory_limit(&self) -> String {
        format!("GOMEMLIMIT={}MiB\n", (self.identity.board.memory_mib / 8).max(96))
    }
}

/// Directories that hold nothing but rendered files: what is in them and not rendered is of a role that is gone.
const OWNED: [&str; 4] = [
    paths::CONSUL_CONFIG,
    paths::NOMAD_CONFIG,
    paths::PROMETHEUS_CONFIG,
    docker::DIRECTORY,
];

/// Every unit that files are rendered for.
const UNITS: [&str; 7] = [
    consul::UNIT,
    nomad::UNIT,
    prometheus::UNIT,
    docker::UNIT,
    exporter::UNIT,
    timesync::UNIT,
    ssh::UNIT,
];

/// Renders every file of a node. Without an address on the LAN there is nothing to bind to and so nothing to render.
pub fn render(root: &Root, site: &Site, identity: &Identity, assignment: &Assignment) -> Vec<File> {
    let mut files = Vec::new();
    files.extend(timesync::files(site));
    files.extend(ssh::files(site));
    let Some(address) = identity.address() else {
        return files;
    };
    let docker = ["/usr/sbin/dockerd", "/usr/bin/dockerd"]
        .iter()
        .any(|path| root.path(path).exists());
    let input = Input {
        site,
        identity,
        assignment,
        address,
        docker,
    };
    files.extend(consul::files(&input));
    files.extend(exporter::files(&input));
    if assignment.has(Role::Server) || assignment.has(Role::Client) {
        files.extend(nomad::files(&input));
    }
    if input.docker && assignment.has(Role::Client) {
        files.extend(docker::files());
    }
    if assignment.has(Role::Monitor) {
        files.extend(prometheus::files(&input));
    }
    files
}

/// Writes the files that changed, removes those of roles that the node no longer has, and says which units have not
/// been told of their files yet: [`applied::confirm`] ends that for one of them.
///
/// # Errors
/// `/run` not writable.
pub fn apply(root: &Root, files: &[File]) -> anyhow::Result<Vec<Change>> {
    for file in files {
        atomic::write_if_changed(&root.path(&file.path), &file.text, 0o644)
            .with_context(|| format!("writing {}", file.path))?;
    }
    for directory in OWNED {
        for name in root.list(directory) {
            let path = format!("{directory}/{name}");
            if files.iter().all(|file| file.path != path) {
                std::fs::remove_file(root.path(&path)).with_context(|| format!("removing {path}"))?;
            }
        }
    }
    Ok(applied::pending(root, files))
}
