// consul_exporter: Consul's catalog and health as metrics.
local prometheus = import '../prometheus.libsonnet';

prometheus.daemon({
  repository: 'prometheus/consul_exporter',
  version: '0.13.0',
  package: './cmd/consul_exporter',
  debian: false,
  summary: 'Prometheus exporter for the state of a Consul cluster',
  description: |||
    It asks the local Consul agent and tells Prometheus which services and
    nodes there are and how well they are. Port 9107.
  |||,
})
