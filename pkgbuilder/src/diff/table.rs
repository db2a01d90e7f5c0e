//! A difference for people.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde_json::Value;

use super::{Change, Difference, FileChange, Kind, PackageChange};
use crate::housekeeping::quantity::bytes;

/// Files of a package that are named unless all are wanted.
const NAMED: usize = 5;
/// Longest value of a definition on a line.
const VALUE: usize = 60;

pub(super) fn table(difference: &Difference, all_files: bool) -> String {
    let mut text = String::new();
    sides(&mut text, difference);
    if difference.same {
        text.push_str("\nno difference\n");
        return text;
    }
    changes(&mut text, "definition", &difference.definition);
    changes(&mut text, "site settings", &difference.site);
    packages(&mut text, &difference.packages);
    files(&mut text, &difference.files, all_files);
    text
}

fn sides(text: &mut String, difference: &Difference) {
    let (before, after) = (&difference.before, &difference.after);
    let row = |text: &mut String, what: &str, was: String, is: String| {
        let _ = if was == is {
            writeln!(text, "{what:12}{was}")
        } else {
            writeln!(text, "{what:12}{was}  ->  {is}")
        };
    };
    row(text, "compared", before.name.clone(), after.name.clone());
    let image = |side: &super::Side| format!("{} for {}, by pkgbuilder {}", side.image, side.target, side.tool);
    row(text, "image", image(before), image(after));
    row(
        text,
        "packages",
        before.packages.to_string(),
        after.packages.to_string(),
    );
    row(text, "files", before.files.to_string(), after.files.to_string());
    let size = |side: &super::Side| bytes(side.size);
    row(
        text,
        "size",
        size(before),
        format!("{} ({})", size(after), growth(before.size, after.size)),
    );
    if let (Some(was), Some(is)) = (before.compressed, after.compressed) {
        row(
            text,
            "compressed",
            bytes(was),
            format!("{} ({})", bytes(is), growth(was, is)),
        );
    }
}

fn changes(text: &mut String, title: &str, changes: &[Change]) {
    if changes.is_empty() {
        return;
    }
    let _ = writeln!(text, "\n{title}");
    for change in changes {
        let _ = writeln!(text, "  {}", line(change));
    }
}

fn line(Change { place, before, after }: &Change) -> String {
    match (before, after) {
        (Some(before), Some(after)) => format!("~ {place}: {}  ->  {}", short(before), short(after)),
        (Some(before), None) => format!("- {place}: {}", short(before)),
        (_, Some(after)) => format!("+ {place}: {}", short(after)),
        (None, None) => format!("~ {place}"),
    }
}

fn short(value: &Value) -> String {
    let text = match value {
        Value::String(text) => text.clone(),
        // A component, of which nobody wants to read the recipe here.
        Value::Object(fields) if fields.get("version").is_some_and(Value::is_string) => {
            fields["version"].as_str().unwrap_or_default().to_owned()
        }
        other => other.to_string(),
    };
    let text = text.escape_debug().to_string();
    if text.chars().count() <= VALUE {
        return text;
    }
    text.chars().take(VALUE).chain(['…']).collect()
}

fn packages(text: &mut String, packages: &[PackageChange]) {
    if packages.is_empty() {
        return;
    }
    let count = |kind: Kind| packages.iter().filter(|package| package.kind == kind).count();
    let counts = [
        (Kind::Added, "added"),
        (Kind::Removed, "removed"),
        (Kind::Upgraded, "upgraded"),
        (Kind::Downgraded, "downgraded"),
        (Kind::Changed, "made otherwise"),
    ]
    .map(|(kind, word)| (count(kind), word));
    let _ = writeln!(text, "\npackages: {}", counted(&counts));
    let width = packages.iter().map(|package| package.name.len()).max().unwrap_or(0);
    for package in packages {
        let mark = match package.kind {
            Kind::Added => '+',
            Kind::Removed => '-',
            Kind::Upgraded => '^',
            Kind::Downgraded => 'v',
            Kind::Changed => '~',
        };
        let versions = match (&package.before, &package.after) {
            (Some(before), Some(after)) if before != after => format!("{before}  ->  {after}"),
            (_, Some(version)) | (Some(version), None) => version.clone(),
            (None, None) => String::new(),
        };
        let grown = if package.growth == 0 {
            String::new()
        } else {
            format!("  ({})", signed(package.growth))
        };
        let _ = writeln!(text, "  {mark} {:width$}  {versions}{grown}", package.name);
        for change in &package.also {
            let _ = writeln!(text, "      {}", line(change));
        }
    }
}

fn files(text: &mut String, files: &[FileChange], all: bool) {
    if files.is_empty() {
        return;
    }
    let count = |kind: Kind| files.iter().filter(|file| file.kind == kind).count();
    let counts = [
        (count(Kind::Added), "added"),
        (count(Kind::Removed), "removed"),
        (count(Kind::Changed), "changed"),
    ];
    let _ = writeln!(text, "\nfiles: {}", counted(&counts));
    let mut by_package: BTreeMap<&str, Vec<&FileChange>> = BTreeMap::new();
    for file in files {
        let owner = match file.path.split_once(":/") {
            Some((label, _)) if !file.path.starts_with('/') => label,
            _ if file.package.is_empty() => "(generated)",
            _ => &file.package,
        };
        by_package.entry(owner).or_default().push(file);
    }
    for (package, files) in by_package {
        let _ = writeln!(text, "  {package}");
        let shown = if all { files.len() } else { files.len().min(NAMED) };
        for file in &files[..shown] {
            let _ = writeln!(text, "    {}", file_line(file));
        }
        if shown < files.len() {
            let _ = writeln!(text, "      and {} more (`--files` names them)", files.len() - shown);
        }
    }
}

fn file_line(file: &FileChange) -> String {
    let path = file.path.escape_debug();
    match file.kind {
        Kind::Added => format!("+ {path}  {}", bytes(file.after)),
        Kind::Removed => format!("- {path}  {}", bytes(file.before)),
        _ if file.before == file.after => format!("~ {path}  ({})", file.what.join(", ")),
        _ => format!(
            "~ {path}  {}  ->  {}  ({})",
            bytes(file.before),
            bytes(file.after),
            file.what.join(", ")
        ),
    }
}

/// `3 added, 1 removed`: what there is none of is left out.
fn counted(counts: &[(usize, &str)]) -> String {
    let counts = counts.iter().filter(|(count, _)| *count > 0);
    let counts: Vec<String> = counts.map(|(count, word)| format!("{count} {word}")).collect();
    counts.join(", ")
}

fn growth(before: u64, after: u64) -> String {
    if after >= before {
        format!("+{}", bytes(after - before))
    } else {
        format!("-{}", bytes(before - after))
    }
}

fn signed(growth: i64) -> String {
    let sign = if growth < 0 { '-' } else { '+' };
    format!("{sign}{}", bytes(growth.unsigned_abs()))
}
