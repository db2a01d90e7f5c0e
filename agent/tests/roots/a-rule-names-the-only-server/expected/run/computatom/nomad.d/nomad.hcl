# Made by computatom-agent for `core-1` (server) at every boot: changes here are overwritten.
# The site settings decide: /usr/share/computatom/site.json

addresses {
  http = "127.0.0.1 192.168.1.20"
}
advertise {
  http = "192.168.1.20"
  rpc = "192.168.1.20"
  serf = "192.168.1.20"
}
bind_addr = "192.168.1.20"
consul {
  address = "127.0.0.1:8500"
}
data_dir = "/var/lib/nomad"
datacenter = "home"
disable_update_check = true
leave_on_interrupt = false
leave_on_terminate = false
log_level = "INFO"
name = "core-1"
ports {
  http = 4646
  rpc = 4647
  serf = 4648
}
region = "global"
server {
  bootstrap_expect = 1
  enabled = true
  heartbeat_grace = "30s"
  raft_multiplier = 1
  start_timeout = "2m"
}
telemetry {
  collection_interval = "10s"
  disable_hostname = true
  prometheus_metrics = true
  publish_allocation_metrics = true
  publish_node_metrics = true
}
ui {
  enabled = true
}
