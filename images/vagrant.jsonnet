// The boxes for `vagrant up`: vm with the one way in that Vagrant has, a user with a key that everybody knows
// (github.com/hashicorp/vagrant, keys/: the older Vagrants know the first, from 2.3.8 on the second). No other image has either of them. For machines behind a NAT of your own, never
// for others.
local vm = import 'vm.jsonnet';

vm {
  name: 'vagrant',
  description: 'vm in a box for Vagrant, with its user and public key',

  // VirtualBox has no machine for arm64 that this could describe.
  targets: [
    target { formats: ['box-libvirt'] + if target.arch == 'amd64' then ['box-virtualbox'] else [] }
    for target in vm.targets
  ],

  // Vagrant halts a machine and asks for addresses by it.
  debian+: { packages+: ['sudo'] },

  files+: {
    '/usr/share/computatom/vagrant.pub': { text: |||
      ssh-rsa AAAAB3NzaC1yc2EAAAABIwAAAQEA6NF8iallvQVp22WDkTkyrtvp9eWW6A8YVr+kz4TjGYe7gHzIw+niNltGEFHzD8+v1I2YJ6oXevct1YeS0o9HZyN1Q9qgCgzUFtdOKLv6IedplqoPkcmF0aYet2PkEDo3MlTBckFXPITAMzF8dJSIFo9D8HfdOV0IAdx4O7PtixWKn5y2hMNG0zQPyUecp4pzC6kivAIhyfHilFR61RGL+GPXQ2MWZWFYbAGjyiYJnAmCP3NOTd0jMZEnDkbUvxhMmBYSdETk1rRgm+R4LOzFUGaHqHDLKLX+FIPKcF96hrucXzcWyLbIbEgE98OHlnVYCzRdK8jlqm8tehUc9c9WhQ== vagrant insecure public key
      ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIN1YdxBpNlzxDqfJyw/QKow1F+wvG9hXGoqiysfJOn5Y vagrant insecure public key
    ||| },
    '/etc/ssh/sshd_config.d/20-vagrant.conf': { text: |||
      Match User vagrant
        AuthorizedKeysFile /usr/share/computatom/vagrant.pub
    ||| },
    '/etc/sudoers.d/vagrant': { text: 'vagrant ALL=(ALL:ALL) NOPASSWD: ALL\n', mode: '0440' },

    // /etc is new at every boot, and so is the user; what it keeps is on DATA.
    '/usr/lib/sysusers.d/vagrant.conf': { text: 'u vagrant 900 Vagrant /var/lib/vagrant /bin/bash\n' },
    '/usr/lib/tmpfiles.d/vagrant.conf': { text: 'd /var/lib/vagrant 0755 vagrant vagrant -\n' },
    '/usr/lib/systemd/system/systemd-sysusers.service.d/20-vagrant.conf': { text: '[Unit]\nConditionNeedsUpdate=\n' },

    // Elsewhere they wait for keys of the site settings. An empty condition takes back all of them.
    '/usr/lib/systemd/system/ssh.service.d/20-vagrant.conf': { text: '[Unit]\nConditionPathExists=\n' },
    '/usr/lib/systemd/system/computatom-ssh-keys.service.d/20-vagrant.conf': { text: |||
      [Unit]
      ConditionPathExists=
      ConditionFileNotEmpty=!/var/lib/computatom/ssh/ssh_host_ed25519_key
    ||| },
  },
}
