// The monitor for a Pi Zero, as the end-to-end test boots it. The security archive of armel, which not every mirror keeps
// in step, is left out.
local computatom = import 'computatom.libsonnet';

computatom.image(computatom.monitor + {
  name: 'zero',
  description: 'Prometheus and a Consul client on a Pi Zero',
  targets: ['raspberrypi-armel'],
  debian+: { suites: ['trixie', 'trixie-updates'] },
  partitions+: { boot_mib: 64, root_mib: 512 },
})
