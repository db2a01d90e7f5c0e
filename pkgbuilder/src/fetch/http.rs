//! One download: resumed where it was cut, tried again with growing pauses, then from the next URL.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};
use backon::{BackoffBuilder, ExponentialBuilder};
use indicatif::ProgressBar;
use reqwest::header::{CONTENT_RANGE, CONTENT_TYPE, RANGE, RETRY_AFTER};
use reqwest::{Response, StatusCode, Url};
use tempfile::TempPath;
use tokio::time::{sleep, timeout};

use super::cache::{self, Cache};
use super::{Fetched, Outcome, Request, Shared, Unreachable};
use crate::input_error;
use crate::verify::Sha256;
use crate::verify::digest::Hasher;

/// The longest wait that a server can ask for by `Retry-After`.
const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// The longest pause of our own between two tries.
const LONGEST_DELAY: Duration = Duration::from_secs(10);
/// How often a download that another process has under way is looked at.
const LOCK_INTERVAL: Duration = Duration::from_millis(100);
/// Bytes copied at once from a mirror on disk.
const CHUNK: usize = 1 << 20;

/// Why one try did not give the whole file.
enum Failure {
    /// Worth another try, at the earliest after the given time; `host` if the host as a whole did not answer.
    Again {
        reason: String,
        after: Duration,
        host: bool,
    },
    /// This URL will not give it.
    Elsewhere(String),
    /// Nothing else is to be tried.
    Stop(anyhow::Error),
}

impl Failure {
    fn again(reason: impl Into<String>) -> Self {
        Self::Again {
            reason: reason.into(),
            after: Duration::ZERO,
            host: false,
        }
    }

    fn host(reason: impl Into<String>) -> Self {
        Self::Again {
            reason: reason.into(),
            after: Duration::ZERO,
            host: true,
        }
    }
}

/// Fetches one file from the first URL that gives it.
pub(super) async fn download(shared: &Shared, request: &Request, bar: &ProgressBar) -> Result<Outcome> {
    let writing = || format!("writing {} to the cache", request.label);
    let mut sink = match &request.sha256 {
        Some(sha256) => match Sink::resumed(&shared.cache, sha256).await? {
            Some(sink) => sink,
            // Another process finished it while we waited.
            None => return Ok(Ok(found(&shared.cache, sha256))),
        },
        None => Sink::fresh(&shared.cache)?,
    };
    if request.size.is_some_and(|size| sink.received > size) {
        sink.restart().with_context(writing)?;
    }
    let mut reasons = Vec::new();
    let mut gone = true;
    for url in &request.urls {
        let url = Url::parse(url).map_err(|error| input_error!("`{url}` is not a URL: {error}"))?;
        match from_url(shared, request, &url, &mut sink, bar).await? {
            Ok(()) => return finish(shared, request, &url, sink).map(Ok),
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
    sink: &mut Sink,
    bar: &ProgressBar,
) -> Result<std::result::Result<(), Refusal>> {
    let refused = |reason, gone| Ok(Err(Refusal { reason, gone }));
    let host = url.authority().to_owned();
    let mut delays = delays(shared);
    let mut furthest = sink.received;
    loop {
        if let Some(reason) = shared.why_down(&host) {
            return refused(reason, false);
        }
        let continued = sink.received > 0;
        let tried = attempt(shared, request, url, sink, bar).await;
        match tried.and_then(|()| judge(request, url, sink, continued)) {
            Ok(()) => return Ok(Ok(())),
            Err(Failure::Stop(error)) => {
                sink.discard();
                return Err(error);
            }
            Err(Failure::Elsewhere(reason)) => return refused(reason, true),
            Err(Failure::Again {
                reason,
                after,
                host: whole,
            }) => {
                // A line that is cut again and again still gets there, as long as each try gets further.
                if sink.received > furthest {
                    furthest = sink.received;
                    delays = self::delays(shared);
                }
                let Some(delay) = delays.next() else {
                    if whole {
                        shared.mark_down(&host, &reason);
                    }
                    return refused(reason, false);
                };
                sleep(delay.max(after)).await;
            }
        }
    }
}

fn delays(shared: &Shared) -> impl Iterator<Item = Duration> + use<> {
    ExponentialBuilder::default()
        .with_min_delay(shared.limits.first_delay)
        .with_max_delay(LONGEST_DELAY)
        .with_max_times(shared.limits.retries)
        .with_jitter()
        .build()
}

/// Whether a whole file is the wanted one.
fn judge(request: &Request, url: &Url, sink: &mut Sink, continued: bool) -> std::result::Result<(), Failure> {
    let Some(expected) = &request.sha256 else {
        return Ok(());
    };
    let digest = sink.hasher.clone().finish();
    if digest == *expected {
        return Ok(());
    }
    if continued {
        // What was left of an earlier try may be to blame: once more from the start.
        sink.restart().map_err(|error| Failure::Stop(error.into()))?;
        return Err(Failure::again("the resumed download had wrong bytes"));
    }
    Err(wrong(
        request,
        url,
        &format!("its SHA-256 is {digest}, but {expected} was expected"),
    ))
}

/// Wrong bytes: nothing else is tried.
fn wrong(request: &Request, url: &Url, how: &str) -> Failure {
    Failure::Stop(input_error!(
        "{} from {} is not the file that was asked for: {how}; it was thrown away",
        request.label,
        shown(url)
    ))
}

/// One connection.
async fn attempt(
    shared: &Shared,
    request: &Request,
    url: &Url,
    sink: &mut Sink,
    bar: &ProgressBar,
) -> std::result::Result<(), Failure> {
    if request.size == Some(sink.received) && sink.received > 0 {
        return Ok(());
    }
    if url.scheme() == "file" {
        return copy(request, url, sink, bar);
    }
    let stall = shared.limits.stall;
    let mut get = shared.client.get(url.clone());
    if sink.received > 0 {
        get = get.header(RANGE, format!("bytes={}-", sink.received));
    }
    let mut response = match timeout(stall, get.send()).await {
        Err(_) => return Err(Failure::host(format!("no answer for {}", seconds(stall)))),
        Ok(Err(error)) => return Err(Failure::host(innermost(&error))),
        Ok(Ok(response)) => response,
    };
    begin(request, url, sink, &response)?;
    loop {
        match timeout(stall, response.chunk()).await {
            Err(_) => {
                let at = sink.received;
                return Err(Failure::host(format!(
                    "stalled after {at} bytes: nothing for {}",
                    seconds(stall)
                )));
            }
            Ok(Err(error)) => {
                let at = sink.received;
                return Err(Failure::again(format!("cut after {at} bytes ({})", innermost(&error))));
            }
            Ok(Ok(None)) => break,
            Ok(Ok(Some(chunk))) => take(request, url, sink, &chunk, bar)?,
        }
    }
    match request.size {
        Some(size) if sink.received < size => {
            Err(Failure::again(format!("cut after {} of {size} bytes", sink.received)))
        }
        _ => Ok(()),
    }
}

/// Reads the head of an answer and brings the sink to where the body begins.
fn begin(request: &Request, url: &Url, sink: &mut Sink, response: &Response) -> std::result::Result<(), Failure> {
    let status = response.status();
    match status {
        StatusCode::PARTIAL_CONTENT => {
            let header = response
                .headers()
                .get(CONTENT_RANGE)
                .and_then(|value| value.to_str().ok());
            let start = header
                .and_then(|value| value.strip_prefix("bytes "))
                .and_then(|value| value.split('-').next())
                .and_then(|value| value.parse::<u64>().ok());
            if start != Some(sink.received) {
                restart(sink)?;
                return Err(Failure::again("the server resumed at another place than asked for"));
            }
        }
        StatusCode::RANGE_NOT_SATISFIABLE => {
            restart(sink)?;
            return Err(Failure::again("the server cannot resume"));
        }
        status if status.is_success() => restart(sink)?,
        StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS => return Err(busy(response)),
        status if status.is_server_error() => return Err(busy(response)),
        status => return Err(Failure::Elsewhere(status.to_string())),
    }
    if let (Some(size), Some(rest)) = (request.size, response.content_length())
        && sink.received + rest != size
    {
        let total = sink.received + rest;
        let kind = response
            .headers()
            .get(CONTENT_TYPE)
            .and_then(|value| value.to_str().ok());
        let hint = if kind.is_some_and(|kind| kind.starts_with("text/html")) {
            " and an HTML page (is there a login page or proxy in the way?)"
        } else {
            ""
        };
        return Err(wrong(
            request,
            url,
            &format!("it has {total} bytes{hint}, but {size} were expected"),
        ));
    }
    Ok(())
}

fn restart(sink: &mut Sink) -> std::result::Result<(), Failure> {
    sink.restart().map_err(|error| Failure::Stop(error.into()))
}

fn busy(response: &Response) -> Failure {
    let after = response
        .headers()
        .get(RETRY_AFTER)
        .and_then(|value| value.to_str().ok());
    let after = after
        .and_then(|value| value.parse().ok())
        .map_or(Duration::ZERO, Duration::from_secs);
    Failure::Again {
        reason: response.status().to_string(),
        after: after.min(LONGEST_WAIT),
        host: false,
    }
}

fn take(
    request: &Request,
    url: &Url,
    sink: &mut Sink,
    chunk: &[u8],
    bar: &ProgressBar,
) -> std::result::Result<(), Failure> {
    let total = sink.received + chunk.len() as u64;
    if let Some(size) = request.size
        && total > size
    {
        return Err(wrong(
            request,
            url,
            &format!("it has more than the expected {size} bytes"),
        ));
    }
    sink.append(chunk).map_err(|error| {
        let error = anyhow::Error::from(error);
        Failure::Stop(error.context(format!("writing {} to the cache", request.label)))
    })?;
    bar.inc(chunk.len() as u64);
    Ok(())
}

/// A mirror on disk.
fn copy(request: &Request, url: &Url, sink: &mut Sink, bar: &ProgressBar) -> std::result::Result<(), Failure> {
    let path = url
        .to_file_path()
        .map_err(|()| Failure::Elsewhere("not a path of this machine".to_owned()))?;
    restart(sink)?;
    let mut file = File::open(path).map_err(|error| Failure::Elsewhere(error.to_string()))?;
    let mut chunk = vec![0; CHUNK];
    loop {
        match file.read(&mut chunk) {
            Err(error) => return Err(Failure::Elsewhere(error.to_string())),
            Ok(0) => break,
            Ok(read) => take(request, url, sink, &chunk[..read], bar)?,
        }
    }
    match request.size {
        Some(size) if sink.received < size => Err(wrong(
            request,
            url,
            &format!("it has {} bytes, but {size} were expected", sink.received),
        )),
        _ => Ok(()),
    }
}

fn finish(shared: &Shared, request: &Request, url: &Url, sink: Sink) -> Result<Fetched> {
    let sha256 = sink.hasher.clone().finish();
    let path = shared
        .cache
        .adopt(&sink.file, &sink.path, &sha256)
        .with_context(|| format!("writing {} to the cache", request.label))?;
    sink.keep();
    Ok(Fetched {
        path,
        sha256,
        url: Some(shown(url)),
    })
}

/// A file that grows by downloading.
struct Sink {
    file: File,
    path: PathBuf,
    received: u64,
    hasher: Hasher,
    /// Removes a file whose digest is not known beforehand; the others wait for a resumption.
    temporary: Option<TempPath>,
    /// The file is no longer ours: it has got its name, or is gone.
    settled: bool,
}

impl Drop for Sink {
    fn drop(&mut self) {
        // An empty file is nothing to resume.
        if self.received == 0 && !self.settled {
            self.discard();
        }
    }
}

impl Sink {
    /// A download without a name to find it again.
    fn fresh(cache: &Cache) -> Result<Self> {
        let folder = cache.root().join("partial");
        let (file, path) = tempfile::Builder::new()
            .prefix(".incoming-")
            .tempfile_in(&folder)
            .with_context(|| format!("creating a file in {}", folder.display()))?
            .into_parts();
        Ok(Self {
            file,
            path: path.to_path_buf(),
            received: 0,
            hasher: Hasher::default(),
            temporary: Some(path),
            settled: false,
        })
    }

    /// What there is of an object, locked against other processes; `None` if the object is complete by now.
    async fn resumed(cache: &Cache, sha256: &Sha256) -> Result<Option<Self>> {
        let path = cache.partial(sha256);
        let mut file = loop {
            let locked = cache::try_lock(&path)?;
            if cache.get(sha256).is_some() {
                if locked.is_some_and(|file| file.metadata().is_ok_and(|metadata| metadata.len() == 0)) {
                    // Ours alone, and not needed: the object came while the file was made.
                    let _ = std::fs::remove_file(&path);
                }
                return Ok(None);
            }
            if let Some(file) = locked {
                break file;
            }
            sleep(LOCK_INTERVAL).await;
        };
        let mut hasher = Hasher::default();
        let mut chunk = vec![0; CHUNK];
        let mut received = 0;
        loop {
            match file
                .read(&mut chunk)
                .with_context(|| format!("reading {}", path.display()))?
            {
                0 => break,
                read => {
                    hasher.update(&chunk[..read]);
                    received += read as u64;
                }
            }
        }
        Ok(Some(Self {
            file,
            path,
            received,
            hasher,
            temporary: None,
            settled: false,
        }))
    }

    fn append(&mut self, chunk: &[u8]) -> std::io::Result<()> {
        self.file.write_all(chunk)?;
        self.hasher.update(chunk);
        self.received += chunk.len() as u64;
        Ok(())
    }

    fn restart(&mut self) -> std::io::Result<()> {
        if self.received > 0 {
            self.file.set_len(0)?;
            self.file.seek(SeekFrom::Start(0))?;
            self.received = 0;
            self.hasher = Hasher::default();
        }
        Ok(())
    }

    /// Removes what was received, which is of no use.
    fn discard(&mut self) {
        // A partial file that stays is only a resumption that fails.
        let _ = std::fs::remove_file(&self.path);
        self.settled = true;
    }

    /// The file has got its name in the cache.
    fn keep(mut self) {
        self.settled = true;
        if let Some(path) = self.temporary.take() {
            let _ = path.keep();
        }
    }
}

/// A URL without user name and password.
pub(super) fn shown(url: &Url) -> String {
    let mut url = url.clone();
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.to_string()
}

fn seconds(duration: Duration) -> String {
    format!("{} s", duration.as_secs_f64())
}

/// The cause at the bottom of an error chain: `Connection refused (os error 111)`.
fn innermost(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string()
}
