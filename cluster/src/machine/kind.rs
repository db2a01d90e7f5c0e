//! The machines that nodes can be.

use super::Accelerator;

/// The machines that an image of a target runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A PC with UEFI (QEMU's `q35`).
    Pc,
    /// An Arm machine with UEFI (QEMU's `virt`).
    Virt,
    /// A Raspberry Pi 3 (QEMU's `raspi3b`).
    Pi3,
}

/// A machine's UEFI.
#[derive(Clone, Copy, Debug)]
pub(super) struct Uefi {
    pub(super) architecture: &'static str,
    pub(super) machine: &'static str,
    pub(super) packages: &'static str,
}

/// What a machine has, whatever a topology says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fixed {
    /// Processors.
    pub cpus: u32,
    /// Memory in MiB.
    pub memory_mib: u32,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Pc, Self::Virt, Self::Pi3];

    /// The machine for a target.
    ///
    /// # Errors
    /// There is none: which targets have one.
    pub fn of(target: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.target() == target)
            .ok_or_else(|| {
                let [pc, virt, pi] = Self::ALL.map(Self::target);
                format!("`{target}` is no target that a virtual machine boots; use `{pc}`, `{virt}` or `{pi}`")
            })
    }

    /// The target whose images it boots.
    pub const fn target(self) -> &'static str {
        match self {
            Self::Pc => "uefi-amd64",
            Self::Virt => "uefi-arm64",
            Self::Pi3 => "raspberrypi-arm64",
        }
    }

    /// The definition whose image it boots, unless the topology names one.
    pub const fn image(self) -> &'static str {
        match self {
            Self::Pc | Self::Virt => "vm",
            Self::Pi3 => "home",
        }
    }

    /// What it has, if that cannot be chosen (QEMU's documentation of the `raspi3b`).
    pub const fn fixed(self) -> Option<Fixed> {
        match self {
            Self::Pc | Self::Virt => None,
            Self::Pi3 => Some(Fixed {
                cpus: 4,
                memory_mib: 1024,
            }),
        }
    }

    /// Whether it can be told to shut itself down.
    pub(crate) const fn has_power_button(self) -> bool {
        match self {
            Self::Pc | Self::Virt => true,
            Self::Pi3 => false,
        }
    }

    /// QEMU's program.
    pub const fn program(self) -> &'static str {
        match self {
            Self::Pc => "qemu-system-x86_64",
            Self::Virt | Self::Pi3 => "qemu-system-aarch64",
        }
    }

    /// What to do where QEMU is not installed.
    pub(super) fn missing(self) -> String {
        let package = match self {
            Self::Pc => "qemu-system-x86",
            Self::Virt | Self::Pi3 => "qemu-system-arm",
        };
        format!(
            "{} is not there: install QEMU (Debian's packages {package} and qemu-utils)",
            self.program()
        )
    }

    /// Its UEFI: architecture and machine as firmware descriptions name them, and the packages that have it. A Raspberry Pi has none.
    pub(super) const fn uefi(self) -> Option<Uefi> {
        match self {
            Self::Pc => Some(Uefi {
                architecture: "x86_64",
                machine: "pc-q35-",
                packages: "ovmf on Debian, edk2-ovmf on Fedora and Arch",
            }),
            Self::Virt => Some(Uefi {
                architecture: "aarch64",
                machine: "virt-",
                packages: "qemu-efi-aarch64 on Debian, edk2-aarch64 on Fedora and Arch",
            }),
            Self::Pi3 => None,
        }
    }

    /// The machine and its processor; where these can be chosen, its source of randomness and how long its firmware waits.
    pub fn arguments(self, accelerator: Accelerator) -> Vec<&'static str> {
        let (machine, processor) = match (self, accelerator) {
            (Self::Pc, Accelerator::Kvm) => ("q35", "host"),
            // QEMU 7.2 emulates cmpxchg16b wrongly: the kernel's allocator crashes by it within minutes. And without SVM nobody loads
            // the module of a KVM that is of no use here.
            (Self::Pc, Accelerator::Tcg) => ("q35", "qemu64,-cx16,-svm"),
            (Self::Virt, Accelerator::Kvm) => ("virt,gic-version=host", "host"),
            // With E0PD, so that a kernel at an address of chance needs no page tables of its own: QEMU forgets all addresses that it
            // has looked up at each change of tables, which would be at each system call. SVE is slow to emulate, and so is the
            // signing of return addresses, which kernel and programs do in each function of a processor that can.
            (Self::Virt, Accelerator::Tcg) => ("virt", "max,pauth=off,sve=off"),
            (Self::Pi3, _) => return vec!["-machine", "raspi3b"],
        };
        vec![
            "-machine",
            machine,
            "-cpu",
            processor,
            // The firmware hands a seed to the kernel only where there is a source of randomness; without one the first who asks
            // for some waits until the kernel has gathered it, 10 s in emulation.
            "-device",
            "virtio-rng-pci",
            // The firmware for Arm waits five seconds for somebody who wants its menu, unless it has one that waits for nobody.
            "-boot",
            "menu=on,splash-time=0",
        ]
    }

    /// What kernel and `/init` are told besides their own command line; see [`more_words`].
    pub fn command_line(self, accelerator: Accelerator) -> Option<String> {
        let kernel = match (self, accelerator) {
            // QEMU counts it by the host's clock. A machine that waits for a processor of a busy host takes it for broken, and
            // from then on asks the HPET, which leaves the emulated processor each time.
            (Self::Pc, Accelerator::Tcg) => Some("tsc=reliable".to_owned()),
            _ => None,
        };
        let words: Vec<String> = kernel.into_iter().chain(accelerator.words()).collect();
        (!words.is_empty()).then(|| words.join(" "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn emulated_machines_alone_are_told_more() {
        let told = |kind: Kind, accelerator| kind.command_line(accelerator).unwrap_or_default();
        assert_eq!(
            told(Kind::Pc, Accelerator::Tcg),
            "tsc=reliable computatom.timerslack_ns=1000000"
        );
        assert_eq!(told(Kind::Virt, Accelerator::Tcg), "computatom.timerslack_ns=1000000");
        assert_eq!(Kind::Pc.command_line(Accelerator::Kvm), None);
        assert_eq!(Kind::Virt.command_line(Accelerator::Kvm), None);
    }
}
