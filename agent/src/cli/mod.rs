//! Subcommands, one file each. Data goes to stdout, talk to stderr.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::{Parser, Subcommand};

use crate::config;
use crate::root::Root;

mod identify;

mod render;

mod run;

mod status;

mod peers;

mod wait;

mod slot;

mod secrets;

/// Gives a board its name, its roles and its configuration.
///
/// Exit codes: 0 done, 1 failed, 2 wrong command line or site settings; `status` also 3, not ready.
///
/// Example: computatom-agent status
#[derive(Debug, Parser)]
#[command(name = "computatom-agent", version)]
pub struct Cli {
    /// Look at (and write) another tree than the running system, without touching host name and units.
    #[arg(
        long,
        value_name = "DIR",
        default_value = "/",
        global = true,
        hide_default_value = true
    )]
    root: PathBuf,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Identify(identify::Identify),
    Render(render::Render),
    Run(run::Run),
    Status(status::ShowStatus),
    Peers(peers::Peers),
    Wait(wait::Wait),
    Slot(slot::SlotCommand),
    Secrets(secrets::MoveSecrets),
}

impl Cli {
    /// Runs the subcommand; only `status` has other exit codes than success.
    ///
    /// # Errors
    /// What went wrong, as a chain that reads as one sentence.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let root = Root::at(self.root);
        let done = match self.command {
            Command::Identify(command) => command.run(&root),
            Command::Render(command) => command.run(&root),
            Command::Run(command) => command.run(&root),
            Command::Status(command) => return command.run(&root),
            Command::Peers(command) => command.run(&root),
            Command::Wait(command) => command.run(&root),
            Command::Slot(command) => return command.run(&root),
            Command::Secrets(command) => command.run(&root),
        };
        done.map(|()| ExitCode::SUCCESS)
    }
}

/// The exit code of an error: 2 for wrong settings (clap's for a wrong command line too), else 1.
pub fn exit_code(err: &anyhow::Error) -> u8 {
    if err.is::<config::Fault>() { 2 } else { 1 }
}

/// The moment in `seconds`; `None` when it lies so far ahead that it never comes.
fn deadline(seconds: u64) -> Option<Instant> {
    Instant::now().checked_add(Duration::from_secs(seconds))
}

/// Whether a deadline has passed.
fn is_over(deadline: Option<Instant>) -> bool {
    deadline.is_some_and(|deadline| Instant::now() >= deadline)
}

/// Writes an error and its causes to stderr as one line.
pub fn complain(err: &anyhow::Error) {
    // Nobody is left to tell when stderr is closed.
    let _ = writeln!(io::stderr().lock(), "computatom-agent: {err:#}");
}

/// Writes data to stdout; a reader that went away (`| head`) is no error.
fn say(text: &str) -> anyhow::Result<()> {
    match io::stdout().lock().write_all(text.as_bytes()) {
        Err(err) if err.kind() != io::ErrorKind::BrokenPipe => Err(err.into()),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_without_end_is_no_panic() {
        assert!(!is_over(deadline(u64::MAX)));
        assert!(is_over(deadline(0)));
    }

    #[test]
    fn wrong_settings_have_their_own_exit_code() {
        let folder = tempfile::tempdir().unwrap();
        let root = Root::at(folder.path());
        let place = root.path(computatom_spec::paths::SITE);
        std::fs::create_dir_all(place.parent().unwrap()).unwrap();
        std::fs::write(place, r#"{"servers": []}"#).unwrap();
        let error = config::load(&root).unwrap_err().context("starting");
        assert_eq!(exit_code(&error), 2);
        assert_eq!(exit_code(&anyhow::anyhow!("starting")), 1);
    }
}
