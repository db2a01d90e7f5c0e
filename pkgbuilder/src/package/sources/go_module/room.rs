//! The room that a module takes while it is fetched and compiled: most of it in Go's own folders.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use super::toolchain::said;
use crate::definition::image::{Component, GoModule};
use crate::housekeeping::space::Demand;

/// A module and all it needs, packed and unpacked, in Go's cache of modules: that of 11 modules of the catalog held
/// 6.7 GB.
const FETCHED: u64 = 620 << 20;

/// What Go's build cache grows by: Nomad and Consul for one architecture left 3.1 GB there, half of it each.
const CACHED: u64 = 1600 << 20;

/// The same for each further module and architecture: 29 builds of the catalog left 12 GB.
const CACHED_MEAN: u64 = 400 << 20;

/// Go's working files, gone after each build: 1.2 GB while Consul for armel was compiled.
const WORKING: u64 = 1536 << 20;

/// A binary in our cache: Nomad's has 110 MB, Consul's 127.
const BINARY: u64 = 130 << 20;

/// Where Go keeps what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Folders {
    /// `GOCACHE`: what was compiled.
    pub cache: PathBuf,
    /// `GOMODCACHE`: what was fetched.
    pub modules: PathBuf,
    /// `GOTMPDIR`, else `$TMPDIR`: where it works.
    pub temporary: PathBuf,
}

impl Folders {
    /// Asks Go; `None` where there is none, or where it does not know.
    pub fn find() -> Result<Option<Self>> {
        let ask = |name: &str| said(Command::new("go").args(["env", name]).env("GOTOOLCHAIN", "local"));
        let known = |answer: Option<String>| answer.filter(|path| Path::new(path).is_absolute()).map(PathBuf::from);
        let (Some(cache), Some(modules)) = (known(ask("GOCACHE")?), known(ask("GOMODCACHE")?)) else {
            return Ok(None);
        };
        let temporary = known(ask("GOTMPDIR")?).unwrap_or_else(std::env::temp_dir);
        Ok(Some(Self {
            cache,
            modules,
            temporary,
        }))
    }

    /// What fetching modules takes: nothing for those that lie there unpacked.
    pub fn to_fetch<'a>(&self, modules: impl Iterator<Item = (&'a Component, &'a GoModule)>) -> Vec<Demand> {
        let missing = modules.filter(|(component, go)| !self.unpacked(component, go).is_dir());
        let bytes = FETCHED * missing.count() as u64;
        vec![Demand::new(&self.modules, bytes, "Go modules to fetch")]
    }

    /// What compiling `count` binaries of components takes, with `ours` as the cache that they go to.
    pub fn to_compile(&self, count: u64, ours: &Path) -> Vec<Demand> {
        if count == 0 {
            return Vec::new();
        }
        vec![
            Demand::new(&self.cache, CACHED + CACHED_MEAN * (count - 1), "Go's build cache"),
            Demand::new(&self.temporary, WORKING, "Go's working files"),
            Demand::new(ours, BINARY * count, "compiled programs"),
        ]
    }

    /// Where Go unpacks a module: capitals are written as `!` and the small letter
    /// (<https://go.dev/ref/mod#module-cache>).
    fn unpacked(&self, component: &Component, go: &GoModule) -> PathBuf {
        let mut name = String::new();
        for letter in go.module.chars() {
            if letter.is_ascii_uppercase() {
                name.push('!');
            }
            name.push(letter.to_ascii_lowercase());
        }
        self.modules.join(format!("{name}@v{}", component.version))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog;
    use crate::definition;

    #[test]
    fn modules_that_lie_there_are_not_fetched_again() {
        let path = catalog::path(Path::new(env!("CARGO_MANIFEST_DIR"))).unwrap();
        let boards = crate::assemble::boards::names();
        let mut component = definition::load(&path, None, boards).unwrap().components.remove(0);
        component.version = "1.2.3".to_owned();
        let go = GoModule {
            module: "github.com/BurntSushi/toml".to_owned(),
            binaries: [("tomlv".to_owned(), "./cmd/tomlv".to_owned())].into(),
            tags: Vec::new(),
            ldflags: Vec::new(),
            cgo: false,
            drop_replace: Vec::new(),
            replace: [].into(),
            no_sum_db: Vec::new(),
        };
        let folder = tempfile::tempdir().unwrap();
        let folders = Folders {
            cache: folder.path().join("cache"),
            modules: folder.path().join("modules"),
            temporary: folder.path().to_owned(),
        };
        let wanted = || {
            let demands = folders.to_fetch([(&component, &go)].into_iter());
            demands.iter().map(|demand| demand.bytes).sum::<u64>()
        };
        assert_eq!(wanted(), FETCHED);
        std::fs::create_dir_all(folder.path().join("modules/github.com/!burnt!sushi/toml@v1.2.3")).unwrap();
        assert_eq!(wanted(), 0);
    }

    #[test]
    fn what_is_compiled_adds_up_but_the_working_files_are_those_of_one() {
        let folders = Folders {
            cache: PathBuf::from("/cache"),
            modules: PathBuf::from("/modules"),
            temporary: PathBuf::from("/tmp"),
        };
        assert_eq!(folders.to_compile(0, Path::new("/ours")), []);
        let bytes = |count| -> Vec<u64> {
            let demands = folders.to_compile(count, Path::new("/ours"));
            demands.iter().map(|demand| demand.bytes).collect()
        };
        assert_eq!(bytes(1), [CACHED, WORKING, BINARY]);
        assert_eq!(bytes(3), [CACHED + 2 * CACHED_MEAN, WORKING, 3 * BINARY]);
    }
}
