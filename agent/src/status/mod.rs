//! How the node is doing: the same answer for `status`, the page, the consoles and `/metrics`.

use std::fs::File;
use std::io::BufReader;

use computatom_spec::paths;
use computatom_spec::role::Role;
use computatom_spec::site::Site;
use serde::{Deserialize, Serialize};

use crate::config::Settings;
use crate::identity::Identity;
use crate::role::Assignment;
use crate::root::Root;
use crate::slots::node::{Node, Report};
use crate::supervise::systemd::Units;

/// Local HTTP interfaces, asked with short timeouts.
pub mod api;

/// One check per service.
pub mod checks;

/// CNI plugins, asked as Nomad asks them.
pub mod cni;

/// Docker's own interface.
pub mod docker;

/// Nomad, for those who let it go first.
pub mod nomad;

/// Text for terminals and consoles.
pub mod text;

/// The page for people.
pub mod page;

use checks::Check;

/// Said wherever the state is shown, until TLS and ACLs are there.
pub const OPEN: &str = "this cluster is open to its LAN: whoever reaches these ports can run jobs on every node \
                        (no TLS, no ACLs yet)";

/// The state of a node.
#[derive(Clone, Debug, Serialize)]
pub struct Status {
    /// Name of the cluster.
    pub cluster: String,
    /// Who the node is.
    pub identity: Identity,
    /// What it does.
    pub assignment: Assignment,
    /// Name and target of the running image, where it has a manifest.
    pub image: Option<String>,
    /// Version of the agent.
    pub agent: &'static str,
    /// The two slots, where the system was started from one.
    pub slots: Option<Report>,
    /// How to log in, or that nobody can.
    pub ssh: String,
    /// The services of the node's roles.
    pub checks: Vec<Check>,
    /// Units that systemd says have failed.
    pub failed_units: Vec<String>,
    /// What the node waits for, as sentences.
    pub waits_for: Vec<String>,
    /// What is wrong with the site settings: the node has a name, and does nothing else.
    pub fault: Option<String>,
    /// What people must know.
    pub warnings: Vec<String>,
}

impl Status {
    /// The answer for who asks once: with the settings as they are, and nothing known from before.
    pub fn now(root: &Root) -> Self {
        let settings = Settings::load(root);
        let identity = Identity::load(root).unwrap_or_else(|_| Identity::derive(root, &settings.site));
        let assignment = settings.assignment(&identity);
        let image = image(root);
        let mut units = Units::default();
        Self::collect(root, &settings, &identity, &assignment, image.as_deref(), &mut units)
    }

    /// Asks everything; takes at most a few seconds per service.
    pub fn collect(
        root: &Root,
        settings: &Settings,
        identity: &Identity,
        assignment: &Assignment,
        image: Option<&str>,
        units: &mut Units,
    ) -> Self {
        let mut checks = match settings.fault {
            None => checks::all(identity, assignment),
            Some(_) => Vec::new(),
        };
        let mut failed_units = Vec::new();
        if root.is_system() {
            for check in checks.iter_mut().filter(|check| !check.healthy) {
                if let Some(trouble) = units.trouble(root, check.unit) {
                    check.detail = format!("{}; {} {trouble}", check.detail, check.unit);
                }
            }
            failed_units = units.failed(checks.iter().all(|check| check.healthy));
        }
        let mut status = Self {
            failed_units,
            slots: Node::look(root).and_then(|node| node.report(false)).ok(),
            ssh: ssh(root, &settings.site, identity),
            ..Self::with(settings, identity, assignment, image, checks)
        };
        if let Ok(Some(reason)) = root.read(paths::WITHOUT_DATA) {
            let reason = reason.trim();
            status.warnings.push(format!(
                "this node runs without DATA: {reason}; what is stored now is lost when the power goes"
            ));
        }
        if let Ok(Some(plugins)) = root.read(paths::WITHOUT_PLUGINS) {
            status.warnings.push(format!(
                "Nomad does not know the CNI plugins {}, which it asks when it starts: jobs that need them are not placed on this node",
                plugins.trim()
            ));
        }
        status
    }

    /// What is known before anything was asked.
    pub fn unasked(settings: &Settings, identity: &Identity, assignment: &Assignment, image: Option<&str>) -> Self {
        Self::with(settings, identity, assignment, image, Vec::new())
    }

    fn with(
        settings: &Settings,
        identity: &Identity,
        assignment: &Assignment,
        image: Option<&str>,
        checks: Vec<Check>,
    ) -> Self {
        let mut waits_for = Vec::new();
        if identity.interface.is_none() {
            waits_for.push("an address on the LAN: is the cable in, and does the DHCP server answer?".to_owned());
        } else {
            waits_for.extend(checks.iter().filter(|check| !check.healthy).map(
                |check| match check.hint(&settings.site) {
                    Some(hint) => format!("{}: {} ({hint})", check.service, check.detail),
                    None => format!("{}: {}", check.service, check.detail),
                },
            ));
        }
        Self {
            cluster: settings.site.cluster.clone(),
            identity: identity.clone(),
            assignment: assignment.clone(),
            image: image.map(str::to_owned),
            agent: env!("CARGO_PKG_VERSION"),
            slots: None,
            ssh: String::new(),
            checks,
            failed_units: Vec::new(),
            waits_for,
            fault: settings.fault.clone(),
            warnings: vec![OPEN.to_owned()],
        }
    }

    /// Where the page for people is, once the node has an address.
    pub fn page(&self) -> Option<String> {
        let address = self.identity.address()?;
        Some(format!("http://{address}:{}/", paths::AGENT_PORT))
    }

    /// What a node says of itself on which everything works.
    pub fn verdict(&self) -> &'static str {
        if self.assignment.has(Role::Client) {
            "ready for jobs"
        } else {
            "ready"
        }
    }

    /// Whether everything that belongs here works.
    pub fn is_ready(&self) -> bool {
        !self.checks.is_empty() && self.waits_for.is_empty() && self.failed_units.is_empty()
    }
}

/// How to log in: with the keys of the site settings, and the fingerprint by which a person knows the node.
fn ssh(root: &Root, site: &Site, identity: &Identity) -> String {
    let address = identity
        .address()
        .map_or_else(|| identity.hostname.clone(), |address| address.to_string());
    // As `ssh-keygen -l` says it: bits, fingerprint, comment, kind.
    let said = root.attribute(paths::HOST_KEY).unwrap_or_default();
    let fingerprint = said.split_ascii_whitespace().nth(1);
    match (site.ssh_keys.is_empty(), fingerprint) {
        (true, None) => "off: the site settings hold no keys".to_owned(),
        // sshd wrote it when it started: an image of Vagrant's has its own user and key.
        (true, Some(fingerprint)) => {
            format!("{address}, for a user of the image's own, whose host key is {fingerprint}")
        }
        (false, Some(fingerprint)) => format!("root@{address}, whose host key is {fingerprint}"),
        (false, None) => format!("root@{address}, once it has a host key"),
    }
}

/// Name and target of the running image: `home for raspberrypi-arm64`.
///
/// The manifest lists every package; what is not needed is skipped while reading, never held.
pub fn image(root: &Root) -> Option<String> {
    #[derive(Deserialize)]
    struct Head {
        image: String,
        target: String,
    }
    let file = File::open(root.path(paths::MANIFEST)).ok()?;
    let head: Head = serde_json::from_reader(BufReader::new(file)).ok()?;
    Some(format!("{} for {}", head.image, head.target))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_without_data_says_so() {
        let folder = tempfile::tempdir().unwrap();
        let root = Root::at(folder.path());
        let write = |path: &str, text: &str| {
            let path = root.path(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        // Settings at fault: no service is asked.
        write(paths::SITE, r#"{"servers": []}"#);
        let settings = Settings::load(&root);
        let identity = Identity::derive(&root, &settings.site);
        let assignment = settings.assignment(&identity);
        let warnings =
            || Status::collect(&root, &settings, &identity, &assignment, None, &mut Units::default()).warnings;
        assert_eq!(warnings(), [OPEN]);
        write(paths::WITHOUT_DATA, "the card is too small\n");
        assert!(
            warnings()[1].contains("without DATA: the card is too small; what"),
            "{:?}",
            warnings()
        );
    }

    #[test]
    fn a_person_learns_how_to_log_in_and_whom_to_expect() {
        let folder = tempfile::tempdir().unwrap();
        let root = Root::at(folder.path());
        let mut site = Site::default();
        let identity = Identity::derive(&root, &site);
        assert!(ssh(&root, &site, &identity).contains("no keys"));
        site.ssh_keys.push("ssh-ed25519 AAAA me".to_owned());
        assert!(ssh(&root, &site, &identity).contains("once it has a host key"));
        let path = root.path(paths::HOST_KEY);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, "256 SHA256:abc no comment (ED25519)\n").unwrap();
        assert!(ssh(&root, &site, &identity).ends_with("whose host key is SHA256:abc"));
        assert!(ssh(&root, &site, &identity).starts_with("root@"));
        site.ssh_keys.clear();
        assert!(ssh(&root, &site, &identity).contains("for a user of the image's own, whose host key is SHA256:abc"));
    }
}
