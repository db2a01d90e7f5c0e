//! `nomad-config-*`: Nomad's agent on an ordinary Debian machine.

use std::fmt::Write as _;

use super::hcl::{address, comment, list, quoted};
use super::parts::{Audience, File, Parts, Start};
use super::settings::Settings;

const UNIT: &str = "nomad.service";
const ROLE: &str = "/etc/nomad.d/10-role.hcl";

/// A server needs no privilege and gets none.
const SERVER_SANDBOX: &str = include_str!("nomad-server.conf");

/// What a server and a client have in common. The addresses are overridden by nomad-config-local.
const AGENT: &str = "\
data_dir = \"/var/lib/nomad\"
# The API answers on the private address and on this machine only.
bind_addr = \"{{ GetPrivateIP }}\"
addresses {
  http = \"127.0.0.1 {{ GetPrivateIP }}\"
}
# Of several addresses Nomad would take the first, and it refuses to advertise loopback.
advertise {
  http = \"{{ GetPrivateIP }}\"
  rpc = \"{{ GetPrivateIP }}\"
  serf = \"{{ GetPrivateIP }}\"
}
disable_update_check = true
# A machine that restarts is the same machine.
leave_on_interrupt = false
leave_on_terminate = false
consul {
  address = \"127.0.0.1:8500\"
}
telemetry {
  prometheus_metrics = true
  publish_allocation_metrics = true
  publish_node_metrics = true
  disable_hostname = true
}
";

/// `nomad-config-server`
pub(super) fn server(settings: &Settings) -> Parts {
    let text = format!(
        "{}server {{\n  enabled = true\n  bootstrap_expect = {}\n  # Nomad's default of 1 is for fast disks.\n  \
         raft_multiplier = 5\n  start_timeout = \"2m\"\n}}\n{AGENT}",
        comment("Nomad's role on this machine", "nomad-config-server"),
        settings.servers.len()
    );
    Parts {
        summary: "settings that make this machine a Nomad server".to_owned(),
        description: "Makes Nomad of this machine a server: it keeps the cluster's state and\nplaces jobs, but runs \
                      none. It runs as the user nomad in a sandbox.\n"
            .to_owned(),
        depends: vec!["nomad".to_owned()],
        recommends: vec!["nomad-config-local".to_owned(), "consul".to_owned()],
        family: Some("nomad-config"),
        files: vec![
            File::config(ROLE, text),
            File::fixed("/usr/lib/systemd/system/nomad.service.d/10-server.conf", SERVER_SANDBOX),
            File::fixed(
                "/usr/lib/sysusers.d/nomad-config-server.conf",
                "u nomad - \"Nomad server\" /var/lib/nomad\n",
            ),
        ],
        start: Start::Always(UNIT),
    }
}

/// `nomad-config-client`
pub(super) fn client(_: &Settings) -> Parts {
    let text = format!(
        "{}client {{\n  enabled = true\n  cni_path = \"/opt/cni/bin:/usr/lib/cni\"\n  options {{\n    # The \
         metadata services of clouds need not be waited for.\n    \"fingerprint.denylist\" = \
         \"env_aws,env_azure,env_digitalocean,env_gce\"\n  }}\n}}\n{AGENT}",
        comment("Nomad's role on this machine", "nomad-config-client")
    );
    Parts {
        summary: "settings that make this machine a Nomad client".to_owned(),
        description: "Makes Nomad of this machine a client, which runs jobs. It runs as root and\nwithout a sandbox: it \
                      mounts, makes control groups and name spaces for its\njobs, and isolates these from the machine.\n"
            .to_owned(),
        depends: vec!["nomad".to_owned()],
        recommends: vec!["nomad-config-local".to_owned(), "consul".to_owned()],
        family: Some("nomad-config"),
        files: vec![File::config(ROLE, text)],
        start: Start::Always(UNIT),
    }
}

/// `nomad-config-local`
pub(super) fn local(settings: &Settings) -> Parts {
    let mut text = comment("The cluster that this machine's Nomad belongs to", "nomad-config-local");
    for (name, value) in [("datacenter", &settings.datacenter), ("region", &settings.region)] {
        if let Some(value) = value {
            let _ = writeln!(text, "{name} = {}", quoted(value));
        }
    }
    let own = quoted(&address(settings));
    let http = quoted(&format!("127.0.0.1 {}", address(settings)));
    let _ = writeln!(
        text,
        "bind_addr = {own}\naddresses {{\n  http = {http}\n}}\n\
         advertise {{\n  http = {own}\n  rpc = {own}\n  serf = {own}\n}}"
    );
    let mut parts = Parts {
        summary: "settings of the cluster that Nomad joins".to_owned(),
        description: "Addresses of the servers, this machine's network, and the key that the\nservers' gossip is \
                      encrypted with.\n"
            .to_owned(),
        depends: vec!["nomad".to_owned()],
        start: Start::IfRunning(UNIT),
        ..Parts::default()
    };
    let join = if settings.servers.is_empty() {
        String::new()
    } else {
        format!(
            "  server_join {{\n    retry_join = {}\n    retry_interval = \"15s\"\n  }}\n",
            list(&settings.servers)
        )
    };
    let mut audience = Audience::Everyone;
    let mut server = join.clone();
    if let Some(key) = &settings.nomad_gossip {
        let _ = writeln!(server, "  encrypt = {}", quoted(key.expose()));
        audience = Audience::Group("nomad");
        // The group of a server's user; a client reads everything.
        parts.files.push(File::fixed(
            "/usr/lib/sysusers.d/nomad-config-local.conf",
            "g nomad -\n",
        ));
    }
    for (block, members) in [("server", server), ("client", join)] {
        if !members.is_empty() {
            let _ = writeln!(text, "{block} {{\n{members}}}");
        }
    }
    let mut file = File::config("/etc/nomad.d/20-local.hcl", text);
    file.audience = audience;
    parts.files.push(file);
    parts
}
