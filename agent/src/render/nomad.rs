//! Nomad: server, client, or both in one process.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;

use anyhow::Context;
use computatom_spec::arch::Arch;
use computatom_spec::paths;
use computatom_spec::role::Role;
use serde_json::{Value, json};

use crate::atomic;
use crate::identity::Identity;
use crate::render::{Action, File, Input, chroot, consul, hcl};
use crate::root::Root;

/// Nomad's unit.
pub const UNIT: &str = "nomad.service";
/// Nomad's HTTP port.
pub const HTTP_PORT: u16 = 4646;

/// Where the CNI plugins are: what Nomad looks through by itself, and what their own documents name.
pub const CNI_PATH: &str = "/opt/cni/bin";

/// Where Nomad keeps what it knows.
const DATA: &str = "/var/lib/nomad";

/// Sees to the ids that Nomad finds on DATA when it starts (`ensureNodeID` in client/client.go and `setupNodeID` in
/// command/agent/agent.go of 1.10.5).
///
/// Its client's is derived from the board, as Consul's is, so that a card that was written anew does not leave a second node
/// of the same name behind, which is down; and so that a card that is moved to another board is not that board's node twice.
/// Nomad takes a known id with its own secret only (`Node.Register` in nomad/node_endpoint.go), so both are: the secret
/// keeps nobody out, for as long as servers take anyone's registration anyway. A board that has no machine id has random
/// ones of Nomad's. One that is a server alone has them, too: it may become a client while it runs, when its name is known.
///
/// Its server's is random, for what a server has voted for is lost with its card: Raft must take it for another. One that a
/// power cut left empty was never used, and is removed, for Nomad ends at each start where it finds it.
///
/// # Errors
/// DATA cannot be written.
pub fn keep_ids(root: &Root, identity: &Identity) -> anyhow::Result<()> {
    let data = root.path(DATA);
    let server = data.join("server/node-id");
    if server.metadata().is_ok_and(|metadata| metadata.len() == 0) {
        std::fs::remove_file(&server).with_context(|| format!("removing the empty {}", server.display()))?;
    }
    let client = data.join("client");
    for (file, purpose) in [("client-id", "nomad client"), ("secret-id", "nomad client's secret")] {
        let Some(id) = identity.uuid(purpose) else { continue };
        let path = client.join(file);
        // As Nomad makes it.
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&client)
            .and_then(|()| atomic::write_if_changed(&path, &id, 0o600))
            .with_context(|| format!("writing {}", path.display()))?;
    }
    Ok(())
}

/// Nomad's files.
pub fn files(input: &Input<'_>) -> Vec<File> {
    let mut settings = agent(input);
    let map = settings.as_object_mut().expect("made as an object");
    if input.assignment.has(Role::Server) {
        map.insert("server".to_owned(), server(input));
    }
    if input.assignment.has(Role::Client) {
        map.insert("client".to_owned(), client(input));
        let raw_exec = json!({"config": {"enabled": input.site.nomad.raw_exec}});
        map.insert("plugin \"raw_exec\"".to_owned(), raw_exec);
        if input.docker {
            map.insert("plugin \"docker\"".to_owned(), docker());
        }
    }
    vec![
        File {
            path: format!("{}/nomad.hcl", paths::NOMAD_CONFIG),
            text: hcl::document(&input.comment(), map),
            unit: UNIT,
            action: Action::Restart,
        },
        File {
            path: format!("{}/nomad.env", paths::RUN),
            text: input.memory_limit(),
            unit: UNIT,
            action: Action::Restart,
        },
    ]
}

fn agent(input: &Input<'_>) -> Value {
    json!({
        "name": input.identity.hostname,
        "region": input.site.region,
        "datacenter": input.site.datacenter,
        "data_dir": DATA,
        "bind_addr": input.address,
        "addresses": {"http": format!("127.0.0.1 {}", input.address)},
        "advertise": {"http": input.address, "rpc": input.address, "serf": input.address},
        "ports": {"http": HTTP_PORT, "rpc": 4647, "serf": 4648},
        "disable_update_check": true,
        // As with Consul: a node that restarts stays a member.
        "leave_on_interrupt": false,
        "leave_on_terminate": false,
        "log_level": "INFO",
        "consul": {"address": format!("127.0.0.1:{}", consul::HTTP_PORT)},
        "telemetry": {
            "prometheus_metrics": true,
            "publish_allocation_metrics": true,
            "publish_node_metrics": true,
            "disable_hostname": true,
            "collection_interval": "10s",
        },
        "ui": {"enabled": true},
    })
}

fn server(input: &Input<'_>) -> Value {
    let mut server = json!({
        "enabled": true,
        "raft_multiplier": input.raft_multiplier(),
        // Decrypting the keyring takes long on a slow card.
        "start_timeout": "2m",
        "heartbeat_grace": "30s",
    });
    let map = server.as_object_mut().expect("made above as an object");
    if let Some(servers) = input.bootstrap_expect() {
        map.insert("bootstrap_expect".to_owned(), json!(servers));
    }
    let mut join: Vec<&str> = join(input).into_iter().collect();
    join.extend(input.site.wan_addresses.iter().map(String::as_str));
    if !join.is_empty() {
        map.insert("server_join".to_owned(), server_join(&join));
    }
    server
}

fn client(input: &Input<'_>) -> Value {
    let (settings, board) = (&input.site.nomad, &input.identity.board);
    let mut client = json!({
        "enabled": true,
        "cni_path": CNI_PATH,
        // dmidecode knows nothing of these boards, and costs a process.
        "cpu_disable_dmidecode": true,
        "reserved": {
            "cpu": settings.reserved_cpu,
            "memory": settings.reserved_memory_mib,
            "disk": settings.reserved_disk_mib,
            "reserved_ports": "22",
        },
        "gc_max_allocs": 20,
        "gc_disk_usage_threshold": 70,
        "chroot_env": chroot::environment(board.arch),
        "meta": {"board": board.model},
        // No cloud here: their metadata services need not be waited for.
        "options": {"fingerprint.denylist": "env_aws,env_azure,env_digitalocean,env_gce"},
    });
    let map = client.as_object_mut().expect("made above as an object");
    if let Some(interface) = &input.identity.interface {
        map.insert("network_interface".to_owned(), json!(interface.name));
    }
    if let Some(mhz) = board.mhz.or_else(|| assumed_mhz(board.arch)) {
        map.insert("cpu_total_compute".to_owned(), json!(mhz * board.cores));
    }
    if let Some(join) = join(input) {
        map.insert("server_join".to_owned(), server_join(&[join]));
    }
    client
}

/// How to find the servers besides Consul, which is asked by itself; a single server has nobody to join.
fn join(input: &Input<'_>) -> Option<&'static str> {
    (!input.alone()).then_some("exec=/usr/bin/computatom-agent peers")
}

/// What a processor counts as of which nobody says how fast it is: a virtual machine's on Arm, where neither firmware nor
/// `/proc/cpuinfo` do. Nomad would count nothing, and have room for no job.
fn assumed_mhz(arch: Option<Arch>) -> Option<u32> {
    (arch? != Arch::Amd64).then_some(1000)
}

fn server_join(join: &[&str]) -> Value {
    json!({"retry_join": join, "retry_interval": "15s"})
}

fn docker() -> Value {
    json!({"config": {"allow_privileged": false, "gc": {"image_delay": "24h"}}})
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use computatom_spec::site::Site;

    use super::*;

    const IDS: [&str; 2] = ["client/client-id", "client/secret-id"];

    /// What a client's board of that machine id has on DATA once its ids were seen to.
    fn ids(folder: &std::path::Path, machine_id: &str) -> [String; 2] {
        let root = Root::at(folder);
        fs::create_dir_all(root.path("/etc")).unwrap();
        fs::write(root.path("/etc/machine-id"), machine_id).unwrap();
        let identity = Identity::derive(&root, &Site::default());
        keep_ids(&root, &identity).unwrap();
        IDS.map(|file| fs::read_to_string(root.path(DATA).join(file)).unwrap_or_default())
    }

    #[test]
    fn a_client_is_its_board_whatever_card_is_in_it() {
        let [one, other, anew] = [(); 3].map(|()| tempfile::tempdir().unwrap());
        let first = ids(one.path(), "0123456789abcdef0123456789abcdef\n");
        let [id, secret] = &first;
        assert!(id.len() == 36 && secret.len() == 36 && id != secret, "{first:?}");
        let second = ids(other.path(), "fedcba9876543210fedcba9876543210\n");
        assert!(second.iter().all(|theirs| !first.contains(theirs)), "{second:?}");
        assert_eq!(ids(anew.path(), "0123456789abcdef0123456789abcdef\n"), first);
        // The first board's card in the second.
        assert_eq!(ids(one.path(), "fedcba9876543210fedcba9876543210\n"), second);
        let data = Root::at(one.path()).path(DATA);
        let mode = |path: &str| data.join(path).metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(
            [mode(""), mode("client"), mode(IDS[0]), mode(IDS[1])],
            [0o700, 0o700, 0o600, 0o600]
        );
    }

    #[test]
    fn without_a_machine_id_nomads_own_stay() {
        let folder = tempfile::tempdir().unwrap();
        let root = Root::at(folder.path());
        fs::create_dir_all(root.path(DATA).join("client")).unwrap();
        for file in IDS {
            fs::write(root.path(DATA).join(file), "random").unwrap();
        }
        assert_eq!(ids(folder.path(), "uninitialized\n"), ["random", "random"]);
    }

    #[test]
    fn a_servers_id_that_is_empty_goes_and_any_other_stays() {
        let folder = tempfile::tempdir().unwrap();
        let root = Root::at(folder.path());
        let identity = Identity::derive(&root, &Site::default());
        let keep = || keep_ids(&root, &identity).unwrap();
        keep();
        let id = root.path(DATA).join("server/node-id");
        fs::create_dir_all(id.parent().unwrap()).unwrap();
        fs::write(&id, "f1c2").unwrap();
        keep();
        assert_eq!(fs::read_to_string(&id).unwrap(), "f1c2");
        fs::write(&id, "").unwrap();
        keep();
        assert!(!id.exists());
    }
}
