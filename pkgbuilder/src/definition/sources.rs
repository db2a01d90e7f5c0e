//! The Jsonnet files of one evaluation, kept for messages: the evaluated JSON itself has no positions.

use std::path::{Path, PathBuf};

use rsjsonnet_lang::arena::Arena;
use rsjsonnet_lang::interner::StrInterner;
use rsjsonnet_lang::lexer::Lexer;
use rsjsonnet_lang::span::SpanManager;
use rsjsonnet_lang::token::{STokenKind, Token, TokenKind};

/// A file as it was read.
#[derive(Clone, Debug)]
pub struct SourceFile {
    /// Its canonical path.
    pub path: PathBuf,
    /// The path that messages show: relative to the repository where it lies inside.
    pub shown: String,
    /// Its text.
    pub text: String,
}

/// Every file that an evaluation read, in the order it read them: the definition comes first.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    files: Vec<SourceFile>,
}

/// A place in a source file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Index of the file.
    pub file: usize,
    /// Byte offset of its first character.
    pub start: usize,
    /// Byte offset after its last character.
    pub end: usize,
}

impl Sources {
    /// Remembers a file; returns its index.
    pub fn push(&mut self, file: SourceFile) -> usize {
        self.files.push(file);
        self.files.len() - 1
    }

    /// The files read.
    pub fn files(&self) -> &[SourceFile] {
        &self.files
    }

    /// The index of the file at a canonical path.
    pub fn find(&self, path: &Path) -> Option<usize> {
        self.files.iter().position(|file| file.path == path)
    }

    /// `images/home.jsonnet:12:5`.
    pub fn position(&self, place: Place) -> String {
        let (line, column, _) = self.line(place);
        format!("{}:{line}:{column}", self.files[place.file].shown)
    }

    /// The line of a place with carets under it, as two lines of text.
    pub fn excerpt(&self, place: Place) -> String {
        let (line, column, text) = self.line(place);
        let number = line.to_string();
        let length = self.files[place.file]
            .text
            .get(place.start..place.end)
            .map_or(1, |marked| {
                marked.lines().next().map_or(1, |first| first.chars().count())
            })
            .clamp(1, text.chars().count().saturating_sub(column - 1).max(1));
        // Tabs stay tabs, so that the carets stand below what they mark.
        let indent: String = text
            .chars()
            .take(column - 1)
            .map(|c| if c == '\t' { '\t' } else { ' ' })
            .collect();
        let gutter = " ".repeat(number.len());
        format!("  {number} | {text}\n  {gutter} | {indent}{}", "^".repeat(length))
    }

    /// Where the field at `path` (`debian.packages`) is written: the last name must be the field's, and the more of the
    /// names before it are those of the objects around, the better; the file read first wins.
    pub fn field(&self, path: &str) -> Option<Place> {
        let wanted = names(path);
        let mut best: Option<((usize, bool), Place)> = None;
        for field in self.fields() {
            let shared = wanted
                .iter()
                .rev()
                .zip(field.path.iter().rev())
                .take_while(|(wanted, found)| wanted == found)
                .count();
            let closeness = (shared, shared == field.path.len());
            if shared > 0 && best.is_none_or(|(closest, _)| closeness > closest) {
                best = Some((closeness, field.place));
            }
        }
        best.map(|(_, place)| place)
    }

    /// Every field name written in the sources.
    pub fn field_names(&self) -> Vec<String> {
        let mut names: Vec<String> = self
            .fields()
            .into_iter()
            .filter_map(|mut field| field.path.pop())
            .collect();
        names.sort();
        names.dedup();
        names
    }

    fn fields(&self) -> Vec<Field> {
        self.files
            .iter()
            .enumerate()
            .flat_map(|(index, file)| fields(index, &file.text))
            .collect()
    }

    /// Line and column (both from 1, in characters), and the line's text.
    fn line(&self, place: Place) -> (usize, usize, &str) {
        let text = &self.files[place.file].text;
        let before = text.get(..place.start).unwrap_or(text);
        let begin = before.rfind('\n').map_or(0, |newline| newline + 1);
        let line = before.matches('\n').count() + 1;
        let column = before[begin..].chars().count() + 1;
        (line, column, text[begin..].lines().next().unwrap_or_default())
    }
}

/// A field as it is written.
struct Field {
    place: Place,
    /// The fields whose values it stands in, outermost first, and its own name.
    path: Vec<String>,
}

/// The names of a path, without the indices into arrays.
fn names(path: &str) -> Vec<String> {
    path.split('.')
        .map(|name| name.split('[').next().unwrap_or(name).to_owned())
        .collect()
}

/// The fields of one file: an identifier or string directly before a colon.
fn fields(file: usize, text: &str) -> Vec<Field> {
    let (arena, ast_arena, interner) = (Arena::new(), Arena::new(), StrInterner::new());
    let mut spans = SpanManager::new();
    let (context, _) = spans.insert_source_context(text.len());
    let lexer = Lexer::new(&arena, &ast_arena, &interner, &mut spans, context, text.as_bytes());
    // A file that does not lex was refused before.
    let tokens: Vec<Token<'_, '_>> = lexer.lex_to_eof(false).unwrap_or_default();
    let mut found = Vec::new();
    // Per open brace, the field last named inside it.
    let mut open: Vec<Option<String>> = vec![None];
    for (index, token) in tokens.iter().enumerate() {
        let name = match token.kind {
            TokenKind::Simple(STokenKind::LeftBrace) => {
                open.push(None);
                continue;
            }
            TokenKind::Simple(STokenKind::RightBrace) => {
                open.pop();
                continue;
            }
            TokenKind::Ident(name) => name.value().to_owned(),
            TokenKind::String(name) => name.to_owned(),
            _ => continue,
        };
        if tokens
            .get(after_parameters(&tokens, index + 1))
            .is_some_and(|next| is_colon(next.kind))
        {
            if let Some(last) = open.last_mut() {
                *last = Some(name);
            }
            let (_, start, end) = spans.get_span(token.span);
            found.push(Field {
                place: Place { file, start, end },
                path: open.iter().flatten().cloned().collect(),
            });
        }
    }
    found
}

/// The index behind the parameters of a method (`name(x, y):`), which may begin at `index`.
fn after_parameters(tokens: &[Token<'_, '_>], index: usize) -> usize {
    let mut depth = 0_usize;
    for (offset, token) in tokens.iter().skip(index).enumerate() {
        match token.kind {
            TokenKind::Simple(STokenKind::LeftParen) => depth += 1,
            TokenKind::Simple(STokenKind::RightParen) if depth > 0 => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            let parameters = offset > 0;
            return index + offset + usize::from(parameters);
        }
    }
    index
}

fn is_colon(kind: TokenKind<'_, '_>) -> bool {
    matches!(
        kind,
        TokenKind::Simple(
            STokenKind::Colon
                | STokenKind::ColonColon
                | STokenKind::ColonColonColon
                | STokenKind::PlusColon
                | STokenKind::PlusColonColon
                | STokenKind::PlusColonColonColon
        )
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sources(text: &str) -> Sources {
        let mut sources = Sources::default();
        sources.push(SourceFile {
            path: "/x/home.jsonnet".into(),
            shown: "home.jsonnet".to_owned(),
            text: text.to_owned(),
        });
        sources
    }

    #[test]
    fn fields_are_found_but_not_in_comments_strings_or_values() {
        let sources =
            sources("// packges: no\n{ a: 'packges:', b(c, d=(1)): packges(1), debian+: {\n\t'packges'+: [] } }");
        let place = sources.field("packges").unwrap();
        assert_eq!(sources.position(place), "home.jsonnet:3:2");
        assert_eq!(sources.excerpt(place), "  3 | \t'packges'+: [] } }\n    | \t^^^^^^^^^");
        assert_eq!(sources.field_names(), ["a", "b", "debian", "packges"]);
        assert!(sources.field("nowhere").is_none());
    }

    #[test]
    fn the_surrounding_objects_tell_fields_of_one_name_apart() {
        let sources = sources("f({ debian+: { packages+: [] },\n  packages: [{ mode: 1 }] })");
        let line = |path| sources.position(sources.field(path).unwrap());
        assert_eq!(line("debian.packages"), "home.jsonnet:1:16");
        assert_eq!(line("packages"), "home.jsonnet:2:3");
        assert_eq!(line("packages[0].mode"), "home.jsonnet:2:16");
    }
}
