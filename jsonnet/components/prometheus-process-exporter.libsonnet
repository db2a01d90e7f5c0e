// process-exporter: metrics of groups of processes.
local content = import '../content.libsonnet';
local prometheus = import '../prometheus.libsonnet';

prometheus.daemon({
  repository: 'ncabatoff/process-exporter',
  version: '0.8.7',
  name: 'prometheus-process-exporter',
  license: 'MIT',
  holder: '2016 ncabatoff',
  notice: false,
  variable: 'main.version',
  package: './cmd/process-exporter',
  sums: { type: 'sha256sum', url: 'https://github.com/ncabatoff/process-exporter/releases/download/v{version}/checksums.txt' },
  summary: 'Prometheus exporter for groups of processes',
  description: |||
    It tells Prometheus what the processes of a machine use, grouped by rules:
    processor time, memory, files, threads, reads and writes. Port 9256.
  |||,
  arguments: ['-config.path', '/etc/prometheus/process-exporter.yml'],
  // Other users' processes: what they read and write, and how much of their memory is shared.
  local capabilities = 'CAP_DAC_READ_SEARCH CAP_SYS_PTRACE',
  service: { AmbientCapabilities: capabilities, CapabilityBoundingSet: capabilities, ProtectProc: 'default' },
  contents: [content.config('/etc/prometheus/process-exporter.yml', 'process_names:\n  - name: "{{.Comm}}"\n    cmdline: [".+"]\n')],
})
