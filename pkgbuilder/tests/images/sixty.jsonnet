// Sixty packages that people put on nodes, all in one system: to see that it boots and that no unit fails.
local computatom = import 'computatom.libsonnet';
local defaults = import 'image.libsonnet';

// The set that is compared with what dpkg makes of it, but for the kernel, which is of its architecture.
local set = [
  line
  for line in std.split(importstr 'sixty.txt', '\n')
  if line != '' && line[0] != '#' && line != 'linux-image-amd64'
];

// The set has a clock of its own.
local without(names, list) = [name for name in list if !std.member(names, name)];

computatom.image({
  name: 'sixty',
  description: 'What people put on nodes, all of it at once',
  targets: ['uefi-arm64'],
  debian+: { packages: std.set(without(['systemd-timesyncd'], super.packages) + set) },
  units+: {
    enable: without(['systemd-timesyncd.service'], super.enable),
    // What cannot run beside another of the set, or without what its owner has to say first.
    disable+: [
      // Port 53 is systemd-resolved's, port 80 nginx'.
      'dnsmasq.service',
      'caddy.service',
      // Its tables are made by a program, on the node: the build says which.
      'mariadb.service',
      // Networkd is the agent's.
      'NetworkManager.service',
      'NetworkManager-wait-online.service',
    ],
  },
  partitions+: { boot_mib: 128, root_mib: 2048 },
})
