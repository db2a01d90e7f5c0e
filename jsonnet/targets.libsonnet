// What each board family adds to an image. The boards themselves are known to pkgbuilder (assemble/boards/). A target may say
// what is made of its image, unless `--format` asks for something else: `formats: ['qcow2', 'box-libvirt']`, see
// docs/outputs.md. Else that is `zst`, of a container `oci`.
{
  // Raspberry Pi 3, 4, Zero 2 W and the compute modules of the same generations, 64 bit, with Debian's kernel.
  'raspberrypi-arm64': {
    name: 'raspberrypi-arm64',
    arch: 'arm64',
    packages: [
      'linux-image-arm64',
      // start4.elf and its kin for the boot partition.
      'raspi-firmware',
      // Wi-Fi and Bluetooth of all boards.
      'firmware-brcm80211',
      'wireless-regdb',
    ],
  },

  // The same boards and the Raspberry Pi 5, which only newer kernels know: `computatom.raspberrypi5` has one.
  'raspberrypi5-arm64': self['raspberrypi-arm64'] { name: 'raspberrypi5-arm64' },

  // Raspberry Pi 1 and Zero: ARMv6, which is Debian's armel.
  'raspberrypi-armel': {
    name: 'raspberrypi-armel',
    arch: 'armel',
    packages: ['linux-image-rpi', 'raspi-firmware', 'firmware-brcm80211', 'wireless-regdb'],
  },

  // Pine64's Rock64, which U-Boot starts.
  rock64: {
    name: 'rock64',
    arch: 'arm64',
    packages: ['linux-image-arm64', 'u-boot-rockchip'],
  },

  // PCs and virtual machines with UEFI, 64 bit. Real ones may need firmware packages for their network card besides.
  'uefi-amd64': {
    name: 'uefi-amd64',
    arch: 'amd64',
    packages: ['linux-image-amd64', 'systemd-boot-efi'],
  },

  // Arm machines with UEFI, QEMU's `virt` among them.
  'uefi-arm64': {
    name: 'uefi-arm64',
    arch: 'arm64',
    packages: ['linux-image-arm64', 'systemd-boot-efi'],
  },

  // Containers for podman, Docker or a Nomad elsewhere: a node without kernel and disk.
  'oci-amd64': { name: 'oci-amd64', arch: 'amd64', packages: [] },
  'oci-arm64': { name: 'oci-arm64', arch: 'arm64', packages: [] },
}
