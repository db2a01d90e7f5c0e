//! The source `go-module`: the publisher's Go module, built here.
//!
//! `go install module@version` refuses modules whose go.mod has `replace` directives, so the module's folder in Go's
//! cache is made the main module, with a go.mod of ours beside it (`-modfile`) whose directives point to versions
//! instead of folders.

/// The Go toolchain of this machine.
mod toolchain;

/// The module and all it needs, fetched, checked and pinned.
mod prepare;

/// The compiler's work.
mod build;

/// What Go's complaints mean.
mod complaint;

/// The room that a module takes.
mod room;

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use computatom_spec::arch::Arch;
use serde::Deserialize;

use self::prepare::Job;
pub use self::room::Folders;
use self::toolchain::Toolchain;
use super::{Attempt, Workbench};
use crate::command;
use crate::definition::image::{Component, GoModule, Recipe};
use crate::input_error;
use crate::package::Note;
use crate::package::data::Body;
use crate::package::recipe::{self, Payload};
use crate::resolve::lock::{LockedComponent, LockedModule};
use crate::verify::Sha256;

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
        .map(|toolchain| inputs(component, go, locked, &toolchain)))
}

/// What the linker is told.
fn ldflags(component: &Component, go: &GoModule) -> String {
    let own = go.ldflags(&component.version);
    format!("{LDFLAGS} {own}").trim_end().to_owned()
}

fn inputs(component: &Component, go: &GoModule, locked: &LockedModule, toolchain: &Toolchain) -> String {
    let LockedModule {
        module,
        version,
        time,
        sum,
        go_mod_sum,
        go_sum_sha256,
        replace,
    } = locked;
    let packages: Vec<&str> = go.binaries.values().map(String::as_str).collect();
    format!(
        "go-module {} {module} {version} {time} {sum} {go_mod_sum} {go_sum_sha256} {replace:?} {:?} {:?} {} {FLAGS:?} \
         {} {} {} {}",
        component.name,
        go.drop_replace,
        go.tags,
        packages.join(" "),
        ldflags(component, go),
        go.cgo,
        toolchain.target(),
        toolchain.describe()
    )
}

/// What a module is compiled with on this machine, or what is missing for that.
pub fn toolchain(go: &GoModule, arch: Arch) -> Result<Result<String, String>> {
    Ok(Toolchain::find(arch, go.cgo)?.map(|toolchain| toolchain.describe()))
}

/// Whether its binaries are in the cache.
pub fn ready(bench: &Workbench<'_>, component: &Component, go: &GoModule, pinned: &LockedComponent) -> Result<bool> {
    let Some(identity) = identity(bench, component, go, pinned)? else {
        return Ok(false);
    };
    for binary in go.binaries.keys() {
        let note = bench.fetcher.cache().derived("built", &file_key(&identity, binary))?;
        if !note.is_file() {
            return Ok(false);
        }
    }
    Ok(true)
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
        let identity = inputs(component, go, locked, &toolchain);
        if let Some(payload) = built(bench, go, recipe, &identity, locked.time, false)? {
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
    let identity = inputs(component, go, locked, &toolchain);
    // Another process may be at it with the same inputs: then its result is ours.
    let _lock = bench
        .fetcher
        .cache()
        .lock(&format!("built-{}", Sha256::of(identity.as_bytes())))?;
    if let Some(payload) = built(bench, go, recipe, &identity, locked.time, false)? {
        return Ok(Attempt::Payload { payload, identity });
    }
    job.build(&prepared, locked, recipe, &identity)?;
    let payload = built(bench, go, recipe, &identity, locked.time, true)?;
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

/// The versions that the module proxy lists, without `v` (<https://go.dev/ref/mod#goproxy-protocol>); the inner error says
/// why it could not be asked.
pub fn versions(bench: &Workbench<'_>, go: &GoModule) -> Result<std::result::Result<Vec<String>, String>> {
    let toolchain = match Toolchain::find(bench.arch, false)? {
        Ok(toolchain) => toolchain,
        Err(reason) => return Ok(Err(reason)),
    };
    let folder = tempfile::tempdir().context("creating a folder for go.mod")?;
    let mut command = toolchain.go(folder.path(), &go.no_sum_db);
    let output = command::output(command.args(["list", "-m", "-versions", "-json", &go.module]))?;
    if !output.status.success() {
        return Ok(match complaint::complaint(&go.module, &output.stderr)? {
            Attempt::Absent(reason) | Attempt::Unreachable(reason) => Err(reason),
            _ => Err("Go said something else".to_owned()),
        });
    }
    let listed: Listed = serde_json::from_slice(&output.stdout).context("reading the versions of a module")?;
    let plain = |version: String| version.strip_prefix('v').map_or(version.clone(), str::to_owned);
    Ok(Ok(listed.versions.into_iter().map(plain).collect()))
}

/// What `go list -m -versions -json` says.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Listed {
    versions: Vec<String>,
}

/// The name under which a file of a build is cached.
fn file_key(identity: &str, file: &str) -> String {
    Sha256::of(format!("{identity}\n{file}").as_bytes()).hex()
}

/// The files of an earlier build with the same identity, if all that is needed is there.
///
/// A recipe may want more of the module than it did when that was built: then it is built again, unless `just_built`,
/// when the module has no more.
fn built(
    bench: &Workbench<'_>,
    go: &GoModule,
    recipe: &Recipe,
    identity: &str,
    epoch: i64,
    just_built: bool,
) -> Result<Option<Payload>> {
    let licences: Vec<&String> = recipe.copyright.iter().flat_map(|copyright| &copyright.files).collect();
    let mut files = BTreeMap::new();
    let mut origin = None;
    let mut complete = true;
    for name in recipe::wanted(recipe) {
        let binary = go.binaries.contains_key(name);
        if let Some(note) = Note::read(bench, "built", &file_key(identity, name))? {
            files.insert(name.to_owned(), Body::of_file(note.path)?);
            if binary {
                origin = Some(note.origin);
            }
        } else if binary || !just_built && !licences.iter().any(|licence| *licence == name) {
            complete = false;
        }
    }
    let licensed = licences.iter().any(|file| files.contains_key(*file));
    Ok(origin
        .filter(|_| licensed && complete)
        .map(|origin| Payload { files, origin, epoch }))
}
