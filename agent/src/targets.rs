//! Prometheus' targets, from Consul's catalog, in the format of Prometheus' HTTP discovery
//! (prometheus.io/docs/prometheus/latest/http_sd).

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

/// The targets of the job called `name`, down or up; `None` when there is no such job.
///
/// # Errors
/// Consul does not answer: Prometheus then keeps the targets that it has.
pub fn of(name: &str) -> anyhow::Result<Option<Vec<Group>>> {
    let Some(job) = JOBS.iter().find(|job| job.name == name) else {
        return Ok(None);
    };
    let mut groups: Vec<Group> = Vec::new();
    for service in job.services {
        let url = format!("http://127.0.0.1:{}/v1/catalog/service/{service}", consul::HTTP_PORT);
        let answer = api::get(&url).context("asking Consul for targets")?;
        for group in parse(job, &answer).with_context(|| format!("reading Consul's answer to {url}"))? {
            // A node that is Nomad server and client has both services on one port: one target.
            if groups.iter().all(|known| known.targets != group.targets) {
                groups.push(group);
            }
        }
    }
    Ok(Some(groups))
}

fn parse(job: &Job, answer: &str) -> anyhow::Result<Vec<Group>> {
    let instances: Vec<Instance> = serde_json::from_str(answer)?;
    Ok(instances
        .into_iter()
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
        .collect())
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

    proptest! {
        #[test]
        fn foreign_answers_never_panic(answer in "(?s).*") {
            let _ = parse(&JOBS[0], &answer);
        }
    }
}
