//! `wait`: until something is there.

use std::time::Duration;

use anyhow::Context;
use clap::{Args, ValueEnum};

use crate::cli;
use crate::status::checks;

/// Wait until a service of this node does its work
///
/// Example: computatom-agent wait consul --timeout 60
#[derive(Debug, Args)]
pub(super) struct Wait {
    /// What to wait for
    what: What,
    /// Seconds after which to give up
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    timeout: u64,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum What {
    /// Consul knows a leader
    Consul,
}

impl Wait {
    pub(super) fn run(&self) -> anyhow::Result<()> {
        let deadline = cli::deadline(self.timeout);
        let ask = match self.what {
            What::Consul => checks::consul_leader,
        };
        loop {
            match ask() {
                Ok(_) => return Ok(()),
                Err(err) if cli::is_over(deadline) => {
                    return Err(err).with_context(|| format!("waiting {} seconds for Consul", self.timeout));
                }
                Err(_) => std::thread::sleep(Duration::from_secs(1)),
            }
        }
    }
}
