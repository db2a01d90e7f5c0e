// A server for the Raspberry Pi 5 and its elders, with the kernel of Debian's backports, without a cable.
local computatom = import 'computatom.libsonnet';

computatom.image(computatom.server + computatom.raspberrypi5 + computatom.wifi + {
  name: 'five',
  description: 'Consul and Nomad servers on a Raspberry Pi 5',
})
