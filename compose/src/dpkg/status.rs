//! `/var/lib/dpkg/status`: what dpkg knows of each package.

use std::fmt::Write as _;

use crate::deb::Control;
use crate::deb::relation::Relations;

/// How far a package is (`dpkg(1)`, package states).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// Its `preinst` runs, or its files are being unpacked.
    HalfInstalled,
    /// Its files are there, its `postinst` has not run.
    Unpacked,
    /// Its `postinst` runs.
    HalfConfigured,
    /// Done.
    Installed,
}

impl State {
    fn text(self) -> &'static str {
        match self {
            Self::HalfInstalled => "half-installed",
            Self::Unpacked => "unpacked",
            Self::HalfConfigured => "half-configured",
            Self::Installed => "installed",
        }
    }
}

/// The fields dpkg knows, in the order it writes them (`lib/dpkg/parse.c`, `fieldinfos`); all others follow in
/// the package's own order.
const FIELDS: [&str; 25] = [
    "Package",
    "Essential",
    "Protected",
    "Status",
    "Priority",
    "Section",
    "Installed-Size",
    "Origin",
    "Maintainer",
    "Bugs",
    "Architecture",
    "Multi-Arch",
    "Source",
    "Version",
    "Replaces",
    "Provides",
    "Depends",
    "Pre-Depends",
    "Recommends",
    "Suggests",
    "Breaks",
    "Conflicts",
    "Enhances",
    "Conffiles",
    "Description",
];

const RELATIONS: [&str; 9] = [
    "Replaces",
    "Provides",
    "Depends",
    "Pre-Depends",
    "Recommends",
    "Suggests",
    "Breaks",
    "Conflicts",
    "Enhances",
];

/// A package's stanza, with the empty line that ends it. `conffiles` are path and MD5 digest of what the
/// package ships (`newconffile` until it is configured).
pub fn stanza(control: &Control, state: State, conffiles: &[(String, String)]) -> String {
    let mut text = String::new();
    let mut field = |name: &str, value: &str| {
        text.push_str(name);
        text.push(':');
        if !value.is_empty() && !value.starts_with('\n') {
            text.push(' ');
        }
        text.push_str(value);
        text.push('\n');
    };
    for name in FIELDS {
        match name {
            "Status" => field(name, &format!("install ok {}", state.text())),
            "Conffiles" if !conffiles.is_empty() => {
                let mut lines = String::new();
                for (path, digest) in conffiles {
                    let _ = write!(lines, "\n {path} {digest}");
                }
                field(name, &lines);
            }
            "Conffiles" => {}
            name => {
                if let Some(value) = control.stanza.get(name) {
                    field(name, &as_dpkg_writes(name, value));
                }
            }
        }
    }
    for (name, value) in control.stanza.iter() {
        if !FIELDS.iter().any(|known| known.eq_ignore_ascii_case(name)) {
            field(name, value);
        }
    }
    text.push('\n');
    text
}

fn as_dpkg_writes(name: &str, value: &str) -> String {
    if RELATIONS.contains(&name)
        && let Ok(relations) = Relations::parse(value)
    {
        return relations.to_string();
    }
    value.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deb::tests::package;

    #[test]
    fn fields_come_in_dpkg_order() {
        let package = package(
            "aa",
            "Homepage: https://a\nDepends: b(>=1)|c\nEssential: yes\nMulti-Arch: same\n",
            &[],
            &[],
        );
        let conffiles = [("/etc/a".to_owned(), "0123".to_owned())];
        assert_eq!(
            stanza(&package.control, State::Installed, &conffiles),
            "Package: aa\nEssential: yes\nStatus: install ok installed\nArchitecture: all\nMulti-Arch: same\nVersion: 1\n\
             Depends: b (>= 1) | c\nConffiles:\n /etc/a 0123\nDescription: x\nHomepage: https://a\n\n"
        );
    }
}
