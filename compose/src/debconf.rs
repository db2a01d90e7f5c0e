//! debconf's database (debconf-devel(7)) while packages are configured: templates, questions and their values.
//!
//! It lives in [`System`] and ends with the build: `/var/cache/debconf/*.dat` is not written. Nothing on a node
//! configures packages, `dpkg-reconfigure` reads the templates from `/var/lib/dpkg/info` anew where somebody does, and
//! the files would be a megabyte of translated descriptions.

use std::collections::BTreeMap;

use crate::system::{Question, System};

/// Reads a package's `templates` file, as is done before its `config` script runs. A value that was preseeded or given
/// by another package before is kept. Translations are left out.
pub fn load_templates(system: &mut System, package: &str, text: &str) {
    for mut fields in parse(text) {
        let Some(name) = fields.remove("template") else {
            continue;
        };
        let question = system.debconf.entry(name).or_default();
        let mut take = |field: &str| fields.remove(field).unwrap_or_default();
        question.kind = take("type");
        question.default = take("default");
        question.choices = take("choices");
        question.fields = fields;
        if question.owners.is_empty() && !question.flags.contains("seen") {
            question.value.clone_from(&question.default);
        }
        question.owners.insert(package.to_owned());
    }
}

/// Takes answers in the format of debconf-set-selections(1): `owner question type value` lines. The first line that
/// cannot be read is returned as the error.
pub fn preseed(system: &mut System, selections: &str, unseen: bool) -> Result<(), String> {
    let joined = selections.replace("\\\n", "");
    for line in joined
        .lines()
        .map(str::trim_start)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
    {
        let (head, value) = selection(line).ok_or_else(|| line.to_owned())?;
        let [owner, name, kind] = head;
        let question = system.debconf.entry(name.to_owned()).or_default();
        if kind == "seen" {
            set_flag(question, "seen", value == "true");
            continue;
        }
        if owner != "unknown" {
            question.owners.insert(owner.to_owned());
        }
        if question.kind.is_empty() {
            kind.clone_into(&mut question.kind);
        }
        value.clone_into(&mut question.value);
        set_flag(question, "seen", !unseen);
    }
    Ok(())
}

/// Three words, one blank, and the value as it is.
fn selection(line: &str) -> Option<([&str; 3], &str)> {
    let mut rest = line;
    let mut head = [""; 3];
    for (at, word) in head.iter_mut().enumerate() {
        let end = rest.find([' ', '\t']).unwrap_or(rest.len());
        *word = &rest[..end];
        let after = &rest[end..];
        rest = if at < 2 {
            after.trim_start_matches([' ', '\t'])
        } else {
            after.get(1..).unwrap_or("")
        };
    }
    (!head[2].is_empty()).then_some((head, rest))
}

/// Sets or clears a flag.
pub fn set_flag(question: &mut Question, flag: &str, on: bool) {
    if on {
        question.flags.insert(flag.to_owned());
    } else {
        question.flags.remove(flag);
    }
}

/// `text` with `${variable}` replaced by what `db_subst` gave (an unknown one by nothing); `\${` stays.
pub fn expand(question: &Question, text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        let Some(end) = rest[at..].find('}').map(|end| at + end) else {
            break;
        };
        let variable = &rest[at + 2..end];
        if let Some(escaped) = rest[..at].strip_suffix('\\') {
            out.push_str(escaped);
            out.push_str(&rest[at..=end]);
        } else {
            out.push_str(&rest[..at]);
            out.push_str(question.substitutions.get(variable).map_or("", String::as_str));
        }
        rest = &rest[end + 1..];
    }
    out + rest
}

/// The choices of a select question, substitutions applied; `\,` does not separate.
pub fn choices(question: &Question) -> Vec<String> {
    let text = expand(question, &question.choices);
    let mut items = Vec::new();
    let mut item = String::new();
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match (c, chars.peek()) {
            ('\\', Some(&next)) if matches!(next, ',' | ' ') => {
                item.push(next);
                chars.next();
            }
            (',', Some(next)) if next.is_whitespace() => {
                while chars.peek().is_some_and(|c| c.is_whitespace()) {
                    chars.next();
                }
                items.push(std::mem::take(&mut item));
            }
            _ => item.push(c),
        }
    }
    if !item.is_empty() {
        items.push(item);
    }
    items
}

/// The stanzas of a templates file: fields by lower-case name, the long part of a description as
/// `extended_description`, translated fields left out.
fn parse(text: &str) -> Vec<BTreeMap<String, String>> {
    let mut stanzas = Vec::new();
    let mut stanza: BTreeMap<String, String> = BTreeMap::new();
    let mut field = String::new();
    for line in text.lines().chain([""]) {
        if line.trim().is_empty() {
            if !stanza.is_empty() {
                stanzas.push(std::mem::take(&mut stanza));
            }
            field.clear();
        } else if let Some(continued) = line.strip_prefix([' ', '\t']) {
            if field.is_empty() {
                continue;
            }
            let long = stanza.entry(format!("extended_{field}")).or_default();
            extend(long, continued);
        } else if let Some((name, value)) = line.split_once(':') {
            let name = name.to_ascii_lowercase();
            field.clear();
            // `Choices-C` is the untranslated list; any other suffix is a language.
            if !name.contains('-') || name == "choices-c" {
                stanza.insert(name.clone(), value.trim().to_owned());
                field = name;
            }
        }
    }
    stanzas
}

/// Adds a continuation line: a lone dot is a paragraph, further indentation keeps the line as it is.
fn extend(long: &mut String, line: &str) {
    let line = line.trim_end();
    let fresh = long.is_empty() || long.ends_with(['\n', ' ']);
    if line == "." {
        long.push_str("\n\n");
    } else if line.starts_with([' ', '\t']) {
        if !fresh {
            long.push('\n');
        }
        long.push_str(line);
        long.push('\n');
    } else {
        if !fresh {
            long.push(' ');
        }
        long.push_str(line);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn templates_are_read_without_their_translations() {
        let mut system = System::new("arm64", 0);
        let text = "Template: a/b\nType: select\nChoices: yes, no, ask\\, first\nChoices-de.UTF-8: ja, nein\nDefault: no\n\
            Description: short\n long one\n goes on\n .\n  kept\n\n\nTemplate: a/c\nType: multiselect\nChoices: ${list}\n";
        load_templates(&mut system, "a", text);
        let question = &system.debconf["a/b"];
        assert_eq!((question.kind.as_str(), question.value.as_str()), ("select", "no"));
        assert_eq!(choices(question), ["yes", "no", "ask, first"]);
        assert_eq!(question.fields["extended_description"], "long one goes on\n\n kept\n");
        let other = system.debconf.get_mut("a/c").unwrap();
        other.substitutions.insert("list".to_owned(), "x, y".to_owned());
        assert_eq!(choices(other), ["x", "y"]);
        assert_eq!(expand(other, "\\${list} ${list}${none}"), "${list} x, y");
    }

    #[test]
    fn preseeded_values_survive_the_template() {
        let mut system = System::new("arm64", 0);
        preseed(
            &mut system,
            "# c\ntzdata  tzdata/Areas select  Europe\na a/s string  two  words\n",
            false,
        )
        .unwrap();
        load_templates(
            &mut system,
            "tzdata",
            "Template: tzdata/Areas\nType: select\nDefault: Etc\n",
        );
        // One blank ends the type; what follows is the value.
        assert_eq!(system.debconf["tzdata/Areas"].value, " Europe");
        assert!(system.debconf["tzdata/Areas"].flags.contains("seen"));
        assert_eq!(preseed(&mut system, "a b\n", false), Err("a b".to_owned()));
    }

    proptest! {
        #[test]
        fn any_text_is_read(text in "([A-Za-z-]{0,9}:? ?[ -~]{0,30}\n){0,9}") {
            let mut system = System::new("arm64", 0);
            load_templates(&mut system, "p", &text);
            let _ = preseed(&mut system, &text, true);
            for question in system.debconf.values() {
                let _ = choices(question);
            }
        }
    }
}
