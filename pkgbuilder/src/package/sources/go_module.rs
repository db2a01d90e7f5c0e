//! The source `go-module`: the publisher's Go module, built here.
//!
//! `go install module@version` refuses modules whose go.mod has `replace` directives, so the module's folder in Go's
//! cache is made the main module, with a go.mod of ours beside it (`-modfile`) whose directives point to versions
//! instead of folders.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use tempfile::TempDir;

use super::go_toolchain::Toolchain;
use super::{Attempt, Workbench};
use crate::definition::image::{Component, GoModule, Recipe};
use crate::package::recipe::{self, Payload};
use crate::package::{Note, date};
use crate::resolve::lock::{LockedComponent, LockedModule};
use crate::verify::Sha256;
use crate::{bail_input, command, input_error};

/// In `replace`: the pseudo-version of the commit that the module itself was made from.
pub const COMMIT: &str = "commit";

/// Linker flags: no symbol table, no debug information.
const LDFLAGS: &str = "-s -w";

/// How every build is done; part of what a binary is cached under.
const FLAGS: [&str; 1] = ["-trimpath"];

/// Everything that decides the binary.
pub fn identity(
    bench: &Workbench<'_>,
    component: &Component,
    go: &GoModule,
    pinned: &LockedComponent,
) -> Result<Option<String>> {
    let Some(locked) = &pinned.go_module else {
        return Ok(None);
    };
    let toolchain = Toolchain::find(bench.arch, go.cgo)?;
    Ok(toolchain
        .ok()
        .map(|toolchain| inputs(bench, component, go, locked, &toolchain)))
}

fn inputs(
    bench: &Workbench<'_>,
    component: &Component,
    go: &GoModule,
    locked: &LockedModule,
    toolchain: &Toolchain,
) -> String {
    let LockedModule {
        module,
        version,
        time,
        sum,
        go_mod_sum,
        go_sum_sha256,
        replace,
    } = locked;
    format!(
        "go-module {} {module} {version} {time} {sum} {go_mod_sum} {go_sum_sha256} {replace:?} {:?} {:?} {} {FLAGS:?} \
         {LDFLAGS} {} {} {}",
        component.name,
        go.drop_replace,
        go.tags,
        go.package,
        go.cgo,
        bench.arch,
        toolchain.describe()
    )
}

/// Whether the binary is in the cache.
pub fn ready(bench: &Workbench<'_>, component: &Component, go: &GoModule, pinned: &LockedComponent) -> Result<bool> {
    let Some(identity) = identity(bench, component, go, pinned)? else {
        return Ok(false);
    };
    let note = bench
        .fetcher
        .cache()
        .derived("built", &file_key(&identity, &go.binary))?;
    Ok(note.is_file())
}

/// Builds the module, or takes what was built before.
pub fn give(
    bench: &Workbench<'_>,
    component: &Component,
    go: &GoModule,
    pinned: &mut LockedComponent,
) -> Result<Attempt> {
    if pinned.go_module.is_none() && bench.locked {
        return Ok(Attempt::Absent(
            "its sums are not in the lock: run `pkgbuilder lock`".to_owned(),
        ));
    }
    let toolchain = match Toolchain::find(bench.arch, go.cgo)? {
        Ok(toolchain) => toolchain,
        Err(reason) => return Ok(Attempt::Unreachable(reason)),
    };
    let recipe = component
        .recipe
        .as_ref()
        .ok_or_else(|| input_error!("{} has no recipe", component.name))?;
    if let Some(locked) = &pinned.go_module {
        let identity = inputs(bench, component, go, locked, &toolchain);
        if let Some(payload) = built(bench, go, recipe, &identity, locked.time)? {
            return Ok(Attempt::Payload { payload, identity });
        }
    }
    let job = Job {
        bench,
        component,
        go,
        toolchain: &toolchain,
    };
    let prepared = match job.prepare(pinned)? {
        Ok(prepared) => prepared,
        Err(attempt) => return Ok(attempt),
    };
    let locked = pinned
        .go_module
        .as_ref()
        .context("pinning the module: preparing it did not")?;
    let identity = inputs(bench, component, go, locked, &toolchain);
    // Another process may be at it with the same inputs: then its result is ours.
    let _lock = bench
        .fetcher
        .cache()
        .lock(&format!("built-{}", Sha256::of(identity.as_bytes())))?;
    if let Some(payload) = built(bench, go, recipe, &identity, locked.time)? {
        return Ok(Attempt::Payload { payload, identity });
    }
    job.build(&prepared, locked, recipe, &identity)?;
    let payload = built(bench, go, recipe, &identity, locked.time)?;
    let payload = payload.context("taking the new binary out of the cache: it is gone already")?;
    Ok(Attempt::Payload { payload, identity })
}

/// Pins the module's sums without building it; what came of it where that is impossible now.
pub fn pin(
    bench: &Workbench<'_>,
    component: &Component,
    go: &GoModule,
    pinned: &mut LockedComponent,
) -> Result<Option<Attempt>> {
    if pinned.go_module.is_some() {
        return Ok(None);
    }
    // Which packages are needed, and so the sums, does not depend on the C compiler.
    let toolchain = match Toolchain::find(bench.arch, go.cgo)? {
        Ok(toolchain) => toolchain,
        Err(reason) => return Ok(Some(Attempt::Unreachable(reason))),
    };
    let job = Job {
        bench,
        component,
        go,
        toolchain: &toolchain,
    };
    Ok(job.prepare(pinned)?.err())
}

/// The name under which a file of a build is cached.
fn file_key(identity: &str, file: &str) -> String {
    Sha256::of(format!("{identity}\n{file}").as_bytes()).hex()
}

/// The files of an earlier build with the same identity, if all that is needed is there.
fn built(bench: &Workbench<'_>, go: &GoModule, recipe: &Recipe, identity: &str, epoch: i64) -> Result<Option<Payload>> {
    let mut files = BTreeMap::new();
    let mut origin = None;
    for name in recipe::wanted(recipe) {
        if let Some(note) = Note::read(bench, "built", &file_key(identity, name))? {
            let content = fs::read(&note.path).with_context(|| format!("reading {}", note.path.display()))?;
            files.insert(name.to_owned(), content);
            if name == go.binary {
                origin = Some(note.origin);
            }
        }
    }
    let licensed = recipe.copyright.files.iter().any(|file| files.contains_key(file));
    Ok(origin
        .filter(|_| licensed)
        .map(|origin| Payload { files, origin, epoch }))
}

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
struct Prepared {
    /// The module's folder in Go's cache.
    folder: PathBuf,
    /// Holds our go.mod and go.sum.
    beside: TempDir,
}

impl Prepared {
    fn go_mod(&self) -> PathBuf {
        self.beside.path().join("go.mod")
    }

    fn go_sum(&self) -> PathBuf {
        self.beside.path().join("go.sum")
    }
}

/// One module for one architecture.
struct Job<'a> {
    bench: &'a Workbench<'a>,
    component: &'a Component,
    go: &'a GoModule,
    toolchain: &'a Toolchain,
}

impl Job<'_> {
    fn version(&self) -> String {
        format!("v{}", self.component.version)
    }

    /// Downloads the module and all it needs, checks the sums against the lock, or pins them.
    fn prepare(&self, pinned: &mut LockedComponent) -> Result<Result<Prepared, Attempt>> {
        let (name, version) = (&self.component.name, self.version());
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
            let content = fs::read(&source).with_context(|| format!("reading {}", source.display()))?;
            fs::write(&target, content).with_context(|| format!("writing {}", target.display()))?;
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
        let output = command::output(command.arg(&self.go.package))?;
        if output.status.success() {
            return Ok(Ok(()));
        }
        complaint(&self.component.name, &output.stderr).map(Err)
    }

    fn build_arguments(&self, command: &mut std::process::Command, prepared: &Prepared) {
        command.arg(format!("-modfile={}", prepared.go_mod().display()));
        if !self.go.tags.is_empty() {
            command.arg(format!("-tags={}", self.go.tags.join(",")));
        }
    }

    /// Builds and stores the binary, and what else the recipe takes from the module.
    fn build(&self, prepared: &Prepared, locked: &LockedModule, recipe: &Recipe, identity: &str) -> Result<()> {
        let (name, version, arch) = (&self.component.name, &self.component.version, self.bench.arch);
        let reporter = self.bench.fetcher.reporter();
        reporter.step(format_args!(
            "building {name} {version} for {arch} from its Go module: several minutes the first time, then it comes \
             from the cache"
        ));
        let bar = reporter.busy(format!("compiling {name} {version} for {arch}"));
        let binary = prepared.beside.path().join("binary");
        let mut command = self.toolchain.go(&prepared.folder, &self.go.no_sum_db);
        command.arg("build").args(FLAGS).args(["-ldflags", LDFLAGS]);
        self.build_arguments(&mut command, prepared);
        command.arg("-o").arg(&binary).arg(&self.go.package);
        command::run(&mut command).with_context(|| format!("building {name} {version} for {arch}"))?;
        bar.finish_and_clear();
        if Sha256::of_file(&prepared.go_sum())?.hex() != locked.go_sum_sha256 {
            bail!("building {name} {version}: Go changed go.sum after it had been checked");
        }
        let origin = format!(
            "{} {} ({}), built with {}",
            locked.module,
            locked.version,
            locked.sum,
            self.toolchain.describe()
        );
        for wanted in recipe::wanted(recipe) {
            let path = if wanted == self.go.binary {
                binary.clone()
            } else {
                prepared.folder.join(wanted)
            };
            if !path.is_file() {
                continue;
            }
            let mut source = fs::File::open(&path).with_context(|| format!("reading {}", path.display()))?;
            let mut incoming = self.bench.fetcher.cache().incoming()?;
            std::io::copy(&mut source, &mut incoming).with_context(|| format!("storing {wanted} in the cache"))?;
            let (sha256, object) = incoming.commit()?;
            let note = Note {
                sha256,
                path: object,
                origin: origin.clone(),
            };
            note.write(self.bench, "built", &file_key(identity, wanted))?;
        }
        Ok(())
    }
}

/// What Go's complaint means: wrong bytes end the build, a version that no proxy knows is absent, the rest is the
/// network's doing.
fn complaint(name: &str, text: &str) -> Result<Attempt> {
    let lower = text.to_lowercase();
    let words: Vec<&str> = command::last_lines(text, 2).map(str::trim).collect();
    let last = if words.is_empty() {
        "it said nothing".to_owned()
    } else {
        words.join("; ")
    };
    if ["checksum mismatch", "security error", "verifying module", "verifying go.mod"]
        .iter()
        .any(|sign| lower.contains(sign))
        // A checksum database that does not answer, or does not know the module, says nothing about the bytes.
        && !lower.contains("/lookup/")
    {
        bail_input!(
            "{name}: Go found wrong bytes in a module: do not use them:\n{}",
            command::tail(text)
        );
    }
    // Some proxies say 403 for what they do not have.
    let unknown = [
        "404 not found",
        "410 gone",
        "403 forbidden",
        "unknown revision",
        "invalid version",
        "no matching versions",
    ];
    if unknown.iter().any(|sign| lower.contains(sign)) {
        return Ok(Attempt::Absent(format!("no module proxy has it ({last})")));
    }
    Ok(Attempt::Unreachable(last))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn complaints_are_told_apart() {
        let mismatch = "verifying x@v1: checksum mismatch\n\tdownloaded: h1:a\n\tgo.sum: h1:b\n\nSECURITY ERROR\nThis";
        assert_eq!(crate::failure::exit_code(&complaint("x", mismatch).unwrap_err()), 2);
        let gone = complaint("x", "go: x@v9: reading https://proxy/x/@v/v9.info: 404 Not Found").unwrap();
        assert!(matches!(gone, Attempt::Absent(_)));
        let text = "x@v9: reading https://proxy/x/@v/v9.info: 403 Forbidden\n\tserver response: not here";
        let Attempt::Absent(reason) = complaint("x", text).unwrap() else {
            panic!("a proxy that refuses does not have it");
        };
        assert!(
            reason.ends_with("403 Forbidden; server response: not here)"),
            "{reason}"
        );
        let down = complaint(
            "x",
            "go: x@v1: Get \"https://proxy\": dial tcp: lookup proxy: no such host",
        )
        .unwrap();
        assert!(matches!(down, Attempt::Unreachable(reason) if reason.contains("no such host")));
    }
}
