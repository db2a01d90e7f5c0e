//! What `find` looks for and does: tests, actions and how they are joined.

use super::format::Format;
use crate::commands::regular_expression::Pattern;
use crate::tree::InodeId;

/// What must hold; evaluating it also acts.
#[derive(Clone, Debug)]
pub(super) enum Expression {
    And(Box<Self>, Box<Self>),
    Or(Box<Self>, Box<Self>),
    List(Box<Self>, Box<Self>),
    Not(Box<Self>),
    Test(std::rc::Rc<Test>),
}

/// Options that hold for the whole search.
#[derive(Clone, Copy, Debug)]
pub(super) struct Global {
    pub(super) min_depth: usize,
    pub(super) max_depth: usize,
    pub(super) depth_first: bool,
    /// `-follow`, the old way to write `-L`.
    pub(super) follow: bool,
}

/// `+n`, `-n` or `n`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Number {
    sign: Option<char>,
    value: u64,
}

impl Number {
    pub(super) fn parse(text: &str) -> Option<Self> {
        let sign = text.chars().next().filter(|first| "+-".contains(*first));
        let value = text.trim_start_matches(['+', '-']).parse().ok()?;
        Some(Self { sign, value })
    }

    pub(super) fn fits(self, value: u64) -> bool {
        match self.sign {
            Some('+') => value > self.value,
            Some(_) => value < self.value,
            None => value == self.value,
        }
    }
}

/// `-size n[cwbkMG]`: sizes count in units, begun ones whole.
#[derive(Clone, Copy, Debug)]
pub(super) struct Size {
    pub(super) number: Number,
    pub(super) unit: u64,
}

/// A shell pattern over a whole string, where `*` also matches `/` and a leading dot.
#[derive(Clone, Debug)]
pub(super) struct Wildcard(globset::GlobMatcher);

impl Wildcard {
    pub(super) fn new(pattern: &str, ignore_case: bool) -> Option<Self> {
        // In a shell pattern braces are plain, and `**` is `*` twice.
        let escaped = pattern.replace('{', "[{]").replace('}', "[}]");
        let escaped = escaped.replace("**", "*");
        let glob = globset::GlobBuilder::new(&escaped)
            .literal_separator(false)
            .case_insensitive(ignore_case)
            .build();
        Some(Self(glob.ok()?.compile_matcher()))
    }

    pub(super) fn matches(&self, text: &str) -> bool {
        self.0.is_match(text)
    }
}

/// Tests and actions.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "a handful of them, each behind a pointer")]
pub(super) enum Test {
    True,
    False,
    Name(Wildcard),
    Path(Wildcard),
    Regex(Pattern),
    LinkName(Wildcard),
    Type(Vec<char>),
    User(u32),
    Group(u32),
    Uid(Number),
    Gid(Number),
    Permissions(char, u32),
    Links(Number),
    Size(Size),
    Empty,
    Newer(i64),
    Inum(InodeId),
    ModifiedDays(Number),
    Prune,
    Print(u8),
    Format(Format),
    Delete,
    Exec { words: Vec<String>, in_directory: bool },
    ExecAll(Vec<String>),
}

impl Test {
    /// Whether evaluating it does something to be seen: then nothing is printed unasked.
    pub(super) fn acts(&self) -> bool {
        matches!(
            self,
            Self::Print(_) | Self::Format(_) | Self::Delete | Self::Exec { .. } | Self::ExecAll(_)
        )
    }
}
