//! Shared objects: for which machine, and under which name they are linked.

use object::elf;
use object::read::elf::{Dyn as _, ProgramHeader as _};

/// `FLAG_ELF_LIBC6`
const LIBC6: u32 = 3;

/// Cache flags and SONAME of a shared object; nothing if `content` is none.
pub(super) fn library(content: &[u8]) -> Option<(u32, Option<String>)> {
    match *content.get(4)? {
        elf::ELFCLASS64 => shared_object::<elf::FileHeader64<object::Endianness>>(content),
        elf::ELFCLASS32 => shared_object::<elf::FileHeader32<object::Endianness>>(content),
        _ => None,
    }
}

fn shared_object<H>(content: &[u8]) -> Option<(u32, Option<String>)>
where
    H: object::read::elf::FileHeader<Endian = object::Endianness>,
{
    let header = H::parse(content).ok()?;
    let endian = header.endian().ok()?;
    if header.e_type(endian) != elf::ET_DYN {
        return None;
    }
    let flags = LIBC6 | architecture(header.e_machine(endian), header.is_class_64(), header.e_flags(endian))?;
    let segments = header.program_headers(endian, content).ok()?;
    let dynamic = segments
        .iter()
        .find_map(|segment| segment.dynamic(endian, content).ok().flatten())?;
    let value = |wanted: u32| {
        let tag = |entry: &&H::Dyn| entry.tag32(endian) == Some(wanted);
        dynamic.iter().find(tag).map(|entry| entry.d_val(endian).into())
    };
    let Some(offset) = value(elf::DT_SONAME) else {
        return Some((flags, None));
    };
    let address = value(elf::DT_STRTAB)? + offset;
    let text = segments.iter().find_map(|segment| {
        let (start, size): (u64, u64) = (segment.p_vaddr(endian).into(), segment.p_filesz(endian).into());
        let inside = segment.p_type(endian) == elf::PT_LOAD && (start..start.checked_add(size)?).contains(&address);
        let place = Into::<u64>::into(segment.p_offset(endian)).checked_add(address.checked_sub(start)?)?;
        inside.then(|| content.get(usize::try_from(place).ok()?..)).flatten()
    })?;
    let length = memchr::memchr(0, text)?;
    Some((flags, Some(String::from_utf8(text[..length].to_vec()).ok()?)))
}

/// glibc's `FLAG_*` for the machine of an object (`ldconfig.h`); nothing for machines that Debian's releases lack.
fn architecture(machine: u16, wide: bool, flags: u32) -> Option<u32> {
    Some(match (machine, wide) {
        (elf::EM_X86_64, true) => 0x0300,
        (elf::EM_X86_64, false) => 0x0800,
        (elf::EM_AARCH64, true) => 0x0a00,
        (elf::EM_ARM, false) if flags & elf::EF_ARM_ABI_FLOAT_HARD != 0 => 0x0900,
        (elf::EM_ARM, false) if flags & elf::EF_ARM_ABI_FLOAT_SOFT != 0 => 0x0b00,
        (elf::EM_386 | elf::EM_ARM, false) => 0,
        (elf::EM_RISCV, true) => 0x1000,
        _ => return None,
    })
}
