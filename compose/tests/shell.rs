//! The evaluator against dash (and bash, for the bashisms): the same scripts, the same output and status.
//!
//! A case is `{name, script, stdout, status}` in `tests/shell/*.json`. To add some, write name and script and run
//! `cargo test -p computatom-compose --test shell -- --ignored record`: the real shell fills in the rest.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use computatom_compose::shell::session::Session;
use serde_json::Value;

#[path = "shell/interpreted.rs"]
mod interpreted;

#[path = "shell/random.rs"]
mod random;

#[path = "shell/sandbox.rs"]
mod sandbox;

use sandbox::{Sandbox, text};

/// The files of cases; each says in its name what it is about.
const FILES: &[&str] = &[
    "vectors.json",
    "errexit.json",
    "expansion.json",
    "commands.json",
    "redirection.json",
    "bash.json",
    // What Debian's maintainer scripts do, construct by construct.
    "mined.json",
];

#[derive(Clone, Debug)]
struct Case {
    name: String,
    script: String,
    stdout: Option<String>,
    status: Option<i32>,
}

fn path_of(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/shell").join(file)
}

fn cases(file: &str) -> Vec<Case> {
    let text = std::fs::read_to_string(path_of(file)).expect("a file of cases");
    let values: Vec<Value> = serde_json::from_str(&text).expect("a list of cases");
    let text = |value: &Value, key: &str| value[key].as_str().map(str::to_owned);
    values
        .iter()
        .map(|value| Case {
            name: text(value, "name").expect("a case has a name"),
            script: text(value, "script").expect("a case has a script"),
            stdout: text(value, "stdout"),
            status: value["status"]
                .as_i64()
                .map(|status| i32::try_from(status).expect("a status")),
        })
        .collect()
}

fn ours(case: &Case) -> (String, i32, String) {
    let session = Session::lenient().with_steps(20_000);
    interpreted::ours(&session, &["cat", "sed", "mkdir", "sh", "dash"], &case.script)
}

#[test]
fn our_output_is_the_recorded_one() {
    let mut wrong = String::new();
    for file in FILES {
        for case in cases(file) {
            let (stdout, status, stderr) = ours(&case);
            let recorded = case.stdout.as_deref().expect("a recorded output");
            if stdout != recorded || case.status.is_some_and(|expected| expected != status) {
                let _ = writeln!(
                    wrong,
                    "{file}: {}\n{}\n  recorded {recorded:?} {:?}\n  ours     {stdout:?} {status}\n  stderr   {stderr:?}\n",
                    case.name, case.script, case.status
                );
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn the_real_shell_writes_what_is_recorded() {
    let sandbox = Sandbox::new();
    let mut wrong = String::new();
    for file in FILES {
        for case in cases(file) {
            let output = sandbox.run(&case.script);
            let (stdout, status) = (text(&output.stdout), output.status.code());
            let recorded = case.stdout.as_deref().expect("a recorded output");
            if stdout != recorded || case.status.is_some() && case.status != status {
                let _ = writeln!(
                    wrong,
                    "{file}: {}\n{}\n  recorded {recorded:?} {:?}\n  real     {stdout:?} {status:?}\n  stderr   {:?}\n",
                    case.name,
                    case.script,
                    case.status,
                    text(&output.stderr)
                );
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn random_scripts_do_what_dash_does() {
    // More by hand: SHELL_SEEDS=1000-9000 cargo test …
    let range = std::env::var("SHELL_SEEDS").unwrap_or_else(|_| "0-300".to_owned());
    let (first, last) = range.split_once('-').expect("a range of seeds");
    let seeds: std::ops::Range<u64> = first.parse().expect("a number")..last.parse().expect("a number");
    let sandbox = Sandbox::new();
    let mut wrong = String::new();
    for seed in seeds {
        let case = Case {
            name: seed.to_string(),
            script: random::Generator::new(seed).script(),
            stdout: None,
            status: None,
        };
        let (stdout, status, stderr) = ours(&case);
        if stderr.contains("step budget") {
            // It never ends, and nobody waits for dash to find out.
            continue;
        }
        let output = sandbox.run(&case.script);
        if stdout != text(&output.stdout) || output.status.code() != Some(status) {
            let _ = writeln!(
                wrong,
                "seed {seed}\n{}\n  real {:?} {:?}\n  ours {stdout:?} {status}\n  real stderr {:?}\n  our stderr {stderr:?}\n",
                case.script,
                text(&output.stdout),
                output.status.code(),
                text(&output.stderr)
            );
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
#[ignore = "writes what the real shell answers into cases that have no answer yet"]
fn record() {
    let sandbox = Sandbox::new();
    for file in FILES {
        let mut lines = Vec::new();
        for mut case in cases(file) {
            if case.stdout.is_none() {
                let output = sandbox.run(&case.script);
                case.stdout = Some(text(&output.stdout));
                case.status = output.status.code();
            }
            let quote = |text: &str| Value::from(text).to_string();
            let mut line = format!(
                " {{\"name\": {}, \"script\": {}, \"stdout\": {}",
                quote(&case.name),
                quote(&case.script),
                quote(&case.stdout.unwrap_or_default())
            );
            if let Some(status) = case.status {
                let _ = write!(line, ", \"status\": {status}");
            }
            lines.push(format!("{line}}}"));
        }
        let text = format!("[\n{}\n]\n", lines.join(",\n"));
        std::fs::write(path_of(file), text).expect("writing the cases");
    }
}
