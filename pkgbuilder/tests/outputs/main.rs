//! What a build leaves of a small image, in every format, judged by the programs that people give it to. Needs what
//! `scripts/build` has made and downloaded, and the packages of scripts/tools.sh.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod container;
mod disk;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use serde_json::Value;

/// The definition, whose lock is made beside it.
const DEFINITION: &str = "tests/images/outputs.jsonnet";

/// Runs a judge; gives what it says.
pub(crate) fn judge(command: &mut Command) -> String {
    let output = command
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|error| panic!("{command:?} cannot be run: {error}"));
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{command:?} ended with {}:\n{said}",
        output.status
    );
    said
}

/// A command of words, the last one a path.
pub(crate) fn command(words: &str, path: &Path) -> Command {
    let mut words = words.split(' ');
    let mut command = Command::new(words.next().unwrap());
    command.args(words).arg(path);
    command
}

/// Everything that is made, once for all tests.
pub(crate) struct Made {
    folder: PathBuf,
    images: Vec<Value>,
}

impl Made {
    pub(crate) fn of() -> &'static Self {
        static MADE: OnceLock<Made> = OnceLock::new();
        MADE.get_or_init(|| {
            let package = Path::new(env!("CARGO_MANIFEST_DIR"));
            let folder = package.join("../target/tmp/outputs");
            if folder.exists() {
                std::fs::remove_dir_all(&folder).unwrap();
            }
            let mut build = Command::new(env!("CARGO_BIN_EXE_pkgbuilder"));
            build.args(["--quiet", "image", "--json", "--out"]).arg(&folder);
            let output = build.arg(package.join(DEFINITION)).output().unwrap();
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{build:?}:\n{said}");
            let images: Value = serde_json::from_slice(&output.stdout).unwrap();
            Self {
                folder: folder.canonicalize().unwrap(),
                images: images.as_array().unwrap().clone(),
            }
        })
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The file of a format of the image whose files begin with `outputs-<target>`.
    pub(crate) fn file(&self, target: &str, format: &str) -> PathBuf {
        let stem = format!("outputs-{target}.");
        let mut files = self.images.iter().filter_map(|image| image["files"][format].as_str());
        let path = files.find(|path| path.contains(&stem));
        PathBuf::from(path.unwrap_or_else(|| panic!("no {format} of {target}: {:?}", self.images)))
    }
}

#[test]
fn sha256sum_agrees_with_every_file() {
    let made = Made::of();
    let said = judge(command("sha256sum --check --strict", Path::new("SHA256SUMS")).current_dir(made.folder()));
    let mut listed: Vec<&str> = said.lines().map(|line| line.trim_end_matches(": OK")).collect();
    listed.sort_unstable();
    let mut files: Vec<String> = std::fs::read_dir(made.folder())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| !name.starts_with('.') && name != "SHA256SUMS" && !name.ends_with(".box.json"))
        .collect();
    files.sort_unstable();
    assert_eq!(
        listed, files,
        "all but the catalogue, which says where the boxes are on this machine"
    );
    assert_eq!(
        files.len(),
        (4 + 4 + 2 + 1 + 1) + 4 + 5 * 2,
        "formats, maps, and of each manifest and SBOM"
    );
}
