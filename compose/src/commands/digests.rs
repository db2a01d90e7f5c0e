//! `md5sum`, `sha1sum`, `sha256sum`, `sha512sum` and their checking.

use sha2::Digest as _;

use super::arguments::Arguments;
use super::operands;
use crate::shell::process::{Command, Outcome, Process};

pub(super) const COMMANDS: &[(&str, Command)] = &[
    ("md5sum", |process| {
        digest(process, |data| hex::encode(md5::Md5::digest(data)))
    }),
    ("sha256sum", |process| {
        digest(process, |data| hex::encode(sha2::Sha256::digest(data)))
    }),
    ("sha512sum", |process| {
        digest(process, |data| hex::encode(sha2::Sha512::digest(data)))
    }),
];

fn digest(process: &mut Process<'_>, hash: fn(&[u8]) -> String) -> Outcome {
    let args = Arguments::of(
        process,
        &[
            "-c --check",
            "-b --binary",
            "-t --text",
            "-z --zero",
            "--quiet",
            "--status",
        ],
    )?;
    let (contents, complete) = operands::read_all(process, &args.operands)?;
    if args.has("-c") {
        let lists: Vec<String> = contents
            .iter()
            .map(|(_, text)| String::from_utf8_lossy(text).into_owned())
            .collect();
        let loud = (!args.has("--quiet") && !args.has("--status"), !args.has("--status"));
        return check(process, &lists, hash, loud, complete);
    }
    let mark = if args.has("-b") { '*' } else { ' ' };
    let end = if args.has("-z") { '\0' } else { '\n' };
    for (name, text) in contents {
        let line = format!("{} {mark}{name}{end}", hash(&text));
        process.stdout.extend_from_slice(line.as_bytes());
    }
    Ok(u8::from(!complete))
}

/// Compares files with the digests of `lists`; `loud` says whether successes and failures are told.
fn check(
    process: &mut Process<'_>,
    lists: &[String],
    hash: fn(&[u8]) -> String,
    loud: (bool, bool),
    complete: bool,
) -> Outcome {
    let mut good = complete;
    let mut any = false;
    for line in lists.iter().flat_map(|list| list.lines()) {
        let Some((wanted, name)) = line.split_once(' ') else {
            continue;
        };
        let Some(name) = name.strip_prefix([' ', '*']) else {
            continue;
        };
        any = true;
        let verdict = match operands::read(process, name)? {
            Ok(content) if hash(&content).eq_ignore_ascii_case(wanted) => "OK",
            Ok(_) => "FAILED",
            Err(error) => {
                process.fail(&format!("{name}: {}", error.errno));
                "FAILED open or read"
            }
        };
        good &= verdict == "OK";
        if if verdict == "OK" { loud.0 } else { loud.1 } {
            process.say(&format!("{name}: {verdict}"));
        }
    }
    if !any {
        return Ok(process.fail("no properly formatted checksum lines found"));
    }
    Ok(u8::from(!good))
}

#[cfg(test)]
mod tests {
    use crate::commands::oracle::same;

    #[test]
    fn does_what_the_real_ones_do() {
        let start = &[
            "a=1\n",
            "b=x",
            "sums=b026324c6904b2a9cb4b88d6d61c81d1  a\n00000000000000000000000000000000  b\n",
        ];
        for tool in ["md5sum", "sha256sum", "sha512sum"] {
            same(start, &[tool, "a", "b", "nothing"], "");
            same(start, &[tool], "input");
            same(start, &[tool, "-"], "");
            same(start, &[tool, "-b", "a"], "");
        }
        same(start, &["md5sum", "-c", "sums"], "");
        same(start, &["md5sum", "--check", "--quiet", "sums"], "");
        same(
            start,
            &["md5sum", "-c", "--status", "-"],
            "b026324c6904b2a9cb4b88d6d61c81d1  a\n",
        );
        same(start, &["md5sum", "-c"], "nothing here\n");
    }
}
