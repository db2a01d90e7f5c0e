// Caddy: web server and reverse proxy. Its releases are listed by SHA-512 only; the module is all of it.
local content = import '../content.libsonnet';
local go = import '../go.libsonnet';
local unit = import '../unit.libsonnet';

{
  version: '2.11.9',
  range: '^2.11',
  license: 'Apache-2.0',
  homepage: 'https://caddyserver.com/',
  summary: 'web server and reverse proxy with certificates of its own',
  description: |||
    Caddy serves files and passes requests on, gets and renews certificates
    by itself and speaks HTTP up to version 3. A few lines configure it.
  |||,
  sources: [
    go.module('github.com/caddyserver/caddy/v2', { caddy: './cmd/caddy' }, {
      ldflags: ['-X github.com/caddyserver/caddy/v2.CustomVersion=v{version}'],
    }),
    { type: 'debian', package: 'caddy' },
  ],
  recipe: {
    maintainer: import '../maintainer.libsonnet',
    copyright: { holder: '2015 Matthew Holt and The Caddy Authors', files: ['LICENSE'] },
    revision: 1,
    section: 'web',
    depends: [],
    recommends: ['ca-certificates'],
    contents: [
      content.program('caddy', '/usr/bin/caddy'),
      content.config('/etc/caddy/Caddyfile', importstr 'Caddyfile'),
      content.text('/usr/lib/sysusers.d/caddy.conf', 'u caddy - "Caddy" /var/lib/caddy\n'),
      content.text('/usr/lib/tmpfiles.d/caddy.conf', 'd /var/lib/caddy 0750 caddy caddy -\n'),
      content.text('/usr/lib/systemd/system/caddy.service', unit.text({
        Unit: {
          Description: 'Caddy',
          Documentation: 'https://caddyserver.com/docs/',
          After: 'network-online.target',
          Wants: 'network-online.target',
        },
        Service: unit.sandbox {
          Type: 'notify',
          User: 'caddy',
          Environment: 'HOME=/var/lib/caddy',
          ExecStart: '/usr/bin/caddy run --environ --config /etc/caddy/Caddyfile',
          ExecReload: '/usr/bin/caddy reload --config /etc/caddy/Caddyfile --force',
          Restart: 'on-failure',
          RestartSec: '5',
          TimeoutStopSec: '5',
          LimitNOFILE: '1048576',
          StateDirectory: 'caddy',
          StateDirectoryMode: '0750',
          // Ports 80 and 443.
          AmbientCapabilities: 'CAP_NET_BIND_SERVICE',
          CapabilityBoundingSet: 'CAP_NET_BIND_SERVICE',
        },
        Install: { WantedBy: 'multi-user.target' },
      })),
    ] + content.cobra_completions('caddy'),
    services: ['caddy.service'],
    lintian_overrides: go.lintian_overrides('caddyserver.com/docs', 'Apache-2.0'),
  },
}
