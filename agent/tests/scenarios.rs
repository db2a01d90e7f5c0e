//! Walks `roots/`: each folder is a machine (its `/proc`, `/sys`, `/run`, …) with what the agent must make of it in
//! `expected/`. `BLESS=1 cargo test -p computatom-agent --test scenarios` writes those anew.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod machine;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use computatom_agent::{config, identity::Identity, render, role::Assignment};
use machine::{Machine, folders};

#[test]
fn every_scenario_gives_what_is_expected() {
    let bless = std::env::var_os("BLESS").is_some();
    let mut wrong = Vec::new();
    for folder in folders() {
        let machine = Machine::copy(&folder);
        let changes = machine.boot();
        assert!(
            machine.boot().is_empty(),
            "{}: a second boot changes something",
            folder.display()
        );
        let expected = folder.join("expected");
        let units: String = changes
            .iter()
            .map(|change| format!("{}: {}\n", change.unit, change.action))
            .collect::<Vec<_>>()
            .concat();
        let mut made = texts(&machine.path("/run/computatom"), "run/computatom");
        made.extend(texts(
            &machine.path("/run/systemd/timesyncd.conf.d"),
            "run/systemd/timesyncd.conf.d",
        ));
        made.extend(texts(&machine.path("/var/lib/computatom"), "var/lib/computatom"));
        made.insert("changes".to_owned(), units);
        if bless {
            let _ = fs::remove_dir_all(&expected);
            for (name, text) in &made {
                let path = expected.join(name);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, text).unwrap();
            }
        }
        let wanted = texts(&expected, "");
        for name in wanted
            .keys()
            .chain(made.keys())
            .collect::<std::collections::BTreeSet<_>>()
        {
            if wanted.get(name) != made.get(name) {
                let scenario = folder.file_name().unwrap().to_string_lossy();
                wrong.push(format!(
                    "{scenario}/{name}:\n--- expected\n{}\n--- made\n{}",
                    show(&wanted, name),
                    show(&made, name)
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_role_that_is_gone_takes_its_files_with_it() {
    let machine = Machine::copy(
        &folders()
            .into_iter()
            .find(|folder| folder.ends_with("pi3-core-1-leased"))
            .unwrap(),
    );
    machine.boot();
    assert!(machine.path("/run/computatom/prometheus/prometheus.yml").exists());
    machine.write(
        "/run/systemd/netif/leases/2",
        "ADDRESS=192.168.1.20\nHOSTNAME=worker-9\n",
    );
    let changes = machine.boot();
    assert!(!machine.path("/run/computatom/prometheus/prometheus.yml").exists());
    let units: Vec<&str> = changes.iter().map(|change| change.unit).collect();
    assert_eq!(units, ["consul.service", "nomad.service", "prometheus.service"]);
}

#[test]
fn the_name_of_a_lease_outlives_the_dhcp_server() {
    let machine = Machine::copy(
        &folders()
            .into_iter()
            .find(|folder| folder.ends_with("pi3-core-1-leased"))
            .unwrap(),
    );
    machine.boot();
    fs::remove_file(machine.path("/run/systemd/netif/leases/2")).unwrap();
    let site = config::load(machine.root()).unwrap();
    let identity = Identity::derive(machine.root(), &site);
    assert_eq!(identity.hostname, "core-1");
    assert_eq!(identity.hostname_source.explain(), "named by an earlier DHCP lease");
}

#[test]
fn settings_that_cannot_work_are_refused_by_name() {
    let machine = Machine::copy(&folders()[0]);
    for (site, sentence) in [
        (r#"{"servers": []}"#, "`servers` is empty"),
        (r#"{"servers": ["core_1"]}"#, "`servers` entry `core_1`"),
        (r#"{"lan": "192.168.1"}"#, "`lan` `192.168.1`"),
        (r#"{"datacenter": "My Home"}"#, "`datacenter` `My Home`"),
        (
            r#"{"prometheus": {"retention": "15d --web.enable-lifecycle"}}"#,
            "`prometheus.retention`",
        ),
        (
            r#"{"prometheus": {"retention_size": "much"}}"#,
            "`prometheus.retention_size`",
        ),
        (r#"{"timezone": "../../etc/passwd"}"#, "`timezone`"),
        (r#"{"ntp": ["a b"]}"#, "`ntp` entry `a b`"),
        (r#"{"sever": []}"#, "unknown field `sever`"),
    ] {
        machine.write("/usr/share/computatom/site.json", site);
        let message = format!("{:#}", config::load(machine.root()).unwrap_err());
        assert!(message.contains(sentence), "{message}");
    }
    machine.write(
        "/usr/share/computatom/site.json",
        r#"{"roles": [{"arch": "arm65", "roles": []}]}"#,
    );
    let site = config::load(machine.root()).unwrap();
    let identity = Identity::derive(machine.root(), &site);
    let message = format!("{:#}", Assignment::decide(&site, &identity).unwrap_err());
    assert!(
        message.starts_with("reading rule 1 of `roles`") && message.contains("`arm65`"),
        "{message}"
    );
}

#[test]
fn nothing_is_rendered_without_an_address() {
    let machine = Machine::copy(
        &folders()
            .into_iter()
            .find(|folder| folder.ends_with("no-lease-serial-name"))
            .unwrap(),
    );
    let site = config::load(machine.root()).unwrap();
    let identity = Identity::derive(machine.root(), &site);
    let assignment = Assignment::decide(&site, &identity).unwrap();
    assert!(render::render(machine.root(), &site, &identity, &assignment).is_empty());
}

/// Every file below `folder` by its path under `prefix`.
fn texts(folder: &Path, prefix: &str) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let Ok(entries) = fs::read_dir(folder) else {
        return found;
    };
    for entry in entries {
        let entry = entry.unwrap();
        let name = Path::new(prefix).join(entry.file_name()).to_string_lossy().into_owned();
        if entry.file_type().unwrap().is_dir() {
            found.extend(texts(&entry.path(), &name));
        } else {
            found.insert(name, fs::read_to_string(entry.path()).unwrap());
        }
    }
    found
}

fn show<'a>(texts: &'a BTreeMap<String, String>, name: &str) -> &'a str {
    texts.get(name).map_or("(no such file)", String::as_str)
}
