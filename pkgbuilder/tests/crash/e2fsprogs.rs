//! This machine's e2fsprogs, with every write and barrier of theirs written down in order.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::LazyLock;

use anyhow::{Context, Result, ensure};

/// What a program did to its file.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    Write(u64, Vec<u8>),
    Zero(u64, u64),
    Flush,
}

/// The tracer, and where it writes.
#[derive(Debug)]
pub(crate) struct Tracer {
    library: &'static Path,
    record: PathBuf,
}

/// The tracer, compiled once by each run of the tests.
static LIBRARY: LazyLock<PathBuf> = LazyLock::new(|| {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let fresh = folder.join(format!("crash-trace-{}.so", std::process::id()));
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/crash/trace.c");
    let status = Command::new("cc")
        .args(["-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o"])
        .arg(&fresh)
        .arg(source)
        .arg("-ldl")
        .status();
    assert!(status.expect("cc links Rust programs too").success());
    // Another run may be using the one that is there.
    let library = folder.join("crash-trace.so");
    std::fs::rename(fresh, &library).unwrap();
    library
});

impl Tracer {
    /// Its record lies in a folder.
    pub(crate) fn new(folder: &Path) -> Self {
        Self {
            library: &LIBRARY,
            record: folder.join("record"),
        }
    }

    /// Runs a program on a file at a time of the machine's; answers its status, and what it did.
    pub(crate) fn run(&self, program: &str, arguments: &[&str], file: &Path, now: i64) -> Result<(i32, Vec<Step>)> {
        let _ = std::fs::remove_file(&self.record);
        let status = Command::new(program)
            .args(arguments)
            .arg(file)
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            // All of them go by it (e2fsprogs, lib/ext2fs/ext2_fs.h and misc/util.c).
            .env("E2FSPROGS_FAKE_TIME", now.max(1).to_string())
            .env("LD_PRELOAD", self.library)
            .env("COMPUTATOM_TARGET", file)
            .env("COMPUTATOM_TRACE", &self.record)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .with_context(|| format!("running {program} (package e2fsprogs)"))?;
        let code = status.code().context("it was ended by a signal")?;
        ensure!(code != 99, "the tracer could not follow {program}");
        let record = std::fs::read(&self.record).unwrap_or_default();
        Ok((code, parse(&record)))
    }
}

fn parse(mut record: &[u8]) -> Vec<Step> {
    let mut steps = Vec::new();
    while let Some((kind, rest)) = record.split_first() {
        let number = |at: usize| u64::from_ne_bytes(rest[at..at + 8].try_into().unwrap());
        let (offset, length) = (number(0), number(8));
        record = &rest[16..];
        steps.push(match kind {
            b'W' => {
                let (bytes, rest) = record.split_at(usize::try_from(length).unwrap());
                record = rest;
                Step::Write(offset, bytes.to_vec())
            }
            b'Z' => Step::Zero(offset, length),
            _ => Step::Flush,
        });
    }
    steps
}

/// What a program that only looks says.
pub(crate) fn ask(program: &str, arguments: &[&str], file: &Path) -> (i32, String) {
    let output = Command::new(program)
        .args(arguments)
        .arg(file)
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .stdin(Stdio::null())
        .output()
        .expect("e2fsprogs is installed");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    (output.status.code().unwrap_or(-1), said)
}
