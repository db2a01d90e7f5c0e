// Prometheus, as Debian packages it: its Go module lacks the web interface.
{
  version: '*',
  license: 'Apache-2.0',
  homepage: 'https://prometheus.io/',
  summary: 'monitoring system and time series database',
  sources: [{ type: 'debian', package: 'prometheus' }],
}
