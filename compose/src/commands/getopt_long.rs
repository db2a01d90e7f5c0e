//! Options and operands among words, by the rules of GNU's `getopt_long(3)`.
//!
//! - Letters bundle (`-rf`); a value is the rest of the word or the next one (`-m755`, `-m 755`).
//! - Long options may be shortened as long as only one option is meant; a value follows after `=` or as the next word.
//! - An optional value only counts when attached (`-i.bak`, `--in-place=.bak`).
//! - `--` ends the options; `-` alone is an operand.
//! - Operands may stand between options, or the first one ends them (POSIX, XBD 12.2, guideline 9).

/// Whether an option takes a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Takes {
    Nothing,
    Value,
    AttachedValue,
}

/// A way to write an option.
#[derive(Clone, Copy, Debug)]
pub(super) struct Spelling<'k> {
    /// `-x` or `--long`.
    pub(super) word: &'k str,
    /// What the option is called, however it is written.
    pub(super) name: &'k str,
    pub(super) takes: Takes,
}

/// An option that was given.
#[derive(Clone, Debug)]
pub(super) struct Given<'k> {
    pub(super) name: &'k str,
    pub(super) takes: Takes,
    pub(super) value: Option<String>,
}

/// What is wrong with a word.
#[derive(Clone, Debug)]
pub(super) enum Fault<'k> {
    /// There is no such letter.
    Letter(char),
    /// There is no such long option.
    Unknown { word: String },
    /// It may mean all of these.
    Ambiguous { word: String, meant: Vec<&'k str> },
    /// It has a value, and the option takes none.
    Superfluous { word: String, name: &'k str },
    /// It has no value, and the option needs one.
    Missing { word: String, name: &'k str },
}

/// What words are.
#[derive(Clone, Debug)]
pub(super) struct Found<'k> {
    known: Vec<Spelling<'k>>,
    /// The options, in order.
    pub(super) options: Vec<Given<'k>>,
    /// Everything else, in order.
    pub(super) operands: Vec<String>,
    /// What is neither, in order.
    pub(super) faults: Vec<Fault<'k>>,
}

/// Reads words; where they are `in_order`, the first operand ends the options.
pub(super) fn read<'k>(words: &[String], known: Vec<Spelling<'k>>, in_order: bool) -> Found<'k> {
    let mut found = Found {
        known,
        options: Vec::new(),
        operands: Vec::new(),
        faults: Vec::new(),
    };
    let mut rest = words.iter();
    while let Some(word) = rest.next() {
        if word == "--" {
            found.operands.extend(rest.cloned());
            break;
        } else if word.starts_with("--") {
            match found.long(word, &mut rest) {
                Ok(given) => found.options.push(given),
                Err(fault) => found.faults.push(fault),
            }
        } else if word.len() > 1 && word.starts_with('-') {
            found.letters(word, &mut rest);
        } else {
            found.operands.push(word.clone());
            if in_order {
                found.operands.extend(rest.cloned());
                break;
            }
        }
    }
    found
}

impl<'k> Found<'k> {
    /// Reads `--NAME` or `--NAME=VALUE`.
    fn long<'w>(&self, word: &str, rest: &mut impl Iterator<Item = &'w String>) -> Result<Given<'k>, Fault<'k>> {
        let (written, attached) = match word.split_once('=') {
            Some((written, value)) => (written, Some(value.to_owned())),
            None => (word, None),
        };
        let Spelling { name, takes, .. } = self.meant(written).map_err(|meant| {
            let word = word.to_owned();
            if meant.is_empty() {
                Fault::Unknown { word }
            } else {
                Fault::Ambiguous { word, meant }
            }
        })?;
        let word = || word.to_owned();
        let value = match (takes, attached) {
            (Takes::Nothing, Some(_)) => return Err(Fault::Superfluous { word: word(), name }),
            (Takes::Value, None) => match rest.next() {
                Some(next) => Some(next.clone()),
                None => return Err(Fault::Missing { word: word(), name }),
            },
            (_, attached) => attached,
        };
        Ok(Given { name, takes, value })
    }

    /// The long option that is written so, or shortened without doubt; else all that this may be short for.
    fn meant(&self, written: &str) -> Result<Spelling<'k>, Vec<&'k str>> {
        if let Some(exact) = self.known.iter().find(|spelling| spelling.word == written) {
            return Ok(*exact);
        }
        let mut meant: Vec<Spelling<'k>> = Vec::new();
        for spelling in self.known.iter().filter(|spelling| spelling.word.starts_with(written)) {
            if meant.iter().all(|other| other.name != spelling.name) {
                meant.push(*spelling);
            }
        }
        match meant[..] {
            [only] => Ok(only),
            _ => Err(meant.iter().map(|spelling| spelling.word).collect()),
        }
    }

    /// Reads a bundle of one-letter options, the last of which may have a value.
    fn letters<'w>(&mut self, word: &str, rest: &mut impl Iterator<Item = &'w String>) {
        for (at, letter) in word.char_indices().skip(1) {
            let written = format!("-{letter}");
            let Some(Spelling { name, takes, .. }) = self.known.iter().find(|known| known.word == written).copied()
            else {
                self.faults.push(Fault::Letter(letter));
                continue;
            };
            let attached = &word[at + letter.len_utf8()..];
            let attached = (!attached.is_empty()).then(|| attached.to_owned());
            let value = match takes {
                Takes::Nothing => None,
                Takes::AttachedValue => attached,
                Takes::Value => {
                    let Some(value) = attached.or_else(|| rest.next().cloned()) else {
                        let word = word.to_owned();
                        self.faults.push(Fault::Missing { word, name });
                        return;
                    };
                    Some(value)
                }
            };
            self.options.push(Given { name, takes, value });
            if takes != Takes::Nothing {
                return;
            }
        }
    }
}
