//! One connection: what a server (or a mirror on disk) answers to one request.

use std::fs::File;
use std::io::Read;
use std::time::Duration;

use indicatif::ProgressBar;
use reqwest::header::{CONTENT_RANGE, CONTENT_TYPE, RANGE, RETRY_AFTER};
use reqwest::{Response, StatusCode, Url};
use tokio::time::timeout;

use super::partial::Partial;
use super::{Request, Shared};
use crate::input_error;

/// The longest wait that a server can ask for by `Retry-After`.
const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// Bytes copied at once from a mirror on disk.
const CHUNK: usize = 1 << 20;

/// Why one try did not give the whole file.
pub(super) enum Failure {
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
    pub(super) fn again(reason: impl Into<String>) -> Self {
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

/// Wrong bytes: nothing else is tried.
pub(super) fn wrong(request: &Request, url: &Url, how: &str) -> Failure {
    Failure::Stop(input_error!(
        "{} from {} is not the file that was asked for: {how}; it was thrown away: try again or elsewhere, or correct \
         what is pinned",
        request.label,
        shown(url)
    ))
}

/// One connection.
pub(super) async fn attempt(
    shared: &Shared,
    request: &Request,
    url: &Url,
    partial: &mut Partial,
    bar: &ProgressBar,
) -> std::result::Result<(), Failure> {
    if request.size == Some(partial.received) && partial.received > 0 {
        return Ok(());
    }
    if request.sha256.is_none() {
        // Nothing says that the next part would be one of the same file.
        restart(partial)?;
    }
    if url.scheme() == "file" {
        return copy(shared, request, url, partial, bar);
    }
    let stall = shared.limits.stall;
    let mut get = shared.client.get(url.clone());
    if partial.received > 0 {
        get = get.header(RANGE, format!("bytes={}-", partial.received));
    }
    let mut response = match timeout(stall, get.send()).await {
        Err(_) => return Err(Failure::host(format!("no answer for {}", seconds(stall)))),
        Ok(Err(error)) => return Err(Failure::host(innermost(&error))),
        Ok(Ok(response)) => response,
    };
    begin(request, url, partial, &response)?;
    loop {
        match timeout(stall, response.chunk()).await {
            Err(_) => {
                let at = partial.received;
                return Err(Failure::host(format!(
                    "stalled after {at} bytes: nothing for {}",
                    seconds(stall)
                )));
            }
            Ok(Err(error)) => {
                let at = partial.received;
                return Err(Failure::again(format!("cut after {at} bytes ({})", innermost(&error))));
            }
            Ok(Ok(None)) => break,
            Ok(Ok(Some(chunk))) => take(shared, request, url, partial, &chunk, bar)?,
        }
    }
    match request.size {
        Some(size) if partial.received < size => Err(Failure::again(format!(
            "cut after {} of {size} bytes",
            partial.received
        ))),
        _ => Ok(()),
    }
}

/// Reads the head of an answer and brings the partial to where the body begins.
fn begin(request: &Request, url: &Url, partial: &mut Partial, response: &Response) -> std::result::Result<(), Failure> {
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
            if start != Some(partial.received) {
                restart(partial)?;
                return Err(Failure::again("the server resumed at another place than asked for"));
            }
        }
        StatusCode::RANGE_NOT_SATISFIABLE => {
            restart(partial)?;
            return Err(Failure::again("the server cannot resume"));
        }
        status if status.is_success() => restart(partial)?,
        StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS => return Err(busy(response)),
        status if status.is_server_error() => return Err(busy(response)),
        status => return Err(Failure::Elsewhere(status.to_string())),
    }
    if let (Some(size), Some(rest)) = (request.size, response.content_length())
        && partial.received + rest != size
    {
        let total = partial.received + rest;
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

fn restart(partial: &mut Partial) -> std::result::Result<(), Failure> {
    partial.restart().map_err(|error| Failure::Stop(error.into()))
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
    shared: &Shared,
    request: &Request,
    url: &Url,
    partial: &mut Partial,
    chunk: &[u8],
    bar: &ProgressBar,
) -> std::result::Result<(), Failure> {
    let total = partial.received + chunk.len() as u64;
    if let Some(size) = request.size
        && total > size
    {
        return Err(wrong(
            request,
            url,
            &format!("it has more than the expected {size} bytes"),
        ));
    }
    partial.append(chunk).map_err(|error| {
        let error = anyhow::Error::from(error);
        Failure::Stop(error.context(shared.cache.writing(&request.label)))
    })?;
    bar.inc(chunk.len() as u64);
    Ok(())
}

/// A mirror on disk.
fn copy(
    shared: &Shared,
    request: &Request,
    url: &Url,
    partial: &mut Partial,
    bar: &ProgressBar,
) -> std::result::Result<(), Failure> {
    let path = url
        .to_file_path()
        .map_err(|()| Failure::Elsewhere("not a path of this machine".to_owned()))?;
    restart(partial)?;
    let mut file = File::open(path).map_err(|error| Failure::Elsewhere(error.to_string()))?;
    let mut chunk = vec![0; CHUNK];
    loop {
        match file.read(&mut chunk) {
            Err(error) => return Err(Failure::Elsewhere(error.to_string())),
            Ok(0) => break,
            Ok(read) => take(shared, request, url, partial, &chunk[..read], bar)?,
        }
    }
    match request.size {
        Some(size) if partial.received < size => Err(wrong(
            request,
            url,
            &format!("it has {} bytes, but {size} were expected", partial.received),
        )),
        _ => Ok(()),
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
