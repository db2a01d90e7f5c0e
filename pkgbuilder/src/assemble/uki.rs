//! Unified kernel images: kernel, initramfs and command line as sections of one program that UEFI starts
//! (Unified Kernel Image specification 1.0, uapi-group.org; what systemd's `ukify` makes).
//!
//! The sections are appended to systemd's stub, a PE32+ program (Microsoft, "PE Format"). Its header has room for their
//! headers, as the stub is linked with this in mind.

use anyhow::{Context, Result, bail, ensure};

/// Position of the offset of the PE header in the DOS header.
const PE_AT: usize = 0x3c;
const PE_MAGIC: &[u8] = b"PE\0\0";
/// Bytes of the COFF header behind the magic number.
const COFF: usize = 20;
/// Magic number of a 64-bit optional header.
const PE32_PLUS: u16 = 0x20b;
/// Bytes of a section's header.
const SECTION: usize = 40;
/// `IMAGE_SCN_CNT_INITIALIZED_DATA | IMAGE_SCN_MEM_READ`.
const READABLE_DATA: u32 = 0x4000_0040;

/// Positions in the optional header.
const INITIALIZED_DATA_AT: usize = 8;
const SECTION_ALIGNMENT_AT: usize = 32;
const FILE_ALIGNMENT_AT: usize = 36;
const IMAGE_SIZE_AT: usize = 56;
const HEADERS_SIZE_AT: usize = 60;
const CHECKSUM_AT: usize = 64;
/// So much of it is looked at.
const OPTIONAL: usize = 68;

/// A section to append.
#[derive(Clone, Copy, Debug)]
pub struct Section<'a> {
    /// At most eight bytes (`.linux`).
    pub name: &'static str,
    /// Its content.
    pub content: &'a [u8],
}

/// Appends sections to the stub; what `.linux` is comes last, because it is started where it lies.
///
/// # Errors
///
/// Fails if the stub is no PE32+ program with room for the sections' headers, or the kernel is none that UEFI starts.
pub fn build(stub: &[u8], sections: &[Section<'_>]) -> Result<Vec<u8>> {
    let layout = Layout::read(stub).context("reading systemd's stub (package systemd-boot-efi)")?;
    let mut image = stub.to_vec();
    let mut address = layout.end;
    let mut data = 0;
    for (section, header) in sections.iter().zip((layout.headers_end..).step_by(SECTION)) {
        ensure!(
            header + SECTION <= layout.headers_size,
            "systemd's stub has no room for the header of {}",
            section.name
        );
        // A kernel is run in place, and needs more memory than its file has bytes.
        let memory = match section.name {
            ".linux" => Layout::read(section.content).context("reading the kernel")?.image_size,
            _ => length(section.content)?,
        };
        let start = image.len().next_multiple_of(layout.file_alignment as usize);
        image.resize(start, 0);
        image.extend_from_slice(section.content);
        image.resize(image.len().next_multiple_of(layout.file_alignment as usize), 0);
        let stored = u32::try_from(image.len() - start).context("a section of 4 GiB")?;
        let place = &mut image[header..header + SECTION];
        place.fill(0);
        place[..section.name.len()].copy_from_slice(section.name.as_bytes());
        let memory = memory.max(length(section.content)?);
        let start = u32::try_from(start).context("an image of 4 GiB")?;
        for (at, value) in [
            (8, memory),
            (12, address),
            (16, stored),
            (20, start),
            (36, READABLE_DATA),
        ] {
            place[at..at + 4].copy_from_slice(&value.to_le_bytes());
        }
        address = address
            .checked_add(memory)
            .and_then(|end| end.checked_next_multiple_of(layout.section_alignment))
            .context("an image of 4 GiB")?;
        data += stored;
    }
    let count = layout.sections + u16::try_from(sections.len())?;
    image[layout.pe + 6..layout.pe + 8].copy_from_slice(&count.to_le_bytes());
    let optional = layout.pe + 4 + COFF;
    let mut put = |at: usize, value: u32| image[optional + at..][..4].copy_from_slice(&value.to_le_bytes());
    put(INITIALIZED_DATA_AT, layout.initialized_data + data);
    put(IMAGE_SIZE_AT, address);
    // Nobody looks at it, and what it was is no longer right.
    put(CHECKSUM_AT, 0);
    Ok(image)
}

/// The content of a section, without what fills it up.
///
/// # Errors
///
/// Fails if the program is damaged.
pub fn section<'a>(image: &'a [u8], name: &str) -> Result<Option<&'a [u8]>> {
    let layout = Layout::read(image)?;
    for header in image[layout.headers_start..layout.headers_end].chunks_exact(SECTION) {
        let found = header[..8].split(|byte| *byte == 0).next().unwrap_or_default();
        if found == name.as_bytes() {
            let (memory, stored, start) = (word(header, 8)?, word(header, 16)?, word(header, 20)?);
            let (start, length) = (start as usize, memory.min(stored) as usize);
            let content = image.get(start..).and_then(|rest| rest.get(..length));
            return Ok(Some(content.with_context(|| format!("{name} lies behind the end"))?));
        }
    }
    Ok(None)
}

/// What the headers of a program say.
struct Layout {
    /// Position of the PE header.
    pe: usize,
    sections: u16,
    headers_start: usize,
    headers_end: usize,
    headers_size: usize,
    section_alignment: u32,
    file_alignment: u32,
    initialized_data: u32,
    image_size: u32,
    /// The first free address.
    end: u32,
}

impl Layout {
    fn read(image: &[u8]) -> Result<Self> {
        if !image.starts_with(b"MZ") {
            bail!("it does not begin as a program for UEFI does");
        }
        let pe = word(image, PE_AT)? as usize;
        let head = image.get(pe..).context("its header lies behind its end")?;
        ensure!(head.starts_with(PE_MAGIC), "it has no PE header");
        let (sections, length) = (half(head, 6)?, half(head, 20)?);
        let optional = head.get(4 + COFF..).context("its header is cut off")?;
        ensure!(
            usize::from(length) >= OPTIONAL && half(optional, 0)? == PE32_PLUS,
            "it is not a 64-bit program (PE32+)"
        );
        let headers_start = pe + 4 + COFF + usize::from(length);
        let headers_end = headers_start + usize::from(sections) * SECTION;
        let headers = image
            .get(headers_start..headers_end)
            .context("its sections are cut off")?;
        let section_alignment = word(optional, SECTION_ALIGNMENT_AT)?;
        let file_alignment = word(optional, FILE_ALIGNMENT_AT)?;
        ensure!(
            section_alignment.is_power_of_two() && file_alignment.is_power_of_two(),
            "its sections are not aligned"
        );
        let mut end = 0;
        for header in headers.chunks_exact(SECTION) {
            let behind = word(header, 12)?.checked_add(word(header, 8)?);
            let behind = behind.and_then(|end| end.checked_next_multiple_of(section_alignment));
            end = end.max(behind.context("a section of it lies behind 4 GiB")?);
        }
        Ok(Self {
            pe,
            sections,
            headers_start,
            headers_end,
            headers_size: (word(optional, HEADERS_SIZE_AT)? as usize).min(image.len()),
            section_alignment,
            file_alignment,
            initialized_data: word(optional, INITIALIZED_DATA_AT)?,
            image_size: word(optional, IMAGE_SIZE_AT)?,
            end,
        })
    }
}

fn length(content: &[u8]) -> Result<u32> {
    u32::try_from(content.len()).context("a section of 4 GiB")
}

fn word(bytes: &[u8], at: usize) -> Result<u32> {
    let word = bytes.get(at..).and_then(|rest| rest.first_chunk());
    Ok(u32::from_le_bytes(*word.context("its header is cut off")?))
}

fn half(bytes: &[u8], at: usize) -> Result<u16> {
    let half = bytes.get(at..).and_then(|rest| rest.first_chunk());
    Ok(u16::from_le_bytes(*half.context("its header is cut off")?))
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use proptest::prelude::*;

    use super::super::testing::{efi_program, oracle};
    use super::*;

    #[test]
    fn objdump_and_objcopy_find_the_sections() {
        let (stub, kernel) = (efi_program(5_000), efi_program(70_000));
        let sections = [
            Section {
                name: ".cmdline",
                content: b"quiet",
            },
            Section {
                name: ".initrd",
                content: &[7; 10_000],
            },
            Section {
                name: ".linux",
                content: &kernel,
            },
        ];
        let image = build(&stub, &sections).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("node-a.efi");
        std::fs::write(&path, &image).unwrap();
        let listed = oracle(Command::new("objdump").arg("-h").arg(&path));
        for Section { name, content } in sections {
            assert!(listed.contains(name), "{listed}");
            assert_eq!(section(&image, name).unwrap(), Some(content));
            let out = folder.path().join("section");
            oracle(
                Command::new("objcopy")
                    .arg("--dump-section")
                    .arg(format!("{name}={}", out.display()))
                    .args([&path, &folder.path().join("copy")]),
            );
            assert!(std::fs::read(out).unwrap().starts_with(content), "{name}");
        }
        assert_eq!(section(&image, ".osrel").unwrap(), None);
    }

    #[test]
    fn what_is_no_program_is_said() {
        let error = |stub: &[u8]| format!("{:#}", build(stub, &[]).unwrap_err());
        assert!(error(b"").contains("systemd-boot-efi"));
        assert!(error(b"MZ").contains("cut off"));
        let stub = efi_program(100);
        let kernel = Section {
            name: ".linux",
            content: b"\x1f\x8b",
        };
        assert!(format!("{:#}", build(&stub, &[kernel]).unwrap_err()).contains("reading the kernel"));
        let many = [Section {
            name: ".osrel",
            content: b"",
        }; 100];
        assert!(build(&stub, &many).unwrap_err().to_string().contains("no room"));
    }

    proptest! {
        #[test]
        fn any_program_is_read_without_panic(at in 0_usize..400, bytes in proptest::collection::vec(any::<u8>(), 1..64)) {
            let mut image = efi_program(1000);
            let at = at.min(image.len() - bytes.len());
            image[at..at + bytes.len()].copy_from_slice(&bytes);
            let _ = section(&image, ".data");
            let _ = build(&image, &[Section { name: ".cmdline", content: b"x" }]);
        }
    }
}
