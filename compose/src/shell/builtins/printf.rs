use super::echo::{octal, plain_escape, unescape};
use crate::shell::state::{Flow, Run, Shell};

/// `printf format [argument…]`
pub(super) fn printf(shell: &mut Shell<'_>, args: &[String]) -> Run {
    let mut rest = &args[1..];
    if rest.first().is_some_and(|arg| arg == "--") {
        rest = &rest[1..];
    }
    let Some((format, arguments)) = rest.split_first() else {
        return Err(shell.error("printf: usage: printf format [arg ...]"));
    };
    let mut printer = Printer {
        shell,
        arguments,
        next: 0,
        output: Vec::new(),
        status: 0,
    };
    loop {
        let before = printer.next;
        let more = printer.pass(format.as_bytes())?;
        if !more || printer.next == before || printer.next >= arguments.len() {
            break;
        }
        printer.shell.session.fits(printer.output.len())?;
    }
    let (output, status) = (printer.output, printer.status);
    shell.put_out("printf", &output, status)
}

struct Printer<'p, 's> {
    shell: &'p mut Shell<'s>,
    arguments: &'p [String],
    next: usize,
    output: Vec<u8>,
    status: u8,
}

/// `%` with its flags, width and precision.
#[derive(Debug, Default)]
struct Spec {
    /// Those of `-0+ #` that were given.
    flags: Vec<u8>,
    width: usize,
    precision: Option<usize>,
}

impl Spec {
    fn has(&self, flag: u8) -> bool {
        self.flags.contains(&flag)
    }
}

/// Widths and precisions beyond this are nobody's wish.
const MAX_WIDTH: i64 = 1 << 16;

impl Printer<'_, '_> {
    /// Goes through the format once; `false` if `\c` ended the output.
    fn pass(&mut self, format: &[u8]) -> Run<bool> {
        let mut at = 0;
        while let Some(&byte) = format.get(at) {
            at += 1;
            match byte {
                b'\\' => at += self.escape(&format[at..]),
                b'%' if format.get(at) == Some(&b'%') => {
                    self.output.push(b'%');
                    at += 1;
                }
                b'%' => {
                    let (spec, length) = self.spec(&format[at..])?;
                    at += length;
                    let Some(&conversion) = format.get(at) else {
                        return Err(self.shell.error("printf: missing format character"));
                    };
                    at += 1;
                    if !self.convert(&spec, conversion)? {
                        return Ok(false);
                    }
                }
                byte => self.output.push(byte),
            }
        }
        Ok(true)
    }

    fn escape(&mut self, rest: &[u8]) -> usize {
        let Some(&letter) = rest.first() else {
            self.output.push(b'\\');
            return 0;
        };
        if (b'0'..=b'7').contains(&letter) {
            let (value, length) = octal(rest, 3);
            self.output.push(value);
            return length;
        }
        match plain_escape(letter) {
            Some(value) => self.output.push(value),
            None => self.output.extend([b'\\', letter]),
        }
        1
    }

    fn spec(&mut self, rest: &[u8]) -> Run<(Spec, usize)> {
        let mut spec = Spec::default();
        let mut at = 0;
        while let Some(&flag) = rest.get(at).filter(|flag| b"-0+ #".contains(flag)) {
            spec.flags.push(flag);
            at += 1;
        }
        let (width, length) = self.size(&rest[at..])?;
        at += length;
        let width = width.unwrap_or(0);
        if width < 0 {
            spec.flags.push(b'-');
        }
        spec.width = usize::try_from(width.unsigned_abs()).unwrap_or(0);
        if rest.get(at) == Some(&b'.') {
            let (precision, length) = self.size(&rest[at + 1..])?;
            at += 1 + length;
            spec.precision = usize::try_from(precision.unwrap_or(0)).ok();
        }
        Ok((spec, at))
    }

    /// A number or `*` in a specification.
    fn size(&mut self, rest: &[u8]) -> Run<(Option<i64>, usize)> {
        if rest.first() == Some(&b'*') {
            let value = self.integer()?;
            return Ok((Some(value.clamp(-MAX_WIDTH, MAX_WIDTH)), 1));
        }
        let length = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let text = String::from_utf8_lossy(&rest[..length]);
        if length == 0 {
            return Ok((None, 0));
        }
        Ok((
            Some(text.parse().map_or(MAX_WIDTH, |value: i64| value.min(MAX_WIDTH))),
            length,
        ))
    }

    fn argument(&mut self) -> Option<String> {
        let argument = self.arguments.get(self.next).cloned();
        self.next += 1;
        argument
    }

    /// Formats one argument; `false` if `%b` met `\c`.
    fn convert(&mut self, spec: &Spec, conversion: u8) -> Run<bool> {
        match conversion {
            b's' => {
                let text = self.argument().unwrap_or_default();
                let end = spec.precision.unwrap_or(usize::MAX).min(text.len());
                self.pad(spec, &text.as_bytes()[..end])?;
            }
            b'b' => {
                let text = self.argument().unwrap_or_default();
                let mut bytes = Vec::new();
                let stop = unescape(&text, &mut bytes);
                bytes.truncate(spec.precision.unwrap_or(usize::MAX));
                self.pad(spec, &bytes)?;
                return Ok(!stop);
            }
            b'c' => {
                let text = self.argument().unwrap_or_default();
                let end = text.len().min(1);
                self.pad(spec, &text.as_bytes()[..end])?;
            }
            b'd' | b'i' => {
                let value = self.integer()?;
                let sign = match value {
                    value if value < 0 => "-",
                    _ if spec.has(b'+') => "+",
                    _ if spec.has(b' ') => " ",
                    _ => "",
                };
                self.number(spec, sign, &value.unsigned_abs().to_string())?;
            }
            b'u' | b'o' | b'x' | b'X' => {
                let value = self.integer()?.cast_unsigned();
                let (prefix, digits) = match conversion {
                    b'o' if spec.has(b'#') => ("0", format!("{value:o}")),
                    b'o' => ("", format!("{value:o}")),
                    b'x' if spec.has(b'#') && value != 0 => ("0x", format!("{value:x}")),
                    b'x' => ("", format!("{value:x}")),
                    b'X' if spec.has(b'#') && value != 0 => ("0X", format!("{value:X}")),
                    b'X' => ("", format!("{value:X}")),
                    _ => ("", value.to_string()),
                };
                self.number(spec, prefix, &digits)?;
            }
            other => {
                let what = format!("the conversion %{}", char::from(other));
                return Err(Shell::unsupported("printf", what));
            }
        }
        Ok(true)
    }

    fn number(&mut self, spec: &Spec, prefix: &str, digits: &str) -> Run<()> {
        let mut digits = digits.to_owned();
        let least = match spec.precision {
            Some(precision) => precision,
            None if spec.has(b'0') && !spec.has(b'-') => spec.width.saturating_sub(prefix.len()),
            None => 1,
        };
        if spec.precision == Some(0) && digits == "0" {
            digits.clear();
        }
        if digits.len() < least {
            digits.insert_str(0, &"0".repeat(least - digits.len()));
        }
        self.pad(spec, format!("{prefix}{digits}").as_bytes())
    }

    fn pad(&mut self, spec: &Spec, bytes: &[u8]) -> Run<()> {
        self.shell.session.fits(self.output.len() + spec.width + bytes.len())?;
        let missing = spec.width.saturating_sub(bytes.len());
        if !spec.has(b'-') {
            self.output.extend(std::iter::repeat_n(b' ', missing));
        }
        self.output.extend_from_slice(bytes);
        if spec.has(b'-') {
            self.output.extend(std::iter::repeat_n(b' ', missing));
        }
        Ok(())
    }

    /// The next argument as an integer: C's notations, or a quote and a character.
    fn integer(&mut self) -> Run<i64> {
        let Some(text) = self.argument() else { return Ok(0) };
        if let Some(character) = text.strip_prefix(['\'', '"']) {
            // The byte, for dash knows no others.
            return Ok(i64::from(character.bytes().next().unwrap_or(0)));
        }
        let trimmed = text.trim_start();
        if let Some(value) = crate::shell::expand::arithmetic::number(trimmed) {
            return Ok(value);
        }
        let ends = (1..trimmed.len()).rev().filter(|end| trimmed.is_char_boundary(*end));
        let prefix = ends
            .map(|end| &trimmed[..end])
            .find_map(crate::shell::expand::arithmetic::number);
        self.status = 1;
        let problem = if prefix.is_some() {
            "not completely converted"
        } else {
            "expected numeric value"
        };
        self.shell.complain(&format!("printf: {text}: {problem}"));
        Ok::<i64, Flow>(prefix.unwrap_or(0))
    }
}
