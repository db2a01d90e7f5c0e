//! Two evaluated definitions, value by value.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

/// A value that is not the same on both sides.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Change {
    /// Where, as in `partitions.root_mib`; elements of lists by their name where they have one.
    pub place: String,
    /// On the first side, if it is there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<Value>,
    /// On the second side, if it is there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<Value>,
}

/// What by name identifies an element of a list of objects, in the order tried.
const NAMES: [&str; 3] = ["name", "path", "type"];

pub(super) fn compare(before: &Value, after: &Value) -> Vec<Change> {
    let mut changes = Vec::new();
    walk("", before, after, &mut changes);
    changes
}

fn walk(place: &str, before: &Value, after: &Value, changes: &mut Vec<Change>) {
    if before == after {
        return;
    }
    let parts = match (before, after) {
        (Value::Object(before), Value::Object(after)) => {
            let of = |object: &serde_json::Map<String, Value>| -> BTreeMap<String, Value> {
                object.iter().map(|(key, value)| (key.clone(), value.clone())).collect()
            };
            Some((of(before), of(after)))
        }
        (Value::Array(before), Value::Array(after)) => {
            if let Some(parts) = named(before).zip(named(after)) {
                Some(parts)
            } else {
                return lists(place, before, after, changes);
            }
        }
        _ => None,
    };
    let Some((before, after)) = parts.map(|(mut before, mut after)| {
        let all: Vec<String> = before.keys().chain(after.keys()).cloned().collect();
        for key in all {
            before.entry(key.clone()).or_insert(Value::Null);
            after.entry(key).or_insert(Value::Null);
        }
        (before, after)
    }) else {
        changes.push(Change {
            place: if place.is_empty() {
                "definition".to_owned()
            } else {
                place.to_owned()
            },
            before: Some(before.clone()).filter(|value| !value.is_null()),
            after: Some(after.clone()).filter(|value| !value.is_null()),
        });
        return;
    };
    for (key, was) in &before {
        let inner = if place.is_empty() {
            key.clone()
        } else {
            format!("{place}.{key}")
        };
        walk(&inner, was, &after[key], changes);
    }
}

/// The elements of a list by their names, if each has one of its own.
fn named(list: &[Value]) -> Option<BTreeMap<String, Value>> {
    let key = NAMES
        .into_iter()
        .find(|key| list.iter().all(|element| element.get(key).is_some()))?;
    let mut parts = BTreeMap::new();
    for element in list {
        let name = element.get(key)?.as_str()?.to_owned();
        if parts.insert(name, element.clone()).is_some() {
            return None;
        }
    }
    (!parts.is_empty()).then_some(parts)
}

/// Lists of plain values: what came and what went; only where that is nothing, the order counts.
fn lists(place: &str, before: &[Value], after: &[Value], changes: &mut Vec<Change>) {
    let plain = |list: &[Value]| list.iter().all(|value| !value.is_object() && !value.is_array());
    let gone: Vec<&Value> = before.iter().filter(|value| !after.contains(value)).collect();
    let come: Vec<&Value> = after.iter().filter(|value| !before.contains(value)).collect();
    if !plain(before) || !plain(after) || (gone.is_empty() && come.is_empty()) {
        changes.push(Change {
            place: place.to_owned(),
            before: Some(before.into()),
            after: Some(after.into()),
        });
        return;
    }
    let one = |value: &Value| Some(value.clone());
    changes.extend(gone.into_iter().map(|value| Change {
        place: place.to_owned(),
        before: one(value),
        after: None,
    }));
    changes.extend(come.into_iter().map(|value| Change {
        place: place.to_owned(),
        before: None,
        after: one(value),
    }));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn each_value_has_its_place() {
        let before = json!({
            "name": "home",
            "debian": { "packages": ["less", "procps"] },
            "components": [{ "name": "nomad", "version": "1" }, { "name": "consul", "version": "1" }],
            "partitions": { "root_mib": 512 },
            "cmdline": ["a", "b"],
        });
        let after = json!({
            "name": "home",
            "debian": { "packages": ["procps", "docker.io"] },
            "components": [{ "name": "consul", "version": "1" }, { "name": "nomad", "version": "2" }],
            "partitions": { "root_mib": 512, "boot_mib": 64 },
            "cmdline": ["b", "a"],
        });
        let changes = compare(&before, &after);
        let lines: Vec<String> = changes
            .iter()
            .map(|change| format!("{} {:?} {:?}", change.place, change.before, change.after))
            .collect();
        assert_eq!(
            lines,
            [
                "cmdline Some(Array [String(\"a\"), String(\"b\")]) Some(Array [String(\"b\"), String(\"a\")])",
                "components.nomad.version Some(String(\"1\")) Some(String(\"2\"))",
                "debian.packages Some(String(\"less\")) None",
                "debian.packages None Some(String(\"docker.io\"))",
                "partitions.boot_mib None Some(Number(64))",
            ]
        );
        assert!(compare(&before, &before).is_empty());
    }

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            "[a-c]{0,2}".prop_map(Value::from)
        ];
        leaf.prop_recursive(3, 20, 4, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                proptest::collection::btree_map("name|path|[a-c]", inner, 0..4)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn only_what_is_equal_has_no_changes(before in value(), after in value()) {
            let changes = compare(&before, &after);
            prop_assert!(!changes.is_empty() || before == after || equal_but_null(&before, &after));
        }
    }

    /// A key with null says as much as none, and elements that are found by name may change places.
    fn equal_but_null(before: &Value, after: &Value) -> bool {
        match (before, after) {
            (Value::Object(before), Value::Object(after)) => before.keys().chain(after.keys()).all(|key| {
                let of = |map: &serde_json::Map<String, Value>| map.get(key).cloned().unwrap_or(Value::Null);
                equal_but_null(&of(before), &of(after))
            }),
            (Value::Array(before), Value::Array(after)) => named(before).zip(named(after)).is_some(),
            _ => before == after,
        }
    }
}
