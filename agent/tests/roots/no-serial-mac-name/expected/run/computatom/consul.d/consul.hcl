# Made by computatom-agent for `node-123456` (client) at every boot: changes here are overwritten.
# The site settings decide: /usr/share/computatom/site.json

advertise_addr = "10.0.2.15"
bind_addr = "10.0.2.15"
client_addr = "127.0.0.1 10.0.2.15"
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
node_id = "9ffda453-a39d-8d9a-88c2-72df5aa69ad9"
node_meta {
  board = "Raspberry Pi 3 Model B"
  roles = "client"
}
node_name = "node-123456"
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
retry_join = ["core-1.local"]
server = false
skip_leave_on_interrupt = true
telemetry {
  disable_hostname = true
  prometheus_retention_time = "60s"
}
