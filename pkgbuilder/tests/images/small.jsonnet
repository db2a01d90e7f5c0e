// The smallest image that a board would still boot: for proofs that make whole images again and again.
local computatom = import 'computatom.libsonnet';

computatom.image({
  name: 'small',
  description: 'Debian and the agent, and of the kernel what finds the root: quickly made, to compare',
  targets: [
    computatom.targets['raspberrypi-arm64'] { packages: ['linux-image-arm64', 'raspi-firmware'] },
  ],
  debian+: {
    packages: ['systemd-sysv', 'systemd-resolved', 'systemd-timesyncd', 'udev', 'kmod', 'ca-certificates', 'e2fsprogs', 'tzdata'],
  },
  exclude+: [
    '/usr/lib/modules/*/kernel/*',
    // What the initramfs may need.
    '!/usr/lib/modules/*/kernel/drivers/md/*',
    '!/usr/lib/modules/*/kernel/drivers/mmc/*',
    '!/usr/lib/modules/*/kernel/drivers/regulator/*',
    '!/usr/lib/modules/*/kernel/fs/*',
    '!/usr/lib/modules/*/kernel/lib/*',
    '!/usr/lib/modules/*/kernel/crypto/*',
  ],
  units+: {
    mask: [],
  },
  partitions+: {
    root_mib: 512,
  },
})
