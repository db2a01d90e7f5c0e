// What a node never needs, as globs of the packages' paths: see `exclude` in image.libsonnet. dpkg(1) still lists what is
// left out, so `dpkg -V` names exactly these paths.
//
// Careful with the kernel's: a board may get any HAT and any USB device, and those of the Raspberry Pi with a PCIe
// connector any common card. What goes is made for other chips, or for servers and workstations. None that stays needs one that goes.
// A definition brings one back: `exclude+: ['!/usr/lib/modules/*/kernel/drivers/gpu/drm/amd/*']`.
local modules(folders) = ['/usr/lib/modules/*/kernel/%s/*' % folder for folder in folders];

{
  // What people read elsewhere; licences stay.
  papers: [
    '/usr/share/doc/*',
    '!/usr/share/doc/*/copyright',
    '/usr/share/info/*',
    '/usr/share/lintian/*',
    '/usr/share/locale/*',
    '!/usr/share/locale/locale.alias',
    '/usr/share/man/*',
    // update-alternatives(1) links manuals there, and fails where it cannot.
    '!/usr/share/man/man[1-9]',
  ],

  // CNI plugins for networks that no job has asked for: Nomad starts each of them once before a node is ready, and a Pi 3
  // half a second (docs/boot.md).
  networks: ['/opt/cni/bin/' + name for name in ['dummy', 'host-device', 'ptp', 'sbr', 'tap', 'vrf']],

  // Debian's list of modules to load, which is /etc/modules and empty: for a list systemd starts a process that sysctl's settings,
  // and by these the network, wait for.
  module_lists: ['/etc/modules-load.d/modules.conf'],

  // U-Boot for other boards than those of targets.libsonnet: 150 MB. What lies in front of the partitions stays.
  boot_loaders: [
    '/usr/lib/u-boot/*',
    '!/usr/lib/u-boot/rock64-rk3328/idbloader.img',
    '!/usr/lib/u-boot/rock64-rk3328/u-boot.itb',
  ],

  // Device trees of other boards than those of targets.libsonnet: 50 MB.
  device_trees: [
    '/usr/lib/linux-image-*/*',
    '!/usr/lib/linux-image-*/broadcom/*',
    '!/usr/lib/linux-image-*/rockchip/rk3328-rock64.dtb',
    // Where 32-bit kernels have them.
    '!/usr/lib/linux-image-*/bcm2*.dtb',
    // What the vendor's firmware merges for HATs.
    '!/usr/lib/linux-image-*/overlays/*',
    // Since 7.0 they are among the modules, and the folder above is a link to these.
    '/usr/lib/modules/*/dtb/*',
    '!/usr/lib/modules/*/dtb/broadcom/*',
    '!/usr/lib/modules/*/dtb/rockchip/rk3328-rock64.dtb',
  ],

  modules: modules(
    // Graphics cards and the display blocks of other chips; the Pi has vc4 and v3d, HATs have panels and `tiny`.
    ['drivers/gpu/drm/' + driver for driver in [
      'amd',
      'ast',
      'etnaviv',
      'hisilicon',
      'hyperv',
      'imx',
      'lima',
      'mediatek',
      'meson',
      'msm',
      'mxsfb',
      'nouveau',
      'panfrost',
      'panthor',
      'qxl',
      'radeon',
      'rockchip',
      'sun4i',
      'tegra',
      'tidss',
      'vmwgfx',
      'xe',
    ]]
    // Sound cards on PCI and FireWire, and the sound blocks of other chips; `bcm` and the codecs are what HATs use.
    + ['sound/' + driver for driver in ['firewire', 'pci']]
    + ['sound/soc/' + chip for chip in ['fsl', 'hisilicon', 'mediatek', 'meson', 'qcom', 'rockchip', 'sof', 'sunxi', 'tegra']]
    // Television cards on PCI, and the video blocks of other chips; cameras and receivers on USB stay.
    + ['drivers/media/pci', 'drivers/media/platform', 'drivers/media/test-drivers']
    // Network cards of data centres, and the network blocks of other chips.
    + ['drivers/net/ethernet/' + maker for maker in [
      'amazon',
      'amd',
      'apm',
      'broadcom/bnx2x',
      'broadcom/bnxt',
      'brocade',
      'cavium',
      'chelsio',
      'cisco',
      'emulex',
      'google',
      'hisilicon',
      'huawei',
      'marvell',
      'mediatek',
      'mellanox',
      'myricom',
      'netronome',
      'pensando',
      'qlogic',
      'qualcomm',
      'sfc',
    ]]
    // Wi-Fi of laptops and of other chips; what is to be had as a USB stick stays.
    + ['drivers/net/wireless/' + driver for driver in ['ath/ath11k', 'ath/ath12k', 'ath/wcn36xx', 'ti']]
    // Disks and buses of data centres, and what builds on the network cards above.
    + ['drivers/crypto/chelsio', 'drivers/infiniband/hw', 'drivers/message/fusion', 'drivers/target/iscsi/cxgbit']
    + ['drivers/scsi/' + driver for driver in [
      'bfa',
      'bnx2fc',
      'bnx2i',
      'csiostor',
      'cxgbi',
      'lpfc',
      'mpi3mr',
      'mpt3sas',
      'qedf',
      'qedi',
      'qla2xxx',
      'qla4xxx',
    ]]
  ),
}
