//! Debian's short names of licences as SPDX identifiers.
//!
//! Debian's are those of the machine-readable copyright format 1.0 (section 7.1) and what packages write beside it;
//! SPDX' are those of the licence list (spdx.org/licenses). A name that is in neither table is no guess: it becomes a
//! `LicenseRef`, with its text.

/// Names whose SPDX identifier is another one, in lower case.
const OTHERWISE: &[(&str, &str)] = &[
    ("agpl", "AGPL-3.0-or-later"),
    ("apache-2", "Apache-2.0"),
    ("artistic", "Artistic-1.0-Perl"),
    ("artistic-2", "Artistic-2.0"),
    ("bsd-4-clause-uc", "BSD-4-Clause-UC"),
    ("bsl-1", "BSL-1.0"),
    ("cc0", "CC0-1.0"),
    ("cc-by-3", "CC-BY-3.0"),
    ("cc-by-4", "CC-BY-4.0"),
    ("cc-by-sa-3", "CC-BY-SA-3.0"),
    ("cc-by-sa-4", "CC-BY-SA-4.0"),
    ("expat", "MIT"),
    ("gpl", "GPL-1.0-or-later"),
    ("lgpl", "LGPL-2.0-or-later"),
    ("mit/x11", "MIT"),
    ("mpl-1", "MPL-1.0"),
    ("mpl-2", "MPL-2.0"),
    ("openssh", "SSH-OpenSSH"),
    ("perl", "Artistic-1.0-Perl OR GPL-1.0-or-later"),
    ("python-2", "PSF-2.0"),
    ("sleepycat", "Sleepycat"),
    ("zlib/libpng", "Zlib"),
];

/// Identifiers that are written as they are, but for the case of their letters.
const SAME: &[&str] = &[
    "0BSD",
    "AFL-2.1",
    "AFL-3.0",
    "Apache-1.1",
    "Apache-2.0",
    "Artistic-1.0",
    "Artistic-1.0-Perl",
    "Artistic-2.0",
    "Beerware",
    "BSD-1-Clause",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSD-3-Clause-Clear",
    "BSD-4-Clause",
    "BSD-Source-Code",
    "BSL-1.0",
    "BUSL-1.1",
    "bzip2-1.0.6",
    "CC-BY-3.0",
    "CC-BY-4.0",
    "CC-BY-SA-3.0",
    "CC-BY-SA-4.0",
    "CC0-1.0",
    "CDDL-1.0",
    "CDDL-1.1",
    "curl",
    "ECL-2.0",
    "EPL-1.0",
    "EPL-2.0",
    "FSFAP",
    "FSFUL",
    "FSFULLR",
    "HPND",
    "IJG",
    "ISC",
    "Latex2e",
    "libtiff",
    "MIT",
    "MIT-0",
    "MPL-1.0",
    "MPL-1.1",
    "MPL-2.0",
    "NCSA",
    "OFL-1.1",
    "OpenSSL",
    "OLDAP-2.8",
    "PHP-3.01",
    "PostgreSQL",
    "PSF-2.0",
    "Python-2.0",
    "Ruby",
    "SSH-OpenSSH",
    "TCL",
    "Unicode-3.0",
    "Unicode-DFS-2015",
    "Unicode-DFS-2016",
    "Unicode-TOU",
    "Unlicense",
    "Vim",
    "W3C",
    "WTFPL",
    "X11",
    "Zlib",
    "ZPL-2.1",
];

/// The GNU licences, whose names end with a version and, for later ones too, a `+`.
const GNU: &[(&str, &str, &[&str])] = &[
    ("gfdl-niv", "GFDL", &["1.1", "1.2", "1.3"]),
    ("gfdl", "GFDL", &["1.1", "1.2", "1.3"]),
    ("agpl", "AGPL", &["1.0", "3.0"]),
    ("lgpl", "LGPL", &["2.0", "2.1", "3.0"]),
    ("gpl", "GPL", &["1.0", "2.0", "3.0"]),
];

/// `with … exception`, in lower case and without these two words.
const EXCEPTIONS: &[(&str, &str)] = &[
    ("bison", "Bison-exception-2.2"),
    ("classpath", "Classpath-exception-2.0"),
    ("font", "Font-exception-2.0"),
    ("gcc-runtime-library", "GCC-exception-3.1"),
    ("libtool", "Libtool-exception"),
    ("linux-syscall-note", "Linux-syscall-note"),
    ("texinfo", "Texinfo-exception"),
];

/// The SPDX expression for one of Debian's short names, with its exception if it has one; nothing where there is none
/// that says the same.
pub(super) fn spdx(name: &str) -> Option<String> {
    let name = name.trim().to_ascii_lowercase();
    if let Some((license, exception)) = name.split_once(" with ") {
        let exception = exception
            .trim()
            .trim_end_matches("exception")
            .trim_end_matches(['-', ' ']);
        let (_, exception) = EXCEPTIONS.iter().find(|(debian, _)| *debian == exception)?;
        let license = identifier(license.trim())?;
        // An exception is of one licence, not of an expression.
        return (!license.contains(' ')).then(|| format!("{license} WITH {exception}"));
    }
    identifier(&name)
}

fn identifier(name: &str) -> Option<String> {
    if let Some((_, spdx)) = OTHERWISE.iter().find(|(debian, _)| *debian == name) {
        return Some((*spdx).to_owned());
    }
    if let Some(spdx) = SAME.iter().find(|spdx| spdx.eq_ignore_ascii_case(name)) {
        return Some((*spdx).to_owned());
    }
    GNU.iter().find_map(|(prefix, spdx, versions)| {
        let rest = name.strip_prefix(prefix)?;
        let rest = rest.strip_prefix('-').unwrap_or(rest);
        let rest = rest.strip_prefix('v').unwrap_or(rest);
        let (version, later) = match rest.strip_suffix('+').or_else(|| rest.strip_suffix("-or-later")) {
            Some(version) => (version, "or-later"),
            None => (rest.strip_suffix("-only").unwrap_or(rest), "only"),
        };
        let full = if version.contains('.') {
            version.to_owned()
        } else {
            format!("{version}.0")
        };
        let full = versions.iter().find(|known| **known == full)?;
        let invariants = if *prefix == "gfdl-niv" { "-no-invariants" } else { "" };
        Some(format!("{spdx}-{full}{invariants}-{later}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_debian_are_those_of_spdx() {
        for (debian, expected) in [
            ("GPL-2", "GPL-2.0-only"),
            ("GPL-2+", "GPL-2.0-or-later"),
            ("GPL-2.0+", "GPL-2.0-or-later"),
            ("GPLv3+", "GPL-3.0-or-later"),
            ("LGPL-2.1", "LGPL-2.1-only"),
            ("LGPL-2.0+", "LGPL-2.0-or-later"),
            ("GPL-2.0-only", "GPL-2.0-only"),
            ("GFDL-NIV-1.3+", "GFDL-1.3-no-invariants-or-later"),
            ("Expat", "MIT"),
            ("BSD-3-clause", "BSD-3-Clause"),
            ("public-domain", ""),
            ("GPL-4", ""),
            ("GPL-", ""),
            (
                "GPL-2 with Linux-syscall-note exception",
                "GPL-2.0-only WITH Linux-syscall-note",
            ),
            (
                "GPL-3+ with Bison exception",
                "GPL-3.0-or-later WITH Bison-exception-2.2",
            ),
            ("GPL-2+ with OpenSSL exception", ""),
            ("Perl with Font exception", ""),
        ] {
            assert_eq!(spdx(debian).unwrap_or_default(), expected, "{debian}");
        }
    }
}
