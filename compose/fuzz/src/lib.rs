//! What the fuzz targets share: a small machine, and ways to put foreign bytes in front of a parser.

use std::collections::BTreeMap;

use bytes::Bytes;
use computatom_compose::commands::lookup;
use computatom_compose::generators::run_all;
use computatom_compose::shell::process::{Origin, Process};
use computatom_compose::shell::run_in;
use computatom_compose::shell::session::Session;
use computatom_compose::system::System;

/// A machine with a few files to find.
pub fn machine() -> System {
    let mut system = System::new("arm64", 1_700_000_000);
    for file in ["/tmp/a", "/tmp/b.txt", "/tmp/d/.hidden", "/tmp/d/[x]", "/etc/hostname"] {
        put(&mut system, file, b"1\n22\n");
    }
    system
}

/// Writes a file and the directories above it.
pub fn put(system: &mut System, path: &str, content: &[u8]) {
    let parent = path.rsplit_once('/').map_or("/", |(parent, _)| parent);
    system.tree.mkdir_all(parent, 0o755).expect("a name of ours");
    system
        .tree
        .write(path, content.to_vec(), 0o644)
        .expect("a name of ours");
}

/// Bounds within which every input must come to its end.
pub fn session() -> Session {
    Session::lenient().with_steps(2000).with_max_bytes(1 << 20)
}

/// Runs a command of the table in `/tmp`.
pub fn command(system: &mut System, args: &[&str], stdin: &[u8]) {
    let run = lookup(args[0]).expect("a command of ours");
    let mut process = Process::new(system, args);
    process.session = session();
    process.cwd = "/tmp".to_owned();
    process.stdin = Bytes::copy_from_slice(stdin);
    let _ = run(&mut process);
}

/// Interprets a script.
pub fn script(system: &mut System, text: &str, args: &[String]) {
    let _ = run_in(&session(), system, Origin::default(), text, args, &BTreeMap::new());
}

/// Runs one generator; that it refuses what it is given is fine.
pub fn generate(system: &mut System, generator: &str) {
    system.pending.insert(generator.to_owned());
    let _ = run_all(system);
    assert!(!system.pending.contains(generator), "{generator} is no generator");
}

/// The text up to the first NUL and what follows it: a program and its input.
pub fn halves(data: &[u8]) -> (String, &[u8]) {
    let at = data.iter().position(|&byte| byte == 0).unwrap_or(data.len());
    let input = data.get(at + 1..).unwrap_or_default();
    (String::from_utf8_lossy(&data[..at]).into_owned(), input)
}
