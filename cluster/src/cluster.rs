//! The cluster as it runs: its switch, its way out, its nodes, and what is done to them.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::json;

use crate::folder::{Folder, State};
use crate::machine::{self, Qmp};
use crate::plan::Node;
use crate::process::Process;
use crate::segment::{self, Faults};
use crate::uplink::{self, Forward};

/// How long a node may take to shut down in order; what its jobs take is theirs.
const SHUTDOWN: Duration = Duration::from_mins(2);

/// A cluster.
#[derive(Debug)]
pub struct Cluster {
    folder: Folder,
    state: State,
    /// The program that is the switch, and its arguments: ourselves.
    switch: (std::path::PathBuf, Vec<String>),
}

impl Cluster {
    /// The cluster in a folder.
    ///
    /// # Errors
    /// There is none.
    pub fn open(folder: Folder, switch: (std::path::PathBuf, Vec<String>)) -> Result<Self> {
        let state = folder.state()?;
        Ok(Self { folder, state, switch })
    }

    /// What it is.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// Where it is.
    pub fn folder(&self) -> &Folder {
        &self.folder
    }

    /// The node of that name.
    ///
    /// # Errors
    /// There is none: which there are.
    pub fn node(&self, name: &str) -> Result<&Node, String> {
        self.state.plan.node(name).ok_or_else(|| {
            let names: Vec<&str> = self.state.plan.nodes.iter().map(|node| node.name.as_str()).collect();
            format!("there is no node `{name}`; this cluster has {}", names.join(", "))
        })
    }

    /// Starts the switch and the way out, where they do not run.
    ///
    /// # Errors
    /// One of them does not come up.
    pub fn connect(&self) -> Result<()> {
        let running = Process::all(&self.folder)?;
        let runs = |name: &str| running.iter().any(|process| process.name == name);
        if !runs(segment::PROCESS) {
            let (program, arguments) = &self.switch;
            let mut child = Process::start(&self.folder, segment::PROCESS, program, arguments)?;
            let began = Instant::now();
            while self.folder.connect(Folder::SWITCH).is_err() {
                if let Some(status) = child.try_wait()? {
                    let said = std::fs::read_to_string(self.folder.file("switch.log")).unwrap_or_default();
                    bail!("the switch ended ({status}): {}", said.trim());
                }
                ensure!(began.elapsed() < Duration::from_secs(20), "the switch does not answer");
                std::thread::sleep(Duration::from_millis(20));
            }
        }
        if !runs(Folder::HOST) {
            let forwards = self.forwards()?;
            uplink::start(&self.folder, &self.state, &forwards)?;
            self.folder.set_forwards(&forwards)?;
        }
        Ok(())
    }

    /// What the host's ports lead to, given the nodes that are on.
    ///
    /// # Errors
    /// /proc cannot be read.
    pub fn forwards(&self) -> Result<Vec<Forward>> {
        let running = Process::all(&self.folder)?;
        let is_on = |node: &Node| running.iter().any(|process| process.name == node.name);
        // Before anything runs they lead to where they will.
        let any = self.state.plan.nodes.iter().any(is_on);
        Ok(uplink::forwards(&self.state.plan, &self.state.pages, |node| {
            !any || is_on(node)
        }))
    }

    /// Leads the host's ports to nodes that are on.
    ///
    /// # Errors
    /// QEMU refuses it.
    pub fn redirect(&self) -> Result<()> {
        let now = self.forwards()?;
        let before = self.folder.forwards()?;
        if before != now {
            uplink::redirect(&self.folder, &before, &now)?;
            self.folder.set_forwards(&now)?;
        }
        Ok(())
    }

    /// Powers a node on.
    ///
    /// # Errors
    /// It is on, or QEMU does not start.
    pub fn start(&self, node: &Node) -> Result<()> {
        machine::start(&self.folder, &self.state, node)
    }

    /// Shuts a node down in order, as its power button does.
    ///
    /// # Errors
    /// It is off, did not end in time, or has no such button.
    pub fn stop(&self, node: &Node) -> Result<()> {
        let process = self.running(node)?;
        ensure!(
            self.state.plan.kind().map_err(anyhow::Error::msg)?.has_power_button(),
            "a Raspberry Pi has no power button: `pkgbuilder cluster kill {}` pulls its plug, which it is made for",
            node.name
        );
        self.command(node, "system_powerdown")?;
        ensure!(
            process.ended(SHUTDOWN)?,
            "{} did not shut down within {} s: its console says why (`pkgbuilder cluster logs {}`); \
             `pkgbuilder cluster kill {}` cuts its power",
            node.name,
            SHUTDOWN.as_secs(),
            node.name,
            node.name
        );
        Ok(())
    }

    /// Cuts a node's power.
    ///
    /// # Errors
    /// It is off.
    pub fn kill(&self, node: &Node) -> Result<()> {
        self.running(node)?.kill()
    }

    /// Lets a node stand still.
    ///
    /// # Errors
    /// It is off.
    pub fn pause(&self, node: &Node) -> Result<()> {
        self.running(node)?;
        self.command(node, "stop")
    }

    /// Lets a node go on.
    ///
    /// # Errors
    /// It is off.
    pub fn resume(&self, node: &Node) -> Result<()> {
        self.running(node)?;
        self.command(node, "cont")
    }

    /// Gives a node a new disk, as if its card had been written anew, and powers it on.
    ///
    /// # Errors
    /// The disk cannot be made, or QEMU does not start.
    pub fn reflash(&self, node: &Node) -> Result<()> {
        if let Some(process) = Process::find(&self.folder, &node.name)? {
            process.kill()?;
        }
        machine::make_disk(&self.folder, &self.state, node)?;
        self.start(node)
    }

    /// Pulls a node's cable, or puts it in.
    ///
    /// # Errors
    /// The switch or QEMU does not answer.
    pub fn plug(&self, node: &Node, up: bool) -> Result<()> {
        let mut faults = self.folder.faults()?;
        if up {
            faults.unplugged.remove(&node.name);
        } else {
            faults.unplugged.insert(node.name.clone());
        }
        self.set(&faults)?;
        // The adapter of one that is off is told when it starts.
        if Process::find(&self.folder, &node.name)?.is_some() {
            machine::plug(&self.folder, node, up)?;
        }
        Ok(())
    }

    /// Lets groups of nodes hear nothing of each other; an earlier partition is over.
    ///
    /// # Errors
    /// A group has no such node, a node is in two groups, or the switch does not answer.
    pub fn partition(&self, groups: Vec<BTreeSet<String>>) -> Result<(), String> {
        let mut seen = BTreeSet::new();
        for name in groups.iter().flatten() {
            self.node(name)?;
            if !seen.insert(name) {
                return Err(format!("`{name}` is in two groups"));
            }
        }
        if groups.len() < 2 || groups.iter().any(BTreeSet::is_empty) {
            return Err("a partition has at least two groups, such as `a,b c`".to_owned());
        }
        let change = || {
            self.set(&Faults {
                partition: groups,
                ..self.folder.faults()?
            })
        };
        change().map_err(|error: anyhow::Error| format!("{error:#}"))
    }

    /// Ends a partition, and puts all cables in.
    ///
    /// # Errors
    /// The switch or QEMU does not answer.
    pub fn heal(&self) -> Result<()> {
        let unplugged = self.folder.faults()?.unplugged;
        self.set(&Faults::default())?;
        for name in unplugged {
            if let Some(node) = self.state.plan.node(&name)
                && Process::find(&self.folder, &name)?.is_some()
            {
                machine::plug(&self.folder, node, true)?;
            }
        }
        Ok(())
    }

    fn set(&self, faults: &Faults) -> Result<()> {
        self.folder.set_faults(faults)?;
        segment::tell(&self.folder, "faults").context("the fault holds when the switch runs again")?;
        Ok(())
    }

    fn running(&self, node: &Node) -> Result<Process> {
        Process::find(&self.folder, &node.name)?
            .with_context(|| format!("{} is off: `pkgbuilder cluster start {}`", node.name, node.name))
    }

    fn command(&self, node: &Node, command: &str) -> Result<()> {
        Qmp::connect(&self.folder, &node.name)?.execute(command, &json!({}))?;
        Ok(())
    }
}

/// Ends all processes of a cluster, whatever is left of it, and removes its folder.
///
/// # Errors
/// A process does not end, or a file cannot be removed.
pub fn down(folder: &Folder) -> Result<()> {
    // The power goes first, so that nobody is left who speaks.
    for process in Process::all(folder)? {
        process.kill()?;
    }
    folder.remove()
}

/// The program that is the switch of a cluster: `program` is the running one, its arguments lead to [`segment::run`].
pub fn switch(program: &Path) -> (std::path::PathBuf, Vec<String>) {
    (program.to_owned(), ["cluster", "switch"].map(str::to_owned).to_vec())
}
