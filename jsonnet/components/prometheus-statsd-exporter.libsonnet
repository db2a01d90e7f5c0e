// statsd_exporter: what programs send to StatsD, as metrics.
local content = import '../content.libsonnet';
local prometheus = import '../prometheus.libsonnet';

prometheus.daemon({
  repository: 'prometheus/statsd_exporter',
  version: '0.31.0',
  summary: 'Prometheus exporter for StatsD metrics',
  description: |||
    It takes what programs send to StatsD, on port 9125, and shows it to
    Prometheus on port 9102.
  |||,
  arguments: ['--statsd.mapping-config=/etc/prometheus/statsd.yml'],
  contents: [content.config('/etc/prometheus/statsd.yml', 'mappings: []\n')],
})
