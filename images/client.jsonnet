// Jobs only: the Nomad client with Docker and CNI plugins. A board that runs this never becomes a server, also when its
// name is in the site's `servers`: it says so on its page and does what is left to do.
local computatom = import 'computatom.libsonnet';

computatom.image(computatom.client + {
  name: 'client',
  description: 'Jobs only: the Nomad client with Docker',
  targets: ['raspberrypi-arm64'],
})
