use std::fs;
use std::io::Write;
use std::net::Ipv4Addr;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use computatom_cluster::topology::Ports;
use computatom_cluster::uplink;
use serde_json::Value;

use crate::http::{Http, eventually};

/// How long several machines may take on two cores, in seconds.
const UP: &str = "1500";

/// The checkout: topologies and images are found from there.
pub(crate) fn checkout() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// The program with clusters of its own, which go when this does.
#[derive(Debug)]
pub(crate) struct Tool {
    state: tempfile::TempDir,
    /// Services behind forwarded ports.
    services: Http,
}

impl Tool {
    pub(crate) fn new() -> Result<Self> {
        Ok(Self {
            state: tempfile::tempdir()?,
            services: Http::at(Ipv4Addr::LOCALHOST, Duration::from_secs(20)),
        })
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = ordinary(env!("CARGO_BIN_EXE_pkgbuilder"));
        command
            .arg("cluster")
            .args(arguments)
            .current_dir(checkout())
            .env("XDG_STATE_HOME", self.state.path())
            .stdin(Stdio::null());
        command
    }

    /// A script of the README's in the checkout, with the program that is built there.
    pub(crate) fn shell(&self, script: &str) -> Result<Output> {
        ordinary("bash")
            .args(["-euo", "pipefail", "-c", script])
            .current_dir(checkout())
            .env("XDG_STATE_HOME", self.state.path())
            .stdin(Stdio::null())
            .output()
            .context("running bash")
    }

    /// Runs it; what it said, whatever the end.
    pub(crate) fn output(&self, arguments: &[&str]) -> Result<Output> {
        self.command(arguments).output().context("running pkgbuilder")
    }

    /// Runs it to a good end; its standard output.
    pub(crate) fn run(&self, arguments: &[&str]) -> Result<String> {
        let began = Instant::now();
        let output = self.output(arguments)?;
        let said = String::from_utf8_lossy(&output.stderr);
        say(&format!(
            "`cluster {}` took {} s: {}",
            arguments.join(" "),
            began.elapsed().as_secs(),
            said.trim()
        ));
        ensure!(
            output.status.success(),
            "`cluster {}`: {}",
            arguments.join(" "),
            said.trim()
        );
        // What a console has shown begins with any byte.
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Makes a cluster whose ports are free ones, and waits until it is ready: the ports.
    pub(crate) fn up(&self, topology: &str) -> Result<Ports> {
        let (free, ports) = ports()?;
        let mut arguments = vec!["up", topology, "--timeout", UP];
        arguments.extend(free.iter().map(String::as_str));
        self.run(&arguments)?;
        Ok(ports)
    }

    /// A file with a shipped topology and what is laid over it, in Jsonnet.
    pub(crate) fn topology(&self, shipped: &str, over: &str) -> Result<String> {
        let path = self.state.path().join("own.jsonnet");
        let shipped = checkout().join(format!("topologies/{shipped}.jsonnet"));
        fs::write(&path, format!("(import '{}') + {over}", shipped.display()))?;
        Ok(path.display().to_string())
    }

    /// Runs it to an end with this code; its standard error.
    pub(crate) fn refuses(&self, code: i32, arguments: &[&str]) -> Result<String> {
        let output = self.output(arguments)?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        ensure!(
            output.status.code() == Some(code),
            "`cluster {}` ended with {}, not {code}: {said}",
            arguments.join(" "),
            output.status
        );
        Ok(said)
    }

    /// Where its clusters are.
    pub(crate) fn clusters(&self) -> PathBuf {
        self.state.path().join("computatom/clusters")
    }

    /// Nothing is left of any cluster: no folder, no process.
    pub(crate) fn nothing_left(&self) -> Result<()> {
        let folders: Vec<_> = fs::read_dir(self.clusters()).into_iter().flatten().flatten().collect();
        ensure!(folders.is_empty(), "folders are left: {folders:?}");
        let processes = self.processes()?;
        ensure!(processes.is_empty(), "processes are left: {processes:?}");
        Ok(())
    }

    /// Command lines of the processes that have a folder of ours as their current one, also of one that is gone.
    pub(crate) fn processes(&self) -> Result<Vec<String>> {
        let mut found = Vec::new();
        for entry in fs::read_dir("/proc")?.flatten() {
            let Ok(place) = fs::read_link(entry.path().join("cwd")) else {
                continue;
            };
            if place.starts_with(self.state.path()) {
                let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
                found.push(String::from_utf8_lossy(&line).replace('\0', " "));
            }
        }
        Ok(found)
    }

    /// What `status --json` says of a node.
    pub(crate) fn node(&self, name: &str) -> Result<Value> {
        let output = self.output(&["status", "--json"])?;
        let reports: Vec<Value> = serde_json::from_slice(&output.stdout)
            .with_context(|| String::from_utf8_lossy(&output.stderr).into_owned())?;
        reports
            .into_iter()
            .find(|report| report["name"] == name)
            .context("no such node")
    }

    /// Waits until everything that belongs on a node works.
    pub(crate) fn is_ready(&self, name: &str) -> Result<()> {
        eventually(Duration::from_mins(10), || {
            let node = self.node(name)?;
            ensure!(node["ready"] == true, "{name} waits for {}", node["waits_for"]);
            Ok(())
        })
    }
}

impl Deref for Tool {
    type Target = Http;

    fn deref(&self) -> &Http {
        &self.services
    }
}

impl Drop for Tool {
    fn drop(&mut self) {
        if self.clusters().exists() {
            let kept = checkout().join("out/cluster");
            for entry in fs::read_dir(self.clusters()).into_iter().flatten().flatten() {
                let _ = fs::create_dir_all(&kept);
                let _ = Command::new("sh")
                    .args(["-c", r#"cp "$1"/*.log "$1"/*.json "$2""#, "sh"])
                    .args([&entry.path(), &kept])
                    .status();
            }
            let _ = self.output(&["down", "--all"]);
        }
    }
}

/// A program without any of root's privileges (capabilities(7)), whoever runs the tests: a cluster needs none.
fn ordinary(program: &str) -> Command {
    if !rustix::process::geteuid().is_root() {
        return Command::new(program);
    }
    // By its path: that of the program may be taken away.
    let mut command = Command::new("/usr/bin/setpriv");
    command.args(["--bounding-set=-all", "--inh-caps=-all", "--no-new-privs", program]);
    command
}

/// Free ports of this machine for a cluster, as arguments of `up` and as they are.
pub(crate) fn ports() -> Result<(Vec<String>, Ports)> {
    let mut ports = Ports::default();
    for (name, free) in Ports::NAMES.iter().zip(uplink::free_ports(Ports::NAMES.len())?) {
        *ports.get_mut(name).context("no such port")? = free;
    }
    let arguments = ports
        .named()
        .iter()
        .flat_map(|(name, port)| ["--port".to_owned(), format!("{name}={port}")])
        .collect();
    Ok((arguments, ports))
}

/// Tells the person who waits.
#[allow(clippy::print_stderr, reason = "a test speaks to who runs it")]
pub(crate) fn say(text: &str) {
    let _ = writeln!(std::io::stderr(), "    {text}");
}
