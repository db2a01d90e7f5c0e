//! The reviewed list of differences: `WHAT GLOB REASON`, a line each, below the sets that have them.

use globset::{GlobBuilder, GlobMatcher};

use crate::compare::Difference;

/// One line of the list.
pub(crate) struct Explanation {
    line: String,
    what: Vec<String>,
    glob: GlobMatcher,
    /// Whether the glob is about a link and its target (`PATH->TARGET`).
    about_link: bool,
    used: bool,
}

impl Explanation {
    fn parse(line: &str) -> Self {
        let mut words = line.split_whitespace();
        let what = words.next().expect("the line is not empty");
        let glob = words.next().unwrap_or_else(|| panic!("no path in `{line}`"));
        assert!(words.next().is_some(), "no reason in `{line}`");
        let about_link = glob.contains("->");
        let mut glob = GlobBuilder::new(glob);
        let glob = glob
            .literal_separator(true)
            .empty_alternates(true)
            .build()
            .expect("a glob");
        Self {
            line: line.to_owned(),
            what: what.split(',').map(str::to_owned).collect(),
            glob: glob.compile_matcher(),
            about_link,
            used: false,
        }
    }

    fn covers(&self, difference: &Difference) -> bool {
        let matches = if self.about_link {
            self.glob
                .is_match(format!("{}->{}", difference.path, difference.target))
        } else {
            self.glob.is_match(&difference.path)
        };
        matches && self.what.iter().any(|what| what == difference.what.name())
    }
}

/// The lines that hold for one set.
pub(crate) struct Explanations(Vec<Explanation>);

impl Explanations {
    /// Reads the lines for `set`: those below a heading `[SET SET …]` that names it. A line without heading or reason
    /// is an error, and so is a set that no test knows.
    pub(crate) fn read(text: &str, set: &str, sets: &[&str]) -> Self {
        let mut found = Vec::new();
        let mut heads: Option<Vec<&str>> = None;
        for line in text.lines() {
            if line.trim().is_empty() || line.starts_with('#') {
                continue;
            }
            if let Some(heading) = line.strip_prefix('[') {
                let heading = heading.strip_suffix(']').expect("a heading ends with `]`");
                let names: Vec<&str> = heading.split_whitespace().collect();
                for name in &names {
                    assert!(sets.contains(name), "`{line}` names no set of the oracle");
                }
                heads = Some(names);
                continue;
            }
            let explanation = Explanation::parse(line);
            if heads.as_ref().expect("a line comes below a heading").contains(&set) {
                found.push(explanation);
            }
        }
        Self(found)
    }

    /// Whether a line explains the difference. Every line that does counts as of use.
    pub(crate) fn cover(&mut self, difference: &Difference) -> bool {
        let mut covered = false;
        for explanation in self.0.iter_mut().filter(|line| line.covers(difference)) {
            explanation.used = true;
            covered = true;
        }
        covered
    }

    /// The lines that explained nothing.
    pub(crate) fn stale(&self) -> Vec<&str> {
        let stale = self.0.iter().filter(|explanation| !explanation.used);
        stale.map(|explanation| explanation.line.as_str()).collect()
    }
}

#[test]
fn a_line_holds_for_the_sets_of_its_heading_and_must_be_of_use() {
    use crate::compare::What;

    let text = "# words\n[one two]\nmissing,mode /a/* made later\n[two]\nextra /b/** ours\nextra /c->to ours\nextra /c->of ours\n";
    let difference = |what, path: &str| Difference {
        what,
        path: path.to_owned(),
        target: "to".to_owned(),
        detail: String::new(),
    };
    let mut one = Explanations::read(text, "one", &["one", "two"]);
    assert!(one.cover(&difference(What::Mode, "/a/x")));
    assert!(!one.cover(&difference(What::Mode, "/a/x/y")));
    assert!(!one.cover(&difference(What::Content, "/a/x")));
    assert!(!one.cover(&difference(What::Extra, "/b/x")));
    assert!(one.stale().is_empty());
    let mut two = Explanations::read(text, "two", &["one", "two"]);
    assert!(two.cover(&difference(What::Extra, "/b/x/y")));
    assert!(two.cover(&difference(What::Extra, "/c")));
    assert_eq!(two.stale(), ["missing,mode /a/* made later", "extra /c->of ours"]);
}
