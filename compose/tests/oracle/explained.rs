//! The reviewed list of differences: `WHAT GLOB REASON`, a line each.

use globset::{GlobBuilder, GlobMatcher};

use crate::compare::Difference;

/// One line of the list.
pub(crate) struct Explanation {
    line: String,
    what: Vec<String>,
    glob: GlobMatcher,
    used: bool,
}

impl Explanation {
    /// Whether this explains the difference; remembers that it was of use.
    pub(crate) fn covers(&mut self, difference: &Difference) -> bool {
        let covers =
            self.what.iter().any(|what| what == difference.what.name()) && self.glob.is_match(&difference.path);
        self.used |= covers;
        covers
    }

    /// The line, if it explained nothing.
    pub(crate) fn stale(&self) -> Option<String> {
        (!self.used).then(|| self.line.clone())
    }
}

/// Reads the list; a line without a reason is an error.
pub(crate) fn read(text: &str) -> Vec<Explanation> {
    let lines = text
        .lines()
        .filter(|line| !line.trim().is_empty() && !line.starts_with('#'));
    lines
        .map(|line| {
            let mut words = line.split_whitespace();
            let what = words
                .next()
                .expect("the line is not empty")
                .split(',')
                .map(str::to_owned)
                .collect();
            let glob = words.next().unwrap_or_else(|| panic!("no path in `{line}`"));
            assert!(words.next().is_some(), "no reason in `{line}`");
            let glob = GlobBuilder::new(glob)
                .literal_separator(true)
                .build()
                .expect("a glob")
                .compile_matcher();
            Explanation {
                line: line.to_owned(),
                what,
                glob,
                used: false,
            }
        })
        .collect()
}
