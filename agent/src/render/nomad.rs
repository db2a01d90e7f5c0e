//! Nomad: server, client, or both in one process.

use anyhow::Context;
use computatom_spec::arch::Arch;
use computatom_spec::paths;
use computatom_spec::role::Role;
use serde_json::{Value, json};

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

/// Removes an id of its server that a power cut left empty: none was ever used, and Nomad ends at each start where it finds one
/// (`setupNodeID` in command/agent/agent.go of 1.10.5).
///
/// # Errors
/// It is there and cannot be removed.
pub fn forget_empty_id(root: &Root) -> anyhow::Result<()> {
    let id = root.path(DATA).join("server/node-id");
    if id.metadata().is_ok_and(|metadata| metadata.len() == 0) {
        std::fs::remove_file(&id).with_context(|| format!("removing the empty {}", id.display()))?;
    }
    Ok(())
}

/// Nomad's files.
///
/// The node id is not derived from the board as Consul's is: Nomad refuses a known id with an unknown secret
/// (`Node.Register` in its source), so a card written anew must be a new node. Both are kept on DATA.
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
    use super::*;

    #[test]
    fn an_id_that_is_empty_goes_and_any_other_stays() {
        let folder = tempfile::tempdir().unwrap();
        let root = Root::at(folder.path());
        forget_empty_id(&root).unwrap();
        let id = root.path(DATA).join("server/node-id");
        std::fs::create_dir_all(id.parent().unwrap()).unwrap();
        std::fs::write(&id, "f1c2").unwrap();
        forget_empty_id(&root).unwrap();
        assert_eq!(std::fs::read_to_string(&id).unwrap(), "f1c2");
        std::fs::write(&id, "").unwrap();
        forget_empty_id(&root).unwrap();
        assert!(!id.exists());
    }
}
