//! The folder that holds all of a cluster's state: what it is to be, what is wrong with it on purpose, its disks, sockets
//! and logs. Any command finds the cluster by it, whether or not the one that started it still lives.

use std::fs::{self, File, TryLockError};
use std::io::{ErrorKind, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::machine::Accelerator;
use crate::plan::Plan;
use crate::segment::Faults;
use crate::uplink::Forward;

/// What runs, or is to run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct State {
    /// Version of this file's form.
    pub version: u32,
    /// The plan.
    pub plan: Plan,
    /// The image that nodes boot: their disks lie over it, so it must stay as it is.
    pub base: PathBuf,
    /// Where that came from.
    pub source: Source,
    /// What QEMU computes with.
    pub accelerator: Accelerator,
    /// Ports of the host that lead to the agents' pages, in the order of the nodes.
    pub pages: Vec<u16>,
}

impl State {
    /// The address of the page of that node's agent, for a browser of the host.
    pub fn page(&self, index: usize) -> String {
        format!("http://127.0.0.1:{}/", self.pages[index])
    }
}

/// The file that a cluster was made from.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Source {
    /// Where it was, from the root.
    pub path: PathBuf,
    /// Its SHA-256 digest in hex, by which another one is known.
    pub digest: String,
}

/// The form of [`State`] that this version writes and reads.
pub const VERSION: u32 = 2;

/// A cluster's folder.
#[derive(Clone, Debug)]
pub struct Folder(PathBuf);

impl Folder {
    /// The switch's socket.
    pub const SWITCH: &str = "switch.sock";
    /// The host's port on the segment; no host name is like it.
    pub const HOST: &str = "_host";
    const STATE: &str = "cluster.json";
    const FAULTS: &str = "faults.json";
    const FORWARDS: &str = "forwards.json";
    const LOCK: &str = "lock";

    /// The folder of the cluster `name` under `clusters`.
    pub fn new(clusters: &Path, name: &str) -> Self {
        Self(clusters.join(name))
    }

    /// That folder itself.
    pub fn at(path: PathBuf) -> Self {
        Self(path)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// The cluster's name.
    pub fn name(&self) -> String {
        self.0.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    /// A file in it.
    pub fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Names of the two sockets of a port: the switch's, and that of QEMU.
    pub fn wire(name: &str) -> (String, String) {
        (format!("{name}.switch.sock"), format!("{name}.wire.sock"))
    }

    /// Whether there is a cluster in it.
    pub fn is_taken(&self) -> bool {
        self.file(Self::STATE).exists()
    }

    /// What runs in it.
    ///
    /// # Errors
    /// There is none, or its description is damaged or of another version of this tool.
    pub fn state(&self) -> Result<State> {
        let Some(state) = self.read::<serde_json::Value>(Self::STATE)? else {
            bail!(
                "there is no cluster in {}: `pkgbuilder cluster up` makes one",
                self.0.display()
            );
        };
        let damaged = || {
            format!(
                "{} is not of this version: `pkgbuilder cluster down` removes what is left of that cluster",
                self.file(Self::STATE).display()
            )
        };
        if state["version"] != VERSION {
            return Err(anyhow!(damaged()));
        }
        serde_json::from_value(state).with_context(damaged)
    }

    /// Writes down what is to run.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn set_state(&self, state: &State) -> Result<()> {
        self.write(Self::STATE, state)
    }

    /// What is wrong on purpose; nothing, where nothing was said.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn faults(&self) -> Result<Faults> {
        Ok(self.read(Self::FAULTS)?.unwrap_or_default())
    }

    /// Writes down what is wrong on purpose.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn set_faults(&self, faults: &Faults) -> Result<()> {
        self.write(Self::FAULTS, faults)
    }

    /// Where the host's ports lead.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn forwards(&self) -> Result<Vec<Forward>> {
        Ok(self.read(Self::FORWARDS)?.unwrap_or_default())
    }

    /// Writes down where the host's ports lead.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn set_forwards(&self, forwards: &[Forward]) -> Result<()> {
        self.write(Self::FORWARDS, &forwards)
    }

    /// Holds the folder for a command that changes something, until the answer is dropped.
    ///
    /// # Errors
    /// Another one is at it.
    pub fn lock(&self) -> Result<File> {
        fs::create_dir_all(&self.0).with_context(|| format!("making the folder {}", self.0.display()))?;
        let path = self.file(Self::LOCK);
        let file = File::create(&path).with_context(|| format!("making {}", path.display()))?;
        match file.try_lock() {
            Ok(()) => Ok(file),
            Err(TryLockError::WouldBlock) => bail!(
                "another `pkgbuilder cluster` is at work on the cluster in {}: wait until it is done",
                self.0.display()
            ),
            Err(TryLockError::Error(error)) => Err(error).with_context(|| format!("locking {}", path.display())),
        }
    }

    /// Connects to a socket in the folder, however long the folder's own name is.
    ///
    /// # Errors
    /// Nobody listens there.
    pub fn connect(&self, name: &str) -> Result<UnixStream> {
        let folder = File::open(&self.0).with_context(|| format!("opening {}", self.0.display()))?;
        let path = format!("/proc/self/fd/{}/{name}", folder.as_raw_fd());
        UnixStream::connect(path).with_context(|| format!("connecting to {}", self.file(name).display()))
    }

    /// Removes the folder and all in it.
    ///
    /// # Errors
    /// Something of it cannot be removed.
    pub fn remove(&self) -> Result<()> {
        match fs::remove_dir_all(&self.0) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                Err(error).with_context(|| format!("removing {}", self.0.display()))
            }
            _ => Ok(()),
        }
    }

    fn read<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>> {
        let path = self.file(name);
        let text = match fs::read(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            text => text.with_context(|| format!("reading {}", path.display()))?,
        };
        let value = serde_json::from_slice(&text).with_context(|| {
            format!(
                "{} is damaged: `pkgbuilder cluster down` removes what is left of that cluster",
                path.display()
            )
        })?;
        Ok(Some(value))
    }

    /// The file is whole or as it was.
    fn write(&self, name: &str, value: &impl Serialize) -> Result<()> {
        let path = self.file(name);
        let new = self.file(&format!("{name}.new"));
        let write = || -> Result<()> {
            let mut file = File::create(&new)?;
            file.write_all(&serde_json::to_vec_pretty(value)?)?;
            file.sync_all()?;
            fs::rename(&new, &path)?;
            Ok(())
        };
        write().with_context(|| format!("writing {}", path.display()))
    }
}
