//! The shapes of names.

/// A host name of one label (RFC 1123, in lower case as DNS and Consul want it).
pub(super) fn host(name: &str) -> bool {
    label(name, |c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
        && name.len() <= 63
        && !name.ends_with('-')
}

/// A Debian package name (Policy 5.6.1).
pub(super) fn package(name: &str) -> bool {
    name.len() >= 2
        && label(name, |c| {
            c.is_ascii_lowercase() || c.is_ascii_digit() || "+-.".contains(c)
        })
}

/// A Debian suite or archive component.
pub(super) fn suite(name: &str) -> bool {
    label(name, |c| {
        c.is_ascii_lowercase() || c.is_ascii_digit() || "-./".contains(c)
    }) && !name.contains("..")
}

/// A suite or archive component of somebody's own repository; one that ends with `/` is the folder of a flat repository.
pub(super) fn foreign_suite(name: &str) -> bool {
    let part =
        |part: &str| part == "." || (part.starts_with(|c: char| c.is_ascii_alphanumeric()) && !part.contains(".."));
    name.strip_suffix('/').unwrap_or(name).split('/').all(part)
        && name.chars().all(|c| c.is_ascii_alphanumeric() || "-._~+/".contains(c))
}

/// A glob of package names, as in apt_preferences(5): `*`, `?` and `[…]`.
pub(super) fn package_glob(glob: &str) -> bool {
    !glob.is_empty()
        && glob
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "+-.*?[]!".contains(c))
}

/// An upstream version that a Debian version can hold (Policy 5.6.12), epoch and hyphen left to Debian.
pub(super) fn version(version: &str) -> bool {
    version.starts_with(|c: char| c.is_ascii_digit())
        && version.chars().all(|c| c.is_ascii_alphanumeric() || ".+~".contains(c))
}

/// A systemd unit: a name, a known type.
pub(super) fn unit(name: &str) -> bool {
    const TYPES: [&str; 9] = [
        "service",
        "socket",
        "timer",
        "target",
        "mount",
        "automount",
        "path",
        "slice",
        "swap",
    ];
    name.rsplit_once('.').is_some_and(|(stem, kind)| {
        TYPES.contains(&kind)
            && !stem.is_empty()
            && stem.chars().all(|c| c.is_ascii_alphanumeric() || ":-_.\\@".contains(c))
    })
}

/// A user or group, as useradd(8) of Debian takes it; systemd's rules are narrower.
pub(super) fn account(name: &str) -> bool {
    name.len() <= 31
        && name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || "_-.".contains(c))
}

fn label(name: &str, allowed: impl Fn(char) -> bool) -> bool {
    name.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit()) && name.chars().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_their_fields_shape() {
        assert!(host("core-1") && !host("-core") && !host("core-") && !host("Core") && !host(""));
        assert!(package("libc6") && package("g++-12") && !package("a") && !package("Docker") && !package("-x"));
        assert!(suite("trixie-updates") && !suite("../trixie") && !suite(""));
        assert!(
            foreign_suite("Stable") && foreign_suite("./") && foreign_suite("deb/") && foreign_suite("trixie/updates")
        );
        assert!(!foreign_suite("") && !foreign_suite("../") && !foreign_suite("/x") && !foreign_suite("a//b"));
        assert!(
            package_glob("linux-image-*") && package_glob("lib?[0-9]") && !package_glob("Linux") && !package_glob("")
        );
        assert!(version("1.10.5") && version("2.0.0~rc1") && !version("v1") && !version("1.0-1") && !version(""));
        assert!(account("root") && account("systemd-network") && !account("a:b") && !account("") && !account("1a"));
        assert!(unit("ssh.service") && unit("getty@tty1.service") && !unit("ssh") && !unit("a/b.service"));
    }
}
