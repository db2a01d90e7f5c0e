//! `printf`'s conversions, as in C.

use super::value::Value;

/// A number as text: whole ones plainly, others by `convert`.
#[expect(clippy::cast_possible_truncation, reason = "whole and below 2^53 in size")]
pub(super) fn number(number: f64, convert: &str) -> String {
    if number.fract() == 0.0 && number.abs() < 1e16 {
        return format!("{}", number as i64);
    }
    printf(convert, &[Value::Number(number)]).unwrap_or_default()
}

/// The largest width and precision (Rust's own formatting knows no larger ones).
const MOST: usize = u16::MAX as usize;

/// A width or precision given as a value.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "without its sign, as far as it goes"
)]
fn whole(number: f64) -> usize {
    number.abs() as usize
}

/// A conversion's flags.
#[derive(Clone, Copy, Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "one for each of printf's flags")]
struct Flags {
    left: bool,
    zero: bool,
    plus: bool,
    blank: bool,
    alternate: bool,
}

/// Formats `values`; the error names what is not known.
pub(super) fn printf(format: &str, values: &[Value]) -> Result<String, String> {
    let mut out = String::new();
    let mut values = values.iter();
    let mut letters = format.chars().peekable();
    while let Some(letter) = letters.next() {
        if letter != '%' {
            out.push(letter);
            continue;
        }
        let mut flags = Flags::default();
        while let Some(flag) = letters.next_if(|letter| "-0+ #".contains(*letter)) {
            match flag {
                '-' => flags.left = true,
                '0' => flags.zero = true,
                '+' => flags.plus = true,
                ' ' => flags.blank = true,
                _ => flags.alternate = true,
            }
        }
        let mut count = |letters: &mut std::iter::Peekable<std::str::Chars<'_>>| {
            if letters.next_if_eq(&'*').is_some() {
                return Some(whole(values.next().map_or(0.0, Value::number)));
            }
            let mut digits = String::new();
            while let Some(digit) = letters.next_if(char::is_ascii_digit) {
                digits.push(digit);
            }
            digits.parse::<usize>().ok()
        };
        let width = count(&mut letters).unwrap_or(0);
        let precision = letters.next_if_eq(&'.').map(|_| count(&mut letters).unwrap_or(0));
        if let Some(much) = [Some(width), precision].into_iter().flatten().find(|&much| much > MOST) {
            return Err(format!("a width or precision of {much}"));
        }
        while letters.next_if(|letter| "lhqjzt".contains(*letter)).is_some() {}
        let kind = letters.next().unwrap_or('%');
        if kind == '%' {
            out.push('%');
            continue;
        }
        let value = values.next().cloned().unwrap_or_default();
        out += &convert(kind, flags, width, precision, &value)?;
    }
    Ok(out)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "C's conversions truncate too"
)]
fn convert(kind: char, flags: Flags, width: usize, precision: Option<usize>, value: &Value) -> Result<String, String> {
    let sign = |negative: bool| match (negative, flags.plus, flags.blank) {
        (true, ..) => "-",
        (_, true, _) => "+",
        (_, _, true) => " ",
        _ => "",
    };
    let (prefix, body) = match kind {
        's' => {
            let text = value.text("%.6g");
            let kept = precision.map_or(text.clone(), |precision| text.chars().take(precision).collect());
            ("", kept)
        }
        'c' => match value {
            Value::Number(code) => ("", char::from_u32(*code as u32).unwrap_or('\u{fffd}').to_string()),
            other => ("", other.text("%.6g").chars().take(1).collect()),
        },
        'd' | 'i' => {
            let number = value.number() as i64;
            let least = precision.unwrap_or(1);
            (sign(number < 0), format!("{:0least$}", number.unsigned_abs()))
        }
        'u' => ("", (value.number() as i64 as u64).to_string()),
        'o' => (
            if flags.alternate { "0" } else { "" },
            format!("{:o}", value.number() as i64),
        ),
        'x' => (
            if flags.alternate { "0x" } else { "" },
            format!("{:x}", value.number() as i64),
        ),
        'X' => (
            if flags.alternate { "0X" } else { "" },
            format!("{:X}", value.number() as i64),
        ),
        'f' | 'F' => (
            sign(value.number() < 0.0),
            format!("{:.*}", precision.unwrap_or(6), value.number().abs()),
        ),
        'e' | 'E' | 'g' | 'G' => {
            let number = value.number();
            let precision = precision.unwrap_or(6);
            let lower = kind.to_ascii_lowercase();
            let body = if lower == 'e' {
                exponential(number.abs(), precision)
            } else {
                general(number.abs(), precision, flags.alternate)
            };
            let body = if kind.is_ascii_uppercase() {
                body.to_ascii_uppercase()
            } else {
                body
            };
            (sign(number < 0.0), body)
        }
        other => return Err(format!("conversion %{other}")),
    };
    let length = prefix.chars().count() + body.chars().count();
    let fill = width.saturating_sub(length);
    let text = "sc".contains(kind) || "di".contains(kind) && precision.is_some();
    let zero = flags.zero && !flags.left && !text;
    Ok(if flags.left {
        format!("{prefix}{body}{}", " ".repeat(fill))
    } else if zero {
        format!("{prefix}{}{body}", "0".repeat(fill))
    } else {
        format!("{}{prefix}{body}", " ".repeat(fill))
    })
}

/// `1.234500e+04`
fn exponential(number: f64, precision: usize) -> String {
    let text = format!("{number:.precision$e}");
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let (sign, digits) = exponent
        .strip_prefix('-')
        .map_or(('+', exponent), |digits| ('-', digits));
    format!("{mantissa}e{sign}{digits:0>2}")
}

/// `%g`: the shorter of `%f` and `%e`, without zeros at the end.
fn general(number: f64, precision: usize, keep_zeros: bool) -> String {
    let precision = precision.max(1);
    let scientific = exponential(number, precision - 1);
    let exponent: i32 = scientific
        .rsplit('e')
        .next()
        .and_then(|exponent| exponent.parse().ok())
        .unwrap_or(0);
    let limit = i32::try_from(precision).unwrap_or(i32::MAX);
    let trim = |text: &str| {
        if text.contains('.') && !keep_zeros {
            text.trim_end_matches('0').trim_end_matches('.').to_owned()
        } else {
            text.to_owned()
        }
    };
    if exponent < -4 || exponent >= limit {
        let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "+00"));
        return format!("{}e{exponent}", trim(mantissa));
    }
    let digits = usize::try_from(limit - 1 - exponent).unwrap_or(0);
    trim(&format!("{number:.digits$}"))
}
