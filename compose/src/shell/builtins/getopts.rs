use crate::shell::state::{Run, Shell};

/// `getopts optstring name [argument…]`
pub(super) fn getopts(shell: &mut Shell<'_>, args: &[String]) -> Run {
    let [_, optstring, name, given @ ..] = args else {
        return Err(shell.error("getopts: usage: getopts optstring var [arg]"));
    };
    let words = if given.is_empty() {
        shell.state.params.clone()
    } else {
        given.to_vec()
    };
    let index = shell
        .state
        .get("OPTIND")
        .and_then(|text| text.parse::<usize>().ok())
        .unwrap_or(1)
        .max(1);
    let mut next = Next {
        words: &words,
        index: index - 1,
        offset: shell.state.getopts_offset,
    };
    let found = next.option(optstring);
    let (index, offset) = (next.index + 1, next.offset);
    let silent = optstring.starts_with(':');
    let (value, argument, status) = match found {
        Found::End => ("?".to_owned(), shell.state.get("OPTARG").map(str::to_owned), 1),
        Found::Option(letter, argument) => (letter.to_string(), Some(argument), 0),
        Found::Unknown(letter) => {
            if !silent {
                shell.complain(&format!("getopts: Illegal option -{letter}"));
            }
            ("?".to_owned(), silent.then(|| letter.to_string()), 0)
        }
        Found::MissingArgument(letter) => {
            if !silent {
                shell.complain(&format!("getopts: No arg for -{letter} option"));
            }
            let value = if silent { ":" } else { "?" };
            (value.to_owned(), silent.then(|| letter.to_string()), 0)
        }
    };
    match argument {
        Some(argument) => shell.set("OPTARG", &argument)?,
        None => {
            shell.state.variables.remove("OPTARG");
        }
    }
    shell.set("OPTIND", &index.to_string())?;
    shell.state.getopts_offset = offset;
    shell.set(name, &value)?;
    Ok(status)
}

enum Found {
    End,
    /// An option and its argument, empty if it takes none (dash sets `OPTARG` all the same).
    Option(char, String),
    Unknown(char),
    MissingArgument(char),
}

struct Next<'w> {
    words: &'w [String],
    /// The next word; as in dash, the word being read is already behind it.
    index: usize,
    /// Bytes taken of the word before `index`; 0 when a new word is due.
    offset: usize,
}

impl Next<'_> {
    fn option(&mut self, optstring: &str) -> Found {
        let current = self.index.checked_sub(1).and_then(|index| self.words.get(index));
        let mut rest = match current {
            Some(word) if self.offset > 0 => word.get(self.offset..).unwrap_or_default(),
            _ => "",
        };
        if rest.is_empty() {
            self.offset = 0;
            let Some(letters) = self.words.get(self.index).and_then(|word| word.strip_prefix('-')) else {
                return Found::End;
            };
            if letters.is_empty() {
                return Found::End;
            }
            self.index += 1;
            if letters == "-" {
                return Found::End;
            }
            rest = letters;
            self.offset = 1;
        }
        let Some(letter) = rest.chars().next() else {
            return Found::End;
        };
        self.offset += letter.len_utf8();
        let rest = &rest[letter.len_utf8()..];
        let Some(position) = optstring.find(letter).filter(|_| letter != ':') else {
            return Found::Unknown(letter);
        };
        if !optstring[position + letter.len_utf8()..].starts_with(':') {
            return Found::Option(letter, String::new());
        }
        self.offset = 0;
        if !rest.is_empty() {
            return Found::Option(letter, rest.to_owned());
        }
        match self.words.get(self.index) {
            Some(argument) => {
                self.index += 1;
                Found::Option(letter, argument.clone())
            }
            None => Found::MissingArgument(letter),
        }
    }
}
