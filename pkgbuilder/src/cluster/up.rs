//! `pkgbuilder cluster up`: from a topology to nodes that are ready.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use computatom_cluster::cluster::{self, Cluster};
use computatom_cluster::folder::{Folder, Source, State, VERSION};
use computatom_cluster::machine::{self, Accelerator, Kind};
use computatom_cluster::plan::Plan;
use computatom_cluster::process::Process;
use computatom_cluster::survey::{self, Power, Report};
use computatom_cluster::topology::Topology;
use computatom_cluster::uplink;

use crate::cluster::not_ready::{self, NotReady};
use crate::cluster::order::Order;
use crate::cluster::raspberry_pi;
use crate::inspect::image::{self, Opened};
use crate::reporter::Reporter;
use crate::verify::Sha256;
use crate::{bail_input, input_error, interrupt};

/// What is asked for.
#[derive(Debug)]
pub struct Request {
    /// The cluster's name.
    pub name: String,
    /// Its topology.
    pub topology: Topology,
    /// The image; without one that which `build` writes for the topology's.
    pub image: Option<PathBuf>,
    /// How long the nodes may take until they are ready; none: they are not waited for.
    pub patience: Option<Duration>,
}

/// What QEMU takes for a machine beside its memory, in MiB: measured some 130 for a node of `default` in emulation.
const OVERHEAD: u64 = 150;
/// How often the nodes are asked.
const INTERVAL: Duration = Duration::from_secs(2);

/// Makes the cluster, or powers on what is off of one that there is already.
///
/// What this began is gone again when it fails or is interrupted before all nodes were powered on; a node that does not get
/// ready in time, or whose QEMU has ended, stays, to be looked at.
pub fn up(request: &Request, reporter: &Reporter) -> Result<Cluster> {
    let folder = Folder::new(&super::clusters()?, &request.name);
    let plan = Plan::new(&request.name, &request.topology).map_err(|text| input_error!("{text}"))?;
    let kind = plan.kind().map_err(|text| input_error!("{text}"))?;
    machine::check_programs(kind)?;
    let _held = folder.lock()?;
    let is_new = !folder.is_taken();
    if !is_new {
        check_same(&folder.state()?, &plan, request, reporter)?;
    }
    let begun = Instant::now();
    let made = (|| {
        if is_new {
            prepare(&folder, plan, request, kind, reporter)?;
        }
        let cluster = super::at(folder.clone())?;
        cluster.connect()?;
        if let Some(patience) = request.patience {
            wait(&cluster, begun, patience, reporter)?;
        } else {
            let order = Order::at_once(&cluster.state().plan.nodes);
            power_on(&cluster, &order, &mut running(&cluster)?, &[], reporter)?;
        }
        Ok(cluster)
    })();
    made.map_err(|error: anyhow::Error| {
        let stays = error.is::<NotReady>();
        if is_new && !stays {
            match cluster::down(&folder) {
                Ok(()) => return error,
                Err(left) => return error.context(format!("{left:#}: `pkgbuilder cluster down` ends what is left")),
            }
        }
        error
    })
}

/// Refuses what a cluster that there is already is not: of this topology, and of this image if one is named.
fn check_same(state: &State, plan: &Plan, request: &Request, reporter: &Reporter) -> Result<()> {
    let name = &request.name;
    let otherwise = format!("`pkgbuilder cluster down --name {name}` first, or give this one another name by --name");
    if state.plan != *plan {
        bail_input!("the cluster `{name}` is of another topology: {otherwise}");
    }
    let Source { path: of, digest } = &state.source;
    match &request.image {
        Some(path) if digest_of(path)? != *digest => bail_input!(
            "the cluster `{name}` was made from another file ({}) than {}: {otherwise}",
            of.display(),
            path.display()
        ),
        // What is on goes on, and what is off may be powered on, whatever became of the file.
        None if of.is_file() && digest_of(of).is_ok_and(|now| now != *digest) => reporter.warn(format_args!(
            "{} is no longer the image that the cluster `{name}` was made from, which its nodes boot, also after `reflash`: \
             `pkgbuilder cluster down --name {name}` and `up` take the new one",
            of.display()
        )),
        _ => {}
    }
    Ok(())
}

fn digest_of(path: &Path) -> Result<String> {
    let digest = Sha256::of_file(path).map_err(|error| input_error!("{error:#}"))?;
    Ok(digest.hex())
}

/// Everything that must be right before the first process is started.
fn prepare(folder: &Folder, plan: Plan, request: &Request, kind: Kind, reporter: &Reporter) -> Result<()> {
    // Left by one that was killed before it got as far as this.
    for process in Process::all(folder)? {
        process.kill()?;
    }
    check_memory(&plan)?;
    check_ports(&plan)?;
    let source = match &request.image {
        Some(path) => path.clone(),
        None => built(&request.topology, kind)?,
    };
    let base = folder.file("base.img");
    image::unpack(&source, &base, reporter)?;
    let manifest = Opened::open(&base, reporter)?
        .manifest()
        .map_err(|error| input_error!("{}: {error:#}", source.display()))?;
    if manifest.target != plan.target {
        bail_input!(
            "{} is for {}, but the nodes are {} machines: name another image, or use --target {}",
            source.display(),
            manifest.target,
            plan.target,
            manifest.target
        );
    }
    if kind == Kind::Pi3 {
        raspberry_pi::hand_over(folder, &plan, &base)?;
    }
    interrupt::check()?;
    let accelerator = Accelerator::find(kind)?;
    let pages = uplink::free_ports(plan.nodes.len())?;
    reporter.step(format_args!(
        "{} node{} of {} ({}) {}",
        plan.nodes.len(),
        if plan.nodes.len() == 1 { "" } else { "s" },
        manifest.image,
        manifest.target,
        match accelerator {
            Accelerator::Kvm => "on KVM",
            Accelerator::Tcg => "in emulation, as KVM does not work here for them",
        }
    ));
    let state = State {
        version: VERSION,
        plan,
        base: PathBuf::from("base.img"),
        source: Source {
            path: std::path::absolute(&source).context("finding the current folder")?,
            digest: digest_of(&source)?,
        },
        accelerator,
        pages,
    };
    for node in &state.plan.nodes {
        machine::make_disk(folder, &state, node)?;
    }
    folder.set_state(&state)
}

/// The image of the topology that `build` wrote to the output folder of this checkout.
fn built(topology: &Topology, kind: Kind) -> Result<PathBuf> {
    let image = topology.image(kind);
    let stem = format!("out/{image}-{}", topology.target);
    let found = [".img", ".img.zst"]
        .map(|ending| PathBuf::from(format!("{stem}{ending}")))
        .into_iter()
        .find(|path| path.is_file());
    found.ok_or_else(|| {
        input_error!(
            "there is no image {stem}.img.zst: `pkgbuilder build {image} --target {}` makes it, or name another by --image",
            topology.target
        )
    })
}

fn check_memory(plan: &Plan) -> Result<()> {
    let text = std::fs::read_to_string("/proc/meminfo").context("reading /proc/meminfo")?;
    let available = text
        .lines()
        .find_map(|line| line.strip_prefix("MemAvailable:"))
        .and_then(|rest| rest.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok())
        .context("reading MemAvailable in /proc/meminfo")?
        / 1024;
    fits(plan, available).map_err(anyhow::Error::msg)
}

/// Refuses nodes that need more than `available` MiB.
fn fits(plan: &Plan, available: u64) -> Result<(), String> {
    let wanted = plan.memory_mib() + OVERHEAD * plan.nodes.len() as u64;
    if wanted <= available {
        return Ok(());
    }
    let (these, less) = match plan.nodes.as_slice() {
        [node] => {
            let asks = format!("it asks for {} MiB by `memory_mib`", node.memory_mib);
            let fixed = Kind::of(&plan.target).is_ok_and(|kind| kind.fixed().is_some());
            let less = if fixed {
                String::new()
            } else {
                format!(", or ask for less in a topology of your own ({asks})")
            };
            ("this node needs", less)
        }
        _ => (
            "these nodes need",
            ", or take a smaller topology (`pkgbuilder cluster up small`)".to_owned(),
        ),
    };
    Err(format!(
        "{these} {wanted} MiB of memory, and {available} MiB are available: end something{less}"
    ))
}

/// Refuses ports that somebody listens on, and offers others.
fn check_ports(plan: &Plan) -> Result<()> {
    let mut offered = Vec::new();
    let mut taken = Vec::new();
    for (name, port) in plan.ports.named() {
        if uplink::is_free(port) {
            continue;
        }
        taken.push(format!("{port} ({name})"));
        let free = (port.saturating_add(10)..=u16::MAX)
            .step_by(10)
            .find(|port| uplink::is_free(*port));
        offered.push(format!(
            "--port {name}={}",
            free.with_context(|| format!("no port above {port} is free"))?
        ));
    }
    if taken.is_empty() {
        return Ok(());
    }
    bail!(
        "port{} {} of this machine {} taken, perhaps by another cluster (`pkgbuilder cluster list`); free {}: {}",
        if taken.len() == 1 { "" } else { "s" },
        taken.join(", "),
        if taken.len() == 1 { "is" } else { "are" },
        if taken.len() == 1 { "is" } else { "are" },
        offered.join(" ")
    );
}

/// Powers on the nodes whose turn it is.
fn power_on(
    cluster: &Cluster,
    order: &Order<'_>,
    started: &mut BTreeSet<String>,
    reports: &[Report],
    reporter: &Reporter,
) -> Result<()> {
    for node in order.now(started, reports) {
        interrupt::check()?;
        cluster.start(node)?;
        reporter.step(format_args!("{} is on", node.name));
        started.insert(node.name.clone());
    }
    cluster.redirect()
}

/// Powers all nodes on, and waits until every one is ready.
fn wait(cluster: &Cluster, begun: Instant, patience: Duration, reporter: &Reporter) -> Result<()> {
    let bars: Vec<_> = cluster
        .state()
        .plan
        .nodes
        .iter()
        .map(|node| reporter.busy(node.name.clone()))
        .collect();
    let mut told = vec![false; bars.len()];
    let mut started = running(cluster)?;
    let state = cluster.state();
    let order = Order::of_boots(&state.plan.nodes, state.accelerator, &started);
    power_on(cluster, &order, &mut started, &[], reporter)?;
    loop {
        let reports = survey::ask(cluster.folder(), cluster.state())?;
        for ((report, bar), told) in reports.iter().zip(&bars).zip(&mut told) {
            if !report.ready {
                bar.set_message(not_ready::short(report));
            } else if !*told {
                *told = true;
                bar.finish_and_clear();
                let seconds = begun.elapsed().as_secs();
                reporter.step(format_args!("{} is ready after {seconds} s", report.name));
            }
        }
        let waiting: Vec<&Report> = reports.iter().filter(|report| !report.ready).collect();
        if waiting.is_empty() {
            return Ok(());
        }
        // A node whose QEMU has died gets ready no more.
        let has_ended = |report: &&&Report| report.power == Power::Off && started.contains(&report.name);
        if let Some(report) = waiting.iter().find(has_ended) {
            return Err(NotReady::ended(report, cluster.folder()).into());
        }
        if begun.elapsed() > patience {
            return Err(NotReady::late(&waiting, patience).into());
        }
        power_on(cluster, &order, &mut started, &reports, reporter)?;
        raspberry_pi::find_adapters(cluster, &waiting, reporter)?;
        std::thread::sleep(INTERVAL);
        interrupt::check()?;
    }
}

/// Names of what runs.
fn running(cluster: &Cluster) -> Result<BTreeSet<String>> {
    let processes = Process::all(cluster.folder())?;
    Ok(processes.into_iter().map(|process| process.name).collect())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn plan(target: &str, nodes: &[&str]) -> Plan {
        let nodes: Vec<_> = (nodes.iter())
            .map(|name| json!({"name": name, "roles": ["server"], "memory_mib": 1000}))
            .collect();
        let topology: Topology = serde_json::from_value(json!({"target": target, "nodes": nodes})).unwrap();
        Plan::new("test", &topology).unwrap()
    }

    #[test]
    fn what_there_is_not_memory_for_is_told_what_takes_less() {
        let one = plan("uefi-amd64", &["a"]);
        assert_eq!(fits(&one, 1150), Ok(()));
        assert_eq!(
            fits(&one, 1149).unwrap_err(),
            "this node needs 1150 MiB of memory, and 1149 MiB are available: end something, or ask for less in a topology of \
             your own (it asks for 1000 MiB by `memory_mib`)"
        );
        // A board has what it has.
        let board = fits(&plan("raspberrypi-arm64", &["a"]), 0).unwrap_err();
        assert!(board.ends_with("0 MiB are available: end something"), "{board}");
        let two = fits(&plan("uefi-amd64", &["a", "b"]), 2000).unwrap_err();
        assert!(
            two.starts_with("these nodes need 2300 MiB") && two.contains("`pkgbuilder cluster up small`"),
            "{two}"
        );
    }
}
