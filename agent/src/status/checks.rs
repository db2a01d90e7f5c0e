//! One check per service, over the interface that its users use.

use anyhow::{Context, bail};
use computatom_spec::role::Role;
use computatom_spec::site::Site;
use serde::Serialize;

use crate::identity::Identity;
use crate::render::{consul, exporter, nomad, prometheus};
use crate::role::Assignment;
use crate::status::api;

/// The result of one check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What was asked.
    pub service: &'static str,
    /// The unit that runs it.
    pub unit: &'static str,
    /// Whether it does its work.
    pub healthy: bool,
    /// The leader's address, the number of targets, or what is wrong.
    pub detail: String,
    /// Its page for people, where it has one.
    pub url: Option<String>,
}

impl Check {
    fn new(service: &'static str, unit: &'static str, result: anyhow::Result<String>, url: Option<String>) -> Self {
        let (healthy, detail) = match result {
            Ok(detail) => (true, detail),
            Err(err) => (false, format!("{err:#}")),
        };
        Self {
            service,
            unit,
            healthy,
            detail,
            url,
        }
    }

    /// What a person can look at when the check fails.
    pub fn hint(&self, site: &Site) -> Option<String> {
        let servers = [NO_LEADER, NO_SERVER].iter().any(|words| self.detail.contains(words));
        servers.then(|| match site.servers.as_slice() {
            [only] => format!("the server is `{only}`: is it up?"),
            several => format!("a majority of {} must be up", several.join(", ")),
        })
    }
}

const NO_LEADER: &str = "has no leader";
/// What Consul's and Nomad's clients know none of until they have joined one.
const NO_SERVER: &str = "knows no server";

/// Checks the services of the node's roles.
pub fn all(identity: &Identity, assignment: &Assignment) -> Vec<Check> {
    let Some(address) = identity.address() else {
        return Vec::new();
    };
    let page = |port: u16| Some(format!("http://{address}:{port}/"));
    let server = assignment.has(Role::Server);
    let mut checks = vec![Check::new(
        "consul",
        consul::UNIT,
        consul_leader(),
        server.then(|| page(consul::HTTP_PORT)).flatten(),
    )];
    if server {
        checks.push(Check::new(
            "nomad server",
            nomad::UNIT,
            leader(nomad::HTTP_PORT),
            page(nomad::HTTP_PORT),
        ));
    }
    if assignment.has(Role::Client) {
        checks.push(Check::new("nomad client", nomad::UNIT, nomad_client(), None));
    }
    if assignment.has(Role::Monitor) {
        let ready = api::get(&format!("http://{address}:{}/-/ready", prometheus::PORT)).map(|_| "ready".to_owned());
        checks.push(Check::new(
            "prometheus",
            prometheus::UNIT,
            ready,
            page(prometheus::PORT),
        ));
    }
    let answer = api::get(&format!("http://127.0.0.1:{}/", exporter::PORT)).map(|_| "answers".to_owned());
    checks.push(Check::new("node exporter", exporter::UNIT, answer, None));
    checks
}

/// The leader of Consul's servers.
///
/// # Errors
/// Consul does not run, or has none.
pub fn consul_leader() -> anyhow::Result<String> {
    leader(consul::HTTP_PORT)
}

/// Whether Consul answers for itself, whatever it says: what it has to ask others for it may hold for seconds.
///
/// # Errors
/// It does not run, or is not that far yet.
pub fn consul_answers() -> anyhow::Result<()> {
    answers(consul::HTTP_PORT)
}

fn answers(port: u16) -> anyhow::Result<()> {
    api::body(&format!("http://127.0.0.1:{port}/v1/agent/version")).map(drop)
}

/// The leader as Consul's and Nomad's `/v1/status/leader` tell it: a JSON string, empty while there is none.
/// A server of Nomad without a leader, and a client of Consul without a server, answer 500 with these words.
fn leader(port: u16) -> anyhow::Result<String> {
    let answer = match api::get(&format!("http://127.0.0.1:{port}/v1/status/leader")) {
        Err(err) => {
            let words = format!("{err:#}").to_ascii_lowercase();
            if words.contains("no cluster leader") {
                bail!(NO_LEADER);
            }
            if words.contains("no known consul servers") {
                bail!(NO_SERVER);
            }
            return Err(err);
        }
        Ok(answer) => answer,
    };
    let leader: String = serde_json::from_str(answer.trim()).context("reading the leader")?;
    if leader.is_empty() {
        bail!(NO_LEADER);
    }
    Ok(format!("leader {leader}"))
}

/// Nomad's own word on its client: it is healthy when it knows a server.
fn nomad_client() -> anyhow::Result<String> {
    let url = format!("http://127.0.0.1:{}/v1/agent/health?type=client", nomad::HTTP_PORT);
    client_health(&api::body(&url)?)
}

fn client_health(answer: &str) -> anyhow::Result<String> {
    let answer: serde_json::Value = serde_json::from_str(answer).context("reading its health")?;
    let client = &answer["client"];
    if client["ok"] == true {
        return Ok("ready for jobs".to_owned());
    }
    match client["message"].as_str() {
        Some("no known servers") => bail!(NO_SERVER),
        words => bail!("{}", words.unwrap_or("is not healthy")),
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn a_refusal_is_an_answer_too() {
        // As a client of Consul's that knows no server.
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let served = std::thread::spawn(move || {
            for _ in 0..2 {
                let (mut stream, _) = listener.accept().unwrap();
                let mut request = [0; 1024];
                let _ = stream.read(&mut request).unwrap();
                let body = "No known Consul servers";
                let length = body.len();
                write!(
                    stream,
                    "HTTP/1.1 500 Internal Server Error\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}"
                )
                .unwrap();
            }
        });
        answers(port).unwrap();
        assert_eq!(leader(port).unwrap_err().to_string(), NO_SERVER);
        served.join().unwrap();
        assert!(answers(port).is_err(), "nobody listens any more");
    }

    #[test]
    fn a_client_without_servers_says_which_to_look_at() {
        // Nomad 1.10.5 answers these with 200 and 500.
        let healthy = client_health(r#"{"client":{"ok":true,"message":"ok"}}"#);
        assert_eq!(healthy.unwrap(), "ready for jobs");
        let alone = client_health(r#"{"client":{"ok":false,"message":"no known servers"}}"#);
        let check = Check::new("nomad client", nomad::UNIT, alone, None);
        assert_eq!(check.detail, "knows no server");
        assert_eq!(
            check.hint(&Site::default()).unwrap(),
            "the server is `core-1`: is it up?"
        );
        assert!(client_health("<html>").is_err());
    }
}
