//! Words of a program. A `/` begins a regular expression wherever no operand can end before it.

use crate::commands::escapes;

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token {
    Number(f64),
    Text(String),
    Regex(String),
    Name(String),
    /// A name with `(` right behind it.
    Call(String),
    Keyword(&'static str),
    Symbol(&'static str),
    Newline,
}

const KEYWORDS: &[&str] = &[
    "BEGIN", "END", "break", "continue", "delete", "do", "else", "exit", "for", "function", "func", "getline", "if",
    "in", "next", "nextfile", "print", "printf", "return", "while",
];

/// Longer symbols first.
const SYMBOLS: &[&str] = &[
    "**=", "**", "&&", "||", "++", "--", "+=", "-=", "*=", "/=", "%=", "^=", "==", "<=", ">=", "!=", "!~", ">>", "{",
    "}", "(", ")", "[", "]", ";", ",", "+", "-", "*", "/", "%", "^", "!", ">", "<", "|", "?", ":", "~", "$", "=",
];

/// Whether `text` can name a variable.
pub(super) fn is_name(text: &str) -> bool {
    let letter = |c: char| c.is_ascii_alphabetic() || c == '_';
    text.starts_with(letter) && text.chars().all(|c| letter(c) || c.is_ascii_digit())
}

/// The words of a program; the error says what is none.
pub(super) fn tokens(program: &str) -> Result<Vec<Token>, String> {
    let mut tokens: Vec<Token> = Vec::new();
    let mut rest = program;
    while let Some(next) = rest.chars().next() {
        if next == '#' {
            rest = &rest[rest.find('\n').unwrap_or(rest.len())..];
        } else if next == '\n' {
            tokens.push(Token::Newline);
            rest = &rest[1..];
        } else if let Some(after) = rest.strip_prefix("\\\n") {
            rest = after;
        } else if next.is_whitespace() {
            rest = &rest[next.len_utf8()..];
        } else if next == '"' {
            let (text, length) = quoted(rest, '"')?;
            let text = octal(&text.replace("\\\"", "\""));
            tokens.push(Token::Text(
                String::from_utf8_lossy(&escapes::unescape(&text)).into_owned(),
            ));
            rest = &rest[length..];
        } else if next == '/' && !ends_operand(tokens.last()) {
            let (text, length) = quoted(rest, '/')?;
            tokens.push(Token::Regex(text.replace("\\/", "/")));
            rest = &rest[length..];
        } else if next.is_ascii_digit() || next == '.' && rest[1..].starts_with(|c: char| c.is_ascii_digit()) {
            let length = super::value::number_length(rest);
            let number = rest[..length]
                .parse()
                .map_err(|_| format!("number '{}'", &rest[..length]))?;
            tokens.push(Token::Number(number));
            rest = &rest[length..];
        } else if next.is_ascii_alphabetic() || next == '_' {
            let length = rest
                .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
                .unwrap_or(rest.len());
            let name = &rest[..length];
            rest = &rest[length..];
            tokens.push(match KEYWORDS.iter().find(|keyword| **keyword == name) {
                Some(keyword) => Token::Keyword(keyword),
                None if rest.starts_with('(') => Token::Call(name.to_owned()),
                None => Token::Name(name.to_owned()),
            });
        } else {
            let symbol = SYMBOLS
                .iter()
                .find(|symbol| rest.starts_with(**symbol))
                .ok_or_else(|| format!("character '{next}'"))?;
            tokens.push(Token::Symbol(symbol));
            rest = &rest[symbol.len()..];
        }
    }
    Ok(tokens)
}

fn ends_operand(last: Option<&Token>) -> bool {
    match last {
        Some(Token::Number(_) | Token::Text(_) | Token::Regex(_) | Token::Name(_)) => true,
        Some(Token::Symbol(symbol)) => [")", "]", "$", "++", "--"].contains(symbol),
        _ => false,
    }
}

/// `text` with its `\xHH`, of which `mawk` takes up to two digits, written as `\ooo`.
fn octal(text: &str) -> String {
    let mut written = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        let (before, escape) = rest.split_at(at);
        written += before;
        let digits = escape.strip_prefix("\\x").unwrap_or("");
        let length = digits.bytes().take(2).take_while(u8::is_ascii_hexdigit).count();
        if let Ok(byte) = u8::from_str_radix(&digits[..length], 16) {
            written.extend(["\\", &format!("{byte:03o}")]);
            rest = &digits[length..];
        } else {
            let length = 1 + escape[1..].chars().next().map_or(0, char::len_utf8);
            written += &escape[..length];
            rest = &escape[length..];
        }
    }
    written + rest
}

/// The text between two delimiters, with its escapes, and the length with both.
fn quoted(rest: &str, delimiter: char) -> Result<(String, usize), String> {
    let mut escaped = false;
    let mut bracket = false;
    for (at, letter) in rest.char_indices().skip(1) {
        if escaped {
            escaped = false;
        } else if letter == '\\' {
            escaped = true;
        } else if delimiter == '/' && letter == '[' {
            bracket = true;
        } else if bracket && letter == ']' && !rest[..at].ends_with('[') && !rest[..at].ends_with("[^") {
            bracket = false;
        } else if letter == delimiter && !bracket {
            return Ok((rest[1..at].to_owned(), at + 1));
        } else if letter == '\n' {
            break;
        }
    }
    Err(format!("a missing `{delimiter}`"))
}
