//! The command line: one file per subcommand, none with logic of its own.

/// `pkgbuilder build`
mod build;

/// `pkgbuilder packages`
mod packages;

/// `pkgbuilder image`
mod image;

/// `pkgbuilder burn`
mod burn;

/// `pkgbuilder cluster`
mod cluster;

/// `pkgbuilder dns`
mod dns;

/// `pkgbuilder firmware`
mod firmware;

/// `pkgbuilder lock`
mod lock;

/// `pkgbuilder inspect`
mod inspect;

/// `pkgbuilder diff`
mod diff;

/// `pkgbuilder doctor`
mod doctor;

/// `pkgbuilder cache`
mod cache;

/// `pkgbuilder configuration`
mod configuration;

/// The command line of the older tool.
mod compatibility;

/// Options that several subcommands share.
mod options;

use std::ffi::OsString;
use std::io::{ErrorKind, IsTerminal, Write};
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};

use crate::reporter::Reporter;
use crate::{definition, failure, interrupt};

/// Packages and images for a cluster of small boards.
///
/// A definition (images/NAME.jsonnet) says what an image is; its lock (images/NAME.lock.json) pins every input.
#[derive(Debug, Parser)]
#[command(
    name = "pkgbuilder",
    version,
    max_term_width = 100,
    after_help = "\
Exit codes: 0 done, 2 the input is wrong, 1 the world is wrong (network, disk, permission), 130 interrupted.

Examples:
  pkgbuilder build home                 packages and image, as locked
  pkgbuilder build home --locked        the same, never choosing other versions
  pkgbuilder burn out/X.img.zst         which cards there are to write it to
  pkgbuilder cluster up small           the image as a virtual machine, to try it
  pkgbuilder inspect home               the definition as evaluated
  pkgbuilder diff A.img.zst B.img.zst   what changed between two images"
)]
struct Cli {
    /// Say only warnings and errors.
    #[arg(long, short, global = true)]
    quiet: bool,

    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Build(build::Arguments),
    Packages(packages::Arguments),
    Configuration(configuration::Arguments),
    Image(image::Arguments),
    Burn(burn::Arguments),
    Firmware(firmware::Arguments),
    Cluster(cluster::Arguments),
    Dns(dns::Arguments),
    Lock(lock::Arguments),
    Inspect(inspect::Arguments),
    Diff(diff::Arguments),
    Doctor(doctor::Arguments),
    Cache(cache::Arguments),
}

/// Parses, dispatches, prints the error chain and answers the exit code.
pub fn run() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    let done = match compatibility::request(&arguments) {
        Ok(None) => dispatch(Cli::parse()),
        Ok(Some(request)) => as_before(request),
        Err(error) => Err(error),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            if !error.is::<failure::Answer>() {
                print_error(&error);
            }
            ExitCode::from(failure::exit_code(&error))
        }
    }
}

fn dispatch(cli: Cli) -> Result<()> {
    let reporter = Reporter::new(cli.quiet);
    interrupt::install()?;
    execute(cli.command, &reporter)
}

fn execute(command: Command, reporter: &Reporter) -> Result<()> {
    match command {
        Command::Build(arguments) => arguments.run(reporter),
        Command::Packages(arguments) => arguments.run(reporter),
        Command::Configuration(arguments) => arguments.run(reporter),
        Command::Image(arguments) => arguments.run(reporter),
        Command::Burn(arguments) => arguments.run(reporter),
        Command::Firmware(arguments) => arguments.run(reporter),
        Command::Cluster(arguments) => arguments.run(reporter),
        Command::Dns(arguments) => arguments.run(reporter),
        Command::Lock(arguments) => arguments.run(reporter),
        Command::Inspect(arguments) => arguments.run(reporter),
        Command::Diff(arguments) => arguments.run(reporter),
        Command::Doctor(arguments) => arguments.run(reporter),
        Command::Cache(arguments) => arguments.run(reporter),
    }
}

/// What the older tool's command line asks for.
fn as_before(request: compatibility::Request) -> Result<()> {
    let reporter = Reporter::new(false);
    interrupt::install()?;
    let checkout = definition::root_of(Path::new(".")).ok();
    let components = checkout.map(|root| definition::components(&root));
    request.run(&reporter, components.as_deref(), |programs, arches| {
        let mut line = vec!["pkgbuilder", "packages"];
        line.extend(programs.iter().flat_map(|name| ["--component", name]));
        line.extend(arches.iter().flat_map(|name| ["--arch", name]));
        execute(Cli::parse_from(line).command, &reporter)
    })
}

#[allow(clippy::print_stderr, reason = "the last word to the person")]
fn print_error(error: &anyhow::Error) {
    let colour = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let label = if colour { "\u{1b}[1;31merror\u{1b}[0m" } else { "error" };
    eprintln!("{label}: {error:#}");
}

/// Prints data on standard output; a reader that has gone away is no error.
fn print(text: &str) -> Result<()> {
    is_read(text).map(drop)
}

/// The same; whether somebody reads it.
fn is_read(text: &str) -> Result<bool> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(error).context("writing to standard output"),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    /// Those that people see, and whose help has no line with the command itself below `Example`.
    fn without_examples(command: &clap::Command, path: &str, found: &mut Vec<String>) {
        let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        let examples = help.split_once("Example").map_or("", |(_, examples)| examples);
        if !examples
            .lines()
            .any(|line| line.starts_with("  ") && line.contains(path))
        {
            found.push(path.to_owned());
        }
        for subcommand in command.get_subcommands().filter(|subcommand| !subcommand.is_hide_set()) {
            without_examples(subcommand, &format!("{path} {}", subcommand.get_name()), found);
        }
    }

    #[test]
    fn every_help_has_examples() {
        let mut found = Vec::new();
        without_examples(&Cli::command(), "pkgbuilder", &mut found);
        assert!(found.is_empty(), "without examples: {}", found.join(", "));
    }
}
