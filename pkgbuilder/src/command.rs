//! External programs (the Go toolchain, and nothing else in a build), their output kept for the error message.

use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::interrupt;

/// Lines of standard error kept for a message.
const TAIL: usize = 20;

/// Runs to the end and returns standard output; failure carries the command line and the end of its standard error.
pub fn run(command: &mut Command) -> Result<Vec<u8>> {
    let line = display(command);
    let output = command.output().with_context(|| format!("running `{line}`"))?;
    interrupt::check()?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    let stderr = String::from_utf8_lossy(&output.stderr);
    let lines: Vec<&str> = stderr.lines().collect();
    let tail = lines[lines.len().saturating_sub(TAIL)..].join("\n");
    bail!("`{line}` ended with {}:\n{tail}", output.status)
}

/// The command line as a person would type it.
fn display(command: &Command) -> String {
    let mut words = vec![command.get_program().to_string_lossy().into_owned()];
    words.extend(command.get_args().map(|arg| arg.to_string_lossy().into_owned()));
    words.join(" ")
}
