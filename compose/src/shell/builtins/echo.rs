use crate::shell::state::{Run, Shell};

/// dash's `echo`: `-n`, and escapes always; bash's: `-n`, `-e`, `-E`, and escapes only after `-e`.
pub(super) fn echo(shell: &mut Shell<'_>, args: &[String]) -> Run {
    let mut rest = &args[1..];
    let (mut newline, mut escapes) = (true, !shell.state.bash);
    while let Some(option) = rest.first() {
        let letters = option.strip_prefix('-').unwrap_or_default();
        let known = if shell.state.bash {
            !letters.is_empty() && letters.chars().all(|c| "neE".contains(c))
        } else {
            letters == "n"
        };
        if !known {
            break;
        }
        for letter in letters.chars() {
            match letter {
                'n' => newline = false,
                letter => escapes = letter == 'e',
            }
        }
        rest = &rest[1..];
        if !shell.state.bash {
            break;
        }
    }
    let mut output = Vec::new();
    for (index, arg) in rest.iter().enumerate() {
        if index > 0 {
            output.push(b' ');
        }
        if escapes {
            if unescape(arg, &mut output) {
                newline = false;
                break;
            }
        } else {
            output.extend_from_slice(arg.as_bytes());
        }
    }
    if newline {
        output.push(b'\n');
    }
    shell.put_out("echo", &output, 0)
}

/// Appends `text` with the escapes of `echo` and of printf's `%b`; `true` if `\c` ends all output.
pub(super) fn unescape(text: &str, output: &mut Vec<u8>) -> bool {
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        let Some((&escape, after)) = rest.split_first().filter(|_| byte == b'\\') else {
            output.push(byte);
            continue;
        };
        rest = after;
        match escape {
            b'c' => return true,
            b'0' => {
                let (value, length) = octal(rest, 3);
                output.push(value);
                rest = &rest[length..];
            }
            b'1'..=b'7' => {
                let digits = &text.as_bytes()[text.len() - rest.len() - 1..];
                let (value, length) = octal(digits, 3);
                output.push(value);
                rest = &digits[length..];
            }
            _ => match plain_escape(escape) {
                Some(value) => output.push(value),
                None => output.extend([b'\\', escape]),
            },
        }
    }
    false
}

/// The byte behind an escape of one letter.
pub(super) fn plain_escape(letter: u8) -> Option<u8> {
    Some(match letter {
        b'a' => 7,
        b'b' => 8,
        b'f' => 12,
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'v' => 11,
        b'\\' => b'\\',
        _ => return None,
    })
}

/// Up to `most` octal digits as a byte (higher bits fall off), and how many there were.
pub(super) fn octal(digits: &[u8], most: usize) -> (u8, usize) {
    let length = digits
        .iter()
        .take(most)
        .take_while(|digit| (b'0'..=b'7').contains(digit))
        .count();
    let value = digits[..length]
        .iter()
        .fold(0_u32, |value, digit| value * 8 + u32::from(digit - b'0'));
    (u8::try_from(value & 0xff).expect("eight bits"), length)
}
