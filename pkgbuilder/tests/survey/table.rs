//! What came of the survey, as people read it: the section of docs/composition.md.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use crate::{GOAL, Survey};

/// The section's heading.
const HEADING: &str = "## The survey";

/// What a row of packages that do not compose begins with.
const FAILED: &str = "| `";

/// Packages named with one remark.
const NAMED: usize = 8;

/// Width of a line of text.
const WIDTH: usize = 120;

pub(crate) fn document() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/composition.md")
}

/// Puts the section into the document, in the place of the old one.
pub(crate) fn write(survey: &Survey) {
    let text = fs::read_to_string(document()).unwrap();
    let start = text
        .find(HEADING)
        .expect("docs/composition.md has a section on the survey");
    let behind = start + HEADING.len();
    let end = text[behind..].find("\n## ").map_or(text.len(), |at| behind + at + 1);
    let text = format!("{}{HEADING}\n\n{}\n{}", &text[..start], section(survey), &text[end..]);
    fs::write(document(), text.trim_end().to_owned() + "\n").unwrap();
}

/// `98.3 %`
fn rate(good: usize, of: usize) -> String {
    let tenths = good * 1000 / of.max(1);
    format!("{}.{} %", tenths / 10, tenths % 10)
}

fn section(survey: &Survey) -> String {
    let (good, asked) = (survey.good(), survey.asked.len());
    let (good_packages, packages) = (survey.good_packages(), survey.packages.len());
    let date = pkgbuilder::verify::release::timestamp(survey.epoch);
    let date = format!("{}-{}-{}", &date[..4], &date[4..6], &date[6..8]);
    let mut text = wrapped(&format!(
        "Any package of the archive may be named in a definition. What people put on servers and small boards \
         (`pkgbuilder/tests/survey/packages.txt`) is composed for arm64, each in a definition of its own: the base that \
         every image has ({} packages), the package, and all that it needs. A package composes if every script of it ran \
         in every definition that has it; a name composes if all its packages do. Made on the archive of {date} by",
        survey.base.len()
    ));
    text += "\n    cargo test -p pkgbuilder --features archive --test survey -- --ignored record\n\n";
    write!(
        text,
        "| | surveyed | compose | |\n|---|---|---|---|\n| named | {asked} | {} | {} |\n| with all they need | {packages} \
         | {good_packages} | {} |\n\n",
        good.len(),
        rate(good.len(), asked),
        rate(good_packages, packages)
    )
    .expect("a string takes all");
    text += &wrapped(&format!(
        "`scripts/test --all` runs it again, and fails below {GOAL} %, or where a package that composed here does not any \
         more although neither it nor what it needs has changed."
    ));
    text += "\n### What does not compose\n\n";
    text += &failures(survey);
    text += "\n### What is left to the node\n\n";
    text += &wrapped(
        "Scripts run programs that cannot be interpreted, make keys, or ask the machine. Nothing of that is passed over in \
         silence: each is a note in the result of the composition.",
    );
    text += "\n";
    text += &notes(survey);
    text += "\n### What composes\n\n";
    text += &wrapped(&good.join(", "));
    text
}

/// A row for every package that fails, and for every definition that fails without one.
fn failures(survey: &Survey) -> String {
    let mut rows: BTreeMap<&str, String> = BTreeMap::new();
    for (name, package) in survey
        .packages
        .iter()
        .filter(|(_, package)| !package.failures.is_empty())
    {
        let reasons: Vec<&str> = package.failures.iter().map(String::as_str).collect();
        rows.insert(name, reasons.join("; "));
    }
    for (name, asked) in &survey.asked {
        let refused = match asked {
            Err(refused) => Some(refused),
            Ok(asked) => asked.refused.as_ref(),
        };
        if let Some(refused) = refused {
            rows.entry(name).or_insert_with(|| refused.clone());
        }
    }
    if rows.is_empty() {
        return "Nothing.\n".to_owned();
    }
    let mut text = "| package | why | needed by |\n|---|---|---|\n".to_owned();
    for (name, why) in rows {
        let needs = format!("needs {name}");
        let needing = survey
            .asked
            .keys()
            .filter(|asked| survey.faults(asked).contains(&needs));
        let needing: Vec<&str> = needing.map(String::as_str).filter(|asked| *asked != name).collect();
        let why = why.replace('|', r"\|").replace('\n', " ");
        writeln!(text, "{FAILED}{name}` | {why} | {} |", list(&needing)).unwrap();
    }
    text
}

/// A row for every remark, the most frequent first.
fn notes(survey: &Survey) -> String {
    let mut packages: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (name, package) in &survey.packages {
        for note in &package.notes {
            packages.entry(note).or_default().insert(name);
        }
    }
    for (note, asked) in &survey.notes {
        packages
            .entry(note)
            .or_default()
            .extend(asked.iter().map(String::as_str));
    }
    let mut rows: Vec<(&str, BTreeSet<&str>)> = packages.into_iter().collect();
    rows.sort_by_key(|(note, packages)| (std::cmp::Reverse(packages.len()), *note));
    let mut text = "| what | whose |\n|---|---|\n".to_owned();
    for (note, packages) in rows {
        let packages: Vec<&str> = packages.into_iter().collect();
        writeln!(text, "| {} | {} |", note.replace('|', r"\|"), list(&packages)).unwrap();
    }
    text
}

/// `a, b and 3 more`
fn list(names: &[&str]) -> String {
    match names.len().checked_sub(NAMED) {
        Some(more @ 1..) => format!("{} and {more} more", names[..NAMED].join(", ")),
        _ => names.join(", "),
    }
}

/// Text in lines of at most [`WIDTH`].
fn wrapped(text: &str) -> String {
    let (mut lines, mut line) = (String::new(), String::new());
    for word in text.split_whitespace() {
        if !line.is_empty() && line.len() + 1 + word.len() > WIDTH {
            lines += &line;
            lines.push('\n');
            line.clear();
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line += word;
    }
    lines + &line + "\n"
}

/// The packages that the document says do not compose.
pub(crate) fn recorded_failures() -> BTreeSet<String> {
    let text = fs::read_to_string(document()).unwrap();
    let (_, section) = text
        .split_once(HEADING)
        .expect("docs/composition.md has a section on the survey");
    let section = section.split("\n## ").next().unwrap();
    let rows = section.lines().filter_map(|line| line.strip_prefix(FAILED));
    rows.map(|row| row.split('`').next().unwrap().to_owned()).collect()
}

/// The names that the document says compose.
pub(crate) fn recorded_good() -> BTreeSet<String> {
    let text = fs::read_to_string(document()).unwrap();
    let (_, list) = text
        .split_once("### What composes")
        .expect("docs/composition.md says what composes");
    let list = list.split("\n## ").next().unwrap();
    list.split([',', ' ', '\n'])
        .filter(|name| !name.is_empty())
        .map(str::to_owned)
        .collect()
}
