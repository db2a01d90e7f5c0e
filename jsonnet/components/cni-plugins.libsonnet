// The CNI plugins, where Nomad looks for them. Debian's containernetworking-plugins are 1.1 and lie elsewhere; Nomad
// needs 1.2 to restore networks after a reboot.
local content = import '../content.libsonnet';
local go = import '../go.libsonnet';

local plugins(version) = {
  main: ['bridge', 'dummy', 'host-device', 'ipvlan', 'loopback', 'macvlan', 'ptp', 'vlan']
        // Since 1.3.
        + (if std.startsWith(version, '1.2.') then [] else ['tap']),
  ipam: ['dhcp', 'host-local', 'static'],
  meta: ['bandwidth', 'firewall', 'portmap', 'sbr', 'tuning', 'vrf'],
};
local packages(version) = local all = plugins(version);
                          { [name]: './plugins/%s/%s' % [kind, name] for kind in std.objectFields(all) for name in all[kind] };

{
  version: '1.9.1',
  range: '^1.9',
  // What Nomad needs; 1.1 has no `dummy` either.
  minimum: '1.2.0',
  license: 'Apache-2.0',
  homepage: 'https://www.cni.dev/',
  summary: 'network interfaces for containers and jobs',
  description: |||
    The reference plugins of the Container Network Interface: bridges, virtual
    networks, addresses, port mappings and firewall rules. Nomad's `bridge`
    networks are made by them.
  |||,
  local archive = 'https://github.com/containernetworking/plugins/releases/download/v{version}/cni-plugins-linux-{arch}-v{version}.tgz',
  sources: [
    // One list for each archive, so its digests are to be written here: none is known yet.
    { type: 'release', url: archive, arch_names: 'go', sha256: {} },
    go.module('github.com/containernetworking/plugins', packages($.version), {
      ldflags: ['-X github.com/containernetworking/plugins/pkg/utils/buildversion.BuildVersion=v{version}'],
    }),
  ],
  recipe: {
    maintainer: import '../maintainer.libsonnet',
    copyright: { holder: '2014-2026 CNI authors', files: ['LICENSE'] },
    revision: 1,
    section: 'net',
    depends: [],
    recommends: ['iptables'],
    contents: [content.program(name, '/opt/cni/bin/' + name) for name in std.objectFields(packages($.version))],
    services: [],
    lintian_overrides: go.apache_overrides + [
      { tag: 'statically-linked-binary', reason: 'pure Go without cgo, as upstream ships it' },
      { tag: 'dir-or-file-in-opt', reason: 'where Nomad and the CNI specification look for plugins' },
    ],
  },
}
