//! ucf(1) and ucfr(1): configuration files that packages keep without being conffiles.
//!
//! Native rather than interpreted: the scripts need getopt, awk, seq and debconf's frontend. Where ucf would ask, the
//! answer is its default, to keep the file that is there.

use md5::{Digest as _, Md5};

use crate::commands::arguments::Arguments;
use crate::commands::ending::{Done, Ending, settle};
use crate::dpkg::diversions::Diversions;
use crate::shell::process::{Command, Process};
use crate::tree::{Follow, Tree};

/// ucf's tools.
pub(crate) const COMMANDS: &[(&str, Command)] = &[
    ("ucf", |process| settle(process, ucf)),
    ("ucfq", |process| settle(process, ucfq)),
    ("ucfr", |process| settle(process, ucfr)),
];

/// Where ucf keeps its state unless told otherwise.
const STATE_DIR: &str = "/var/lib/ucf";

/// debconf for shell scripts.
const CONFMODULE: &str = "/usr/share/debconf/confmodule";

/// Files below this size are cached for a later merge (`UCF` 3.0052, `replace_md5sum`).
const CACHED_SIZE: usize = 25_600;

/// One run of ucf.
struct Run {
    state: String,
    source: String,
    destination: String,
    three_way: bool,
    /// Whether it speaks to debconf before it writes.
    debconf: bool,
}

const OPTIONS: &[&str] = &[
    "--three-way",
    "--debconf-ok",
    "--debconf-template =",
    "--sum-file =",
    "--src-dir -s =",
    "--state-dir =",
    "--package -P =",
    "--purge -p",
    "--verbose -v",
    "--debug -d =",
    "-Z",
];

fn ucf(process: &mut Process<'_>) -> Done {
    let given = Arguments::of(process, OPTIONS)?;
    let state = given.value("--state-dir").unwrap_or(STATE_DIR).to_owned();
    let last = given
        .operands
        .last()
        .cloned()
        .ok_or_else(|| Ending::with(2, "*** ERROR: Need exactly two arguments"))?;
    let package = given.value("--package").unwrap_or("");
    let destination = existing_canonical(&process.system.tree, &process.path(&last));
    let destination = Diversions::load(&process.system.tree)?
        .destination(&destination, package)
        .to_owned();
    let tree = &mut process.system.tree;
    if given.has("--purge") {
        forget(tree, &state, &destination)?;
        return Ok(0);
    }
    let [source, _] = given.operands.as_slice() else {
        return Err(Ending::with(2, "*** ERROR: Need exactly two arguments"));
    };
    let source = process.path(source);
    // It starts debconf, or may use the one that its caller has started.
    let running = process
        .env
        .get("DEBIAN_HAS_FRONTEND")
        .is_some_and(|value| !value.is_empty());
    let debconf = (!running || given.has("--debconf-ok")) && process.system.tree.exists(CONFMODULE);
    let tree = &mut process.system.tree;
    if !tree.is_file(&source) {
        return Err(Ending::with(1, format!("Error: The new file {source} does not exist!")));
    }
    let sums = if let Some(file) = given.value("--sum-file") {
        file.to_owned()
    } else {
        let (folder, name) = source.rsplit_once('/').unwrap_or(("", &source));
        format!("{}/{name}.md5sum", given.value("--src-dir").unwrap_or(folder))
    };
    let run = Run {
        state,
        source,
        destination,
        three_way: given.has("--three-way"),
        debconf,
    };
    let said = decide(tree, &run, &sums)?;
    if let Some(line) = said {
        process.stderr.extend_from_slice(format!("{line}\n").as_bytes());
    }
    Ok(0)
}

/// Installs the new file, or keeps the old one, as ucf does without a person to ask; answers what it says about it.
fn decide(tree: &mut Tree, run: &Run, sums: &str) -> Done<Option<String>> {
    tree.mkdir_all(&format!("{}/cache", run.state), 0o755)?;
    let new = digest(&tree.read(&run.source)?);
    let mut recorded = recorded(tree, run)?;
    if !tree.exists(&run.destination) {
        if recorded.is_some() {
            return Ok(Some(format!("Not replacing deleted config file {}", run.destination)));
        }
        replace(tree, run)?;
        return Ok(Some(format!(
            "Creating config file {} with new version",
            run.destination
        )));
    }
    let old = digest(&tree.read(&run.destination)?);
    if recorded.is_none() {
        let (known, default) = history(tree, sums, &old)?;
        if known {
            replace(tree, run)?;
            return Ok(None);
        }
        recorded = default;
    }
    if recorded.as_deref() == Some(&new) {
        return Ok(None);
    }
    if recorded.as_deref() == Some(&old) {
        replace(tree, run)?;
        return Ok(Some(format!(
            "Replacing config file {} with new version",
            run.destination
        )));
    }
    record(tree, run)?;
    if old != new {
        copy(tree, &run.source, &format!("{}.ucf-dist", run.destination))?;
    }
    Ok(None)
}

fn digest(content: &[u8]) -> String {
    hex::encode(Md5::digest(content))
}

/// The digest of the version installed last.
fn recorded(tree: &Tree, run: &Run) -> Done<Option<String>> {
    let file = format!("{}/hashfile", run.state);
    if !tree.exists(&file) {
        return Ok(None);
    }
    let text = tree.read_text(&file)?;
    let line = text.lines().find(|line| is_about(line, &run.destination));
    Ok(line.and_then(|line| line.split_whitespace().next()).map(str::to_owned))
}

fn is_about(line: &str, path: &str) -> bool {
    line.strip_suffix(path).is_some_and(|head| head.ends_with([' ', '\t']))
}

/// Whether `digest` is in the package's list of earlier versions, and the list's `default`.
fn history(tree: &Tree, sums: &str, digest: &str) -> Done<(bool, Option<String>)> {
    let folder = format!("{sums}.d");
    if tree.is_dir(&folder) {
        let mut default = None;
        for (name, _) in tree.read_dir(&folder)? {
            let text = tree.read_text(&format!("{folder}/{name}"))?;
            let sum = text.split_whitespace().next().unwrap_or("").to_owned();
            if sum == digest {
                return Ok((true, None));
            }
            if name == "default" {
                default = Some(sum);
            }
        }
        return Ok((false, default));
    }
    if !tree.is_file(sums) {
        return Ok((false, None));
    }
    let text = tree.read_text(sums)?;
    let known = text.lines().any(|line| line.starts_with(digest));
    let default = text.lines().find(|line| is_about(line, "default"));
    Ok((
        known,
        default
            .and_then(|line| line.split_whitespace().next())
            .map(str::to_owned),
    ))
}

/// Puts the new file in place and records it; one that was there keeps its owner and mode.
fn replace(tree: &mut Tree, run: &Run) -> Done<()> {
    if tree.exists(&run.destination) {
        let content = tree.read(&run.source)?;
        tree.write(&run.destination, content, 0o644)?;
    } else {
        if tree.lexists(&run.destination) {
            tree.unlink(&run.destination)?;
        }
        copy(tree, &run.source, &run.destination)?;
    }
    record(tree, run)
}

/// `cp -pf`
fn copy(tree: &mut Tree, from: &str, to: &str) -> Done<()> {
    let inode = tree.inode(tree.lookup(from, Follow::Yes)?).clone();
    if tree.lexists(to) {
        tree.unlink(to)?;
    }
    tree.create(to, inode)?;
    Ok(())
}

/// `name` to `name.0`, `name.0` to `name.1`, … up to 7.
fn rotate(tree: &mut Tree, file: &str) -> Done<()> {
    for generation in (0..=6).rev() {
        let older = format!("{file}.{generation}");
        if tree.exists(&older) {
            copy(tree, &older, &format!("{file}.{}", generation + 1))?;
        }
    }
    if tree.exists(file) {
        copy(tree, file, &format!("{file}.0"))?;
    }
    Ok(())
}

fn record(tree: &mut Tree, run: &Run) -> Done<()> {
    let file = format!("{}/hashfile", run.state);
    if !run.debconf {
        rotate(tree, &file)?;
    } else if tree.exists(&file) {
        // debconf's functions leave an empty IFS where none was set, as ucf has it: the list of older copies then is one
        // word, and none of them moves.
        copy(tree, &file, &format!("{file}.0"))?;
    }
    let content = tree.read(&run.source)?;
    rewrite(
        tree,
        &file,
        &run.destination,
        Some(format!("{}  {}", digest(&content), run.destination)),
    )?;
    if run.three_way || content.len() < CACHED_SIZE {
        copy(tree, &run.source, &cached(&run.state, &run.destination))?;
    }
    Ok(())
}

fn cached(state: &str, destination: &str) -> String {
    format!("{state}/cache/{}", destination.replace('/', ":"))
}

/// Writes a list again without the lines about `path`, and with `line` at the end.
fn rewrite(tree: &mut Tree, file: &str, path: &str, line: Option<String>) -> Done<()> {
    let old = if tree.exists(file) {
        tree.read_text(file)?
    } else {
        String::new()
    };
    let kept = old.lines().filter(|old| !is_about(old, path)).map(str::to_owned);
    let text: String = kept.chain(line).map(|line| line + "\n").collect();
    tree.write(file, text, 0o644)?;
    Ok(())
}

fn forget(tree: &mut Tree, state: &str, destination: &str) -> Done<()> {
    let file = format!("{state}/hashfile");
    if tree.exists(&file) {
        rotate(tree, &file)?;
        rewrite(tree, &file, destination, None)?;
    }
    let cache = cached(state, destination);
    if tree.is_file(&cache) {
        tree.unlink(&cache)?;
    }
    Ok(())
}

/// The path without links if there is something; what is missing is taken as it is.
fn existing_canonical(tree: &Tree, path: &str) -> String {
    tree.canonical(path).unwrap_or_else(|_| path.to_owned())
}

fn ucfr(process: &mut Process<'_>) -> Done {
    let known = &[
        "--purge -p",
        "--force -f",
        "--verbose -v",
        "--debug -d =",
        "--state-dir =",
    ];
    let given = Arguments::of(process, known)?;
    let [package, file] = given.operands.as_slice() else {
        return Err(Ending::with(3, "*** ERROR: Need exactly two arguments"));
    };
    let path = existing_canonical(&process.system.tree, &process.path(file));
    let state = given.value("--state-dir").unwrap_or(STATE_DIR);
    let registry = format!("{state}/registry");
    let tree = &mut process.system.tree;
    tree.mkdir_all(state, 0o755)?;
    tree.append(&registry, b"", 0o644)?;
    let text = tree.read_text(&registry)?;
    let owner = text
        .lines()
        .find(|line| is_about(line, &path))
        .and_then(|line| line.split_whitespace().next());
    match owner {
        None if given.has("--purge") => return Ok(0),
        Some(owner) if owner == package && !given.has("--purge") => return Ok(0),
        Some(owner) if owner != package && !given.has("--force") => {
            let status = if given.has("--purge") { 5 } else { 4 };
            return Err(Ending::with(
                status,
                format!("{path} belongs to {owner}, not {package}"),
            ));
        }
        _ => {}
    }
    rotate(tree, &registry)?;
    let line = (!given.has("--purge")).then(|| format!("{package} \t {path}"));
    rewrite(tree, &registry, &path, line)?;
    Ok(0)
}

/// `ucfq -w FILE…`: `FILE:PACKAGE:EXISTS:CHANGED` for each, of which the last two are empty, `Yes` or `No`.
fn ucfq(process: &mut Process<'_>) -> Done {
    let given = Arguments::of(process, &["-w --with-colons", "--state-dir ="])?;
    if !given.has("-w") {
        return Err(process.unsupported("a table for people").into());
    }
    let state = given.value("--state-dir").unwrap_or(STATE_DIR);
    let mut files = given.operands.clone();
    if let Some(package) = files.iter().find(|operand| !operand.starts_with('/')) {
        return Err(process.unsupported(format!("asking for package {package}")).into());
    }
    files.sort();
    for file in files {
        let tree = &process.system.tree;
        let about = |name: &str| {
            let text = tree.read_text(&format!("{state}/{name}")).unwrap_or_default();
            let line = text.lines().find(|line| line.split_whitespace().nth(1) == Some(&file));
            line.and_then(|line| line.split_whitespace().next()).map(str::to_owned)
        };
        let package = about("registry").unwrap_or_default();
        let (exists, changed) = match (tree.read(&file), about("hashfile")) {
            (Err(_), _) => ("No", ""),
            (Ok(_), None) => ("Yes", ""),
            (Ok(content), Some(known)) => ("Yes", if digest(&content) == known { "No" } else { "Yes" }),
        };
        process.say(&format!("{file}:{package}:{exists}:{changed}"));
    }
    Ok(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::system::System;

    fn run(system: &mut System, args: &[&str]) -> u8 {
        let mut process = Process::new(system, args);
        let body = if args[0] == "ucf" { ucf } else { ucfr };
        settle(&mut process, body).unwrap()
    }

    fn system() -> System {
        let mut system = System::new("arm64", 0);
        for dir in ["/etc/ssh", "/usr/share/openssh", "/tmp"] {
            system.tree.mkdir_all(dir, 0o755).unwrap();
        }
        system.tree.write("/tmp/new", "one\n", 0o600).unwrap();
        system
    }

    /// The state files are those the scripts of ucf 3.0052 leave (`sh ucf` in a chroot).
    #[test]
    fn a_new_file_is_installed_and_recorded() {
        let mut system = system();
        let call = [
            "ucf",
            "--three-way",
            "--debconf-ok",
            "--sum-file",
            "/usr/share/x.md5sum",
            "/tmp/new",
            "/etc/ssh/conf",
        ];
        assert_eq!(run(&mut system, &call), 0);
        assert_eq!(run(&mut system, &["ucfr", "openssh-server", "/etc/ssh/conf"]), 0);
        assert_eq!(run(&mut system, &["ucfr", "openssh-server", "/etc/ssh/conf"]), 0);
        assert_eq!(run(&mut system, &["ucfr", "other", "/etc/ssh/conf"]), 4);
        let tree = &system.tree;
        assert_eq!(tree.read_text("/etc/ssh/conf").unwrap(), "one\n");
        assert_eq!(tree.stat("/etc/ssh/conf").unwrap().mode, 0o600);
        assert_eq!(
            tree.read_text("/var/lib/ucf/hashfile").unwrap(),
            "5bbf5a52328e7439ae6e719dfe712200  /etc/ssh/conf\n"
        );
        assert_eq!(
            tree.read_text("/var/lib/ucf/registry").unwrap(),
            "openssh-server \t /etc/ssh/conf\n"
        );
        assert!(tree.is_file("/var/lib/ucf/cache/:etc:ssh:conf") && tree.is_file("/var/lib/ucf/registry.0"));
    }

    #[test]
    fn older_copies_move_unless_debconf_was_spoken_to() {
        for (debconf, copies) in [(false, 3), (true, 1)] {
            let mut system = system();
            if debconf {
                system.tree.mkdir_all("/usr/share/debconf", 0o755).unwrap();
                system.tree.write(CONFMODULE, "", 0o644).unwrap();
            }
            for at in 0..4 {
                assert_eq!(run(&mut system, &["ucf", "/tmp/new", &format!("/etc/conf{at}")]), 0);
            }
            let names = system.tree.read_dir(STATE_DIR).unwrap();
            let found = names.iter().filter(|(name, _)| name.starts_with("hashfile.")).count();
            assert_eq!(found, copies);
        }
    }

    #[test]
    fn an_unmodified_file_is_replaced_and_a_changed_one_kept() {
        let mut system = system();
        let call = ["ucf", "/tmp/new", "/etc/conf"];
        run(&mut system, &call);
        system.tree.write("/tmp/new", "two\n", 0o644).unwrap();
        run(&mut system, &call);
        assert_eq!(system.tree.read_text("/etc/conf").unwrap(), "two\n");
        system.tree.write("/etc/conf", "mine\n", 0o644).unwrap();
        system.tree.write("/tmp/new", "three\n", 0o644).unwrap();
        run(&mut system, &call);
        assert_eq!(system.tree.read_text("/etc/conf").unwrap(), "mine\n");
        assert_eq!(system.tree.read_text("/etc/conf.ucf-dist").unwrap(), "three\n");
        run(&mut system, &["ucf", "--purge", "/etc/conf"]);
        assert_eq!(system.tree.read_text("/var/lib/ucf/hashfile").unwrap(), "");
    }
}
