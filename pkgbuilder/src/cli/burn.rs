//! `pkgbuilder burn`: an image to a card.

use std::fs::File;
use std::io::{BufRead, IsTerminal};
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::burn::drives::{Drive, Machine};
use crate::burn::image::Image;
use crate::burn::keep;
use crate::burn::medium::{Medium, Opened};
use crate::burn::secrets;
use crate::burn::write;
use crate::failure::Answer;
use crate::housekeeping::quantity;
use crate::reporter::Reporter;
use crate::{bail_input, interrupt};

/// Write an image to a card, and read it back.
///
/// Without DEVICE, the cards and sticks of this machine are listed (`*` marks the likely ones), and nothing is written.
///
/// Only the blocks that the .bmap beside the image names are written, the partition table last: a card whose burning was
/// interrupted starts no board. All of them are then read back from the card. The image is checked against SHA256SUMS
/// beside it first. What the card held is lost, the node's DATA too without --keep-data.
#[derive(Debug, Args)]
#[command(after_help = "\
Exit codes: 0 burned and read back; 2 the image or the device is none to burn, or none was named; 1 the card fails; 130
interrupted.

Examples:
  pkgbuilder burn out/home-raspberrypi-arm64.img.zst
  pkgbuilder burn out/home-raspberrypi-arm64.img.zst /dev/sdX
  pkgbuilder burn out/home-raspberrypi-arm64.img.zst /dev/sdX --keep-data
  pkgbuilder burn out/home-raspberrypi-arm64.img.zst /dev/sdX --secrets wifi.json
  pkgbuilder burn out/home-raspberrypi-arm64.img.zst --json | jq -r '.[] | select(.plausible) | .path'")]
pub(super) struct Arguments {
    /// An image: .img.zst, .img.xz or .img.
    #[arg(value_name = "IMAGE")]
    image: PathBuf,

    /// The card: a whole disk, such as /dev/sda; or an existing file, which becomes the image if it is empty.
    #[arg(value_name = "DEVICE")]
    device: Option<PathBuf>,

    /// Keep the DATA of the node that the card is of: its partition is entered into the new table.
    #[arg(long, requires = "device")]
    keep_data: bool,

    /// Put a file of secrets onto the card, which the board moves to its DATA on the first boot:
    /// {"wifi": {"ssid": "...", "psk": "..."}}.
    #[arg(long, value_name = "FILE", requires = "device")]
    secrets: Option<PathBuf>,

    /// Do not ask.
    #[arg(long, short)]
    yes: bool,

    /// Print the list of devices as JSON.
    #[arg(long, conflicts_with = "device")]
    json: bool,
}

impl Arguments {
    pub(super) fn run(self, reporter: &Reporter) -> Result<()> {
        let machine = Machine::default();
        let Some(device) = &self.device else {
            if !self.image.is_file() {
                bail_input!("there is no image {}: build one, or name another", self.image.display());
            }
            return self.list(&machine, reporter);
        };
        let given = self.secrets.as_deref().map(|path| secrets::Given::read(path, reporter));
        let given = given.transpose()?;
        let target = Target::choose(&machine, device)?;
        let mut image = Image::open(&self.image, reporter)?;
        if !image.vouched() {
            reporter.step(format_args!(
                "no SHA256SUMS beside {} has its digest, so it is not checked",
                image.name()
            ));
        }
        target.fits(image.size())?;
        if self.keep_data {
            let card = File::open(device).with_context(|| format!("opening {}", device.display()))?;
            let size = keep::data(&mut image, &card, target.room()?)?;
            reporter.step(format_args!(
                "DATA is kept ({}), the rest is not",
                quantity::bytes(size)
            ));
        }
        if let Some(given) = &given {
            secrets::put(&mut image, given)?;
            reporter.step("secrets go onto the first partition of the card, until its first boot");
        }
        self.consent(&target, reporter)?;
        let mut medium = Opened::open(device)?;
        medium.fit(image.size())?;
        if medium.size() < image.size() {
            bail_input!("{}", too_small(medium.name(), medium.size(), image.size()));
        }
        let burned = write::burn(&image, &medium, reporter)?;
        let seen = medium.reread_table();
        reporter.step(burned.summary(&image.name(), medium.name()));
        if !seen {
            reporter.step("the kernel has not read the new partition table: take the card out, it is ready");
        }
        Ok(())
    }

    fn list(&self, machine: &Machine, reporter: &Reporter) -> Result<()> {
        let drives = machine.removable()?;
        if self.json {
            let listed: Vec<_> = drives.iter().map(Drive::to_json).collect();
            super::print(&format!("{}\n", serde_json::to_string_pretty(&listed)?))?;
        } else {
            super::print(&drives.iter().map(Drive::describe).collect::<String>())?;
        }
        let image = self.image.display();
        reporter.step(if drives.is_empty() {
            "there is no card and no stick: put one in, and see whether `lsblk` shows it".to_owned()
        } else {
            format!("nothing is written: name one of them, as in `pkgbuilder burn {image} /dev/sdX`")
        });
        Err(Answer(2).into())
    }

    /// Shows what will be lost, and asks.
    fn consent(&self, target: &Target, reporter: &Reporter) -> Result<()> {
        let name = target.path.display();
        let Some(mut lost) = target.lost()? else {
            return Ok(());
        };
        if self.keep_data {
            lost.push_str("\n  DATA is kept");
        }
        if self.yes {
            reporter.step(lost);
            return Ok(());
        }
        if !std::io::stdin().is_terminal() {
            bail_input!("{lost}\nburning {name} loses it: say --yes, as there is no terminal to ask on");
        }
        if !matches!(answer(&format!("{lost}\nburn {name}? (yes/no) "))?.trim(), "yes" | "y") {
            bail_input!("nothing is written: you have not said yes");
        }
        Ok(())
    }
}

/// What is to be burned.
struct Target {
    path: PathBuf,
    /// None of a file.
    drive: Option<Drive>,
}

impl Target {
    fn choose(machine: &Machine, path: &Path) -> Result<Self> {
        let name = path.display();
        let metadata = match std::fs::metadata(path) {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => bail_input!(
                "there is no {name}: `pkgbuilder burn IMAGE` lists the cards of this machine (a file has to be there, and may \
                 be empty)"
            ),
            Err(error) => return Err(error).with_context(|| format!("looking at {name}")),
        };
        let kind = metadata.file_type();
        let drive = if kind.is_block_device() {
            let drive = machine.find(path)?;
            if let Some(objection) = drive.objection() {
                bail_input!("{objection}");
            }
            Some(drive)
        } else if kind.is_file() {
            None
        } else {
            bail_input!("{name} is neither a block device nor a file: name the card, such as /dev/sdX");
        };
        Ok(Self {
            path: path.to_owned(),
            drive,
        })
    }

    fn fits(&self, size: u64) -> Result<()> {
        let room = self.room()?;
        // An empty file is made as large as it has to be.
        if room < size && (room > 0 || self.drive.is_some()) {
            bail_input!("{}", too_small(&self.path.display().to_string(), room, size));
        }
        Ok(())
    }

    fn room(&self) -> Result<u64> {
        match &self.drive {
            Some(drive) => Ok(drive.size),
            None => self.length(),
        }
    }

    fn length(&self) -> Result<u64> {
        let metadata = std::fs::metadata(&self.path).with_context(|| format!("looking at {}", self.path.display()))?;
        Ok(metadata.len())
    }

    /// What will be lost; nothing of an empty file.
    fn lost(&self) -> Result<Option<String>> {
        let Some(drive) = &self.drive else {
            let length = self.length()?;
            let text = format!("{} has {length} bytes, which will be written over", self.path.display());
            return Ok((length > 0).then_some(text));
        };
        let mut text = format!(
            "all on {} will be lost ({}, {})",
            self.path.display(),
            if drive.model.is_empty() {
                "no model"
            } else {
                &drive.model
            },
            quantity::bytes(drive.size)
        );
        for part in &drive.partitions {
            text.push_str("\n  ");
            text.push_str(&part.describe());
        }
        if drive.partitions.is_empty() {
            text.push_str("\n  no partitions");
        }
        if !drive.removable {
            text.push_str("\n  it is no card and no stick: are you sure?");
        }
        Ok(Some(text))
    }
}

fn too_small(name: &str, room: u64, size: u64) -> String {
    format!(
        "{name} has {room} bytes ({}), and the image needs {size} ({}): take a larger card",
        quantity::bytes(room),
        quantity::bytes(size)
    )
}

/// Asks, and waits for a line or for Ctrl-C.
#[allow(clippy::print_stderr, reason = "a question stays on its line")]
fn answer(question: &str) -> Result<String> {
    use std::io::Write;
    eprint!("{question}");
    std::io::stderr().flush().context("asking")?;
    let (sender, receiver) = mpsc::channel();
    // Reading cannot be interrupted; if nobody waits for the line any more, it is lost with the process.
    std::thread::spawn(move || {
        let mut line = String::new();
        let read = std::io::stdin().lock().read_line(&mut line);
        let _ = sender.send(read.map(|_| line));
    });
    loop {
        interrupt::check()?;
        match receiver.recv_timeout(Duration::from_millis(100)) {
            Ok(line) => return line.context("reading your answer"),
            Err(mpsc::RecvTimeoutError::Timeout) => {}
            Err(mpsc::RecvTimeoutError::Disconnected) => bail!("nobody reads your answer"),
        }
    }
}
