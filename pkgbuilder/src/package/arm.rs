//! Which 32-bit Arm machines a program runs on, as far as its file tells.
//!
//! Debian has two 32-bit Arm architectures, and their programs have the same `e_machine`: armhf is ARMv7 with floats in
//! the registers of the floating-point unit, armel passes them in the integer registers and may not need such a unit
//! (<https://wiki.debian.org/ArmHardFloatPort>). Besides, our armel has to run on an ARM1176 (Pi 1 and Zero), which is
//! ARMv6.

use anyhow::Result;
use computatom_spec::arch::Arch;
use object::elf::{EF_ARM_ABI_FLOAT_HARD, EF_ARM_ABI_FLOAT_SOFT};

use crate::bail_input;

/// `Tag_CPU_arch` and its newest value for armel (v6K, v6KZ) and armhf (v7); "Addenda to, and Errata in, the ABI for
/// the Arm Architecture", section 3.3.5.2.
const CPU_ARCH: u64 = 6;

/// `Tag_ABI_VFP_args`: 1 says that floats are passed in the unit's registers.
const VFP_ARGS: u64 = 28;

/// What a program's file tells.
pub(super) struct Traits<'a> {
    /// `e_flags`.
    pub(super) flags: u32,
    /// `.ARM.attributes`, which programs in C and Rust have; empty without.
    pub(super) attributes: &'a [u8],
    /// `.go.buildinfo`, which programs in Go have; empty without.
    pub(super) build_info: &'a [u8],
}

/// Refuses a program that the machines of `arch` cannot run or link.
pub(super) fn fits(name: &str, program: &Traits<'_>, arch: Arch) -> Result<()> {
    let (foreign, newest, words) = match arch {
        Arch::Armel => (EF_ARM_ABI_FLOAT_HARD, 6, "hard-float"),
        Arch::Armhf => (EF_ARM_ABI_FLOAT_SOFT, 7, "soft-float"),
        // Another machine's program was refused before.
        Arch::Amd64 | Arch::Arm64 => return Ok(()),
    };
    let attributes = attributes(program.attributes);
    if program.flags & foreign != 0 || (arch == Arch::Armel && attributes.vfp_args == Some(1)) {
        bail_input!("{name} is {words}, and so no program for {arch}: the source gave the wrong archive");
    }
    for version in [attributes.cpu_arch.map(cpu_version), go_arm(program.build_info)]
        .into_iter()
        .flatten()
    {
        if version > newest {
            bail_input!("{name} is for ARMv{version}, but {arch} is for ARMv{newest} and up");
        }
    }
    Ok(())
}

/// What we ask of `.ARM.attributes`.
#[derive(Debug, Default, PartialEq, Eq)]
struct Attributes {
    cpu_arch: Option<u64>,
    vfp_args: Option<u64>,
}

/// The version of the architecture that a value of `Tag_CPU_arch` stands for.
fn cpu_version(value: u64) -> u64 {
    match value {
        0..=2 => 4,
        3..=5 => 5,
        6..=9 | 11 | 12 => 6,
        10 | 13 => 7,
        _ => 8,
    }
}

/// Reads the file scope of the section `aeabi`. What is malformed tells nothing: the linker made it, the loader ignores
/// it.
fn attributes(section: &[u8]) -> Attributes {
    let mut found = Attributes::default();
    let Some(aeabi) = section
        .strip_prefix(b"A")
        .and_then(|rest| rest.get(4..))
        .and_then(|rest| rest.strip_prefix(b"aeabi\0"))
    else {
        return found;
    };
    // Tag_File (1) and the length of its scope.
    let Some(mut rest) = aeabi.strip_prefix(&[1]).and_then(|rest| rest.get(4..)) else {
        return found;
    };
    while let Some(tag) = uleb128(&mut rest) {
        // Tags 4, 5, 32 and odd ones from there on hold text; 32 a number and text.
        let text = matches!(tag, 4 | 5) || (tag > 32 && tag % 2 == 1);
        if !text {
            let Some(value) = uleb128(&mut rest) else { break };
            match tag {
                CPU_ARCH => found.cpu_arch = Some(value),
                VFP_ARGS => found.vfp_args = Some(value),
                _ => {}
            }
        }
        if text || tag == 32 {
            let Some(end) = rest.iter().position(|&byte| byte == 0) else {
                break;
            };
            rest = &rest[end + 1..];
        }
    }
    found
}

fn uleb128(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0_u64;
    for shift in (0..63).step_by(7) {
        let (&first, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(first & 0x7f) << shift;
        if first & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

/// The number in `GOARM`, as Go writes it into its programs (`build\tGOARM=6,softfloat`); nothing before Go 1.18.
fn go_arm(section: &[u8]) -> Option<u64> {
    let key = b"build\tGOARM=";
    let at = section.windows(key.len()).position(|window| window == key)?;
    let digit = *section.get(at + key.len())?;
    char::from(digit).to_digit(10).map(u64::from)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// An `.ARM.attributes` as Debian's compilers write it: `Tag_CPU_name`, the architecture, the passing of floats.
    fn section(cpu_name: &str, cpu_arch: u8, vfp_args: Option<u8>) -> Vec<u8> {
        let mut tags = vec![5];
        tags.extend(cpu_name.as_bytes());
        tags.extend([0, 6, cpu_arch, 8, 1, 9, 1]);
        if let Some(value) = vfp_args {
            tags.extend([28, value]);
        }
        let mut section = b"A\0\0\0\0aeabi\0\x01\0\0\0\0".to_vec();
        section.extend(tags);
        section
    }

    fn judged(flags: u32, attributes: &[u8], build_info: &[u8], arch: Arch) -> Result<(), String> {
        let traits = Traits {
            flags,
            attributes,
            build_info,
        };
        fits("x", &traits, arch).map_err(|error| error.to_string())
    }

    #[test]
    fn what_the_compilers_write_is_told_apart() {
        let armel = section("5TE", 4, None);
        let armhf = section("7-A", 10, Some(1));
        assert_eq!(judged(0x500_0200, &armel, b"", Arch::Armel), Ok(()));
        assert_eq!(judged(0x500_0400, &armhf, b"", Arch::Armhf), Ok(()));
        assert!(
            judged(0x500_0400, b"", b"", Arch::Armel)
                .unwrap_err()
                .contains("hard-float")
        );
        assert!(
            judged(0x500_0002, &armhf, b"", Arch::Armel)
                .unwrap_err()
                .contains("hard-float")
        );
        assert!(
            judged(0x500_0200, &armel, b"", Arch::Armhf)
                .unwrap_err()
                .contains("soft-float")
        );
    }

    #[test]
    fn a_program_for_a_newer_machine_is_refused() {
        let newer = section("7-A", 10, None);
        let said = judged(0x500_0200, &newer, b"", Arch::Armel).unwrap_err();
        assert!(said.contains("is for ARMv7, but armel"), "{said}");
        assert_eq!(judged(0, &section("6KZ", 7, None), b"", Arch::Armel), Ok(()));
    }

    #[test]
    fn go_says_what_it_compiled_for() {
        let info = |goarm: &str| format!("\u{ff} Go buildinf:\0go1.26.8\tbuild\tGOARM={goarm}\nbuild\tGOOS=linux\n");
        for (goarm, armel, armhf) in [("5", true, true), ("6,softfloat", true, true), ("7", false, true)] {
            let flags = 0x500_0002;
            assert_eq!(
                judged(flags, b"", info(goarm).as_bytes(), Arch::Armel).is_ok(),
                armel,
                "{goarm}"
            );
            assert_eq!(
                judged(flags, b"", info(goarm).as_bytes(), Arch::Armhf).is_ok(),
                armhf,
                "{goarm}"
            );
        }
    }

    proptest! {
        #[test]
        fn damage_is_no_panic(bytes in proptest::collection::vec(any::<u8>(), 0..64), real in any::<bool>()) {
            let mut section = if real { section("7-A", 10, Some(1)) } else { Vec::new() };
            section.extend(&bytes);
            let _ = judged(0, &section, &bytes, Arch::Armel);
        }
    }
}
