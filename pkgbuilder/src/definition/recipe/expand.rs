//! `${NAME}` in a recipe's values: exactly the values that nfpm expands, exactly as Go's `os.Expand` does it.

use super::{Content, Deb, Overridables, Recipe};

impl Recipe {
    /// Replaces `$NAME` and `${NAME}` by what `variable` says, `None` being empty. Lists lose what became empty.
    pub fn expand(&mut self, variable: &mut dyn FnMut(&str) -> Option<String>) {
        for text in [
            &mut self.release,
            &mut self.version,
            &mut self.prerelease,
            &mut self.platform,
            &mut self.arch,
            &mut self.name,
            &mut self.homepage,
            &mut self.maintainer,
            &mut self.vendor,
            &mut self.description,
        ] {
            *text = expand(text, variable);
        }
        for items in [
            &mut self.conflicts,
            &mut self.depends,
            &mut self.replaces,
            &mut self.recommends,
            &mut self.provides,
            &mut self.suggests,
        ] {
            list(items, variable);
        }
        contents(&mut self.contents, variable);
        if let Some(over) = &mut self.overrides.deb {
            overridables(over, variable);
        }
        let Deb {
            fields,
            predepends,
            signature,
            ..
        } = &mut self.deb;
        for value in fields.values_mut() {
            *value = expand(value, variable);
        }
        list(predepends, variable);
        signature.key_file = expand(&signature.key_file, variable);
        signature.key_id = expand(&signature.key_id, variable);
    }
}

fn overridables(over: &mut Overridables, variable: &mut dyn FnMut(&str) -> Option<String>) {
    for items in [
        &mut over.conflicts,
        &mut over.depends,
        &mut over.replaces,
        &mut over.recommends,
        &mut over.provides,
        &mut over.suggests,
    ] {
        list(items, variable);
    }
    contents(&mut over.contents, variable);
}

fn list(items: &mut Vec<String>, variable: &mut dyn FnMut(&str) -> Option<String>) {
    for item in items.iter_mut() {
        expand(item, variable).trim().clone_into(item);
    }
    items.retain(|item| !item.is_empty());
}

fn contents(contents: &mut [Content], variable: &mut dyn FnMut(&str) -> Option<String>) {
    for content in contents.iter_mut().filter(|content| content.expand) {
        expand(&content.dst, variable).trim().clone_into(&mut content.dst);
        if let Some(src) = &mut content.src {
            expand(src, variable).trim().clone_into(src);
        }
    }
}

/// `os.Expand` of Go: a name is letters, digits and `_`, or one special character; a `$` before anything else stays;
/// `${` without a name in it is dropped.
fn expand(text: &str, variable: &mut dyn FnMut(&str) -> Option<String>) -> String {
    let mut done = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        let after = &rest[at + 1..];
        if after.is_empty() {
            break;
        }
        done.push_str(&rest[..at]);
        let (name, length) = name(after);
        match (name, length) {
            ("", 0) => done.push('$'),
            ("", _) => {}
            (name, _) => done.push_str(&variable(name).unwrap_or_default()),
        }
        rest = &after[length..];
    }
    done + rest
}

/// The variable named at the beginning of what follows a `$`, and how many bytes that takes.
fn name(after: &str) -> (&str, usize) {
    let special = |c: char| c.is_ascii_digit() || "*#$@!?-".contains(c);
    if let Some(inside) = after.strip_prefix('{') {
        if let Some(first) = inside.chars().next().filter(|&c| special(c))
            && inside[first.len_utf8()..].starts_with('}')
        {
            return (&inside[..1], 3);
        }
        return match inside.find('}') {
            Some(0) => ("", 2),
            Some(end) => (&inside[..end], end + 2),
            // Bad syntax: only the `${` goes.
            None => ("", 1),
        };
    }
    if after.starts_with(special) {
        return (&after[..1], 1);
    }
    let end = after
        .find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
        .unwrap_or(after.len());
    (&after[..end], end)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn with(text: &str) -> String {
        expand(text, &mut |name| match name {
            "ARCH" => Some("arm64".to_owned()),
            "1" => Some("one".to_owned()),
            _ => None,
        })
    }

    /// The expected texts are what Go 1.26's `os.Expand` gives.
    #[test]
    fn as_go_expands() {
        for (text, expected) in [
            ("", ""),
            ("plain", "plain"),
            ("$ARCH", "arm64"),
            ("v${ARCH}-x", "varm64-x"),
            ("$ARCH.deb", "arm64.deb"),
            ("$ARCHITECTURE!", "!"),
            ("$1st ${1}", "onest one"),
            ("a$", "a$"),
            ("$ 5", "$ 5"),
            ("${}x", "x"),
            ("${ARCH", "ARCH"),
            ("ä$ARCHä", "äarm64ä"),
            ("$$ARCH", "ARCH"),
        ] {
            assert_eq!(with(text), expected, "{text}");
        }
    }

    #[test]
    fn only_the_values_that_nfpm_expands() {
        let mut recipe: Recipe = serde_json::from_value(serde_json::json!({
            "name": "x-$ARCH", "section": "$ARCH", "depends": ["$NOTHING", "a-$ARCH "],
            "contents": [{ "src": "$ARCH", "dst": "/$ARCH" }, { "src": "$ARCH", "dst": "/$ARCH", "expand": true }],
            "overrides": { "deb": { "suggests": ["$ARCH"] } },
        }))
        .unwrap();
        recipe.expand(&mut |name| (name == "ARCH").then(|| "arm64".to_owned()));
        assert_eq!((recipe.name.as_str(), recipe.section.as_str()), ("x-arm64", "$ARCH"));
        assert_eq!(recipe.depends, ["a-arm64"]);
        assert_eq!(recipe.contents[0].src.as_deref(), Some("$ARCH"));
        assert_eq!(
            (recipe.contents[1].src.as_deref(), recipe.contents[1].dst.as_str()),
            (Some("arm64"), "/arm64")
        );
        assert_eq!(recipe.overrides.deb.unwrap().suggests, ["arm64"]);
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "[ -~ä$${}]*") {
            with(&text);
        }
    }
}
