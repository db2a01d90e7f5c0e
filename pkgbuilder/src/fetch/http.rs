//! One connection: what a server (or a mirror on disk) answers to one request.

use std::fs::File;
use std::io::Read;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use indicatif::ProgressBar;
use reqwest::header::{CONTENT_RANGE, CONTENT_TYPE, ETAG, HeaderName, IF_RANGE, RANGE, RETRY_AFTER};
use reqwest::{Response, StatusCode, Url};
use tokio::time::timeout;

use super::content_range::ContentRange;
use super::partial::Partial;
use super::{Request, Shared};
use crate::input_error;
use crate::verify::release::parse_date;

/// Wrong content is told apart from a login page by its type.
const HTML: &str = "text/html";
/// A connection has this many times the stall's limit to bring [`SLOWEST`] bytes.
const SLOW_WINDOW: u32 = 4;
/// What a connection has to bring in that time: one that brings a byte now and then has stalled as well.
const SLOWEST: u64 = 16 << 10;
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
    /// This URL does not have it.
    Elsewhere(String),
    /// This URL will not give it now, however often it is asked.
    NotNow(String),
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
pub(super) fn wrong(request: &Request, url: &Url, partial: &Partial, how: &str) -> Failure {
    let hint = if partial.html {
        " (and is an HTML page: is there a login page or proxy in the way?)"
    } else {
        ""
    };
    Failure::Stop(input_error!(
        "{} from {} is not the file that was asked for: {how}{hint}; it was thrown away: try again or elsewhere, or \
         correct what is pinned",
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
        if let Some(tag) = partial.tag_of(url) {
            // A server whose file has changed since then answers with all of it.
            get = get.header(IF_RANGE, tag);
        }
    }
    let mut response = match timeout(stall, get.send()).await {
        Err(_) => return Err(Failure::host(format!("no answer for {}", seconds(stall)))),
        Ok(Err(error)) if error.is_redirect() => return Err(Failure::NotNow(innermost(&error))),
        Ok(Err(error)) => return Err(Failure::host(innermost(&error))),
        Ok(Ok(response)) => response,
    };
    let Some(total) = begin(shared, request, url, partial, &response)? else {
        return Ok(());
    };
    let mut pace = Pace::new(stall);
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
            Ok(Ok(Some(chunk))) => {
                take(shared, request, url, partial, &chunk, bar)?;
                pace.keep(chunk.len() as u64, partial.received)?;
            }
        }
    }
    match request.size.or(total) {
        Some(size) if partial.received < size => Err(Failure::again(format!(
            "cut after {} of {size} bytes",
            partial.received
        ))),
        _ => Ok(()),
    }
}

/// Whether a connection brings enough in time.
struct Pace {
    window: Duration,
    since: Instant,
    bytes: u64,
}

impl Pace {
    fn new(stall: Duration) -> Self {
        Self {
            window: stall * SLOW_WINDOW,
            since: Instant::now(),
            bytes: 0,
        }
    }

    fn keep(&mut self, came: u64, received: u64) -> std::result::Result<(), Failure> {
        self.bytes += came;
        if self.since.elapsed() < self.window {
            return Ok(());
        }
        if self.bytes < SLOWEST {
            return Err(Failure::host(format!(
                "too slow after {received} bytes: {} bytes in {}",
                self.bytes,
                seconds(self.window)
            )));
        }
        *self = Self {
            window: self.window,
            since: Instant::now(),
            bytes: 0,
        };
        Ok(())
    }
}

/// Reads the head of an answer and brings the partial to where the body begins; gives the size of the whole file where
/// it is told, or `None` where nothing is left to be read.
#[allow(
    clippy::option_option,
    reason = "whether there is a body, and whether it tells the file's size"
)]
fn begin(
    shared: &Shared,
    request: &Request,
    url: &Url,
    partial: &mut Partial,
    response: &Response,
) -> std::result::Result<Option<Option<u64>>, Failure> {
    let range = header(response, &CONTENT_RANGE).and_then(ContentRange::parse);
    let total = match response.status() {
        StatusCode::PARTIAL_CONTENT => {
            let Some(ContentRange::Part { first, last, total }) = range else {
                return again(partial, "the server resumed without saying where");
            };
            if first != partial.received || partial.received == 0 {
                return again(partial, "the server resumed at another place than asked for");
            }
            let length = last - first + 1;
            if response.content_length().is_some_and(|announced| announced != length) {
                return again(partial, "the server resumed with another length than it says");
            }
            if partial.changed(url, header(response, &ETAG)) {
                return again(partial, "the file changed on the server between two tries");
            }
            total
        }
        StatusCode::RANGE_NOT_SATISFIABLE => {
            let whole = ContentRange::Nothing {
                total: partial.received,
            };
            if range == Some(whole) && request.sha256.is_some() {
                // Nothing is missing: the digest says whether it is the right file.
                return Ok(None);
            }
            return again(partial, "the server cannot resume");
        }
        StatusCode::OK | StatusCode::NON_AUTHORITATIVE_INFORMATION => {
            restart(partial)?;
            response.content_length()
        }
        StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS => return Err(busy(shared, response)),
        status if status.is_server_error() => return Err(busy(shared, response)),
        status => return Err(Failure::Elsewhere(status.to_string())),
    };
    partial.remember(url, response.headers().get(ETAG));
    partial.html = header(response, &CONTENT_TYPE).is_some_and(|kind| kind.starts_with(HTML));
    let total = total.or_else(|| Some(partial.received + response.content_length()?));
    if let (Some(size), Some(total)) = (request.size, total)
        && total != size
    {
        let how = format!("it has {total} bytes, but {size} were expected");
        return Err(wrong(request, url, partial, &how));
    }
    Ok(Some(total))
}

/// Once more from the start.
fn again<T>(partial: &mut Partial, reason: &str) -> std::result::Result<T, Failure> {
    restart(partial)?;
    Err(Failure::again(reason))
}

fn header<'r>(response: &'r Response, name: &HeaderName) -> Option<&'r str> {
    response.headers().get(name).and_then(|value| value.to_str().ok())
}

fn restart(partial: &mut Partial) -> std::result::Result<(), Failure> {
    partial.restart().map_err(|error| Failure::Stop(error.into()))
}

/// The server is busy: another try, not before the time that it asks for.
fn busy(shared: &Shared, response: &Response) -> Failure {
    let status = response.status();
    let after = header(response, &RETRY_AFTER).and_then(|value| wait(value, SystemTime::now()));
    let longest = shared.limits.longest_wait;
    match after {
        Some(after) if after > longest => Failure::NotNow(format!(
            "{status}, and not to be asked again for {} (that is too long to wait)",
            seconds(after)
        )),
        after => Failure::Again {
            reason: status.to_string(),
            after: after.unwrap_or(Duration::ZERO),
            host: false,
        },
    }
}

/// The time that `Retry-After` asks for: seconds, or a date (RFC 9110, section 10.2.3); `None` where it is neither.
fn wait(value: &str, now: SystemTime) -> Option<Duration> {
    let value = value.trim();
    if let Ok(seconds) = value.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = u64::try_from(parse_date(value).ok()?).ok()?;
    let date = UNIX_EPOCH.checked_add(Duration::from_secs(date))?;
    Some(date.duration_since(now).unwrap_or(Duration::ZERO))
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
        let how = format!("it has more than the expected {size} bytes");
        return Err(wrong(request, url, partial, &how));
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
        Some(size) if partial.received < size => {
            let how = format!("it has {} bytes, but {size} were expected", partial.received);
            Err(wrong(request, url, partial, &how))
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_says_when_to_come_back() {
        // `date -u -d '2026-09-12 07:55:41' +%s`
        let now = UNIX_EPOCH + Duration::from_secs(1_789_199_741);
        let asked = |value| wait(value, now).map(|wait| wait.as_secs());
        assert_eq!(asked("120"), Some(120));
        assert_eq!(asked(" 0 "), Some(0));
        assert_eq!(asked("Sat, 12 Sep 2026 07:56:11 GMT"), Some(30));
        assert_eq!(
            asked("Sat, 12 Sep 2026 07:00:00 GMT"),
            Some(0),
            "a time that has passed"
        );
        assert_eq!(asked("soon"), None);
        assert_eq!(asked("-5"), None);
    }

    #[test]
    fn a_trickle_is_a_stall() {
        let mut pace = Pace::new(Duration::from_millis(5));
        assert!(pace.keep(1, 1).is_ok(), "the window has just begun");
        std::thread::sleep(Duration::from_millis(25));
        let Err(Failure::Again { reason, host: true, .. }) = pace.keep(1, 2) else {
            panic!("two bytes in a window are no progress");
        };
        assert_eq!(reason, "too slow after 2 bytes: 2 bytes in 0.02 s");
        let mut pace = Pace::new(Duration::from_millis(5));
        std::thread::sleep(Duration::from_millis(25));
        assert!(pace.keep(SLOWEST, SLOWEST).is_ok());
        assert_eq!(pace.bytes, 0, "a new window");
    }
}
