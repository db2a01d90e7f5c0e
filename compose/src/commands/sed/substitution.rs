//! Replacements: `s///` at work.

use super::machine::Machine;
use super::script::{Part, Substitution};
use crate::commands::escapes;

impl Machine<'_> {
    /// Replaces in the pattern space.
    pub(super) fn substitute(&mut self, substitution: &Substitution) {
        let pattern = substitution.pattern.clone().or_else(|| self.last.clone());
        self.last.clone_from(&pattern);
        let Some(pattern) = pattern else {
            return;
        };
        let text = std::mem::take(&mut self.space);
        let mut made = Vec::with_capacity(text.len());
        let (mut at, mut count, mut replaced) = (0, 0, false);
        let mut previous_end = None;
        while at <= text.len() {
            let Some(spans) = pattern.captures(&text, at) else {
                break;
            };
            let Some((from, to)) = spans[0] else {
                break;
            };
            made.extend_from_slice(&text[at..from]);
            // An empty match right after a match does not count.
            let counts = from != to || previous_end != Some(from);
            count += usize::from(counts);
            let wanted = counts && (count == substitution.number || substitution.global && count > substitution.number);
            if wanted {
                expand(&substitution.replacement, &text, &spans, &mut made);
                replaced = true;
            } else {
                made.extend_from_slice(&text[from..to]);
            }
            previous_end = Some(to);
            at = to;
            if from == to {
                made.extend(text.get(at));
                at += 1;
            }
            if replaced && !substitution.global {
                break;
            }
        }
        made.extend_from_slice(text.get(at..).unwrap_or_default());
        self.space = made;
        if replaced {
            self.substituted = true;
            if substitution.print {
                self.print_space();
            }
            if let Some(name) = &substitution.file {
                let space = self.space.clone();
                self.write_file(name, &space);
            }
        }
    }
}

/// Appends a replacement, with its changes of case.
fn expand(parts: &[Part], text: &[u8], spans: &[Option<(usize, usize)>], out: &mut Vec<u8>) {
    let (mut all, mut one) = (b'E', None);
    for part in parts {
        let piece: &[u8] = match part {
            Part::Text(text) => text,
            Part::Group(group) => match spans.get(*group).copied().flatten() {
                Some((from, to)) => &text[from..to],
                None => &[],
            },
            Part::Case(case @ (b'u' | b'l')) => {
                one = Some(*case);
                continue;
            }
            Part::Case(case) => {
                all = *case;
                one = None;
                continue;
            }
        };
        for &byte in piece {
            let case = one.take().unwrap_or(all);
            out.push(match case {
                b'U' | b'u' => byte.to_ascii_uppercase(),
                b'L' | b'l' => byte.to_ascii_lowercase(),
                _ => byte,
            });
        }
    }
}

/// The parts of a replacement as written.
pub(super) fn parts(text: &str) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut plain: Vec<u8> = Vec::new();
    let mut letters = text.chars();
    while let Some(next) = letters.next() {
        let special = match next {
            '&' => Some(Part::Group(0)),
            '\\' => match letters.next() {
                Some(digit @ '0'..='9') => Some(Part::Group(digit as usize - '0' as usize)),
                Some(case @ ('U' | 'L' | 'u' | 'l' | 'E')) => Some(Part::Case(case as u8)),
                Some('n') => {
                    plain.push(b'\n');
                    None
                }
                Some(control @ ('t' | 'r' | 'f' | 'v' | 'a')) => {
                    plain.extend(escapes::unescape(&format!("\\{control}")));
                    None
                }
                other => {
                    let other = other.unwrap_or('\\');
                    plain.extend_from_slice(other.encode_utf8(&mut [0; 4]).as_bytes());
                    None
                }
            },
            other => {
                plain.extend_from_slice(other.encode_utf8(&mut [0; 4]).as_bytes());
                None
            }
        };
        if let Some(special) = special {
            if !plain.is_empty() {
                parts.push(Part::Text(std::mem::take(&mut plain)));
            }
            parts.push(special);
        }
    }
    if !plain.is_empty() {
        parts.push(Part::Text(plain));
    }
    parts
}
