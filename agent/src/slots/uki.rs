//! Sections of a unified kernel image (UAPI.5) on a boot partition.

use anyhow::{Context, Result, ensure};
use computatom_spec::pe::Headers;

/// The content of a section, up to `limit` bytes; `read` takes offset and length, and gives less at the end.
///
/// # Errors
///
/// Fails if it is no program for UEFI, or cannot be read.
pub fn section(read: impl Fn(u64, u64) -> Result<Vec<u8>>, name: &str, limit: u64) -> Result<Option<Vec<u8>>> {
    let headers = Headers::read(|buffer, at| {
        let bytes = read(at, buffer.len() as u64).map_err(|error| format!("{error:#}"))?;
        if bytes.len() != buffer.len() {
            return Err("it ends there".to_owned());
        }
        buffer.copy_from_slice(&bytes);
        Ok(())
    });
    let headers = headers
        .map_err(anyhow::Error::msg)
        .context("reading the kernel of a slot")?;
    let Some(section) = headers.section(name) else {
        return Ok(None);
    };
    let length = u64::from(section.length()).min(limit);
    let content = read(section.start.into(), length)?;
    ensure!(
        content.len() as u64 == length,
        "the section {name} of a slot's kernel is cut off"
    );
    Ok(Some(content))
}

#[cfg(test)]
mod tests {
    use computatom_spec::pe::Section;
    use proptest::prelude::*;

    use super::*;

    fn read(file: &[u8]) -> impl Fn(u64, u64) -> Result<Vec<u8>> {
        move |offset, length| {
            let from = usize::try_from(offset)?.min(file.len());
            let to = from.saturating_add(usize::try_from(length)?).min(file.len());
            Ok(file[from..to].to_vec())
        }
    }

    /// A program with one section, as far as one looks at it; the builder's own images are read in its crash tests.
    fn program() -> Vec<u8> {
        let mut file = vec![0; 0x400];
        let mut put = |at: usize, bytes: &[u8]| file[at..at + bytes.len()].copy_from_slice(bytes);
        put(0, b"MZ");
        put(0x3c, &[0x80, 0, 0, 0]);
        put(0x80, b"PE\0\0\x64\x86\x01\x00");
        put(0x80 + 20, &[0xf0, 0]);
        put(0x80 + 24, &[0x0b, 0x02]);
        let section = Section {
            name: Section::padded(".cmdline"),
            memory: 5,
            stored: 0x100,
            start: 0x300,
            ..Section::default()
        };
        put(0x80 + 24 + 0xf0, &section.to_bytes());
        put(0x300, b"quiet and then what fills the section");
        file
    }

    #[test]
    fn a_section_is_read_without_what_fills_it_up() {
        let file = program();
        assert_eq!(section(read(&file), ".cmdline", 1 << 16).unwrap().unwrap(), b"quiet");
        assert_eq!(section(read(&file), ".cmdline", 2).unwrap().unwrap(), b"qu");
        assert_eq!(section(read(&file), ".initrd", 1 << 16).unwrap(), None);
        assert!(section(read(&file[..0x302]), ".cmdline", 1 << 16).is_err());
        assert!(section(read(b"\x7fELF"), ".cmdline", 1).is_err());
    }

    proptest! {
        #[test]
        fn any_file_is_read_without_panic(at in 0_usize..0x200, bytes in proptest::collection::vec(any::<u8>(), 1..64)) {
            let mut file = program();
            file[at..at + bytes.len()].copy_from_slice(&bytes);
            let _ = section(read(&file), ".cmdline", 1 << 16);
        }
    }
}
