//! Secrets in a definition or its site settings: an image is public, and so are its manifest and its lock.
//!
//! What is looked for has a shape that nothing else has. A word that only looks like a password is not refused: nobody
//! can tell it from another word.

use anyhow::Result;
use serde_json::Value;

use super::jsonnet::Evaluated;
use crate::input_error;

/// Refuses an evaluated definition that holds a secret; it is not repeated in the message.
pub(super) fn check(evaluated: &Evaluated) -> Result<()> {
    let Some((path, what)) = find("", &evaluated.value) else {
        return Ok(());
    };
    let place = match (evaluated.sources.field(&path), evaluated.sources.files().first()) {
        (Some(place), _) => evaluated.sources.position(place),
        (None, Some(file)) => file.shown.clone(),
        (None, None) => "the definition".to_owned(),
    };
    Err(input_error!(
        "{place}: `{path}` holds {what}: whoever has a card or the manifest can read what is in an image, so it holds no \
         secrets; take it out, make a new one for it has been written down, and bring that to the nodes by other ways"
    ))
}

/// The first string with a secret in it: the path of its field, and what it is.
fn find(path: &str, value: &Value) -> Option<(String, &'static str)> {
    match value {
        Value::String(text) => Some((path.to_owned(), what(text)?)),
        Value::Array(list) => {
            let mut items = list.iter().enumerate();
            items.find_map(|(at, item)| find(&format!("{path}[{at}]"), item))
        }
        Value::Object(fields) => fields.iter().find_map(|(name, field)| {
            let dot = if path.is_empty() { "" } else { "." };
            find(&format!("{path}{dot}{name}"), field)
        }),
        _ => None,
    }
}

/// What kind of secret a text holds.
fn what(text: &str) -> Option<&'static str> {
    let pem = |line: &str| {
        line.trim_start().starts_with("-----BEGIN ")
            && (line.contains("PRIVATE KEY-----") || line.contains("PRIVATE KEY BLOCK-----"))
    };
    if text.lines().any(pem) {
        return Some("a private key");
    }
    if text.contains("AGE-SECRET-KEY-1") {
        return Some("a private key of age");
    }
    // crypt(5): the second field of a line of shadow(5).
    let hashed = |line: &str| {
        let field = line.split(':').nth(1).unwrap_or_default();
        let method = field.strip_prefix('$').and_then(|rest| rest.split_once('$'));
        method.is_some_and(|(method, rest)| {
            ["1", "5", "6", "7", "2a", "2b", "2y", "y", "gy"].contains(&method) && rest.len() > 20
        })
    };
    if text.lines().any(hashed) {
        return Some("the hash of a password");
    }
    if text.lines().any(is_gossip_key) {
        return Some("a key that Consul or Nomad encrypts gossip with");
    }
    let tokens = [("hvs.", 20), ("hvb.", 20), ("github_pat_", 20), ("ghp_", 36)];
    let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || "._-".contains(c)));
    let mut words = words.filter(|word| tokens.iter().any(|(start, least)| is_token(word, start, *least)));
    words.next().map(|_| "a token")
}

/// `start` and at least `least` letters, digits, `_` and `-`.
fn is_token(word: &str, start: &str, least: usize) -> bool {
    word.strip_prefix(start)
        .is_some_and(|rest| rest.len() >= least && rest.chars().all(|c| c.is_ascii_alphanumeric() || "_-".contains(c)))
}

/// `encrypt = "…"` of HCL or JSON with a key of 16, 24 or 32 bytes
/// (<https://developer.hashicorp.com/consul/docs/reference/agent/configuration-file/encryption>).
fn is_gossip_key(line: &str) -> bool {
    let Some((name, value)) = line.split_once(['=', ':']) else {
        return false;
    };
    let value = value.trim().trim_end_matches(',').trim_matches('"');
    let base64 = |c: char| c.is_ascii_alphanumeric() || "+/=".contains(c);
    name.trim().trim_matches(['"', '{', ' ']) == "encrypt"
        && [24, 32, 44].contains(&value.len())
        && value.chars().all(base64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_known_by_their_shape() {
        for (text, expected) in [
            ("x\n-----BEGIN OPENSSH PRIVATE KEY-----\nabc", "a private key"),
            ("-----BEGIN RSA PRIVATE KEY-----", "a private key"),
            ("-----BEGIN PGP PRIVATE KEY BLOCK-----", "a private key"),
            ("AGE-SECRET-KEY-1QQQ", "a private key of age"),
            (
                "root:$y$j9T$abcdefghijkl$mnopqrstuvwxyz:19000:0:::::",
                "the hash of a password",
            ),
            (
                "{\n  \"encrypt\": \"pUqJrVyVRj5jsiYEkM/tFQYfWyJIv4s3XkvDwy7Cu5s=\",\n}",
                "a key that Consul",
            ),
            ("encrypt = \"pUqJrVyVRj5jsiYEkM/tFQ==\"", "a key that Consul"),
            ("VAULT_TOKEN=hvs.CAESIJlU02LQZq3i2iBH", "a token"),
        ] {
            assert!(what(text).is_some_and(|found| found.starts_with(expected)), "{text}");
        }
    }

    #[test]
    fn what_is_public_is_not_refused() {
        for text in [
            "-----BEGIN PGP PUBLIC KEY BLOCK-----\n",
            "-----BEGIN CERTIFICATE-----\n",
            "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ me@example",
            "root:*:19000:0:99999:7:::",
            "-----BEGIN RSA PRIVATE KEYS are kept elsewhere",
            "encrypt = \"${key}\"",
            "encrypt: yes",
            "the prefix hvs. is for tokens",
            "$1 costs $6",
        ] {
            assert_eq!(what(text), None, "{text}");
        }
    }

    #[test]
    fn the_field_is_named() {
        let value = serde_json::json!({ "files": { "/etc/k": { "text": "-----BEGIN PRIVATE KEY-----" } } });
        assert_eq!(
            find("", &value),
            Some(("files./etc/k.text".to_owned(), "a private key"))
        );
    }
}
