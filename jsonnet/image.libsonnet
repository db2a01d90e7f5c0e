// What every image has unless its definition says otherwise.
local exclude = import 'exclude.libsonnet';

{
  description: '',

  // Who answers for the packages made for it; see maintainer.libsonnet.
  maintainer:: import 'maintainer.libsonnet',

  // What its boards can be, whatever the rules of the site settings say: see roles.libsonnet.
  roles: [],

  // Programs by name of the catalog; an object lays its fields over the catalog's: `{ version: '1.10.5' }`, or
  // `{ source: 'go-module' }` to allow one source only.
  components: {
    'computatom-agent': {},
  },

  debian: {
    // The most preferred one comes last.
    suites: ['trixie', 'trixie-updates', 'trixie-security'],
    components: ['main', 'non-free-firmware'],

    // Besides the essential packages and what the components and the target need.
    packages: [
      // The system: init, name resolution, time, devices, modules, messages.
      'systemd-sysv',
      'systemd-resolved',
      'systemd-timesyncd',
      'udev',
      'kmod',
      'dbus',
      'libnss-myhostname',
      'libnss-resolve',
      'tzdata',
      // The network: addresses, the bridge and the rules of Nomad's networks.
      'iproute2',
      'iptables',
      'nftables',
      'netbase',
      'ca-certificates',
      // The data partition is made and checked with the real tools.
      'e2fsprogs',
      // Getting in: sshd does not start unless the site settings hold a key.
      'openssh-server',
      // A shell session on the console should not be a punishment.
      'busybox',
      'iputils-ping',
      'less',
      'procps',
    ],

    // The kernel asks for a generator of initramfs archives. pkgbuilder makes ours, so the agent's package provides
    // that name and no generator comes in.
    prefer: ['computatom-agent'],
    avoid: ['dracut', 'initramfs-tools', 'tiny-initramfs'],

    // Recommends fit a desktop better than a board.
    recommends: false,

    // Further apt sources by name, from which nothing is taken but what a pin names: see docs/apt-sources.md.
    //     sources+: { backports: { suites: ['trixie-backports'] } },
    //     pins+: [{ packages: ['linux-image-*'], source: 'backports' }],
    sources: {},
    pins: [],
  },

  // Globs of the packages' paths that are not unpacked: dpkg's `path-exclude`, and with a leading `!` its `path-include`.
  // `*` and `?` match `/` too; of the rules that match a path the last one decides. dpkg still lists what is left out.
  // See exclude.libsonnet for what these are.
  exclude: exclude.papers + exclude.boot_loaders + exclude.device_trees + exclude.modules + exclude.networks
           + exclude.module_lists,

  // Files by path, written last: `'/etc/motd': { text: 'hello\n' }` or `{ symlink: '/run/motd' }`, and `mode: '0600'`.
  files: {
    // Generators are programs that systemd waits for before anything else. That of GPT disks would mount the EFI system
    // partition, which nobody but `slot` writes to, that of ssh offer logins without keys in the settings, and that of consoles
    // ask for logins that nobody has.
    ['/etc/systemd/system-generators/systemd-%s-generator' % name]: { symlink: '/dev/null' }
    for name in ['getty', 'gpt-auto', 'ssh', 'hibernate-resume', 'rc-local', 'run', 'system-update', 'tpm2']
  } + {
    // What systemd-user-sessions.service would remove.
    '/etc/tmpfiles.d/systemd-nologin.conf': { symlink: '/dev/null' },
  },

  // systemd units switched whatever their packages wanted.
  units: {
    enable: ['systemd-networkd.service', 'systemd-resolved.service', 'systemd-timesyncd.service'],
    disable: [],
    mask: [
      // Updates come as images, not by apt, and a man page index nobody reads wears the card.
      'apt-daily.service',
      'apt-daily.timer',
      'apt-daily-upgrade.service',
      'apt-daily-upgrade.timer',
      'dpkg-db-backup.timer',
      'man-db.timer',
      // No LVM, so no snapshots of ext4 to scrub.
      'e2scrub_all.timer',
      'e2scrub_reap.service',
      // Consoles show the node's state without a login; root has no password to log in with.
      'getty.target',
      // The machine id comes from the board, at every boot; a LAN without time servers must not keep nodes waiting.
      'systemd-machine-id-commit.service',
      'systemd-firstboot.service',
      'systemd-time-wait-sync.service',
      // sshd is started by its own unit, and only with keys.
      'ssh.socket',
      'sshd-keygen.service',
      // Explanations for `journalctl -x`: seconds of a slow card at the first boot.
      'systemd-journal-catalog-update.service',
      // The journal stays in memory (journald.conf.d).
      'systemd-journal-flush.service',
      // Nobody asks for these; each would load modules or mount while the services wait for the processor.
      'modprobe@drm.service',
      'sys-kernel-config.mount',
      'sys-kernel-debug.mount',
      'sys-kernel-tracing.mount',
      'sys-fs-fuse-connections.mount',
      'dev-hugepages.mount',
      'dev-mqueue.mount',
      // A panic of the kernel restarts a node, and nobody reads what firmware keeps of it.
      'modprobe@efi_pstore.service',
      'proc-sys-fs-binfmt_misc.automount',
      'systemd-binfmt.service',
      // Processes of the boot's first seconds with nothing to do here: networks on the command line, rules of udev among the
      // credentials, leases of a DHCP server, a root in fstab.
      'systemd-network-generator.service',
      'systemd-udev-load-credentials.service',
      'systemd-networkd-persistent-storage.service',
      'systemd-remount-fs.service',
      // The nodes of drivers that are not loaded yet are there from `/init`, udev gives them their owners, and whatever else
      // tmpfiles.d has for /dev is done with the rest (systemd-tmpfiles-setup.service.d).
      'kmod-static-nodes.service',
      'systemd-tmpfiles-setup-dev-early.service',
      'systemd-tmpfiles-setup-dev.service',
      // The node has its network when `computatom-agent identify` has seen a lease, or that networkd has done without one.
      'systemd-networkd-wait-online.service',
      // Lets people in when a node has started; whoever has a key may come in before.
      'systemd-user-sessions.service',
    ],
  },

  // In MiB. A 4 GB card holds 16 + 2 * 256 + 2 * 1024 and leaves a gigabyte for data. Of UEFI machines, the EFI system
  // partition has twice boot_mib, and bootsel_mib says nothing.
  partitions: {
    bootsel_mib: 16,
    boot_mib: 256,
    root_mib: 1024,
  },

  // The disk that a virtual machine sees in a qcow2, a vmdk or a box, in GiB. What the image does not fill takes no room in
  // the file and becomes DATA on the first boot.
  disk_gib: 16,

  // Added to the kernel's command line. Of Debian's security modules these: with `bpf` systemd would load a program into
  // the kernel for a setting that no unit has, before it starts anything.
  cmdline: ['lsm=landlock,lockdown,yama,integrity,apparmor'],

  // Site settings that the image's author fixes; those of `site.jsonnet` or `--site FILE` lie over them.
  site: {},
}
