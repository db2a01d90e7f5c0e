//! Consul: one agent on every node, a server where the role says so.

use computatom_spec::paths;
use computatom_spec::role::Role;
use serde_json::{Value, json};

use crate::peers;
use crate::render::{Action, File, Input, hcl};

/// Consul's unit.
pub const UNIT: &str = "consul.service";
/// Consul's HTTP port.
pub const HTTP_PORT: u16 = 8500;

/// Consul's files.
pub fn files(input: &Input<'_>) -> Vec<File> {
    let file = |name: &str, settings: &Value, action| File {
        path: format!("{}/{name}", paths::CONSUL_CONFIG),
        text: hcl::document(&input.comment(), settings.as_object().expect("settings are an object")),
        unit: UNIT,
        action,
    };
    vec![
        file("consul.hcl", &agent(input), Action::Restart),
        // Services are what `consul reload` reads again.
        file("services.hcl", &json!({"services": services(input)}), Action::Reload),
        File {
            path: format!("{}/consul.env", paths::RUN),
            text: input.memory_limit(),
            unit: UNIT,
            action: Action::Restart,
        },
    ]
}

fn agent(input: &Input<'_>) -> Value {
    let server = input.assignment.has(Role::Server);
    let mut settings = json!({
        "node_name": input.identity.hostname,
        "datacenter": input.site.datacenter,
        "data_dir": "/var/lib/consul",
        "server": server,
        "bind_addr": input.address,
        "advertise_addr": input.address,
        "client_addr": format!("127.0.0.1 {}", input.address),
        // gRPC serves the service mesh, which is not used: two ports less on the LAN.
        "ports": {"http": HTTP_PORT, "dns": 8600, "grpc": -1, "grpc_tls": -1},
        "node_meta": {
            "board": meta(&input.identity.board.model),
            "roles": input.assignment.roles.iter().map(|role| role.name()).collect::<Vec<_>>().join("_"),
        },
        // A key in the settings would be ignored once a keyring file exists.
        "disable_keyring_file": true,
        "disable_update_check": true,
        "disable_remote_exec": true,
        "enable_script_checks": false,
        "enable_local_script_checks": false,
        // A node that restarts is the same node: it must neither give up its place among the servers nor have its
        // services deregistered.
        "leave_on_terminate": false,
        "skip_leave_on_interrupt": true,
        "performance": {"raft_multiplier": input.raft_multiplier()},
        // Without these every lookup of a service asks again, which small boards feel.
        "dns_config": {"node_ttl": "30s", "service_ttl": {"*": "5s"}},
        "telemetry": {"prometheus_retention_time": "60s", "disable_hostname": true},
        "log_level": "INFO",
        "rejoin_after_leave": true,
    });
    let map = settings.as_object_mut().expect("made above as an object");
    // Derived from the board, so that a card written anew keeps the node's place: Consul reserves a node's name for
    // its id.
    if let Some(id) = input.identity.uuid("consul node") {
        map.insert("node_id".to_owned(), json!(id));
    }
    if server {
        if let Some(servers) = input.bootstrap_expect() {
            map.insert("bootstrap_expect".to_owned(), json!(servers));
        }
        map.insert("ui_config".to_owned(), json!({"enabled": true}));
        if !input.site.wan_addresses.is_empty() {
            map.insert("retry_join_wan".to_owned(), json!(input.site.wan_addresses));
            map.insert("retry_interval_wan".to_owned(), json!("15s"));
        }
        // Ten years: boards lie in a drawer, and one without a clock cannot tell how long.
        map.insert("server_rejoin_age_max".to_owned(), json!("87600h"));
        map.insert("autopilot".to_owned(), json!({"cleanup_dead_servers": true}));
        map.insert(
            "raft_logstore".to_owned(),
            json!({"boltdb": {"no_freelist_sync": true}}),
        );
    }
    let join = join(input);
    if !join.is_empty() {
        map.insert("retry_join".to_owned(), json!(join));
        map.insert("retry_interval".to_owned(), json!("15s"));
    }
    settings
}

/// Whom to join. Consul resolves names itself; unlike Nomad it cannot run a program for addresses, so the agent
/// also joins it to what `computatom-agent peers` finds later.
fn join(input: &Input<'_>) -> Vec<String> {
    if input.alone() {
        return Vec::new();
    }
    let mut join = input.site.server_addresses.clone();
    join.extend(peers::names(input.site, input.identity));
    join
}

/// What every node registers: Prometheus finds its targets by these names.
fn services(input: &Input<'_>) -> Value {
    let service = |name: &str, port: u16, path: &str| {
        json!({
            "name": name,
            "port": port,
            "tags": ["prometheus"],
            "check": {
                "name": format!("{name} answers"),
                "http": format!("http://{}:{port}{path}", input.address),
                "interval": "30s",
                "timeout": "10s",
            },
        })
    };
    let mut services = vec![
        service("consul-agent", HTTP_PORT, "/v1/status/leader"),
        service("node-exporter", crate::render::exporter::PORT, "/"),
        service("computatom-agent", paths::AGENT_PORT, "/healthz"),
    ];
    if input.assignment.has(Role::Monitor) {
        services.push(service("prometheus", crate::render::prometheus::PORT, "/-/ready"));
    }
    Value::Array(services)
}

/// Consul limits a metadata value to 512 characters.
fn meta(value: &str) -> String {
    value.chars().take(512).collect()
}
