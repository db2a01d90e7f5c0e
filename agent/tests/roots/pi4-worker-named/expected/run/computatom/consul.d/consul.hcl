# Made by computatom-agent for `worker-2` (client) at every boot: changes here are overwritten.
# The site settings decide: /usr/share/computatom/site.json

advertise_addr = "192.168.1.31"
bind_addr = "192.168.1.31"
client_addr = "127.0.0.1 192.168.1.31"
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
node_id = "d0934239-bfb6-8c9d-ab68-80cb3fa72830"
node_meta {
  board = "Raspberry Pi 4 Model B Rev 1.5"
  roles = "client"
}
node_name = "worker-2"
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
retry_join = ["core-1.home.arpa", "core-1.local", "core-2.home.arpa", "core-2.local", "core-3.home.arpa", "core-3.local"]
server = false
skip_leave_on_interrupt = true
telemetry {
  disable_hostname = true
  prometheus_retention_time = "60s"
}
