//! The real programs judge the settings that they would run with.
//!
//! Each variable holds a program, with what runs it in front where it is foreign: `COMPUTATOM_CONSUL`,
//! `COMPUTATOM_NOMAD` and `COMPUTATOM_PROMTOOL`.

use std::path::Path;
use std::process::Command;

use super::{KEY, PSK, World, run};

/// A machine with an address in the cluster's network: Consul looks for its own when it reads its settings.
const MACHINE: &str = "ip address add 192.168.2.51/24 dev lo && ip link set lo up && exec \"$@\"";

/// Runs the program of `variable`; panics with its output when it is not content.
fn judge(variable: &str, arguments: &[&str], what: &str) {
    let line = std::env::var(variable).unwrap_or_else(|_| panic!("set {variable} to the program that judges"));
    let output = Command::new("unshare")
        .args(["--map-root-user", "--net", "sh", "-c", MACHINE, "sh"])
        .args(line.split_ascii_whitespace())
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

/// The files that these packages put on a machine.
fn unpacked(world: &World, names: &[&str]) -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    for name in names {
        let deb = world.path().join(format!(
            "out/packages-private/{name}_{}-1_all.deb",
            env!("CARGO_PKG_VERSION")
        ));
        run(Command::new("dpkg-deb").arg("--extract").arg(deb).arg(root.path()));
    }
    root
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

#[test]
fn consul_nomad_and_prometheus_accept_what_is_made() {
    let full = format!(
        r#"{{"ConsulSerfEncrypt": "{KEY}", "NomadSerfEncrypt": "{KEY}", "CoreServers": ["192.168.2.51", "core-2.lan"],
            "CoreCidr": "192.168.2.0/24", "WifiSsid": "x", "WifiPsk": "{PSK}", "Datacenter": "attic", "Region": "eu"}}"#
    );
    let least = format!(r#"{{"ConsulSerfEncrypt": "{KEY}", "CoreServers": ["fd00::1"]}}"#);
    for settings in [full, least] {
        let world = World::new();
        let (_, said) = world.succeeds(&["configuration", "--config", &settings]);
        for role in ["server", "client"] {
            let role_package = format!("consul-config-{role}");
            let root = unpacked(
                &world,
                &["consul-config-local", "consul-config-static-hostid", &role_package],
            );
            judge(
                "COMPUTATOM_CONSUL",
                &["validate", &text(&root.path().join("etc/consul.d"))],
                &said,
            );
            let role_package = format!("nomad-config-{role}");
            for names in [&["nomad-config-local", role_package.as_str()][..], &[&role_package]] {
                let root = unpacked(&world, names);
                judge(
                    "COMPUTATOM_NOMAD",
                    &["config", "validate", &text(&root.path().join("etc/nomad.d"))],
                    &said,
                );
            }
        }
        let root = unpacked(&world, &["prometheus-config-local"]);
        let file = text(&root.path().join("etc/prometheus/cluster.yml"));
        judge(
            "COMPUTATOM_PROMTOOL",
            &["check", "config", "--syntax-only", &file],
            &said,
        );
        let packages = world.path().join("out/packages-private");
        let debs: Vec<_> = std::fs::read_dir(packages)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        let lintian = Command::new("lintian")
            .args(["--fail-on", "error,warning", "--allow-root", "--no-cfg"])
            .args(debs)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&lintian.stdout).into_owned();
        assert!(lintian.status.success() && said.trim().is_empty(), "{said}");
    }
}
