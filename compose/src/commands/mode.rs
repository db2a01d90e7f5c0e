//! File modes as `chmod(1)` takes them: octal, or clauses such as `u=rwX,go-w`.

/// The mode that `text` makes of `current`; nothing if `text` is not a mode. An octal mode of up to four digits leaves
/// the setuid and setgid bits of a directory alone, as GNU's does; clauses without a class obey `umask`.
pub(crate) fn apply(text: &str, current: u32, directory: bool, umask: u32) -> Option<u32> {
    if text.bytes().next()?.is_ascii_digit() {
        let mode = u32::from_str_radix(text, 8).ok().filter(|&mode| mode <= 0o7777)?;
        let kept = if directory && text.len() < 5 {
            current & 0o6000
        } else {
            0
        };
        return Some(mode | kept);
    }
    text.split(',')
        .try_fold(current, |mode, clause| apply_clause(clause, mode, directory, umask))
}

fn apply_clause(clause: &str, mut mode: u32, directory: bool, umask: u32) -> Option<u32> {
    let end = clause.find(['+', '-', '='])?;
    let (classes, mut actions) = clause.split_at(end);
    let mut who = 0;
    for class in classes.bytes() {
        who |= match class {
            b'u' => 0o4700,
            b'g' => 0o2070,
            b'o' => 0o1007,
            b'a' => 0o7777,
            _ => return None,
        };
    }
    let affected = if who == 0 { !umask & 0o7777 } else { who };
    while let Some(action) = actions.chars().next() {
        let permissions = &actions[1..];
        let length = permissions.find(['+', '-', '=']).unwrap_or(permissions.len());
        let bits = permission_bits(&permissions[..length], mode, directory)? & affected;
        mode = match action {
            '+' => mode | bits,
            '-' => mode & !bits,
            '=' => {
                let special = if directory { 0o6000 & !bits } else { 0 };
                let explicit = if permissions[..length].contains('s') { 0o6000 } else { 0 };
                mode & !(affected & !(special & !explicit)) | bits
            }
            _ => return None,
        };
        actions = &permissions[length..];
    }
    Some(mode)
}

fn permission_bits(letters: &str, mode: u32, directory: bool) -> Option<u32> {
    let copied = |shift: u32| (mode >> shift & 7) * 0o111;
    letters.bytes().try_fold(0, |bits, letter| {
        Some(
            bits | match letter {
                b'r' => 0o444,
                b'w' => 0o222,
                b'x' => 0o111,
                b'X' if directory || mode & 0o111 != 0 => 0o111,
                b'X' => 0,
                b's' => 0o6000,
                b't' => 0o1000,
                b'u' => copied(6),
                b'g' => copied(3),
                b'o' => copied(0),
                _ => return None,
            },
        )
    })
}

/// The ten characters of `ls -l` for a type letter and a mode.
pub(crate) fn letters(kind: char, mode: u32) -> String {
    let mut text = String::from(kind);
    for (shift, special, set) in [(6, 0o4000, 's'), (3, 0o2000, 's'), (0, 0o1000, 't')] {
        let bits = mode >> shift;
        text.push(if bits & 4 != 0 { 'r' } else { '-' });
        text.push(if bits & 2 != 0 { 'w' } else { '-' });
        text.push(match (bits & 1 != 0, mode & special != 0) {
            (true, false) => 'x',
            (false, false) => '-',
            (true, true) => set,
            (false, true) => set.to_ascii_uppercase(),
        });
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::oracle::same_steps;

    #[test]
    fn does_what_chmod_does() {
        for mode in [
            "755",
            "0600",
            "2755",
            "u+x",
            "+x",
            "a-r",
            "go=",
            "u=rwX,go=rX",
            "g+s",
            "u+s,+t",
            "o=u",
            "ug-w+x",
            "=r",
            "a+X",
            "-w",
        ] {
            for before in ["0644", "2750", "4711", "0000"] {
                same_steps(
                    &["f=x", "d/"],
                    &[
                        &["chmod", before, "f", "d"],
                        &["chmod", mode, "f"],
                        &["chmod", mode, "d"],
                    ],
                );
            }
        }
    }

    #[test]
    fn letters_show_special_bits() {
        assert_eq!(letters('-', 0o4755), "-rwsr-xr-x");
        assert_eq!(letters('d', 0o1770), "drwxrwx--T");
    }
}
