//! External programs (the Go toolchain, and nothing else in a build), their output kept for the error message.

use std::fs::File;
use std::io::{Read, Seek};
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process_group};

use crate::interrupt;

/// Lines of standard error kept for a message.
const TAIL: usize = 20;

/// How often a running program is looked at, and Ctrl-C with it.
const INTERVAL: Duration = Duration::from_millis(50);

/// What a program left.
#[derive(Debug)]
pub struct Output {
    /// How it ended.
    pub status: ExitStatus,
    /// Its standard output.
    pub stdout: Vec<u8>,
    /// Its standard error.
    pub stderr: String,
}

/// Runs to the end and returns standard output; failure carries the command line and the end of its standard error.
pub fn run(command: &mut Command) -> Result<Vec<u8>> {
    let line = display(command);
    let output = output(command)?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    bail!("`{line}` ended with {}:\n{}", output.status, tail(&output.stderr))
}

/// Runs to the end, whatever that is. Ctrl-C ends the program and all it started.
pub fn output(command: &mut Command) -> Result<Output> {
    let line = display(command);
    let running = || format!("running `{line}`");
    // Files, not pipes: nobody has to empty them while we wait.
    let mut stdout = tempfile::tempfile().with_context(running)?;
    let mut stderr = tempfile::tempfile().with_context(running)?;
    let mut child = command
        .stdin(Stdio::null())
        .stdout(stdout.try_clone().with_context(running)?)
        .stderr(stderr.try_clone().with_context(running)?)
        // A group of its own, so that a compiler started by it ends with it.
        .process_group(0)
        .spawn()
        .with_context(running)?;
    let status = loop {
        if let Some(status) = child.try_wait().with_context(running)? {
            break status;
        }
        if let Err(interrupted) = interrupt::check() {
            if let Some(group) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
                // It may have ended by itself just now.
                let _ = kill_process_group(group, Signal::TERM);
            }
            child.wait().with_context(running)?;
            return Err(interrupted.into());
        }
        std::thread::sleep(INTERVAL);
    };
    Ok(Output {
        status,
        stdout: content(&mut stdout).with_context(running)?,
        stderr: String::from_utf8_lossy(&content(&mut stderr).with_context(running)?).into_owned(),
    })
}

/// The end of a program's complaint, as much as a message can hold.
pub fn tail(text: &str) -> String {
    last_lines(text, TAIL).collect::<Vec<_>>().join("\n")
}

/// The last `count` lines of a text.
pub fn last_lines(text: &str, count: usize) -> impl Iterator<Item = &str> {
    let text = text.trim_end();
    let skipped = text.lines().count().saturating_sub(count);
    text.lines().skip(skipped)
}

fn content(file: &mut File) -> std::io::Result<Vec<u8>> {
    let mut content = Vec::new();
    file.rewind()?;
    file.read_to_end(&mut content)?;
    Ok(content)
}

/// The command line as a person would type it.
fn display(command: &Command) -> String {
    let mut words = vec![command.get_program().to_string_lossy().into_owned()];
    words.extend(command.get_args().map(|arg| arg.to_string_lossy().into_owned()));
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_and_complaints_are_kept() {
        let mut command = Command::new("sh");
        command.args(["-c", "echo out; echo bad >&2; exit 3"]);
        let output = output(&mut command).unwrap();
        assert_eq!(
            (output.stdout.as_slice(), output.stderr.as_str()),
            (&b"out\n"[..], "bad\n")
        );
        let error = run(&mut command).unwrap_err().to_string();
        assert!(error.contains("exit status: 3") && error.ends_with("bad"), "{error}");
        assert!(run(&mut Command::new("/nonexistent")).is_err());
    }
}
