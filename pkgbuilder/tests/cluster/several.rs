use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use computatom_cluster::topology::Ports;
use serde_json::Value;

use crate::http::eventually;
use crate::tasks;
use crate::tool::{Tool, checkout, say};

/// How long what one of them begins may take: where six share two processors, each program of a task takes a minute to start.
const LONG: Duration = Duration::from_mins(10);
/// What a node that is server and client may take while it has nothing to do, in MiB.
const IDLE: u64 = 450;

fn array(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// Quorum by themselves, discovery, a job that spreads, the loss of the leader, a partition, a reflashed server.
pub(crate) fn the_default() -> Result<()> {
    let tool = Tool::new()?;
    let Ports {
        consul,
        nomad,
        prometheus,
        ..
    } = tool.up("default")?;
    let peers = tool.get(nomad, "/v1/status/peers")?;
    ensure!(array(&peers).len() == 3, "Nomad's servers are {peers}");
    let nodes = tool.get(nomad, "/v1/nodes")?;
    ensure!(array(&nodes).len() == 2, "Nomad's clients are {nodes}");
    eventually(LONG, || every_target_is_up(&tool, prometheus, 6))?;

    tool.submit(nomad, JOB)?;
    let spread = eventually(LONG, || {
        let allocations = tool.get(nomad, "/v1/job/spread/allocations")?;
        let running: Vec<&Value> = array(&allocations)
            .iter()
            .filter(|allocation| allocation["ClientStatus"] == "running")
            .collect();
        ensure!(running.len() == 4, "running: {}", running.len());
        let mut names: Vec<String> = running
            .iter()
            .map(|allocation| allocation["NodeName"].to_string())
            .collect();
        names.sort();
        names.dedup();
        Ok(names)
    })?;
    ensure!(spread.len() == 2, "four allocations are on {spread:?}");

    tasks::of_each_driver(&tool, nomad, false)?;

    a_majority_goes_on(&tool, consul, nomad)?;
    tool.run(&["down"])?;
    tool.nothing_left()
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
    the_leader_goes_and_returns(&tool, ports.consul)?;
    tool.run(&["down"])?;
    tool.nothing_left()
}

/// The others elect another leader; the lost one returns and learns what it has missed. The name of the server.
fn the_leader_goes_and_returns(tool: &Tool, consul: u16) -> Result<String> {
    // Whoever leads Consul loses its power: the others elect another.
    let leader = leader(tool, consul)?;
    let victim = node_at(tool, &leader)?;
    tool.run(&["kill", &victim])?;
    let began = Instant::now();
    eventually(Duration::from_mins(2), || {
        let now = self::leader(tool, consul)?;
        ensure!(!now.is_empty() && now != leader, "the leader is still {now}");
        Ok(())
    })?;
    say(&format!("another leader after {} s", began.elapsed().as_secs()));
    let written = eventually(LONG, || {
        tool.put(consul, "/v1/kv/while-away", "1")?;
        last_index(tool, consul, None)
    })?;
    tool.run(&["start", &victim])?;
    tool.is_ready(&victim)?;
    eventually(LONG, || {
        let index = last_index(tool, consul, Some(&victim))?;
        ensure!(index >= written, "{victim} knows what was until {index}, not {written}");
        Ok(())
    })?;
    Ok(victim)
}

/// The loss of the leader, its return, a server that is written anew, a server that is cut off.
fn a_majority_goes_on(tool: &Tool, consul: u16, nomad: u16) -> Result<()> {
    let victim = the_leader_goes_and_returns(tool, consul)?;

    // A server that was written anew is the same member.
    let id = member(tool, consul, &victim)?["Tags"]["id"].clone();
    tool.run(&["reflash", &victim])?;
    tool.is_ready(&victim)?;
    ensure!(
        member(tool, consul, &victim)?["Tags"]["id"] == id,
        "{victim} has another id"
    );
    eventually(LONG, || {
        let peers = tool.get(nomad, "/v1/status/peers")?;
        ensure!(array(&peers).len() == 3, "Nomad's servers are {peers}");
        Ok(())
    })?;

    // A server alone has no say; together again all is well.
    let output = tool.output(&["status", "--json"])?;
    let reports: Vec<Value> = serde_json::from_slice(&output.stdout)?;
    let names: Vec<&str> = reports.iter().filter_map(|report| report["name"].as_str()).collect();
    let others: Vec<&str> = names.iter().copied().filter(|name| *name != "core-1").collect();
    tool.run(&["partition", "core-1", &others.join(",")])?;
    eventually(Duration::from_mins(3), || {
        let node = tool.node("core-1")?;
        ensure!(node["ready"] == false, "core-1 thinks that it is ready: {node}");
        Ok(())
    })?;
    eventually(LONG, || {
        let node = tool.node("core-2")?;
        let said = node["consul"].as_str().unwrap_or_default();
        ensure!(said.starts_with("leader"), "core-2 says: {node}");
        Ok(())
    })?;
    tool.run(&["heal"])?;
    for name in names {
        tool.is_ready(name)?;
    }
    Ok(())
}

/// Up to where Consul's log is known: to the leader, or to the server of that name, which must have a vote.
fn last_index(tool: &Tool, consul: u16, name: Option<&str>) -> Result<u64> {
    // The status is 429 while a server is not well, 200 ms of silence from the leader included.
    let health = tool.get_whatever_status(consul, "/v1/operator/autopilot/health")?;
    let found = array(&health["Servers"]).iter().find(|server| match name {
        Some(name) => server["Name"] == name && server["Voter"] == true,
        None => server["Leader"] == true,
    });
    let found = found.with_context(|| format!("no {}: {health}", name.unwrap_or("leader")))?;
    found["LastIndex"].as_u64().context("no index")
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
    // A node that is server and client, with its image's Docker: what it takes while it has nothing to do.
    let idle = eventually(LONG, || memory_used(&tool, prometheus, "10.77.0.11"))?;
    say(&format!("home-1 has {idle} MiB in use"));
    ensure!(idle <= IDLE, "home-1 has {idle} MiB in use; {IDLE} are its budget");
    tool.run(&["down"])?;
    tool.nothing_left()
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
    // What is asked in between is what a person would ask then.
    let asked = "curl --fail --silent --show-error \"$NOMAD_ADDR/v1/nodes\" \"$CONSUL_HTTP_ADDR/v1/catalog/nodes\"";
    let script = format!("{}\n{asked}\n{last}\n", before.join("\n"));
    let output = tool.shell(&script)?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success(),
        "`{script}` ended with {}: {said}",
        output.status
    );
    let answers = String::from_utf8_lossy(&output.stdout);
    ensure!(
        answers.contains("\"Status\":\"ready\"") && answers.contains("\"Node\":\"core-1\""),
        "{answers}"
    );
    tool.nothing_left()
}

fn leader(tool: &Tool, consul: u16) -> Result<String> {
    let leader = tool.get(consul, "/v1/status/leader")?;
    let leader = leader.as_str().context("the leader is no text")?;
    Ok(leader.split(':').next().unwrap_or_default().to_owned())
}

fn node_at(tool: &Tool, address: &str) -> Result<String> {
    let output = tool.output(&["status", "--json"])?;
    let reports: Vec<Value> = serde_json::from_slice(&output.stdout)?;
    let found = reports.iter().find(|report| report["address"] == address);
    Ok(found.context("nobody has that address")?["name"]
        .as_str()
        .context("no name")?
        .to_owned())
}

fn member(tool: &Tool, consul: u16, name: &str) -> Result<Value> {
    let members = tool.get(consul, "/v1/agent/members")?;
    let found = array(&members)
        .iter()
        .find(|member| member["Name"] == name && member["Status"] == 1);
    found
        .cloned()
        .with_context(|| format!("no living member {name}: {members}"))
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
