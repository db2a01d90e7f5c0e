//! HCL, version 1: what Consul and Nomad read. Written from JSON values, because both map one to the other.

use serde_json::{Map, Value};

/// A configuration file: a comment, then the members of `settings`, sorted by name.
///
/// Objects become blocks; a member whose name has a quoted label (`plugin "docker"`) keeps it.
pub fn document(comment: &str, settings: &Map<String, Value>) -> String {
    let mut text = String::new();
    for line in comment.lines() {
        text.push_str("# ");
        text.push_str(line);
        text.push('\n');
    }
    text.push('\n');
    members(settings, 0, &mut text);
    text
}

fn members(settings: &Map<String, Value>, depth: usize, text: &mut String) {
    for (name, value) in settings {
        text.push_str(&"  ".repeat(depth));
        text.push_str(&key(name));
        match value {
            Value::Object(inner) => {
                text.push_str(" {\n");
                members(inner, depth + 1, text);
                text.push_str(&"  ".repeat(depth));
                text.push_str("}\n");
            }
            other => {
                text.push_str(" = ");
                literal(other, depth, text);
                text.push('\n');
            }
        }
    }
}

fn literal(value: &Value, depth: usize, text: &mut String) {
    match value {
        Value::Array(items) => {
            text.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    text.push_str(", ");
                }
                literal(item, depth, text);
            }
            text.push(']');
        }
        Value::Object(inner) => {
            text.push_str("{\n");
            members(inner, depth + 1, text);
            text.push_str(&"  ".repeat(depth));
            text.push('}');
        }
        // A JSON string is an HCL string but for `${`, which would begin an interpolation.
        Value::String(string) => text.push_str(&Value::String(string.replace("${", "$${")).to_string()),
        scalar => text.push_str(&scalar.to_string()),
    }
}

fn key(name: &str) -> String {
    let plain = name
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'));
    if plain || name.contains('"') {
        name.to_owned()
    } else {
        format!("\"{name}\"")
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn blocks_labels_lists_and_strings() {
        let settings = json!({
            "name": "core-1",
            "ports": {"dns": 8600},
            "plugin \"docker\"": {"config": {"volumes": true}},
            "list": ["a", {"b": 1}],
            "map": {"/etc/passwd": "${x}"},
        });
        assert_eq!(
            document("made\nby a test", settings.as_object().unwrap()),
            "# made\n# by a test\n\nlist = [\"a\", {\n  b = 1\n}]\nmap {\n  \"/etc/passwd\" = \"$${x}\"\n}\n\
             name = \"core-1\"\nplugin \"docker\" {\n  config {\n    volumes = true\n  }\n}\nports {\n  dns = 8600\n}\n"
        );
    }
}
