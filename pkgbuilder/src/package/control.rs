//! The control stanza of a binary package (Debian Policy 5.3), and what dpkg would refuse in it.

use std::collections::BTreeMap;
use std::fmt;

use anyhow::Result;

use crate::definition::nearest;
use crate::resolve::debian::relation;
use crate::{bail_input, input_error};

/// What dpkg and the solver know about a package.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Control {
    /// `Package`
    pub package: String,
    /// `Version`, with its Debian revision.
    pub version: String,
    /// `Architecture`
    pub arch: String,
    /// `Architecture-Variant`; empty where there is none.
    pub arch_variant: String,
    /// `Maintainer`
    pub maintainer: String,
    /// `Installed-Size` in KiB.
    pub installed_size: u64,
    /// `Pre-Depends`
    pub pre_depends: Vec<String>,
    /// `Depends`
    pub depends: Vec<String>,
    /// `Recommends`
    pub recommends: Vec<String>,
    /// `Suggests`
    pub suggests: Vec<String>,
    /// `Conflicts`
    pub conflicts: Vec<String>,
    /// `Breaks`
    pub breaks: Vec<String>,
    /// `Replaces`
    pub replaces: Vec<String>,
    /// `Provides`
    pub provides: Vec<String>,
    /// `Section`; empty where there is none.
    pub section: String,
    /// `Priority`; empty for `optional`.
    pub priority: String,
    /// `Homepage`; empty where there is none.
    pub homepage: String,
    /// Synopsis: the first line of `Description`.
    pub summary: String,
    /// The rest of `Description`; empty lines separate paragraphs.
    pub description: String,
    /// Further fields; empty ones are left out.
    pub fields: BTreeMap<String, String>,
}

impl Control {
    /// The relationship fields in the order that `dpkg-deb` and its users are used to.
    fn relations(&self) -> [(&'static str, &Vec<String>); 8] {
        [
            ("Pre-Depends", &self.pre_depends),
            ("Depends", &self.depends),
            ("Recommends", &self.recommends),
            ("Suggests", &self.suggests),
            ("Conflicts", &self.conflicts),
            ("Breaks", &self.breaks),
            ("Replaces", &self.replaces),
            ("Provides", &self.provides),
        ]
    }

    /// Refuses what dpkg would refuse, or would read otherwise than it was meant.
    pub fn check(&self) -> Result<()> {
        let package = &self.package;
        if !is_package_name(package) {
            bail_input!(
                "`{package}` is not a package name: two or more of lower-case letters, digits, `+`, `-` and `.`, a \
                 letter or digit first (Debian Policy 5.6.1)"
            );
        }
        check_version(&self.version)?;
        if !is_architecture(&self.arch) {
            let known: Vec<String> = PROCESSORS
                .map(str::to_owned)
                .into_iter()
                .chain(["all".to_owned()])
                .collect();
            bail_input!(
                "`{}` is not an architecture of Debian such as `arm64` or `all`{}; `dpkg-architecture -L` lists them",
                self.arch,
                nearest(&self.arch, &known)
            );
        }
        if self.maintainer.trim().is_empty() {
            bail_input!("there is no `maintainer`: write `Name <address>`");
        }
        for (field, value) in [
            ("maintainer", &self.maintainer),
            ("section", &self.section),
            ("priority", &self.priority),
            ("homepage", &self.homepage),
            ("deb.arch_variant", &self.arch_variant),
        ] {
            if value.chars().any(char::is_control) {
                bail_input!("`{field}` must be one line without control characters, not {value:?}");
            }
        }
        for (field, value) in [("section", &self.section), ("priority", &self.priority)] {
            if value.contains(char::is_whitespace) {
                bail_input!("`{field}` is one word, not `{value}`");
            }
        }
        if self
            .description
            .chars()
            .any(|c| c.is_control() && c != '\n' && c != '\t')
        {
            bail_input!("the description holds control characters: remove them");
        }
        for (field, relations) in self.relations() {
            check_relations(field, relations)?;
        }
        for (name, value) in &self.fields {
            check_field(name, value)?;
        }
        let same = |(name, value): (&String, &String)| {
            name.eq_ignore_ascii_case("Multi-Arch") && value.trim().eq_ignore_ascii_case("same")
        };
        if self.arch == "all" && self.fields.iter().any(same) {
            bail_input!("`Multi-Arch: same` in `deb.fields` is for packages of one architecture, not of `all`");
        }
        Ok(())
    }
}

fn check_field(name: &str, value: &str) -> Result<()> {
    let plain = |c: char| c.is_ascii_graphic() && c != ':';
    if name.is_empty() || name.starts_with(['#', '-']) || !name.chars().all(plain) {
        bail_input!("`{name}` in `deb.fields` is not the name of a control field (Debian Policy 5.1)");
    }
    if name.len() < 2 {
        bail_input!("`{name}` in `deb.fields` is too short: dpkg takes names of two letters or more");
    }
    if OWN_FIELDS.iter().any(|own| own.eq_ignore_ascii_case(name)) {
        bail_input!(
            "`deb.fields` has `{name}`, which has a key of its own in a recipe: dpkg refuses a field \
             that is there twice"
        );
    }
    let continued = value
        .lines()
        .skip(1)
        .all(|line| line.starts_with([' ', '\t']) && !line.trim().is_empty());
    if value.contains('\r') || !continued {
        bail_input!(
            "the lines of `deb.fields` `{name}` after the first begin with a space and are not empty \
             (Debian Policy 5.1)"
        );
    }
    check_value(name, value.trim())
}

/// Fields of which dpkg takes some values only, in any case (lib/dpkg/fields.c).
const VALUES: [(&str, &[&str]); 3] = [
    ("Essential", &["yes", "no"]),
    ("Protected", &["yes", "no"]),
    ("Multi-Arch", &["same", "foreign", "allowed", "no"]),
];

/// Fields of dpkg's own database: it refuses them in a package, or takes them for what it wrote itself.
const OF_THE_DATABASE: [&str; 5] = [
    "Status",
    "Config-Version",
    "Triggers-Pending",
    "Triggers-Awaited",
    "Conffiles",
];

/// Old names of fields, which dpkg reads as their new ones.
const NICKNAMES: [(&str, &str); 6] = [
    ("Recommended", "Recommends"),
    ("Optional", "Suggests"),
    ("Class", "Priority"),
    ("Revision", "Version"),
    ("Package-Revision", "Version"),
    ("Package_Revision", "Version"),
];

fn check_value(name: &str, value: &str) -> Result<()> {
    if let Some(own) = OF_THE_DATABASE.iter().find(|own| own.eq_ignore_ascii_case(name)) {
        bail_input!("`{own}` in `deb.fields` is of dpkg's database, not of a package: remove it");
    }
    if let Some((old, new)) = NICKNAMES.iter().find(|(old, _)| old.eq_ignore_ascii_case(name)) {
        bail_input!("`{old}` in `deb.fields` is the old name of `{new}`, which has a key of its own in a recipe");
    }
    if let Some((field, values)) = VALUES.iter().find(|(field, _)| field.eq_ignore_ascii_case(name))
        && !value.is_empty()
        && !values.iter().any(|known| known.eq_ignore_ascii_case(value))
    {
        bail_input!(
            "`{field}` in `deb.fields` is one of {}, not `{value}`",
            values.join(", ")
        );
    }
    if name.eq_ignore_ascii_case("Enhances") && !value.is_empty() {
        return check_relations("Enhances", &[value.to_owned()]);
    }
    Ok(())
}

/// Fields that come from other keys.
const OWN_FIELDS: [&str; 18] = [
    "Package",
    "Version",
    "Architecture",
    "Architecture-Variant",
    "Maintainer",
    "Installed-Size",
    "Pre-Depends",
    "Depends",
    "Recommends",
    "Suggests",
    "Conflicts",
    "Breaks",
    "Replaces",
    "Provides",
    "Section",
    "Priority",
    "Homepage",
    "Description",
];

/// What ends the names of Debian's architectures; those of other systems than Linux with the GNU C library have theirs
/// before it, as in `musl-linux-arm64`. dpkg 1.22's ostable, cputable and tupletable.
#[rustfmt::skip]
const PROCESSORS: [&str; 46] = [
    "alpha", "amd64", "arc", "arm", "arm64", "arm64ilp32", "armeb", "armel", "armhf", "avr32", "hppa", "i386",
    "ia64", "loong64", "m32r", "m68k", "mips", "mips64", "mips64el", "mips64r6", "mips64r6el", "mipsel", "mipsn32",
    "mipsn32el", "mipsn32r6", "mipsn32r6el", "mipsr6", "mipsr6el", "nios2", "or1k", "powerpc", "powerpcel",
    "powerpcspe", "ppc64", "ppc64el", "riscv64", "s390", "s390x", "sh3", "sh3eb", "sh4", "sh4eb", "sparc", "sparc64",
    "tilegx", "x32",
];

/// Debian's word for it, or one of its architectures.
fn is_architecture(name: &str) -> bool {
    let (system, processor) = name.rsplit_once('-').unwrap_or(("linux", name));
    let word = |part: &str| !part.is_empty() && part.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
    name == "all" || system.split('-').all(word) && PROCESSORS.contains(&processor)
}

fn is_package_name(name: &str) -> bool {
    let letter = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    name.len() >= 2 && name.starts_with(letter) && name.chars().all(|c| letter(c) || "+-.".contains(c))
}

/// Debian Policy 5.6.12, and dpkg's bound on epochs.
fn check_version(version: &str) -> Result<()> {
    let wrong = |why: &str| input_error!("`{version}` is not a Debian version: {why} (Debian Policy 5.6.12)");
    let (epoch, rest) = match version.split_once(':') {
        Some((epoch, rest)) => (Some(epoch), rest),
        None => (None, version),
    };
    if let Some(epoch) = epoch
        && (epoch.parse::<i32>().is_err() || epoch.starts_with(['+', '-']))
    {
        return Err(wrong("its epoch is not a number"));
    }
    let (upstream, revision) = match rest.rsplit_once('-') {
        Some((upstream, revision)) => (upstream, Some(revision)),
        None => (rest, None),
    };
    if !upstream.starts_with(|c: char| c.is_ascii_digit()) {
        return Err(wrong("it begins with a digit"));
    }
    let allowed = |more: &'static str| move |c: char| c.is_ascii_alphanumeric() || more.contains(c);
    if !upstream.chars().all(allowed(".+-~:")) || upstream.contains(':') && epoch.is_none() {
        return Err(wrong("it holds letters, digits, `.`, `+`, `-` and `~` only"));
    }
    if revision.is_some_and(|revision| revision.is_empty() || !revision.chars().all(allowed(".+~"))) {
        return Err(wrong("its revision holds letters, digits, `.`, `+` and `~` only"));
    }
    Ok(())
}

fn check_relations(field: &str, relations: &[String]) -> Result<()> {
    for relation in relations {
        let wrong = |why: String| {
            input_error!("`{relation}` in `{field}` is not a relationship as in `libc6 (>= 2.36)`: {why}")
        };
        if relation.chars().any(char::is_control) {
            return Err(wrong("it is not one line".to_owned()));
        }
        let parsed = relation::parse_list(relation).map_err(|error| wrong(format!("{error:#}")))?;
        if relation.split(',').any(|clause| clause.trim().is_empty()) {
            return Err(wrong("there is an empty one among them".to_owned()));
        }
        let alternatives = parsed.iter().any(|clause| clause.len() > 1);
        if alternatives && ["Conflicts", "Breaks", "Replaces", "Provides"].contains(&field) {
            return Err(wrong("dpkg takes no alternatives (`|`) there".to_owned()));
        }
        let version = |one: &relation::Relation<'_>| one.version.as_ref().map(|(operator, _)| *operator);
        if field == "Provides"
            && parsed
                .iter()
                .flatten()
                .filter_map(version)
                .any(|operator| operator != relation::Operator::Equal)
        {
            return Err(wrong("a version that is provided is one, as in `x (= 1)`".to_owned()));
        }
    }
    Ok(())
}

impl fmt::Display for Control {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "Package: {}", self.package)?;
        writeln!(f, "Version: {}", self.version)?;
        writeln!(f, "Architecture: {}", self.arch)?;
        if !self.arch_variant.is_empty() {
            writeln!(f, "Architecture-Variant: {}", self.arch_variant)?;
        }
        writeln!(f, "Maintainer: {}", self.maintainer)?;
        writeln!(f, "Installed-Size: {}", self.installed_size)?;
        for (name, relations) in self.relations() {
            if !relations.is_empty() {
                writeln!(f, "{name}: {}", relations.join(", "))?;
            }
        }
        if !self.section.is_empty() {
            writeln!(f, "Section: {}", self.section)?;
        }
        let priority = if self.priority.is_empty() {
            "optional"
        } else {
            &self.priority
        };
        writeln!(f, "Priority: {priority}")?;
        if !self.homepage.is_empty() {
            writeln!(f, "Homepage: {}", self.homepage)?;
        }
        writeln!(f, "Description: {}", self.summary)?;
        for line in self.description.trim_end().lines() {
            // A line of a field cannot be empty: Policy 5.6.13 writes a dot.
            writeln!(f, " {}", if line.trim().is_empty() { "." } else { line })?;
        }
        for (name, value) in self.fields.iter().filter(|(_, value)| !value.trim().is_empty()) {
            writeln!(f, "{name}: {}", value.trim_end())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    fn control() -> Control {
        Control {
            package: "tool".to_owned(),
            version: "2:1.0~rc1+git-1".to_owned(),
            arch: "arm64".to_owned(),
            maintainer: "A Person".to_owned(),
            depends: vec!["libc6 (>= 2.36)".to_owned(), "awk | mawk:any".to_owned()],
            provides: vec!["x (= 1)".to_owned()],
            summary: "does things".to_owned(),
            description: "It\n\ndoes.\n".to_owned(),
            fields: [("Multi-Arch".to_owned(), "foreign".to_owned())].into(),
            ..Control::default()
        }
    }

    /// Whether `dpkg-deb --build` makes a package of it.
    fn dpkg_takes(control: &Control) -> bool {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("DEBIAN")).unwrap();
        std::fs::write(folder.path().join("DEBIAN/control"), control.to_string()).unwrap();
        let mut dpkg = Command::new("dpkg-deb");
        dpkg.args(["--root-owner-group", "-Znone", "--build"])
            .arg(folder.path());
        dpkg.arg(folder.path().join("x.deb")).output().unwrap().status.success()
    }

    #[test]
    fn what_we_take_dpkg_takes() {
        control().check().unwrap();
        assert!(dpkg_takes(&control()), "{}", control());
        for (field, value) in [
            ("Essential", "YES"),
            ("Essential", " "),
            ("Protected", "no"),
            ("Multi-Arch", "same"),
            ("Enhances", "a (>= 1), b | c"),
            ("Xy", "z"),
        ] {
            let mut control = control();
            control.fields = [(field.to_owned(), value.to_owned())].into();
            control.check().unwrap();
            assert!(dpkg_takes(&control), "{control}");
        }
    }

    #[test]
    fn architectures_are_dpkgs() {
        let known = Command::new("dpkg-architecture").arg("-L").output().unwrap();
        let known = String::from_utf8(known.stdout).unwrap();
        assert!(known.lines().count() > 100);
        for name in known.lines().chain(["all"]) {
            assert!(is_architecture(name), "{name}");
        }
        for name in ["", "mips99", "any", "source", "Arm64", "arm64-", "-arm64", "linux"] {
            assert!(!is_architecture(name), "{name}");
        }
        let mut control = control();
        control.arch = "arm46".to_owned();
        let error = control.check().unwrap_err();
        assert_eq!(crate::failure::exit_code(&error), 2);
        assert!(error.to_string().contains("(did you mean `arm64`?)"), "{error}");
    }

    /// Each of them dpkg-deb refuses too, except where it says otherwise.
    #[test]
    fn what_dpkg_would_refuse_is_refused_before() {
        type Change = fn(&mut Control);
        let dpkg_refuses: [(Change, &str); 11] = [
            (
                |c| c.package = "contents foo".to_owned(),
                "`contents foo` is not a package name",
            ),
            (|c| c.version = "v1.0".to_owned(), "it begins with a digit"),
            (|c| c.version = String::new(), "it begins with a digit"),
            (|c| c.version = "1.0 beta".to_owned(), "letters, digits"),
            (|c| c.version = "x:1".to_owned(), "its epoch"),
            (|c| c.version = "1-".to_owned(), "its revision"),
            (
                |c| c.maintainer = "A\nB: c d\ne".to_owned(),
                "`maintainer` must be one line",
            ),
            (|c| c.depends = vec!["a,, b".to_owned()], "there is an empty one"),
            (|c| c.depends = vec!["a b".to_owned()], "`a b` in `Depends`"),
            (|c| c.conflicts = vec!["a | b".to_owned()], "no alternatives"),
            (
                |c| c.fields = [("depends".to_owned(), "x".to_owned())].into(),
                "a key of its own",
            ),
        ];
        for (change, part) in dpkg_refuses {
            let mut control = control();
            change(&mut control);
            let error = control.check().unwrap_err();
            assert_eq!(crate::failure::exit_code(&error), 2);
            assert!(error.to_string().contains(part), "{error}");
            assert!(!dpkg_takes(&control), "dpkg-deb takes\n{control}");
        }
        for (field, value, part) in [
            (
                "Essential",
                "maybe",
                "`Essential` in `deb.fields` is one of yes, no, not `maybe`",
            ),
            ("protected", "maybe", "`Protected`"),
            ("Multi-Arch", "maybe", "same, foreign, allowed, no"),
            ("X", "y", "too short"),
            ("Status", "install ok installed", "of dpkg's database"),
            ("Enhances", "a b", "`a b` in `Enhances`"),
        ] {
            let mut control = control();
            control.fields = [(field.to_owned(), value.to_owned())].into();
            let error = control.check().unwrap_err();
            assert_eq!(crate::failure::exit_code(&error), 2);
            assert!(error.to_string().contains(part), "{error}");
            assert!(!dpkg_takes(&control), "dpkg-deb takes\n{control}");
        }
        let mut everywhere = control();
        everywhere.arch = "all".to_owned();
        everywhere.fields = [("Multi-Arch".to_owned(), "same".to_owned())].into();
        let error = everywhere.check().unwrap_err().to_string();
        assert!(error.contains("not of `all`") && !dpkg_takes(&everywhere), "{error}");
        // dpkg-deb lets these pass, and reads them otherwise than they were meant.
        let misread: [(Change, &str); 8] = [
            (
                |c| c.fields = [("Class".to_owned(), "x".to_owned())].into(),
                "the old name of `Priority`",
            ),
            (|c| c.package = "Tool".to_owned(), "`Tool` is not a package name"),
            (|c| c.depends = vec!["a (1)".to_owned()], "`a (1)` in `Depends`"),
            (
                |c| c.provides = vec!["a (>= 1)".to_owned()],
                "a version that is provided",
            ),
            (|c| c.maintainer = " ".to_owned(), "there is no `maintainer`"),
            (
                |c| c.section = "net\nEssential: yes".to_owned(),
                "`section` must be one line",
            ),
            (|c| c.depends = vec!["a\n".to_owned()], "not one line"),
            (
                |c| c.fields = [("Xy".to_owned(), "a\nEssential: yes".to_owned())].into(),
                "begin with a space",
            ),
        ];
        for (change, part) in misread {
            let mut control = control();
            change(&mut control);
            let error = control.check().unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
    }
}
