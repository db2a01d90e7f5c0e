//! The kernel command line contract between the image and `/init`.
//!
//! ```text
//! root=PARTUUID=<disk signature, 8 hex digits>-<partition, 2 hex digits>   squashfs to boot from (kernel's own notation)
//! root=PARTUUID=<GUID>                                                    the same on a disk with a GPT
//! computatom.data=<partition number>                                      DATA on the same disk, decimal
//! computatom.roothash=<64 hex digits>                                     dm-verity root hash of the root
//! computatom.format=<8 hex digits>                                        consent to format what DATA holds now
//! computatom.timerslack_ns=<decimal>                                      how much longer programs may sleep than they ask for
//! ```

/// Root device: `PARTUUID=` as the kernel writes it for MBR disks (`Documentation/admin-guide/kernel-parameters`).
pub const ROOT: &str = "root";
/// Number of the DATA partition on the disk of the root.
pub const DATA: &str = "computatom.data";
/// dm-verity root hash of the slot.
pub const ROOT_HASH: &str = "computatom.roothash";
/// Consent to format a DATA that holds something else: the digits that the console showed for just these contents.
pub const FORMAT: &str = "computatom.format";
/// How much later than they ask for the kernel may wake programs that sleep, in nanoseconds up to a second, so that it wakes several
/// at once: what systemd and all that it starts begin with (`/proc/PID/timerslack_ns`, proc_pid_timerslack_ns(5); 50 µs is the
/// kernel's own).
pub const TIMER_SLACK: &str = "computatom.timerslack_ns";

/// MBR partition numbers of the Raspberry Pi layout (ARCHITECTURE.md, "The image").
pub mod mbr {
    /// `autoboot.txt` and `bootcode.bin`.
    pub const BOOTSEL: u8 = 1;
    /// Firmware, kernel and initramfs of slot A.
    pub const BOOT_A: u8 = 2;
    /// The same for slot B.
    pub const BOOT_B: u8 = 3;
    /// The extended partition around the roots and DATA.
    pub const EXTENDED: u8 = 4;
    /// Root of slot A.
    pub const ROOT_A: u8 = 5;
    /// Root of slot B.
    pub const ROOT_B: u8 = 6;
    /// The node's own data, made on first boot.
    pub const DATA: u8 = 7;
}

/// GPT partition numbers of the UEFI layout.
pub mod gpt {
    /// EFI system partition: systemd-boot, its settings, the kernels of both slots.
    pub const ESP: u8 = 1;
    /// The kernel of slot A, in `EFI/Linux` of the ESP.
    pub const KERNEL_A: &str = "node-a.efi";
    /// The kernel of slot B.
    pub const KERNEL_B: &str = "node-b.efi";
    /// Root of slot A.
    pub const ROOT_A: u8 = 2;
    /// Root of slot B.
    pub const ROOT_B: u8 = 3;
    /// The node's own data, made on first boot.
    pub const DATA: u8 = 4;
}

/// A board that U-Boot starts, on the GPT of [`gpt`]: what it reads lies on the first partition, which the table marks as
/// bootable (`U-Boot`, doc/develop/bootstd).
pub mod extlinux {
    /// Attributes of a GPT entry: "legacy BIOS bootable" (UEFI specification 2.10, table 5.8), U-Boot's "bootable".
    pub const BOOTABLE: u64 = 1 << 2;
    /// The menu.
    pub const MENU: &str = "extlinux/extlinux.conf";
    /// Label of slot A, and the folder with its files.
    pub const SLOT_A: &str = "a";
    /// Label of slot B, and the folder with its files.
    pub const SLOT_B: &str = "b";
    /// The file of a slot's folder that says what its label starts.
    pub const LABEL: &str = "label.conf";
    /// What the kernel is told stands behind this word.
    pub const APPEND: &str = "append";

    /// What the kernel of a label is told (U-Boot, doc/README.pxe).
    pub fn append(label_conf: &str) -> Option<&str> {
        let mut lines = label_conf.lines().map(str::trim);
        let rest = lines.find_map(|line| line.strip_prefix(APPEND)?.strip_prefix([' ', '\t']))?;
        Some(rest.trim())
    }
}

/// `extlinux.conf` for U-Boot (doc/README.pxe): no menu, and always the label `default`.
pub fn extlinux_conf(default: &str) -> Vec<u8> {
    let include = |slot| format!("include /{slot}/{}\n", extlinux::LABEL);
    one_sector(format!(
        "# Written by Computatom: `computatom-agent slot` changes it in its place.\n{}{}default {default}\n",
        include(extlinux::SLOT_A),
        include(extlinux::SLOT_B)
    ))
}

/// The file that chooses the slot is one sector of one cluster, so that changing it is one write.
pub const MENU_SIZE: usize = 512;

/// `autoboot.txt` of a Raspberry Pi: the boot partition of every boot, and that of a trial
/// (raspberrypi.com/documentation/computers/config_txt.html, "autoboot.txt").
pub fn autoboot_txt(normal: u8, trial: u8) -> Vec<u8> {
    one_sector(format!(
        "[all]\ntryboot_a_b=1\nboot_partition={normal}\n[tryboot]\nboot_partition={trial}\n"
    ))
}

/// `loader.conf` of systemd-boot (loader.conf(5)): no menu, and always the entry `default`.
pub fn loader_conf(default: &str) -> Vec<u8> {
    one_sector(format!(
        "# Written by Computatom: `computatom-agent slot` changes it in its place.\ntimeout 0\ndefault {default}\n"
    ))
}

/// The entry that a `loader.conf` starts, or an `extlinux.conf`: its last `default` (loader.conf(5), U-Boot's
/// doc/README.pxe).
pub fn default_entry(conf: &str) -> Option<&str> {
    conf.lines()
        .filter_map(|line| line.trim().strip_prefix("default")?.strip_prefix([' ', '\t']))
        .map(str::trim)
        .next_back()
}

fn one_sector(text: String) -> Vec<u8> {
    let mut bytes = text.into_bytes();
    bytes.resize(MENU_SIZE, b'\n');
    bytes
}

/// File-system label of DATA.
pub const DATA_LABEL: &str = "DATA";

/// DATA is made no smaller than this: Consul, Nomad, Prometheus and the journal need it for their first day.
pub const DATA_MINIMUM: u64 = 512 << 20;

/// Partitions begin at multiples of this many bytes: the erase block of common SD cards.
pub const ALIGNMENT: u64 = 4 << 20;
