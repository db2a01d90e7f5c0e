//! Nothing here can reach the machine it runs on: outside of tests no file of the crate names what could.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// What opens files, starts processes, or reads the environment, the clock and the network of the host.
const FORBIDDEN: &[&str] = &[
    "std::fs",
    "std::process",
    "std::net",
    "std::env",
    "std::os",
    "std::time",
    "SystemTime",
    "Instant::now",
    "libc::",
    "extern \"C\"",
    "unsafe ",
    "include!(",
];

fn sources(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).expect("our own sources") {
        let path = entry.expect("our own sources").path();
        if path.is_dir() {
            sources(&path, found);
        } else {
            found.push(path);
        }
    }
}

/// The files that are modules for tests only, as their parents declare them.
fn test_modules(files: &[(PathBuf, String)]) -> BTreeSet<PathBuf> {
    let mut modules = BTreeSet::new();
    for (path, text) in files {
        let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
        let dir = path.parent().expect("a file is in a directory");
        let dir = if matches!(stem, "mod" | "lib") {
            dir.to_owned()
        } else {
            dir.join(stem)
        };
        for after in text.split("#[cfg(test)]").skip(1) {
            let declared = after
                .trim_start()
                .trim_start_matches("pub(crate) ")
                .strip_prefix("mod ");
            if let Some((name, _)) = declared.and_then(|rest| rest.split_once(';'))
                && !name.contains(char::is_whitespace)
            {
                modules.insert(dir.join(format!("{name}.rs")));
            }
        }
    }
    modules
}

#[test]
fn the_crate_cannot_touch_its_host() {
    let mut paths = Vec::new();
    sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut paths);
    let files: Vec<(PathBuf, String)> = paths
        .into_iter()
        .map(|path| {
            let text = std::fs::read_to_string(&path).expect("our own sources");
            (path, text)
        })
        .collect();
    assert!(files.len() > 100, "these are not our sources: {} files", files.len());
    let tests = test_modules(&files);
    let mut wrong = Vec::new();
    for (path, text) in files.iter().filter(|(path, _)| !tests.contains(path)) {
        let ends = ["#[cfg(test)]\nmod tests {", "#[cfg(test)]\npub(crate) mod tests {"];
        let end = ends.iter().filter_map(|end| text.find(end)).min();
        let code = &text[..end.unwrap_or(text.len())];
        for (at, line) in code.lines().enumerate() {
            let line = line.split("//").next().unwrap_or_default();
            for forbidden in FORBIDDEN.iter().filter(|forbidden| line.contains(**forbidden)) {
                wrong.push(format!("{}:{}: {forbidden}", path.display(), at + 1));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
