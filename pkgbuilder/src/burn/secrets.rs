//! `burn --secrets`: a file of the person's, put onto the first partition of the card and nowhere else.
//!
//! The FAT is made anew with the file in it, by the same writer and with the same serial number; the blocks that come out
//! otherwise than in the image are written in place of the image's, and read back with the rest. On its first boot the
//! board moves the file to DATA.

use std::collections::BTreeSet;
use std::fs::File;
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::Path;

use anyhow::{Context, Result};
use computatom_spec::secrets::{FILE, KEYS, LIMIT, Secrets};
use serde_json::Value;
use zeroize::Zeroizing;

use super::PIECE;
use super::image::Image;
use crate::assemble::fat::{self, Files, Volume};
use crate::assemble::partitions::{Kind, Partition, Table};
use crate::reporter::Reporter;
use crate::{bail_input, input_error};

/// The first partition: BOOTSEL, the ESP, or what U-Boot starts from.
const FIRST: u8 = 1;
/// What is compared at once, and a block map counts in.
const BLOCK: usize = 4096;

/// The content of a file of secrets, checked.
#[derive(Debug)]
pub struct Given(Zeroizing<Vec<u8>>);

impl Given {
    /// Reads the file at `path`.
    ///
    /// # Errors
    ///
    /// Wrong input is what is no such file; what it holds is never part of the message.
    pub fn read(path: &Path, reporter: &Reporter) -> Result<Self> {
        let name = path.display();
        let metadata = std::fs::metadata(path).map_err(|error| input_error!("cannot read {name}: {error}"))?;
        if metadata.len() > LIMIT as u64 {
            bail_input!("{name} has {} bytes: secrets have at most {LIMIT}", metadata.len());
        }
        let mode = metadata.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            reporter.warn(format_args!(
                "{name} has mode {mode:04o}, so others on this machine can read it: `chmod 600 {name}`"
            ));
        }
        let content = std::fs::read(path).map_err(|error| input_error!("cannot read {name}: {error}"))?;
        let content = Zeroizing::new(content);
        check(&content).map_err(|said| input_error!("{name}: {said}"))?;
        Ok(Self(content))
    }
}

/// What is wrong with a file of secrets, without its values.
fn check(content: &[u8]) -> Result<(), String> {
    // The parser's own messages cite what they stumble over.
    let value: Value = serde_json::from_slice(content)
        .map_err(|error| format!("it is not JSON (line {}, column {})", error.line(), error.column()))?;
    for (path, known) in KEYS {
        let object = if path.is_empty() { Some(&value) } else { value.get(path) };
        let Some(object) = object.filter(|object| !object.is_null()) else {
            continue;
        };
        let Some(object) = object.as_object() else {
            let what = if path.is_empty() {
                "it".to_owned()
            } else {
                format!("`{path}`")
            };
            return Err(format!("{what} must be an object with {}", listed(known)));
        };
        let full = |key: &str| {
            if path.is_empty() {
                key.to_owned()
            } else {
                format!("{path}.{key}")
            }
        };
        if let Some(key) = object.keys().find(|key| !known.contains(&key.as_str())) {
            let nearest = known
                .iter()
                .max_by(|a, b| strsim::jaro_winkler(a, key).total_cmp(&strsim::jaro_winkler(b, key)));
            return Err(format!(
                "there is no key `{}`; did you mean `{}`? there are {}",
                full(key),
                full(nearest.unwrap_or(&"")),
                listed(known)
            ));
        }
        if !path.is_empty()
            && let Some(key) = known
                .iter()
                .find(|key| !object.get(**key).is_some_and(Value::is_string))
        {
            return Err(format!("`{}` must be there, and be text in quotes", full(key)));
        }
    }
    let secrets: Secrets = serde_json::from_value(value).map_err(|_| "it is not of the right shape".to_owned())?;
    secrets.check()
}

fn listed(keys: &[&str]) -> String {
    keys.iter().map(|key| format!("`{key}`")).collect::<Vec<_>>().join(", ")
}

/// Has `given` written onto the first partition.
///
/// # Errors
///
/// Wrong input is an image whose first partition is none of ours, or has no room.
pub fn put(image: &mut Image, given: &Given) -> Result<()> {
    let scratch = scratch()?;
    copy(image, 0..1, &scratch)?;
    let table = table(&scratch).map_err(|error| input_error!("{}: {error:#}", image.name()))?;
    let first = table.get(FIRST)?;
    copy(image, first.start / PIECE..first.end().div_ceil(PIECE), &scratch)?;
    scratch.set_len(first.end()).context("sizing a temporary file")?;

    let volume = Volume::open(&scratch, first)
        .with_context(|| input_error!("{} has no FAT for secrets on its first partition", image.name()))?;
    let mut files = Files::new();
    for name in volume.files()? {
        let content = volume
            .read(&name)?
            .with_context(|| format!("reading {name} of the image"))?;
        files.insert(name, content.into());
    }
    files.insert(FILE.to_owned(), given.0.to_vec().into());
    let made = self::scratch()?;
    made.set_len(first.end()).context("sizing a temporary file")?;
    let used = fat::write(&made, first, volume.label(), table.serial(FIRST), &files)?;
    for (at, block) in changed(&scratch, &made, first, used)? {
        image.amend(at, block);
    }
    Ok(())
}

/// The table of the beginning of an image: of an MBR the primary partitions, for the others lie elsewhere.
fn table(scratch: &File) -> Result<Table> {
    let primary = Table::read_primary(scratch)?;
    let known = primary.get(FIRST).is_ok_and(|first| first.kind == Kind::Fat);
    let table = if known { primary } else { Table::read(scratch)? };
    if table.get(FIRST)?.kind != Kind::Fat {
        bail_input!("its first partition is no FAT, so there is no place for secrets");
    }
    Ok(table)
}

fn scratch() -> Result<File> {
    tempfile::tempfile().context("creating a temporary file (is $TMPDIR writable?)")
}

/// Copies what is mapped of the pieces with these numbers.
fn copy(image: &Image, numbers: std::ops::Range<u64>, to: &File) -> Result<()> {
    let mapped = |number: &u64| {
        let window = number * PIECE..(number + 1) * PIECE;
        image.map().within(&window).next().is_some()
    };
    let pieces: Vec<u64> = numbers.filter(mapped).collect();
    let source = image.pieces(pieces.clone())?;
    let (mut buffer, mut compressed) = (vec![0; usize::try_from(PIECE)?], Vec::new());
    while let Some((index, length)) = source.next(&mut buffer, &mut compressed)? {
        to.write_all_at(&buffer[..length], pieces[index] * PIECE)
            .context("writing a temporary file")?;
    }
    Ok(())
}

/// The blocks of a partition that are not the same in both, `used` bytes of it at most.
fn changed(old: &File, new: &File, partition: Partition, used: u64) -> Result<Vec<(u64, Vec<u8>)>> {
    let mut found = Vec::new();
    let mut seen = BTreeSet::new();
    for at in (partition.start..partition.start + used).step_by(BLOCK) {
        let length = usize::try_from((partition.end() - at).min(BLOCK as u64))?;
        let (mut was, mut is) = (vec![0; length], vec![0; length]);
        old.read_exact_at(&mut was, at).context("reading a temporary file")?;
        new.read_exact_at(&mut is, at).context("reading a temporary file")?;
        if was != is && seen.insert(at) {
            found.push((at, is));
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::process::Command;

    use super::*;
    use crate::assemble::testing::{build, oracle, with_kernel};
    use crate::burn::medium::Opened;
    use crate::burn::write;
    use crate::definition::format::Format;

    const TEXT: &str = r#"{"wifi":{"ssid":"home","psk":"correct horse"}}"#;

    #[test]
    fn secrets_lie_on_the_first_partition_and_the_rest_is_the_image() {
        let folder = tempfile::tempdir().unwrap();
        let made = build(&with_kernel(), "raspberrypi-arm64", folder.path()).unwrap();
        let reporter = Reporter::new(true);
        let path = folder.path().join("secrets");
        fs::write(&path, TEXT).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let given = Given::read(&path, &reporter).unwrap();
        assert_eq!(reporter.warnings(), 1);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        Given::read(&path, &reporter).unwrap();
        assert_eq!(reporter.warnings(), 1);

        let mut image = Image::open(made.file(Format::Zst).unwrap(), &reporter).unwrap();
        assert!(image.vouched() && image.mapped());
        put(&mut image, &given).unwrap();
        let card = folder.path().join("card");
        fs::write(&card, "").unwrap();
        let mut medium = Opened::open(&card).unwrap();
        medium.fit(image.size()).unwrap();
        write::burn(&image, &medium, &reporter).unwrap();

        let raw = made.file(Format::Img).unwrap().to_owned();
        let first = Table::read(&File::open(&raw).unwrap()).unwrap().get(FIRST).unwrap();
        let part = |of: &Path, name: &str| {
            let to = folder.path().join(name);
            oracle(
                Command::new("dd")
                    .args(["bs=1M", "status=none", &format!("skip={}", first.start >> 20)])
                    .arg(format!("count={}", first.size >> 20))
                    .arg(format!("if={}", of.display()))
                    .arg(format!("of={}", to.display())),
            );
            oracle(Command::new("fsck.vfat").arg("-n").arg(&to));
            to
        };
        let (before, after) = (part(&raw, "before"), part(&card, "after"));
        let read = |volume: &Path, name: &str| {
            let output = Command::new("mtype")
                .arg("-i")
                .arg(volume)
                .arg(format!("::{name}"))
                .output();
            let output = output.unwrap();
            output.status.success().then_some(output.stdout)
        };
        assert_eq!(read(&before, FILE), None);
        assert_eq!(read(&after, FILE).unwrap(), TEXT.as_bytes());
        for name in ["autoboot.txt", "bootcode.bin"] {
            assert_eq!(read(&before, name), read(&after, name), "{name}");
            assert!(read(&after, name).is_some());
        }
        // The firmware model follows the card as it followed the image.
        let image = std::fs::File::open(&card).unwrap();
        crate::assemble::firmware::check(&image, &[crate::assemble::firmware::Board::Pi3]).unwrap();
        // But for that partition, no byte is another.
        for (skip, length) in [(0, Some(first.start)), (first.end(), None)] {
            let mut cmp = Command::new("cmp");
            cmp.args(["-i", &skip.to_string()]);
            if let Some(length) = length {
                cmp.args(["-n", &length.to_string()]);
            }
            oracle(cmp.args([&raw, &card]));
        }
    }

    #[test]
    fn what_is_wrong_is_said_without_the_key() {
        let cases = [
            (r#"{"wifi":{"ssid":"a","psk":"hunter22x"}}"#, None),
            ("{}", None),
            (
                r#"{"wify":{"ssid":"a","psk":"hunter22x"}}"#,
                Some("there is no key `wify`; did you mean `wifi`?"),
            ),
            (
                r#"{"wifi":{"sid":"a","psk":"hunter22x"}}"#,
                Some("there is no key `wifi.sid`; did you mean `wifi.ssid`?"),
            ),
            (r#"{"wifi":{"psk":"hunter22x"}}"#, Some("`wifi.ssid` must be there")),
            (
                r#"{"wifi":{"ssid":"a","psk":["hunter22x"]}}"#,
                Some("`wifi.psk` must be there, and be text"),
            ),
            (
                r#"{"wifi":"hunter22x"}"#,
                Some("`wifi` must be an object with `ssid`, `psk`"),
            ),
            (r#"["hunter22x"]"#, Some("it must be an object with `wifi`")),
            (r#"{"wifi": hunter22x"#, Some("it is not JSON (line 1, column ")),
            (
                r#"{"wifi":{"ssid":"","psk":"hunter22x"}}"#,
                Some("`wifi.ssid` must have 1 to 32 bytes"),
            ),
        ];
        for (text, says) in cases {
            match (check(text.as_bytes()), says) {
                (Ok(()), None) => {}
                (Err(said), Some(says)) => {
                    assert!(said.contains(says), "{said}");
                    assert!(!said.contains("hunter"), "{said}");
                }
                (result, _) => panic!("{text} gave {result:?}"),
            }
        }
    }
}
