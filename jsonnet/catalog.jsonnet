// The whole catalog as a definition: what `pkgbuilder packages --component NAME` and `--list` read. Nobody builds an
// image of it.
local computatom = import 'computatom.libsonnet';

computatom.image({
  name: 'catalog',
  description: 'every component of the catalog',
  targets: ['raspberrypi-arm64'],
  components: { [name]: {} for name in std.objectFields(computatom.components) },
})
