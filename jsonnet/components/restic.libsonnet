// restic: backups. Its releases are bare bzip2 files; the module is all of it.
local content = import '../content.libsonnet';
local go = import '../go.libsonnet';

{
  version: '0.18.1',
  range: '>=0.18, <1',
  license: 'BSD-2-Clause',
  homepage: 'https://restic.net/',
  summary: 'fast, encrypted, deduplicated backups',
  description: |||
    restic saves files to a disk, a server or a cloud store, encrypted and
    without storing anything twice, and brings any state of them back.
  |||,
  sources: [
    // As its own releases are built, without the update of itself: that is dpkg's.
    go.module('github.com/restic/restic', { restic: './cmd/restic' }, {
      tags: ['disable_grpc_modules'],
      ldflags: ['-X main.version={version}'],
    }),
    { type: 'debian', package: 'restic' },
  ],
  recipe: {
    maintainer: import '../maintainer.libsonnet',
    copyright: { holder: '2014 Alexander Neumann and the restic authors', files: ['LICENSE'] },
    revision: 1,
    section: 'utils',
    depends: [],
    recommends: ['ca-certificates'],
    contents: [
      content.program('restic', '/usr/bin/restic'),
      // What `restic generate` makes is in the module.
      content.file('doc/bash-completion.sh', '/usr/share/bash-completion/completions/restic'),
      content.file('doc/zsh-completion.zsh', '/usr/share/zsh/vendor-completions/_restic'),
      content.file('doc/fish-completion.fish', '/usr/share/fish/vendor_completions.d/restic.fish'),
    ],
    services: [],
    lintian_overrides: go.lintian_overrides('restic.readthedocs.io'),
  },
}
