//! `computatom-agent`: gives a board its name, its roles and its configuration.

use std::process::ExitCode;

use clap::Parser;
use computatom_agent::cli::Cli;

fn main() -> ExitCode {
    match Cli::parse().run() {
        Ok(code) => code,
        Err(err) => {
            computatom_agent::cli::complain(&err);
            ExitCode::from(computatom_agent::cli::exit_code(&err))
        }
    }
}
