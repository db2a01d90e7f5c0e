# Made by computatom-agent for `core-1` (server, client, monitor) at every boot: changes here are overwritten.
# The site settings decide: /usr/share/computatom/site.json

addresses {
  http = "127.0.0.1 192.168.56.10"
}
advertise {
  http = "192.168.56.10"
  rpc = "192.168.56.10"
  serf = "192.168.56.10"
}
bind_addr = "192.168.56.10"
client {
  chroot_env {
    "/etc/group" = "/etc/group"
    "/etc/hosts" = "/etc/hosts"
    "/etc/localtime" = "/etc/localtime"
    "/etc/nsswitch.conf" = "/etc/nsswitch.conf"
    "/etc/passwd" = "/etc/passwd"
    "/etc/protocols" = "/etc/protocols"
    "/etc/resolv.conf" = "/etc/resolv.conf"
    "/etc/services" = "/etc/services"
    "/etc/ssl/certs/ca-certificates.crt" = "/etc/ssl/certs/ca-certificates.crt"
    "/etc/ssl/openssl.cnf" = "/etc/ssl/openssl.cnf"
    "/usr/bin/busybox" = "/bin/busybox"
    "/usr/bin/dash" = "/bin/sh"
    "/usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2" = "/lib64/ld-linux-x86-64.so.2"
    "/usr/lib/x86_64-linux-gnu/libc.so.6" = "/usr/lib/x86_64-linux-gnu/libc.so.6"
    "/usr/lib/x86_64-linux-gnu/libdl.so.2" = "/usr/lib/x86_64-linux-gnu/libdl.so.2"
    "/usr/lib/x86_64-linux-gnu/libgcc_s.so.1" = "/usr/lib/x86_64-linux-gnu/libgcc_s.so.1"
    "/usr/lib/x86_64-linux-gnu/libm.so.6" = "/usr/lib/x86_64-linux-gnu/libm.so.6"
    "/usr/lib/x86_64-linux-gnu/libnss_dns.so.2" = "/usr/lib/x86_64-linux-gnu/libnss_dns.so.2"
    "/usr/lib/x86_64-linux-gnu/libnss_files.so.2" = "/usr/lib/x86_64-linux-gnu/libnss_files.so.2"
    "/usr/lib/x86_64-linux-gnu/libpthread.so.0" = "/usr/lib/x86_64-linux-gnu/libpthread.so.0"
    "/usr/lib/x86_64-linux-gnu/libresolv.so.2" = "/usr/lib/x86_64-linux-gnu/libresolv.so.2"
    "/usr/lib/x86_64-linux-gnu/librt.so.1" = "/usr/lib/x86_64-linux-gnu/librt.so.1"
    "/usr/lib/x86_64-linux-gnu/libstdc++.so.6" = "/usr/lib/x86_64-linux-gnu/libstdc++.so.6"
  }
  cni_path = "/opt/cni/bin"
  cpu_disable_dmidecode = true
  enabled = true
  gc_disk_usage_threshold = 70
  gc_max_allocs = 20
  meta {
    board = "QEMU Standard PC (Q35 + ICH9, 2009)"
  }
  network_interface = "ens4"
  options {
    "fingerprint.denylist" = "env_aws,env_azure,env_digitalocean,env_gce"
  }
  reserved {
    cpu = 300
    disk = 1024
    memory = 256
    reserved_ports = "22"
  }
}
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
plugin "raw_exec" {
  config {
    enabled = false
  }
}
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
