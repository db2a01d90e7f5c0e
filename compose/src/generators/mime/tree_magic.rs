//! What types look for in directories: `<treemagic>`, and the file of that name.

use std::fmt::Write as _;

use super::sources::{Database, NAMESPACE, hundredth};
use crate::generators::markup::Element;

/// What one type looks for.
#[derive(Debug)]
pub(super) struct TreeMagic {
    pub(super) kind: usize,
    pub(super) priority: i32,
    matches: Vec<TreeMatch>,
}

/// Something in a directory.
#[derive(Debug)]
struct TreeMatch {
    /// Its line in the file, from its path on.
    line: String,
    matches: Vec<Self>,
}

/// `<treemagic>`
pub(super) fn read(kind: usize, element: &Element) -> Result<TreeMagic, String> {
    Ok(TreeMagic {
        kind,
        priority: hundredth(element, "priority")?,
        matches: element.elements().map(read_match).collect::<Result<_, _>>()?,
    })
}

fn read_match(element: &Element) -> Result<TreeMatch, String> {
    if element.namespace() != Some(NAMESPACE) || element.local_name() != "treematch" {
        return Err(format!("<{}> where <treematch> has to be", element.name));
    }
    let path = element.attribute("path").ok_or("<treematch> without a path")?;
    let kind = match element.attribute("type") {
        None => "any",
        Some(kind @ ("file" | "directory" | "link")) => kind,
        Some(kind) => return Err(format!("`{kind}` is no type of <treematch>")),
    };
    let mut line = format!(">\"{path}\"={kind}");
    for name in ["match-case", "executable", "non-empty"] {
        if element.attribute(name) == Some("true") {
            line = line + "," + name;
        }
    }
    if let Some(kind) = element.attribute("mimetype") {
        line = line + "," + kind;
    }
    Ok(TreeMatch {
        line,
        matches: element.elements().map(read_match).collect::<Result<_, _>>()?,
    })
}

/// The file `treemagic`.
pub(super) fn to_text(database: &Database) -> String {
    let mut text = "MIME-TreeMagic\0\n".to_owned();
    for magic in &database.tree_magic {
        let name = &database.types[magic.kind].name;
        writeln!(text, "[{}:{name}]", magic.priority).expect("a string takes all");
        write_matches(&magic.matches, 0, &mut text);
    }
    text
}

fn write_matches(matches: &[TreeMatch], depth: usize, text: &mut String) {
    for part in matches {
        if depth > 0 {
            *text += &depth.to_string();
        }
        *text = std::mem::take(text) + &part.line + "\n";
        write_matches(&part.matches, depth + 1, text);
    }
}
