// Consul: discovery, health checks, DNS, locks and configuration.
local content = import '../content.libsonnet';
local go = import '../go.libsonnet';
local hashicorp = import '../hashicorp.libsonnet';
local pins = import '../pins/consul.libsonnet';

{
  version: '1.22.0',
  // Patch releases: a step to the next minor version of a cluster wants its upgrade notes read.
  range: '~1.22',
  // 1.16.0 is under another licence than the one below.
  minimum: '1.17.0',
  refused: {},
  license: hashicorp.license,
  homepage: 'https://www.consul.io/',
  summary: 'service discovery, health checks and configuration for a cluster',
  description: |||
    Consul knows which machines and services a cluster has and which of them
    are well, and tells by HTTP and DNS. It also holds locks and a key-value
    store. One binary is both server and client.
  |||,

  sources: hashicorp.release('consul', self.version, pins) + [go.module('github.com/hashicorp/consul', { consul: '.' }, {
    // Parts of its repository that it takes from beside it; without these lines Go takes the tagged versions, which
    // its go.mod requires as well.
    drop_replace: [
      'github.com/hashicorp/consul/api',
      'github.com/hashicorp/consul/envoyextensions',
      'github.com/hashicorp/consul/proto-public',
      'github.com/hashicorp/consul/sdk',
      'github.com/hashicorp/consul/troubleshoot',
    ],
    // The public checksum database does not always know those; the lock pins them.
    no_sum_db: ['github.com/hashicorp/consul/*'],
  })],

  recipe: {
    maintainer: hashicorp.maintainer,
    copyright: hashicorp.copyright,
    revision: 1,
    section: 'non-free/net',
    // The unit reloads by kill(1).
    depends: ['procps'],
    recommends: ['ca-certificates'],
    contents: [
      content.program('consul', '/usr/bin/consul'),
      content.text('/usr/lib/systemd/system/consul.service', importstr 'consul.service'),
      // The number is fixed because data outlives the image on another partition.
      content.text('/usr/lib/sysusers.d/consul.conf', 'u consul 521 "Consul" /var/lib/consul\n'),
      content.text('/usr/lib/tmpfiles.d/consul.conf', 'd /var/lib/consul 0700 consul consul -\n'),
      content.dir('/etc/consul.d'),
    ] + content.completions('consul'),
    services: ['consul.service'],
    lintian_overrides: go.lintian_overrides('developer.hashicorp.com/consul'),
  },
}
