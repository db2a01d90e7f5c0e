//! Local HTTP interfaces, asked with short timeouts. Blocking: callers on a runtime use its blocking threads.

use std::time::Duration;

use anyhow::{Context, bail};

/// How long one question may take. A Pi under load takes seconds for what takes milliseconds elsewhere.
const TIMEOUT: Duration = Duration::from_secs(5);
/// No answer that we ask for is larger.
const LARGEST: u64 = 4 << 20;

/// The body that answers `GET url`.
///
/// # Errors
/// Nobody listens, no answer in time, or a status of 400 and up.
pub fn get(url: &str) -> anyhow::Result<String> {
    let (status, body) = answer(url)?;
    if status.is_client_error() || status.is_server_error() {
        bail!("{status}: {}", body.lines().next().unwrap_or("").trim());
    }
    Ok(body)
}

/// The body that answers `GET url`, whatever its status: some say in it what is wrong.
///
/// # Errors
/// Nobody listens, or no answer in time.
pub fn body(url: &str) -> anyhow::Result<String> {
    answer(url).map(|(_, body)| body)
}

fn answer(url: &str) -> anyhow::Result<(ureq::http::StatusCode, String)> {
    let mut response = agent().get(url).call().map_err(plain)?;
    let body = response
        .body_mut()
        .with_config()
        .limit(LARGEST)
        .read_to_string()
        .context("reading the answer")?;
    Ok((response.status(), body))
}

/// `PUT url` without a body.
///
/// # Errors
/// As [`get`].
pub fn put(url: &str) -> anyhow::Result<()> {
    let mut response = agent().put(url).send_empty().map_err(plain)?;
    let status = response.status();
    if !status.is_success() {
        let body = response.body_mut().read_to_string().unwrap_or_default();
        bail!("{status}: {}", body.lines().next().unwrap_or("").trim());
    }
    Ok(())
}

fn agent() -> ureq::Agent {
    ureq::Agent::config_builder()
        .timeout_global(Some(TIMEOUT))
        .http_status_as_error(false)
        // A proxy of the environment knows nothing of this machine's loopback.
        .proxy(None)
        .build()
        .into()
}

/// The library's errors in the words that people see on the console.
fn plain(err: ureq::Error) -> anyhow::Error {
    match err {
        ureq::Error::Io(io) if io.kind() == std::io::ErrorKind::ConnectionRefused => {
            anyhow::anyhow!("does not run yet")
        }
        ureq::Error::Timeout(_) => anyhow::anyhow!("gave no answer for {} seconds", TIMEOUT.as_secs()),
        other => anyhow::Error::new(other),
    }
}
