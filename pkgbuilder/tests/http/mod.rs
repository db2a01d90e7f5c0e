//! The services of a node as a browser sees them, and patience with them.

#![allow(dead_code, reason = "each test binary uses its part")]

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

/// What answers on the ports of an address.
#[derive(Clone, Debug)]
pub(crate) struct Http {
    address: Ipv4Addr,
    agent: ureq::Agent,
}

impl Http {
    /// Every answer is to come within `limit`, and by a connection of its own: a port that is forwarded may lead to another node
    /// than before, while QEMU keeps the connections to one that is off open, and nobody answers there.
    pub(crate) fn at(address: Ipv4Addr, limit: Duration) -> Self {
        let config = ureq::Agent::config_builder()
            .timeout_global(Some(limit))
            .max_idle_connections(0)
            .build();
        Self {
            address,
            agent: config.into(),
        }
    }

    pub(crate) fn get(&self, port: u16, path: &str) -> Result<Value> {
        let url = self.url(port, path);
        self.agent
            .get(&url)
            .call()
            .and_then(|mut answer| answer.body_mut().read_json())
            .with_context(|| url)
    }

    /// The answer of a service that says by its status how it is.
    pub(crate) fn get_whatever_status(&self, port: u16, path: &str) -> Result<Value> {
        let url = self.url(port, path);
        let request = self.agent.get(&url).config().http_status_as_error(false).build();
        request
            .call()
            .and_then(|mut answer| answer.body_mut().read_json())
            .with_context(|| url)
    }

    pub(crate) fn text(&self, port: u16, path: &str) -> Result<String> {
        let url = self.url(port, path);
        self.agent
            .get(&url)
            .call()
            .and_then(|mut answer| answer.body_mut().read_to_string())
            .with_context(|| url)
    }

    pub(crate) fn put(&self, port: u16, path: &str, body: &str) -> Result<()> {
        let url = self.url(port, path);
        self.agent.put(&url).send(body).with_context(|| url)?;
        Ok(())
    }

    fn post(&self, port: u16, path: &str, body: &Value) -> Result<Value> {
        let url = self.url(port, path);
        self.agent
            .post(&url)
            .send_json(body)
            .and_then(|mut answer| answer.body_mut().read_json())
            .with_context(|| url)
    }

    /// Submits a job written in HCL to Nomad, as `nomad job run` does.
    pub(crate) fn submit(&self, port: u16, hcl: &str) -> Result<()> {
        let parsed = self.post(port, "/v1/jobs/parse", &json!({"JobHCL": hcl, "Canonicalize": true}))?;
        self.post(port, "/v1/jobs", &json!({"Job": parsed}))?;
        Ok(())
    }

    fn url(&self, port: u16, path: &str) -> String {
        format!("http://{}:{port}{path}", self.address)
    }
}

/// Tries `what` until it succeeds.
pub(crate) fn eventually<T>(limit: Duration, what: impl FnMut() -> Result<T>) -> Result<T> {
    eventually_while(limit, || Ok(()), what)
}

/// The same, as long as `alive` succeeds.
pub(crate) fn eventually_while<T>(
    limit: Duration,
    mut alive: impl FnMut() -> Result<()>,
    mut what: impl FnMut() -> Result<T>,
) -> Result<T> {
    let began = Instant::now();
    loop {
        match what() {
            Ok(value) => return Ok(value),
            Err(error) if began.elapsed() > limit => bail!("not within {} s: {error:#}", limit.as_secs()),
            Err(_) => alive()?,
        }
        std::thread::sleep(Duration::from_secs(1));
    }
}
