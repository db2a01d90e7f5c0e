//! Scripts interpreted by us, in a tree with what the sandbox has.

use std::collections::BTreeMap;

use computatom_compose::shell::process::Origin;
use computatom_compose::shell::run_in;
use computatom_compose::shell::session::Session;
use computatom_compose::system::System;
use computatom_compose::tree::{Inode, Kind};

use super::sandbox::{PASSWD, PATH, text};

/// A root with scratch directories and a few files; the sandbox has its `programs` as files, and `command -v` asks for
/// files.
fn machine(programs: &[&str]) -> System {
    let mut system = System::new("amd64", 1_700_000_000);
    let tree = &mut system.tree;
    for dir in ["/tmp", "/scratch", "/home/user", "/etc", "/dev", "/proc"] {
        tree.mkdir_all(dir, 0o755).expect("a fresh tree");
    }
    for merged in ["bin", "lib", "lib64"] {
        tree.mkdir_all(&format!("/usr/{merged}"), 0o755).expect("a fresh tree");
        tree.symlink(&format!("usr/{merged}"), &format!("/{merged}"))
            .expect("a fresh tree");
    }
    let null = Inode::new(Kind::Char { major: 1, minor: 3 }, 0o666, 0);
    tree.create("/dev/null", null).expect("a fresh tree");
    for program in programs {
        let path = format!("/usr/bin/{program}");
        tree.write(&path, "\x7fELF", 0o755).expect("a fresh tree");
    }
    tree.write("/etc/passwd", PASSWD, 0o644).expect("a fresh tree");
    system
}

/// Standard output, status (-1 where the interpretation stopped) and standard error of a script.
pub(crate) fn ours(session: &Session, programs: &[&str], script: &str) -> (String, i32, String) {
    let origin = Origin {
        package: "case".to_owned(),
        script: "/script".to_owned(),
    };
    let env = [("HOME", "/home/user"), ("PATH", PATH)];
    let env: BTreeMap<String, String> = env.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    match run_in(session, &mut machine(programs), origin, script, &[], &env) {
        Ok(finished) => (
            text(&finished.stdout),
            i32::from(finished.status),
            text(&finished.stderr),
        ),
        Err(halted) => (String::new(), -1, halted.to_string()),
    }
}
