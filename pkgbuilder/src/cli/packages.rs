//! `pkgbuilder packages`: the .debs of components, and of recipes.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::Args;
use computatom_spec::arch::Arch;
use computatom_spec::manifest::PackageRecord;

use super::options::{Definition, Inputs, Signing};
use crate::fetch::cache::Cache;
use crate::package::standalone;
use crate::reporter::Reporter;
use crate::repository::{self, SigningKey};
use crate::{atomic, bail_input, catalog};

/// Build packages: of a definition's components, of any component of the catalog, or of a recipe of your own.
#[derive(Debug, Args)]
#[command(after_help = "\
Components of a definition that come from Debian (Prometheus) are not among them: apt has these. One that is named by \
`--component` is fetched from Debian, for machines without apt or of another release.

The folder of the packages is an apt repository of all that lie in it, signed by a key of yours. To point a machine \
at it, give it the file computatom.sources (the address and the public key are in it):
  sudo cp out/packages/computatom.sources /etc/apt/sources.list.d/
  sudo apt update && sudo apt install nomad
Apt reads as the user _apt: a folder below a closed home is out of its reach, one in /srv is not. For other machines \
serve the folder over HTTP, by any server, and put its address into their copy of the file:
  python3 -m http.server --directory out/packages 8000
  sed -i 's|^URIs:.*|URIs: http://HOST:8000/|' computatom.sources
Machines trust whoever has the signing key: keep it, and keep it to yourself.

A recipe (YAML, or Jsonnet where its name ends so) needs no definition and no checkout. It is written in nfpm's words \
(nfpm.goreleaser.com/docs/configuration); its files are named relative to the folder the command runs in.

Examples:
  pkgbuilder packages home
  pkgbuilder packages home --arch amd64 --out /srv/packages
  pkgbuilder packages --list
  pkgbuilder packages --component consul --component nomad --arch armel --arch arm64
  pkgbuilder packages --recipe tool.yaml --arch arm64
  sudo apt install ./out/packages/consul_*_arm64.deb")]
pub(super) struct Arguments {
    /// Name of a definition in images/, or a path to a .jsonnet file [default: the whole catalog]
    #[arg(value_name = "IMAGE")]
    image: Option<String>,

    /// Site settings [default: site.jsonnet at the top of the repository, where there is one]
    #[arg(long, value_name = "FILE", requires = "image")]
    site: Option<PathBuf>,

    /// Make the package of this recipe; may be repeated.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["image", "component", "list", "locked", "source"])]
    recipe: Vec<PathBuf>,

    #[command(flatten)]
    inputs: Inputs,

    #[command(flatten)]
    signing: Signing,

    /// Only this component, by its package's name or upstream's; may be repeated.
    #[arg(long, value_name = "NAME")]
    component: Vec<String>,

    /// Debian architecture; may be repeated [default: those of the definition's targets; with --component this
    /// machine's, with --recipe the recipe's]
    #[arg(long, value_name = "ARCH")]
    arch: Vec<Arch>,

    /// Folder of the results; packages are in its packages/.
    #[arg(long, value_name = "DIR", default_value = "out")]
    out: PathBuf,

    /// Make the packages only: list them in no repository, sign nothing.
    #[arg(long, conflicts_with = "key")]
    no_repository: bool,

    /// Make nothing, print which components there are, for which architectures and from where.
    #[arg(long, conflicts_with_all = ["arch", "out", "no_repository"])]
    list: bool,

    /// Print what was made (or is listed) as JSON on standard output.
    #[arg(long)]
    json: bool,
}

impl Arguments {
    pub(super) fn run(self, reporter: &Reporter) -> Result<()> {
        if !self.recipe.is_empty() {
            return self.of_recipes(reporter);
        }
        if self.image.is_none() && self.component.is_empty() && !self.list {
            bail_input!(
                "name an image, as in `pkgbuilder packages home`, or components, as in `pkgbuilder packages --component \
                 nomad`; `pkgbuilder packages --list` says which there are"
            );
        }
        let definition = Definition::or_catalog(self.image.clone(), self.site.clone())?;
        let mut workshop = self.inputs.workshop(&definition, false, reporter)?;
        if !self.component.is_empty() {
            workshop.select(&self.component)?;
        }
        if self.list {
            return self.print_list(&catalog::rows(&workshop.definition().components));
        }
        atomic::check_writable(&self.out)?;
        let folder = self.out.join("packages");
        let key = self.key(&folder, reporter)?;
        let made = workshop.packages(&self.arch, &self.out)?;
        if let Some(key) = key.filter(|_| !made.packages.is_empty()) {
            workshop.repository(&folder, &key)?;
        }
        self.print_made(&made.packages)?;
        made.into_result().map(|_| ())
    }

    fn of_recipes(&self, reporter: &Reporter) -> Result<()> {
        atomic::check_writable(&self.out)?;
        let here = std::env::current_dir().context("finding the folder the command runs in")?;
        let architectures: Vec<String> = self.arch.iter().map(Arch::to_string).collect();
        let environment = |name: &str| std::env::var(name).ok();
        let mut packages = Vec::new();
        for path in &self.recipe {
            packages.extend(standalone::packages(
                path,
                &architectures,
                &here,
                &environment,
                reporter,
            )?);
        }
        let folder = self.out.join("packages");
        let key = self.key(&folder, reporter)?;
        let written = standalone::write(&packages, &folder, reporter)?;
        if let Some(key) = key {
            repository::update(&folder, &key, &Cache::open()?, reporter)?;
        }
        if self.json {
            let records = packages.iter().zip(&written);
            let records: Result<Vec<PackageRecord>> = records
                .map(|(package, path)| standalone::record(package, path))
                .collect();
            return self.print_made(&records?);
        }
        for path in &written {
            super::print(&format!("{}\n", path.display()))?;
        }
        Ok(())
    }

    /// What the repository is signed by, if there is to be one.
    fn key(&self, folder: &Path, reporter: &Reporter) -> Result<Option<SigningKey>> {
        (!self.no_repository)
            .then(|| self.signing.open(folder, reporter))
            .transpose()
    }

    fn print_list(&self, rows: &[catalog::Row]) -> Result<()> {
        if self.json {
            super::print(&format!("{}\n", serde_json::to_string_pretty(rows)?))?;
        } else {
            super::print(&catalog::table(rows))?;
        }
        Ok(())
    }

    fn print_made(&self, packages: &[PackageRecord]) -> Result<()> {
        if self.json {
            super::print(&format!("{}\n", serde_json::to_string_pretty(packages)?))?;
            return Ok(());
        }
        for package in packages {
            let version = &package.version;
            let version = version.split_once(':').map_or(version.as_str(), |(_, rest)| rest);
            let name = format!("{}_{version}_{}.deb", package.name, package.architecture);
            super::print(&format!("{}\n", self.out.join("packages").join(name).display()))?;
        }
        Ok(())
    }
}
