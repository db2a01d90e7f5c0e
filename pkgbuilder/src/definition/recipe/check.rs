//! What cannot become a package is refused here: places of files, kinds of contents, and what we do not support.

use std::collections::BTreeSet;

use super::{Content, ContentType, Recipe};
use crate::definition::names;
use crate::package::glob::is_pattern;

/// What is wrong, and with which key of the recipe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Misfit {
    /// `contents[2].dst`
    pub key: String,
    /// Half a sentence.
    pub text: String,
}

fn misfit(key: impl Into<String>, text: impl Into<String>) -> Misfit {
    Misfit {
        key: key.into(),
        text: text.into(),
    }
}

/// Refuses a recipe that is wrong whatever its sources hold. `recipe` is one [`Recipe::for_deb`].
pub fn check(recipe: &Recipe) -> Result<(), Misfit> {
    if recipe.revision == Some(0) {
        return Err(misfit("revision", "it counts from 1"));
    }
    if recipe.revision.is_some() && !recipe.release.is_empty() {
        return Err(misfit(
            "revision",
            "`release` says the Debian revision already: remove one",
        ));
    }
    if !recipe.deb.signature.key_file.is_empty() {
        let text = "signing a single .deb is not supported, as nothing in Debian reads the signature: remove it, and \
                    sign the repository that the package goes into";
        return Err(misfit("deb.signature", text));
    }
    if recipe
        .copyright
        .as_ref()
        .is_some_and(|copyright| copyright.files.is_empty())
    {
        return Err(misfit("copyright.files", "it names where the licence text is"));
    }
    let mut seen = BTreeSet::new();
    for (index, content) in recipe.contents.iter().enumerate() {
        check_content(content).map_err(|(key, text)| misfit(format!("contents[{index}].{key}"), text))?;
        if let Some(place) = place(content)
            && !seen.insert(place.clone())
        {
            return Err(misfit(
                format!("contents[{index}].dst"),
                format!("`{place}` is there twice"),
            ));
        }
    }
    for unit in &recipe.services {
        let places = ["/usr/lib/systemd/system", "/lib/systemd/system"].map(|folder| format!("{folder}/{unit}"));
        if !names::unit(unit) || !places.iter().any(|place| seen.contains(place)) {
            let text = format!("there is `{unit}`, but `contents` has no `{}`", places[0]);
            return Err(misfit("services", text));
        }
    }
    for entry in &recipe.lintian_overrides {
        if entry.reason.trim().is_empty() {
            return Err(misfit(
                "lintian_overrides",
                format!("that of `{}` has no reason", entry.tag),
            ));
        }
    }
    Ok(())
}

/// Where a content goes; `None` for several, which are known only when their sources are looked at.
fn place(content: &Content) -> Option<String> {
    let dst = &content.dst;
    match content.src.as_deref().and_then(|src| src.rsplit('/').next()) {
        _ if content.kind == ContentType::Tree => None,
        Some(name) if dst.ends_with('/') => (!is_pattern(name)).then(|| format!("{dst}{name}")),
        _ => Some(dst.trim_end_matches('/').to_owned()),
    }
}

fn check_content(content: &Content) -> Result<(), (&'static str, String)> {
    let Content {
        src,
        text,
        dst,
        kind,
        file_info,
        ..
    } = content;
    if dst.is_empty() {
        return Err(("dst", "there is none: write the absolute path on the target".to_owned()));
    }
    let into_folder = *kind == ContentType::Tree && dst == "/";
    if !into_folder && !is_inside_root(dst) {
        let text = format!("`{dst}` is not an absolute path without `.`, `..`, `//` and control characters");
        return Err(("dst", text));
    }
    let wrong = |text: &str| Err(("type", format!("`{dst}`: {text}")));
    match (kind, src.as_deref().filter(|src| !src.is_empty()), text) {
        (ContentType::Dir, None, None) | (ContentType::Symlink | ContentType::Tree, Some(_), None) => {}
        (ContentType::Dir, ..) => return wrong("a folder has neither `src` nor `text`; a whole one is a `tree`"),
        (ContentType::Symlink, ..) => return wrong("a link has its target in `src`"),
        (ContentType::Tree, ..) => return wrong("a tree has its folder in `src`"),
        (_, Some(_), None) | (_, None, Some(_)) => {}
        _ => return wrong("either `src` or `text`"),
    }
    if text.is_some() && dst.ends_with('/') {
        return wrong("a text needs the name of its file, not a folder");
    }
    for (key, name) in [
        ("file_info.owner", &file_info.owner),
        ("file_info.group", &file_info.group),
    ] {
        if !name.is_empty() && !names::account(name) {
            return Err((key, format!("`{name}` is not the name of a user or group")));
        }
    }
    Ok(())
}

/// Whether a path of a package is absolute and stays where it says, whatever follows it.
fn is_inside_root(path: &str) -> bool {
    let Some(inside) = path.strip_prefix('/') else {
        return false;
    };
    let inside = inside.strip_suffix('/').unwrap_or(inside);
    let plain = |part: &str| !["", ".", ".."].contains(&part) && !part.chars().any(char::is_control);
    inside.split('/').all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn refused(recipe: serde_json::Value, key: &str, part: &str) {
        let recipe: Recipe = serde_json::from_value(recipe).unwrap();
        let misfit = check(&recipe.for_deb()).unwrap_err();
        assert_eq!(misfit.key, key, "{}", misfit.text);
        assert!(misfit.text.contains(part), "{}", misfit.text);
    }

    #[test]
    fn places_outside_the_root_are_refused() {
        for dst in ["etc/x", "../x", "/etc/../../x", "/a//b", "/./x", "/a\nb", "//", "/"] {
            let recipe = serde_json::json!({ "contents": [{ "dst": "/ok", "text": "" }, { "src": "x", "dst": dst }] });
            refused(recipe, "contents[1].dst", "is not an absolute path");
        }
        refused(
            serde_json::json!({ "contents": [{ "src": "x" }] }),
            "contents[0].dst",
            "there is none",
        );
        let tree = serde_json::json!({ "contents": [{ "src": "x", "dst": "/", "type": "tree" }] });
        check(&serde_json::from_value(tree).unwrap()).unwrap();
    }

    #[test]
    fn contents_that_mean_nothing_are_refused() {
        for (content, part) in [
            (serde_json::json!({ "dst": "/x" }), "either `src` or `text`"),
            (
                serde_json::json!({ "dst": "/x", "src": "a", "text": "b" }),
                "either `src` or `text`",
            ),
            (
                serde_json::json!({ "dst": "/x", "src": "a", "type": "dir" }),
                "a folder has neither",
            ),
            (
                serde_json::json!({ "dst": "/x", "type": "symlink" }),
                "its target in `src`",
            ),
            (
                serde_json::json!({ "dst": "/x", "text": "", "type": "tree" }),
                "its folder in `src`",
            ),
            (serde_json::json!({ "dst": "/x/", "text": "" }), "the name of its file"),
        ] {
            refused(serde_json::json!({ "contents": [content] }), "contents[0].type", part);
        }
        refused(
            serde_json::json!({ "contents": [{ "dst": "/x", "text": "a" }, { "dst": "/x", "text": "b" }] }),
            "contents[1].dst",
            "is there twice",
        );
        refused(
            serde_json::json!({ "contents": [{ "dst": "/x", "text": "", "file_info": { "owner": "root:consul" } }] }),
            "contents[0].file_info.owner",
            "`root:consul` is not the name",
        );
    }

    #[test]
    fn what_we_do_not_support_is_refused_by_name() {
        refused(
            serde_json::json!({ "deb": { "signature": { "key_file": "k.asc" } } }),
            "deb.signature",
            "not supported",
        );
        refused(
            serde_json::json!({ "services": ["x.service"] }),
            "services",
            "/usr/lib/systemd/system/x.service",
        );
        refused(
            serde_json::json!({ "revision": 1, "release": "2" }),
            "revision",
            "remove one",
        );
        refused(
            serde_json::json!({ "lintian_overrides": [{ "tag": "x", "reason": " " }] }),
            "lintian_overrides",
            "no reason",
        );
    }
}
