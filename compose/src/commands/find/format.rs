//! `-printf`.

use crate::commands::{escapes, mode, operands, owners};
use crate::shell::process::{Halt, Process};
use crate::tree::{InodeId, Kind};

/// The text of `-printf`.
#[derive(Clone, Debug)]
pub(super) struct Format(pub(super) String);

impl Format {
    pub(super) fn show(
        &self,
        process: &Process<'_>,
        name: &str,
        start: &str,
        depth: usize,
        id: InodeId,
    ) -> Result<Vec<u8>, Halt> {
        let tree = &process.system.tree;
        let inode = tree.inode(id);
        let mut text = String::new();
        let mut letters = self.0.chars();
        while let Some(next) = letters.next() {
            if next == '\\' {
                let rest = letters.as_str();
                let (byte, length) = escapes::escape(rest.as_bytes()).unwrap_or((b'\\', 0));
                text.push(char::from(byte));
                letters = rest[length..].chars();
                continue;
            }
            if next != '%' {
                text.push(next);
                continue;
            }
            let directive = letters.next();
            let shown = match directive {
                Some('p') => name.to_owned(),
                Some('f') => operands::base(name).to_owned(),
                Some('h') => operands::parent(name).to_owned(),
                Some('P') => name
                    .strip_prefix(start)
                    .unwrap_or(name)
                    .trim_start_matches('/')
                    .to_owned(),
                Some('d') => depth.to_string(),
                Some('y') => super::letter(&inode.kind).to_string(),
                Some('m') => format!("{:o}", inode.mode),
                Some('M') => {
                    let letter = if inode.is_file() {
                        '-'
                    } else {
                        super::letter(&inode.kind)
                    };
                    mode::letters(letter, inode.mode)
                }
                Some('u') => owners::user_name(tree, inode.uid).unwrap_or_else(|| inode.uid.to_string()),
                Some('g') => owners::group_name(tree, inode.gid).unwrap_or_else(|| inode.gid.to_string()),
                Some('U') => inode.uid.to_string(),
                Some('G') => inode.gid.to_string(),
                Some('s') => match &inode.kind {
                    Kind::File(content) => content.len().to_string(),
                    Kind::Symlink(target) => target.len().to_string(),
                    _ => "4096".to_owned(),
                },
                Some('l') => match &inode.kind {
                    Kind::Symlink(target) => target.clone(),
                    _ => String::new(),
                },
                Some('%') => "%".to_owned(),
                other => return Err(process.unsupported(format!("-printf %{}", other.unwrap_or('%')))),
            };
            text.push_str(&shown);
        }
        Ok(text.into_bytes())
    }
}
