//! `computatom-agent run`: looks at the node every few seconds, and acts on what changed.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use anyhow::Context;
use computatom_spec::role::Role;
use computatom_spec::site::Site;
use sd_notify::NotifyState;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::MissedTickBehavior;

use crate::identity::Identity;
use crate::metrics::Counters;
use crate::role::Assignment;
use crate::root::Root;
use crate::status::{self, Status, api, text};
use crate::supervise::console::Consoles;
use crate::supervise::server::Listeners;
use crate::supervise::systemd;
use crate::{peers, render};

/// How often the node is looked at. A lease that changes is acted on within this time.
const INTERVAL: Duration = Duration::from_secs(15);

/// What the daemon knows; the page and the metrics read it.
#[derive(Debug)]
pub struct Node {
    /// Where everything is.
    pub root: Root,
    /// Site settings.
    pub site: Site,
    /// The last look.
    pub status: Mutex<Status>,
    /// What happened since the start.
    pub counters: Counters,
    /// Name and target of the image; it cannot change while it runs.
    pub image: Option<String>,
    /// When the agent started, in seconds since 1970.
    pub started: f64,
}

impl Node {
    /// A copy of the last look.
    pub fn status(&self) -> Status {
        self.status.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, status: Status) {
        *self.status.lock().unwrap_or_else(PoisonError::into_inner) = status;
    }
}

/// Runs until SIGTERM or SIGINT.
///
/// # Errors
/// Settings that cannot be acted on. What can heal (no address, a unit that does not start) is shown, not an end.
pub async fn run(root: Root, site: Site) -> anyhow::Result<()> {
    let started = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs_f64();
    let identity = Identity::derive(&root, &site);
    let assignment = Assignment::decide(&site, &identity)?;
    let image = status::image(&root);
    let status = Status::unasked(&site, &identity, &assignment, image.as_deref());
    let node = Arc::new(Node {
        root,
        site,
        status: Mutex::new(status),
        counters: Counters::default(),
        image,
        started,
    });
    let mut listeners = Listeners::default();
    let mut consoles = Consoles::find(&node.root);
    let mut terminate = signal(SignalKind::terminate()).context("listening for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("listening for SIGINT")?;
    let mut ticks = tokio::time::interval(INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut held = None;
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
        }
        let look = Arc::clone(&node);
        let known = held.take();
        // Asking services, looking up names and running systemctl all block.
        let now = tokio::task::spawn_blocking(move || look_around(&look, known))
            .await
            .context("looking around")?;
        listeners.follow(&node, now.as_ref().and_then(Identity::address)).await;
        consoles.show(&text::render(&node.status()));
        held = now;
        // Both are no-ops where no systemd listens.
        let _ = sd_notify::notify(&[NotifyState::Ready, NotifyState::Watchdog]);
    }
    let _ = sd_notify::notify(&[NotifyState::Stopping]);
    Ok(())
}

/// One look: identity, roles, configuration, services. Answers the identity that the configuration is made for.
fn look_around(node: &Node, known: Option<Identity>) -> Option<Identity> {
    let mut identity = Identity::derive(&node.root, &node.site);
    // A cable that is pulled for a moment must not stop Consul and Nomad: they keep the address that they had.
    if let (None, Some(known)) = (&identity.interface, &known) {
        identity.interface.clone_from(&known.interface);
    }
    let assignment = match Assignment::decide(&node.site, &identity) {
        Ok(assignment) => assignment,
        Err(err) => {
            crate::cli::complain(&err);
            return known;
        }
    };
    if known.as_ref() != Some(&identity) {
        if let Some(known) = &known
            && (known.hostname != identity.hostname || known.address() != identity.address())
        {
            node.counters.changes.inc();
        }
        if let Err(err) = adopt(node, &identity, &assignment) {
            crate::cli::complain(&err);
            // Tried again at the next look.
            return known;
        }
    }
    let status = Status::collect(&node.root, &node.site, &identity, &assignment, node.image.as_deref());
    let joins = !(assignment.has(Role::Server) && node.site.servers.len() == 1);
    if joins
        && status
            .checks
            .iter()
            .any(|check| check.service == "consul" && !check.healthy)
    {
        join(node, &identity, &assignment);
    }
    node.set(status);
    Some(identity)
}

/// Makes an identity the node's: host name, files, units.
fn adopt(node: &Node, identity: &Identity, assignment: &Assignment) -> anyhow::Result<()> {
    identity.store(&node.root)?;
    assignment.store(&node.root)?;
    if node.root.is_system() {
        rustix::system::sethostname(identity.hostname.as_bytes()).context("setting the host name")?;
    }
    let files = render::render(&node.root, &node.site, identity, assignment);
    for change in render::apply(&node.root, &files)? {
        node.counters.refreshes.inc();
        if node.root.is_system()
            && let Err(err) = systemd::enforce(change)
        {
            // An image without that unit, or one that fails at once: systemd keeps the state, the status shows it.
            crate::cli::complain(&err);
        }
    }
    Ok(())
}

/// Joins Consul to the servers that can be found. Consul's own `retry_join` cannot ask a program as Nomad's can.
fn join(node: &Node, identity: &Identity, assignment: &Assignment) {
    for peer in peers::find(&node.site, identity, assignment) {
        if identity.address().is_some_and(|own| peer == own) {
            continue;
        }
        let url = format!("http://127.0.0.1:{}/v1/agent/join/{peer}", render::consul::HTTP_PORT);
        // A server that is off is no news: the status says that there is no leader.
        let _ = api::put(&url);
    }
}
