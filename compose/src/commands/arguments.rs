//! Options and operands of a command, read by one set of rules for all of them: see [`getopt_long`].
//!
//! Operands may stand between options ([`Arguments::of`]), except where they are a command line of their own, or may look
//! like options: then the first one ends the options ([`Arguments::in_order`]). dpkg's own tools know no shortened options:
//! what they would refuse there is understood here.

use super::getopt_long::{self, Fault, Spelling, Takes};
use crate::shell::process::{Halt, Process};

/// What was given on a command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Arguments {
    known: &'static [&'static str],
    /// First name of each option given, with its value, in order.
    options: Vec<(&'static str, Option<String>)>,
    /// Everything else, in order.
    pub(crate) operands: Vec<String>,
}

impl Arguments {
    /// Reads the arguments of `process`, options and operands in any order. `known` has one entry per option: its names
    /// separated by spaces, the first being the one it is known by here, and at the end a `=` if it takes a value or
    /// `[=]` if it may (`"-m --mode ="`, `"-q --quiet --silent"`). An unknown option stops the interpretation.
    pub(crate) fn of(process: &Process<'_>, known: &'static [&'static str]) -> Result<Self, Halt> {
        Self::read(&process.args[1..], known, false).map_err(|what| process.unsupported(what))
    }

    /// The same, but the first operand ends the options.
    pub(crate) fn in_order(process: &Process<'_>, known: &'static [&'static str]) -> Result<Self, Halt> {
        Self::read(&process.args[1..], known, true).map_err(|what| process.unsupported(what))
    }

    fn read(args: &[String], known: &'static [&'static str], in_order: bool) -> Result<Self, String> {
        let spellings = known.iter().flat_map(|entry| spellings(entry)).collect();
        let found = getopt_long::read(args, spellings, in_order);
        if let Some(fault) = found.faults.first() {
            return Err(match fault {
                Fault::Letter(letter) => format!("-{letter}"),
                Fault::Unknown { word } | Fault::Ambiguous { word, .. } => word.clone(),
                Fault::Superfluous { word, .. } => format!("{word}: a value for this option"),
                Fault::Missing { word, .. } => format!("{word} without a value"),
            });
        }
        Ok(Self {
            known,
            options: found
                .options
                .into_iter()
                .map(|given| (given.name, given.value))
                .collect(),
            operands: found.operands,
        })
    }

    /// A name no entry begins with would never be found: that is a mistake in the command.
    fn check(&self, name: &str) {
        debug_assert!(
            self.known.iter().any(|entry| entry.split(' ').next() == Some(name)),
            "`{name}` is not the first name of an option: {:?}",
            self.known
        );
    }

    /// Whether the option whose first name is `name` was given.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.check(name);
        self.options.iter().any(|(option, _)| *option == name)
    }

    /// The value given last for the option whose first name is `name`.
    pub(crate) fn value(&self, name: &str) -> Option<&str> {
        self.check(name);
        let given = self.options.iter().rev().find(|(option, _)| *option == name)?;
        given.1.as_deref()
    }

    /// All values given for the option whose first name is `name`, in order.
    pub(crate) fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.check(name);
        let given = self.options.iter().filter(move |(option, _)| *option == name);
        given.filter_map(|(_, value)| value.as_deref())
    }

    /// Which of the options with the first names `names` came last, for those that override each other.
    pub(crate) fn last(&self, names: &[&str]) -> Option<&'static str> {
        for name in names {
            self.check(name);
        }
        let given = self.options.iter().rev().map(|(option, _)| *option);
        given.into_iter().find(|option| names.contains(option))
    }

    /// All options in order, by their first names, with their values.
    pub(crate) fn options(&self) -> impl Iterator<Item = (&'static str, Option<&str>)> {
        self.options.iter().map(|(name, value)| (*name, value.as_deref()))
    }

    /// The operands as string slices, to match on.
    pub(crate) fn operands(&self) -> Vec<&str> {
        self.operands.iter().map(String::as_str).collect()
    }
}

/// The ways to write the option of an entry, which is called by the first of them.
fn spellings(entry: &'static str) -> impl Iterator<Item = Spelling<'static>> {
    let (words, takes) = match (entry.strip_suffix(" ="), entry.strip_suffix(" [=]")) {
        (Some(words), _) => (words, Takes::Value),
        (_, Some(words)) => (words, Takes::AttachedValue),
        _ => (entry, Takes::Nothing),
    };
    let name = words.split(' ').next().expect("`split` yields at least one part");
    words.split(' ').map(move |word| Spelling { word, name, takes })
}

/// Whether a root given with `--root` is the tree itself; commands do not work on any other.
pub(crate) fn is_whole_tree(root: &str) -> bool {
    root.chars().all(|c| c == '/')
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: &[&str] = &[
        "--quiet -q",
        "-m --mode =",
        "-r --recursive",
        "--make",
        "-b --backup [=]",
    ];

    fn read(line: &str, in_order: bool) -> Result<Arguments, String> {
        let args: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        Arguments::read(&args, KNOWN, in_order)
    }

    fn any_order(line: &str) -> Result<Arguments, String> {
        read(line, false)
    }

    #[test]
    fn options_and_operands_mix() {
        let found = any_order("a -qm 7 --mode=8 -rm9 - b -- -q").unwrap();
        assert_eq!(found.operands, ["a", "-", "b", "-q"]);
        assert!(found.has("--quiet") && found.has("-r"));
        assert_eq!(found.values("-m").collect::<Vec<_>>(), ["7", "8", "9"]);
        assert_eq!(found.value("-m"), Some("9"));
        assert_eq!(found.last(&["-m", "--quiet"]), Some("-m"));
    }

    #[test]
    fn the_first_operand_ends_the_options_where_order_counts() {
        let found = read("-q a -q --bad", true).unwrap();
        assert_eq!(found.operands, ["a", "-q", "--bad"]);
        assert_eq!(found.options().collect::<Vec<_>>(), [("--quiet", None)]);
        assert_eq!(read("-q -- a -r", true).unwrap().operands, ["a", "-r"]);
    }

    #[test]
    fn optional_values_are_attached() {
        let found = any_order("-b x --backup y -bz --backup=").unwrap();
        let given: Vec<_> = found.options().map(|(_, value)| value).collect();
        assert_eq!(given, [None, None, Some("z"), Some("")]);
        assert_eq!(found.operands, ["x", "y"]);
    }

    #[test]
    fn long_options_may_be_shortened_while_they_mean_one() {
        assert!(any_order("--rec").unwrap().has("-r"));
        assert_eq!(any_order("--mo 7").unwrap().value("-m"), Some("7"));
        assert_eq!(any_order("--m 7").unwrap_err(), "--m");
        assert_eq!(any_order("--ma=7").unwrap_err(), "--ma=7: a value for this option");
    }

    #[test]
    fn unknown_options_and_missing_values_are_refused() {
        assert_eq!(any_order("-rx").unwrap_err(), "-x");
        assert_eq!(any_order("--other").unwrap_err(), "--other");
        assert_eq!(any_order("--mode").unwrap_err(), "--mode without a value");
        assert_eq!(any_order("-rm").unwrap_err(), "-rm without a value");
        assert_eq!(
            any_order("--quiet=1").unwrap_err(),
            "--quiet=1: a value for this option"
        );
    }

    #[test]
    fn getopt_reads_the_same() {
        // util-linux' getopt(1) is getopt_long(3) on a command line.
        let short = "qm:rb::";
        let long = "quiet,mode:,recursive,make,backup::";
        for (line, in_order) in [
            ("a -qm 7 --mode=8 -rm9 - b -- -q", false),
            ("-q a -q --bad", true),
            ("-b x --backup y -bz --backup=w --rec", false),
            ("--mo 7 --ba --q", false),
        ] {
            let short = if in_order {
                format!("+{short}")
            } else {
                short.to_owned()
            };
            let real = std::process::Command::new("getopt")
                .args(["-u", "-o", &short, "-l", long, "--"])
                .args(line.split(' '))
                .output()
                .unwrap();
            assert!(real.status.success(), "{line}");
            let real = String::from_utf8(real.stdout).unwrap();
            let real = real.trim_end_matches('\n');
            let (given, operands) = real
                .split_once(" -- ")
                .unwrap_or_else(|| (real.strip_suffix(" --").unwrap(), ""));
            let mut words = given.trim_start().split(' ');
            let mut theirs = Vec::new();
            while let Some(word) = words.next() {
                let mut known = KNOWN.iter().flat_map(|entry| spellings(entry));
                let option = known.find(|spelling| spelling.word == word).unwrap();
                let value = (option.takes != Takes::Nothing).then(|| words.next().unwrap_or_default());
                // Without quotes getopt(1) shows an optional value that is missing as an empty word.
                theirs.push((option.name, value.filter(|value| !value.is_empty())));
            }
            let ours = read(line, in_order).unwrap();
            assert_eq!(ours.options().collect::<Vec<_>>(), theirs, "{line}");
            assert_eq!(ours.operands.join(" "), operands, "{line}");
        }
    }
}
