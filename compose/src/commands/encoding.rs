//! base64, gzip, gunzip, iconv, tac, zcat: texts and files in another form.

use std::io::{Read as _, Write as _};

use super::arguments::Arguments;
use super::ending::{Done, Ending, settle};
use super::operands;
use crate::shell::process::{Command, Process};

pub(super) const COMMANDS: &[(&str, Command)] = &[
    ("base64", |process| settle(process, base64)),
    ("gunzip", |process| settle(process, gzip)),
    ("gzip", |process| settle(process, gzip)),
    ("iconv", |process| settle(process, iconv)),
    ("tac", |process| settle(process, tac)),
    ("zcat", |process| settle(process, gzip)),
];

const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// More than this no compressed file of a package holds; it is an attack or an accident.
const MAX_LENGTH: u64 = 1 << 30;

fn base64(process: &mut Process<'_>) -> Done {
    let given = Arguments::of(process, &["-d --decode", "-i --ignore-garbage", "-w --wrap ="])?;
    let (content, complete) = operands::concatenated(process, &given.operands)?;
    if given.has("-d") {
        let (plain, sound) = decode(&content, given.has("-i"));
        process.stdout.extend(plain);
        return if sound {
            Ok(u8::from(!complete))
        } else {
            Err(Ending::failed("invalid input"))
        };
    }
    let width = given.value("-w").unwrap_or("76");
    let width: usize = width
        .parse()
        .map_err(|_| Ending::failed(format!("invalid wrap size: '{width}'")))?;
    let text = encode(&content);
    if width == 0 {
        process.stdout.extend(text);
    } else {
        for line in text.chunks(width) {
            process.stdout.extend_from_slice(line);
            process.stdout.push(b'\n');
        }
    }
    Ok(u8::from(!complete))
}

/// RFC 4648, section 4.
fn encode(plain: &[u8]) -> Vec<u8> {
    let mut text = Vec::new();
    for group in plain.chunks(3) {
        let byte = |at: usize| u32::from(group.get(at).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for at in 0..4 {
            let letter = LETTERS[(bits >> (18 - 6 * at)) as usize & 63];
            text.push(if at <= group.len() { letter } else { b'=' });
        }
    }
    text
}

/// What a text means, and whether all of it meant something.
fn decode(text: &[u8], ignore_garbage: bool) -> (Vec<u8>, bool) {
    let mut plain = Vec::new();
    let (mut bits, mut letters, mut padding, mut sound) = (0_u32, 0, 0, true);
    for &letter in text {
        let value = LETTERS.iter().position(|known| *known == letter);
        match value {
            Some(value) if padding == 0 => {
                bits = bits << 6 | u32::try_from(value).expect("below 64");
                letters += 1;
            }
            None if letter == b'=' && letters > 1 && letters + padding < 4 => padding += 1,
            None if letter == b'\n' || ignore_garbage => continue,
            _ => {
                sound = false;
                break;
            }
        }
        if letters + padding == 4 {
            let bytes = (bits << (6 * padding)).to_be_bytes();
            plain.extend_from_slice(&bytes[1..4 - padding]);
            (bits, letters, padding) = (0, 0, 0);
        }
    }
    // Of a group without its end there are whole bytes.
    let whole = letters * 6 / 8;
    plain.extend_from_slice(&(bits << (24 - 6 * letters)).to_be_bytes()[1..=whole]);
    (plain, sound && letters == 0)
}

/// `gzip [-d] [-c] [-f] [-n] [-LEVEL] [FILE…]`; a file is replaced by its other form, unless it goes to standard output.
fn gzip(process: &mut Process<'_>) -> Done {
    let known = &[
        "-c --stdout --to-stdout",
        "-d --decompress --uncompress",
        "-f --force",
        "-k --keep",
        "-n --no-name",
        "-q --quiet",
        "-1 --fast",
        "-2",
        "-3",
        "-4",
        "-5",
        "-6",
        "-7",
        "-8",
        "-9 --best",
    ];
    let given = Arguments::of(process, known)?;
    let name = process.args[0].rsplit('/').next().unwrap_or("");
    let unpacking = name != "gzip" || given.has("-d");
    let through = name == "zcat" || given.has("-c") || given.operands.is_empty();
    let level = given.last(&["-1", "-2", "-3", "-4", "-5", "-6", "-7", "-8", "-9"]);
    let level = level.and_then(|level| level[1..].parse().ok()).unwrap_or(6);
    let (contents, complete) = operands::read_all(process, &given.operands)?;
    for (operand, content) in contents {
        let other = if unpacking {
            unpack(&content)
        } else {
            pack(&content, level)
        };
        let other = other.map_err(|error| Ending::failed(format!("{operand}: {error}")))?;
        if through {
            process.stdout.extend(other);
            continue;
        }
        let path = process.path(&operand);
        let to = match path.strip_suffix(".gz") {
            Some(to) if unpacking => to.to_owned(),
            None if !unpacking => format!("{path}.gz"),
            _ => return Err(Ending::with(2, format!("{operand}: has no fitting suffix -- ignored"))),
        };
        let tree = &mut process.system.tree;
        if tree.lexists(&to) && !given.has("-f") {
            return Err(Ending::with(2, format!("{to} already exists; not overwritten")));
        }
        let old = tree.stat(&path)?.clone();
        let id = tree.write(&to, other, old.mode)?;
        let new = tree.inode_mut(id);
        (new.uid, new.gid, new.mtime) = (old.uid, old.gid, old.mtime);
        if !given.has("-k") {
            tree.unlink(&path)?;
        }
    }
    Ok(u8::from(!complete))
}

fn unpack(content: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut plain = Vec::new();
    flate2::read::MultiGzDecoder::new(content)
        .take(MAX_LENGTH + 1)
        .read_to_end(&mut plain)?;
    if plain.len() as u64 > MAX_LENGTH {
        return Err(std::io::Error::other("is larger than 1 GiB unpacked"));
    }
    Ok(plain)
}

/// Without name and time, as with `-n`: what an image holds does not depend on when it was made.
fn pack(content: &[u8], level: u32) -> std::io::Result<Vec<u8>> {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(level));
    packed.write_all(content)?;
    packed.finish()
}

/// `iconv -f FROM -t TO`, of the encodings only those that are UTF-8 already.
fn iconv(process: &mut Process<'_>) -> Done {
    let given = Arguments::of(process, &["-f --from-code =", "-t --to-code =", "-c", "-s --silent"])?;
    let is_utf8 = |name: &str| {
        let (name, how) = name.split_once("//").unwrap_or((name, ""));
        ["UTF-8", "UTF8"].contains(&name.to_uppercase().as_str()) && ["", "TRANSLIT", "IGNORE"].contains(&how)
    };
    let (from, to) = (
        given.value("-f").unwrap_or("UTF-8"),
        given.value("-t").unwrap_or("UTF-8"),
    );
    if !is_utf8(to) || !(is_utf8(from) || ["ASCII", "US-ASCII"].contains(&from)) {
        return Err(process.unsupported(format!("from {from} to {to}")).into());
    }
    let (text, complete) = operands::concatenated(process, &given.operands)?;
    let sound = std::str::from_utf8(&text).map_or_else(|error| error.valid_up_to(), str::len);
    process.stdout.extend_from_slice(&text[..sound]);
    if sound < text.len() {
        return Err(Ending::failed(format!("illegal input sequence at position {sound}")));
    }
    Ok(u8::from(!complete))
}

/// The lines of each operand, the last first.
fn tac(process: &mut Process<'_>) -> Done {
    let given = Arguments::of(process, &[])?;
    let (contents, complete) = operands::read_all(process, &given.operands)?;
    for (_, content) in contents {
        let lines: Vec<&[u8]> = content.split_inclusive(|byte| *byte == b'\n').collect();
        process.stdout.extend(lines.into_iter().rev().flatten());
    }
    Ok(u8::from(!complete))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::lookup;
    use crate::commands::oracle::same;
    use crate::system::System;

    #[test]
    fn does_what_base64_and_tac_do() {
        for text in [
            "",
            "a",
            "ab",
            "abc",
            "abcd",
            "line\nline\n",
            "no end\nof line",
            &"x".repeat(200),
        ] {
            same(&[], &["base64"], text);
            same(&[], &["base64", "-w", "0"], text);
            same(&[], &["base64", "-w", "10"], text);
            same(&[], &["tac"], text);
            same(&[], &["iconv", "-f", "UTF-8", "-t", "UTF-8//TRANSLIT"], text);
        }
        for text in ["YQ==\n", "YWI=", "YWJj\nYWJj\n", "YW*Jj", "YWJ", "YQ==YQ=="] {
            same(&[], &["base64", "-d"], text);
            same(&[], &["base64", "-di"], text);
        }
    }

    #[test]
    fn what_gzip_packs_zcat_reads() {
        let mut system = System::new("arm64", 7);
        system.tree.write("/f", "text\n", 0o640).unwrap();
        let mut gzip = |args: &[&str]| {
            let mut process = Process::new(&mut system, args);
            let status = lookup(args[0]).unwrap()(&mut process).unwrap();
            (status, String::from_utf8_lossy(&process.stdout).into_owned())
        };
        assert_eq!(gzip(&["gzip", "-9n", "/f"]), (0, String::new()));
        assert_eq!(gzip(&["zcat", "/f.gz"]), (0, "text\n".to_owned()));
        assert_eq!(gzip(&["gunzip", "/f.gz"]), (0, String::new()));
        assert_eq!(gzip(&["zcat", "/f"]).0, 1);
        assert_eq!(system.tree.stat("/f").unwrap().mode, 0o640);
        assert!(!system.tree.exists("/f.gz"));
    }
}
