// The components that a definition can name. Each says where it may come from and, unless Debian or this checkout
// packages it, how its .deb is made. `pkgbuilder packages --list` prints them as a table.
{
  'computatom-agent': import 'components/computatom-agent.libsonnet',

  // The cluster.
  consul: import 'components/consul.libsonnet',
  'consul-template': import 'components/consul-template.libsonnet',
  nomad: import 'components/nomad.libsonnet',
  'cni-plugins': import 'components/cni-plugins.libsonnet',
  vault: import 'components/vault.libsonnet',
  terraform: import 'components/terraform.libsonnet',

  // Its monitoring, under Debian's names.
  prometheus: import 'components/prometheus.libsonnet',
  'prometheus-alertmanager': import 'components/prometheus-alertmanager.libsonnet',
  'prometheus-blackbox-exporter': import 'components/prometheus-blackbox-exporter.libsonnet',
  'prometheus-consul-exporter': import 'components/prometheus-consul-exporter.libsonnet',
  'prometheus-node-exporter': import 'components/prometheus-node-exporter.libsonnet',
  'prometheus-process-exporter': import 'components/prometheus-process-exporter.libsonnet',
  'prometheus-statsd-exporter': import 'components/prometheus-statsd-exporter.libsonnet',

  // What runs on it.
  caddy: import 'components/caddy.libsonnet',
  restic: import 'components/restic.libsonnet',
}
