// node_exporter: the machine's own metrics.
local prometheus = import '../prometheus.libsonnet';

prometheus.daemon({
  repository: 'prometheus/node_exporter',
  version: '1.12.1',
  summary: 'Prometheus exporter for machine metrics',
  description: |||
    It tells Prometheus how a machine is: processors, memory, disks, file
    systems, network, temperatures, clock, systemd units. Port 9100.
  |||,
  service: {
    // It asks how well the clock is kept, and statfs(2) of what is mounted below /home.
    ProtectClock: null,
    ProtectHome: 'read-only',
    SystemCallFilter: ['@system-service', '~@privileged @resources', 'adjtimex clock_adjtime'],
    // The page cache of another process's mounts is no secret to it: /proc/1/mountinfo is what it lists.
    ProtectProc: 'default',
  },
})
