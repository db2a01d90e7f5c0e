//! The pin header: I2C and SPI, switched on in Linux' own device trees.
//!
//! What the vendor's kernel has by `dtparam=i2c_arm=on` and `dtparam=spi=on` in config.txt. The watchdog is on in both.
//! Which pins a bus is on is raspberrypi.com/documentation/computers/raspberry-pi.html, "GPIO"; names of properties are
//! those of `Documentation/devicetree/bindings`. `pkgbuilder/tests/device_tree` has the same as sources for dtc, and
//! compares what we merge with what fdtoverlay makes of them.

use super::super::super::device_tree::{Cell, Node, Value};

/// What is merged into the device trees of one chip.
#[derive(Clone, Copy, Debug)]
pub(super) struct Header {
    /// A node that only device trees of the chip have.
    pub(super) known_by: &'static str,
    /// The changes.
    pub(super) overlay: &'static [Node],
}

/// The driver for programs (`/dev/spidev0.0`) refuses a device tree that names it, for it is no device. Of the devices that
/// it serves (`drivers/spi/spidev.c`) this is the one that most boards without a better one name.
const SPI_DEVICE: Value = Value::Text(&["rohm,dh2228fv"]);
/// What the vendor's kernel sets: the fastest of the chip.
const SPI_HERTZ: Value = Value::Cells(&[Cell::Number(125_000_000)]);
const NONE: Value = Value::Cells(&[Cell::Number(0)]);
const ONE: Value = Value::Cells(&[Cell::Number(1)]);
const OKAY: Value = Value::Text(&["okay"]);
const DEFAULT: Value = Value::Text(&["default"]);

/// Raspberry Pi 1 to 4 and Zero. I2C is on as it is, without a number of its own: the order in which drivers come up would
/// tell. SPI selects its devices by GPIO 8 and 7, active low, as the vendor has it: the driver finds them by itself on the
/// BCM2835 alone (it asks for `pinctrl-bcm2835` by name).
const BCM2835: Header = Header {
    known_by: "/soc/spi@7e204000",
    overlay: &[
        Node {
            path: "/aliases",
            properties: &[
                ("i2c1", Value::Text(&["/soc/i2c@7e804000"])),
                ("spi0", Value::Text(&["/soc/spi@7e204000"])),
            ],
        },
        Node {
            path: "/soc/gpio@7e200000/spi0-gpio9",
            properties: &[
                (
                    "brcm,pins",
                    Value::Cells(&[Cell::Number(9), Cell::Number(10), Cell::Number(11)]),
                ),
                // BCM2835_FSEL_ALT0
                ("brcm,function", Value::Cells(&[Cell::Number(4)])),
            ],
        },
        Node {
            path: "/soc/i2c@7e804000",
            properties: &[("status", OKAY)],
        },
        Node {
            path: "/soc/spi@7e204000",
            properties: &[
                ("pinctrl-names", DEFAULT),
                (
                    "pinctrl-0",
                    Value::Cells(&[Cell::Phandle("/soc/gpio@7e200000/spi0-gpio9")]),
                ),
                (
                    "cs-gpios",
                    Value::Cells(&[
                        Cell::Phandle("/soc/gpio@7e200000"),
                        Cell::Number(8),
                        Cell::Number(1),
                        Cell::Phandle("/soc/gpio@7e200000"),
                        Cell::Number(7),
                        Cell::Number(1),
                    ]),
                ),
                ("status", OKAY),
            ],
        },
        Node {
            path: "/soc/spi@7e204000/spidev@0",
            properties: &[
                ("compatible", SPI_DEVICE),
                ("reg", NONE),
                ("spi-max-frequency", SPI_HERTZ),
            ],
        },
        Node {
            path: "/soc/spi@7e204000/spidev@1",
            properties: &[
                ("compatible", SPI_DEVICE),
                ("reg", ONE),
                ("spi-max-frequency", SPI_HERTZ),
            ],
        },
    ],
};

/// Where Linux has the I/O chip of the Raspberry Pi 5.
macro_rules! rp1 {
    ($path:literal) => {
        concat!("/axi/pcie@1000120000/pci@0,0/dev@0,0/pci-ep-bus@1", $path)
    };
}

/// The Ethernet of the Raspberry Pi 5: a kernel whose device tree has it not knows little of the board.
pub(super) const ETHERNET_5: &str = rp1!("/ethernet@40100000");

/// Raspberry Pi 5. Linux does not know the SPI of its I/O chip yet.
const RP1: Header = Header {
    known_by: rp1!("/pinctrl@400d0000"),
    overlay: &[
        Node {
            path: "/aliases",
            properties: &[("i2c1", Value::Text(&[rp1!("/i2c@40074000")]))],
        },
        Node {
            path: rp1!("/pinctrl@400d0000/rp1-i2c1-default-state"),
            properties: &[
                ("function", Value::Text(&["i2c1"])),
                ("pins", Value::Text(&["gpio2", "gpio3"])),
                ("drive-strength", Value::Cells(&[Cell::Number(12)])),
                ("bias-pull-up", Value::Flag),
            ],
        },
        Node {
            path: rp1!("/i2c@40074000"),
            properties: &[
                ("pinctrl-names", DEFAULT),
                (
                    "pinctrl-0",
                    Value::Cells(&[Cell::Phandle(rp1!("/pinctrl@400d0000/rp1-i2c1-default-state"))]),
                ),
                ("clock-frequency", Value::Cells(&[Cell::Number(100_000)])),
                ("status", OKAY),
            ],
        },
    ],
};

/// Every chip.
pub(super) const HEADERS: &[Header] = &[BCM2835, RP1];

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::{Path, PathBuf};
    use std::process::Command;

    use super::super::super::super::device_tree;
    use super::super::super::super::testing::oracle;
    use super::*;

    const SOURCES: &[(&str, Header)] = &[(include_str!("bcm2835.dts"), BCM2835), (include_str!("rp1.dts"), RP1)];
    /// As little as there must be of a board.
    const BOARDS: &[&str] = &[
        "/dts-v1/; / { aliases { }; soc { gpio: gpio@7e200000 { #gpio-cells = <2>; phandle = <7>; };
            i2c@7e804000 { status = \"disabled\"; };
            spi@7e204000 { #address-cells = <1>; #size-cells = <0>; status = \"disabled\"; }; }; };",
        "/dts-v1/; / { aliases { }; axi { pcie@1000120000 { pci@0,0 { dev@0,0 { pci-ep-bus@1 {
            rp1_i2c1: i2c@40074000 { status = \"disabled\"; };
            rp1_gpio: pinctrl@400d0000 { phandle = <41>; }; }; }; }; }; }; };",
    ];

    /// A device tree as sorted text, by dtc.
    fn text(blob: &Path) -> String {
        oracle(
            Command::new("dtc")
                .args(["-q", "-s", "-I", "dtb", "-O", "dts"])
                .arg(blob),
        )
    }

    fn compile(source: &str, name: &str, folder: &Path) -> PathBuf {
        let (from, to) = (folder.join("source.dts"), folder.join(name));
        fs::write(&from, source).unwrap();
        oracle(
            Command::new("dtc")
                .args(["-q", "-@", "-O", "dtb", "-o"])
                .arg(&to)
                .arg(&from),
        );
        to
    }

    /// Compares what we make of a device tree with what fdtoverlay makes of it; says whether a header was for it.
    #[track_caller]
    fn compare(board: &Path, folder: &Path) -> bool {
        let blob = fs::read(board).unwrap();
        let mut sources = SOURCES.iter();
        let Some((source, header)) = sources.find(|(_, header)| device_tree::has(&blob, header.known_by).unwrap())
        else {
            return false;
        };
        // Symbols of an overlay are merged, too, if it has any; ours has none.
        let from = folder.join("overlay.dts");
        fs::write(&from, source).unwrap();
        let overlay = folder.join("overlay.dtbo");
        oracle(
            Command::new("dtc")
                .args(["-q", "-O", "dtb", "-o"])
                .arg(&overlay)
                .arg(&from),
        );
        let expected = folder.join("expected.dtb");
        oracle(
            Command::new("fdtoverlay")
                .arg("-i")
                .arg(board)
                .arg("-o")
                .arg(&expected)
                .arg(&overlay),
        );
        let merged = folder.join("merged.dtb");
        fs::write(&merged, device_tree::merge(&blob, header.overlay).unwrap()).unwrap();
        let (merged, expected) = (text(&merged), text(&expected));
        assert!(merged.contains("i2c1 = "), "{merged}");
        assert_eq!(merged, expected, "{}", board.display());
        true
    }

    #[test]
    fn fdtoverlay_makes_the_same_of_the_sources() {
        let folder = tempfile::tempdir().unwrap();
        for source in BOARDS {
            let board = compile(source, "board.dtb", folder.path());
            assert!(compare(&board, folder.path()));
        }
    }

    /// The device trees of kernels, wherever `COMPUTATOM_DEVICE_TREES` says that they are (folders, `:` between them).
    #[test]
    #[ignore = "needs the device trees of kernel packages: scripts/test --all"]
    fn fdtoverlay_makes_the_same_of_real_device_trees() {
        let folders = std::env::var("COMPUTATOM_DEVICE_TREES").unwrap();
        let scratch = tempfile::tempdir().unwrap();
        for folder in folders.split(':') {
            let mut compared = 0;
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                let pi = path.file_name().unwrap().to_string_lossy().starts_with("bcm2");
                compared += u32::from(pi && compare(&path, scratch.path()));
            }
            assert!(compared > 5, "{folder} has {compared} device trees of Raspberry Pis");
            println!("{folder}: {compared} device trees");
        }
    }
}
