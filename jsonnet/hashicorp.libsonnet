// What HashiCorp's products have in common.
{
  // Their archive of one version; where its sums are not pinned here, `pkgbuilder lock` takes them from the signed list.
  // HashiCorp has one 32-bit Arm build. As a rule it is for ARMv5 and up and serves both of Debian's 32-bit Arm
  // architectures; `arm` names those that it serves where it is for newer machines only.
  release(product, version, pins, arm=['armhf', 'armel']):: local known = std.get(pins, version, {}); [{
    type: 'release',
    url: 'https://releases.hashicorp.com/%s/{version}/%s_{version}_linux_{arch}.zip' % [product, product],
    arch_names: 'hashicorp',
    [if arm != ['armhf', 'armel'] then 'architectures']: ['amd64', 'arm64'] + arm,
    sums: {
      type: 'hashicorp',
      url: 'https://releases.hashicorp.com/%s/{version}/%s_{version}_SHA256SUMS' % [product, product],
      key: 'C874011F0AB405110D02105534365D9472D7468F',
    },
    sha256: std.foldl(
      function(sums, arch)
        sums + { [name]: known[arch] for name in if arch == 'arm' then arm else [arch] },
      std.objectFields(known),
      {},
    ),
  }],

  // Since 2023 their products are under the Business Source License: production use is free unless it competes with
  // HashiCorp's own offer. https://www.hashicorp.com/license-faq
  license: 'BUSL-1.1',
  copyright: { holder: 'HashiCorp, Inc.', files: ['LICENSE.txt', 'LICENSE'] },
  maintainer: import 'maintainer.libsonnet',

  // A product: what its component need not say.
  product:: {
    license: $.license,
    recipe: {
      maintainer: $.maintainer,
      copyright: $.copyright,
      revision: 1,
      section: 'non-free/admin',
      // The units reload by kill(1).
      depends: if std.length(self.services) > 0 then ['procps'] else [],
      recommends: ['ca-certificates'],
      services: [],
    },
  },
}
