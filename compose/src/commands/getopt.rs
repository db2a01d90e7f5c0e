//! Options as `getopt_long(3)` reads them: bundles, attached values, abbreviations, `--`, permutation.

use crate::shell::process::{Halt, Process};

/// The options and operands of one call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Arguments {
    options: Vec<(String, Option<String>)>,
    /// What is left after the options, in order.
    pub(crate) operands: Vec<String>,
}

impl Arguments {
    /// Whether option `name` was given.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.options.iter().any(|(option, _)| option == name)
    }

    /// The value of the last option `name`.
    pub(crate) fn value(&self, name: &str) -> Option<&str> {
        let given = self.options.iter().rev().find(|(option, _)| option == name)?;
        given.1.as_deref()
    }

    /// The values of all options `name`, in order.
    pub(crate) fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let wanted =
            move |(option, value): &'a (String, Option<String>)| (option == name).then_some(value.as_deref()).flatten();
        self.options.iter().filter_map(wanted)
    }

    /// Which of `names` came last, for options that override each other.
    pub(crate) fn last(&self, names: &[&str]) -> Option<&str> {
        let given = self.options.iter().rev().map(|(option, _)| option.as_str());
        given.into_iter().find(|option| names.contains(option))
    }

    /// All options in order, with their values.
    pub(crate) fn options(&self) -> impl Iterator<Item = (&str, Option<&str>)> {
        self.options
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_deref()))
    }
}

/// Whether an option takes a value.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Takes {
    Nothing,
    Value,
    AttachedValue,
}

/// Reads the arguments of `process`. `short` is a `getopt(3)` string (`a` plain, `b:` with a value, `c::` with
/// an attached one, a leading `+` stops at the first operand); `long` maps long names (`mode=`, `backup[=]`, `verbose`)
/// to the name under which [`Arguments`] knows them. Anything else is [`Halt::Unsupported`].
pub(crate) fn parse(process: &Process<'_>, short: &str, long: &[(&str, &str)]) -> Result<Arguments, Halt> {
    let in_order = short.starts_with('+');
    let mut found = Arguments::default();
    let mut rest = process.args.iter().skip(1);
    while let Some(argument) = rest.next() {
        if argument == "--" {
            found.operands.extend(rest.cloned());
            break;
        }
        if let Some(option) = argument.strip_prefix("--") {
            let (name, attached) = match option.split_once('=') {
                Some((name, value)) => (name, Some(value.to_owned())),
                None => (option, None),
            };
            let (name, takes) = long_option(name, long).ok_or_else(|| process.unsupported(argument))?;
            let value = match (takes, attached) {
                (Takes::Nothing, Some(_)) => return Err(process.unsupported(argument)),
                (Takes::Value, None) => Some(rest.next().cloned().ok_or_else(|| without_value(process, argument))?),
                (_, attached) => attached,
            };
            found.options.push((name.to_owned(), value));
        } else if argument.len() > 1 && argument.starts_with('-') {
            let letters = argument[1..].char_indices();
            for (at, letter) in letters {
                let takes = short_option(letter, short).ok_or_else(|| process.unsupported(format!("-{letter}")))?;
                let attached = &argument[1 + at + letter.len_utf8()..];
                let value = match takes {
                    Takes::Nothing => None,
                    Takes::AttachedValue => (!attached.is_empty()).then(|| attached.to_owned()),
                    Takes::Value if attached.is_empty() => {
                        Some(rest.next().cloned().ok_or_else(|| without_value(process, argument))?)
                    }
                    Takes::Value => Some(attached.to_owned()),
                };
                found.options.push((letter.to_string(), value));
                if takes != Takes::Nothing {
                    break;
                }
            }
        } else {
            found.operands.push(argument.clone());
            if in_order {
                found.operands.extend(rest.cloned());
                break;
            }
        }
    }
    Ok(found)
}

fn without_value(process: &Process<'_>, option: &str) -> Halt {
    process.unsupported(format!("{option} without a value"))
}

fn short_option(letter: char, short: &str) -> Option<Takes> {
    if letter == ':' || letter == '+' {
        return None;
    }
    let after = &short[short.find(letter)? + letter.len_utf8()..];
    Some(match after.as_bytes() {
        [b':', b':', ..] => Takes::AttachedValue,
        [b':', ..] => Takes::Value,
        _ => Takes::Nothing,
    })
}

/// The option that `given` names or abbreviates without doubt.
fn long_option<'a>(given: &str, long: &[(&'a str, &'a str)]) -> Option<(&'a str, Takes)> {
    let bare = |name: &'a str| name.trim_end_matches("[=]").trim_end_matches('=');
    let matching: Vec<_> = long.iter().filter(|(name, _)| bare(name).starts_with(given)).collect();
    let exact = matching.iter().find(|(name, _)| bare(name) == given);
    let first = *exact.or(matching.first())?;
    if exact.is_none() && matching.iter().any(|(_, known_as)| *known_as != first.1) {
        return None;
    }
    let takes = match first.0 {
        name if name.ends_with("[=]") => Takes::AttachedValue,
        name if name.ends_with('=') => Takes::Value,
        _ => Takes::Nothing,
    };
    Some((first.1, takes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::oracle::with_process;

    fn read(args: &[&str], short: &str) -> Result<Arguments, Halt> {
        let long = [("mode=", "m"), ("make", "make"), ("recursive", "r"), ("backup[=]", "b")];
        with_process(args, b"", |process| parse(process, short, &long))
    }

    #[test]
    fn bundles_and_attached_values() {
        let found = read(&["x", "-rm755", "a", "--mode=7", "-b", "-r", "--", "-z"], "rm:b::").unwrap();
        assert_eq!(found.values("m").collect::<Vec<_>>(), ["755", "7"]);
        assert_eq!(found.operands, ["a", "-z"]);
        assert_eq!(found.last(&["m", "r"]), Some("r"));
        assert_eq!(found.value("b"), None);
    }

    #[test]
    fn abbreviations_must_be_unique() {
        assert!(read(&["x", "--rec"], "").unwrap().has("r"));
        assert_eq!(
            read(&["x", "--m", "7"], "").unwrap_err().to_string(),
            "`x`: --m is not supported"
        );
        assert_eq!(read(&["x", "--mo", "7"], "").unwrap().value("m"), Some("7"));
    }

    #[test]
    fn unknown_options_halt() {
        assert_eq!(
            read(&["x", "-rq"], "r").unwrap_err().to_string(),
            "`x`: -q is not supported"
        );
        assert_eq!(read(&["x", "a", "-q"], "+r").unwrap().operands, ["a", "-q"]);
    }
}
