//! Real maintainer scripts, interpreted by dash and by us: what they would run, with which words, and how they end.
//!
//! Every command that is no builtin is a function that writes down its words (and what it reads, where a script feeds it a
//! here-document), so that only the shell is compared; each script is run as dpkg would for several occasions, with
//! commands that succeed and with commands that fail. The packages are those of the builder's cache; other directories
//! with .debs may be named in `COMPUTATOM_DEBS`, separated by colons.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use computatom_compose::deb::Deb;
use computatom_compose::shell::inventory::{self, Inventory};
use computatom_compose::shell::session::Session;
use rayon::prelude::*;

#[path = "../shell/interpreted.rs"]
mod interpreted;

#[path = "../shell/sandbox.rs"]
mod sandbox;

use interpreted::ours;
use sandbox::{Sandbox, text};

/// The scripts and how dpkg calls them (Debian Policy 6.5).
const OCCASIONS: &[(&str, &[&str])] = &[
    ("preinst", &["install", "install 1.0 2.0", "upgrade 1.0 2.0"]),
    ("config", &["configure ''", "reconfigure 1.0"]),
    (
        "postinst",
        &[
            "configure ''",
            "configure 1.0",
            "triggered /usr/share/x",
            "abort-upgrade 1.0",
        ],
    ),
    ("prerm", &["remove", "upgrade 2.0"]),
    ("postrm", &["remove", "purge", "upgrade 2.0"]),
];

struct Script {
    place: String,
    name: &'static str,
    occasions: &'static [&'static str],
    text: String,
}

fn places() -> Vec<PathBuf> {
    if let Some(places) = std::env::var_os("COMPUTATOM_DEBS") {
        return std::env::split_paths(&places).collect();
    }
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let home = PathBuf::from(std::env::var_os("HOME").expect("HOME"));
    vec![cache.unwrap_or_else(|| home.join(".cache")).join("computatom/objects")]
}

fn files(place: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(place).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            files(&path, found);
        } else {
            found.push(path);
        }
    }
}

/// The scripts of the packages there, each text once.
fn scripts() -> Vec<Script> {
    let mut paths = Vec::new();
    for place in &places() {
        files(place, &mut paths);
    }
    let mut seen = BTreeSet::new();
    let mut found = BTreeMap::new();
    for path in paths {
        let mut magic = [0; 8];
        let read = std::fs::File::open(&path).and_then(|mut file| file.read_exact(&mut magic));
        if read.is_err() || &magic != b"!<arch>\n" {
            continue;
        }
        let Ok(deb) = Deb::open(&Bytes::from(std::fs::read(&path).expect("a file of the cache"))) else {
            continue;
        };
        for (name, occasions) in OCCASIONS {
            let Some(text) = deb.control().text(name).filter(|text| seen.insert(text.clone())) else {
                continue;
            };
            // Each architecture has its own where it names a path of it.
            let place = format!("{} {} {name}", deb.control().name, deb.control().architecture);
            found.insert(
                place.clone(),
                Script {
                    place,
                    name,
                    occasions,
                    text,
                },
            );
        }
    }
    found.into_values().collect()
}

/// A script in which every command is a function, or why it cannot be made.
fn mocked(script: &Script, found: &Inventory, occasion: &str, status: u8) -> String {
    let mut body = script.text.clone();
    let mut names: BTreeSet<&str> = found
        .calls
        .iter()
        .filter(|call| call.fixed[0])
        .map(|call| call.words[0].as_str())
        .filter(|name| !inventory::is_builtin(name) && !found.functions.contains(*name))
        .filter(|name| name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/'))
        .filter(|name| name.chars().all(|c| c.is_ascii_alphanumeric() || "_-./".contains(c)))
        .collect();
    // stunnel4 calls it by way of a variable.
    names.extend(["/bin/chown"].into_iter().filter(|name| body.contains(name)));
    names.extend(["which", "db_get"]);
    // Longest first, so that no name is replaced inside another.
    let mut by_length: Vec<&str> = names.iter().copied().collect();
    by_length.sort_by_key(|name| std::cmp::Reverse(name.len()));
    let mut header = String::from(if found.bash { "#!/bin/bash\n" } else { "#!/bin/sh\n" });
    for name in by_length {
        let plain = name.replace(['-', '.', '/'], "_");
        if plain != name {
            body = body.replace(name, &plain);
        }
        let reads = if plain == "cat" {
            "[ $# -gt 0 ] || while IFS= read -r l; do echo \"|$l\"; done; "
        } else {
            ""
        };
        let sets = if plain == "db_get" { "RET=\"a b\"; " } else { "" };
        let _ = writeln!(
            header,
            "{plain}() {{ printf '<%s>' {plain} \"$@\"; echo; {reads}{sets}return {status}; }}"
        );
    }
    for (variable, value) in [
        ("DPKG_MAINTSCRIPT_PACKAGE", "package"),
        ("DPKG_MAINTSCRIPT_NAME", script.name),
        ("DPKG_MAINTSCRIPT_ARCH", "arm64"),
        ("DPKG_ROOT", ""),
        ("DEBIAN_FRONTEND", "noninteractive"),
    ] {
        let _ = writeln!(header, "export {variable}='{value}'");
    }
    // debconf's library would turn the streams around, and is not there.
    let body = body.replace("/usr/share/debconf/confmodule", "/dev/null");
    let options = body
        .lines()
        .next()
        .and_then(|line| line.strip_prefix("#!")?.split_once(" -"));
    if let Some((_, letters)) = options {
        let _ = writeln!(header, "set -{}", letters.trim());
    }
    format!("{header}set -- {occasion}\n{body}")
}

/// What came of one script.
#[derive(Default)]
struct Outcome {
    runs: usize,
    /// Runs that do not end when commands answer so.
    endless: usize,
    wrong: String,
}

impl Outcome {
    fn and(mut self, other: &Self) -> Self {
        self.runs += other.runs;
        self.endless += other.endless;
        self.wrong.push_str(&other.wrong);
        self
    }
}

/// Runs a script on every occasion, for real and by us.
fn compare(sandbox: &Sandbox, script: &Script) -> Outcome {
    let mut outcome = Outcome::default();
    let found = match inventory::read(&script.text) {
        Ok(Some(found)) => found,
        // Not for a shell.
        Ok(None) => return outcome,
        Err(error) => {
            let _ = writeln!(outcome.wrong, "{}: {error:#}", script.place);
            return outcome;
        }
    };
    // A process number is never the same.
    if found.constructs.contains_key("$$") {
        return outcome;
    }
    for (occasion, status) in script
        .occasions
        .iter()
        .flat_map(|occasion| [(occasion, 0), (occasion, 1)])
    {
        let case = mocked(script, &found, occasion, status);
        let real = sandbox.run(&case);
        let Some(code) = real.status.code().filter(|code| *code != 137) else {
            outcome.endless += 1;
            continue;
        };
        outcome.runs += 1;
        let (stdout, ended, stderr) = ours(&Session::lenient(), &["dash", "sh", "bash", "busybox", "find"], &case);
        let expected = text(&real.stdout);
        if (stdout.as_str(), ended) != (expected.as_str(), code) {
            let same = stdout
                .lines()
                .zip(expected.lines())
                .take_while(|(ours, theirs)| ours == theirs);
            let at = same.count();
            let difference = format!(
                "{} {occasion}, commands end with {status}: real {code}, ours {ended}, line {at}\n  real {:?}\n  ours {:?}\n  \
                 real says {:?}\n  ours says {:?}\n",
                script.place,
                expected.lines().nth(at),
                stdout.lines().nth(at),
                text(&real.stderr).lines().last(),
                stderr.lines().last(),
            );
            outcome.wrong.push_str(&difference);
        }
    }
    outcome
}

#[test]
fn maintainer_scripts_do_what_dash_does() {
    let mut scripts = scripts();
    assert!(
        scripts.len() > 100,
        "only {} maintainer scripts in {:?}: build an image first, or name directories in COMPUTATOM_DEBS",
        scripts.len(),
        places()
    );
    // All of them take some minutes; `COMPUTATOM_SCRIPTS=7` takes every seventh.
    let every = std::env::var("COMPUTATOM_SCRIPTS").map_or(1, |every| every.parse().expect("a number"));
    let mut at = 0;
    scripts.retain(|_| {
        at += 1;
        at % every == 0
    });
    let outcome = scripts
        .par_iter()
        .map_init(Sandbox::bare, |sandbox, script| compare(sandbox, script))
        .reduce(Outcome::default, |all, one| all.and(&one));
    println!(
        "{} scripts, {} runs compared; {} more do not end when commands answer so",
        scripts.len(),
        outcome.runs,
        outcome.endless
    );
    assert!(outcome.wrong.is_empty(), "{}", outcome.wrong);
}
