//! Options and operands as `getopt_long(3)` reads them, options and operands mixed.

use crate::shell::process::{Halt, Process};

/// What was given on a command line.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Arguments {
    /// First name of each option given, with its value (empty without one), in order.
    pub(crate) options: Vec<(&'static str, String)>,
    /// Everything else, in order.
    pub(crate) operands: Vec<String>,
}

impl Arguments {
    /// Reads the arguments of `process`. `known` has one entry per option, its names separated by spaces and a `=` at
    /// the end if it takes a value: `"--home -h ="`. An unknown option stops the interpretation.
    pub(crate) fn of(process: &Process<'_>, known: &[&'static str]) -> Result<Self, Halt> {
        Self::read(&process.args[1..], known).map_err(|what| process.unsupported(what))
    }

    fn read(args: &[String], known: &[&'static str]) -> Result<Self, String> {
        let mut found = Self::default();
        let mut rest = args.iter();
        while let Some(arg) = rest.next() {
            if arg == "--" {
                found.operands.extend(rest.cloned());
                break;
            }
            if let Some(long) = arg.strip_prefix("--") {
                let (name, inline) = match long.split_once('=') {
                    Some((name, value)) => (name, Some(value.to_owned())),
                    None => (long, None),
                };
                let (first, takes) = find(known, &format!("--{name}")).ok_or_else(|| format!("`{arg}`"))?;
                let value = match (takes, inline) {
                    (true, Some(value)) => value,
                    (true, None) => rest.next().ok_or_else(|| format!("`{arg}` without a value"))?.clone(),
                    (false, None) => String::new(),
                    (false, Some(_)) => return Err(format!("`{arg}`: a value for this option")),
                };
                found.options.push((first, value));
            } else if arg.len() > 1 && arg.starts_with('-') {
                for (at, letter) in arg[1..].char_indices() {
                    let (first, takes) = find(known, &format!("-{letter}")).ok_or_else(|| format!("`{arg}`"))?;
                    if !takes {
                        found.options.push((first, String::new()));
                        continue;
                    }
                    let attached = &arg[1 + at + letter.len_utf8()..];
                    let value = if attached.is_empty() {
                        rest.next().ok_or_else(|| format!("`{arg}` without a value"))?.clone()
                    } else {
                        attached.to_owned()
                    };
                    found.options.push((first, value));
                    break;
                }
            } else {
                found.operands.push(arg.clone());
            }
        }
        Ok(found)
    }

    /// Whether the option whose first name is `name` was given.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.options.iter().any(|(option, _)| *option == name)
    }

    /// The last value given for the option whose first name is `name`.
    pub(crate) fn value(&self, name: &str) -> Option<&str> {
        self.options
            .iter()
            .rev()
            .find(|(option, _)| *option == name)
            .map(|(_, value)| value.as_str())
    }

    /// The operands as string slices, to match on.
    pub(crate) fn operands(&self) -> Vec<&str> {
        self.operands.iter().map(String::as_str).collect()
    }
}

fn find(known: &[&'static str], name: &str) -> Option<(&'static str, bool)> {
    known.iter().find_map(|entry| {
        let (names, takes) = match entry.strip_suffix(" =") {
            Some(names) => (names, true),
            None => (*entry, false),
        };
        names.split(' ').any(|known| known == name).then(|| {
            let first = names.split(' ').next().expect("`split` yields at least one part");
            (first, takes)
        })
    })
}

/// Whether a root given with `--root` is the tree itself; commands do not work on any other.
pub(crate) fn is_whole_tree(root: &str) -> bool {
    root.chars().all(|c| c == '/')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<Arguments, String> {
        let args: Vec<String> = line.split(' ').map(str::to_owned).collect();
        Arguments::read(&args, &["--quiet -q", "-m --mode =", "-r"])
    }

    #[test]
    fn options_and_operands_mix() {
        let found = read("a -qm 7 --mode=8 -rm9 b -- -q").unwrap();
        assert_eq!(found.operands, ["a", "b", "-q"]);
        assert!(found.has("--quiet") && found.has("-r"));
        let modes: Vec<&str> = found
            .options
            .iter()
            .filter(|(n, _)| *n == "-m")
            .map(|(_, v)| v.as_str())
            .collect();
        assert_eq!(modes, ["7", "8", "9"]);
        assert_eq!(found.value("-m"), Some("9"));
    }

    #[test]
    fn unknown_options_and_missing_values_are_refused() {
        assert_eq!(read("-x").unwrap_err(), "`-x`");
        assert_eq!(read("--mode").unwrap_err(), "`--mode` without a value");
        assert_eq!(read("--quiet=1").unwrap_err(), "`--quiet=1`: a value for this option");
    }
}
