//! The real programs judge what is rendered for every scenario.
//!
//! Feature `oracle`; each variable holds a program, with what runs it in front where it is foreign:
//! `COMPUTATOM_CONSUL`, `COMPUTATOM_NOMAD` (`qemu-aarch64-static -L /usr/aarch64-linux-gnu …/nomad`) and
//! `COMPUTATOM_PROMTOOL`.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![cfg(feature = "oracle")]

mod machine;

use std::process::Command;

use machine::{Machine, folders};

/// Runs the program of `variable` with `arguments`; panics with its output when it is not content.
fn judge(variable: &str, arguments: &[&str], what: &str) {
    let line = std::env::var(variable).unwrap_or_else(|_| panic!("set {variable} to the program that judges"));
    let mut words = line.split_ascii_whitespace();
    let output = Command::new(words.next().unwrap())
        .args(words)
        .args(arguments)
        .output()
        .unwrap();
    let said = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(output.status.success(), "{what}: {line}: {said}");
}

#[test]
fn consul_nomad_and_prometheus_accept_every_scenario() {
    let mut judged = [0; 3];
    for folder in folders() {
        let machine = Machine::copy(&folder);
        machine.boot();
        let what = folder.file_name().unwrap().to_string_lossy().into_owned();
        let place = |path: &str| machine.path(path).to_string_lossy().into_owned();
        if machine.path("/run/computatom/consul.d").exists() {
            judge(
                "COMPUTATOM_CONSUL",
                &["validate", &place("/run/computatom/consul.d")],
                &what,
            );
            judged[0] += 1;
        }
        if machine.path("/run/computatom/nomad.d").exists() {
            judge(
                "COMPUTATOM_NOMAD",
                &["config", "validate", &place("/run/computatom/nomad.d")],
                &what,
            );
            judged[1] += 1;
        }
        if machine.path("/run/computatom/prometheus").exists() {
            let file = place("/run/computatom/prometheus/prometheus.yml");
            judge(
                "COMPUTATOM_PROMTOOL",
                &["check", "config", "--syntax-only", &file],
                &what,
            );
            judge(
                "COMPUTATOM_PROMTOOL",
                &["check", "rules", &place("/run/computatom/prometheus/rules.yml")],
                &what,
            );
            judged[2] += 1;
        }
    }
    assert!(
        judged.iter().all(|count| *count > 0),
        "a program had nothing to judge: {judged:?}"
    );
}
