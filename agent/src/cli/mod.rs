//! Subcommands, one file each. Data goes to stdout, talk to stderr.

use std::io::{self, Write};
use std::path::PathBuf;

use clap::{Parser, Subcommand};

use crate::root::Root;

mod identify;

mod render;

mod run;

mod status;

mod peers;

mod wait;

/// Gives a board its name, its roles and its configuration.
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
}

impl Cli {
    /// Runs the subcommand.
    ///
    /// # Errors
    /// What went wrong, as a chain that reads as one sentence.
    pub fn run(self) -> anyhow::Result<()> {
        let root = Root::at(self.root);
        match self.command {
            Command::Identify(command) => command.run(&root),
            Command::Render(command) => command.run(&root),
            Command::Run(command) => command.run(&root),
            Command::Status(command) => command.run(&root),
            Command::Peers(command) => command.run(&root),
            Command::Wait(command) => command.run(),
        }
    }
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
