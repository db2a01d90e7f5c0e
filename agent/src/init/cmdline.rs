//! The kernel command line, as [`computatom_spec::boot`] defines it.

use std::path::Path;

use anyhow::{Context, Result};
use computatom_spec::boot;

use crate::disk::table::PartUuid;

/// What `/init` takes from its command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cmdline {
    /// Where the root is.
    pub root: PartUuid,
    /// What the hash tree of the root must come to.
    pub root_hash: [u8; 32],
    /// Partition number of DATA on the same disk.
    pub data: u32,
    /// The contents of DATA that may be formatted ([`boot::FORMAT`]).
    pub format: Option<String>,
    /// How late timers may be, as it was said ([`boot::TIMER_SLACK`]).
    pub timer_slack: Option<String>,
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
        let root = value(boot::ROOT).and_then(|root| root.strip_prefix("PARTUUID="));
        let root = root.context("the kernel command line has no `root=PARTUUID=…`")?;
        let root = PartUuid::parse(root).with_context(|| format!("reading `root=PARTUUID={root}`"))?;
        // On an MBR a primary partition could not be grown past the others.
        let (default, numbers) = match root {
            PartUuid::Mbr { .. } => (boot::mbr::DATA, 6..=63),
            PartUuid::Gpt(_) => (boot::gpt::DATA, 1..=128),
        };
        let data = match value(boot::DATA) {
            None => u32::from(default),
            Some(number) => number
                .parse()
                .ok()
                .filter(|number| numbers.contains(number))
                .with_context(|| format!("`{}={number}` is not the number of a partition for DATA", boot::DATA))?,
        };
        let hash = value(boot::ROOT_HASH)
            .with_context(|| format!("the kernel command line has no `{}=…`", boot::ROOT_HASH))?;
        let mut root_hash = [0; 32];
        hex::decode_to_slice(hash, &mut root_hash)
            .with_context(|| format!("`{}={hash}` is not 64 hex digits", boot::ROOT_HASH))?;
        Ok(Self {
            root,
            root_hash,
            data,
            format: value(boot::FORMAT).map(str::to_owned),
            timer_slack: value(boot::TIMER_SLACK).map(str::to_owned),
        })
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
             computatom.data=7 computatom.format=0a1b2c3d computatom.timerslack_ns=1000000\n"
        );
        assert_eq!(
            Cmdline::parse(&line).unwrap(),
            Cmdline {
                root: PartUuid::parse("c0ffee01-05").unwrap(),
                root_hash: [0x0f; 32],
                data: 7,
                format: Some("0a1b2c3d".to_owned()),
                timer_slack: Some("1000000".to_owned()),
            }
        );
    }

    #[test]
    fn each_kind_of_table_has_its_place_for_data() {
        let hash = "0f".repeat(32);
        let data =
            |line: &str| Cmdline::parse(&format!("{line} computatom.roothash={hash}")).map(|cmdline| cmdline.data);
        let guid = "root=PARTUUID=0fc63daf-8483-4772-8e79-3d69d8477de4";
        assert_eq!(data("root=PARTUUID=c0ffee01-05").unwrap(), 7);
        assert_eq!(data(guid).unwrap(), 4);
        assert_eq!(data(&format!("{guid} computatom.data=5")).unwrap(), 5);
        assert!(data("root=PARTUUID=c0ffee01-05 computatom.data=3").is_err());
        assert!(data(&format!("{guid} computatom.data=0")).is_err());
    }

    #[test]
    fn errors_name_the_word() {
        assert!(Cmdline::parse("quiet").unwrap_err().to_string().contains("no `root="));
        let error = |line: &str| format!("{:#}", Cmdline::parse(line).unwrap_err());
        assert!(error("root=/dev/sda2").contains("`root=PARTUUID="));
        assert!(error("root=PARTUUID=c0ffee01-00").contains("`root=PARTUUID=c0ffee01-00`"));
        assert!(error("root=PARTUUID=c0ffee01-05").contains("no `computatom.roothash="));
        assert!(error("root=PARTUUID=c0ffee01-05 computatom.roothash=abc").contains("not 64 hex digits"));
    }

    proptest! {
        #[test]
        fn never_panics(text in ".*") {
            let _ = Cmdline::parse(&text);
        }
    }
}
