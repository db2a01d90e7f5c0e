// The components that a definition can name. Each says where it may come from and, unless Debian or this checkout
// packages it, how its .deb is made.
{
  'computatom-agent': import 'components/computatom-agent.libsonnet',
  consul: import 'components/consul.libsonnet',
  nomad: import 'components/nomad.libsonnet',
  prometheus: import 'components/prometheus.libsonnet',
  'prometheus-node-exporter': import 'components/prometheus-node-exporter.libsonnet',
}
