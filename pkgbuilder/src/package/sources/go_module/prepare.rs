//! The module and all it needs, in Go's own cache, with the sums that the lock pins.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::Deserialize;
use tempfile::TempDir;

use super::complaint::complaint;
use super::toolchain::Toolchain;
use super::{COMMIT, Folders};
use crate::definition::image::{Component, GoModule};
use crate::housekeeping::space;
use crate::package::date;
use crate::package::sources::{Attempt, Workbench};
use crate::resolve::lock::{LockedComponent, LockedModule};
use crate::verify::Sha256;
use crate::{bail_input, command};

/// What `go mod download -json` says.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[derive(Default)]
struct Download {
    dir: String,
    info: String,
    sum: String,
    go_mod_sum: String,
    error: String,
}

/// What a module proxy says about a version (<https://go.dev/ref/mod#goproxy-protocol>).
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Info {
    time: String,
    origin: Origin,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Origin {
    hash: String,
}

/// A module ready to be built: everything it needs is in Go's cache and has the right sums.
pub(super) struct Prepared {
    /// The module's folder in Go's cache.
    pub(super) folder: PathBuf,
    /// Holds our go.mod and go.sum.
    pub(super) beside: TempDir,
}

impl Prepared {
    fn go_mod(&self) -> PathBuf {
        self.beside.path().join("go.mod")
    }

    pub(super) fn go_sum(&self) -> PathBuf {
        self.beside.path().join("go.sum")
    }
}

/// One module for one architecture.
pub(super) struct Job<'a> {
    pub(super) bench: &'a Workbench<'a>,
    pub(super) component: &'a Component,
    pub(super) go: &'a GoModule,
    pub(super) toolchain: &'a Toolchain,
}

impl Job<'_> {
    fn version(&self) -> String {
        format!("v{}", self.component.version)
    }

    /// Downloads the module and all it needs, checks the sums against the lock, or pins them.
    pub(super) fn prepare(&self, pinned: &mut LockedComponent) -> Result<Result<Prepared, Attempt>> {
        let (name, version) = (&self.component.name, self.version());
        if let Some(folders) = Folders::find()? {
            space::check(&folders.to_fetch([(self.component, self.go)].into_iter()))?;
        }
        let reporter = self.bench.fetcher.reporter();
        let bar = reporter.busy(format!("fetching {} {version} and what it needs", self.go.module));
        let beside = tempfile::tempdir().context("creating a folder for go.mod")?;
        let download = match self.download(beside.path())? {
            Ok(download) => download,
            Err(attempt) => return Ok(Err(attempt)),
        };
        if let Some(locked) = &pinned.go_module {
            for (what, locked, found) in [
                ("", &locked.sum, &download.sum),
                (" go.mod", &locked.go_mod_sum, &download.go_mod_sum),
            ] {
                if locked != found {
                    bail_input!(
                        "{name}: the module proxy's {}@{version}{what} has the sum {found}, the lock says {locked}: do \
                         not use it; if upstream really moved the tag, remove the component from the lock",
                        self.go.module
                    );
                }
            }
        }
        let prepared = Prepared {
            folder: PathBuf::from(&download.dir),
            beside,
        };
        let info = self.info(&download)?;
        let replace = match self.replacements(&info, pinned.go_module.as_ref()) {
            Ok(replace) => replace,
            Err(reason) => return Ok(Err(Attempt::Absent(reason))),
        };
        self.write_go_mod(&prepared, &replace)?;
        if let Err(attempt) = self.complete_go_sum(&prepared)? {
            return Ok(Err(attempt));
        }
        bar.finish_and_clear();
        let go_sum_sha256 = Sha256::of_file(&prepared.go_sum())?.hex();
        match &pinned.go_module {
            Some(locked) if locked.go_sum_sha256 != go_sum_sha256 => bail_input!(
                "{name}: the dependencies of {}@{version} have other sums than the lock says (go.sum is \
                 sha256:{go_sum_sha256}, not sha256:{}): do not use them",
                self.go.module,
                locked.go_sum_sha256
            ),
            Some(_) => {}
            None => {
                let time = date::rfc3339(&info.time).unwrap_or(0);
                pinned.go_module = Some(LockedModule {
                    module: self.go.module.clone(),
                    version,
                    time,
                    sum: download.sum,
                    go_mod_sum: download.go_mod_sum,
                    go_sum_sha256,
                    replace,
                });
            }
        }
        Ok(Ok(prepared))
    }

    fn download(&self, scratch: &Path) -> Result<Result<Download, Attempt>> {
        let wanted = format!("{}@{}", self.go.module, self.version());
        let mut command = self.toolchain.go(scratch, &self.go.no_sum_db);
        let output = command::output(command.args(["mod", "download", "-json", &wanted]))?;
        let download: Download = serde_json::from_slice(&output.stdout).unwrap_or_default();
        if output.status.success() && !download.dir.is_empty() {
            return Ok(Ok(download));
        }
        let text = if download.error.is_empty() {
            output.stderr
        } else {
            download.error
        };
        complaint(&self.component.name, &text).map(Err)
    }

    fn info(&self, download: &Download) -> Result<Info> {
        let reading = || format!("reading what the module proxy says about {}", self.go.module);
        let text = fs::read_to_string(&download.info).with_context(reading)?;
        serde_json::from_str(&text).with_context(reading)
    }

    /// Versions in place of the folders that upstream's `replace` directives name.
    fn replacements(&self, info: &Info, locked: Option<&LockedModule>) -> Result<BTreeMap<String, String>, String> {
        if let Some(locked) = locked {
            return Ok(locked.replace.clone());
        }
        let commit = || match (info.origin.hash.get(..12), date::rfc3339(&info.time)) {
            (Some(hash), Some(time)) => Ok(format!("v0.0.0-{}-{hash}", date::compact(time))),
            _ => Err(format!(
                "the module proxy does not say which commit {} {} is: give the pseudo-version in the component's \
                 `replace`",
                self.go.module,
                self.version()
            )),
        };
        self.go
            .replace
            .iter()
            .map(|(module, version)| {
                let version = if version == COMMIT { commit()? } else { version.clone() };
                Ok((module.clone(), version))
            })
            .collect()
    }

    fn write_go_mod(&self, prepared: &Prepared, replace: &BTreeMap<String, String>) -> Result<()> {
        for (name, target) in [("go.mod", prepared.go_mod()), ("go.sum", prepared.go_sum())] {
            let source = prepared.folder.join(name);
            // Not copied: files of Go's cache are read-only, and so would be the copy.
            let content = match fs::read(&source) {
                // A module that needs nothing has no sums.
                Err(error) if error.kind() == ErrorKind::NotFound && name == "go.sum" => Vec::new(),
                read => read.with_context(|| format!("reading {}", source.display()))?,
            };
            fs::write(&target, content).with_context(|| format!("writing {}", target.display()))?;
        }
        if self.go.drop_replace.is_empty() && replace.is_empty() {
            return Ok(());
        }
        let mut command = self.toolchain.go(prepared.beside.path(), &[]);
        command.args(["mod", "edit"]);
        for module in &self.go.drop_replace {
            command.arg(format!("-dropreplace={module}"));
        }
        for (module, version) in replace {
            command.arg(format!("-replace={module}={module}@{version}"));
        }
        command::run(command.arg(prepared.go_mod())).map(|_| ())
    }

    /// Has Go fetch every package of the build, which completes go.sum.
    fn complete_go_sum(&self, prepared: &Prepared) -> Result<Result<(), Attempt>> {
        let mut command = self.toolchain.go(&prepared.folder, &self.go.no_sum_db);
        command.args(["list", "-deps", "-f", "{{.ImportPath}}"]);
        self.build_arguments(&mut command, prepared);
        let output = command::output(command.args(self.go.binaries.values()))?;
        if output.status.success() {
            return Ok(Ok(()));
        }
        complaint(&self.component.name, &output.stderr).map(Err)
    }

    pub(super) fn build_arguments(&self, command: &mut std::process::Command, prepared: &Prepared) {
        command.arg(format!("-modfile={}", prepared.go_mod().display()));
        if !self.go.tags.is_empty() {
            command.arg(format!("-tags={}", self.go.tags.join(",")));
        }
    }
}
