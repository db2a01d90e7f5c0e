//! One download: resumed where it was cut, tried again with growing pauses, then from the next URL.

use std::time::Duration;

use anyhow::{Context, Result};
use backon::{BackoffBuilder, ExponentialBuilder};
use indicatif::ProgressBar;
use reqwest::Url;
use tokio::time::sleep;

use super::http::{Failure, attempt, shown, wrong};
use super::partial::Partial;
use super::{Cache, Fetched, Outcome, Request, Shared, Unreachable};
use crate::input_error;
use crate::verify::Sha256;

/// The longest pause between two tries.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// A try that brought so many bytes more is not counted against the retries.
const PROGRESS: u64 = 16 << 10;

/// Fetches one file from the first URL that gives it.
pub(super) async fn download(shared: &Shared, request: &Request, bar: &ProgressBar) -> Result<Outcome> {
    let writing = || shared.cache.writing(&request.label);
    let mut partial = match &request.sha256 {
        Some(sha256) => match Partial::resumed(&shared.cache, sha256).await? {
            Some(partial) => partial,
            // Another process finished it while we waited.
            None => return Ok(Ok(found(&shared.cache, sha256))),
        },
        None => Partial::fresh(&shared.cache)?,
    };
    if request.size.is_some_and(|size| partial.received > size) {
        partial.restart().with_context(writing)?;
    }
    let mut reasons = Vec::new();
    let mut gone = true;
    for url in &request.urls {
        let url = Url::parse(url).map_err(|error| input_error!("`{url}` is not a URL: {error}"))?;
        let url = shared.hosts.locate(&url);
        match from_url(shared, request, &url, &mut partial, bar).await? {
            Ok(()) => {
                let (sha256, path) = partial.store(&shared.cache).with_context(writing)?;
                let url = Some(shown(&url));
                return Ok(Ok(Fetched { path, sha256, url }));
            }
            Err(refusal) => {
                gone &= refusal.gone;
                reasons.push(format!("{}: {}", shown(&url), refusal.reason));
            }
        }
    }
    if reasons.is_empty() {
        reasons.push("it is not in the cache, and no URL is known for it".to_owned());
    }
    Ok(Err(Unreachable {
        label: request.label.clone(),
        reasons,
        gone,
    }))
}

fn found(cache: &Cache, sha256: &Sha256) -> Fetched {
    Fetched {
        path: cache.object(sha256),
        sha256: *sha256,
        url: None,
    }
}

/// Why a URL does not give the file.
struct Refusal {
    reason: String,
    /// The server answered, but does not have it.
    gone: bool,
}

/// Tries one URL until it gives the whole file with the right digest; the inner error says why it does not.
async fn from_url(
    shared: &Shared,
    request: &Request,
    url: &Url,
    partial: &mut Partial,
    bar: &ProgressBar,
) -> Result<std::result::Result<(), Refusal>> {
    let refused = |reason, gone| Ok(Err(Refusal { reason, gone }));
    let authority = url.authority();
    let mut delays = pauses(shared);
    let mut furthest = partial.received;
    loop {
        if let Some(reason) = shared.why_down(authority) {
            return refused(reason, false);
        }
        let continued = partial.received > 0;
        let tried = attempt(shared, request, url, partial, bar).await;
        match tried.and_then(|()| judge(request, url, partial, continued)) {
            Ok(()) => return Ok(Ok(())),
            Err(Failure::Stop(error)) => {
                partial.discard();
                return Err(error);
            }
            Err(Failure::Elsewhere(reason)) => return refused(reason, true),
            Err(Failure::NotNow(reason)) => return refused(reason, false),
            Err(Failure::Again { reason, after, host }) => {
                // A line that is cut again and again still gets there, as long as each try gets further.
                if partial.received >= furthest + PROGRESS {
                    furthest = partial.received;
                    delays = pauses(shared);
                }
                let Some(delay) = delays.next() else {
                    if host {
                        shared.mark_down(authority, &reason);
                    }
                    return refused(reason, false);
                };
                sleep(delay.max(after)).await;
            }
        }
    }
}

/// Growing pauses, as many as retries are allowed.
fn pauses(shared: &Shared) -> impl Iterator<Item = Duration> + use<> {
    ExponentialBuilder::default()
        .with_min_delay(shared.limits.first_delay)
        .with_max_delay(LONGEST_PAUSE)
        .with_max_times(shared.limits.retries)
        .with_jitter()
        .build()
}

/// Whether a whole file is the wanted one.
fn judge(request: &Request, url: &Url, partial: &mut Partial, continued: bool) -> std::result::Result<(), Failure> {
    let Some(expected) = &request.sha256 else {
        return Ok(());
    };
    let digest = partial.digest();
    if digest == *expected {
        return Ok(());
    }
    if continued {
        // What was left of an earlier try may be to blame: once more from the start.
        partial.restart().map_err(|error| Failure::Stop(error.into()))?;
        return Err(Failure::again("the resumed download had wrong bytes"));
    }
    let how = format!("its SHA-256 is {digest}, but {expected} was expected");
    Err(wrong(request, url, partial, &how))
}
