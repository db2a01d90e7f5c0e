//! Processes that outlive the command that started them. Nothing remembers their numbers: what belongs to a cluster has its
//! folder as its current one, which is looked for. So a command that was killed half-way leaves nothing unknown behind.

use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::OwnedFd;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use crate::folder::Folder;

/// A process of a cluster.
#[derive(Debug)]
pub struct Process {
    /// What it is in the cluster: the name of a node, [`Folder::HOST`] or [`crate::segment::PROCESS`].
    pub name: String,
    /// Its number.
    pub pid: i32,
    handle: OwnedFd,
}

/// The argument before a process' name in its cluster.
const MARK: &str = "-name";

impl Process {
    /// Starts `program` in the cluster's folder under this name. It hears neither Ctrl-C nor the end of the terminal,
    /// which go to the group of processes in the foreground; what it says goes to `NAME.log`.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn start(folder: &Folder, name: &str, program: &Path, arguments: &[String]) -> Result<Child> {
        let log = folder.file(&format!("{name}.log"));
        let log = File::create(&log).with_context(|| format!("making {}", log.display()))?;
        Command::new(program)
            .args(arguments)
            .args([MARK, name])
            .current_dir(folder.path())
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("starting {}", program.display()))
    }

    /// All processes of a cluster.
    ///
    /// # Errors
    /// /proc cannot be read.
    pub fn all(folder: &Folder) -> Result<Vec<Self>> {
        let Ok(place) = folder.path().canonicalize() else {
            return Ok(Vec::new());
        };
        let mut found = Vec::new();
        for entry in fs::read_dir("/proc").context("reading /proc")?.flatten() {
            let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<i32>().ok()) else {
                continue;
            };
            // The handle first: what is read after it is of the process that it stands for, or of none.
            let Some(handle) = Pid::from_raw(pid).and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok()) else {
                continue;
            };
            // Processes of others cannot be looked into, and are none of ours.
            if fs::read_link(entry.path().join("cwd")).ok().as_deref() != Some(&place) {
                continue;
            }
            let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
            if let Some(name) = marked(&line) {
                found.push(Self { name, pid, handle });
            }
        }
        found.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(found)
    }

    /// The one of that name.
    ///
    /// # Errors
    /// /proc cannot be read.
    pub fn find(folder: &Folder, name: &str) -> Result<Option<Self>> {
        Ok(Self::all(folder)?.into_iter().find(|process| process.name == name))
    }

    /// Waits until it has ended; whether it has.
    ///
    /// # Errors
    /// It cannot be waited for.
    pub fn ended(&self, limit: Duration) -> Result<bool> {
        let limit = Timespec {
            tv_sec: i64::try_from(limit.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: limit.subsec_nanos().into(),
        };
        let mut handle = [PollFd::new(&self.handle, PollFlags::IN)];
        loop {
            match poll(&mut handle, Some(&limit)) {
                Ok(count) => return Ok(count > 0),
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error).context("waiting for a process"),
            }
        }
    }

    /// Ends it at once, as the power does when it is cut.
    ///
    /// # Errors
    /// It does not end.
    pub fn kill(&self) -> Result<()> {
        match pidfd_send_signal(&self.handle, Signal::KILL) {
            // Ended by itself.
            Ok(()) | Err(rustix::io::Errno::SRCH) => {}
            Err(error) => return Err(error).with_context(|| format!("ending process {}", self.pid)),
        }
        anyhow::ensure!(
            self.ended(Duration::from_secs(20))?,
            "process {} ({}) does not end",
            self.pid,
            self.name
        );
        Ok(())
    }
}

/// The name behind [`MARK`] in a command line (`/proc/PID/cmdline`: arguments, each with a NUL behind it).
fn marked(line: &[u8]) -> Option<String> {
    let mut arguments = line.split(|byte| *byte == 0).skip(1);
    arguments.find(|argument| *argument == MARK.as_bytes())?;
    String::from_utf8(arguments.next()?.to_vec()).ok()
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[test]
    fn a_process_is_found_by_its_folder_and_ended() {
        let temporary = tempfile::tempdir().unwrap();
        let folder = Folder::at(temporary.path().join("cluster"));
        fs::create_dir(folder.path()).unwrap();
        assert!(Process::all(&folder).unwrap().is_empty());
        // It waits without a child, which would look like it.
        let mut child = Command::new("sh")
            .args(["-c", "read line", "sh", MARK, "core-1"])
            .current_dir(folder.path())
            .process_group(0)
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        // Another in the same folder that is nobody's node.
        let mut other = Command::new("sleep")
            .arg("60")
            .current_dir(folder.path())
            .spawn()
            .unwrap();
        // A program that has just been started has no arguments yet (exec closes what `spawn` waits for before it sets them).
        let began = Instant::now();
        let mut found = Process::all(&folder).unwrap();
        while found.is_empty() && began.elapsed() < Duration::from_secs(20) {
            std::thread::sleep(Duration::from_millis(5));
            found = Process::all(&folder).unwrap();
        }
        let names: Vec<&str> = found.iter().map(|process| process.name.as_str()).collect();
        assert_eq!(names, ["core-1"]);
        assert!(!found[0].ended(Duration::from_millis(20)).unwrap());
        found[0].kill().unwrap();
        child.wait().unwrap();
        assert!(Process::find(&folder, "core-1").unwrap().is_none());
        other.kill().unwrap();
        other.wait().unwrap();
    }

    #[test]
    fn the_name_is_read_from_the_command_line() {
        assert_eq!(marked(b"qemu\0-name\0core-1\0-S\0").as_deref(), Some("core-1"));
        assert_eq!(marked(b"qemu\0-S\0"), None);
        assert_eq!(marked(b"qemu\0-name"), None);
        assert_eq!(marked(b""), None);
    }
}
