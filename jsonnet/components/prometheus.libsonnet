// Prometheus. Its Go module lacks the web interface; Debian's package has it, in Debian's own version.
local content = import '../content.libsonnet';
local prometheus = import '../prometheus.libsonnet';

prometheus.daemon({
  repository: 'prometheus/prometheus',
  version: '3.8.1',
  name: 'prometheus',
  package: null,
  summary: 'monitoring system and time series database',
  description: |||
    Prometheus collects metrics from services and machines, keeps them,
    answers queries about them and raises alerts. Port 9090.
  |||,
  arguments: ['--config.file=/etc/prometheus/prometheus.yml', '--storage.tsdb.path=/var/lib/prometheus/metrics2'],
  // Debian's folder for the data.
  service: { StateDirectory: 'prometheus prometheus/metrics2', LimitNOFILE: '65536', TimeoutStopSec: '60' },
  contents: [
    content.program('promtool', '/usr/bin/promtool'),
    content.config('/etc/prometheus/prometheus.yml', importstr 'prometheus.yml'),
  ] + content.kingpin_completions('promtool'),
})
