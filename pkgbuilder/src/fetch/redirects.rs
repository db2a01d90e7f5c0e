//! Where a server may send us: a few hops, never in a circle, never from https to plain http.

use reqwest::Url;
use reqwest::redirect::Policy;

/// Hops that are followed: GitHub needs one, a mirror selector in front of it another.
const HOPS: usize = 8;

/// The rule for every download.
pub(super) fn policy() -> Policy {
    Policy::custom(|attempt| match refusal(attempt.previous(), attempt.url()) {
        Some(reason) => attempt.error(reason),
        None => attempt.follow(),
    })
}

/// Why the hop to `next` is not made; `previous` begins with the URL that was asked for.
fn refusal(previous: &[Url], next: &Url) -> Option<String> {
    let place = || format!("{}://{}", next.scheme(), next.host_str().unwrap_or_default());
    if !["http", "https"].contains(&next.scheme()) {
        return Some(format!("it redirects to `{next}`, which is not fetched by http(s)"));
    }
    // Whoever can change plain text on the way could answer anything.
    if next.scheme() == "http" && previous.iter().any(|url| url.scheme() == "https") {
        return Some(format!("it redirects from https to plain {}", place()));
    }
    if previous.contains(next) {
        return Some(format!(
            "it redirects in a circle, back to {}",
            super::http::shown(next)
        ));
    }
    if previous.len() > HOPS {
        return Some(format!("it redirects more than {HOPS} times, at last to {}", place()));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hop(previous: &[&str], next: &str) -> Option<String> {
        let previous: Vec<Url> = previous.iter().map(|url| url.parse().unwrap()).collect();
        refusal(&previous, &next.parse().unwrap())
    }

    #[test]
    fn a_release_of_github_is_followed() {
        assert_eq!(
            hop(
                &["https://github.com/x/releases/download/v1/x.tar.gz"],
                "https://objects.example/x?token=1"
            ),
            None
        );
        assert_eq!(hop(&["http://mirror/x"], "https://mirror/x"), None);
    }

    #[test]
    fn never_back_to_plain_text() {
        let reason = hop(&["https://a/x", "https://b/x"], "http://c/x").unwrap();
        assert_eq!(reason, "it redirects from https to plain http://c");
        assert!(hop(&["http://a/", "https://b/"], "http://c/").is_some());
        assert!(
            hop(&["http://a/"], "file:///etc/passwd")
                .unwrap()
                .contains("not fetched by http(s)")
        );
    }

    #[test]
    fn not_in_a_circle_and_not_for_ever() {
        let reason = hop(&["http://a/x", "http://user:word@a/y"], "http://a/x").unwrap();
        assert_eq!(reason, "it redirects in a circle, back to http://a/x");
        let long: Vec<String> = (0..=HOPS).map(|hop| format!("http://a/{hop}")).collect();
        let long: Vec<&str> = long.iter().map(String::as_str).collect();
        assert!(hop(&long[..HOPS], "http://b/").is_none());
        assert!(hop(&long, "http://b/").unwrap().contains("more than 8 times"));
    }
}
