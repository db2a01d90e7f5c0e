//! Version relations of `dpkg --compare-versions`.

use std::cmp::Ordering;

use debversion::Version;

/// A relation: its name; whether it holds for less, equal and greater; and for an empty left or right version.
type Relation = (&'static str, [bool; 3], [bool; 2]);

/// The relations of dpkg(1): in those that end in `-nl` an empty version is later than any; `<` and `>` are the
/// obsolete control file syntax and include equality.
#[rustfmt::skip]
const RELATIONS: &[Relation] = &[
    ("le",    [true,  true,  false], [true,  false]),
    ("lt",    [true,  false, false], [true,  false]),
    ("eq",    [false, true,  false], [false, false]),
    ("ne",    [true,  false, true],  [true,  true]),
    ("ge",    [false, true,  true],  [false, true]),
    ("gt",    [false, false, true],  [false, true]),
    ("le-nl", [true,  true,  false], [false, true]),
    ("lt-nl", [true,  false, false], [false, true]),
    ("ge-nl", [false, true,  true],  [true,  false]),
    ("gt-nl", [false, false, true],  [true,  false]),
    ("<",     [true,  true,  false], [true,  false]),
    ("<=",    [true,  true,  false], [true,  false]),
    ("<<",    [true,  false, false], [true,  false]),
    ("=",     [false, true,  false], [false, false]),
    (">",     [false, true,  true],  [false, true]),
    (">=",    [false, true,  true],  [false, true]),
    (">>",    [false, false, true],  [false, true]),
];

/// Whether `left relation right` holds; a sentence if the relation is unknown or a version is none.
pub(super) fn compare(left: &str, relation: &str, right: &str) -> Result<bool, String> {
    let (_, holds, empty) = RELATIONS
        .iter()
        .find(|(name, _, _)| *name == relation)
        .ok_or_else(|| format!("--compare-versions bad relation `{relation}`"))?;
    let none = |version: &str| version.is_empty() || version == "<unknown>";
    match (none(left), none(right)) {
        (true, true) => Ok(holds[1]),
        (true, false) => Ok(empty[0]),
        (false, true) => Ok(empty[1]),
        (false, false) => Ok(match parse(left)?.cmp(&parse(right)?) {
            Ordering::Less => holds[0],
            Ordering::Equal => holds[1],
            Ordering::Greater => holds[2],
        }),
    }
}

fn parse(version: &str) -> Result<Version, String> {
    Version::parse_lenient(version.trim()).map_err(|_| format!("version '{version}' has bad syntax"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_versions_are_early_or_late() {
        assert_eq!(compare("", "lt", "1"), Ok(true));
        assert_eq!(compare("", "lt-nl", "1"), Ok(false));
        assert_eq!(compare("", "le-nl", "1.11.2~ds1-1"), Ok(false));
        assert_eq!(compare("", "ge-nl", "1"), Ok(true));
        assert_eq!(compare("", "eq", ""), Ok(true));
        assert_eq!(compare("1", "gt", ""), Ok(true));
        assert!(compare("1", "lessthan", "2").is_err());
    }

    /// Every relation over versions that have tripped comparers; the machine's own dpkg is the judge.
    #[test]
    fn agrees_with_dpkg() {
        std::process::Command::new("dpkg")
            .arg("--version")
            .output()
            .expect("dpkg is the judge here: install it (package dpkg)");
        let versions = [
            "", "0", "1.0", "1.0-1", "1.0-1~", "1.0~~a", "1:0.1", "1.00", "1.0a", "1.0+b", "1.0-0", "1.0-1+b1",
        ];
        for (left, right) in versions
            .iter()
            .flat_map(|left| versions.iter().map(move |right| (left, right)))
        {
            // For two versions the order decides; the relations differ in what an empty one means.
            let relations: Vec<&str> = if left.is_empty() || right.is_empty() {
                RELATIONS.iter().map(|(name, _, _)| *name).collect()
            } else {
                vec!["lt", "eq", "gt"]
            };
            let script: String = relations
                .iter()
                .map(|name| format!("dpkg --compare-versions '{left}' '{name}' '{right}'; echo $?"))
                .collect::<Vec<_>>()
                .join("\n");
            let output = std::process::Command::new("sh").args(["-c", &script]).output().unwrap();
            let theirs: Vec<bool> = String::from_utf8(output.stdout)
                .unwrap()
                .lines()
                .map(|s| s == "0")
                .collect();
            let ours: Vec<bool> = relations
                .iter()
                .map(|name| compare(left, name, right).unwrap())
                .collect();
            assert_eq!(ours, theirs, "'{left}' against '{right}'");
        }
    }
}
