//! CNI plugins, asked as Nomad's client asks them: once, when it starts, each for its version within three seconds
//! (`detectOnePlugin` in client/fingerprint/plugins_cni.go of 1.10.5). Of one that is slower the node says nothing until Nomad is
//! started again, and no job with a network of its own is placed on a node that lacks one of a bridge's
//! (`job_endpoint_hooks.go`).

use std::fs::File;
use std::io::{Read, Seek};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use computatom_spec::role::Role;
use rustix::fs::{MemfdFlags, memfd_create};
use rustix::io::Errno;
use serde_json::Value;

use crate::render::nomad;
use crate::role::Assignment;
use crate::root::Root;
use crate::status::api;

/// Half of the time that Nomad gives each.
const LIMIT: Duration = Duration::from_millis(1500);
/// No plugin has as much to say, in bytes.
const LARGEST: u64 = 64 << 10;

/// Each plugin answers, and twice as quickly as Nomad wants; on a node that is no client nobody asks. All are asked, whichever
/// is slow: what was read once is in memory for the next time, and for Nomad.
///
/// # Errors
/// Which ones do not, or not yet.
pub fn answer(root: &Root) -> anyhow::Result<()> {
    if !Assignment::load(root).is_some_and(|assignment| assignment.has(Role::Client)) {
        return Ok(());
    }
    let slow = Answers::of(root, programs(root), LIMIT).slow;
    ensure!(
        slow.is_empty(),
        "no answer within {LIMIT:?} of {} in {}",
        slow.join(", "),
        nomad::CNI_PATH
    );
    Ok(())
}

/// Plugins by what they answer. One that fails or says no version is in neither list: Nomad does without it, too.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Answers {
    /// They say their version.
    pub ready: Vec<String>,
    /// They take too long.
    pub slow: Vec<String>,
}

impl Answers {
    fn of(root: &Root, plugins: Vec<String>, limit: Duration) -> Self {
        let mut answers = Self::default();
        for name in plugins {
            match says_version(&root.path(nomad::CNI_PATH).join(&name), limit) {
                Ok(true) => answers.ready.push(name),
                Ok(false) => {}
                Err(_) => answers.slow.push(name),
            }
        }
        answers
    }

    /// All of them.
    pub fn names(&self) -> Vec<String> {
        [&self.ready[..], &self.slow].concat()
    }
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

/// Asks a plugin as Nomad does: without arguments it says its version.
///
/// # Errors
/// No answer in time, or none for a reason that passes: no memory for another process, a signal.
fn says_version(plugin: &Path, limit: Duration) -> anyhow::Result<bool> {
    // A file and no pipe: nobody waits for whoever else holds it, and it takes whatever is said.
    let mut said = File::from(memfd_create("plugin", MemfdFlags::CLOEXEC)?);
    let began = Instant::now();
    let spawned = Command::new(plugin)
        .stdin(Stdio::null())
        .stdout(said.try_clone()?)
        .stderr(said.try_clone()?)
        .spawn();
    let mut process = match spawned {
        Err(err)
            if [Errno::NOENT, Errno::ACCESS, Errno::NOEXEC]
                .map(|no| Some(no.raw_os_error()))
                .contains(&err.raw_os_error()) =>
        {
            return Ok(false);
        }
        spawned => spawned?,
    };
    let status = loop {
        if let Some(status) = process.try_wait()? {
            break status;
        }
        if began.elapsed() > limit {
            // It may have ended meanwhile.
            let _ = process.kill();
            process.wait()?;
            bail!("no answer");
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    ensure!(status.code().is_some(), "{status}");
    let mut words = Vec::new();
    said.rewind()?;
    said.take(LARGEST).read_to_end(&mut words)?;
    Ok(status.success() && String::from_utf8_lossy(&words).split_whitespace().any(is_version))
}

/// `v1.9.1`, `1.9.1-rc1`, `1`: as `NewSemver` of github.com/hashicorp/go-version takes them, but for what may follow the numbers.
fn is_version(word: &str) -> bool {
    let numbers = word.strip_prefix('v').unwrap_or(word);
    let numbers = numbers.split(['-', '+']).next().unwrap_or_default();
    numbers
        .split('.')
        .all(|number| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
}

/// The plugins of which Nomad's node says nothing, and what they answer now.
///
/// # Errors
/// Nomad does not answer, or its client has not registered since it started.
pub fn missing(root: &Root) -> anyhow::Result<Answers> {
    let id = registered(&json("/v1/agent/self")?)?;
    let node = json(&format!("/v1/node/{id}"))?;
    let plugins = unknown(programs(root), &node["Attributes"]);
    Ok(Answers::of(root, plugins, LIMIT))
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
    fn only_a_client_asks() {
        let folder = tempfile::tempdir().unwrap();
        let root = Root::at(folder.path());
        plugin(&root, "portmap", "exec sleep 60");
        answer(&root).unwrap();
        let mut assignment = Assignment::none("a test");
        assignment.store(&root).unwrap();
        answer(&root).unwrap();
        assignment.roles = vec![Role::Client];
        assignment.store(&root).unwrap();
        let slow = answer(&root).unwrap_err().to_string();
        assert_eq!(slow, "no answer within 1.5s of portmap in /opt/cni/bin");
    }

    #[test]
    fn plugins_are_ready_or_slow_or_none() {
        let folder = tempfile::tempdir().unwrap();
        let root = Root::at(folder.path());
        let path = root.path(nomad::CNI_PATH);
        plugin(&root, "bridge", "echo CNI bridge plugin v1.9.1 >&2");
        plugin(&root, "fails", "echo v1.9.1; exit 3");
        plugin(&root, "mute", "echo about nothing");
        plugin(&root, "killed", "kill -9 $$");
        plugin(&root, "talks", "yes v1.9.1 | head -n 100000");
        std::fs::write(path.join("README.md"), "plugins").unwrap();
        std::fs::create_dir(path.join("more")).unwrap();
        std::fs::write(path.join("foreign"), [0x7f, b'E', b'L', b'F', 0]).unwrap();
        std::fs::set_permissions(path.join("foreign"), std::fs::Permissions::from_mode(0o755)).unwrap();
        assert_eq!(
            programs(&root),
            ["bridge", "fails", "foreign", "killed", "mute", "talks"]
        );
        // Longer than a busy machine takes for a shell.
        let answers = Answers::of(&root, programs(&root), Duration::from_mins(1));
        assert_eq!(answers.ready, ["bridge", "talks"]);
        assert_eq!(answers.slow, ["killed"]);
        plugin(&root, "bridge", "exec sleep 60");
        let began = Instant::now();
        let answers = Answers::of(&root, vec!["bridge".to_owned()], Duration::from_millis(50));
        assert_eq!(answers.slow, ["bridge"]);
        assert!(began.elapsed() < Duration::from_secs(30));
    }

    #[test]
    fn versions_are_those_that_nomad_takes_for_such() {
        assert!(
            ["v1.9.1", "1.9.1", "0.4.0", "1", "v5", "1.0.0-rc1+a"]
                .into_iter()
                .all(is_version)
        );
        assert!(
            !["v", "", "CNI", "plugin.", "versions:", "0.3.0,", "1.x"]
                .into_iter()
                .any(is_version)
        );
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
