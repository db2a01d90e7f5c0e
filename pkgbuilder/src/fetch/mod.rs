//! Stage 3: bytes from mirrors and release hosts into the content-addressed cache.
//!
//! Two ways to fail are kept apart. A source that does not give the bytes is [`Unreachable`]: the caller may
//! try the next source. A source that gives *wrong* bytes ends everything with an
//! [`InputError`](crate::failure::InputError).

/// The content-addressed cache on disk.
pub mod cache;

/// Files of the cache with a sum behind them.
pub mod summed;

mod download;

mod partial;

mod http;

mod content_range;

mod redirects;

/// Where release hosts are reached.
pub mod release_hosts;

/// Where the Debian mirror is.
pub mod mirror;

/// Where further apt sources are.
pub mod apt_sources;

use std::collections::HashMap;
use std::env;
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context, Result};
use indicatif::ProgressBar;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

pub use cache::Cache;
pub use release_hosts::ReleaseHosts;

use crate::input_error;
use crate::interrupt;
use crate::reporter::Reporter;
use crate::verify::Sha256;

/// How often Ctrl-C is looked for while waiting for the network.
const INTERRUPT_INTERVAL: Duration = Duration::from_millis(100);

/// Without a bar, downloads of this many bytes are announced by a line.
const WORTH_A_LINE: u64 = 1_000_000;

/// A file that is wanted.
#[derive(Clone, Debug)]
pub struct Request {
    /// Where it may lie (`http`, `https`, `file`), tried in this order.
    pub urls: Vec<String>,
    /// Its digest; without one it is fetched anew each time and its origin must be verified otherwise.
    pub sha256: Option<Sha256>,
    /// Its size in bytes.
    pub size: Option<u64>,
    /// What to call it when talking to a person.
    pub label: String,
}

/// A file that lies in the cache; its digest is the requested one, if there was one.
#[derive(Clone, Debug)]
pub struct Fetched {
    /// Where in the cache.
    pub path: PathBuf,
    /// Its digest.
    pub sha256: Sha256,
    /// The URL that gave it; `None` if it was in the cache.
    pub url: Option<String>,
}

/// No source gave the file: names do not resolve, connections fail or stall, or the servers do not have it.
#[derive(Clone, Debug)]
pub struct Unreachable {
    /// The label of the request.
    pub label: String,
    /// One reason for each URL.
    pub reasons: Vec<String>,
    /// Whether every source answered, but does not have it.
    pub gone: bool,
}

impl fmt::Display for Unreachable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} could not be fetched: {}", self.label, self.reasons.join("; "))
    }
}

impl std::error::Error for Unreachable {}

/// What became of one request.
pub type Outcome = std::result::Result<Fetched, Unreachable>;

/// How patient downloads are.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// A connection that gives no byte for this long has stalled.
    pub stall: Duration,
    /// How often a URL is tried again without having made progress.
    pub retries: usize,
    /// Wait before the first retry; doubled for each further one.
    pub first_delay: Duration,
    /// The longest wait that a server can ask for by `Retry-After`; one that asks for more is given up at once.
    pub longest_wait: Duration,
    /// Downloads under way at once.
    pub at_once: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            stall: Duration::from_secs(30),
            retries: 4,
            first_delay: Duration::from_millis(500),
            longest_wait: Duration::from_mins(1),
            at_once: 8,
        }
    }
}

impl Limits {
    /// The defaults, with `COMPUTATOM_STALL_SECONDS` (a decimal number) from the environment.
    pub fn from_environment() -> Result<Self> {
        let mut limits = Self::default();
        if let Ok(text) = env::var("COMPUTATOM_STALL_SECONDS") {
            limits.stall = text
                .parse()
                .ok()
                .filter(|seconds| *seconds > 0.0)
                .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
                .ok_or_else(|| input_error!("COMPUTATOM_STALL_SECONDS is `{text}`, not a number of seconds"))?;
        }
        Ok(limits)
    }
}

/// Fetches files into a cache, several at once.
#[derive(Debug)]
pub struct Fetcher {
    runtime: tokio::runtime::Runtime,
    shared: Arc<Shared>,
    reporter: Reporter,
}

/// What all downloads of one fetcher use.
#[derive(Debug)]
struct Shared {
    cache: Cache,
    client: reqwest::Client,
    limits: Limits,
    hosts: ReleaseHosts,
    /// Hosts that did not answer during this run of [`Fetcher::fetch_all`], and what they said.
    down: Mutex<HashMap<String, String>>,
}

impl Fetcher {
    /// A fetcher as patient as the environment says, which also says where release hosts are reached.
    pub fn new(cache: Cache, reporter: Reporter) -> Result<Self> {
        Self::through(cache, reporter, ReleaseHosts::find(&[])?)
    }

    /// A fetcher as patient as the environment says, which reaches release hosts through `hosts`.
    pub fn through(cache: Cache, reporter: Reporter, hosts: ReleaseHosts) -> Result<Self> {
        Self::build(cache, reporter, Limits::from_environment()?, hosts)
    }

    /// A fetcher with limits of its own.
    pub fn with_limits(cache: Cache, reporter: Reporter, limits: Limits) -> Result<Self> {
        Self::build(cache, reporter, limits, ReleaseHosts::default())
    }

    fn build(cache: Cache, reporter: Reporter, limits: Limits, hosts: ReleaseHosts) -> Result<Self> {
        cache.sweep()?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .context("starting the download threads")?;
        let client = reqwest::Client::builder()
            .user_agent(concat!("computatom/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(limits.stall.min(Duration::from_secs(15)))
            .redirect(redirects::policy())
            .build()
            .context("preparing downloads")?;
        let shared = Shared {
            cache,
            client,
            limits,
            hosts,
            down: Mutex::default(),
        };
        Ok(Self {
            runtime,
            shared: Arc::new(shared),
            reporter,
        })
    }

    /// The cache that files go to.
    pub fn cache(&self) -> &Cache {
        &self.shared.cache
    }

    /// Where remarks go.
    pub fn reporter(&self) -> &Reporter {
        &self.reporter
    }

    /// Fetches one file; see [`Fetcher::fetch_all`].
    pub fn fetch(&self, request: Request) -> Result<Outcome> {
        let mut outcomes = self.fetch_all(vec![request])?;
        Ok(outcomes.remove(0))
    }

    /// Fetches all files that are not in the cache; the outcomes are in the order of the requests.
    ///
    /// The outer error says that the whole must stop: wrong bytes, a full disk, Ctrl-C.
    pub fn fetch_all(&self, requests: Vec<Request>) -> Result<Vec<Outcome>> {
        let mut outcomes: Vec<Option<Outcome>> = requests.iter().map(|request| self.cached(request).map(Ok)).collect();
        let wanted: Vec<(usize, Request)> = requests
            .into_iter()
            .enumerate()
            .filter(|(index, _)| outcomes[*index].is_none())
            .collect();
        if !wanted.is_empty() {
            self.shared.forget_failures();
            let total = wanted.iter().filter_map(|(_, request)| request.size).sum();
            let bar = self.reporter.bytes(title(&wanted), total);
            if bar.is_hidden() && total >= WORTH_A_LINE {
                self.reporter
                    .step(format_args!("{} ({} MB)", title(&wanted), total / 1_000_000));
            }
            let fetched = self.runtime.block_on(async {
                tokio::select! {
                    biased;
                    interrupted = interrupted() => Err(interrupted.into()),
                    fetched = self.fetch_wanted(wanted, &bar) => fetched,
                }
            });
            bar.finish_and_clear();
            for (index, outcome) in fetched? {
                outcomes[index] = Some(outcome);
            }
        }
        Ok(outcomes
            .into_iter()
            .map(|outcome| outcome.expect("every request was cached or fetched"))
            .collect())
    }

    fn cached(&self, request: &Request) -> Option<Fetched> {
        let sha256 = request.sha256?;
        let cache = &self.shared.cache;
        let path = match request.size {
            Some(size) => cache.get_sized(&sha256, size)?,
            None => cache.get(&sha256)?,
        };
        Some(Fetched {
            path,
            sha256,
            url: None,
        })
    }

    async fn fetch_wanted(&self, wanted: Vec<(usize, Request)>, bar: &ProgressBar) -> Result<Vec<(usize, Outcome)>> {
        let places = Arc::new(Semaphore::new(self.shared.limits.at_once));
        let mut downloads = JoinSet::new();
        for (index, request) in wanted {
            let (places, shared, bar) = (places.clone(), self.shared.clone(), bar.clone());
            downloads.spawn(async move {
                let _place = places.acquire().await.expect("the semaphore is never closed");
                let outcome = download::download(&shared, &request, &bar).await?;
                anyhow::Ok((index, outcome))
            });
        }
        let mut outcomes = Vec::new();
        // Leaving early drops the set, which ends the other downloads; what they have stays for a resumption.
        while let Some(finished) = downloads.join_next().await {
            outcomes.push(finished.context("downloading")??);
        }
        Ok(outcomes)
    }
}

impl Shared {
    fn forget_failures(&self) {
        self.down
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .clear();
    }

    /// Why a host is not worth another try.
    fn why_down(&self, host: &str) -> Option<String> {
        let down = self.down.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        down.get(host).cloned()
    }

    fn mark_down(&self, host: &str, reason: &str) {
        let mut down = self.down.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        down.insert(host.to_owned(), reason.to_owned());
    }
}

/// Ends when the person asks to stop.
async fn interrupted() -> crate::failure::Interrupted {
    loop {
        if let Err(interrupted) = interrupt::check() {
            return interrupted;
        }
        tokio::time::sleep(INTERRUPT_INTERVAL).await;
    }
}

fn title(wanted: &[(usize, Request)]) -> String {
    match wanted {
        [(_, only)] => format!("fetching {}", only.label),
        several => format!("fetching {} files", several.len()),
    }
}
