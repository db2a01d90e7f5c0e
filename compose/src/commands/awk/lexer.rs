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
            tokens.push(Token::Text(
                String::from_utf8_lossy(&escapes::unescape(&text.replace("\\\"", "\""))).into_owned(),
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
