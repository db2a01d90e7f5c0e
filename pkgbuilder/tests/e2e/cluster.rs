//! The cluster as a person with a browser sees it: Consul's, Nomad's, Prometheus' and the agent's own answers.

use std::net::Ipv4Addr;
use std::ops::Deref;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use super::http::Http;

/// One node's APIs.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) name: &'static str,
    pub(crate) address: Ipv4Addr,
    services: Http,
}

impl Node {
    pub(crate) fn new(name: &'static str, address: Ipv4Addr) -> Self {
        Self {
            name,
            address,
            services: Http::at(address, Duration::from_secs(10)),
        }
    }

    /// Consul has a leader, and this node is a member.
    pub(crate) fn consul_ready(&self) -> Result<()> {
        let leader = self.get(8500, "/v1/status/leader")?;
        ensure!(
            leader.as_str().is_some_and(|leader| !leader.is_empty()),
            "Consul has no leader"
        );
        let members = self.get(8500, "/v1/agent/members")?;
        let alive = array(&members)
            .iter()
            .any(|member| member["Name"] == self.name && member["Status"] == 1);
        ensure!(alive, "Consul has no living member `{}`: {members}", self.name);
        Ok(())
    }

    /// Nomad has a leader, and this node is a ready client that can run `exec` tasks and make networks for jobs.
    ///
    /// What the servers say of a node outlives a boot; what counts is that the client of this boot is registered: it
    /// has been given a time to live for its heartbeats only then (`registerNode` in Nomad's `client/client.go`).
    pub(crate) fn nomad_ready(&self) -> Result<()> {
        self.nomad_leader()?;
        let client = self.nomad_client()?;
        let lives = client["heartbeat_ttl"].as_str().unwrap_or("0s");
        ensure!(
            lives != "0s",
            "Nomad's client has not registered since it started: {client}"
        );
        let nodes = self.get(4646, "/v1/nodes")?;
        let [node] = array(&nodes) else {
            bail!("Nomad has not exactly one node: {nodes}");
        };
        ensure!(
            node["Name"] == self.name && node["ID"] == client["node_id"],
            "Nomad's node is not the client of `{}`, {client}: {node}",
            self.name
        );
        ensure!(node["Status"] == "ready", "the Nomad node is {}", node["Status"]);
        ensure!(
            node["Drivers"]["exec"]["Healthy"] == true,
            "exec is not healthy: {}",
            node["Drivers"]["exec"]
        );
        // Nomad asks each plugin for its version: that there is one means that it runs on this board.
        let id = node["ID"].as_str().context("the node has no id")?;
        let attributes = self.get(4646, &format!("/v1/node/{id}"))?["Attributes"].clone();
        for plugin in ["bridge", "host-local", "loopback", "portmap", "firewall"] {
            ensure!(
                attributes[format!("plugins.cni.version.{plugin}")].is_string(),
                "Nomad finds no CNI plugin `{plugin}`: {attributes}"
            );
        }
        Ok(())
    }

    /// Nomad's servers have a leader, and here is one of them and no client.
    pub(crate) fn nomad_serves(&self) -> Result<()> {
        self.nomad_leader()?;
        let stats = self.get(4646, "/v1/agent/self")?["stats"].clone();
        ensure!(
            stats["nomad"]["server"] == "true" && stats["client"].is_null(),
            "Nomad is no server, or more than that: {stats}"
        );
        Ok(())
    }

    fn nomad_leader(&self) -> Result<()> {
        let leader = self.get(4646, "/v1/status/leader")?;
        ensure!(
            leader.as_str().is_some_and(|leader| !leader.is_empty()),
            "Nomad has no leader"
        );
        Ok(())
    }

    /// Nomad has registered itself in Consul, and Consul's DNS knows where.
    pub(crate) fn services_ready(&self) -> Result<()> {
        let services = self.get(8500, "/v1/catalog/services")?;
        for service in ["nomad", "nomad-client"] {
            ensure!(
                services.get(service).is_some(),
                "`{service}` is not registered in Consul: {services}"
            );
        }
        self.resolves("nomad.service.consul")
    }

    /// Consul's DNS has this node's address for a name.
    pub(crate) fn resolves(&self, name: &str) -> Result<()> {
        let output = Command::new("dig")
            .args(["+short", "+time=3", "+tries=1", "-p", "8600"])
            .args([&format!("@{}", self.address), name])
            .output()
            .context("running dig (package bind9-dnsutils)")?;
        let answer = String::from_utf8_lossy(&output.stdout);
        let address = self.address.to_string();
        ensure!(
            answer.lines().any(|line| line == address),
            "{name} is `{}`",
            answer.trim()
        );
        Ok(())
    }

    /// Prometheus scrapes all of it.
    pub(crate) fn prometheus_ready(&self) -> Result<()> {
        self.scraped(&["nomad", "consul", "node", "agent"])
    }

    /// Each of Prometheus' `jobs` has targets, and all of them are up.
    pub(crate) fn scraped(&self, jobs: &[&str]) -> Result<()> {
        let targets = self.get(9090, "/api/v1/targets?state=active")?;
        let active = array(&targets["data"]["activeTargets"]);
        for job in jobs {
            let of_job: Vec<_> = active.iter().filter(|target| target["labels"]["job"] == *job).collect();
            let healthy = !of_job.is_empty() && of_job.iter().all(|target| target["health"] == "up");
            ensure!(healthy, "Prometheus' job `{job}` is not up: {of_job:?}");
        }
        Ok(())
    }

    /// Prometheus is ready for questions.
    pub(crate) fn prometheus_answers(&self) -> Result<()> {
        self.text(9090, "/-/ready").map(drop)
    }

    /// The job's service passes its check in Consul, and answers; the answer.
    pub(crate) fn job_answers(&self, service: &str) -> Result<String> {
        let health = self.get(8500, &format!("/v1/health/service/{service}?passing"))?;
        let instance = array(&health)
            .first()
            .with_context(|| format!("no passing `{service}` in Consul"))?;
        let port = instance["Service"]["Port"]
            .as_u64()
            .and_then(|port| u16::try_from(port).ok());
        self.text(port.context("the service has no port")?, "/")
    }

    /// The ids by which Consul and Nomad know this node.
    pub(crate) fn ids(&self) -> Result<(String, String)> {
        let consul = self.get(8500, "/v1/agent/self")?["Config"]["NodeID"]
            .as_str()
            .context("no node id")?
            .to_owned();
        let nomad = self.nomad_client()?["node_id"]
            .as_str()
            .context("no node id")?
            .to_owned();
        Ok((consul, nomad))
    }

    /// What the running client says about itself.
    pub(crate) fn nomad_client(&self) -> Result<Value> {
        let client = self.get(4646, "/v1/agent/self")?["stats"]["client"].clone();
        ensure!(client.is_object(), "Nomad runs no client");
        Ok(client)
    }
}

impl Deref for Node {
    type Target = Http;

    fn deref(&self) -> &Http {
        &self.services
    }
}

fn array(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}
