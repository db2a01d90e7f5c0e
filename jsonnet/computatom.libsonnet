// The vocabulary of image definitions:
//
//     local computatom = import 'computatom.libsonnet';
//     computatom.image(computatom.server + computatom.client + {
//       name: 'attic',
//       targets: ['raspberrypi-arm64'],
//       components+: { nomad: { version: '1.10.4' } },
//       debian+: { packages+: ['htop'] },
//     })
//
// `field: …` sets a field, `field+: …` adds to what is there already. A field that nothing reads is refused, with the
// nearest one that exists. `pkgbuilder inspect NAME` prints what a definition comes to.
local components = import 'catalog.libsonnet';
local defaults = import 'image.libsonnet';
local roles = import 'roles.libsonnet';
local targets = import 'targets.libsonnet';

// A target by name is one of targets.libsonnet; an object is taken as it is.
local target(given) =
  if std.isString(given) then
    if std.objectHas(targets, given) then targets[given] else { name: given, packages: [] }
  else given;

// What a definition says about a component is laid over what the catalog knows of it; who maintains the packages is the
// definition's to say. Who names a version, but no range, wants that one.
local component(maintainer) = function(name, given)
  local known = std.get(components, name, {});
  local fixed = if std.objectHas(given, 'version') then { range: null } else {};
  (if std.objectHas(known, 'recipe') then known { recipe+: { maintainer: maintainer } } else known) + fixed + given;

{
  // An image: the defaults, with `definition` over them.
  image(definition):
    local merged = defaults + definition;
    merged {
      targets: std.map(target, merged.targets),
      components: std.mapWithKey(component(merged.maintainer), merged.components),
      // The names that messages can suggest.
      catalog: std.objectFields(components),
    },

  // For definitions that change a part of one: `computatom.targets['raspberrypi-arm64'] { packages+: ['vim-tiny'] }`.
  targets: targets,
  components: components,

  // What a board needs for its part in the cluster: see roles.libsonnet.
  member:: roles.member,
  server:: roles.server,
  client:: roles.client,
  monitor:: roles.monitor,

  // The Raspberry Pi 5 beside the others, with the kernel of Debian's backports, which knows it:
  //     computatom.image(computatom.server + computatom.raspberrypi5 + { name: … })
  raspberrypi5:: {
    targets: ['raspberrypi5-arm64'],
    debian+: {
      sources+: { backports: { suites: ['trixie-backports'] } },
      pins+: [{ packages: ['linux-*'], source: 'backports' }],
    },
  },

  // The program that joins a wireless network, for boards with the hardware; the rest is in docs/burning.md.
  wifi:: { debian+: { packages+: ['wpasupplicant'] } },

  // For components of a definition: Debian's own package, in the version that Debian has.
  debian:: roles.debian,
}
