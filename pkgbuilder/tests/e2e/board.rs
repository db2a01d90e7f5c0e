//! The boards that QEMU has, each started as its firmware would: a Raspberry Pi from what the firmware model takes out of
//! the image, a machine with UEFI from its disk.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use computatom_cluster::machine::raspberry_pi::WITHOUT_MODULES;
use computatom_cluster::machine::{Accelerator, Firmware, Kind, more_words};
use pkgbuilder::assemble::firmware;

use super::network::Host;
use super::write_log::SECTOR;

/// One of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Board {
    /// A Pi 3, 1 GiB.
    Pi3,
    /// A Pi 3 B+, of which QEMU has the processor and not the network adapter: its light hangs on the processor itself.
    Pi3Plus,
    /// A Pi Zero, 512 MiB.
    Zero,
    /// A PC with UEFI, as many MiB of memory as named.
    Pc(u32),
    /// QEMU's Arm machine with UEFI, as many MiB of memory as named.
    Virt(u32),
}

/// How QEMU is started for a board.
pub(crate) struct Start {
    /// QEMU's program.
    pub(crate) program: &'static str,
    /// Its arguments but for those that every board has.
    pub(crate) arguments: Vec<String>,
}

impl Board {
    /// The serial console that `systemd.debug_shell=` gives a root shell: for a person with a cable, and for us.
    fn console(self) -> &'static str {
        match self {
            Self::Pi3 | Self::Pi3Plus => "ttyS1",
            Self::Zero | Self::Virt(_) => "ttyAMA0",
            Self::Pc(_) => "ttyS0",
        }
    }

    /// Whether its network adapter hangs on QEMU's model of the Pi's USB controller.
    pub(crate) fn has_usb_network(self) -> bool {
        matches!(self, Self::Pi3 | Self::Pi3Plus | Self::Zero)
    }

    /// What starts it with a card or disk, whose writes are logged if there is a `log`; files that it needs besides go to `folder`.
    pub(crate) fn start(self, image: &Path, log: Option<&Path>, folder: &Path, host: &Host) -> Result<Start> {
        let mut arguments = Arguments::default();
        arguments.disk(self, image, log)?;
        let program = match self {
            Self::Pi3 | Self::Pi3Plus | Self::Zero => self.raspberry_pi(image, folder, &mut arguments)?,
            Self::Pc(memory) => self.uefi(Kind::Pc, memory, folder, &mut arguments)?,
            Self::Virt(memory) => self.uefi(Kind::Virt, memory, folder, &mut arguments)?,
        };
        arguments.pair(
            "-netdev",
            format!("tap,id=n0,ifname={},script=no,downscript=no", host.tap),
        );
        // An empty option ROM: nothing is to start from the network.
        let adapter = if self.has_usb_network() {
            "usb-net"
        } else {
            "virtio-net-pci,romfile="
        };
        arguments.pair("-device", format!("{adapter},netdev=n0,mac={}", host.mac));
        Ok(Start {
            program,
            arguments: arguments.0,
        })
    }

    fn raspberry_pi(self, image: &Path, folder: &Path, arguments: &mut Arguments) -> Result<&'static str> {
        let (program, machine, model) = match self {
            Self::Zero => ("qemu-system-arm", "raspi0 -m 512", firmware::Board::Pi0),
            Self::Pi3Plus => ("qemu-system-aarch64", "raspi3b -m 1024", firmware::Board::Pi3Plus),
            _ => ("qemu-system-aarch64", "raspi3b -m 1024", firmware::Board::Pi3),
        };
        let taken = firmware::boot(image, model, &firmware::Options::default())
            .with_context(|| format!("asking the firmware model what a {model:?} would boot"))?;
        let file = |name: &str, bytes: &[u8]| -> Result<String> {
            let path = folder.join(name);
            fs::write(&path, bytes)?;
            Ok(path.display().to_string())
        };
        arguments.add(&format!("-M {machine}"));
        arguments.pair("-kernel", file("kernel", &taken.kernel)?);
        arguments.pair("-initrd", file("initramfs", &taken.initramfs)?);
        let device_tree = file("board.dtb", &taken.device_tree)?;
        if self == Self::Pi3Plus {
            // QEMU has no chip for the light of the power, for want of which the driver takes up neither.
            let status = std::process::Command::new("fdtput")
                .args(["-r", &device_tree, "/leds/led-pwr"])
                .status()
                .context("running fdtput (package device-tree-compiler)")?;
            ensure!(status.success(), "there is no light of the power in {device_tree}");
        }
        arguments.pair("-dtb", device_tree);
        // QEMU has no power controller for the driver to find, and the watchdog is no module there.
        let lacking = if self == Self::Zero {
            " initcall_blacklist=bcm2835_power_driver_init,bcm2835_wdt_driver_init"
        } else {
            ""
        };
        arguments.pair(
            "-append",
            format!(
                "{} systemd.debug_shell={} module_blacklist={WITHOUT_MODULES}{lacking}",
                taken.cmdline,
                self.console()
            ),
        );
        // The Pi 3's console is its second serial port.
        if self != Self::Zero {
            arguments.add("-serial null");
        }
        Ok(program)
    }

    /// The machine that `pkgbuilder cluster` makes, with the firmware and its own variables, which outlive a boot.
    fn uefi(self, kind: Kind, memory: u32, folder: &Path, arguments: &mut Arguments) -> Result<&'static str> {
        let firmware = Firmware::find(kind)?.context("it has UEFI")?;
        let variables = folder.join("variables.fd");
        firmware.give_variables(&variables)?;
        arguments.add(&kind.arguments(Accelerator::Tcg).join(" "));
        arguments.add(&format!("-smp 2 -m {memory}"));
        for drive in firmware.drives(&variables.display().to_string()) {
            arguments.pair("-drive", drive);
        }
        let mut words = format!("systemd.debug_shell={}", self.console());
        if let Some(more) = kind.command_line(Accelerator::Tcg) {
            words.extend([" ", &more]);
        }
        arguments.pair("-smbios", more_words(&words));
        Ok(kind.program())
    }
}

#[derive(Default)]
struct Arguments(Vec<String>);

impl Arguments {
    fn add(&mut self, words: &str) {
        self.0.extend(words.split(' ').map(str::to_owned));
    }

    /// The card or disk.
    fn disk(&mut self, board: Board, image: &Path, log: Option<&Path>) -> Result<()> {
        let kind = if board.has_usb_network() { "sd" } else { "virtio" };
        let Some(log) = log else {
            self.pair("-drive", format!("file={},if={kind},format=raw", image.display()));
            return Ok(());
        };
        ensure!(kind == "virtio", "the writes to a card of a {board:?} cannot be logged");
        for (node, file) in [("disk", image), ("log", log)] {
            self.pair(
                "-blockdev",
                format!("driver=file,node-name={node},filename={}", file.display()),
            );
        }
        let logging = "driver=blklogwrites,node-name=logged,file=disk,log=log,log-sector-size";
        self.pair("-blockdev", format!("{logging}={SECTOR}"));
        self.pair("-device", "virtio-blk-pci,drive=logged".to_owned());
        Ok(())
    }

    fn pair(&mut self, name: &str, value: String) {
        self.0.extend([name.to_owned(), value]);
    }
}
