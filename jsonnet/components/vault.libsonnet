// Vault. Its one good source is HashiCorp's archive: the module lacks the web interface.
local content = import '../content.libsonnet';
local go = import '../go.libsonnet';
local hashicorp = import '../hashicorp.libsonnet';
local unit = import '../unit.libsonnet';

hashicorp.product {
  version: '1.21.4',
  // Patch releases: a step to the next minor version wants its upgrade notes read.
  range: '~1.21',
  homepage: 'https://www.vaultproject.io/',
  summary: 'keeps secrets and hands them out',
  description: |||
    Vault stores, makes and revokes secrets: passwords, tokens, certificates.
    Who may have which is decided by policies, and every access is written
    down.
  |||,
  sources: hashicorp.release('vault', self.version, {}),
  recipe+: {
    contents: [
      content.program('vault', '/usr/bin/vault'),
      content.text('/usr/lib/sysusers.d/vault.conf', 'u vault - "Vault" /var/lib/vault\n'),
      content.text('/usr/lib/tmpfiles.d/vault.conf', 'd /var/lib/vault 0700 vault vault -\n'),
      content.text('/usr/lib/systemd/system/vault.service', unit.text({
        Unit: {
          Description: 'Vault',
          Documentation: 'https://developer.hashicorp.com/vault/docs',
          After: 'network-online.target',
          Wants: 'network-online.target',
          ConditionDirectoryNotEmpty: '/etc/vault.d',
        },
        Service: unit.sandbox {
          Type: 'notify',
          User: 'vault',
          ExecStart: '/usr/bin/vault server -config=/etc/vault.d',
          ExecReload: '/bin/kill --signal HUP $MAINPID',
          KillSignal: 'SIGINT',
          Restart: 'on-failure',
          RestartSec: '5',
          StateDirectory: 'vault',
          StateDirectoryMode: '0700',
          // Secrets stay out of swap.
          AmbientCapabilities: 'CAP_IPC_LOCK',
          CapabilityBoundingSet: 'CAP_IPC_LOCK',
          SystemCallFilter: ['@system-service', '~@privileged', '@memlock'],
          LimitMEMLOCK: 'infinity',
          LimitCORE: '0',
        },
        Install: { WantedBy: 'multi-user.target' },
      })),
      content.dir('/etc/vault.d'),
    ] + content.completions('vault'),
    services: ['vault.service'],
    lintian_overrides: go.lintian_overrides('developer.hashicorp.com/vault'),
  },
}
