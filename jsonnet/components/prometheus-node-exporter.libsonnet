// The machine's own metrics, as Debian packages their exporter.
{
  version: '*',
  license: 'Apache-2.0',
  homepage: 'https://github.com/prometheus/node_exporter',
  summary: 'Prometheus exporter for machine metrics',
  sources: [{ type: 'debian', package: 'prometheus-node-exporter' }],
}
