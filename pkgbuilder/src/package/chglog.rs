//! Changelogs in the form of chglog (<https://github.com/goreleaser/chglog>), which a recipe's `changelog` names: YAML to
//! Debian's changelog (deb-changelog(5)), in the words of nfpm.

use std::fmt::Write;

use serde::Deserialize;

use super::date::ChangelogDate;
use crate::definition::recipe::Moment;

/// One version. chglog itself keeps commits and authors beside, and reads over what it does not know.
#[derive(Clone, Debug, Deserialize)]
pub struct Release {
    semver: String,
    date: Moment,
    packager: String,
    #[serde(default)]
    deb: Option<Debian>,
    #[serde(default)]
    changes: Vec<Change>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Debian {
    urgency: String,
    distributions: Vec<String>,
}

#[derive(Clone, Debug, Deserialize)]
struct Change {
    note: String,
}

/// The changelog of package `name`, newest version first as in the file.
pub fn format(name: &str, releases: &[Release]) -> String {
    let mut text = String::new();
    for release in releases {
        let Debian { urgency, distributions } = release.deb.clone().unwrap_or_default();
        let distributions = if distributions.is_empty() {
            "unstable".to_owned()
        } else {
            distributions.join(" ")
        };
        let urgency = if urgency.is_empty() { "low" } else { &urgency };
        // Writing to a String cannot fail.
        let _ = write!(text, "\n{name} ({}) {distributions}; urgency={urgency}", release.semver);
        for change in &release.changes {
            let mut lines = change.note.split('\n');
            let _ = write!(text, "\n  * {}", lines.next().unwrap_or_default());
            for line in lines.filter(|line| !line.trim().is_empty()) {
                let _ = write!(text, "\n   - {line}");
            }
        }
        let _ = writeln!(text, "\n\n -- {}  {}", release.packager, ChangelogDate(release.date.0));
    }
    text.trim().to_owned() + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_become_debian_entries() {
        let releases: Vec<Release> = serde_json::from_value(serde_json::json!([
            {
                "semver": "1.1.0-1", "date": "2009-12-08T22:00:00Z", "packager": "A <a@example.org>", "commit": "x",
                "deb": { "urgency": "medium", "distributions": ["trixie", "forky"] },
                "changes": [{ "note": "one\ntwo\n\nthree" }, { "note": "four", "commit": "abc" }],
            },
            { "semver": "1.0.0-1", "date": "2009-11-10T23:00:00Z", "packager": "A <a@example.org>" },
        ]))
        .unwrap();
        assert_eq!(
            format("tool", &releases),
            "tool (1.1.0-1) trixie forky; urgency=medium\n  * one\n   - two\n   - three\n  * four\n\n \
             -- A <a@example.org>  Tue, 08 Dec 2009 22:00:00 +0000\n\n\
             tool (1.0.0-1) unstable; urgency=low\n\n \
             -- A <a@example.org>  Tue, 10 Nov 2009 23:00:00 +0000\n"
        );
    }
}
