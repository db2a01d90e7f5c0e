// Alertmanager. Its Go module lacks the web interface; Debian's package has none either.
local content = import '../content.libsonnet';
local prometheus = import '../prometheus.libsonnet';

prometheus.daemon({
  repository: 'prometheus/alertmanager',
  version: '0.34.2',
  package: null,
  summary: 'groups the alerts of Prometheus and sends them on',
  description: |||
    Alertmanager takes alerts from Prometheus, groups and silences them and
    sends them by mail, chat or web hook. Port 9093.
  |||,
  arguments: ['--config.file=/etc/prometheus/alertmanager.yml', '--storage.path=/var/lib/prometheus/alertmanager'],
  service: { StateDirectory: 'prometheus/alertmanager' },
  contents: [
    content.program('amtool', '/usr/bin/amtool'),
    content.config('/etc/prometheus/alertmanager.yml', 'route:\n  receiver: nobody\nreceivers:\n  - name: nobody\n'),
  ] + content.kingpin_completions('amtool'),
})
