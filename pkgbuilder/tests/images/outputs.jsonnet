// `small` for the other machines and in every format that there is of them: the judges of what a build leaves look at it.
local computatom = import 'computatom.libsonnet';
local small = import 'small.jsonnet';

small {
  name: 'outputs',
  description: 'a small image in all formats',
  targets: [
    small.targets[0] { formats: ['img', 'zst', 'xz', 'qcow2'] },
    computatom.targets['uefi-arm64'] {
      packages: ['linux-image-cloud-arm64', 'systemd-boot-efi'],
      formats: ['img', 'qcow2', 'vmdk', 'box-libvirt'],
    },
    computatom.targets['uefi-amd64'] {
      packages: ['linux-image-cloud-amd64', 'systemd-boot-efi'],
      formats: ['img', 'box-virtualbox'],
    },
    computatom.targets.rock64 {
      packages: ['linux-image-arm64', 'u-boot-rockchip'],
      formats: ['img'],
    },
    computatom.targets['oci-arm64'],
  ],
}
