//! `pkgbuilder configuration`: packages that make an ordinary Debian machine a member of a cluster.

use std::fmt;
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::Args;
use zeroize::Zeroizing;

use crate::definition::{self, SITE_FILE};
use crate::package::configuration::{self, MEMBERS, Member, Settings, Written};
use crate::reporter::Reporter;
use crate::{atomic, bail_input, input_error, xdg};

/// Make the packages that make an ordinary Debian or Raspberry Pi OS machine, without our image, a member of a cluster.
///
/// They hold keys, so they go to OUT/packages-private, which only you may read. Do not serve that folder to others.
#[derive(Debug, Args)]
#[command(after_help = "\
The keys of --config are ConsulSerfEncrypt, NomadSerfEncrypt (gossip keys, as `consul keygen` makes them), CoreServers, \
CoreCidr, Datacenter, Region, WifiSsid and WifiPsk. What it leaves open comes from the site settings, if there are any.

Examples:
  pkgbuilder configuration --config @cluster.json
  pass show cluster | pkgbuilder configuration --config - nomad-config-server nomad-config-local
  sudo apt install ./consul_*.deb ./out/packages-private/consul-config-{server,local}_*.deb")]
pub(super) struct Arguments {
    /// Packages to make [default: all that the settings suffice for]
    #[arg(value_name = "PACKAGE")]
    packages: Vec<String>,

    /// Settings as JSON: a file (@FILE) or standard input (-).
    ///
    /// The JSON itself is accepted too, but every user of this machine can then read it in the list of processes.
    #[arg(long, value_name = "@FILE")]
    config: Option<Json>,

    /// Site settings [default: site.jsonnet at the top of the repository, where there is one]
    #[arg(long, value_name = "FILE")]
    site: Option<PathBuf>,

    /// Folder of the results; packages are in its packages-private/.
    #[arg(long, value_name = "DIR", default_value = "out")]
    out: PathBuf,

    /// Print what was made as JSON on standard output.
    #[arg(long)]
    json: bool,
}

/// `--config` as given; not printed, for it may be the settings themselves.
#[derive(Clone)]
pub(super) struct Json(Zeroizing<String>);

impl From<&str> for Json {
    fn from(text: &str) -> Self {
        Self(Zeroizing::new(text.to_owned()))
    }
}

impl fmt::Debug for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Json")
    }
}

impl Arguments {
    pub(super) fn run(self, reporter: &Reporter) -> Result<()> {
        let given = match &self.config {
            Some(config) => config.settings(reporter)?,
            None => Settings::default(),
        };
        let settings = given.or(site(self.site.as_deref())?);
        let members = if self.packages.is_empty() {
            sufficient(MEMBERS.iter(), &settings, reporter)
        } else {
            configuration::named(&self.packages)?
        };
        if members.is_empty() {
            bail_input!("there are no settings to make a package from; give them by `--config @FILE`");
        }
        atomic::check_writable(&self.out)?;
        remark_dependencies(&members, &settings, reporter);
        let written = configuration::write(&members, &settings, &self.out, &xdg::data()?)?;
        print(&written, self.json)
    }
}

/// Prints what was made.
pub(super) fn print(written: &[Written], json: bool) -> Result<()> {
    if json {
        super::print(&format!("{}\n", serde_json::to_string_pretty(written)?))?;
        return Ok(());
    }
    for package in written {
        super::print(&format!("{}\n", package.path.display()))?;
    }
    Ok(())
}

/// Says which packages those of `members` need that are not among them: they may have been made before.
pub(super) fn remark_dependencies(members: &[&'static Member], settings: &Settings, reporter: &Reporter) {
    for member in members {
        for needed in member.depends(settings) {
            if !members.iter().any(|member| member.name == needed.name) {
                reporter.step(format_args!(
                    "{} can be installed only beside {}, which is not made now",
                    member.name, needed.name
                ));
            }
        }
    }
}

/// Those members that `settings` suffice for, and that can be installed; says what the others lack.
pub(super) fn sufficient(
    members: impl Iterator<Item = &'static Member>,
    settings: &Settings,
    reporter: &Reporter,
) -> Vec<&'static Member> {
    let mut chosen = Vec::new();
    for member in members {
        let missing = member.missing(settings);
        if let Some(needed) = member.depends_on_missing(settings).filter(|_| missing.is_empty()) {
            reporter.step(format_args!(
                "{} is left out: it needs {}, for which there is no {}",
                member.name,
                needed.name,
                needed.missing(settings).join(", no ")
            ));
        } else if missing.is_empty() {
            chosen.push(member);
        } else {
            reporter.step(format_args!(
                "{} is left out: there is no {}",
                member.name,
                missing.join(", no ")
            ));
        }
    }
    chosen
}

impl Json {
    /// Reads the settings from where this points.
    pub(super) fn settings(&self, reporter: &Reporter) -> Result<Settings> {
        if &*self.0 == "-" {
            let mut text = Zeroizing::new(String::new());
            std::io::stdin()
                .read_to_string(&mut text)
                .context("reading the settings from standard input")?;
            return Settings::from_json(&text);
        }
        if let Some(path) = self.0.strip_prefix('@') {
            if path.is_empty() {
                bail_input!("`@` names a file of settings, and no name follows it: write `-config @FILE`");
            }
            let text = std::fs::read_to_string(path)
                .map_err(|error| input_error!("cannot read the settings in {path}: {error}"))?;
            return Settings::from_json(&Zeroizing::new(text)).with_context(|| format!("reading {path}"));
        }
        reporter.warn(
            "settings in arguments can be read by every user of this machine in the list of processes, and stay in \
             the shell's history: write `-config @FILE`, or `-config -` for standard input",
        );
        // Nothing of the text is repeated: it may be JSON that lost its quotes.
        let given = Settings::from_json(&self.0);
        if self.0.trim_start().starts_with('{') {
            given
        } else {
            given.map_err(|error| {
                input_error!("{error:#}; if it is the name of a file, write `@` before it: `-config @FILE`")
            })
        }
    }
}

/// What the site settings say, where there are any.
pub(super) fn site(file: Option<&Path>) -> Result<Settings> {
    let root = definition::root_of(Path::new(".")).ok();
    let default = root
        .as_ref()
        .map(|root| root.join(SITE_FILE))
        .filter(|path| path.is_file());
    let Some(file) = file.map(Path::to_owned).or(default) else {
        return Ok(Settings::default());
    };
    if !file.is_file() {
        bail_input!(
            "there is no site file {}; copy site.example.jsonnet to begin with",
            file.display()
        );
    }
    let root = match root {
        Some(root) => root,
        None => definition::root_of(&file)?,
    };
    Ok(Settings::from_site(&definition::load_site(
        Some(&file),
        &serde_json::Map::new(),
        &root,
    )?))
}
