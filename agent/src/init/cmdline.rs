//! The kernel command line, as [`computatom_spec::boot`] defines it.

use std::path::Path;

use anyhow::{Context, Result, bail};
use computatom_spec::boot;

/// What `/init` takes from its command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cmdline {
    /// Where the root is.
    pub root: PartUuid,
    /// What the hash tree of the root must come to.
    pub root_hash: [u8; 32],
    /// Partition number of DATA on the same disk.
    pub data: u32,
}

/// `PARTUUID` of an MBR partition: the disk's signature and the partition's number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartUuid {
    /// The 32-bit disk signature at offset 440 of the MBR.
    pub disk_signature: u32,
    /// Partition number, 1 to 4 primary, from 5 logical.
    pub partition: u32,
}

impl Cmdline {
    /// Reads and parses the command line of the running kernel.
    pub fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
        Self::parse(&text)
    }

    /// Parses a command line; of a parameter given twice the last one holds, as in the kernel.
    pub fn parse(text: &str) -> Result<Self> {
        let value = |name: &str| {
            text.split_ascii_whitespace()
                .filter_map(|word| word.strip_prefix(name)?.strip_prefix('='))
                .next_back()
        };
        let root = value(boot::ROOT).context("the kernel command line has no `root=PARTUUID=…`")?;
        let root = PartUuid::parse(root)?;
        let data = match value(boot::DATA) {
            None => u32::from(boot::mbr::DATA),
            Some(number) => number
                .parse()
                .ok()
                .filter(|number| (5..=63).contains(number))
                .with_context(|| format!("`{}={number}` is not a logical partition number", boot::DATA))?,
        };
        let hash = value(boot::ROOT_HASH)
            .with_context(|| format!("the kernel command line has no `{}=…`", boot::ROOT_HASH))?;
        let mut root_hash = [0; 32];
        hex::decode_to_slice(hash, &mut root_hash)
            .with_context(|| format!("`{}={hash}` is not 64 hex digits", boot::ROOT_HASH))?;
        Ok(Self { root, root_hash, data })
    }
}

impl PartUuid {
    /// Parses `PARTUUID=SSSSSSSS-PP`, both parts hexadecimal.
    pub fn parse(text: &str) -> Result<Self> {
        let parsed = text
            .strip_prefix("PARTUUID=")
            .and_then(|id| id.split_once('-'))
            .and_then(|(signature, number)| {
                let hex = |text: &str, width| {
                    let plain = text.len() == width && text.bytes().all(|byte| byte.is_ascii_hexdigit());
                    plain.then(|| u32::from_str_radix(text, 16).ok()).flatten()
                };
                Some(Self {
                    disk_signature: hex(signature, 8)?,
                    partition: hex(number, 2).filter(|&number| number > 0)?,
                })
            });
        match parsed {
            Some(id) => Ok(id),
            None => bail!("`root={text}` is not `PARTUUID=` with an MBR disk signature and partition number"),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_last_of_two_holds() {
        let hash = "0f".repeat(32);
        let line = format!(
            "root=/dev/ram0 quiet root=PARTUUID=c0ffee01-05 computatom.roothash=00 computatom.roothash={hash} \
             computatom.data=7\n"
        );
        let root = PartUuid {
            disk_signature: 0xc0ff_ee01,
            partition: 5,
        };
        let root_hash = [0x0f; 32];
        assert_eq!(
            Cmdline::parse(&line).unwrap(),
            Cmdline {
                root,
                root_hash,
                data: 7
            }
        );
    }

    #[test]
    fn errors_name_the_word() {
        assert!(Cmdline::parse("quiet").unwrap_err().to_string().contains("no `root="));
        assert!(
            Cmdline::parse("root=/dev/sda2")
                .unwrap_err()
                .to_string()
                .contains("`root=/dev/sda2`")
        );
        assert!(Cmdline::parse("root=PARTUUID=c0ffee01-05 computatom.data=3").is_err());
        assert!(Cmdline::parse("root=PARTUUID=c0ffee01-00").is_err());
        assert!(Cmdline::parse("root=PARTUUID=+0ffee01-05").is_err());
        let says = |line: &str| Cmdline::parse(line).unwrap_err().to_string();
        assert!(says("root=PARTUUID=c0ffee01-05").contains("no `computatom.roothash="));
        assert!(says("root=PARTUUID=c0ffee01-05 computatom.roothash=abc").contains("not 64 hex digits"));
    }

    proptest! {
        #[test]
        fn never_panics(text in ".*") {
            let _ = Cmdline::parse(&text);
        }
    }
}
