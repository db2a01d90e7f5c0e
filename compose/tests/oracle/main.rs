//! The composed tree against the real thing: mmdebstrap and dpkg install the same packages in a chroot, every
//! difference must be explained in `explained.txt`, and Debian's own tools must not be able to tell the two apart.
//!
//! A set of packages is a file in `sets/` and a test of that name. Needs mmdebstrap, Debian's keyring and a mirror (the
//! host's own), and is for amd64. Not only for root: any user with subordinate ids (subuid(5)) may run it.
//! `COMPUTATOM_ORACLE_ROOT` names the tar of an earlier run (a test that fails prints it), to compare again without
//! installing again.

mod agreement;

mod compare;

mod explained;

mod real;

use std::fmt::Write as _;
use std::path::Path;
use std::sync::Mutex;

use bytes::Bytes;
use computatom_compose::deb::{Deb, Package};
use computatom_compose::{Composed, Options, compose};

use crate::compare::Difference;
use crate::explained::Explanations;
use crate::real::Root;

/// The clock of both: mmdebstrap takes it from `SOURCE_DATE_EPOCH`.
const EPOCH: i64 = 1_763_000_000;

/// Name of each set and its packages.
const SETS: &[(&str, &str)] = &[
    ("home", include_str!("sets/home.txt")),
    ("sixty", include_str!("../../../pkgbuilder/tests/images/sixty.txt")),
    ("seed", include_str!("sets/seed.txt")),
];

#[test]
fn home() {
    println!("{}", the_tree_is_what_the_real_tools_make("home"));
}

#[test]
fn sixty() {
    println!("{}", the_tree_is_what_the_real_tools_make("sixty"));
}

#[test]
fn seed() {
    println!("{}", the_tree_is_what_the_real_tools_make("seed"));
}

/// The packages that a set's file names, a line each.
fn packages_of(set: &str) -> Vec<&'static str> {
    let (_, text) = SETS.iter().find(|(name, _)| *name == set).expect("a set in the table");
    let lines = text.lines().map(str::trim);
    lines
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .collect()
}

/// Compares and lets Debian's tools compare; the numbers, for a log.
fn the_tree_is_what_the_real_tools_make(set: &str) -> String {
    // A root takes gigabytes and both cores: one after the other.
    static TURN: Mutex<()> = Mutex::new(());
    let _turn = TURN.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("oracle-{set}"));
    std::fs::create_dir_all(&dir).expect("making a directory for the roots");
    let tar = real::root_tar(&packages_of(set), EPOCH, &dir);
    let real = Root::read(&Bytes::from(std::fs::read(&tar).expect("reading the real root")));
    let composed = composed(&real);
    let differences = compare::differences(&real.side, &compare::side_of_tree(&composed.tree));
    let wrong = unexplained(set, &differences);
    let numbers = format!(
        "{set}: {} packages, {} paths in the real root, {} differences",
        real.debs.len(),
        real.side.len(),
        differences.len(),
    );
    let kept = format!("{numbers}; the real root is kept as {}", tar.display());
    let failed: Vec<String> = composed.failures.iter().map(ToString::to_string).collect();
    let failed = failed.join("\n");
    assert!(failed.is_empty() && wrong.is_empty(), "{failed}\n{wrong}{kept}");
    drop(real);
    let disagreement = agreement::disagreement(&tar, &composed.tree, &dir);
    assert!(disagreement.is_empty(), "{disagreement}{kept}");
    std::fs::remove_dir_all(&dir).expect("removing the roots");
    numbers
}

/// Our tree of the real root's packages.
fn composed(real: &Root) -> Composed {
    assert!(
        real.debs.len() > 100,
        "mmdebstrap kept only {} packages",
        real.debs.len()
    );
    let packages: Vec<Package> = real
        .debs
        .iter()
        .map(|deb| {
            let deb = Deb::open(deb).expect("opening a .deb");
            deb.unpack().expect("unpacking a .deb")
        })
        .collect();
    let options = Options {
        arch: "amd64".to_owned(),
        epoch: EPOCH,
        path_rules: Vec::new(),
        auto_installed: real.automatic.clone(),
        keep_going: true,
    };
    compose(&packages, &options, &mut |_| Ok(())).expect("composing")
}

/// The differences that no line explains and the lines that explain no difference, for a person to read.
fn unexplained(set: &str, differences: &[Difference]) -> String {
    let sets: Vec<&str> = SETS.iter().map(|(name, _)| *name).collect();
    let mut explanations = Explanations::read(include_str!("explained.txt"), set, &sets);
    let unexplained: Vec<&Difference> = differences
        .iter()
        .filter(|difference| !explanations.cover(difference))
        .collect();
    let mut text = String::new();
    if !unexplained.is_empty() {
        text += "differences that explained.txt does not explain:\n";
        text += &compare::by_cause(&unexplained);
    }
    for line in explanations.stale() {
        let _ = writeln!(text, "explains nothing any more: {line}");
    }
    text
}
