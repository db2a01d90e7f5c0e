//! What QEMU computes with: the processor itself through KVM where that works, else emulation.

use std::fs;
use std::io::{Read, Write};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use computatom_spec::boot;
use serde::{Deserialize, Serialize};

use super::Kind;

/// What QEMU computes with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Accelerator {
    /// The processor itself.
    Kvm,
    /// Emulation (QEMU's "tiny code generator").
    Tcg,
}

/// How long a machine of one instruction may take; KVM needs a tenth of a second.
const PATIENCE: Duration = Duration::from_secs(5);
/// QEMU's exit code for the byte that [`pc_program`] writes to the port of `isa-debug-exit`: `byte << 1 | 1`.
const PC_CODE: i32 = 0x2a << 1 | 1;

impl Accelerator {
    /// KVM if a machine runs by it. That /dev/kvm is there says little: it may be forbidden, or answer everything and
    /// never run an instruction, as in some nested virtual machines; so a machine that switches itself off is run.
    ///
    /// # Errors
    /// QEMU cannot be started at all.
    pub fn find(kind: Kind) -> Result<Self> {
        // A Raspberry Pi's processor is what it is.
        let Some(uefi) = kind.uefi() else {
            return Ok(Self::Tcg);
        };
        let native = uefi.architecture == std::env::consts::ARCH;
        let usable = fs::File::options().read(true).write(true).open("/dev/kvm").is_ok();
        if native && usable && Self::Kvm.runs(kind, PATIENCE)? {
            Ok(Self::Kvm)
        } else {
            Ok(Self::Tcg)
        }
    }

    /// QEMU's arguments.
    pub(super) fn arguments(self) -> &'static str {
        match self {
            Self::Kvm => "kvm",
            // The buffer for translated code of each machine in MiB; QEMU would take an eighth of the host's memory.
            Self::Tcg => "tcg,thread=multi,tb-size=192",
        }
    }

    /// What `/init` is told. An emulated processor takes long to wake up, and Go's runtimes ask for it several hundred times a second:
    /// half as often when they may be 1 ms late (docs/benchmarks.md).
    pub(super) fn words(self) -> Option<String> {
        match self {
            Self::Kvm => None,
            Self::Tcg => Some(format!("{}=1000000", boot::TIMER_SLACK)),
        }
    }

    /// Whether a machine of a few instructions runs to its end.
    fn runs(self, kind: Kind, patience: Duration) -> Result<bool> {
        let program = match kind {
            Kind::Pc => pc_program(),
            Kind::Virt | Kind::Pi3 => arm_program(),
        };
        let mut file = tempfile::NamedTempFile::new().context("making a temporary file (is $TMPDIR writable?)")?;
        file.write_all(&program).context("writing a temporary file")?;
        let mut command = Command::new(kind.program());
        command.args(["-nodefaults", "-display", "none", "-accel", self.arguments()]);
        match kind {
            Kind::Pc => command.args(["-M", "pc", "-device", "isa-debug-exit,iobase=0x501,iosize=1"]),
            Kind::Virt if self == Self::Kvm => command.args(["-M", "virt,gic-version=host", "-cpu", "host"]),
            Kind::Virt | Kind::Pi3 => command.args(["-M", "virt", "-cpu", "cortex-a57"]),
        };
        let mut child = command
            .arg("-bios")
            .arg(file.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| kind.missing())?;
        let began = Instant::now();
        while began.elapsed() < patience {
            if let Some(status) = child.try_wait()? {
                let mut said = String::new();
                child.stderr.take().map(|mut pipe| pipe.read_to_string(&mut said));
                let expected = if kind == Kind::Pc { PC_CODE } else { 0 };
                return Ok(status.code() == Some(expected) && said.is_empty());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        child.kill()?;
        // Not waited for: a process that hangs inside the kernel does not end by being told so.
        Ok(false)
    }
}

/// 64 KiB whose reset vector (16 bytes before the end) writes a byte to the port that ends QEMU.
fn pc_program() -> Vec<u8> {
    let mut image = vec![0xf4; 1 << 16];
    // mov dx, 0x501; mov al, 0x2a; out dx, al; hlt
    let code = [0xba, 0x01, 0x05, 0xb0, 0x2a, 0xee, 0xf4];
    image[0xfff0..][..code.len()].copy_from_slice(&code);
    image
}

/// What an Arm machine executes first: PSCI's SYSTEM_OFF (Arm DEN 0022, function 0x8400_0008) by a hypervisor call.
fn arm_program() -> Vec<u8> {
    // movz w0, #0x8400, lsl #16; movk w0, #8; hvc #0; b .
    let code: [u32; 4] = [0x52b0_8000, 0x7280_0100, 0xd400_0002, 0x1400_0000];
    code.iter().flat_map(|word| word.to_le_bytes()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_of_one_instruction_ends_by_itself() {
        for kind in Kind::ALL.into_iter().filter(|kind| kind.uefi().is_some()) {
            assert!(Accelerator::Tcg.runs(kind, Duration::from_mins(1)).unwrap(), "{kind:?}");
        }
    }

    #[test]
    fn a_machine_that_does_not_end_is_none() {
        assert!(!Accelerator::Tcg.runs(Kind::Pc, Duration::ZERO).unwrap());
    }
}
