//! The boards that QEMU has, each started as its firmware would: a Raspberry Pi from what the firmware model takes out of
//! the image, a machine with UEFI from its disk.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use pkgbuilder::assemble::firmware;

use super::network::Host;

/// Kept from the Pi's kernels: the watchdog, for QEMU's model of it has no timer: arming it resets the machine at once
/// (`hw/misc/bcm2835_powermgt.c`); and `cdc_subset`, which claims QEMU's network adapter whenever it is loaded before the
/// right driver, and gives it a random address.
const PI: &str = "module_blacklist=bcm2835_wdt,cdc_subset";

/// One of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Board {
    /// A Pi 3, 1 GiB.
    Pi3,
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
            Self::Pi3 => "ttyS1",
            Self::Zero | Self::Virt(_) => "ttyAMA0",
            Self::Pc(_) => "ttyS0",
        }
    }

    /// Whether its network adapter hangs on QEMU's model of the Pi's USB controller.
    pub(crate) fn has_usb_network(self) -> bool {
        matches!(self, Self::Pi3 | Self::Zero)
    }

    /// What starts it with a card or disk; files that it needs besides go to `folder`.
    pub(crate) fn start(self, image: &Path, folder: &Path, host: &Host) -> Result<Start> {
        let mut arguments = Arguments::default();
        let program = match self {
            Self::Pi3 | Self::Zero => self.raspberry_pi(image, folder, &mut arguments)?,
            Self::Pc(memory) => {
                arguments.add("-M q35 -cpu max -smp 2");
                arguments.add(&format!("-m {memory}"));
                self.uefi(
                    "/usr/share/OVMF/OVMF_CODE_4M.fd",
                    "/usr/share/OVMF/OVMF_VARS_4M.fd",
                    image,
                    folder,
                    &mut arguments,
                )?;
                "qemu-system-x86_64"
            }
            Self::Virt(memory) => {
                arguments.add("-M virt -cpu cortex-a57 -smp 2");
                arguments.add(&format!("-m {memory}"));
                self.uefi(
                    "/usr/share/AAVMF/AAVMF_CODE.fd",
                    "/usr/share/AAVMF/AAVMF_VARS.fd",
                    image,
                    folder,
                    &mut arguments,
                )?;
                "qemu-system-aarch64"
            }
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
        arguments.pair("-dtb", file("board.dtb", &taken.device_tree)?);
        // QEMU has no power controller for the driver to find, and the watchdog is no module there.
        let lacking = if self == Self::Zero {
            " initcall_blacklist=bcm2835_power_driver_init,bcm2835_wdt_driver_init"
        } else {
            ""
        };
        arguments.pair(
            "-append",
            format!("{} systemd.debug_shell={} {PI}{lacking}", taken.cmdline, self.console()),
        );
        arguments.pair("-drive", format!("file={},if=sd,format=raw", image.display()));
        // The Pi 3's console is its second serial port.
        if self == Self::Pi3 {
            arguments.add("-serial null");
        }
        Ok(program)
    }

    /// The firmware, with variables of its own, which outlive a boot; the stub takes more command line from SMBIOS
    /// (systemd-stub(7)).
    fn uefi(self, code: &str, variables: &str, image: &Path, folder: &Path, arguments: &mut Arguments) -> Result<()> {
        let own: PathBuf = folder.join("variables.fd");
        if !own.exists() {
            // Sparse as it is: most of it is nothing.
            let status = std::process::Command::new("cp")
                .arg("--sparse=always")
                .args([Path::new(variables), &own])
                .status()?;
            anyhow::ensure!(
                status.success(),
                "there is no {variables} (packages ovmf and qemu-efi-aarch64)"
            );
        }
        arguments.pair("-drive", format!("if=pflash,format=raw,unit=0,readonly=on,file={code}"));
        arguments.pair("-drive", format!("if=pflash,format=raw,unit=1,file={}", own.display()));
        arguments.pair("-drive", format!("file={},if=virtio,format=raw", image.display()));
        arguments.pair(
            "-smbios",
            format!(
                "type=11,value=io.systemd.stub.kernel-cmdline-extra=systemd.debug_shell={}",
                self.console()
            ),
        );
        Ok(())
    }
}

#[derive(Default)]
struct Arguments(Vec<String>);

impl Arguments {
    fn add(&mut self, words: &str) {
        self.0.extend(words.split(' ').map(str::to_owned));
    }

    fn pair(&mut self, name: &str, value: String) {
        self.0.extend([name.to_owned(), value]);
    }
}
