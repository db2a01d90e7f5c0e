// What most people burn: one image for every board of a home cluster. A board whose name is in the site's `servers`
// runs the Consul and Nomad servers, every board with enough memory runs jobs, and the first server runs Prometheus.
local computatom = import 'computatom.libsonnet';

computatom.image(computatom.server + computatom.client + computatom.monitor + {
  name: 'home',
  description: 'Nomad, Consul and Prometheus by rule, with Docker: one image for the whole cluster',

  // A board family and architecture; `build` makes one image for each.
  targets: ['raspberrypi-arm64'],

  // What runs on a board is in jsonnet/roles.libsonnet. A version is only named where the catalog's default is not
  // wanted, and a source only where the first that answers is not good enough, as in
  //     components+: { nomad: { version: '1.10.4', source: 'go-module' } },
  // More of Debian:
  //     debian+: { packages+: ['htop'] },
})
