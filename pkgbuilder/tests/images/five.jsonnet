// A server for the Raspberry Pi 5 and its elders, with the kernel of Debian's backports.
local computatom = import 'computatom.libsonnet';

computatom.image(computatom.server + computatom.raspberrypi5 + {
  name: 'five',
  description: 'Consul and Nomad servers on a Raspberry Pi 5',
})
