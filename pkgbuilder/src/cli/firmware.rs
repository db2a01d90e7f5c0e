//! `pkgbuilder firmware`: what a Raspberry Pi would start from an image.

use std::fs::File;
use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use serde_json::json;

use crate::assemble::firmware::Board;
use crate::assemble::firmware::card::{Damaged, Harm, ImageCard};
use crate::assemble::firmware::eeprom::Eeprom;
use crate::assemble::firmware::start::{Firmware, Flags, Outcome};
use crate::failure::Answer;
use crate::inspect::image;
use crate::reporter::Reporter;
use crate::{bail_input, input_error};

/// Say which partition, kernel, device tree, command line and root a Raspberry Pi would start from an image, and why.
///
/// A model of the firmware, after its documentation and decisions measured on a Pi 4 (docs/firmware.md); every image for
/// Raspberry Pis is checked with it at the end of its build.
#[derive(Debug, Args)]
#[command(after_help = "\
Exit codes: 0 a kernel is started; 1 the board stays dark; 2 no such image, board or date.

Examples:
  pkgbuilder firmware out/home-raspberrypi-arm64.img.zst --board pi4
  pkgbuilder firmware out/home-raspberrypi-arm64.img.zst --board pi4 --eeprom 2021-04-29
  pkgbuilder firmware out/home-raspberrypi-arm64.img.zst --board pi4 --tryboot --corrupt autoboot.txt
  pkgbuilder firmware out/home-raspberrypi-arm64.img.zst --board pi4 --truncate 2:start4.elf \\
      --eeprom-config BOOT_WATCHDOG_TIMEOUT=45 --eeprom-config BOOT_WATCHDOG_PARTITION=3")]
pub(super) struct Arguments {
    /// An image: .img or .img.zst.
    #[arg(value_name = "IMAGE")]
    image: PathBuf,

    /// Which board: pi1, pi0, pi3, pi3+, pi02 (Zero 2 W), pi4 or pi5.
    #[arg(long, value_name = "NAME")]
    board: String,

    /// Date of the boot EEPROM of a Pi 4 or 5, as `vcgencmd bootloader_version` shows it [default: the newest measured]
    #[arg(long, value_name = "DATE")]
    eeprom: Option<String>,

    /// A setting of the EEPROM, as `rpi-eeprom-config` shows it; repeatable.
    #[arg(long, value_name = "KEY=VALUE")]
    eeprom_config: Vec<String>,

    /// With the one-shot flag of a trial boot.
    #[arg(long)]
    tryboot: bool,

    /// With the partition that a `reboot` named.
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    partition: u8,

    /// As if this file were noise (2:FILE for that of partition 2); repeatable.
    #[arg(long, value_name = "FILE")]
    corrupt: Vec<String>,

    /// As if this file had been cut off in its middle; repeatable.
    #[arg(long, value_name = "FILE")]
    truncate: Vec<String>,

    /// As if this file had no bytes; repeatable.
    #[arg(long, value_name = "FILE")]
    empty: Vec<String>,

    /// As if this file were not there; repeatable.
    #[arg(long, value_name = "FILE")]
    missing: Vec<String>,

    /// Print it as JSON.
    #[arg(long)]
    json: bool,
}

impl Arguments {
    pub(super) fn run(self, reporter: &Reporter) -> Result<()> {
        let board = Board::find(&self.board)?;
        let eeprom = self.eeprom_of(board)?;
        let name = self.image.display();
        let file: File = image::raw(&self.image, reporter)?;
        let card =
            ImageCard::open(&file).map_err(|error| input_error!("{name} is no image for a Raspberry Pi: {error:#}"))?;
        let mut card = Damaged::new(&card);
        for (files, harm) in [
            (&self.corrupt, Harm::Corrupt),
            (&self.truncate, Harm::Truncate),
            (&self.empty, Harm::Empty),
            (&self.missing, Harm::Missing),
        ] {
            for file in files {
                card.harm(file, harm)?;
            }
        }
        let mut firmware = Firmware::new(&card, board, eeprom);
        firmware.reboot(Flags {
            tryboot: self.tryboot,
            partition: self.partition,
        });
        let outcome = firmware.start();
        super::print(&if self.json {
            let value = json!({
                "board": board.name(),
                "starts": outcome.selection(),
                "steps": outcome.steps,
            });
            format!("{}\n", serde_json::to_string_pretty(&value)?)
        } else {
            describe(&outcome)
        })?;
        match outcome.selection() {
            Some(_) => Ok(()),
            None => Err(Answer(1).into()),
        }
    }

    fn eeprom_of(&self, board: Board) -> Result<Eeprom> {
        let mut eeprom = match &self.eeprom {
            Some(date) => Eeprom::on(board, date.parse()?)?,
            None => Eeprom::default(),
        };
        if !self.eeprom_config.is_empty() && Eeprom::on(board, eeprom.date).is_err() {
            bail_input!("a {} has no boot EEPROM: leave --eeprom-config out", board.name());
        }
        for setting in &self.eeprom_config {
            eeprom.set(setting)?;
        }
        Ok(eeprom)
    }
}

fn describe(outcome: &Outcome) -> String {
    let mut lines: Vec<String> = outcome
        .steps
        .iter()
        .map(|step| format!("{:<44} {}", step.decision, step.because))
        .collect();
    match outcome.selection() {
        Some(taken) => {
            lines.push(String::new());
            lines.push(format!(
                "partition    {}{}",
                taken.partition,
                if taken.tryboot { " (a trial)" } else { "" }
            ));
            lines.push(format!("kernel       {}", taken.kernel));
            lines.push(format!("device tree  {}", taken.device_tree));
            if !taken.overlays.is_empty() {
                lines.push(format!("overlays     {}", taken.overlays.join(" ")));
            }
            if !taken.initramfs.is_empty() {
                lines.push(format!("initramfs    {}", taken.initramfs));
            }
            lines.push(format!("command line {}", taken.cmdline));
            let root = taken
                .root
                .map_or_else(|| "none on this card".to_owned(), |root| format!("partition {root}"));
            lines.push(format!("root         {root}"));
        }
        None => lines.push("\nthe board stays dark".to_owned()),
    }
    lines.join("\n") + "\n"
}
