//! getopt(1) of util-linux: a script's options in a canonical order, quoted for its shell.

use super::arguments::Arguments;
use super::ending::{Done, Ending, settle};
use super::getopt_long::{self, Fault, Spelling, Takes};
use crate::shell::process::{Command, Process};

pub(super) const COMMANDS: &[(&str, Command)] = &[("getopt", |process| settle(process, getopt))];

fn getopt(process: &mut Process<'_>) -> Done {
    let given = Arguments::in_order(
        process,
        &[
            "-o --options =",
            "-l --longoptions --long =",
            "-n --name =",
            "-q --quiet",
            "-u --unquoted",
            "-T --test",
            "-s --shell =",
        ],
    )?;
    if given.has("-T") {
        return Err(Ending::with(4, ""));
    }
    if let Some(shell) = given.values("-s").find(|shell| !["sh", "bash"].contains(shell)) {
        return Err(process.unsupported(format!("quoting for {shell}")).into());
    }
    let mut words = given.operands.iter().cloned();
    let Some(short) = given.value("-o").map(str::to_owned).or_else(|| words.next()) else {
        return Err(Ending::with(2, "missing optstring argument"));
    };
    if short.starts_with('-') {
        return Err(process.unsupported("operands in their places (a leading `-`)").into());
    }
    // The old way, `getopt OPTIONS WORD…`, cannot quote.
    let unquoted = given.has("-u") || process.args.get(1).is_some_and(|first| !first.starts_with('-'));
    let in_order = short.starts_with('+') || process.env.contains_key("POSIXLY_CORRECT");
    let known: Vec<(String, Takes)> = letters(short.trim_start_matches('+'))
        .chain(given.values("-l").flat_map(long_options))
        .collect();
    let spellings = known.iter().map(|(word, takes)| Spelling {
        word,
        name: word,
        takes: *takes,
    });
    let words: Vec<String> = words.collect();
    let found = getopt_long::read(&words, spellings.collect(), in_order);
    let quoted = |word: &str| if unquoted { word.to_owned() } else { quoted(word) };
    let mut line = String::new();
    for option in &found.options {
        line.extend([" ", option.name]);
        if option.takes != Takes::Nothing {
            line.extend([" ", &quoted(option.value.as_deref().unwrap_or_default())]);
        }
    }
    line.push_str(" --");
    for operand in &found.operands {
        line.extend([" ", &quoted(operand)]);
    }
    process.say(&line);
    let name = given.value("-n").unwrap_or("getopt");
    for fault in found.faults.iter().filter(|_| !given.has("-q")) {
        let complaint = format!("{name}: {}\n", complaint(fault));
        process.stderr.extend_from_slice(complaint.as_bytes());
    }
    Ok(u8::from(!found.faults.is_empty()))
}

/// `ab:c::`
fn letters(short: &str) -> impl Iterator<Item = (String, Takes)> {
    let at = short.char_indices().filter(|(_, letter)| *letter != ':');
    at.map(|(at, letter)| {
        let behind = &short[at + letter.len_utf8()..];
        (
            format!("-{letter}"),
            takes(behind.len() - behind.trim_start_matches(':').len()),
        )
    })
}

/// `one,two:,three::`
fn long_options(list: &str) -> impl Iterator<Item = (String, Takes)> {
    let words = list.split([',', ' ', '\t', '\n']).filter(|word| !word.is_empty());
    words.map(|word| {
        let name = word.trim_end_matches(':');
        (format!("--{name}"), takes(word.len() - name.len()))
    })
}

fn takes(colons: usize) -> Takes {
    match colons {
        0 => Takes::Nothing,
        1 => Takes::Value,
        _ => Takes::AttachedValue,
    }
}

/// As the C library says it.
fn complaint(fault: &Fault<'_>) -> String {
    let written = |word: &str| word.split('=').next().unwrap_or_default().to_owned();
    match fault {
        Fault::Letter(letter) => format!("invalid option -- '{letter}'"),
        Fault::Unknown { word } => format!("unrecognized option '{}'", written(word)),
        Fault::Ambiguous { word, meant } => {
            let meant: Vec<String> = meant.iter().map(|option| format!("'{option}'")).collect();
            format!(
                "option '{}' is ambiguous; possibilities: {}",
                written(word),
                meant.join(" ")
            )
        }
        Fault::Superfluous { name, .. } => format!("option '{name}' doesn't allow an argument"),
        Fault::Missing { name, .. } => match name.strip_prefix("--") {
            Some(_) => format!("option '{name}' requires an argument"),
            None => format!("option requires an argument -- '{}'", name.trim_start_matches('-')),
        },
    }
}

fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::oracle::{same, with_process};

    #[test]
    fn does_what_getopt_does() {
        for args in [
            &[
                "getopt",
                "-o",
                "hidrcvas",
                "--long",
                "help,id,all,short",
                "-n",
                "x",
                "--",
                "-i",
                "-s",
            ][..],
            &[
                "getopt",
                "-o",
                "a:b::c",
                "-l",
                "one,two:,three::",
                "--",
                "-a1",
                "-b",
                "-bx",
                "-c",
                "word",
                "--two",
                "v",
            ],
            &[
                "getopt",
                "-o",
                "a",
                "-l",
                "three::",
                "--",
                "--three",
                "--three=x",
                "--",
                "-a",
            ],
            &["getopt", "-o", "+a", "--", "-a", "word", "-a"],
            &[
                "getopt",
                "-o",
                "a",
                "-l",
                "alpha,alpine,beta",
                "--",
                "--be",
                "--alph",
                "it's",
            ],
            &["getopt", "-o", "a", "--", "-z", "w"],
            &["getopt", "-o", "a:", "-l", "x:", "--", "--x"],
            &["getopt", "-u", "ab", "-a", "b c"],
            &["getopt", "ab", "-a", "b c"],
            &["getopt", "-q", "-o", "a", "--", "-z"],
            &["getopt", "-T"],
            &["getopt", "-uoa:", "--long", "x", "-l", "y", "--", "-ab", "--y"],
            &["getopt", "-l", "x", "--", "a", "-a", "--x"],
        ] {
            same(&[], args, "");
        }
    }

    #[test]
    fn sorts_and_complains_as_getopt_does() {
        const WORDS: [&str; 17] = [
            "-a",
            "-ab",
            "-b",
            "-bv",
            "-c",
            "-cv",
            "-z",
            "-azb",
            "--al",
            "--alpha",
            "--alpha=v",
            "--beta",
            "--beta=v",
            "--gamma",
            "--g=v",
            "--",
            "word",
        ];
        let own = [
            "getopt",
            "-n",
            "x",
            "-o",
            "ab:c::",
            "-l",
            "alpha,alpine,beta:,gamma::",
            "--",
        ];
        for first in WORDS {
            for second in WORDS {
                let args = [own.as_slice(), &[first, second]].concat();
                let real = std::process::Command::new(args[0])
                    .args(&args[1..])
                    .env("LC_ALL", "C")
                    .env_remove("POSIXLY_CORRECT")
                    .output()
                    .unwrap();
                let ours = with_process(&args, b"", |process| {
                    let status = settle(process, getopt).unwrap();
                    (status, process.stdout.clone(), process.stderr.clone())
                });
                let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
                assert_eq!(
                    (i32::from(ours.0), text(&ours.1), text(&ours.2)),
                    (real.status.code().unwrap(), text(&real.stdout), text(&real.stderr)),
                    "{args:?}"
                );
            }
        }
    }
}
