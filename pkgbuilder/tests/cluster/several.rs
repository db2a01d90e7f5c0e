use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::tasks;
use crate::tool::{Tool, checkout, eventually, ports, say};

/// How long six machines may take on two cores.
const UP: &str = "1500";
const LONG: Duration = Duration::from_mins(5);

fn array(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// Quorum by themselves, discovery, a job that spreads, the loss of the leader, a partition, a reflashed server.
pub(crate) fn the_default() -> Result<()> {
    let tool = Tool::new()?;
    let (free, [consul, nomad, prometheus, _]) = ports()?;
    let mut arguments = vec!["up", "default", "--timeout", UP];
    arguments.extend(free.iter().map(String::as_str));
    tool.run(&arguments)?;
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

    tasks::of_each_driver(&tool, nomad, "global", false)?;

    // Whoever leads Consul loses its power: the others elect another.
    let leader = leader(&tool, consul)?;
    let victim = node_at(&tool, &leader)?;
    tool.run(&["kill", &victim])?;
    let began = Instant::now();
    eventually(Duration::from_mins(2), || {
        let now = self::leader(&tool, consul)?;
        ensure!(!now.is_empty() && now != leader, "the leader is still {now}");
        Ok(())
    })?;
    say(&format!("another leader after {} s", began.elapsed().as_secs()));
    tool.run(&["start", &victim])?;
    tool.is_ready(&victim)?;

    // A server that was written anew is the same member.
    let id = member(&tool, consul, &victim)?["Tags"]["id"].clone();
    tool.run(&["reflash", &victim])?;
    tool.is_ready(&victim)?;
    ensure!(
        member(&tool, consul, &victim)?["Tags"]["id"] == id,
        "{victim} has another id"
    );
    eventually(LONG, || {
        let peers = tool.get(nomad, "/v1/status/peers")?;
        ensure!(array(&peers).len() == 3, "Nomad's servers are {peers}");
        Ok(())
    })?;

    // A server alone has no say; together again all is well.
    tool.run(&["partition", "core-1", "core-2,core-3,worker-1,worker-2,watch-1"])?;
    eventually(Duration::from_mins(3), || {
        let node = tool.node("core-1")?;
        ensure!(node["ready"] == false, "core-1 thinks that it is ready: {node}");
        Ok(())
    })?;
    ensure!(
        tool.node("core-2")?["consul"]
            .as_str()
            .is_some_and(|said| said.starts_with("leader"))
    );
    tool.run(&["heal"])?;
    for name in ["core-1", "core-2", "core-3", "worker-1", "worker-2", "watch-1"] {
        tool.is_ready(name)?;
    }
    tool.run(&["down"])?;
    tool.nothing_left()
}

/// Joined over WAN, each seen from the other.
pub(crate) fn two_datacenters() -> Result<()> {
    let tool = Tool::new()?;
    let (free, [consul, nomad, ..]) = ports()?;
    let mut arguments = vec!["up", "two-datacenters", "--timeout", UP];
    arguments.extend(free.iter().map(String::as_str));
    tool.run(&arguments)?;
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
