// What the Prometheus project's programs and those made like them have in common. Package, program, unit, user and
// settings file have the names that Debian's packages give them, so one can take the other's place.
local content = import 'content.libsonnet';
local go = import 'go.libsonnet';
local pins = import 'pins/prometheus.libsonnet';
local unit = import 'unit.libsonnet';

{
  // The archive of a version on GitHub; its digests where they are known, else from the list beside it.
  release(repository, version, sums={}):: {
    local name = std.split(repository, '/')[1],
    local folder = 'https://github.com/%s/releases/download/v{version}/' % repository,
    type: 'release',
    url: folder + name + '-{version}.linux-{arch}.tar.gz',
    arch_names: 'goreleaser',
    sha256: std.get(std.get(pins, name, {}), version, {}),
    sums: { type: 'prometheus', url: folder + 'sha256sums.txt' } + sums,
  },

  // A daemon: `repository` on GitHub, `version`, `summary` and `description`, and where it is not as usual
  //   name       of package, program and unit; else the repository's, below `prometheus-`
  //   package    of the module that is built; null where the module is not enough
  //   debian     whether Debian has it under that name
  //   range      that `pkgbuilder lock --update` looks in; else up to the next major version
  //   arguments  on its command line, which /etc/default/<name> sets
  //   variable   that holds its version
  //   service    [Service] of its unit beyond the sandbox
  //   contents   more files
  daemon(given):: {
    local daemon = { arguments: [], contents: [], debian: true, notice: true, package: '.', service: {} } + given,
    local variable = std.get(given, 'variable', 'github.com/prometheus/common/version.Version'),
    local license = std.get(given, 'license', 'Apache-2.0'),
    local program = std.split(given.repository, '/')[1],
    local name = std.get(given, 'name', 'prometheus-' + std.strReplace(program, '_', '-')),
    local doc = '/usr/share/doc/' + name,
    // Its data: purging the package removes what tmpfiles.d names. What several programs share is not among them.
    local state = [
      folder
      for folder in std.split(std.get(daemon.service, 'StateDirectory', ''), ' ')
      if std.member(folder, '/')
    ],

    version: daemon.version,
    range: std.get(given, 'range', '>=%s, <%d' % [given.version, std.parseInt(std.split(given.version, '.')[0]) + 1]),
    license: license,
    homepage: 'https://github.com/' + daemon.repository,
    summary: daemon.summary,
    description: daemon.description,
    sources: [$.release(daemon.repository, self.version, std.get(given, 'sums', {}))]
             + (if daemon.package == null then [] else [
                  go.module('github.com/' + daemon.repository, { [program]: daemon.package }, {
                    ldflags: ['-X %s={version}' % variable],
                  }),
                ])
             + (if daemon.debian then [{ type: 'debian', package: name }] else []),
    recipe: {
      maintainer: import 'maintainer.libsonnet',
      copyright: { holder: std.get(given, 'holder', '2012-2026 The Prometheus Authors'), files: ['LICENSE'] },
      revision: 1,
      section: 'net',
      depends: [],
      recommends: [],
      contents: [
        content.program(program, '/usr/bin/' + name),
        content.config('/etc/default/' + name, '# Arguments of %s; `%s --help` lists them.\nARGS="%s"\n' % [
          name,
          name,
          std.join(' ', daemon.arguments),
        ]),
        content.text('/usr/lib/sysusers.d/%s.conf' % name, 'u prometheus - "Prometheus" /var/lib/prometheus\n'),
        content.text('/usr/lib/systemd/system/%s.service' % name, unit.text({
          Unit: {
            Description: daemon.summary,
            Documentation: 'https://github.com/' + daemon.repository,
            After: 'network-online.target',
            Wants: 'network-online.target',
          },
          Service: unit.sandbox {
            User: 'prometheus',
            EnvironmentFile: '-/etc/default/' + name,
            ExecStart: '/usr/bin/%s $ARGS' % name,
            ExecReload: '/bin/kill -HUP $MAINPID',
            Restart: 'always',
            RestartSec: '5',
          } + daemon.service,
          Install: { WantedBy: 'multi-user.target' },
        })),
      ]
      + (if state == [] then [] else [content.text('/usr/lib/tmpfiles.d/%s.conf' % name, std.lines([
           'd /var/lib/%s 0755 prometheus prometheus -' % folder
           for folder in state
         ]))])
      + (if daemon.notice then [content.file('NOTICE', doc + '/NOTICE')] else []) + daemon.contents,
      services: [name + '.service'],
      lintian_overrides: go.lintian_overrides('github.com/' + daemon.repository, license),
    },
  },
}
