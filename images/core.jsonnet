// The smallest: the servers of Consul and Nomad, and nothing that runs jobs. For the one, three or five boards whose
// names are in the site's `servers`, beside boards that run `client` and `monitor`. A board with another name is a member
// of the cluster that does nothing.
local computatom = import 'computatom.libsonnet';

computatom.image(computatom.server + {
  name: 'core',
  description: 'Consul and Nomad servers only: the smallest image',
  targets: ['raspberrypi-arm64'],
})
