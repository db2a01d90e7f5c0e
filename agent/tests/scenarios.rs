//! Walks `roots/`: each folder is a machine (its `/proc`, `/sys`, `/run`, …) with what the agent must make of it in
//! `expected/`. `BLESS=1 cargo test -p computatom-agent --test scenarios` writes those anew.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod machine;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use computatom_agent::config::{self, Settings};
use computatom_agent::status::{Status, page, text};
use computatom_agent::{
    identity::{Identity, Outlook},
    render,
    role::Assignment,
};
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
        // Digests of the others.
        made.remove("run/computatom/applied.json");
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
    // The table that the builder is asked about too.
    let cases: Vec<serde_json::Value> = serde_json::from_str(include_str!("../../spec/tests/sites.json")).unwrap();
    let machine = Machine::copy(&folders()[0]);
    let load = |site: &str| {
        machine.write("/usr/share/computatom/site.json", site);
        config::load(machine.root())
    };
    for case in cases {
        let site = case["site"].to_string();
        match (load(&site), case["says"].as_str()) {
            (Ok(_), None) => {}
            (Err(error), Some(says)) => {
                let said = format!("{error:#}");
                assert!(
                    said.starts_with("/usr/share/computatom/site.json") && said.contains(says),
                    "{said}"
                );
            }
            (result, says) => panic!("{site} gave {result:?} instead of {says:?}"),
        }
    }
    let said = format!("{:#}", load(r#"{"sever": []}"#).unwrap_err());
    assert!(said.contains("unknown field `sever`"), "{said}");
}

#[test]
fn settings_that_cannot_be_used_leave_a_name_and_a_sentence() {
    let machine = named("pi3-core-1-leased");
    for broken in [r#"{"servers": []}"#, "{", r#"{"lan": 7}"#] {
        machine.write("/usr/share/computatom/site.json", broken);
        let settings = Settings::load(machine.root());
        let identity = Identity::derive(machine.root(), &settings.site);
        assert_eq!(identity.hostname, "core-1");
        let assignment = settings.assignment(&identity);
        assert!(
            assignment.roles.is_empty(),
            "the default settings would make it a server"
        );
        let status = Status::unasked(&settings, &identity, &assignment, None);
        assert!(!status.is_ready());
        let shown = text::render(&status);
        assert!(
            shown.starts_with("core-1  192.168.1.20  member")
                && shown.contains("wrong: /usr/share/computatom/site.json is not usable: "),
            "{shown}"
        );
        assert!(page::render(&status).contains("wrong: /usr/share/computatom/site.json"));
    }
}

#[test]
fn a_board_is_never_what_its_image_cannot_be() {
    let shown = |scenario: &str| {
        let machine = named(scenario);
        let settings = Settings::load(machine.root());
        let identity = Identity::derive(machine.root(), &settings.site);
        let status = Status::unasked(&settings, &identity, &settings.assignment(&identity), None);
        text::render(&status)
    };
    let client = shown("image-client-named-server");
    assert!(client.starts_with("core-1  192.168.1.20  client\n"), "{client}");
    assert!(
        client.contains("; but the image client is for clients only: not server, not monitor"),
        "{client}"
    );
    let monitor = shown("image-monitor-small");
    assert!(
        monitor.contains("  monitor\n") && !monitor.contains("but the image"),
        "{monitor}"
    );

    let machine = named("image-client-named-server");
    machine.boot();
    let nomad = fs::read_to_string(machine.path("/run/computatom/nomad.d/nomad.hcl")).unwrap();
    assert!(!nomad.contains("server {") && nomad.contains("client {"), "{nomad}");
    // An image that does not say what it is for, as they were, can be all.
    fs::remove_file(machine.path("/usr/share/computatom/roles.json")).unwrap();
    let settings = Settings::load(machine.root());
    let identity = Identity::derive(machine.root(), &settings.site);
    assert_eq!(settings.assignment(&identity).names(), "server, client, monitor");
    // One that cannot be read is no licence for anything.
    machine.write("/usr/share/computatom/roles.json", "{");
    let settings = Settings::load(machine.root());
    assert!(settings.assignment(&identity).roles.is_empty());
    let fault = settings.fault.unwrap();
    assert!(
        fault.starts_with("/usr/share/computatom/roles.json is not usable: "),
        "{fault}"
    );
}

#[test]
fn what_an_image_does_not_have_is_not_waited_for() {
    for (scenario, unknown) in [
        ("image-monitor-small", &["nomad.service", "docker.service"][..]),
        ("image-core-first-server", &["prometheus.service", "docker.service"]),
        ("image-client-named-server", &["prometheus.service"]),
    ] {
        let machine = named(scenario);
        let changes = machine.boot();
        assert!(changes.iter().any(|change| change.unit == "consul.service"));
        for change in changes {
            assert!(!unknown.contains(&change.unit), "{scenario}: {}", change.unit);
        }
    }
}

#[test]
fn a_restart_that_did_not_happen_is_made_up_for() {
    let machine = named("pi3-core-1-leased");
    machine.boot();
    machine.write("/run/systemd/netif/leases/2", "ADDRESS=192.168.1.20\nHOSTNAME=core-9\n");
    let site = config::load(machine.root()).unwrap();
    let identity = Identity::derive(machine.root(), &site);
    let assignment = Assignment::decide(&site, &identity, &config::image_roles(machine.root()).unwrap()).unwrap();
    let files = render::render(machine.root(), &site, &identity, &assignment);
    // The files are written; before any unit is told, the power of the agent is cut.
    let before = render::apply(machine.root(), &files).unwrap();
    assert_eq!(before, render::apply(machine.root(), &files).unwrap());
    let consul = before
        .iter()
        .position(|change| change.unit == "consul.service")
        .unwrap();
    render::applied::confirm(machine.root(), &files, "consul.service").unwrap();
    let mut rest = before;
    rest.remove(consul);
    assert_eq!(rest, render::apply(machine.root(), &files).unwrap());
}

#[test]
fn a_card_does_not_bring_the_name_of_another_board() {
    let machine = named("pi3-core-1-leased");
    machine.boot();
    fs::remove_file(machine.path("/run/systemd/netif/leases/2")).unwrap();
    let name = || Identity::derive(machine.root(), &config::load(machine.root()).unwrap()).hostname;
    assert_eq!(name(), "core-1");
    machine.write("/etc/machine-id", "0123456789abcdef0123456789abcdef\n");
    assert!(name().starts_with("node-"), "{}", name());
}

#[test]
fn the_lease_of_the_lan_names_the_node() {
    let machine = named("pi3-core-1-leased");
    // A lower interface index, another network.
    machine.write("/run/systemd/netif/leases/1", "ADDRESS=10.0.2.15\nHOSTNAME=nat-guest\n");
    let name = || Identity::derive(machine.root(), &config::load(machine.root()).unwrap()).hostname;
    assert_eq!(name(), "core-1");
    machine.write("/run/systemd/netif/leases/2", "ADDRESS=192.168.1.20\n");
    assert!(name().starts_with("node-"), "{}", name());
}

/// networkd sets the address before it writes the lease, and may write that while we look.
#[test]
fn a_lease_that_comes_while_one_looks_is_waited_for() {
    let machine = named("pi3-core-1-leased");
    let site = config::load(machine.root()).unwrap();
    let lease = fs::read_to_string(machine.path("/run/systemd/netif/leases/2")).unwrap();
    let path = machine.path("/run/systemd/netif/leases/2");
    let mut meanwhile = 0;
    for round in 0..300_u32 {
        fs::remove_file(&path).unwrap();
        assert_eq!(Identity::look(machine.root(), &site).1, Outlook::Open);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                std::thread::sleep(std::time::Duration::from_micros(u64::from(round % 100) * 10));
                fs::write(path.with_extension("new"), &lease).unwrap();
                fs::rename(path.with_extension("new"), &path).unwrap();
            });
            loop {
                let (identity, outlook) = Identity::look(machine.root(), &site);
                if outlook == Outlook::Leased {
                    assert_eq!(identity.hostname, "core-1");
                    break;
                }
                meanwhile += 1;
            }
        });
    }
    assert!(meanwhile > 0, "no look was without a lease");
}

fn named(scenario: &str) -> Machine {
    Machine::copy(&folders().into_iter().find(|folder| folder.ends_with(scenario)).unwrap())
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
    let assignment = Assignment::decide(&site, &identity, &config::image_roles(machine.root()).unwrap()).unwrap();
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
