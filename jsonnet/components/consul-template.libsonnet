// consul-template: files rendered from Consul, Vault and Nomad.
local content = import '../content.libsonnet';
local go = import '../go.libsonnet';
local hashicorp = import '../hashicorp.libsonnet';

hashicorp.product {
  version: '0.41.1',
  range: '>=0.41, <1',
  license: 'MPL-2.0',
  homepage: 'https://github.com/hashicorp/consul-template',
  summary: 'renders files from Consul, Vault and Nomad',
  description: |||
    It fills templates with what Consul, Vault and Nomad hold, writes them
    again whenever that changes and tells the programs that read them.
  |||,
  sources: hashicorp.release('consul-template', self.version, {})
           + [go.module('github.com/hashicorp/consul-template', { 'consul-template': '.' })],
  recipe+: {
    section: 'net',
    contents: [
      // A daemon without subcommands: upstream has no completions for it.
      content.program('consul-template', '/usr/bin/consul-template'),
      content.text('/usr/lib/systemd/system/consul-template.service', importstr 'consul-template.service'),
      content.dir('/etc/consul-template.d'),
    ],
    services: ['consul-template.service'],
    lintian_overrides: go.lintian_overrides('github.com/hashicorp/consul-template'),
  },
}
