//! `PARTUUID=` of a kernel command line (`Documentation/admin-guide/kernel-parameters.txt`, `root=`).

use std::fmt;

use anyhow::{Result, bail};
use computatom_spec::uuid::Uuid;

/// Names a partition of one disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PartUuid {
    /// A disk signature and a partition number.
    Mbr {
        /// The 32-bit disk signature at offset 440 of the MBR.
        disk_signature: u32,
        /// Partition number, 1 to 4 primary, from 5 logical.
        partition: u32,
    },
    /// The unique GUID of a GPT entry, as its bytes lie on the disk.
    Gpt([u8; 16]),
}

impl PartUuid {
    /// Parses `SSSSSSSS-PP` (signature and partition number, both hexadecimal) or a GUID.
    ///
    /// # Errors
    ///
    /// Fails with the text if it is neither.
    pub fn parse(text: &str) -> Result<Self> {
        let guid = || Uuid::parse(text).map(|guid| Self::Gpt(guid.to_disk()));
        Self::parse_mbr(text).or_else(guid).map_or_else(
            || bail!("`{text}` is neither an MBR disk signature with a partition number nor a GUID"),
            Ok,
        )
    }

    fn parse_mbr(text: &str) -> Option<Self> {
        let (signature, number) = text.split_once('-')?;
        if (signature.len(), number.len()) != (8, 2) {
            return None;
        }
        let hex = |text: &str| {
            let plain = text.bytes().all(|byte| byte.is_ascii_hexdigit());
            plain.then(|| u32::from_str_radix(text, 16).ok()).flatten()
        };
        Some(Self::Mbr {
            disk_signature: hex(signature)?,
            partition: hex(number).filter(|&number| number > 0)?,
        })
    }
}

impl fmt::Display for PartUuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mbr {
                disk_signature,
                partition,
            } => write!(f, "{disk_signature:08x}-{partition:02x}"),
            Self::Gpt(guid) => Uuid::from_disk(*guid).fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn both_kinds_are_read_and_shown_as_they_were() {
        let linux = "0fc63daf-8483-4772-8e79-3d69d8477de4";
        let PartUuid::Gpt(guid) = PartUuid::parse(&linux.to_uppercase()).unwrap() else {
            panic!("not a GUID")
        };
        // As sfdisk writes this type.
        assert_eq!(guid[..8], [0xaf, 0x3d, 0xc6, 0x0f, 0x83, 0x84, 0x72, 0x47]);
        for text in [linux, "c0ffee01-05"] {
            assert_eq!(PartUuid::parse(text).unwrap().to_string(), text);
        }
        for wrong in [
            "c0ffee01-00",
            "+0ffee01-05",
            "c0ffee1-05",
            "",
            "-",
            "0fc63daf-8483-4772-8e79-3d69d8477dg4",
        ] {
            assert!(PartUuid::parse(wrong).unwrap_err().to_string().contains(wrong));
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_panic(text in "[0-9a-fA-F+é-]{0,40}") {
            let _ = PartUuid::parse(&text);
        }
    }
}
