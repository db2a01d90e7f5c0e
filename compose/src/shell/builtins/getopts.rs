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
        Found::End => ("?".to_owned(), None, 1),
        Found::Option(letter, argument) => (letter.to_string(), argument, 0),
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
    Option(char, Option<String>),
    Unknown(char),
    MissingArgument(char),
}

struct Next<'w> {
    words: &'w [String],
    index: usize,
    /// Bytes of the current word already taken; 0 at the start of a word.
    offset: usize,
}

impl Next<'_> {
    fn option(&mut self, optstring: &str) -> Found {
        let Some(word) = self.words.get(self.index) else {
            return Found::End;
        };
        if self.offset == 0 {
            if word == "--" {
                self.index += 1;
                return Found::End;
            }
            if !word.starts_with('-') || word == "-" {
                return Found::End;
            }
            self.offset = 1;
        }
        let Some(letter) = word.get(self.offset..).and_then(|rest| rest.chars().next()) else {
            self.index += 1;
            self.offset = 0;
            return Found::End;
        };
        self.offset += letter.len_utf8();
        let rest = &word[self.offset..];
        let position = optstring.find(letter).filter(|_| letter != ':');
        let takes_argument = position.is_some_and(|at| optstring[at + letter.len_utf8()..].starts_with(':'));
        if rest.is_empty() || takes_argument {
            self.index += 1;
            self.offset = 0;
        }
        match (position, takes_argument) {
            (None, _) => Found::Unknown(letter),
            (Some(_), false) => Found::Option(letter, None),
            (Some(_), true) if !rest.is_empty() => Found::Option(letter, Some(rest.to_owned())),
            (Some(_), true) => match self.words.get(self.index) {
                Some(argument) => {
                    self.index += 1;
                    Found::Option(letter, Some(argument.clone()))
                }
                None => Found::MissingArgument(letter),
            },
        }
    }
}
