//! What a node does in the cluster, and why.

use anyhow::Context;
use computatom_spec::paths;
use computatom_spec::role::{ImageRoles, Role};
use computatom_spec::site::Site;
use serde::{Deserialize, Serialize};

use crate::atomic;
use crate::identity::Identity;
use crate::root::Root;

/// Ordered rules over an identity.
pub mod rules;

/// The roles of a node. Every node runs a Consul agent, also one without a role.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Assignment {
    /// Sorted, without repetitions.
    pub roles: Vec<Role>,
    /// Why, as a sentence for people.
    pub reason: String,
}

impl Assignment {
    /// Decides the roles of `identity`: what the rules say, less what the image cannot be.
    ///
    /// # Errors
    /// A rule that does not parse: the message names it.
    pub fn decide(site: &Site, identity: &Identity, image: &ImageRoles) -> anyhow::Result<Self> {
        Ok(Self::ruled(site, identity, image)?.within(image))
    }

    /// What the rules say.
    fn ruled(site: &Site, identity: &Identity, image: &ImageRoles) -> anyhow::Result<Self> {
        if site.roles.is_empty() {
            return Ok(by_default(site, identity, image));
        }
        for (index, rule) in site.roles.iter().enumerate() {
            let conditions = rules::matches(rule, identity)
                .with_context(|| format!("reading rule {} of `roles` in the site settings", index + 1))?;
            if let Some(conditions) = conditions {
                return Ok(Self::new(
                    rule.roles.clone(),
                    format!("rule {}: {conditions}", index + 1),
                ));
            }
        }
        Ok(Self::new(
            Vec::new(),
            format!("none of the {} rules of the site settings matches", site.roles.len()),
        ))
    }

    /// No role, and why.
    pub fn none(reason: &str) -> Self {
        Self::new(Vec::new(), reason.to_owned())
    }

    /// Without the roles that the image has no programs for; the reason then says so.
    fn within(mut self, image: &ImageRoles) -> Self {
        let (kept, lost): (Vec<Role>, Vec<Role>) = self.roles.iter().partition(|role| image.roles.contains(role));
        if !lost.is_empty() {
            let lost: Vec<String> = lost.iter().map(|role| format!("not {role}")).collect();
            let reason = format!("; but {}: {}", purpose(image), lost.join(", "));
            self.reason.push_str(&reason);
            self.roles = kept;
        }
        self
    }

    fn new(mut roles: Vec<Role>, reason: String) -> Self {
        roles.sort_unstable();
        roles.dedup();
        Self { roles, reason }
    }

    /// Whether the node has `role`.
    pub fn has(&self, role: Role) -> bool {
        self.roles.contains(&role)
    }

    /// The roles as people write them: `server, client, monitor`.
    pub fn names(&self) -> String {
        if self.roles.is_empty() {
            return "member".to_owned();
        }
        self.roles.iter().map(|role| role.name()).collect::<Vec<_>>().join(", ")
    }

    /// What [`Self::store`] wrote last; `None` on a node that nobody has looked at yet.
    pub fn load(root: &Root) -> Option<Self> {
        serde_json::from_str(&root.read(paths::ASSIGNMENT).ok()??).ok()
    }

    /// Writes the assignment to [`paths::ASSIGNMENT`]; says whether it changed.
    ///
    /// # Errors
    /// `/run` not writable.
    pub fn store(&self, root: &Root) -> anyhow::Result<bool> {
        let mut text = serde_json::to_string_pretty(self).context("serializing the roles")?;
        text.push('\n');
        atomic::write_if_changed(&root.path(paths::ASSIGNMENT), &text, 0o644)
            .with_context(|| format!("writing {}", paths::ASSIGNMENT))
    }
}

/// What an image is for: `the image core is for servers only`.
fn purpose(image: &ImageRoles) -> String {
    let kinds: Vec<String> = image.roles.iter().map(|role| format!("{role}s")).collect();
    let kinds = match kinds.as_slice() {
        [] => "members without a role".to_owned(),
        kinds => kinds.join(" and "),
    };
    format!("the image {} is for {kinds} only", image.image)
}

/// The roles where the site settings have no rules: servers by name, clients by memory, the first server monitors,
/// and so does every board of an image that can do nothing else.
fn by_default(site: &Site, identity: &Identity, image: &ImageRoles) -> Assignment {
    let mut roles = Vec::new();
    let mut reasons = Vec::new();
    let position = site
        .servers
        .iter()
        .position(|server| server.eq_ignore_ascii_case(&identity.hostname));
    match position {
        Some(_) => {
            roles.push(Role::Server);
            reasons.push(format!("`{}` is in `servers`", identity.hostname));
        }
        None => reasons.push(format!("`{}` is not in `servers`", identity.hostname)),
    }
    let (memory, least) = (identity.board.memory_mib, site.nomad.client_memory_mib);
    if memory >= least {
        roles.push(Role::Client);
        reasons.push(format!("{memory} MiB of memory are enough for jobs (at least {least})"));
    } else {
        reasons.push(format!(
            "{memory} MiB of memory are too little for jobs (at least {least})"
        ));
    }
    if position == Some(0) {
        roles.push(Role::Monitor);
        reasons.push("the first server monitors".to_owned());
    } else if image.roles == [Role::Monitor] {
        roles.push(Role::Monitor);
        reasons.push("its image can do nothing but monitor".to_owned());
    }
    Assignment::new(
        roles,
        format!("no rules in the site settings, so by default: {}", reasons.join("; ")),
    )
}
