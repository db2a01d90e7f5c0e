//! CNI plugins, asked as Nomad's client asks them: once, when it starts, each for its version within three seconds
//! (`detectOnePlugin` in client/fingerprint/plugins_cni.go of 1.10.5). Of one that is slower the node says nothing until Nomad is
//! started again, and no job with a network of its own is placed on a node that lacks one of a bridge's
//! (`job_endpoint_hooks.go`).

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use computatom_spec::role::Role;
use serde_json::Value;

use crate::render::nomad;
use crate::role::Assignment;
use crate::root::Root;
use crate::status::api;

/// Half of the time that Nomad gives each.
const LIMIT: Duration = Duration::from_millis(1500);

/// Each plugin answers, and twice as quickly as Nomad wants; on a node that is no client nobody asks.
///
/// # Errors
/// Which one does not, or not yet.
pub fn answer(root: &Root) -> anyhow::Result<()> {
    if !Assignment::load(root).is_some_and(|assignment| assignment.has(Role::Client)) {
        return Ok(());
    }
    root.list(nomad::CNI_PATH)
        .iter()
        .try_for_each(|name| ask(root, name).with_context(|| format!("asking {}/{name}", nomad::CNI_PATH)))
}

/// Without arguments a plugin says which version it is.
fn ask(root: &Root, name: &str) -> anyhow::Result<()> {
    let began = Instant::now();
    let mut plugin = Command::new(root.path(nomad::CNI_PATH).join(name))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    loop {
        match plugin.try_wait()? {
            Some(status) if status.success() => return Ok(()),
            Some(status) => bail!("it ends with {status}"),
            None if began.elapsed() > LIMIT => {
                // It may have ended meanwhile.
                let _ = plugin.kill();
                plugin.wait()?;
                bail!("no answer within {LIMIT:?}");
            }
            None => std::thread::sleep(Duration::from_millis(5)),
        }
    }
}

/// The plugins of which Nomad's node says nothing although they lie here.
///
/// # Errors
/// Nomad does not answer, or its client has not registered since it started.
pub fn missing(root: &Root) -> anyhow::Result<Vec<String>> {
    let id = registered(&json("/v1/agent/self")?)?;
    let node = json(&format!("/v1/node/{id}"))?;
    Ok(unknown(root.list(nomad::CNI_PATH), &node["Attributes"]))
}

fn json(path: &str) -> anyhow::Result<Value> {
    let answer = api::get(&format!("http://127.0.0.1:{}{path}", nomad::HTTP_PORT))?;
    serde_json::from_str(&answer).with_context(|| format!("reading {path}"))
}

/// The id of the client's node. What servers say of a node outlives its start; the client of this one is given a time to live for
/// its heartbeats when it registers (`registerNode` in Nomad's client/client.go).
fn registered(agent: &Value) -> anyhow::Result<String> {
    let client = &agent["stats"]["client"];
    ensure!(
        client["heartbeat_ttl"].as_str().is_some_and(|time| time != "0s"),
        "Nomad's client has not registered yet"
    );
    Ok(client["node_id"]
        .as_str()
        .context("Nomad's client has no id")?
        .to_owned())
}

fn unknown(mut plugins: Vec<String>, attributes: &Value) -> Vec<String> {
    plugins.retain(|name| attributes[format!("plugins.cni.version.{name}")].is_null());
    plugins
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use serde_json::json;

    use super::*;

    fn plugin(root: &Root, name: &str, script: &str) {
        let folder = root.path(nomad::CNI_PATH);
        std::fs::create_dir_all(&folder).unwrap();
        // Moved there when it is whole: another test's process may hold it open for writing meanwhile (ETXTBSY).
        let new = folder.with_file_name("new");
        std::fs::write(&new, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&new, std::fs::Permissions::from_mode(0o755)).unwrap();
        std::fs::rename(new, folder.join(name)).unwrap();
    }

    #[test]
    fn a_client_waits_for_plugins_that_fail_or_take_too_long() {
        let folder = tempfile::tempdir().unwrap();
        let root = Root::at(folder.path());
        plugin(&root, "bridge", "echo CNI bridge plugin v1.9.1");
        plugin(&root, "portmap", "exec sleep 60");
        answer(&root).unwrap();
        let mut assignment = Assignment::none("a test");
        assignment.store(&root).unwrap();
        answer(&root).unwrap();
        assignment.roles = vec![Role::Client];
        assignment.store(&root).unwrap();
        let began = Instant::now();
        let slow = format!("{:#}", answer(&root).unwrap_err());
        assert_eq!(slow, "asking /opt/cni/bin/portmap: no answer within 1.5s");
        assert!(began.elapsed() < Duration::from_secs(30));
        plugin(&root, "portmap", "exit 3");
        let failed = format!("{:#}", answer(&root).unwrap_err());
        assert_eq!(failed, "asking /opt/cni/bin/portmap: it ends with exit status: 3");
        plugin(&root, "portmap", "echo CNI portmap plugin v1.9.1");
        answer(&root).unwrap();
    }

    #[test]
    fn a_node_is_compared_with_what_lies_there() {
        let attributes = json!({"plugins.cni.version.bridge": "v1.9.1", "driver.exec": "1"});
        let plugins = vec!["bridge".to_owned(), "firewall".to_owned()];
        assert_eq!(unknown(plugins.clone(), &attributes), ["firewall"]);
        assert_eq!(unknown(plugins, &Value::Null), ["bridge", "firewall"]);
        let client = |time: &str| json!({"stats": {"client": {"node_id": "19e8c554", "heartbeat_ttl": time}}});
        assert_eq!(registered(&client("10.87s")).unwrap(), "19e8c554");
        assert!(registered(&client("0s")).is_err());
    }
}
