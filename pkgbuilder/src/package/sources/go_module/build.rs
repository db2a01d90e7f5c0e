//! The compiler's work.

use std::fs;

use anyhow::{Context, Result, bail};

use super::prepare::{Job, Prepared};
use super::{FLAGS, Folders, file_key, ldflags};
use crate::command;
use crate::definition::image::Recipe;
use crate::housekeeping::space;
use crate::package::Note;
use crate::package::recipe;
use crate::resolve::lock::LockedModule;
use crate::verify::Sha256;

impl Job<'_> {
    /// Builds and stores the binary, and what else the recipe takes from the module.
    pub(super) fn build(
        &self,
        prepared: &Prepared,
        locked: &LockedModule,
        recipe: &Recipe,
        identity: &str,
    ) -> Result<()> {
        let (name, version, arch) = (&self.component.name, &self.component.version, self.bench.arch);
        if let Some(folders) = Folders::find()? {
            space::check(&folders.to_compile(1, self.bench.fetcher.cache().root()))?;
        }
        let reporter = self.bench.fetcher.reporter();
        reporter.step(format_args!(
            "building {name} {version} for {arch} from its Go module: several minutes the first time, then it comes \
             from the cache"
        ));
        let bar = reporter.busy(format!("compiling {name} {version} for {arch}"));
        let binaries = prepared.beside.path().join("binaries");
        for (binary, package) in &self.go.binaries {
            let mut command = self.toolchain.go(&prepared.folder, &self.go.no_sum_db);
            command.arg("build").args(FLAGS);
            command.args(["-ldflags", &ldflags(self.component, self.go)]);
            self.build_arguments(&mut command, prepared);
            command.arg("-o").arg(binaries.join(binary)).arg(package);
            command::run(&mut command).with_context(|| format!("building {binary} of {name} {version} for {arch}"))?;
        }
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
            let path = if self.go.binaries.contains_key(wanted) {
                binaries.join(wanted)
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
