//! The headers of a program that UEFI starts (Microsoft, "PE Format"), as far as a unified kernel image is concerned: the
//! builder appends sections to systemd's stub, the node reads the command line of a slot out of one.

use std::fmt::Display;

/// Position of the offset of the PE header in the DOS header.
const PE_AT: u64 = 0x3c;
const DOS_MAGIC: &[u8] = b"MZ";
const PE_MAGIC: &[u8] = b"PE\0\0";
/// Bytes of the magic number and the COFF header behind it.
const HEADER: usize = 24;
/// Magic number of a 64-bit optional header.
const PE32_PLUS: u16 = 0x20b;
/// Least bytes of the optional header: up to its checksum.
const OPTIONAL: usize = 68;

/// What a program's headers say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Headers {
    /// Position of the PE header; the number of sections is 6 bytes behind it.
    pub pe: u64,
    /// The optional header: at least its first 68 bytes.
    pub optional: Vec<u8>,
    /// The sections, in their order.
    pub sections: Vec<Section>,
}

/// The header of a section.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Section {
    /// Its name, filled up with zeros.
    pub name: [u8; 8],
    /// Bytes in memory.
    pub memory: u32,
    /// Address in memory.
    pub address: u32,
    /// Bytes in the file, a multiple of its alignment.
    pub stored: u32,
    /// Position in the file.
    pub start: u32,
    /// What may be done with it (`IMAGE_SCN_…`).
    pub characteristics: u32,
}

impl Headers {
    /// Reads the headers; `read` fills a buffer from a byte of the program.
    ///
    /// # Errors
    ///
    /// Says what is wrong with the program, which "it" stands for.
    pub fn read<E: Display>(read: impl Fn(&mut [u8], u64) -> Result<(), E>) -> Result<Self, String> {
        let read = |length: usize, at: u64| {
            let mut bytes = vec![0; length];
            let filled = read(&mut bytes, at);
            filled.map_err(|error| format!("its header is cut off at byte {at} ({error})"))?;
            Ok::<_, String>(bytes)
        };
        if read(DOS_MAGIC.len(), 0)? != DOS_MAGIC {
            return Err("it does not begin as a program for UEFI does".to_owned());
        }
        let pe = u64::from(word(&read(4, PE_AT)?, 0));
        let header = read(HEADER, pe)?;
        if !header.starts_with(PE_MAGIC) {
            return Err("it has no PE header".to_owned());
        }
        let (count, length) = (usize::from(half(&header, 6)), usize::from(half(&header, 20)));
        if length < OPTIONAL {
            return Err(NO_64_BIT.to_owned());
        }
        let optional = read(length, pe + HEADER as u64)?;
        if half(&optional, 0) != PE32_PLUS {
            return Err(NO_64_BIT.to_owned());
        }
        let table = read(count * Section::LENGTH, pe + (HEADER + length) as u64)?;
        Ok(Self {
            pe,
            optional,
            sections: table.chunks_exact(Section::LENGTH).map(Section::parse).collect(),
        })
    }

    /// A number of the optional header, by its position there; 0 behind its end.
    pub fn optional(&self, at: usize) -> u32 {
        self.optional.get(at..at + 4).map_or(0, |bytes| word(bytes, 0))
    }

    /// Where the header of the next section would lie.
    pub fn sections_end(&self) -> u64 {
        self.pe + (HEADER + self.optional.len() + self.sections.len() * Section::LENGTH) as u64
    }

    /// The first section of that name.
    pub fn section(&self, name: &str) -> Option<&Section> {
        self.sections
            .iter()
            .find(|section| section.name == Section::padded(name))
    }
}

const NO_64_BIT: &str = "it is not a 64-bit program (PE32+)";

impl Section {
    /// Bytes of the header.
    pub const LENGTH: usize = 40;

    /// A name as a header has it: its first eight bytes.
    pub fn padded(name: &str) -> [u8; 8] {
        let mut padded = [0; 8];
        let length = name.len().min(padded.len());
        padded[..length].copy_from_slice(&name.as_bytes()[..length]);
        padded
    }

    /// Bytes of its content: without what fills it up in the file, or in memory.
    pub fn length(&self) -> u32 {
        self.memory.min(self.stored)
    }

    fn parse(header: &[u8]) -> Self {
        let mut name = [0; 8];
        name.copy_from_slice(&header[..8]);
        Self {
            name,
            memory: word(header, 8),
            address: word(header, 12),
            stored: word(header, 16),
            start: word(header, 20),
            characteristics: word(header, 36),
        }
    }

    /// The header in the file; relocations and line numbers are none.
    pub fn to_bytes(self) -> [u8; Self::LENGTH] {
        let mut bytes = [0; Self::LENGTH];
        bytes[..8].copy_from_slice(&self.name);
        for (at, value) in [
            (8, self.memory),
            (12, self.address),
            (16, self.stored),
            (20, self.start),
            (36, self.characteristics),
        ] {
            bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
        }
        bytes
    }
}

/// Callers have read as much.
fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

fn half(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(program: &[u8]) -> Result<Headers, String> {
        Headers::read(|buffer, at| {
            let from = usize::try_from(at).unwrap_or(usize::MAX);
            let bytes = program.get(from..).and_then(|rest| rest.get(..buffer.len()));
            buffer.copy_from_slice(bytes.ok_or("the end")?);
            Ok::<(), &str>(())
        })
    }

    /// A program with these sections, as far as its headers.
    fn program(sections: &[Section]) -> Vec<u8> {
        let mut bytes = vec![0; 0x80];
        bytes[..2].copy_from_slice(DOS_MAGIC);
        bytes[0x3c] = 0x80;
        bytes.extend(PE_MAGIC);
        bytes.extend([0x64, 0x86, u8::try_from(sections.len()).unwrap(), 0]);
        bytes.extend([0; 12]);
        bytes.extend([0xf0, 0, 0, 0]);
        bytes.extend(PE32_PLUS.to_le_bytes());
        bytes.extend([0; 0xee]);
        bytes.extend(sections.iter().flat_map(|section| section.to_bytes()));
        bytes
    }

    #[test]
    fn sections_are_found_by_name_and_as_long_as_their_content() {
        let sections = [(".osrel", 4), (".cmdline", 5)].map(|(name, memory)| Section {
            name: Section::padded(name),
            memory,
            address: 0x1000,
            stored: 0x200,
            start: 0x400,
            characteristics: 0x4000_0040,
        });
        let headers = read(&program(&sections)).unwrap();
        assert_eq!(headers.sections, sections);
        assert_eq!(headers.section(".cmdline").map(Section::length), Some(5));
        assert_eq!(headers.section(".initrd"), None);
        assert_eq!(headers.sections_end(), program(&sections).len() as u64);
    }

    #[test]
    fn a_program_that_is_cut_off_anywhere_or_is_none_is_refused() {
        let whole = program(&[Section::default()]);
        for end in 0..whole.len() {
            assert!(read(&whole[..end]).unwrap_err().contains("cut off"), "{end}");
        }
        assert!(read(b"\x7fELF").unwrap_err().contains("does not begin"));
        for (at, byte, error) in [
            (0x80, b'N', "no PE header"),
            (0x94, 60, "64-bit"),
            (0x98, 0x0c, "64-bit"),
        ] {
            let mut other = whole.clone();
            other[at] = byte;
            assert!(read(&other).unwrap_err().contains(error), "{at:#x}");
        }
    }
}
