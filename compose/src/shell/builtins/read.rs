use crate::shell::state::{Run, Shell};

/// `read [-r] [-p prompt] name…`: one line, split at `IFS`.
pub(super) fn read(shell: &mut Shell<'_>, args: &[String]) -> Run {
    let mut raw = false;
    let mut rest = &args[1..];
    while let Some(option) = rest.first().filter(|word| word.starts_with('-') && word.len() > 1) {
        match option.as_str() {
            "-r" => raw = true,
            "-p" => rest = &rest[1..],
            "--" => {}
            _ => return Err(Shell::unsupported("read", format!("the option {option}"))),
        }
        let end = option == "--";
        rest = rest.get(1..).unwrap_or_default();
        if end {
            break;
        }
    }
    if rest.is_empty() && !shell.state.bash {
        return Err(shell.error("read: arg count"));
    }
    for name in rest {
        if !crate::shell::parse::is_name(name) {
            return Err(shell.error(&format!("read: {name}: bad variable name")));
        }
    }
    let reply = ["REPLY".to_owned()];
    let names = if rest.is_empty() { &reply[..] } else { rest };
    let Some(input) = shell.unread(0) else {
        shell.complain("read: 0: Bad file descriptor");
        return Ok(1);
    };
    let (line, used, ended) = take_line(&input, raw);
    shell.session.fits_word(used)?;
    shell.session.work(used)?;
    shell.consume(0, used);
    let mut chars = Vec::new();
    // Runs of text between the bytes that a backslash protected.
    for (bytes, quoted) in line {
        let text = Shell::text(bytes)?;
        chars.extend(text.chars().map(|c| (c, quoted)));
    }
    let ifs = shell.state.get("IFS").unwrap_or(" \t\n").to_owned();
    for (name, value) in names.iter().zip(split(&chars, &ifs, names.len())) {
        shell.set(name, &value)?;
    }
    Ok(u8::from(!ended))
}

/// The first line of `input` in parts (protected by a backslash or not), the bytes it takes up, and whether a
/// newline ended it.
fn take_line(input: &[u8], raw: bool) -> (Vec<(Vec<u8>, bool)>, usize, bool) {
    let mut parts: Vec<(Vec<u8>, bool)> = Vec::new();
    let mut plain = Vec::new();
    let mut at = 0;
    while let Some(&byte) = input.get(at) {
        at += 1;
        match byte {
            b'\n' => {
                parts.push((plain, false));
                return (parts, at, true);
            }
            b'\\' if !raw => {
                let length = match input.get(at) {
                    None => 0,
                    Some(b'\n') => {
                        at += 1;
                        continue;
                    }
                    // A whole character, however many bytes it has.
                    Some(_) => 1 + input[at + 1..].iter().take_while(|byte| **byte & 0xc0 == 0x80).count(),
                };
                parts.push((std::mem::take(&mut plain), false));
                parts.push((input[at..at + length].to_vec(), true));
                at += length;
            }
            0 => {}
            byte => plain.push(byte),
        }
    }
    parts.push((plain, false));
    (parts, at, false)
}

/// Splits a line into `count` values: the last takes what is left, less the blanks of `IFS` around it.
fn split(chars: &[(char, bool)], ifs: &str, count: usize) -> Vec<String> {
    let delimits = |index: usize| chars.get(index).is_some_and(|&(c, quoted)| !quoted && ifs.contains(c));
    let blank = |index: usize| delimits(index) && matches!(chars[index].0, ' ' | '\t' | '\n');
    let skip_blanks = |mut index: usize| {
        while blank(index) {
            index += 1;
        }
        index
    };
    let text = |from: usize, to: usize| chars[from..to].iter().map(|(c, _)| c).collect::<String>();
    let mut values = Vec::new();
    let mut at = skip_blanks(0);
    while values.len() + 1 < count {
        let end = (at..chars.len()).find(|&index| delimits(index)).unwrap_or(chars.len());
        values.push(text(at, end));
        at = skip_blanks(end);
        if delimits(at) && (end == at || !blank(at)) {
            at = skip_blanks(at + 1);
        }
    }
    let mut end = chars.len();
    while end > at && blank(end - 1) {
        end -= 1;
    }
    // A single field with one delimiter behind it loses that, too (XCU 2.6.5: it ends the field).
    if end > at && delimits(end - 1) && !(at..end - 1).any(delimits) {
        end -= 1;
    }
    values.push(text(at.min(end), end));
    values
}
