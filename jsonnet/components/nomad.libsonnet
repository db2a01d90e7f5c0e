// Nomad: the scheduler.
local content = import '../content.libsonnet';
local go = import '../go.libsonnet';
local hashicorp = import '../hashicorp.libsonnet';
local pins = import '../pins/nomad.libsonnet';

// Nomad's module requires a nested module of its own repository (`./api`), which Go does not put into the module's
// archive; the same commit's pseudo-version stands in. `commit` has it computed from what the module proxy says.
local api = { '1.10.5': 'v0.0.0-20250909143645-a3b86c697f38' };

{
  version: '1.10.5',
  // Patch releases: a step to the next minor version of a cluster wants its upgrade notes read.
  range: '~1.10',
  // 1.6.0 is under another licence than the one below.
  minimum: '1.7.0',
  refused: {
    '1.9.2': 'HashiCorp withdrew it: an upgrade to it can lose the whole cluster state; take 1.9.3 or newer',
  },
  license: hashicorp.license,
  homepage: 'https://www.nomadproject.io/',
  summary: 'workload orchestrator for containers and plain programs',
  description: |||
    Nomad places jobs (containers, programs, batch work) on the machines of a
    cluster, restarts what fails and moves what is left without a machine.
    One binary is both server and client.
  |||,

  // Its `arm` is ARMv7, which machines of armel need not be: https://github.com/hashicorp/nomad/issues/2517
  sources: hashicorp.release('nomad', self.version, pins, arm=['armhf']) + [go.module('github.com/hashicorp/nomad', { nomad: '.' }, {
    // As HashiCorp's own release builds: the web UI and the generated codec are in the module.
    tags: ['ui', 'codegen_generated', 'hashicorpmetrics', 'release'],
    // The `exec` driver enters name spaces from C before Go's runtime starts.
    cgo: true,
    replace: { 'github.com/hashicorp/nomad/api': std.get(api, $.version, 'commit') },
  })],
  dropped: [{ from: '1.8.1', architectures: ['armhf'], instead: 'the source `go-module` builds it' }],

  recipe: {
    maintainer: hashicorp.maintainer,
    copyright: hashicorp.copyright,
    revision: 1,
    section: 'non-free/admin',
    // The unit reloads by kill(1).
    depends: ['procps'],
    recommends: ['ca-certificates', 'iptables'],
    contents: [
      content.program('nomad', '/usr/bin/nomad'),
      content.text('/usr/lib/systemd/system/nomad.service', importstr 'nomad.service'),
      // Only when it is made: of a server that runs as its own user it is that user's (nomad-config-server).
      content.text('/usr/lib/tmpfiles.d/nomad.conf', 'd /var/lib/nomad :0700 :root :root -\n'),
      content.dir('/etc/nomad.d'),
    ] + content.completions('nomad'),
    services: ['nomad.service'],
    lintian_overrides: [
      { tag: 'no-manual-page', reason: 'upstream documents the commands at developer.hashicorp.com/nomad and in --help' },
      { tag: 'hardening-no-pie', reason: 'the Go linker makes position-dependent programs by default, as upstream ships them' },
      { tag: 'hardening-no-fortify-functions', reason: 'the C in it is the few functions of cgo and nsenter' },
    ],
  },
}
