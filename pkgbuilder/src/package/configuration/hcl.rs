//! The little HCL that the files of Consul and Nomad need.

use serde_json::Value;

use super::settings::Settings;

/// The head of a file.
pub(super) fn comment(what: &str, package: &str) -> String {
    format!(
        "# {what}.\n# From the package {package}, made by pkgbuilder; dpkg asks before it replaces your changes.\n\n"
    )
}

/// A string. A JSON string is an HCL string but for `${`, which would begin an interpolation.
pub(super) fn quoted(text: &str) -> String {
    Value::from(text.replace("${", "$${")).to_string()
}

/// A list of strings.
pub(super) fn list(items: &[String]) -> String {
    let items: Vec<String> = items.iter().map(|item| quoted(item)).collect();
    format!("[{}]", items.join(", "))
}

/// A go-sockaddr template for the address of this machine, which differs from machine to machine.
pub(super) fn address(settings: &Settings) -> String {
    match &settings.network {
        Some(network) => {
            format!("{{{{ GetAllInterfaces | include \"network\" \"{network}\" | limit 1 | attr \"address\" }}}}")
        }
        None => "{{ GetPrivateIP }}".to_owned(),
    }
}

/// `host:port`, with brackets around an IPv6 address (RFC 3986).
pub(super) fn host_port(host: &str, port: u16) -> String {
    if host.contains(':') {
        format!("[{host}]:{port}")
    } else {
        format!("{host}:{port}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_lists_and_addresses() {
        assert_eq!(quoted("a\"${b}"), r#""a\"$${b}""#);
        assert_eq!(list(&["a".to_owned(), "b".to_owned()]), r#"["a", "b"]"#);
        assert_eq!(address(&Settings::default()), "{{ GetPrivateIP }}");
        assert_eq!(
            (host_port("fd00::1", 1), host_port("a", 2)),
            ("[fd00::1]:1".to_owned(), "a:2".to_owned())
        );
    }
}
