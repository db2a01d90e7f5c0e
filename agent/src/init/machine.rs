//! What the kernel and e2fsprogs do for `/init`, behind one trait: tests put a card in memory and the real e2fsprogs on
//! a copy of it in its place, and cut the power wherever they like.

use std::fs::File;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::clock;
use super::console;
use super::device::RootDisk;
use super::led::{self, Pattern};
use crate::disk::BlockDevice;

/// The programs of e2fsprogs that DATA needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tool {
    /// Makes the file system.
    Mke2fs,
    /// Checks and repairs it.
    E2fsck,
    /// Grows it to its partition.
    Resize2fs,
}

impl Tool {
    /// Where it is in the root.
    pub fn path(self) -> &'static str {
        match self {
            Self::Mke2fs => "/usr/sbin/mke2fs",
            Self::E2fsck => "/usr/sbin/e2fsck",
            Self::Resize2fs => "/usr/sbin/resize2fs",
        }
    }
}

/// The machine that `/init` runs on.
pub trait Machine {
    /// A disk or a partition of it.
    type Device: BlockDevice;

    /// The whole disk of the root.
    fn disk(&mut self) -> Result<Self::Device>;

    /// A partition of that disk, as the kernel sees it.
    fn partition(&mut self, number: u32) -> Result<Self::Device>;

    /// Lets the kernel read the partition table again.
    fn reread_partitions(&mut self) -> Result<()>;

    /// Runs a program of the root on a partition, whose device is the last argument; answers its exit status.
    fn run(&mut self, tool: Tool, arguments: &[&str], number: u32) -> Result<i32>;

    /// Sets the clock to `seconds` since 1970 if it stands before that.
    fn not_before(&mut self, seconds: i64);

    /// A line for the console and the journal.
    fn say(&mut self, text: &str);

    /// What the board's light shows.
    fn show(&mut self, pattern: Pattern);
}

/// The machine itself.
#[derive(Debug)]
pub struct Board {
    /// The disk that holds the root.
    pub disk: RootDisk,
    /// Where the root is mounted.
    pub sysroot: PathBuf,
}

impl Machine for Board {
    type Device = File;

    fn disk(&mut self) -> Result<File> {
        self.disk.open()
    }

    fn partition(&mut self, number: u32) -> Result<File> {
        open(&self.disk.partition(number)?)
    }

    fn reread_partitions(&mut self) -> Result<()> {
        self.disk.reread_partitions()
    }

    fn run(&mut self, tool: Tool, arguments: &[&str], number: u32) -> Result<i32> {
        let device = self.disk.partition(number)?;
        run_on(&self.sysroot, tool, arguments, &device)
    }

    fn not_before(&mut self, seconds: i64) {
        clock::not_before(seconds);
    }

    fn say(&mut self, text: &str) {
        console::say(text);
    }

    fn show(&mut self, pattern: Pattern) {
        led::show(pattern);
    }
}

/// Opens for reading and writing, or for reading where the card refuses more.
pub fn open(path: &Path) -> Result<File> {
    let opened = File::options().read(true).write(true).open(path);
    opened
        .or_else(|error| match error.kind() {
            std::io::ErrorKind::ReadOnlyFilesystem | std::io::ErrorKind::PermissionDenied => File::open(path),
            _ => Err(error),
        })
        .with_context(|| format!("opening {}", path.display()))
}

/// Runs a program of the root at `sysroot` inside it; what it says when it is not content goes to the console.
#[allow(unsafe_code, reason = "the standard library has no chroot for a child")]
fn run_on(sysroot: &Path, tool: Tool, arguments: &[&str], device: &Path) -> Result<i32> {
    let (root, program) = (sysroot.to_owned(), tool.path());
    let mut command = Command::new(program);
    command
        .args(arguments)
        .arg(device)
        .env_clear()
        .env("PATH", "/usr/sbin:/usr/bin");
    // SAFETY: between fork and exec only two system calls are made, and nothing is allocated.
    unsafe {
        command.pre_exec(move || {
            rustix::process::chroot(&root)?;
            rustix::process::chdir("/")?;
            Ok(())
        });
    }
    let output = command
        .output()
        .with_context(|| format!("running {program} of the root"))?;
    let status = output
        .status
        .code()
        .with_context(|| format!("{program} was ended by a signal"))?;
    if status != 0 {
        for line in String::from_utf8_lossy(&output.stderr)
            .lines()
            .chain(String::from_utf8_lossy(&output.stdout).lines())
        {
            console::say(&format!("{program}: {line}"));
        }
    }
    Ok(status)
}
