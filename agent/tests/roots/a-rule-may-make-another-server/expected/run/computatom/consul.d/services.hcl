# Made by computatom-agent for `core-1` (server) at every boot: changes here are overwritten.
# The site settings decide: /usr/share/computatom/site.json

services = [{
  check {
    http = "http://192.168.1.20:8500/v1/status/leader"
    interval = "30s"
    name = "consul-agent answers"
    timeout = "10s"
  }
  name = "consul-agent"
  port = 8500
  tags = ["prometheus"]
}, {
  check {
    http = "http://192.168.1.20:9100/"
    interval = "30s"
    name = "node-exporter answers"
    timeout = "10s"
  }
  name = "node-exporter"
  port = 9100
  tags = ["prometheus"]
}, {
  check {
    http = "http://192.168.1.20:4690/healthz"
    interval = "30s"
    name = "computatom-agent answers"
    timeout = "10s"
  }
  name = "computatom-agent"
  port = 4690
  tags = ["prometheus"]
}]
