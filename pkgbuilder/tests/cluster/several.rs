use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use computatom_cluster::topology::Ports;
use serde_json::Value;

use crate::http::eventually;
use crate::tool::{Tool, checkout, say};
use crate::{faults, tasks};

/// How long what one of them begins may take: where six share two processors, each program of a task takes a minute to start.
pub(crate) const LONG: Duration = Duration::from_mins(10);
/// What a node that is server and client may take while it has nothing to do, in MiB.
const IDLE: u64 = 450;

pub(crate) fn array(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// Quorum by themselves, discovery, a job that spreads, the loss of the leader, a partition, a reflashed server.
pub(crate) fn the_default() -> Result<()> {
    let tool = Tool::new()?;
    let ports = tool.up("default")?;
    let Ports { nomad, prometheus, .. } = ports;
    let peers = tool.get(nomad, "/v1/status/peers")?;
    ensure!(array(&peers).len() == 3, "Nomad's servers are {peers}");
    let nodes = tool.get(nomad, "/v1/nodes")?;
    ensure!(array(&nodes).len() == 2, "Nomad's clients are {nodes}");
    eventually(LONG, || every_target_is_up(&tool, prometheus, 6))?;

    tool.submit(nomad, JOB)?;
    let spread = || four_run(&tool, nomad);
    let spread_on = eventually(LONG, spread)?;
    ensure!(spread_on.len() == 2, "four allocations are on {spread_on:?}");

    tasks::of_each_driver(&tool, nomad, false)?;

    faults::a_majority_goes_on(&tool, ports)?;
    faults::a_client_is_reflashed(&tool, ports, "worker-1")?;
    eventually(LONG, spread)?;
    tool.run(&["down"])?;
    tool.nothing_left()
}

/// The nodes of the four that run.
fn four_run(tool: &Tool, nomad: u16) -> Result<BTreeSet<String>> {
    let allocations = tool.get(nomad, "/v1/job/spread/allocations")?;
    let running: Vec<&Value> = array(&allocations)
        .iter()
        .filter(|allocation| allocation["ClientStatus"] == "running")
        .collect();
    ensure!(running.len() == 4, "running: {}", running.len());
    Ok(running
        .iter()
        .map(|allocation| allocation["NodeName"].to_string())
        .collect())
}

/// One node whose settings allow `raw_exec`.
pub(crate) fn tasks_of_each_driver() -> Result<()> {
    let tool = Tool::new()?;
    let own = tool.topology("small", "{ site: { nomad: { raw_exec: true } } }")?;
    let ports = tool.up(&own)?;
    tasks::of_each_driver(&tool, ports.nomad, true)?;
    tool.run(&["down"])?;
    tool.nothing_left()
}

/// The servers of the default alone, of the architecture whose programs the quick build has: what they do when one of them
/// is gone.
pub(crate) fn three_servers() -> Result<()> {
    let tool = Tool::new()?;
    let servers = "{ target: 'uefi-arm64', nodes: [node for node in super.nodes if std.member(node.roles, 'server')] }";
    let ports = tool.up(&tool.topology("default", servers)?)?;
    faults::the_leader_goes_and_returns(&tool, ports)?;
    tool.run(&["down"])?;
    tool.nothing_left()
}

/// Joined over WAN, each seen from the other.
pub(crate) fn two_datacenters() -> Result<()> {
    let tool = Tool::new()?;
    let Ports {
        consul,
        nomad,
        prometheus,
        ..
    } = tool.up("two-datacenters")?;
    eventually(LONG, || {
        let datacenters = tool.get(consul, "/v1/catalog/datacenters")?;
        ensure!(
            datacenters == serde_json::json!(["home", "attic"]) || array(&datacenters).len() == 2,
            "{datacenters}"
        );
        let nodes = tool.get(consul, "/v1/catalog/nodes?dc=attic")?;
        ensure!(array(&nodes).len() == 1 && nodes[0]["Node"] == "attic-1", "{nodes}");
        let regions = tool.get(nomad, "/v1/regions")?;
        ensure!(array(&regions).len() == 2, "{regions}");
        let nodes = tool.get(nomad, "/v1/nodes?region=attic")?;
        ensure!(array(&nodes).len() == 1 && nodes[0]["Name"] == "attic-1", "{nodes}");
        Ok(())
    })?;
    home_is_seen_from_attic(&tool, nomad)?;
    // A node that is server and client, with its image's Docker: what it takes while it has nothing to do.
    let idle = eventually(LONG, || memory_used(&tool, prometheus, "10.77.0.11"))?;
    say(&format!("home-1 has {idle} MiB in use"));
    ensure!(idle <= IDLE, "home-1 has {idle} MiB in use; {IDLE} are its budget");
    tool.run(&["down"])?;
    tool.nothing_left()
}

/// The forwarded ports are home's: a task in attic asks its own node's agents.
fn home_is_seen_from_attic(tool: &Tool, nomad: u16) -> Result<()> {
    tool.submit(nomad, LOOK)?;
    let allocation = eventually(LONG, || {
        let allocations = tool.get(nomad, "/v1/job/look/allocations?region=attic")?;
        let ended = |allocation: &&Value| allocation["ClientStatus"] == "complete";
        let allocation = array(&allocations).iter().find(ended);
        let allocation = allocation.with_context(|| format!("`look` has not ended well: {allocations}"))?;
        Ok(allocation["ID"].as_str().context("no id")?.to_owned())
    })?;
    let log = format!("/v1/client/fs/logs/{allocation}?task=look&type=stdout&plain=true&region=attic");
    let said = tool.text(nomad, &log)?;
    let answers: Vec<Value> = said.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    let [nodes, clients] = answers.as_slice() else {
        anyhow::bail!("attic says: {said}");
    };
    ensure!(nodes[0]["Node"] == "home-1", "Consul of attic knows of home: {nodes}");
    ensure!(
        clients[0]["Name"] == "home-1",
        "Nomad of attic knows of home: {clients}"
    );
    Ok(())
}

/// What the README says that a person types, but for the build, on the ports that it names.
pub(crate) fn the_readme() -> Result<()> {
    let tool = Tool::new()?;
    let readme = std::fs::read_to_string(checkout().join("README.md"))?;
    let (_, block) = readme
        .split_once("```sh machines\n")
        .context("README.md has no block for virtual machines")?;
    let (block, _) = block.split_once("```").context("the block has no end")?;
    let lines: Vec<&str> = block
        .lines()
        .filter(|line| !line.starts_with("scripts/build "))
        .collect();
    let (last, before) = lines.split_last().context("the block is empty")?;
    // What is asked in between is what a person would ask then, with the programs of the packages.
    let programs = tempfile::tempdir()?;
    let unpack = format!(
        "for name in nomad consul; do dpkg-deb --extract \"$(out/bin/pkgbuilder packages --component $name)\" '{0}'; done
         PATH={0}/usr/bin:$PATH",
        programs.path().display()
    );
    let asked = "nomad node status -json; consul members; consul catalog datacenters; nomad server members";
    let script = format!("{unpack}\n{}\n{asked}\n{last}\n", before.join("\n"));
    let output = tool.shell(&script)?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success(),
        "`{script}` ended with {}: {said}",
        output.status
    );
    let answers = String::from_utf8_lossy(&output.stdout);
    for says in ["\"Status\": \"ready\"", "core-1.global", "alive"] {
        ensure!(answers.contains(says), "no `{says}`: {answers}");
    }
    tool.nothing_left()
}

/// What a node's programs and kernel hold of its memory that they could not give back, in MiB.
fn memory_used(tool: &Tool, prometheus: u16, address: &str) -> Result<u64> {
    let query = format!(
        "node_memory_MemTotal_bytes{{instance=\"{address}:9100\"}}-node_memory_MemAvailable_bytes{{instance=\"{address}:9100\"}}"
    );
    let answer = tool.get(prometheus, &format!("/api/v1/query?query={}", escaped(&query)))?;
    let value = answer["data"]["result"][0]["value"][1].as_str();
    let bytes: f64 = value
        .with_context(|| format!("no memory of {address}: {answer}"))?
        .parse()?;
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "bytes of memory")]
    Ok((bytes / 1024.0 / 1024.0) as u64)
}

/// For a query of a URL (RFC 3986, 2.1).
fn escaped(text: &str) -> String {
    text.bytes()
        .map(|byte| format!("%{byte:02X}"))
        .collect::<Vec<_>>()
        .concat()
}

fn every_target_is_up(tool: &Tool, prometheus: u16, nodes: usize) -> Result<()> {
    let targets = tool.get(prometheus, "/api/v1/targets?state=active")?;
    let targets = array(&targets["data"]["activeTargets"]);
    for job in ["consul", "node", "agent"] {
        let of_job: Vec<_> = targets.iter().filter(|target| target["labels"]["job"] == job).collect();
        let healthy = of_job.iter().filter(|target| target["health"] == "up").count();
        ensure!(
            healthy == nodes && of_job.len() == nodes,
            "job `{job}`: {healthy} of {} up",
            of_job.len()
        );
    }
    Ok(())
}

const JOB: &str = r#"
job "spread" {
  datacenters = ["*"]
  group "sleep" {
    count = 4
    spread {
      attribute = "${node.unique.name}"
    }
    task "sleep" {
      driver = "exec"
      config {
        command = "/bin/busybox"
        args    = ["sleep", "36000"]
      }
      resources {
        cpu    = 20
        memory = 16
      }
    }
  }
}
"#;

const LOOK: &str = r#"
job "look" {
  region      = "attic"
  datacenters = ["*"]
  type        = "batch"
  group "look" {
    task "look" {
      driver = "exec"
      config {
        command = "/bin/busybox"
        args    = ["sh", "-ec", <<EOT
/bin/busybox wget -q -O - "http://127.0.0.1:8500/v1/catalog/nodes?dc=home"; echo
/bin/busybox wget -q -O - "http://${attr.unique.network.ip-address}:4646/v1/nodes?region=home"; echo
EOT
        ]
      }
      resources {
        cpu    = 20
        memory = 32
      }
    }
  }
}
"#;
