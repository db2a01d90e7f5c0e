# Made by computatom-agent for `node-9b0c1d` (monitor) at every boot: changes here are overwritten.
# The site settings decide: /usr/share/computatom/site.json

advertise_addr = "192.168.1.77"
bind_addr = "192.168.1.77"
client_addr = "127.0.0.1 192.168.1.77"
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
node_id = "116b1190-beb6-8a44-9f99-18ba712bf489"
node_meta {
  board = "Raspberry Pi Zero 2 W Rev 1.0"
  roles = "monitor"
}
node_name = "node-9b0c1d"
performance {
  raft_multiplier = 5
}
ports {
  dns = 8600
  grpc = -1
  grpc_tls = -1
  http = 8500
}
rejoin_after_leave = true
retry_interval = "15s"
retry_join = ["core-1.fritz.box", "core-1.local"]
server = false
skip_leave_on_interrupt = true
telemetry {
  disable_hostname = true
  prometheus_retention_time = "60s"
}
