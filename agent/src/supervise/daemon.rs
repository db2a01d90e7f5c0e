//! `computatom-agent run`: looks at the node every few seconds, and acts on what changed.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use anyhow::Context;
use computatom_spec::role::Role;
use sd_notify::NotifyState;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::{JoinError, JoinHandle};
use tokio::time::MissedTickBehavior;

use crate::config::Settings;
use crate::identity::Identity;
use crate::metrics::Counters;
use crate::role::Assignment;
use crate::root::Root;
use crate::status::{self, Status, api, nomad, text};
use crate::supervise::console::Consoles;
use crate::supervise::plugins::Plugins;
use crate::supervise::server::Listeners;
use crate::supervise::systemd::{self, Units};
use crate::{peers, render};

/// How often the node is looked at. A lease that changes is acted on within this time.
pub(super) const INTERVAL: Duration = Duration::from_secs(15);

/// How often, while the node starts and waits for something: whoever waits for the node hears of it soon.
const QUICK_INTERVAL: Duration = Duration::from_secs(5);

/// How often systemd hears that the agent is alive: `WatchdogSec=` of its unit is four times as long.
const ALIVE: Duration = Duration::from_secs(30);

/// No look takes longer, whatever hangs: each question in it has a timeout.
const LONGEST_LOOK: Duration = Duration::from_mins(3);

/// How long one look tries to join Consul to servers; the next look goes on.
const JOINING: Duration = Duration::from_secs(20);

/// What the daemon knows; the page and the metrics read it.
#[derive(Debug)]
pub struct Node {
    /// Where everything is.
    pub root: Root,
    /// Site settings, or what is wrong with them.
    pub settings: Settings,
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
/// No signal can be listened for. What is wrong with settings or services is shown, not an end.
pub async fn run(root: Root, settings: Settings) -> anyhow::Result<()> {
    let started = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs_f64();
    let identity = Identity::derive(&root, &settings.site);
    let assignment = settings.assignment(&identity);
    let image = status::image(&root);
    let status = Status::unasked(&settings, &identity, &assignment, image.as_deref());
    let node = Arc::new(Node {
        root,
        settings,
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
    let mut alive = tokio::time::interval(ALIVE);
    let mut held = None;
    // The look that is under way, and since when. Asking services, looking up names and running systemctl all block,
    // so it has a thread of its own; signals and the watchdog are served meanwhile.
    let mut look: Option<(Instant, JoinHandle<Look>)> = None;
    loop {
        tokio::select! {
            _ = ticks.tick(), if look.is_none() => {
                let (seen, known) = (Arc::clone(&node), held.clone());
                look = Some((Instant::now(), tokio::task::spawn_blocking(move || look_around(&seen, known))));
            }
            ended = ended(&mut look) => {
                look = None;
                held = ended.context("looking around")?;
                listeners.follow(&node, held.as_ref().and_then(|held| held.identity.address())).await;
                let status = node.status();
                ticks.reset_after(if nomad::is_starting() && !status.waits_for.is_empty() { QUICK_INTERVAL } else { INTERVAL });
                consoles.show(&text::render(&status));
                // A no-op where no systemd listens, as below.
                let _ = sd_notify::notify(&[NotifyState::Ready]);
            }
            _ = alive.tick() => {
                // A look that hangs is a hang: systemd restarts the agent then.
                if look.as_ref().is_none_or(|(began, _)| began.elapsed() < LONGEST_LOOK) {
                    let _ = sd_notify::notify(&[NotifyState::Watchdog]);
                }
            }
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
        }
    }
    let _ = sd_notify::notify(&[NotifyState::Stopping]);
    Ok(())
}

/// What a look leaves for the next.
#[derive(Clone, Debug)]
struct Held {
    /// The identity that the configuration is made for.
    identity: Identity,
    /// Whether every unit knows its files.
    settled: bool,
    /// What Nomad knows of its plugins.
    plugins: Plugins,
    /// What systemd said of its units.
    units: Units,
}

/// What a look answers; `None` while no identity could be adopted.
type Look = Option<Held>;

/// The end of the look that is under way; never, when there is none.
async fn ended(look: &mut Option<(Instant, JoinHandle<Look>)>) -> Result<Look, JoinError> {
    match look {
        Some((_, look)) => look.await,
        None => std::future::pending().await,
    }
}

/// One look: identity, roles, configuration, services.
fn look_around(node: &Node, held: Look) -> Look {
    let mut identity = Identity::derive(&node.root, &node.settings.site);
    let known = held.as_ref().map(|held| &held.identity);
    // A cable that is pulled for a moment must not stop Consul and Nomad: they keep the address that they had.
    if let (None, Some(known)) = (&identity.interface, known) {
        identity.interface.clone_from(&known.interface);
    }
    let assignment = node.settings.assignment(&identity);
    let mut settled = held.as_ref().is_some_and(|held| held.settled);
    if !settled || known != Some(&identity) {
        if let Some(known) = known
            && (known.hostname != identity.hostname || known.address() != identity.address())
        {
            node.counters.changes.inc();
        }
        settled = match adopt(node, &identity, &assignment) {
            Ok(settled) => settled,
            Err(err) => {
                crate::cli::complain(&err);
                // Tried again at the next look.
                return held;
            }
        };
    }
    let (mut plugins, mut units) = held.map_or_else(
        || (Plugins::default(), Units::for_looks(nomad::is_starting())),
        |held| (held.plugins, held.units),
    );
    let status = Status::collect(
        &node.root,
        &node.settings,
        &identity,
        &assignment,
        node.image.as_deref(),
        &mut units,
    );
    if !peers::alone(&node.settings.site, &identity, &assignment)
        && status
            .checks
            .iter()
            .any(|check| check.service == "consul" && !check.healthy)
    {
        join(node, &identity, &assignment);
    }
    let answers = status
        .checks
        .iter()
        .any(|check| check.service == "nomad client" && check.healthy);
    if node.root.is_system()
        && (answers || !assignment.has(Role::Client))
        && let Err(err) = plugins.look(&node.root, &assignment)
    {
        crate::cli::complain(&err);
    }
    node.set(status);
    Some(Held {
        identity,
        settled,
        plugins,
        units,
    })
}

/// Makes an identity the node's: host name, files, units. Says whether every unit knows its files now.
fn adopt(node: &Node, identity: &Identity, assignment: &Assignment) -> anyhow::Result<bool> {
    identity.store(&node.root)?;
    assignment.store(&node.root)?;
    if node.root.is_system() {
        rustix::system::sethostname(identity.hostname.as_bytes()).context("setting the host name")?;
    }
    if node.settings.fault.is_some() {
        // The name is all that the defaults are good for.
        return Ok(true);
    }
    let files = render::render(&node.root, &node.settings.site, identity, assignment);
    let mut settled = true;
    for change in render::apply(&node.root, &files)? {
        node.counters.refreshes.inc();
        if node.root.is_system()
            && let Err(err) = systemd::enforce(change)
        {
            crate::cli::complain(&err);
            settled = false;
            continue;
        }
        render::applied::confirm(&node.root, &files, change.unit)?;
    }
    Ok(settled)
}

/// Joins Consul to the servers that can be found. Consul's own `retry_join` cannot ask a program as Nomad's can.
fn join(node: &Node, identity: &Identity, assignment: &Assignment) {
    let deadline = Instant::now() + JOINING;
    for peer in peers::find(&node.settings.site, identity, assignment) {
        if Instant::now() >= deadline {
            return;
        }
        if identity.address().is_some_and(|own| peer == own) {
            continue;
        }
        let url = format!("http://127.0.0.1:{}/v1/agent/join/{peer}", render::consul::HTTP_PORT);
        // A server that is off is no news: the status says that there is no leader.
        let _ = api::put(&url);
    }
}
