# Made by computatom-agent for `core-1` (server) at every boot: changes here are overwritten.
# The site settings decide: /usr/share/computatom/site.json

advertise_addr = "192.168.1.20"
autopilot {
  cleanup_dead_servers = true
}
bind_addr = "192.168.1.20"
bootstrap_expect = 1
client_addr = "127.0.0.1 192.168.1.20"
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
node_id = "ddddf020-46e8-8a52-a2dc-a6a7f0ad4040"
node_meta {
  board = "Raspberry Pi 3 Model B Rev 1.2"
  roles = "server"
}
node_name = "core-1"
performance {
  raft_multiplier = 5
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
