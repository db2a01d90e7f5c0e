# Made by computatom-agent for `core-1` (server, client, monitor) at every boot: changes here are overwritten.
# The site settings decide: /usr/share/computatom/site.json

advertise_addr = "192.168.56.10"
autopilot {
  cleanup_dead_servers = true
}
bind_addr = "192.168.56.10"
bootstrap_expect = 1
client_addr = "127.0.0.1 192.168.56.10"
data_dir = "/var/lib/consul"
datacenter = "home"
disable_keyring_file = true
disable_remote_exec = true
disable_update_check = true
dns_config {
  node_ttl = "30s"
  service_ttl {
    "*" = "5s"
  }
}
enable_local_script_checks = false
enable_script_checks = false
leave_on_terminate = false
log_level = "INFO"
node_id = "801ad39e-d5be-87b5-b124-afdd640b4960"
node_meta {
  board = "QEMU Standard PC (Q35 + ICH9, 2009)"
  roles = "server_client_monitor"
}
node_name = "core-1"
performance {
  raft_multiplier = 1
}
ports {
  dns = 8600
  grpc = -1
  grpc_tls = -1
  http = 8500
}
raft_logstore {
  boltdb {
    no_freelist_sync = true
  }
}
rejoin_after_leave = true
server = true
server_rejoin_age_max = "87600h"
skip_leave_on_interrupt = true
telemetry {
  disable_hostname = true
  prometheus_retention_time = "60s"
}
ui_config {
  enabled = true
}
