//! Kernel modules that reaching the root needs, in the order the image builder computed.

use std::fs::File;
use std::path::Path;

use anyhow::{Context, Result};
use rustix::io::Errno;

use super::console;

/// `MODULE_INIT_COMPRESSED_FILE`: the kernel decompresses the module itself (`include/uapi/linux/module.h`).
const COMPRESSED: i32 = 4;

/// Loads every module that the file `list` names, one path a line, dependencies first.
///
/// A module that does not load is said and passed over: another board's driver must not stop this one.
pub fn load(list: &Path) -> Result<()> {
    let text = std::fs::read_to_string(list).with_context(|| format!("reading module list {}", list.display()))?;
    for path in text.lines().filter(|line| !line.is_empty()) {
        if let Err(error) = load_one(path) {
            console::say(&format!("module {path} is not loaded: {error:#}"));
        }
    }
    Ok(())
}

fn load_one(path: &str) -> Result<()> {
    let file = File::open(path).context("opening it")?;
    let compressed = Path::new(path).extension().is_some_and(|extension| extension != "ko");
    match rustix::system::finit_module(&file, c"", if compressed { COMPRESSED } else { 0 }) {
        // No such device: what the module is for, such as an instruction of newer processors, this board has not.
        Ok(()) | Err(Errno::EXIST | Errno::NODEV) => Ok(()),
        Err(error) => Err(error).context("finit_module"),
    }
}
