//! `wait`: until something is there.

use std::time::Duration;

use anyhow::Context;
use clap::{Args, ValueEnum};

use crate::cli;
use crate::root::Root;
use crate::status::{checks, cni, docker, nomad};

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
    /// The CNI plugins answer as quickly as Nomad wants, on a node that runs jobs
    Cni,
    /// Docker answers, where Nomad has allocations that it will look for there
    Docker,
    /// Nomad answers, while a node starts on which it does not wait for Docker
    Nomad,
}

impl Wait {
    pub(super) fn run(&self, root: &Root) -> anyhow::Result<()> {
        let deadline = cli::deadline(self.timeout);
        let ask: fn(&Root) -> anyhow::Result<()> = match self.what {
            What::Consul => |_| checks::consul_leader().map(drop),
            What::Cni => cni::answer,
            What::Docker if !docker::is_needed(root) => return Ok(()),
            What::Docker => docker::answers,
            What::Nomad if !nomad::comes_first(root) => return Ok(()),
            What::Nomad => nomad::answers,
        };
        // To ask each plugin is work for a small board; to ask a port is none.
        let pause = match self.what {
            What::Cni => Duration::from_secs(1),
            What::Consul | What::Docker | What::Nomad => Duration::from_millis(250),
        };
        loop {
            match ask(root) {
                Ok(()) => return Ok(()),
                Err(err) if cli::is_over(deadline) => {
                    return Err(err).with_context(|| format!("waiting {} seconds for {:?}", self.timeout, self.what));
                }
                Err(_) => std::thread::sleep(pause),
            }
        }
    }
}
