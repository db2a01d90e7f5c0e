//! Sections of a unified kernel image (UAPI.5), which is a PE file (Microsoft, "PE Format").

use anyhow::{Result, ensure};

/// Where a PE file says where its header is.
const HEADER_AT: u64 = 0x3c;
/// Bytes of the header up to the section table's own, optional one, and of a section's entry.
const HEADER: u64 = 24;
const SECTION: usize = 40;

/// The content of a section, up to `limit` bytes; `read` takes offset and length, and gives less at the end.
///
/// # Errors
///
/// Fails if it is no PE file, or cannot be read.
pub fn section(read: impl Fn(u64, u64) -> Result<Vec<u8>>, name: &[u8], limit: u64) -> Result<Option<Vec<u8>>> {
    let long = |bytes: &[u8]| {
        let bytes = bytes.get(..4).and_then(|bytes| bytes.try_into().ok());
        bytes.map_or(0, |bytes| u64::from(u32::from_le_bytes(bytes)))
    };
    let at = long(&read(HEADER_AT, 4)?);
    let header = read(at, HEADER)?;
    ensure!(
        header.len() as u64 == HEADER && header.starts_with(b"PE\0\0"),
        "the kernel of a slot is no PE file"
    );
    let short = |at: usize| u64::from(u16::from_le_bytes([header[at], header[at + 1]]));
    let table = read(at + HEADER + short(20), short(6) * SECTION as u64)?;
    for entry in table.chunks_exact(SECTION) {
        let mut padded = [0; 8];
        padded[..name.len().min(8)].copy_from_slice(&name[..name.len().min(8)]);
        if entry[..8] == padded {
            // The size in memory is the content's, where it is given; the one in the file is rounded up.
            let (in_memory, in_file) = (long(&entry[8..]), long(&entry[16..]));
            let length = if in_memory == 0 {
                in_file
            } else {
                in_file.min(in_memory)
            }
            .min(limit);
            return Ok(Some(read(long(&entry[20..]), length)?));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(file: &[u8]) -> impl Fn(u64, u64) -> Result<Vec<u8>> {
        move |offset, length| {
            let from = usize::try_from(offset)?.min(file.len());
            let to = from.saturating_add(usize::try_from(length)?).min(file.len());
            Ok(file[from..to].to_vec())
        }
    }

    /// A PE file with two sections, as far as one looks at it; the builder's own images are read in its crash tests.
    #[test]
    fn a_section_is_found_by_its_name_and_is_as_long_as_in_memory() {
        let mut file = vec![0; 0x400];
        let mut put = |at: usize, bytes: &[u8]| file[at..at + bytes.len()].copy_from_slice(bytes);
        put(0x3c, &[0x80, 0, 0, 0]);
        put(0x80, b"PE\0\0\x64\x86\x02\x00");
        put(0x80 + 20, &[0x10, 0]);
        for (index, (name, in_memory, at)) in [(b".osrel\0\0", 4_u32, 0x200_u32), (b".cmdline", 5, 0x300)]
            .iter()
            .enumerate()
        {
            let entry = 0x80 + 24 + 0x10 + 40 * index;
            put(entry, *name);
            put(entry + 8, &in_memory.to_le_bytes());
            put(entry + 16, &0x100_u32.to_le_bytes());
            put(entry + 20, &at.to_le_bytes());
        }
        put(0x300, b"quiet and then what fills the section");
        assert_eq!(section(read(&file), b".cmdline", 1 << 16).unwrap().unwrap(), b"quiet");
        assert_eq!(section(read(&file), b".initrd", 1 << 16).unwrap(), None);
        assert!(section(read(b"\x7fELF"), b".cmdline", 1).is_err());
    }

    proptest! {
        #[test]
        fn any_file_is_read_without_panic(mut file in proptest::collection::vec(any::<u8>(), 100..400), at in 64_u8..90) {
            file[0x3c..0x40].copy_from_slice(&[at, 0, 0, 0]);
            let at = usize::from(at);
            file[at..at + 4].copy_from_slice(b"PE\0\0");
            let _ = section(read(&file), b".cmdline", 1 << 16);
        }
    }
}
