//! Unified kernel images: kernel, initramfs and command line as sections of one program that UEFI starts
//! (Unified Kernel Image specification 1.0, uapi-group.org; what systemd's `ukify` makes).
//!
//! The sections are appended to systemd's stub, a PE32+ program (Microsoft, "PE Format"). Its header has room for their
//! headers, as the stub is linked with this in mind.

use anyhow::{Context, Result, ensure};
use computatom_spec::pe::{self, Headers};

/// `IMAGE_SCN_CNT_INITIALIZED_DATA | IMAGE_SCN_MEM_READ`.
const READABLE_DATA: u32 = 0x4000_0040;

/// Position of the number of sections behind that of the PE header, and of the optional header.
const SECTIONS_AT: usize = 6;
const OPTIONAL_AT: usize = 24;
/// Positions in the optional header.
const INITIALIZED_DATA_AT: usize = 8;
const SECTION_ALIGNMENT_AT: usize = 32;
const FILE_ALIGNMENT_AT: usize = 36;
const IMAGE_SIZE_AT: usize = 56;
const HEADERS_SIZE_AT: usize = 60;
const CHECKSUM_AT: usize = 64;

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
    let first = usize::try_from(layout.headers.sections_end())?;
    for (section, header) in sections.iter().zip((first..).step_by(pe::Section::LENGTH)) {
        ensure!(
            header + pe::Section::LENGTH <= layout.headers_size,
            "systemd's stub has no room for the header of {}",
            section.name
        );
        // A kernel is run in place, and needs more memory than its file has bytes.
        let memory = match section.name {
            ".linux" => Layout::read(section.content).context("reading the kernel")?.image_size,
            _ => 0,
        };
        let memory = memory.max(u32::try_from(section.content.len()).context("a section of 4 GiB")?);
        let start = image.len().next_multiple_of(layout.file_alignment as usize);
        image.resize(start, 0);
        image.extend_from_slice(section.content);
        image.resize(image.len().next_multiple_of(layout.file_alignment as usize), 0);
        let stored = u32::try_from(image.len() - start).context("a section of 4 GiB")?;
        let written = pe::Section {
            name: pe::Section::padded(section.name),
            memory,
            address,
            stored,
            start: u32::try_from(start).context("an image of 4 GiB")?,
            characteristics: READABLE_DATA,
        };
        image[header..header + pe::Section::LENGTH].copy_from_slice(&written.to_bytes());
        address = address
            .checked_add(memory)
            .and_then(|end| end.checked_next_multiple_of(layout.section_alignment))
            .context("an image of 4 GiB")?;
        data += stored;
    }
    let count = u16::try_from(layout.headers.sections.len() + sections.len())?;
    let pe = usize::try_from(layout.headers.pe)?;
    image[pe + SECTIONS_AT..][..2].copy_from_slice(&count.to_le_bytes());
    let optional = pe + OPTIONAL_AT;
    let mut put = |at: usize, value: u32| image[optional + at..][..4].copy_from_slice(&value.to_le_bytes());
    put(
        INITIALIZED_DATA_AT,
        layout.headers.optional(INITIALIZED_DATA_AT).wrapping_add(data),
    );
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
    let headers = headers(image)?;
    let Some(section) = headers.section(name) else {
        return Ok(None);
    };
    let content = image.get(section.start as usize..);
    let content = content.and_then(|rest| rest.get(..section.length() as usize));
    Ok(Some(content.with_context(|| format!("{name} lies behind the end"))?))
}

fn headers(image: &[u8]) -> Result<Headers> {
    let read = |buffer: &mut [u8], at: u64| {
        let content = usize::try_from(at)
            .ok()
            .and_then(|at| image.get(at..)?.get(..buffer.len()));
        buffer.copy_from_slice(content.ok_or("it ends before")?);
        Ok::<(), &str>(())
    };
    Headers::read(read).map_err(anyhow::Error::msg)
}

/// Where something can be appended to a program.
struct Layout {
    headers: Headers,
    headers_size: usize,
    section_alignment: u32,
    file_alignment: u32,
    image_size: u32,
    /// The first free address.
    end: u32,
}

impl Layout {
    fn read(image: &[u8]) -> Result<Self> {
        let headers = headers(image)?;
        let section_alignment = headers.optional(SECTION_ALIGNMENT_AT);
        let file_alignment = headers.optional(FILE_ALIGNMENT_AT);
        ensure!(
            section_alignment.is_power_of_two() && file_alignment.is_power_of_two(),
            "its sections are not aligned"
        );
        let mut end = 0;
        for section in &headers.sections {
            let behind = section.address.checked_add(section.memory);
            let behind = behind.and_then(|end| end.checked_next_multiple_of(section_alignment));
            end = end.max(behind.context("a section of it lies behind 4 GiB")?);
        }
        Ok(Self {
            headers_size: (headers.optional(HEADERS_SIZE_AT) as usize).min(image.len()),
            section_alignment,
            file_alignment,
            image_size: headers.optional(IMAGE_SIZE_AT),
            end,
            headers,
        })
    }
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
