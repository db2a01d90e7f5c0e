//! What a program needs from the C library: the `Depends` that `dpkg-shlibdeps` would find.

use std::fs::File;

use anyhow::{Context, Result};
use computatom_spec::arch::Arch;
use object::read::elf::{Dyn, FileHeader, SectionHeader};
use object::{Endianness, ReadCache, ReadRef, elf};

use super::arm;
use super::data::Body;
use crate::bail_input;

/// Sonames of Debian's `libc6`; the dynamic linkers are recognised by their prefix.
const LIBC6: [&str; 8] = [
    "libc.so.6",
    "libm.so.6",
    "libdl.so.2",
    "librt.so.1",
    "libpthread.so.0",
    "libresolv.so.2",
    "libutil.so.1",
    "libnsl.so.1",
];

/// The relation on the C library of the program `body` (`libc6 (>= 2.34)`), `None` where it is static. Refuses what
/// is not a program for `arch`, and one that needs libraries whose packages we do not know. Of a program on disk only
/// the tables are read.
pub fn depends(name: &str, body: &Body, arch: Arch) -> Result<Option<String>> {
    match body {
        Body::Bytes(bytes) => of(name, bytes.as_ref(), arch),
        Body::File { path, .. } => {
            let file = File::open(path).with_context(|| format!("opening {}", path.display()))?;
            of(name, &ReadCache::new(file), arch)
        }
    }
}

fn of<'data, R: ReadRef<'data>>(name: &str, content: R, arch: Arch) -> Result<Option<String>> {
    let begin = content.read_bytes_at(0, 5).unwrap_or_default();
    if !begin.starts_with(&elf::ELFMAG) {
        // A script or data: nothing to link.
        return Ok(None);
    }
    let reading = || format!("reading the program {name}");
    match begin.get(4) {
        Some(&elf::ELFCLASS64) => relation(
            name,
            elf::FileHeader64::<Endianness>::parse(content).with_context(reading)?,
            content,
            arch,
        ),
        Some(&elf::ELFCLASS32) => relation(
            name,
            elf::FileHeader32::<Endianness>::parse(content).with_context(reading)?,
            content,
            arch,
        ),
        _ => bail_input!("{name} is neither a 32-bit nor a 64-bit program"),
    }
}

/// `e_machine` and class of an architecture's programs.
fn machine(arch: Arch) -> (u16, bool) {
    match arch {
        Arch::Amd64 => (elf::EM_X86_64, true),
        Arch::Arm64 => (elf::EM_AARCH64, true),
        Arch::Armhf | Arch::Armel => (elf::EM_ARM, false),
    }
}

fn relation<'data, H: FileHeader<Endian = Endianness>, R: ReadRef<'data>>(
    name: &str,
    header: &H,
    content: R,
    arch: Arch,
) -> Result<Option<String>> {
    let reading = || format!("reading the program {name}");
    let endian = header.endian().with_context(reading)?;
    if (header.e_machine(endian), header.is_type_64()) != machine(arch) {
        bail_input!("{name} is not a program for {arch}: the source gave the wrong archive");
    }
    let sections = header.sections(endian, content).with_context(reading)?;
    if header.e_machine(endian) == elf::EM_ARM {
        let data = |section: &[u8]| {
            let (_, section) = sections.section_by_name(endian, section)?;
            section.data(endian, content).ok()
        };
        let traits = arm::Traits {
            flags: header.e_flags(endian),
            attributes: data(b".ARM.attributes").unwrap_or_default(),
            build_info: data(b".go.buildinfo").unwrap_or_default(),
        };
        arm::fits(name, &traits, arch)?;
    }
    let Some((dynamic, strings)) = sections.dynamic(endian, content).with_context(reading)? else {
        return Ok(None);
    };
    let strings = sections.strings(endian, content, strings).with_context(reading)?;
    for entry in dynamic {
        if entry.tag32(endian) != Some(elf::DT_NEEDED) {
            continue;
        }
        let soname = entry.val32(endian).and_then(|offset| strings.get(offset).ok());
        let soname = String::from_utf8_lossy(soname.with_context(reading)?);
        if !LIBC6.contains(&soname.as_ref()) && !soname.starts_with("ld-linux") {
            bail_input!("{name} needs {soname}: name the Debian package that has it in the recipe's `depends`");
        }
    }
    let mut newest: Option<(u32, u32)> = None;
    if let Some((mut needs, link)) = sections.gnu_verneed(endian, content).with_context(reading)? {
        let strings = sections.strings(endian, content, link).with_context(reading)?;
        while let Some((_, mut versions)) = needs.next().with_context(reading)? {
            while let Some(version) = versions.next().with_context(reading)? {
                let version = version.name(endian, strings).with_context(reading)?;
                newest = newest.max(glibc(&String::from_utf8_lossy(version)));
            }
        }
    }
    Ok(Some(match newest {
        Some((major, minor)) => format!("libc6 (>= {major}.{minor})"),
        None => "libc6".to_owned(),
    }))
}

/// `GLIBC_2.34` and `GLIBC_2.2.5` to their first two numbers; the private and the Linux ones to nothing.
fn glibc(version: &str) -> Option<(u32, u32)> {
    let mut numbers = version.strip_prefix("GLIBC_")?.split('.');
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_program_of_this_machine_needs_its_c_library() {
        let ls = std::fs::read("/bin/ls").unwrap();
        let host = Arch::host().unwrap();
        // ls links libselinux as well, whose package we do not know: the sentence names it.
        let error = depends("ls", &ls.into(), host).unwrap_err().to_string();
        assert!(error.contains("libselinux.so.1"), "{error}");
        let program = Body::from(std::fs::read("/bin/true").unwrap());
        let needs = depends("true", &program, host).unwrap().unwrap();
        let size = program.size();
        let path = "/bin/true".into();
        let on_disk = depends("true", &Body::File { path, size }, host).unwrap();
        assert_eq!(on_disk.as_ref(), Some(&needs), "read where it lies");
        assert!(needs.starts_with("libc6 (>= 2."), "{needs}");
        let other = if host == Arch::Arm64 { Arch::Amd64 } else { Arch::Arm64 };
        assert!(
            depends("true", &program, other)
                .unwrap_err()
                .to_string()
                .contains("wrong archive")
        );
    }

    #[test]
    fn scripts_need_nothing() {
        assert_eq!(
            depends("x", &b"#!/bin/sh\n".to_vec().into(), Arch::Amd64).unwrap(),
            None
        );
    }

    #[test]
    fn versions_compare_as_numbers() {
        assert!(glibc("GLIBC_2.9") < glibc("GLIBC_2.34"));
        assert_eq!(glibc("GLIBC_2.2.5"), Some((2, 2)));
        assert_eq!(glibc("GLIBC_PRIVATE"), None);
    }

    proptest! {
        #[test]
        fn damage_is_an_error_not_a_panic(at in 0_usize..4096, with in any::<u8>(), cut in 0_usize..40_000) {
            let mut program = std::fs::read("/bin/true").unwrap();
            program[at] = with;
            program.truncate(cut.max(64));
            let _ = depends("x", &program.into(), Arch::Amd64);
        }
    }
}
