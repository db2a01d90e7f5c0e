//! `wait`: until something is there.

use std::fs::File;
use std::io::Read;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::Context;
use clap::error::ErrorKind;
use clap::{Args, CommandFactory, ValueEnum};

use crate::cli::{self, Cli};
use crate::root::Root;
use crate::status::{checks, cni, docker, nomad};

/// Wait until services of this node do their work
///
/// One after the other, and each is asked once at least. Exit code 1 if one of them does not in time.
///
/// Example: computatom-agent wait cni consul-api consul=30 docker=120 --timeout 60
#[derive(Debug, Args)]
pub(super) struct Wait {
    /// What to wait for: consul-api, consul, cni, docker or nomad; with `=SECONDS` no longer than that
    #[arg(required = true, value_name = "WHAT[=SECONDS]", value_parser = limited)]
    what: Vec<(What, Option<u64>)>,
    /// Seconds after which to give up each
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    timeout: u64,
    /// A program to read into memory from when `consul` is waited for, so that it starts sooner
    #[arg(long, value_name = "FILE")]
    preload: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum What {
    /// Consul answers, whatever it says
    ConsulApi,
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
    /// What clap cannot be told of.
    fn check(&self) -> Result<(), &'static str> {
        if self.preload.is_some() && !self.what.iter().any(|(what, _)| *what == What::Consul) {
            return Err(
                "--preload reads a program from when `consul` is waited for, which is not among what to wait for",
            );
        }
        Ok(())
    }

    pub(super) fn run(&self, root: &Root) -> anyhow::Result<()> {
        if let Err(text) = self.check() {
            Cli::command().error(ErrorKind::MissingRequiredArgument, text).exit();
        }
        let mut missed = None;
        for (what, seconds) in &self.what {
            if let Some(program) = self.preload.as_ref().filter(|_| *what == What::Consul) {
                preload(root.path(&program.to_string_lossy()));
            }
            let seconds = seconds.unwrap_or(self.timeout);
            let waited = what.wait(root, cli::deadline(seconds));
            let Err(err) = waited.with_context(|| format!("waiting {seconds} seconds for {what:?}")) else {
                continue;
            };
            // The last is the caller's to tell.
            if let Some(earlier) = missed.replace(err) {
                cli::complain(&earlier);
            }
        }
        missed.map_or(Ok(()), Err)
    }
}

/// Reads a file until this process ends, after whatever else this unit computes: a program of 127 MB that starts from a compressed
/// root keeps one processor busy for seconds, while another has nothing to do. Whoever starts it reads what is left.
fn preload(program: PathBuf) {
    std::thread::spawn(move || {
        // Of this thread alone: the kernel knows threads only (setpriority(2), "C library/kernel differences").
        let _ = rustix::process::setpriority_process(None, 19);
        let mut file = File::open(program)?;
        let mut piece = vec![0; 128 << 10];
        while file.read(&mut piece)? > 0 {}
        std::io::Result::Ok(())
    });
}

/// `cni`, or `cni=60`.
fn limited(text: &str) -> Result<(What, Option<u64>), String> {
    let (name, seconds) = match text.split_once('=') {
        Some((name, seconds)) => (name, Some(seconds)),
        None => (text, None),
    };
    let what = What::from_str(name, false)
        .map_err(|_| format!("`{name}` is none of consul-api, consul, cni, docker and nomad"))?;
    let seconds = seconds.map(|seconds| {
        seconds
            .parse()
            .map_err(|_| format!("`{seconds}` is no number of seconds"))
    });
    Ok((what, seconds.transpose()?))
}

impl What {
    fn wait(self, root: &Root, deadline: Option<Instant>) -> anyhow::Result<()> {
        let ask: fn(&Root) -> anyhow::Result<()> = match self {
            Self::ConsulApi => |_| checks::consul_answers(),
            Self::Consul => |_| checks::consul_leader().map(drop),
            Self::Cni => cni::answer,
            Self::Docker if !docker::is_needed(root) => return Ok(()),
            Self::Docker => docker::answers,
            Self::Nomad if !nomad::comes_first(root) => return Ok(()),
            Self::Nomad => nomad::answers,
        };
        // To ask each plugin is work for a small board; to ask a port is none.
        let pause = match self {
            Self::Cni => Duration::from_secs(1),
            Self::ConsulApi | Self::Consul | Self::Docker | Self::Nomad => Duration::from_millis(250),
        };
        loop {
            match ask(root) {
                Ok(()) => return Ok(()),
                Err(err) if cli::is_over(deadline) => return Err(err),
                Err(_) => std::thread::sleep(pause),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use computatom_spec::role::Role;

    use super::*;
    use crate::render::nomad::CNI_PATH;
    use crate::role::Assignment;

    #[test]
    fn what_is_late_fails_the_whole_and_keeps_nothing_from_being_asked() {
        let folder = tempfile::tempdir().unwrap();
        let root = Root::at(folder.path());
        let wait = |what: &[What]| {
            let what = what.iter().map(|what| (*what, None)).collect();
            let (timeout, preload) = (0, None);
            Wait { what, timeout, preload }.run(&root)
        };
        // A tree in which nothing is to run waits for nothing.
        wait(&[What::Docker, What::Nomad, What::Cni]).unwrap();
        let mut assignment = Assignment::none("a test");
        assignment.roles = vec![Role::Client];
        assignment.store(&root).unwrap();
        let plugin = root.path(CNI_PATH).join("portmap");
        std::fs::create_dir_all(plugin.parent().unwrap()).unwrap();
        let asked = root.path("asked");
        let script = format!("#!/bin/sh\necho x >>{}\nexec sleep 60\n", asked.display());
        // Moved there when it is whole: another test's process may hold it open for writing meanwhile (ETXTBSY).
        let new = root.path("new");
        std::fs::write(&new, script).unwrap();
        std::fs::set_permissions(&new, std::fs::Permissions::from_mode(0o755)).unwrap();
        std::fs::rename(new, plugin).unwrap();
        let error = wait(&[What::Cni, What::Cni, What::Docker]).unwrap_err();
        assert!(format!("{error:#}").contains("waiting 0 seconds for Cni"), "{error:#}");
        assert_eq!(std::fs::read_to_string(asked).unwrap(), "x\nx\n");
    }

    #[test]
    fn a_program_to_read_without_a_wait_for_consul_is_refused() {
        let wait = |what| Wait {
            what: vec![(What::ConsulApi, Some(0)), (what, None)],
            timeout: 0,
            preload: Some("/usr/bin/nomad".into()),
        };
        assert!(wait(What::Docker).check().is_err());
        assert!(wait(What::Consul).check().is_ok());
    }

    #[test]
    fn each_may_have_a_limit_of_its_own() {
        assert!(matches!(limited("docker=120"), Ok((What::Docker, Some(120)))));
        assert!(matches!(limited("consul"), Ok((What::Consul, None))));
        assert!(matches!(limited("consul-api=9"), Ok((What::ConsulApi, Some(9)))));
        assert!(limited("conusl").unwrap_err().contains("`conusl`"));
        assert!(limited("cni=soon").unwrap_err().contains("`soon`"));
    }
}
