use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use computatom_cluster::machine::raspberry_pi;
use computatom_cluster::topology::Ports;
use rustix::process::{Pid, Signal, kill_process};

use crate::child::Guarded;
use crate::faults;
use crate::http::eventually;
use crate::tool::{Tool, checkout, ports, say};

/// The architecture whose programs the quick build has.
const TARGET: &str = "uefi-arm64";

/// The kernel's last words when a machine was shut down in order.
const DOWN: &str = "reboot: Power down";

fn up(more: &[String]) -> Vec<&str> {
    let mut arguments = vec!["up", "small", "--target", TARGET];
    arguments.extend(more.iter().map(String::as_str));
    arguments
}

pub(crate) fn what_cannot_be_made_is_told() -> Result<()> {
    let tool = Tool::new()?;
    let folder = tempfile::tempdir()?;
    let topology = |text: &str| -> Result<String> {
        let path = folder.path().join("own.jsonnet");
        std::fs::write(&path, text)?;
        Ok(path.display().to_string())
    };
    let (free, Ports { consul, .. }) = ports()?;
    let with = |arguments: &[&str]| -> Vec<String> {
        arguments
            .iter()
            .map(|word| (*word).to_owned())
            .chain(free.clone())
            .collect()
    };
    let huge = topology("{ nodes: [{ name: 'a', roles: ['server'], memory_mib: 100000000 }] }")?;
    let listener = std::net::TcpListener::bind(("127.0.0.1", consul))?;
    let held = with(&["up", "small"]);
    let said_of_port = format!("{consul} (consul)");
    let refused = [
        (2, with(&["up", "smal"]), "did you mean `small`?"),
        (2, with(&["up", "small", "--port", "consul"]), "as in `nomad=14646`"),
        (
            2,
            with(&["up", "small", "--target", "rock64"]),
            "use `uefi-amd64`, `uefi-arm64` or `raspberrypi-arm64`",
        ),
        (2, with(&["up", "small", "--name", "a/b"]), "no name for a cluster"),
        (1, with(&["up", &huge]), "MiB are available"),
        (1, held, said_of_port.as_str()),
        (2, vec!["status".to_owned()], "no cluster is up"),
    ];
    for (code, words, says) in refused {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let said = tool.refuses(code, &words)?;
        ensure!(said.contains(says), "`{}` says: {said}", words.join(" "));
    }
    drop(listener);
    // Of another architecture.
    let image = checkout().join(format!("out/vm-{TARGET}.img.zst"));
    let image = image.display().to_string();
    let words = with(&["up", "small", "--target", "uefi-amd64", "--image", &image]);
    let said = tool.refuses(2, &words.iter().map(String::as_str).collect::<Vec<_>>())?;
    ensure!(
        said.contains("is for uefi-arm64, but the nodes are uefi-amd64 machines"),
        "{said}"
    );
    // Without QEMU.
    let output = tool.command(&up(&free)).env("PATH", folder.path()).output()?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(
        output.status.code() == Some(1) && said.contains("install QEMU"),
        "{said}"
    );
    tool.nothing_left()
}

pub(crate) fn a_node_lives_and_leaves_nothing() -> Result<()> {
    let tool = Tool::new()?;
    let (free, ports) = ports()?;
    let Ports {
        consul,
        nomad,
        prometheus,
        dns,
    } = ports;
    tool.run(&up(&free))?;
    let node = tool.node("core-1")?;
    ensure!(node["ready"] == true && node["address"] == "10.77.0.11", "{node}");
    ensure!(
        node["reason"].as_str().is_some_and(|reason| reason.contains("core-1")),
        "{node}"
    );
    let environment = tool.run(&["env"])?;
    ensure!(
        environment.contains(&format!("NOMAD_ADDR=http://127.0.0.1:{nomad}\n")),
        "{environment}"
    );
    let members = tool.get(consul, "/v1/agent/members")?;
    ensure!(members[0]["Name"] == "core-1", "{members}");
    eventually(Duration::from_mins(2), || {
        let targets = tool.get(prometheus, "/api/v1/targets?state=active")?;
        let targets = targets["data"]["activeTargets"]
            .as_array()
            .context("no targets")?
            .clone();
        let down: Vec<_> = targets.iter().filter(|target| target["health"] != "up").collect();
        ensure!(
            targets.len() >= 5 && down.is_empty(),
            "{} targets, not up: {down:?}",
            targets.len()
        );
        Ok(())
    })?;
    // By UDP, which takes another way than the rest.
    let answer = Command::new("dig")
        .args(["+short", "@127.0.0.1", "-p", &dns.to_string(), "nomad.service.consul"])
        .output()
        .context("running dig (package bind9-dnsutils)")?;
    let answer = String::from_utf8_lossy(&answer.stdout).into_owned();
    ensure!(answer.trim() == "10.77.0.11", "DNS says `{}`", answer.trim());
    tool.submit(
        nomad,
        &std::fs::read_to_string(checkout().join("jobs/hello.nomad.hcl"))?,
    )?;
    eventually(Duration::from_mins(3), || {
        let health = tool.get(consul, "/v1/health/service/hello?passing")?;
        ensure!(
            health.as_array().is_some_and(|all| !all.is_empty()),
            "no healthy `hello`"
        );
        Ok(())
    })?;
    // A second run has nothing to do; another cluster is told which ports are free; another topology is not this one.
    let began = Instant::now();
    tool.run(&up(&free))?;
    ensure!(
        began.elapsed() < Duration::from_secs(30),
        "the second `up` took {:?}",
        began.elapsed()
    );
    let mut other = up(&free);
    other.extend(["--name", "other"]);
    let said = tool.refuses(1, &other)?;
    ensure!(said.contains("--port consul="), "{said}");
    let said = tool.refuses(2, &["up", "two-datacenters", "--name", "small"])?;
    ensure!(said.contains("of another topology"), "{said}");

    tool.run(&["pause", "core-1"])?;
    ensure!(tool.node("core-1")?["power"] == "paused");
    tool.run(&["resume", "core-1"])?;
    ensure!(tool.node("core-1")?["power"] == "on");
    a_cable_is_pulled_and_plugged(&tool, nomad)?;

    // The switch and the way out may die: the nodes notice nothing, and the next command brings both back.
    for process in computatom_cluster::process::Process::all(&folder(&tool))? {
        if process.name != "core-1" {
            process.kill()?;
        }
    }
    ensure!(tool.get(nomad, "/v1/status/leader").is_err());
    tool.run(&up(&free))?;
    // What a look during the outage found is told until the agent's next one.
    tool.is_ready("core-1")?;

    let ids = faults::ids(&tool, ports, "core-1")?;
    tool.run(&["kill", "core-1"])?;
    ensure!(tool.node("core-1")?["power"] == "off");
    ensure!(
        tool.output(&["status"])?.status.code() == Some(1),
        "a node is off and all is well"
    );
    let said = tool.refuses(1, &["pause", "core-1"])?;
    ensure!(
        said.contains("core-1 is off: `pkgbuilder cluster start core-1`"),
        "{said}"
    );
    let said = tool.refuses(2, &["kill", "core-9"])?;
    ensure!(said.contains("this cluster has core-1"), "{said}");
    tool.run(&["reflash", "core-1"])?;
    tool.run(&up(&free))?;
    let reflashed = eventually(Duration::from_mins(2), || faults::ids(&tool, ports, "core-1"))?;
    ensure!(reflashed == ids, "it was {ids:?}, and reflashed it is {reflashed:?}");
    let logs = tool.run(&["logs", "core-1"])?;
    ensure!(logs.contains("Linux version"), "the console has shown no kernel");
    an_orderly_stop_is_watched(&tool)?;
    ensure!(tool.run(&["list"])?.contains("0 of 1 nodes on"));
    tool.run(&["down"])?;
    tool.nothing_left()
}

fn a_cable_is_pulled_and_plugged(tool: &Tool, nomad: u16) -> Result<()> {
    tool.run(&["link", "core-1", "down"])?;
    ensure!(
        tool.get(nomad, "/v1/status/leader").is_err(),
        "a pulled cable leads somewhere"
    );
    tool.run(&["link", "core-1", "up"])?;
    eventually(Duration::from_mins(2), || {
        tool.get(nomad, "/v1/status/leader").map(drop)
    })
}

/// What shows a node goes on showing it until its power goes, or until it is interrupted.
fn an_orderly_stop_is_watched(tool: &Tool) -> Result<()> {
    let watch = |words: &[&str]| Guarded::spawn(tool.command(words).stdout(Stdio::piped()));
    let console = watch(&["console", "core-1"])?;
    let interrupted = [watch(&["logs", "--follow", "core-1"])?, watch(&["status", "--watch"])?];
    // Each has begun to speak, and shows what comes.
    std::thread::sleep(Duration::from_secs(5));
    tool.run(&["stop", "core-1"])?;
    let said = String::from_utf8_lossy(&console.wait_with_output()?.stdout).into_owned();
    ensure!(
        said.contains(DOWN),
        "the console was left before the power went: {said}"
    );
    // A look that was under way waits for its answers, and 2 s later comes the next.
    std::thread::sleep(Duration::from_secs(15));
    for (child, says) in interrupted.into_iter().zip([DOWN, "core-1"]) {
        kill_process(Pid::from_child(&child), Signal::INT)?;
        let output = child.wait_with_output()?;
        let said = String::from_utf8_lossy(&output.stdout);
        ensure!(
            output.status.success() && said.contains(says),
            "{}: {said}",
            output.status
        );
        // The screen is drawn anew while it is watched.
        ensure!(
            says == DOWN || (said.matches("\u{1b}[H").count() > 2 && said.contains("  off\n")),
            "{said}"
        );
    }
    ensure!(
        tool.run(&["logs", "core-1"])?.contains(DOWN),
        "it was not shut down in order"
    );
    Ok(())
}

fn folder(tool: &Tool) -> computatom_cluster::folder::Folder {
    computatom_cluster::folder::Folder::new(&tool.clusters(), "small")
}

pub(crate) fn an_interrupted_up_leaves_nothing() -> Result<()> {
    let tool = Tool::new()?;
    let (free, _) = ports()?;
    // In order, and as by a machine that kills it: then `down` has to do with what is left.
    for signal in [Signal::INT, Signal::KILL] {
        let mut child = Guarded::spawn(tool.command(&up(&free)).stderr(Stdio::piped()))?;
        // Read on, so that it may go on speaking.
        let mut lines = BufReader::new(child.stderr.take().context("its standard error")?).lines();
        for line in lines.by_ref() {
            if line?.contains("core-1 is on") {
                break;
            }
        }
        kill_process(Pid::from_child(&child), signal)?;
        let status = child.wait()?;
        say(&format!("it ended with {status}"));
        if signal == Signal::INT {
            ensure!(status.code() == Some(130), "Ctrl-C ended it with {status}");
        } else {
            ensure!(!tool.processes()?.is_empty(), "nothing outlived it");
            tool.run(&["status", "--json"])
                .err()
                .context("a booting node is ready")?;
            tool.run(&["down"])?;
        }
        tool.nothing_left()?;
    }
    // A description that is damaged, or of another version, is no reason to be stuck.
    let folder = tool.clusters().join("small");
    std::fs::create_dir_all(&folder)?;
    std::fs::write(folder.join("cluster.json"), "{\"version\": 0}")?;
    let said = tool.refuses(1, &["status"])?;
    ensure!(said.contains("`pkgbuilder cluster down` removes"), "{said}");
    tool.run(&["down"])?;
    tool.nothing_left()
}

/// A board instead of a virtual machine: what its firmware takes from the card, its adapter on USB, its serial number.
pub(crate) fn a_raspberry_pi_comes_back_as_itself() -> Result<()> {
    let tool = Tool::new()?;
    let (free, ports) = ports()?;
    let mut words = vec!["up", "small", "--target", "raspberrypi-arm64"];
    words.extend(free.iter().map(String::as_str));
    tool.run(&words)?;
    let ids = || eventually(Duration::from_mins(2), || faults::ids(&tool, ports, "core-1"));
    let before = ids()?;
    let logs = tool.run(&["logs", "core-1"])?;
    let plan = folder(&tool).state()?.plan;
    let board = format!(
        "board     Raspberry Pi 3 Model B, serial {},",
        raspberry_pi::serial(&plan.nodes[0])
    );
    ensure!(logs.contains(&board), "{logs}");
    let said = tool.refuses(1, &["stop", "core-1"])?;
    ensure!(said.contains("`pkgbuilder cluster kill core-1`"), "{said}");
    a_cable_is_pulled_and_plugged(&tool, ports.nomad)?;
    tool.run(&["reflash", "core-1"])?;
    tool.run(&words)?;
    let after = ids()?;
    ensure!(after == before, "it was {before:?}, and reflashed it is {after:?}");
    let logs = tool.run(&["logs", "core-1"])?;
    let made = logs.matches("computatom-init: making a file system for DATA").count();
    ensure!(made == 2, "{made} file systems were made for DATA: {logs}");
    tool.run(&["down"])?;
    tool.nothing_left()
}
