//! The board: model, serial number, memory, processor.

use computatom_spec::arch::Arch;
use serde::{Deserialize, Serialize};

use crate::root::Root;

/// What the hardware says about itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Board {
    /// Model as the device tree or DMI names it (`Raspberry Pi 3 Model B Rev 1.2`).
    pub model: String,
    /// Serial number, where the board has one.
    pub serial: Option<String>,
    /// Architecture.
    pub arch: Option<Arch>,
    /// Memory that the kernel has, in MiB; less than what is soldered on.
    pub memory_mib: u64,
    /// Processor cores.
    pub cores: u32,
    /// Clock of one core in MHz, where the kernel or the table of boards knows it.
    pub mhz: Option<u32>,
}

/// Clock rates of boards whose kernel may run without a cpufreq driver, in MHz (raspberrypi.com product briefs).
/// Without one Nomad believes that a core has 1000 MHz.
const CLOCKS: [(&str, u32); 7] = [
    ("Raspberry Pi 3 Model B Plus", 1400),
    ("Raspberry Pi 3 Model A Plus", 1400),
    ("Raspberry Pi 3", 1200),
    ("Raspberry Pi 4", 1500),
    ("Raspberry Pi 5", 2400),
    ("Raspberry Pi Zero 2", 1000),
    ("Pine64 Rock64", 1300),
];

/// Strings that firmware puts where a serial number should be.
const NO_SERIAL: [&str; 6] = [
    "not specified",
    "none",
    "default string",
    "to be filled by o.e.m.",
    "system serial number",
    "unknown",
];

/// Reads the board.
pub fn read(root: &Root) -> Board {
    let model = model(root);
    let mhz = root
        .attribute("/sys/devices/system/cpu/cpu0/cpufreq/cpuinfo_max_freq")
        .and_then(|khz| khz.parse::<u32>().ok())
        .map(|khz| khz / 1000)
        .or_else(|| {
            CLOCKS
                .iter()
                .find(|(prefix, _)| model.starts_with(prefix))
                .map(|(_, mhz)| *mhz)
        });
    Board {
        serial: serial(root),
        arch: arch(root),
        memory_mib: memory_mib(&root.attribute("/proc/meminfo").unwrap_or_default()),
        cores: cores(&root.attribute("/sys/devices/system/cpu/online").unwrap_or_default()),
        mhz,
        model,
    }
}

fn model(root: &Root) -> String {
    if let Some(model) = root.attribute("/proc/device-tree/model") {
        return model;
    }
    let dmi = |name: &str| root.attribute(&format!("/sys/class/dmi/id/{name}"));
    match (dmi("sys_vendor"), dmi("product_name")) {
        (Some(vendor), Some(product)) => format!("{vendor} {product}"),
        (Some(name), None) | (None, Some(name)) => name,
        (None, None) => "unknown board".to_owned(),
    }
}

fn serial(root: &Root) -> Option<String> {
    [
        "/proc/device-tree/serial-number",
        "/sys/firmware/devicetree/base/serial-number",
        "/sys/class/dmi/id/product_serial",
        "/sys/class/dmi/id/product_uuid",
    ]
    .iter()
    .filter_map(|path| root.attribute(path))
    .find(|serial| {
        !NO_SERIAL.contains(&serial.to_ascii_lowercase().as_str()) && serial.chars().any(|c| !matches!(c, '0' | '-'))
    })
}

/// The kernel's word for the machine (`uname -m`), else what this program was compiled for.
fn arch(root: &Root) -> Option<Arch> {
    match root.attribute("/proc/sys/kernel/arch").as_deref() {
        Some("x86_64") => Some(Arch::Amd64),
        Some("aarch64") => Some(Arch::Arm64),
        Some("armv7l") => Some(Arch::Armhf),
        Some("armv6l" | "armv5tel") => Some(Arch::Armel),
        _ => Arch::host(),
    }
}

fn memory_mib(meminfo: &str) -> u64 {
    meminfo
        .lines()
        .find_map(|line| {
            line.strip_prefix("MemTotal:")?
                .trim()
                .strip_suffix("kB")?
                .trim()
                .parse::<u64>()
                .ok()
        })
        .map_or(0, |kib| kib / 1024)
}

/// Cores in a CPU list of the kernel (`0-3`, `0,2-3`); at least one: something runs this.
fn cores(list: &str) -> u32 {
    let count = |range: &str| -> Option<u32> {
        let (from, to) = range.split_once('-').unwrap_or((range, range));
        let (from, to) = (from.trim().parse::<u32>().ok()?, to.trim().parse::<u32>().ok()?);
        to.checked_sub(from)?.checked_add(1)
    };
    list.split(',').filter_map(count).fold(0, u32::saturating_add).max(1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn lists_of_processors() {
        assert_eq!(cores("0-3"), 4);
        assert_eq!(cores("0,2-3"), 3);
        assert_eq!(cores(""), 1);
    }

    #[test]
    fn memory_is_rounded_down() {
        assert_eq!(memory_mib("MemTotal:         927832 kB\nMemFree: 1 kB\n"), 906);
        assert_eq!(memory_mib(""), 0);
    }

    proptest! {
        #[test]
        fn foreign_bytes_never_panic(text in "(?s).*") {
            cores(&text);
            memory_mib(&text);
        }
    }
}
