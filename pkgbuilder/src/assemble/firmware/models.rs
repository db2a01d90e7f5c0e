//! The models whose firmware is modelled: one table.
//!
//! After raspberrypi.com/documentation/computers/config_txt.html ("Boot options", "Conditional filters"); names of device
//! trees are those of Linux (`arch/*/boot/dts/broadcom`) and of the vendor's kernel.

use crate::input_error;

/// A model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Board {
    /// Raspberry Pi Zero.
    Pi0,
    /// Raspberry Pi 1 Model B+.
    Pi1,
    /// Raspberry Pi Zero 2 W.
    Pi02,
    /// Raspberry Pi 3 Model B: the ROM loads `bootcode.bin` from the first FAT.
    Pi3,
    /// Raspberry Pi 3 Model B+: the same with another network adapter and its light on a pin of the processor.
    Pi3Plus,
    /// Raspberry Pi 4 Model B: the boot loader is in an EEPROM on the board.
    Pi4,
    /// Raspberry Pi 5: so is the rest of the firmware.
    Pi5,
}

/// Where the first program that reads partitions is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Loader {
    /// `bootcode.bin` on the first FAT, loaded by the ROM.
    Card,
    /// A boot EEPROM, the oldest of which has this date.
    Eeprom(&'static str),
}

/// What is different from model to model.
#[derive(Debug)]
pub(super) struct Model {
    pub(super) board: Board,
    pub(super) name: &'static str,
    pub(super) title: &'static str,
    pub(super) loader: Loader,
    /// The sections of config.txt that are its own.
    pub(super) filters: &'static [&'static str],
    /// The firmware: a file on the boot partition, or none where it is in the EEPROM.
    pub(super) start: Option<&'static str>,
    /// What makes a partition bootable to the one who looks for the first such: how the name of a file begins and ends.
    pub(super) bootable: (&'static str, &'static str),
    /// Kernels in 64-bit mode, in the order they are looked for; none where there is no such mode.
    pub(super) kernels_64: &'static [&'static str],
    /// Kernels in 32-bit mode.
    pub(super) kernels_32: &'static [&'static str],
    /// Whether 64-bit mode is the default.
    pub(super) default_64: bool,
    /// The device tree as Linux names it, and as the vendor's kernel does.
    pub(super) upstream: &'static str,
    pub(super) downstream: &'static str,
}

const START: (&str, &str) = ("start", ".elf");
const ARMV6: &[&str] = &["kernel.img"];
const ARMV7: &[&str] = &["kernel7.img", "kernel.img"];

/// Every model, the oldest first.
pub(super) const MODELS: &[Model] = &[
    Model {
        board: Board::Pi1,
        name: "pi1",
        title: "Raspberry Pi 1 Model B+",
        loader: Loader::Card,
        filters: &["pi1"],
        start: Some("start.elf"),
        bootable: START,
        kernels_64: &[],
        kernels_32: ARMV6,
        default_64: false,
        upstream: "bcm2835-rpi-b-plus.dtb",
        downstream: "bcm2708-rpi-b-plus.dtb",
    },
    Model {
        board: Board::Pi0,
        name: "pi0",
        title: "Raspberry Pi Zero",
        loader: Loader::Card,
        filters: &["pi0"],
        start: Some("start.elf"),
        bootable: START,
        kernels_64: &[],
        kernels_32: ARMV6,
        default_64: false,
        upstream: "bcm2835-rpi-zero.dtb",
        downstream: "bcm2708-rpi-zero.dtb",
    },
    Model {
        board: Board::Pi3,
        name: "pi3",
        title: "Raspberry Pi 3 Model B",
        loader: Loader::Card,
        filters: &["pi3"],
        start: Some("start.elf"),
        bootable: START,
        kernels_64: &["kernel8.img"],
        kernels_32: ARMV7,
        default_64: false,
        upstream: "bcm2837-rpi-3-b.dtb",
        downstream: "bcm2710-rpi-3-b.dtb",
    },
    Model {
        board: Board::Pi3Plus,
        name: "pi3+",
        title: "Raspberry Pi 3 Model B+",
        loader: Loader::Card,
        filters: &["pi3", "pi3+"],
        start: Some("start.elf"),
        bootable: START,
        kernels_64: &["kernel8.img"],
        kernels_32: ARMV7,
        default_64: false,
        upstream: "bcm2837-rpi-3-b-plus.dtb",
        downstream: "bcm2710-rpi-3-b-plus.dtb",
    },
    Model {
        board: Board::Pi02,
        name: "pi02",
        title: "Raspberry Pi Zero 2 W",
        loader: Loader::Card,
        filters: &["pi0", "pi02"],
        start: Some("start.elf"),
        bootable: START,
        kernels_64: &["kernel8.img"],
        kernels_32: ARMV7,
        default_64: false,
        upstream: "bcm2837-rpi-zero-2-w.dtb",
        downstream: "bcm2710-rpi-zero-2-w.dtb",
    },
    Model {
        board: Board::Pi4,
        name: "pi4",
        title: "Raspberry Pi 4 Model B",
        loader: Loader::Eeprom("2019-05-10"),
        filters: &["pi4"],
        start: Some("start4.elf"),
        bootable: START,
        kernels_64: &["kernel8.img"],
        kernels_32: &["kernel7l.img", "kernel7.img", "kernel.img"],
        default_64: true,
        upstream: "bcm2711-rpi-4-b.dtb",
        downstream: "bcm2711-rpi-4-b.dtb",
    },
    Model {
        board: Board::Pi5,
        name: "pi5",
        title: "Raspberry Pi 5",
        loader: Loader::Eeprom("2023-09-13"),
        filters: &["pi5"],
        start: None,
        bootable: ("config", ".txt"),
        kernels_64: &["kernel_2712.img", "kernel8.img"],
        kernels_32: &[],
        default_64: true,
        upstream: "bcm2712-rpi-5-b.dtb",
        downstream: "bcm2712-rpi-5-b.dtb",
    },
];

impl Board {
    /// All of them, the oldest first.
    pub fn all() -> impl Iterator<Item = Self> {
        MODELS.iter().map(|model| model.board)
    }

    /// Its name on the command line: `pi4`.
    pub fn name(self) -> &'static str {
        self.model().name
    }

    /// The file on the boot partition that is its firmware; none where that is in the EEPROM.
    pub fn start_file(self) -> Option<&'static str> {
        self.model().start
    }

    /// What people call it.
    pub fn title(self) -> &'static str {
        self.model().title
    }

    /// The name of its device tree: that of Linux, or of the vendor's kernel.
    pub fn device_tree(self, upstream: bool) -> &'static str {
        let model = self.model();
        if upstream { model.upstream } else { model.downstream }
    }

    /// Whether there was a boot EEPROM for it on a day, or it has none that could be too new.
    pub(super) fn existed(self, date: &str) -> bool {
        match self.model().loader {
            Loader::Card => true,
            Loader::Eeprom(oldest) => oldest <= date,
        }
    }

    /// The model of a name.
    ///
    /// # Errors
    ///
    /// Another name is wrong input; the nearest is said.
    pub fn find(name: &str) -> anyhow::Result<Self> {
        if let Some(model) = MODELS.iter().find(|model| model.name == name) {
            return Ok(model.board);
        }
        let nearest = MODELS
            .iter()
            .map(|model| (strsim::jaro_winkler(model.name, name), model.name))
            .max_by(|a, b| a.0.total_cmp(&b.0));
        let nearest = nearest.map_or("pi4", |(_, nearest)| nearest);
        let all: Vec<String> = MODELS
            .iter()
            .map(|model| format!("{} ({})", model.name, model.title))
            .collect();
        Err(input_error!(
            "there is no board `{name}`; did you mean `{nearest}`? there are {}",
            all.join(", ")
        ))
    }

    pub(super) fn model(self) -> &'static Model {
        MODELS
            .iter()
            .find(|model| model.board == self)
            .expect("each board has its line, which a test counts")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_board_has_one_line_and_a_name() {
        assert_eq!(MODELS.len(), 7);
        for board in Board::all() {
            assert_eq!(Board::find(board.name()).unwrap(), board);
        }
        let error = Board::find("pi44").unwrap_err();
        assert!(error.to_string().contains("did you mean `pi4`"), "{error}");
        assert_eq!(crate::failure::exit_code(&error), 2);
    }
}
