//! `consul-config-*`: Consul's agent on an ordinary Debian machine.

use std::fmt::Write as _;

use super::hcl::{address, comment, list, quoted};
use super::parts::{Audience, File, Parts, Start};
use super::settings::Settings;

const UNIT: &str = "consul.service";
const ROLE: &str = "/etc/consul.d/10-role.hcl";

/// What a server and a client have in common.
const AGENT: &str = "\
data_dir = \"/var/lib/consul\"
# A key in the settings would be ignored once a keyring file exists.
disable_keyring_file = true
disable_update_check = true
disable_remote_exec = true
enable_script_checks = false
# A machine that restarts is the same machine: it keeps its place and its services.
leave_on_terminate = false
skip_leave_on_interrupt = true
rejoin_after_leave = true
performance {
  raft_multiplier = 5
}
telemetry {
  prometheus_retention_time = \"60s\"
  disable_hostname = true
}
";

/// `consul-config-server`
pub(super) fn server(settings: &Settings) -> Parts {
    let expect = settings.servers.len();
    let text = format!(
        "{}server = true\nbootstrap_expect = {expect}\nui_config {{\n  enabled = true\n}}\n{AGENT}",
        comment("Consul's role on this machine", "consul-config-server")
    );
    role("server", text)
}

/// `consul-config-client`
pub(super) fn client(_: &Settings) -> Parts {
    // The service is how Prometheus finds the agents: Consul itself registers its servers only.
    let text = format!(
        "{}server = false\n{AGENT}services {{\n  id = \"consul-client\"\n  name = \"consul-client\"\n  port = 8500\n}}\n",
        comment("Consul's role on this machine", "consul-config-client")
    );
    role("client", text)
}

fn role(role: &str, text: String) -> Parts {
    Parts {
        summary: format!("settings that make this machine a Consul {role}"),
        description: format!(
            "Makes Consul of this machine a {role} of the cluster that consul-config-local\ndescribes. A machine is a \
             server or a client, so only one of\nconsul-config-server and consul-config-client can be installed.\n"
        ),
        depends: vec!["consul".to_owned(), "consul-config-local".to_owned()],
        family: Some("consul-config"),
        files: vec![File::config(ROLE, text)],
        start: Start::Always(UNIT),
        ..Parts::default()
    }
}

/// `consul-config-local`
pub(super) fn local(settings: &Settings) -> Parts {
    let mut text = comment(
        "The cluster that this machine's Consul belongs to",
        "consul-config-local",
    );
    if let Some(datacenter) = &settings.datacenter {
        let _ = writeln!(text, "datacenter = {}", quoted(datacenter));
    }
    let own = address(settings);
    let _ = writeln!(
        text,
        "# The address on the cluster's network; the API answers there and on this machine only.\n\
         bind_addr = {}\nclient_addr = {}\nretry_join = {}\nretry_interval = \"15s\"",
        quoted(&own),
        quoted(&format!("127.0.0.1 {own}")),
        list(&settings.servers)
    );
    let mut audience = Audience::Everyone;
    if let Some(key) = &settings.consul_gossip {
        let _ = writeln!(text, "encrypt = {}", quoted(key.expose()));
        audience = Audience::Group("consul");
    }
    let mut file = File::config("/etc/consul.d/20-local.hcl", text);
    file.audience = audience;
    Parts {
        summary: "settings of the cluster that Consul joins".to_owned(),
        description: "Addresses of the servers, this machine's network, and the key that the\nmembers' gossip is \
                      encrypted with.\n"
            .to_owned(),
        depends: vec!["consul".to_owned()],
        files: vec![file],
        start: Start::IfRunning(UNIT),
        ..Parts::default()
    }
}

/// `consul-config-static-hostid`
pub(super) fn static_hostid(_: &Settings) -> Parts {
    let text = format!(
        "{}disable_host_node_id = false\n",
        comment(
            "Consul's node id comes from the machine id",
            "consul-config-static-hostid"
        )
    );
    Parts {
        summary: "Consul node id that outlives its data folder".to_owned(),
        description: "Derives the node id from the machine id, so that a machine whose\n/var/lib/consul was lost \
                      keeps its name in the cluster.\n"
            .to_owned(),
        depends: vec!["consul".to_owned()],
        files: vec![File::config("/etc/consul.d/30-static-hostid.hcl", text)],
        start: Start::IfRunning(UNIT),
        ..Parts::default()
    }
}
