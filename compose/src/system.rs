//! The machine that maintainer scripts believe they run on.

use std::collections::{BTreeMap, BTreeSet};

use crate::tree::Tree;

/// Where no kernel is among the packages (a container runs on its host's): the series of Debian 13.
const DEFAULT_KERNEL: &str = "6.12";

/// The tree and what dpkg, debconf and the triggers keep beside it while packages are configured.
#[derive(Debug)]
pub struct System {
    /// The root file system.
    pub tree: Tree,
    /// Debian's name of the architecture being composed (`arm64`).
    pub arch: String,
    /// Release of the kernel that will run it, as `uname -r` prints it.
    pub kernel: String,
    /// debconf: question name to value and flags; filled from templates and `config` scripts.
    pub debconf: BTreeMap<String, Question>,
    /// Triggers activated and not yet processed: trigger name to the packages that activated it.
    pub triggers: BTreeMap<String, BTreeSet<String>>,
    /// Generators asked for by commands (`ldconfig`, `update-ca-certificates`, …), to run once at the end.
    pub pending: BTreeSet<String>,
    /// What a command knowingly left undone, for the report: silence is never an option.
    pub notes: Vec<Note>,
}

/// A debconf question.
#[derive(Clone, Debug, Default)]
pub struct Question {
    /// `Type` of its template (`select`, `boolean`, …).
    pub kind: String,
    /// Current value.
    pub value: String,
    /// `Default` of its template, substitutions not yet applied.
    pub default: String,
    /// `Choices` of its template, substitutions not yet applied.
    pub choices: String,
    /// Substitutions set by `db_subst`.
    pub substitutions: BTreeMap<String, String>,
    /// Flags (`seen`).
    pub flags: BTreeSet<String>,
    /// Packages that own it.
    pub owners: BTreeSet<String>,
    /// The template's other fields by lower-case name (`description`, `extended_description`).
    pub fields: BTreeMap<String, String>,
    /// Asked by `db_input` and waiting for `db_go`; whether it will count as seen then.
    pub asked: Option<bool>,
}

/// A remark on something a command did not do although a script asked for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// Package whose script asked.
    pub package: String,
    /// Script of that package (`postinst`).
    pub script: String,
    /// What was asked, and why it was left out.
    pub text: String,
}

impl System {
    /// An empty machine of Debian architecture `arch` whose clock stands at `now` (seconds since 1970).
    pub fn new(arch: &str, now: i64) -> Self {
        Self {
            tree: Tree::new(now),
            arch: arch.to_owned(),
            kernel: DEFAULT_KERNEL.to_owned(),
            debconf: BTreeMap::new(),
            triggers: BTreeMap::new(),
            pending: BTreeSet::new(),
            notes: Vec::new(),
        }
    }
}
