//! Numbers, texts and what is both.

use std::cmp::Ordering;

use super::format;

#[derive(Clone, Debug, Default)]
pub(super) enum Value {
    #[default]
    Unset,
    Number(f64),
    Text(String),
    /// Text from outside: a number as well, if it looks like one.
    Input(String),
}

/// How much of `text` is a decimal number.
pub(super) fn number_length(text: &str) -> usize {
    let bytes = text.as_bytes();
    let digits = |from: usize| {
        bytes[from.min(bytes.len())..]
            .iter()
            .take_while(|byte| byte.is_ascii_digit())
            .count()
    };
    let sign = usize::from(matches!(bytes.first(), Some(b'+' | b'-')));
    let whole = digits(sign);
    let mut end = sign + whole;
    let mut part = 0;
    if bytes.get(end) == Some(&b'.') {
        part = digits(end + 1);
        end += 1 + part;
    }
    if whole + part == 0 {
        return 0;
    }
    if matches!(bytes.get(end), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(bytes.get(end + 1), Some(b'+' | b'-')));
        let exponent = digits(end + 1 + sign);
        if exponent > 0 {
            end += 1 + sign + exponent;
        }
    }
    end
}

impl Value {
    pub(super) fn number(&self) -> f64 {
        match self {
            Self::Unset => 0.0,
            Self::Number(number) => *number,
            Self::Text(text) | Self::Input(text) => {
                let text = text.trim_start();
                text[..number_length(text)].parse().unwrap_or(0.0)
            }
        }
    }

    /// As text; `convert` is the format of numbers that are not whole (`CONVFMT`, `OFMT`).
    pub(super) fn text(&self, convert: &str) -> String {
        match self {
            Self::Unset => String::new(),
            Self::Text(text) | Self::Input(text) => text.clone(),
            Self::Number(number) => format::number(*number, convert),
        }
    }

    fn is_numeric(&self) -> bool {
        match self {
            Self::Unset | Self::Number(_) => true,
            Self::Text(_) => false,
            Self::Input(text) => {
                let text = text.trim();
                !text.is_empty() && number_length(text) == text.len()
            }
        }
    }

    pub(super) fn holds(&self) -> bool {
        match self {
            Self::Text(text) => !text.is_empty(),
            Self::Input(text) if !self.is_numeric() => !text.is_empty(),
            _ => self.number() != 0.0,
        }
    }

    pub(super) fn compare(&self, other: &Self, convert: &str) -> Option<Ordering> {
        if self.is_numeric() && other.is_numeric() {
            return self.number().partial_cmp(&other.number());
        }
        Some(self.text(convert).as_bytes().cmp(other.text(convert).as_bytes()))
    }
}
