//! getopt(1) of util-linux: a script's options in a canonical order, quoted for its shell.

use super::ending::{Done, Ending, settle};
use crate::shell::process::{Command, Process};

pub(super) const COMMANDS: &[(&str, Command)] = &[("getopt", |process| settle(process, getopt))];

/// How an option takes a value.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Takes {
    Nothing,
    Value,
    Optional,
}

/// What a script knows.
#[derive(Default)]
struct Known {
    short: String,
    long: Vec<(String, Takes)>,
    /// A leading `+`: the first operand ends the options.
    in_order: bool,
}

fn getopt(process: &mut Process<'_>) -> Done {
    let args = process.args[1..].to_vec();
    let (mut known, mut name, mut quiet, mut unquoted) = (Known::default(), "getopt".to_owned(), false, false);
    let mut short = None;
    let mut rest = args.iter();
    let mut words: Vec<String> = Vec::new();
    while let Some(arg) = rest.next() {
        let (option, attached) = match arg.split_once('=') {
            Some((option, value)) if arg.starts_with("--") => (option, Some(value.to_owned())),
            _ => (arg.as_str(), None),
        };
        let mut value = || attached.clone().or_else(|| rest.next().cloned()).unwrap_or_default();
        match option {
            "-o" | "--options" => short = Some(value()),
            "-l" | "--long" | "--longoptions" => known.add_long(&value()),
            "-n" | "--name" => name = value(),
            "-q" | "--quiet" => quiet = true,
            "-u" | "--unquoted" => unquoted = true,
            "-T" | "--test" => return Err(Ending::with(4, "")),
            "-s" | "--shell" => {
                let shell = value();
                if !["sh", "bash"].contains(&shell.as_str()) {
                    return Err(process.unsupported(format!("quoting for {shell}")).into());
                }
            }
            "--" => {
                words.extend(rest.cloned());
                break;
            }
            _ if option.starts_with("-o") => short = Some(option[2..].to_owned()),
            _ if option.starts_with("-l") => known.add_long(&option[2..]),
            _ if option.starts_with('-') => return Err(process.unsupported(option).into()),
            _ => {
                // The first operand is what is known, where nothing said it.
                words.extend(std::iter::once(arg.clone()).chain(rest.cloned()));
                if short.is_none() {
                    short = Some(words.remove(0));
                }
                break;
            }
        }
    }
    // The old way, `getopt OPTIONS WORD…`, cannot quote.
    unquoted |= process.args.get(1).is_some_and(|first| !first.starts_with('-'));
    if short.is_none() && !words.is_empty() {
        short = Some(words.remove(0));
    }
    let Some(short) = short else {
        return Err(Ending::with(2, "missing optstring argument"));
    };
    known.in_order = short.starts_with('+') || process.env.contains_key("POSIXLY_CORRECT");
    if short.starts_with('-') {
        return Err(process.unsupported("operands in their places (a leading `-`)").into());
    }
    short.trim_start_matches('+').clone_into(&mut known.short);
    let (line, complaints) = known.sort(&words, unquoted);
    process.say(&line);
    for complaint in &complaints {
        if !quiet {
            process
                .stderr
                .extend_from_slice(format!("{name}: {complaint}\n").as_bytes());
        }
    }
    Ok(u8::from(!complaints.is_empty()))
}

impl Known {
    fn add_long(&mut self, list: &str) {
        for word in list.split([',', ' ', '\t', '\n']).filter(|word| !word.is_empty()) {
            let takes = match word.len() - word.trim_end_matches(':').len() {
                0 => Takes::Nothing,
                1 => Takes::Value,
                _ => Takes::Optional,
            };
            self.long.push((word.trim_end_matches(':').to_owned(), takes));
        }
    }

    fn short(&self, letter: char) -> Option<Takes> {
        let at = self.short.find(letter).filter(|_| letter != ':')?;
        let behind = &self.short[at + letter.len_utf8()..];
        Some(match behind.len() - behind.trim_start_matches(':').len() {
            0 => Takes::Nothing,
            1 => Takes::Value,
            _ => Takes::Optional,
        })
    }

    /// The option that is called `name` or is the only one whose name begins so.
    fn long(&self, name: &str) -> Result<(&str, Takes), String> {
        let meant = |(known, takes): &'_ (String, Takes)| (known.clone(), *takes);
        if let Some(exact) = self.long.iter().find(|(known, _)| known == name) {
            return Ok((&exact.0, exact.1));
        }
        let begin: Vec<&(String, Takes)> = self.long.iter().filter(|(known, _)| known.starts_with(name)).collect();
        match begin[..] {
            [only] => Ok((&only.0, only.1)),
            [] => Err(format!("unrecognized option '--{name}'")),
            _ => {
                let names: Vec<String> = begin
                    .into_iter()
                    .map(meant)
                    .map(|(known, _)| format!("'--{known}'"))
                    .collect();
                Err(format!(
                    "option '--{name}' is ambiguous; possibilities: {}",
                    names.join(" ")
                ))
            }
        }
    }

    /// The canonical line, and what was wrong.
    fn sort(&self, words: &[String], unquoted: bool) -> (String, Vec<String>) {
        let mut line = Line {
            unquoted,
            ..Line::default()
        };
        let mut operands = Vec::new();
        let mut rest = words.iter();
        while let Some(word) = rest.next() {
            if word == "--" {
                operands.extend(rest.cloned());
                break;
            } else if let Some(long) = word.strip_prefix("--") {
                if let Err(complaint) = self.long_option(&mut line, long, &mut rest) {
                    line.complaints.push(complaint);
                }
            } else if word.len() > 1 && word.starts_with('-') {
                self.letters(&mut line, word, &mut rest);
            } else {
                operands.push(word.clone());
                if self.in_order {
                    operands.extend(rest.cloned());
                    break;
                }
            }
        }
        line.words.push("--".to_owned());
        for operand in operands {
            line.value(&operand);
        }
        let words = line.words.iter().flat_map(|word| [" ", word]).collect();
        (words, line.complaints)
    }

    /// `--NAME` or `--NAME=VALUE`
    fn long_option<'w>(
        &self,
        line: &mut Line,
        long: &str,
        rest: &mut impl Iterator<Item = &'w String>,
    ) -> Result<(), String> {
        let (name, attached) = match long.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (long, None),
        };
        let (name, takes) = self.long(name)?;
        let value = match (takes, attached) {
            (Takes::Nothing, Some(_)) => return Err(format!("option '--{name}' doesn't allow an argument")),
            (Takes::Nothing, None) => None,
            (Takes::Optional, attached) => Some(attached.unwrap_or_default()),
            (Takes::Value, attached) => {
                let value = attached.or_else(|| rest.next().cloned());
                Some(value.ok_or_else(|| format!("option '--{name}' requires an argument"))?)
            }
        };
        line.words.push(format!("--{name}"));
        if let Some(value) = value {
            line.value(&value);
        }
        Ok(())
    }

    /// A bundle of letters.
    fn letters<'w>(&self, line: &mut Line, word: &str, rest: &mut impl Iterator<Item = &'w String>) {
        for (at, letter) in word.char_indices().skip(1) {
            let attached = &word[at + letter.len_utf8()..];
            let Some(takes) = self.short(letter) else {
                line.complaints.push(format!("invalid option -- '{letter}'"));
                continue;
            };
            let value = match takes {
                Takes::Nothing => None,
                Takes::Value if attached.is_empty() => {
                    let Some(next) = rest.next() else {
                        line.complaints
                            .push(format!("option requires an argument -- '{letter}'"));
                        return;
                    };
                    Some(next.as_str())
                }
                Takes::Value | Takes::Optional => Some(attached),
            };
            line.words.push(format!("-{letter}"));
            if let Some(value) = value {
                line.value(value);
                return;
            }
        }
    }
}

/// The canonical line in the making.
#[derive(Default)]
struct Line {
    words: Vec<String>,
    complaints: Vec<String>,
    unquoted: bool,
}

impl Line {
    fn value(&mut self, value: &str) {
        let quoted = if self.unquoted { value.to_owned() } else { quoted(value) };
        self.words.push(quoted);
    }
}

fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use crate::commands::oracle::same;

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
        ] {
            same(&[], args, "");
        }
    }
}
