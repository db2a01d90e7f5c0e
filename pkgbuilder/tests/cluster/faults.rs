use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use computatom_cluster::topology::Ports;
use serde_json::Value;

use crate::http::eventually;
use crate::several::{LONG, array};
use crate::tool::{Tool, say};

/// How long nobody may lead once the leader's power was cut: the others notice after a heartbeat's time-out and hold an
/// election, a few where two of them want to lead at once. 7 to 22 s were seen in emulation, while up to 20 of
/// them could be the trial's own wait for an answer by a connection to the node that was off.
const ELECTION: Duration = Duration::from_mins(1);

/// The others elect another leader; the lost one returns and learns what it has missed. The name of the server.
pub(crate) fn the_leader_goes_and_returns(tool: &Tool, ports: Ports) -> Result<String> {
    // Whoever leads Consul loses its power, and Nomad's leader may be another.
    let lost = leader(tool, ports.consul)?;
    let victim = node_at(tool, &lost)?;
    tool.run(&["kill", &victim])?;
    let began = Instant::now();
    for (name, port) in [("Consul", ports.consul), ("Nomad", ports.nomad)] {
        eventually(ELECTION.saturating_sub(began.elapsed()), || {
            let now = leader(tool, port)?;
            ensure!(!now.is_empty() && now != lost, "{name}'s leader is still {now}");
            Ok(())
        })?;
        say(&format!(
            "{name} has another leader after {} s",
            began.elapsed().as_secs()
        ));
    }
    let mut written = Vec::new();
    for (port, path, value) in [
        (ports.consul, "/v1/kv/while-away", "1"),
        (ports.nomad, "/v1/namespace/while-away", r#"{"Name": "while-away"}"#),
    ] {
        let index = eventually(LONG, || {
            tool.put(port, path, value)?;
            last_index(tool, port, None)
        })?;
        written.push((port, index));
    }
    tool.run(&["start", &victim])?;
    tool.is_ready(&victim)?;
    for (port, written) in written {
        eventually(LONG, || {
            let index = last_index(tool, port, Some(&victim))?;
            ensure!(index >= written, "{victim} knows what was until {index}, not {written}");
            Ok(())
        })?;
    }
    Ok(victim)
}

/// A server that was written anew is the same member of Consul's; to Nomad's Raft it is another at the same address, for it
/// has forgotten what it voted for.
fn a_server_is_reflashed(tool: &Tool, ports: Ports, victim: &str) -> Result<()> {
    let before = member(tool, ports.consul, victim)?["Tags"]["id"].clone();
    let raft = || -> Result<(Value, usize)> {
        let raft = tool.get(ports.nomad, "/v1/operator/raft/configuration")?;
        let voters: Vec<&Value> = array(&raft["Servers"])
            .iter()
            .filter(|peer| peer["Voter"] == true)
            .collect();
        let peer = voters.iter().find(|peer| is_named(&peer["Node"], victim));
        Ok((
            peer.with_context(|| format!("no vote of {victim}: {raft}"))?["ID"].clone(),
            voters.len(),
        ))
    };
    let (forgotten, _) = raft()?;
    tool.run(&["reflash", victim])?;
    tool.is_ready(victim)?;
    let after = member(tool, ports.consul, victim)?["Tags"]["id"].clone();
    ensure!(after == before, "{victim} was {before}, and reflashed it is {after}");
    eventually(LONG, || {
        let (id, voters) = raft()?;
        ensure!(
            id != forgotten && voters == 3,
            "{voters} of Nomad's servers vote, {victim} is {id}"
        );
        Ok(())
    })
}

/// A client that was written anew is the same node for Consul, which reserves a node's name for its id, and for Nomad, which
/// has one node of that name, as before.
pub(crate) fn a_client_is_reflashed(tool: &Tool, ports: Ports, name: &str) -> Result<()> {
    let before = ids(tool, ports, name)?;
    tool.run(&["reflash", name])?;
    tool.is_ready(name)?;
    eventually(LONG, || {
        let after = ids(tool, ports, name)?;
        ensure!(after == before, "{name} was {before:?}, and reflashed it is {after:?}");
        Ok(())
    })
}

/// Who a node is in Consul's catalogue and, where it is a client, to Nomad.
pub(crate) fn ids(tool: &Tool, ports: Ports, name: &str) -> Result<(String, String)> {
    let consul = tool.get(ports.consul, &format!("/v1/catalog/node/{name}"))?["Node"]["ID"].clone();
    let nodes = tool.get(ports.nomad, "/v1/nodes")?;
    let named: Vec<&Value> = array(&nodes).iter().filter(|node| node["Name"] == name).collect();
    let [node] = named.as_slice() else {
        bail!("Nomad has {} nodes of the name {name}: {nodes}", named.len());
    };
    ensure!(node["Status"] == "ready", "{name} is {}", node["Status"]);
    let text = |id: &Value| id.as_str().map(str::to_owned).context("no id");
    Ok((text(&consul)?, text(&node["ID"])?))
}

/// The loss of the leader, its return, a server that is written anew, a server that is cut off.
pub(crate) fn a_majority_goes_on(tool: &Tool, ports: Ports) -> Result<()> {
    let victim = the_leader_goes_and_returns(tool, ports)?;
    a_server_is_reflashed(tool, ports, &victim)?;

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

/// Up to where the log of the servers is known: to the leader, or to the server of that name, which must have a vote.
fn last_index(tool: &Tool, port: u16, name: Option<&str>) -> Result<u64> {
    // The status is 429 while a server is not well, 200 ms of silence from the leader included.
    let health = tool.get_whatever_status(port, "/v1/operator/autopilot/health")?;
    let found = array(&health["Servers"]).iter().find(|server| match name {
        Some(name) => is_named(&server["Name"], name) && server["Voter"] == true,
        None => server["Leader"] == true,
    });
    let found = found.with_context(|| format!("no {}: {health}", name.unwrap_or("leader")))?;
    found["LastIndex"].as_u64().context("no index")
}

/// Whether a server calls itself so; Nomad's add their region.
fn is_named(said: &Value, name: &str) -> bool {
    said.as_str().is_some_and(|said| said.split('.').next() == Some(name))
}

/// The address of the server that leads.
fn leader(tool: &Tool, port: u16) -> Result<String> {
    let leader = tool.get(port, "/v1/status/leader")?;
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
