//! CNI plugins, asked as Nomad's client asks them: once, when it starts, each for its version within three seconds
//! (`detectOnePlugin` in client/fingerprint/plugins_cni.go of 1.10.5). Of one that is slower the node says nothing until Nomad is
//! started again, and no job with a network of its own is placed on a node that lacks one of a bridge's
//! (`job_endpoint_hooks.go`).

use std::os::unix::fs::PermissionsExt;
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
    programs(root)
        .iter()
        .try_for_each(|name| says_version(root, name).map(drop))
}

/// What Nomad takes for a plugin: whatever may be executed.
fn programs(root: &Root) -> Vec<String> {
    let mut names = root.list(nomad::CNI_PATH);
    names.retain(|name| {
        root.path(nomad::CNI_PATH)
            .join(name)
            .metadata()
            .is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
    });
    names
}

/// Asks a plugin as Nomad does: without arguments it says its version. Nomad does without one that fails or says none, too.
fn says_version(root: &Root, name: &str) -> anyhow::Result<bool> {
    let began = Instant::now();
    let Ok(mut plugin) = Command::new(root.path(nomad::CNI_PATH).join(name))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
    else {
        return Ok(false);
    };
    while plugin.try_wait()?.is_none() {
        if began.elapsed() > LIMIT {
            // It may have ended meanwhile.
            let _ = plugin.kill();
            plugin.wait()?;
            bail!("{}/{name} gives no answer within {LIMIT:?}", nomad::CNI_PATH);
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    let said = plugin.wait_with_output()?;
    let words = [said.stdout, said.stderr].concat();
    Ok(said.status.success() && String::from_utf8_lossy(&words).split_whitespace().any(is_version))
}

/// `v1.9.1`, `1.9.1`
fn is_version(word: &str) -> bool {
    let mut parts = word.strip_prefix('v').unwrap_or(word).split('.');
    let mut number = || {
        parts
            .next()
            .is_some_and(|part| part.starts_with(|c: char| c.is_ascii_digit()))
    };
    number() && number()
}

/// The plugins of which Nomad's node says nothing although they say their version.
///
/// # Errors
/// Nomad does not answer, its client has not registered since it started, or such a plugin does not answer now either.
pub fn missing(root: &Root) -> anyhow::Result<Vec<String>> {
    let id = registered(&json("/v1/agent/self")?)?;
    let node = json(&format!("/v1/node/{id}"))?;
    let mut missing = Vec::new();
    for name in unknown(programs(root), &node["Attributes"]) {
        if says_version(root, &name)? {
            missing.push(name);
        }
    }
    Ok(missing)
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
        assert_eq!(slow, "/opt/cni/bin/portmap gives no answer within 1.5s");
        assert!(began.elapsed() < Duration::from_secs(30));
        // One that fails or is none holds nobody up: Nomad does without it at once.
        plugin(&root, "portmap", "exit 3");
        std::fs::write(root.path(nomad::CNI_PATH).join("README.md"), "plugins").unwrap();
        answer(&root).unwrap();
        assert_eq!(programs(&root), ["bridge", "portmap"]);
        assert!(says_version(&root, "bridge").unwrap());
        assert!(!says_version(&root, "portmap").unwrap());
        plugin(&root, "portmap", "echo about nothing");
        assert!(!says_version(&root, "portmap").unwrap());
    }

    #[test]
    fn a_version_has_numbers() {
        assert!(["v1.9.1", "1.9.1", "0.4.0"].into_iter().all(is_version));
        assert!(!["v", "CNI", "1", "plugin.", "versions:"].into_iter().any(is_version));
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
