//! `%` placeholders, systemd.unit(5) and tmpfiles.d(5), as far as they can be known before a machine runs.

use crate::system::System;

/// What a placeholder stands for; `None` if only a running machine knows (`%b`, the boot id) or the machine has none
/// yet (`%m`).
fn value(system: &System, letter: char) -> Option<String> {
    let os_release = |key: &str| {
        let text = system.tree.read_text("/etc/os-release").unwrap_or_default();
        let found = text
            .lines()
            .find_map(|line| line.strip_prefix(&format!("{key}=")).map(str::to_owned));
        found.unwrap_or_default().trim_matches('"').to_owned()
    };
    Some(match letter {
        '%' => "%".to_owned(),
        'a' => systemd_architecture(&system.arch).to_owned(),
        'C' => "/var/cache".to_owned(),
        'L' => "/var/log".to_owned(),
        'S' => "/var/lib".to_owned(),
        't' => "/run".to_owned(),
        'T' => "/tmp".to_owned(),
        'V' => "/var/tmp".to_owned(),
        'g' | 'u' => "root".to_owned(),
        'G' | 'U' => "0".to_owned(),
        'h' => "/root".to_owned(),
        'A' => os_release("IMAGE_VERSION"),
        'B' => os_release("BUILD_ID"),
        'M' => os_release("IMAGE_ID"),
        'o' => os_release("ID"),
        'w' => os_release("VERSION_ID"),
        'W' => os_release("VARIANT_ID"),
        'm' => machine_id(system)?,
        _ => return None,
    })
}

/// `text` with its placeholders replaced; `None` if one of them has no value here.
pub(super) fn expand(system: &System, text: &str) -> Option<String> {
    let mut out = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c == '%' {
            out.push_str(&value(system, chars.next()?)?);
        } else {
            out.push(c);
        }
    }
    Some(out)
}

fn machine_id(system: &System) -> Option<String> {
    let id = system.tree.read_text("/etc/machine-id").ok()?.trim().to_owned();
    (id.len() == 32 && id.chars().all(|c| c.is_ascii_hexdigit())).then_some(id)
}

/// systemd's name of a Debian architecture (`ConditionArchitecture=`).
fn systemd_architecture(debian: &str) -> &str {
    match debian {
        "amd64" => "x86-64",
        "i386" => "x86",
        "armel" | "armhf" => "arm",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_known_is_expanded() {
        let mut system = System::new("amd64", 0);
        assert_eq!(expand(&system, "%S/x%%%a").as_deref(), Some("/var/lib/x%x86-64"));
        assert_eq!(expand(&system, "/var/log/journal/%m"), None);
        assert_eq!(expand(&system, "/x-%b-*"), None);
        system.tree.mkdir_all("/etc", 0o755).unwrap();
        system
            .tree
            .write("/etc/machine-id", "0123456789abcdef0123456789abcdef\n", 0o444)
            .unwrap();
        assert_eq!(
            expand(&system, "%m").as_deref(),
            Some("0123456789abcdef0123456789abcdef")
        );
    }
}
