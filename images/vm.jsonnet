// A node of the virtual cluster: what home has, for machines with UEFI in QEMU, libvirt or VirtualBox, with Debian's kernel
// for clouds, which knows their devices and little else.
local computatom = import 'computatom.libsonnet';

computatom.image(computatom.server + computatom.client + computatom.monitor + {
  name: 'vm',
  description: 'Nomad, Consul and Prometheus by rule, with Docker: a virtual machine to try the cluster with',

  targets: [
    computatom.targets['uefi-amd64'] { packages: ['linux-image-cloud-amd64', 'systemd-boot-efi'] },
    computatom.targets['uefi-arm64'] { packages: ['linux-image-cloud-arm64', 'systemd-boot-efi'] },
  ],

  // The EFI system partition has room for a kernel in each slot, with this each.
  partitions+: { boot_mib: 64 },
})
