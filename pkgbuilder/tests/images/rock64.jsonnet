// A server for the Rock64, to look at: QEMU has no such board.
local computatom = import 'computatom.libsonnet';

computatom.image(computatom.server + {
  name: 'rock64',
  description: 'Consul and Nomad servers on a Rock64',
  targets: ['rock64'],
})
