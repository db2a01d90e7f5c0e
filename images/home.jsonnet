// What most people burn: one image for every board of a home cluster. A board whose name is in the site's `servers`
// runs the Consul and Nomad servers, every board with enough memory runs jobs, and the first server runs Prometheus.
local computatom = import 'computatom.libsonnet';

computatom.image({
  name: 'home',
  description: 'Nomad, Consul and Prometheus by rule, with Docker: one image for the whole cluster',

  // A board family and architecture; `build` makes one image for each.
  targets: ['raspberrypi-arm64'],

  // What runs on a board. A version is only named where the catalog's default is not wanted, as in
  //     nomad: { version: '1.10.4' },
  // and a source only where the first that answers is not good enough: { source: 'go-module' }.
  components+: {
    consul: {},
    nomad: {},
    // Jobs with networks of their own (`network { mode = "bridge" }`).
    'cni-plugins': {},
    // As Debian packages them: with the rest of the system they get its security updates.
    prometheus: computatom.debian,
    'prometheus-node-exporter': computatom.debian,
  },

  debian+: {
    // Nomad's docker driver needs the daemon; jobs that are plain programs do not.
    packages+: ['docker.io'],
  },
})
