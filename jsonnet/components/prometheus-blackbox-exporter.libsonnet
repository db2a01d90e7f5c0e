// blackbox_exporter: probes by HTTP, DNS, TCP and ICMP.
local content = import '../content.libsonnet';
local prometheus = import '../prometheus.libsonnet';

prometheus.daemon({
  repository: 'prometheus/blackbox_exporter',
  version: '0.28.0',
  summary: 'Prometheus exporter that probes from outside',
  description: |||
    On Prometheus' behalf it asks web pages, name servers, ports and hosts
    whether they answer, how fast, and how long their certificates last.
    Port 9115.
  |||,
  arguments: ['--config.file', '/etc/prometheus/blackbox.yml'],
  // Pings are raw packets.
  service: { AmbientCapabilities: 'CAP_NET_RAW', CapabilityBoundingSet: 'CAP_NET_RAW' },
  contents: [content.config('/etc/prometheus/blackbox.yml', importstr 'blackbox.yml')],
})
