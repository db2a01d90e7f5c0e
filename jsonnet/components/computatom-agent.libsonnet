// Our own agent, from this checkout: `scripts/build` makes its package before any image.
{
  version: '*',
  license: 'Apache-2.0 OR MIT',
  homepage: '',
  summary: 'names a board, gives it its roles and configures what they need',
  sources: [{
    type: 'file',
    path: 'out/packages/computatom-agent_{version}_{arch}.deb',
    sha256: {},
    // As agent/Cargo.toml has them, so that `pkgbuilder lock` needs no agent that is built already.
    relations: {
      depends: ['e2fsprogs', 'libc6 (>= 2.34)', 'libgcc-s1 (>= 4.2)', 'systemd (>= 257)', 'systemd-resolved', 'udev'],
      recommends: ['busybox', 'ca-certificates', 'iptables'],
      provides: ['linux-initramfs-tool'],
    },
  }],
}
