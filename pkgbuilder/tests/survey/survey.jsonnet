// What every image has, but for our own programs and a board's kernel: what the packages of the survey are laid on.
local computatom = import 'computatom.libsonnet';

computatom.image({
  name: 'survey',
  targets: [computatom.targets['raspberrypi-arm64'] { packages: [] }],
  components: {},
  debian+: { prefer: [] },
})
