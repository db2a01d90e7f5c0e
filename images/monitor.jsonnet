// Prometheus beside Consul, without Nomad: for a small board that watches the others. Every board that runs this is a
// monitor, unless the site's `roles` say otherwise.
local computatom = import 'computatom.libsonnet';

computatom.image(computatom.monitor + {
  name: 'monitor',
  description: 'Prometheus for the whole cluster, on a small board of its own',
  // A Pi 1 or Zero is a target of its own: 'raspberrypi-armel'.
  targets: ['raspberrypi-arm64'],
})
