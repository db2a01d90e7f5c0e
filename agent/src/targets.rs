//! Prometheus' targets, from Consul's catalog, in the format of Prometheus' HTTP discovery
//! (prometheus.io/docs/prometheus/latest/http_sd).

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context;
use serde::{Deserialize, Serialize};

use crate::render::consul;
use crate::render::prometheus::{JOBS, Job};
use crate::status::api;

/// One target with its labels.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Group {
    targets: [String; 1],
    labels: Labels,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Labels {
    node: String,
    service: String,
}

/// An instance of a service, as `/v1/catalog/service/<name>` lists them.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Instance {
    node: String,
    address: String,
    service_name: String,
    service_address: String,
    service_port: u16,
    #[serde(default)]
    service_tags: Vec<String>,
}

/// Whether Consul's catalog has answered since the agent started: Prometheus has targets from it then, and keeps them.
static CATALOG_SEEN: AtomicBool = AtomicBool::new(false);

/// The targets of the job called `name`, down or up; `None` when there is no such job.
///
/// As long as Consul has found no server, they are what runs here: a monitor that is alone watches itself.
///
/// # Errors
/// Consul does not answer: Prometheus then keeps the targets that it has.
pub fn of(name: &str) -> anyhow::Result<Option<Vec<Group>>> {
    let Some(job) = JOBS.iter().find(|job| job.name == name) else {
        return Ok(None);
    };
    let mut groups: Vec<Group> = Vec::new();
    for service in job.services {
        for group in instances(job, service).with_context(|| format!("looking for instances of {service}"))? {
            // A node that is Nomad server and client has both services on one port: one target.
            if groups.iter().all(|known| known.targets != group.targets) {
                groups.push(group);
            }
        }
    }
    Ok(Some(groups))
}

fn instances(job: &Job, service: &str) -> anyhow::Result<Vec<Group>> {
    let consul = format!("http://127.0.0.1:{}/v1", consul::HTTP_PORT);
    match api::get(&format!("{consul}/catalog/service/{service}")) {
        Ok(answer) => {
            CATALOG_SEEN.store(true, Ordering::Relaxed);
            parse(job, &answer).context("reading Consul's catalog")
        }
        Err(error) if CATALOG_SEEN.load(Ordering::Relaxed) => Err(error).context("asking Consul's catalog"),
        Err(_) => {
            let answer = api::get(&format!("{consul}/agent/services")).context("asking Consul what runs here")?;
            let name = api::get(&format!("{consul}/agent/self")).context("asking Consul who this node is")?;
            own(job, service, &answer, &name).context("reading what Consul says of this node")
        }
    }
}

/// What runs on this node, from `/v1/agent/services` and `/v1/agent/self`, which need no server.
fn own(job: &Job, service: &str, services: &str, agent: &str) -> anyhow::Result<Vec<Group>> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Own {
        service: String,
        address: String,
        port: u16,
        #[serde(default)]
        tags: Vec<String>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Agent {
        member: Member,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Member {
        name: String,
        addr: String,
    }
    let services: BTreeMap<String, Own> = serde_json::from_str(services)?;
    let Agent { member } = serde_json::from_str(agent)?;
    let of_service = services.into_values().filter(|own| own.service == service);
    Ok(groups(
        job,
        of_service.map(|own| Instance {
            node: member.name.clone(),
            address: member.addr.clone(),
            service_name: own.service,
            service_address: own.address,
            service_port: own.port,
            service_tags: own.tags,
        }),
    ))
}

fn parse(job: &Job, answer: &str) -> anyhow::Result<Vec<Group>> {
    let instances: Vec<Instance> = serde_json::from_str(answer)?;
    Ok(groups(job, instances.into_iter()))
}

fn groups(job: &Job, instances: impl Iterator<Item = Instance>) -> Vec<Group> {
    instances
        .filter(|instance| instance.service_tags.iter().any(|tag| tag == job.tag))
        .map(|instance| {
            // A service without an address of its own has its node's.
            let host = if instance.service_address.is_empty() {
                &instance.address
            } else {
                &instance.service_address
            };
            Group {
                targets: [format!("{host}:{}", instance.service_port)],
                labels: Labels {
                    node: instance.node,
                    service: instance.service_name,
                },
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_the_tagged_port_is_a_target() {
        let answer = r#"[
            {"Node": "core-1", "Address": "10.0.0.1", "ServiceName": "nomad", "ServiceAddress": "10.0.0.1",
             "ServicePort": 4646, "ServiceTags": ["http"], "Datacenter": "home"},
            {"Node": "core-1", "Address": "10.0.0.1", "ServiceName": "nomad", "ServiceAddress": "10.0.0.1",
             "ServicePort": 4647, "ServiceTags": ["rpc"]}]"#;
        assert_eq!(
            serde_json::to_value(parse(&JOBS[0], answer).unwrap()).unwrap(),
            serde_json::json!([{"targets": ["10.0.0.1:4646"], "labels": {"node": "core-1", "service": "nomad"}}])
        );
    }

    #[test]
    fn a_service_without_an_address_has_its_nodes() {
        let answer = r#"[{"Node": "a", "Address": "10.0.0.2", "ServiceName": "node-exporter", "ServiceAddress": "",
            "ServicePort": 9100, "ServiceTags": ["prometheus"]}]"#;
        assert_eq!(parse(&JOBS[2], answer).unwrap()[0].targets, ["10.0.0.2:9100"]);
    }

    #[test]
    fn a_node_that_is_alone_is_its_own_target() {
        let services = r#"{
            "node-exporter": {"ID": "node-exporter", "Service": "node-exporter", "Tags": ["prometheus"], "Meta": {},
                "Port": 9100, "Address": "", "Weights": {"Passing": 1, "Warning": 1}, "Datacenter": "home"},
            "prometheus": {"ID": "prometheus", "Service": "prometheus", "Tags": ["prometheus"], "Port": 9090,
                "Address": "10.0.0.3"}}"#;
        let agent =
            r#"{"Config": {"NodeName": "mon-1"}, "Member": {"Name": "mon-1", "Addr": "10.0.0.3", "Port": 8301}}"#;
        assert_eq!(
            serde_json::to_value(own(&JOBS[2], "node-exporter", services, agent).unwrap()).unwrap(),
            serde_json::json!([{"targets": ["10.0.0.3:9100"], "labels": {"node": "mon-1", "service": "node-exporter"}}])
        );
        assert_eq!(own(&JOBS[0], "nomad", services, agent).unwrap(), []);
    }

    proptest! {
        #[test]
        fn foreign_answers_never_panic(answer in "(?s).*") {
            let _ = own(&JOBS[0], "nomad", &answer, &answer);
            let _ = parse(&JOBS[0], &answer);
        }
    }
}
