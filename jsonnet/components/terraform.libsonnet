// Terraform. Its one good source is HashiCorp's archive.
local content = import '../content.libsonnet';
local go = import '../go.libsonnet';
local hashicorp = import '../hashicorp.libsonnet';

hashicorp.product {
  version: '1.13.3',
  range: '^1.13',
  homepage: 'https://www.terraform.io/',
  summary: 'infrastructure as code',
  description: |||
    Terraform compares what a description of machines, networks and services
    says with what there is, shows the difference and makes it so.
  |||,
  sources: hashicorp.release('terraform', self.version, {}),
  recipe+: {
    contents: [content.program('terraform', '/usr/bin/terraform')] + content.completions('terraform'),
    lintian_overrides: go.lintian_overrides('developer.hashicorp.com/terraform'),
  },
}
