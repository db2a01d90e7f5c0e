//! One boot of the other slot: a flag that the boot loader forgets when it has followed it.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result, ensure};

use super::Slot;
use super::menu::entry;

/// What makes the next boot a trial.
pub trait Arm {
    /// Asks for one boot of `slot`.
    ///
    /// # Errors
    ///
    /// Fails if the firmware does not take it.
    fn arm(&mut self, slot: Slot) -> Result<()>;
}

/// Properties of the firmware of a Raspberry Pi
/// (github.com/raspberrypi/firmware/wiki/Mailbox-property-interface).
pub trait Mailbox {
    /// Sends a property with one word, and returns the word of the answer.
    ///
    /// # Errors
    ///
    /// Fails if the firmware does not know the property.
    fn property(&mut self, tag: u32, value: u32) -> Result<u32>;
}

/// `RPI_FIRMWARE_GET_REBOOT_FLAGS` (`include/soc/bcm2835/raspberrypi-firmware.h` of the vendor's kernel).
pub const GET_REBOOT_FLAGS: u32 = 0x0003_0064;
/// `RPI_FIRMWARE_SET_REBOOT_FLAGS`.
pub const SET_REBOOT_FLAGS: u32 = 0x0003_8064;
/// The flag that is tryboot.
pub const TRYBOOT: u32 = 1;

/// The one-shot flag of the Raspberry Pi's firmware.
#[derive(Debug)]
pub struct Tryboot<M>(pub M);

impl<M: Mailbox> Arm for Tryboot<M> {
    fn arm(&mut self, _: Slot) -> Result<()> {
        self.0.property(SET_REBOOT_FLAGS, TRYBOOT)?;
        let kept = self.0.property(GET_REBOOT_FLAGS, 0)?;
        ensure!(
            kept & TRYBOOT != 0,
            "the firmware did not keep the tryboot flag: it is too old; update the boot loader (rpi-eeprom), or the \
             boot files of this slot"
        );
        Ok(())
    }
}

/// `/dev/vcio` of the vendor's kernel.
#[derive(Debug)]
pub struct Vcio(File);

impl Vcio {
    /// Opens it.
    ///
    /// # Errors
    ///
    /// Fails where the kernel has no such device.
    pub fn open(path: &Path) -> Result<Self> {
        let opened = File::options().read(true).write(true).open(path);
        opened.map(Self).with_context(|| {
            format!(
                "opening {} (Debian's kernel has no way to the firmware's mailbox: trials need the Raspberry Pi kernel)",
                path.display()
            )
        })
    }
}

impl Mailbox for Vcio {
    #[allow(unsafe_code, reason = "an ioctl has no safe wrapper")]
    fn property(&mut self, tag: u32, value: u32) -> Result<u32> {
        /// `IOCTL_MBOX_PROPERTY`, `_IOWR(100, 0, char *)` (`drivers/char/broadcom/vcio.c`).
        const PROPERTY: rustix::ioctl::Opcode = rustix::ioctl::opcode::read_write::<*mut u8>(100, 0);
        /// The firmware's "this word is an answer".
        const ANSWERED: u32 = 1 << 31;
        // Length of all, request, tag, room for the value, length of the value, value, end.
        let mut message = [28, 0, tag, 4, 4, value, 0];
        // SAFETY: the kernel copies as many bytes in and out as the first word says, which is the size of the array.
        unsafe { rustix::ioctl::ioctl(&self.0, rustix::ioctl::Updater::<PROPERTY, [u32; 7]>::new(&mut message)) }
            .context("asking the firmware")?;
        ensure!(
            message[4] & ANSWERED != 0,
            "the firmware does not know property {tag:#010x}: it is older than tryboot; update it"
        );
        Ok(message[5])
    }
}

/// `LoaderEntryOneShot` of systemd-boot (systemd.io/BOOT_LOADER_INTERFACE), through efivarfs.
#[derive(Debug)]
pub struct OneShot<'p> {
    /// Where efivarfs is mounted.
    pub folder: &'p Path,
}

impl OneShot<'_> {
    /// The variable's file: its name and the loader's GUID.
    pub const FILE: &'static str = "LoaderEntryOneShot-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f";
}

impl Arm for OneShot<'_> {
    fn arm(&mut self, slot: Slot) -> Result<()> {
        /// Non-volatile, for boot services and for us (UEFI specification 2.10, section 8.2).
        const ATTRIBUTES: u32 = 7;
        let path = self.folder.join(Self::FILE);
        let mut bytes = ATTRIBUTES.to_le_bytes().to_vec();
        let text = entry(slot).encode_utf16().chain([0]);
        bytes.extend(text.flat_map(u16::to_le_bytes));
        // One write is one SetVariable. A variable that is there is protected from being changed by accident.
        let written = unprotect(&path).and_then(|()| File::create(&path)?.write_all(&bytes));
        written.with_context(|| format!("setting {} (is efivarfs mounted, and writable?)", path.display()))?;
        let kept = fs::read(&path).with_context(|| format!("reading {}", path.display()))?;
        ensure!(
            kept == bytes,
            "the firmware did not keep the variable LoaderEntryOneShot"
        );
        Ok(())
    }
}

/// Drops the immutable flag of a variable that is there.
fn unprotect(path: &Path) -> std::io::Result<()> {
    use rustix::fs::{IFlags, ioctl_getflags, ioctl_setflags};
    let Ok(file) = File::open(path) else { return Ok(()) };
    if let Ok(flags) = ioctl_getflags(&file)
        && flags.contains(IFlags::IMMUTABLE)
    {
        ioctl_setflags(&file, flags - IFlags::IMMUTABLE)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A firmware with one register; one that is too old takes everything and keeps nothing.
    struct Firmware {
        flags: u32,
        old: bool,
    }

    impl Mailbox for Firmware {
        fn property(&mut self, tag: u32, value: u32) -> Result<u32> {
            match tag {
                SET_REBOOT_FLAGS if !self.old => self.flags = value,
                SET_REBOOT_FLAGS | GET_REBOOT_FLAGS => {}
                _ => anyhow::bail!("unknown"),
            }
            Ok(self.flags)
        }
    }

    #[test]
    fn the_flag_is_read_back() {
        let mut firmware = Tryboot(Firmware { flags: 0, old: false });
        firmware.arm(Slot::B).unwrap();
        assert_eq!(firmware.0.flags, 1);
        let error = Tryboot(Firmware { flags: 0, old: true }).arm(Slot::B).unwrap_err();
        assert!(error.to_string().contains("did not keep"), "{error:#}");
    }

    #[test]
    fn the_variable_is_what_systemd_boot_reads() {
        let folder = tempfile::tempdir().unwrap();
        let mut one_shot = OneShot { folder: folder.path() };
        for slot in Slot::BOTH {
            one_shot.arm(slot).unwrap();
            let bytes = fs::read(folder.path().join(OneShot::FILE)).unwrap();
            let units: Vec<u16> = bytes[4..]
                .chunks(2)
                .map(|unit| u16::from_le_bytes([unit[0], unit[1]]))
                .collect();
            assert_eq!(bytes[..4], [7, 0, 0, 0]);
            assert_eq!(String::from_utf16(&units).unwrap(), format!("node-{slot}.efi\0"));
        }
        assert!(
            OneShot {
                folder: &folder.path().join("none")
            }
            .arm(Slot::A)
            .is_err()
        );
    }
}
