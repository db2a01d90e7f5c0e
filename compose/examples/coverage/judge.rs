use std::collections::BTreeMap;
use std::fmt::Write as _;

use computatom_compose::shell::inventory::{Call, PLACEHOLDER};
use computatom_compose::shell::process::{Halt, Origin};
use computatom_compose::shell::run_in;
use computatom_compose::shell::session::Session;
use computatom_compose::system::System;

/// What a call comes to when it is interpreted alone on an almost empty machine. That it fails there says nothing: what
/// counts is whether it is understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Done,
    /// Stops the build, naming this.
    Refused(String),
    /// There is no such command here: this one.
    Unknown(String),
}

/// What stands for expansions, one after the other: a call is understood if it is with one of them.
const STAND_INS: &[&str] = &[PLACEHOLDER, "x", "/etc/passwd", ""];

/// Interprets one call.
pub(crate) fn judge(call: &Call, bash: bool) -> Verdict {
    let mut verdict = Verdict::Done;
    for (at, stand_in) in STAND_INS.iter().enumerate() {
        let words = call.words.iter().zip(&call.fixed).map(|(word, fixed)| match fixed {
            true => word.clone(),
            false => word.replace(PLACEHOLDER, stand_in),
        });
        let answer = interpret(&words.collect::<Vec<_>>(), bash);
        if answer == Verdict::Done {
            return answer;
        }
        if at == 0 {
            verdict = answer;
        }
        if call.fixed.iter().all(|fixed| *fixed) {
            break;
        }
    }
    match verdict {
        // What these run is counted for itself, where it is known.
        // An argument that is only known at run time.
        Verdict::Refused(what) if what == PLACEHOLDER => Verdict::Done,
        Verdict::Unknown(name) if matches!(call.words[0].as_str(), "trap" | "eval") || name == PLACEHOLDER => {
            Verdict::Done
        }
        verdict => verdict,
    }
}

fn interpret(words: &[String], bash: bool) -> Verdict {
    let mut script = String::from(if bash { "#!/bin/bash\n" } else { "" });
    if words[0].starts_with("db_") {
        script.push_str(". /usr/share/debconf/confmodule\n");
    }
    for word in words {
        // Operators of `[` and names of builtins are what they are, quoted or not.
        let _ = write!(script, "'{}' ", word.replace('\'', "'\\''"));
    }
    let session = Session::default().with_steps(10_000).with_max_bytes(1 << 20);
    let env = BTreeMap::from([
        ("HOME".to_owned(), "/root".to_owned()),
        ("DPKG_MAINTSCRIPT_PACKAGE".to_owned(), "package".to_owned()),
        ("DPKG_MAINTSCRIPT_NAME".to_owned(), "postinst".to_owned()),
        ("DPKG_ROOT".to_owned(), String::new()),
    ]);
    match run_in(&session, &mut machine(), Origin::default(), &script, &[], &env) {
        Ok(_) => Verdict::Done,
        Err(halted) => match halted.halt {
            Halt::UnknownCommand(name) => Verdict::Unknown(name),
            Halt::Unsupported { command, what } if command == words[0] => Verdict::Refused(what),
            other => Verdict::Refused(other.to_string()),
        },
    }
}

fn machine() -> System {
    let mut system = System::new("arm64", 1_700_000_000);
    let tree = &mut system.tree;
    for dir in ["/etc", "/usr/bin", "/var/lib/dpkg", "/tmp", "/root"] {
        tree.mkdir_all(dir, 0o755).expect("a fresh tree");
    }
    for (path, text) in [
        ("/etc/passwd", "root:x:0:0:root:/root:/bin/sh\n"),
        ("/etc/group", "root:x:0:\n"),
        ("/0", "1\n"),
    ] {
        tree.write(path, text, 0o644).expect("a fresh tree");
    }
    system
}
